//! Which fields an update changes.

use prost_types::FieldMask;

use crate::domain::violation::Violation;

/// The writable fields that a request wants written.
#[derive(Debug)]
pub(super) struct Mask {
    /// `None` for all of them.
    paths: Option<Vec<String>>,
}

impl Mask {
    pub(super) fn all() -> Self {
        Self { paths: None }
    }

    /// The mask of a request; unset or empty means all.
    pub(super) fn parse(mask: Option<FieldMask>, writable: &[&str]) -> Result<Self, Violation> {
        let paths = mask.map(|mask| mask.paths).unwrap_or_default();
        let unknown = paths.iter().find(|path| !writable.contains(&path.as_str()));
        if let Some(path) = unknown {
            // Whoever sent it knows it; a megabyte of it helps nobody.
            let shown: String = path.chars().take(64).collect();
            let mend =
                format!("{shown:?} is not a writable field; those are {}", writable.join(", "));
            return Err(Violation::new("update_mask", mend));
        }
        Ok(Self { paths: (!paths.is_empty()).then_some(paths) })
    }

    /// What `value` makes of a field, if the field is to be written.
    pub(super) fn pick<T>(
        &self,
        path: &str,
        value: impl FnOnce() -> Result<T, Violation>,
    ) -> Result<Option<T>, Violation> {
        let named = |paths: &Vec<String>| paths.iter().any(|named| named == path);
        if self.paths.as_ref().is_none_or(named) { value().map(Some) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(paths: &[&str]) -> Result<Mask, Violation> {
        let paths = paths.iter().map(|&path| path.into()).collect();
        Mask::parse(Some(FieldMask { paths }), &["name", "position"])
    }

    #[test]
    fn an_empty_mask_names_every_field() {
        for mask in [Mask::all(), Mask::parse(None, &["name"]).unwrap(), parse(&[]).unwrap()] {
            assert_eq!(mask.pick("name", || Ok(1)), Ok(Some(1)));
        }
        let one = parse(&["name", "name"]).unwrap();
        assert_eq!(one.pick("name", || Ok(1)), Ok(Some(1)));
        let unseen: Result<Option<u8>, _> = one.pick("position", || panic!("not asked for"));
        assert_eq!(unseen, Ok(None));
    }

    #[test]
    fn an_unknown_path_is_named() {
        for bad in ["nmae", "folder.name", "*", "", "etag", "Name"] {
            let violation = parse(&["name", bad]).unwrap_err();
            assert_eq!(violation.field, "update_mask");
            assert!(violation.mend.starts_with(&format!("{bad:?}")), "{violation}");
        }
        assert!(parse(&[&"x".repeat(1 << 20)]).unwrap_err().mend.len() < 200);
    }
}
