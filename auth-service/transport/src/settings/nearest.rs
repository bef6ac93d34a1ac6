//! What somebody may have meant.

/// The most similar of `known`, if one is similar enough to be worth a question.
pub(super) fn nearest<'a>(
    meant: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(meant, name), name))
        .filter(|(similarity, _)| *similarity > SIMILAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

/// `; did you mean …?`, or nothing.
pub(super) fn question(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

const SIMILAR: f64 = 0.8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_something_else_is_not() {
        let known = ["access_token_ttl", "refresh_token_ttl", "listen", "ops_listen"];
        assert_eq!(nearest("acces_token_tll", known), Some("access_token_ttl"));
        assert_eq!(nearest("listn", known), Some("listen"));
        assert_eq!(nearest("colour", known), None);
    }
}
