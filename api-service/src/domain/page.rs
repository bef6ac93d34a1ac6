//! Pages of a list.

use super::violation::Violation;

/// How many items a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageSize(u16);

impl PageSize {
    const DEFAULT: u16 = 50;
    const MOST: u16 = 500;
    /// Of what is costly to find.
    const FEW: u16 = 50;

    /// What a request asks for: 0 leaves it to the service, more than the most is the most.
    pub(crate) fn parse(asked: i32) -> Result<Self, Violation> {
        match asked {
            0 => Ok(Self(Self::DEFAULT)),
            ..0 => Err(Violation::new("page_size", "must not be negative")),
            _ => Ok(Self(u16::try_from(asked).unwrap_or(Self::MOST).min(Self::MOST))),
        }
    }

    /// The same, of a list whose items are costly to find.
    pub(crate) fn of_few(self) -> Self {
        Self(self.0.min(Self::FEW))
    }

    pub(crate) fn get(self) -> usize {
        usize::from(self.0)
    }

    /// One more than a page holds, which tells whether another page follows.
    pub(crate) fn with_next(self) -> i64 {
        i64::from(self.0) + 1
    }
}

/// What a list request asks for beside its filters.
#[derive(Clone, Debug)]
pub(crate) struct PageRequest {
    pub(crate) size: PageSize,
    /// Empty for the first page.
    pub(crate) token: String,
}

impl PageRequest {
    /// How many of these items its page holds: as many as were asked for, but fewer of those that
    /// say much, so that what is sent stays far below four mebibytes, which most clients take.
    pub(crate) fn holds<T: Listed>(&self, items: &[T]) -> usize {
        let mut bytes = 0;
        let fitting = items.iter().take_while(|item| {
            bytes += item.text_bytes();
            bytes <= MOST_BYTES
        });
        // One alone always fits, or the list would never go on.
        fitting.count().max(1).min(self.size.get())
    }
}

/// What is listed.
pub(crate) trait Listed {
    /// How long its texts are.
    fn text_bytes(&self) -> usize;
}

/// How much text a page holds.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// Some items of a list.
#[derive(Clone, Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Empty on the last page.
    pub(crate) next_token: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Listed for usize {
        fn text_bytes(&self) -> usize {
            *self
        }
    }

    #[test]
    fn a_page_holds_so_many_items_and_so_much_text() {
        let page = PageRequest { size: PageSize(3), token: String::new() };
        for (items, held) in [
            (&[1, 1][..], 2),
            (&[1, 1, 1, 1], 3),
            (&[MOST_BYTES, 0, 0, 0], 3),
            (&[MOST_BYTES, 1], 1),
            (&[MOST_BYTES - 1, 1, 1], 2),
            (&[MOST_BYTES + 1, 0], 1),
        ] {
            assert_eq!(page.holds(items), held, "{items:?}");
        }
    }

    #[test]
    fn a_page_size_is_clamped_and_never_negative() {
        for (asked, given) in
            [(0, 50), (1, 1), (500, 500), (501, 500), (70_000, 500), (i32::MAX, 500)]
        {
            assert_eq!(PageSize::parse(asked).unwrap().get(), given, "{asked}");
        }
        for (asked, given) in [(0, 50), (1, 1), (50, 50), (51, 50), (i32::MAX, 50)] {
            assert_eq!(PageSize::parse(asked).unwrap().of_few().get(), given, "{asked}");
        }
        for bad in [-1, i32::MIN] {
            assert_eq!(PageSize::parse(bad).unwrap_err().field, "page_size");
        }
    }
}
