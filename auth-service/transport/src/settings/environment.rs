//! Variables that look like settings and are none.

use super::nearest::{nearest, question};

/// A warning for each of `names` that begins like a setting of `program` and is not `known`. No more
/// than a warning: other programs, and other versions of this one, share an environment.
pub(super) fn unknown(
    program: &str,
    prefix: &str,
    names: impl IntoIterator<Item = String>,
    known: &[String],
) -> Vec<String> {
    let mut unknown: Vec<_> = names
        .into_iter()
        .filter(|name| name.starts_with(prefix) && !known.contains(name))
        .map(|name| {
            let nearest = nearest(&name, known.iter().map(String::as_str));
            format!("{name} is no setting of {program}{}", question(nearest))
        })
        .collect();
    unknown.sort();
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_sets_nothing_is_told_of() {
        let names = ["PATH", "EVERGREEN_AUTH_LISTN", "EVERGREEN_AUTH_LISTEN", "EVERGREEN_API_X"];
        let known = ["EVERGREEN_AUTH_LISTEN".to_owned(), "EVERGREEN_AUTH_INSECURE".to_owned()];
        let told = unknown("auth-service", "EVERGREEN_AUTH_", names.map(str::to_owned), &known);
        let expected = "EVERGREEN_AUTH_LISTN is no setting of auth-service; did you mean \
                        EVERGREEN_AUTH_LISTEN?";
        assert_eq!(told, [expected]);
    }
}
