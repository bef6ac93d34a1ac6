//! Which of many a name means.

use crate::errors::{Candidate, Error, Exit};

/// A kind of thing that has a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Thing {
    Category,
    Folder,
    Session,
    Tree,
}

impl Thing {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::Folder => "folder",
            Self::Session => "session",
            Self::Tree => "tree",
        }
    }

    const fn list(self) -> &'static str {
        match self {
            Self::Category => "`evergreen categories list` shows the categories.",
            Self::Folder => "`evergreen folders tree` shows your folders.",
            Self::Session => "`evergreen sessions list` shows your sessions.",
            Self::Tree => "`evergreen trees list` shows the trees that you may read.",
        }
    }
}

/// The one that `given` means: its id, its label, its label but for case, or the beginning of its id,
/// whichever fits first.
pub(crate) fn choose(
    thing: Thing,
    given: &str,
    candidates: &[Candidate],
) -> Result<Candidate, Error> {
    let folded = given.to_lowercase();
    let fits: [&dyn Fn(&Candidate) -> bool; 4] =
        [&|c| c.id == folded, &|c| c.label == given, &|c| c.label.to_lowercase() == folded, &|c| {
            given.len() >= LEAST && c.id.starts_with(&folded)
        }];
    for fits in fits {
        let mut found: Vec<_> = candidates.iter().filter(|c| fits(c)).cloned().collect();
        match found.len() {
            0 => {}
            1 => return Ok(found.remove(0)),
            many => return Err(ambiguous(thing, given, many, found)),
        }
    }
    let message = format!("There is no {} “{given}”.", thing.word());
    Err(Error::new(Exit::NotFound, message).then(thing.list()))
}

/// More than one thing is called so.
pub(super) fn ambiguous(
    thing: Thing,
    given: &str,
    many: usize,
    mut found: Vec<Candidate>,
) -> Error {
    found.truncate(MOST);
    let message = format!("“{given}” means {many} things. Name the {} by its id:", thing.word());
    Error::invalid(message).among(found)
}

/// Whether it can be nothing else than an id.
pub(crate) fn is_id(given: &str) -> bool {
    given.len() == 36
        && given.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// Less of an id could be a word.
const LEAST: usize = 4;
/// More candidates help nobody.
const MOST: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(given: &str) -> Result<String, Error> {
        let candidates = [
            ("0192aaaa-1", "Printer"),
            ("0192aaaa-2", "printer"),
            ("0192bbbb-1", "Router"),
            ("0192bbbb-2", "0192aaaa"),
            ("0192cccc-1", "VPN"),
            ("0192cccc-2", "VPN"),
        ];
        let candidates =
            candidates.map(|(id, label)| Candidate { id: id.into(), label: label.into() });
        super::choose(Thing::Tree, given, &candidates).map(|candidate| candidate.id)
    }

    #[test]
    fn a_name_means_what_fits_best() {
        for (given, id) in [
            ("0192aaaa-2", "0192aaaa-2"),
            ("0192AAAA-1", "0192aaaa-1"),
            ("printer", "0192aaaa-2"),
            ("Printer", "0192aaaa-1"),
            ("rOUTER", "0192bbbb-1"),
            ("0192aaaa", "0192bbbb-2"),
        ] {
            assert_eq!(choose(given).unwrap(), id, "{given}");
        }
    }

    #[test]
    fn what_means_several_things_lists_them() {
        for (given, many) in [("VPN", 2), ("PRINTER", 2), ("0192b", 2), ("0192", 6)] {
            let error = choose(given).unwrap_err();
            assert_eq!(error.exit(), Exit::Invalid);
            assert_eq!(error.to_string().matches("\n  0192").count(), many, "{error}");
        }
        assert_eq!(choose("019").unwrap_err().exit(), Exit::NotFound);
        assert_eq!(choose("modem").unwrap_err().exit(), Exit::NotFound);
    }

    #[test]
    fn an_id_is_known_by_its_form() {
        assert!(is_id("0192f0c1-7f3a-7c4e-9d21-6a1c1f0b5e11"));
        assert!(!is_id("0192f0c1-7f3a-7c4e-9d21-6a1c1f0b5e1"));
        assert!(!is_id("a title as long as an id would beeee"));
    }
}
