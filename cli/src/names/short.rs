//! Ids as short as they may be.

/// Shortens ids to what tells them apart from the others of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShortIds {
    length: usize,
}

impl ShortIds {
    /// For these.
    pub(crate) fn of<'a>(ids: impl Iterator<Item = &'a str>) -> Self {
        let mut ids: Vec<_> = ids.collect();
        ids.sort_unstable();
        let shared = ids.windows(2).map(|pair| common(pair[0], pair[1])).max().unwrap_or(0);
        Self { length: LEAST.max(shared + 1) }
    }

    /// The beginning of an id.
    pub(crate) fn short(self, id: &str) -> &str {
        id.get(..self.length).unwrap_or(id)
    }
}

/// How many bytes two ids begin with in common.
fn common(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

const LEAST: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ids_still_differ() {
        let ids = ["0192f0c1-7f3a-7c4e", "0192f0c1-7f3b-1111", "0192f0c2-0000-0000"];
        let short = ShortIds::of(ids.into_iter());
        assert_eq!(
            ids.map(|id| short.short(id)),
            ["0192f0c1-7f3a", "0192f0c1-7f3b", "0192f0c2-0000"]
        );
        assert_eq!(ShortIds::of([ids[0]].into_iter()).short(ids[0]), "0192f0c1");
        assert_eq!(ShortIds::of([].into_iter()).short("abc"), "abc");
    }
}
