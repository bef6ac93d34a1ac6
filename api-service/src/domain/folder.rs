//! A folder: one user's own filing.

use std::collections::HashMap;

use token::clock::Timestamp;

use super::{etag::Etag, id::FolderId, page::Listed, text::Text, violation::Violation};

/// How deep folders nest; one at the top is 1 deep.
pub(crate) const DEEPEST: usize = 16;

/// How many folders a user may have.
pub(crate) const MOST: i64 = 5_000;

/// A folder as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    pub(crate) id: FolderId,
    pub(crate) owner_id: String,
    pub(crate) content: Content,
    pub(crate) etag: Etag,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// What its owner wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    /// `None`: at the top.
    pub(crate) parent_id: Option<FolderId>,
    pub(crate) name: String,
    pub(crate) position: i32,
}

/// A folder among others below the same one, or below the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) folder: Folder,
    /// How far below.
    pub(crate) depth: i32,
    /// How many trees lie right in it.
    pub(crate) tree_count: i32,
}

/// A change to some fields, each of which keeps to its rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edit {
    pub(crate) parent_id: Option<Option<FolderId>>,
    pub(crate) name: Option<String>,
    pub(crate) position: Option<i32>,
}

impl Edit {
    pub(crate) fn apply(self, content: Content) -> Content {
        Content {
            parent_id: self.parent_id.unwrap_or(content.parent_id),
            name: self.name.unwrap_or(content.name),
            position: self.position.unwrap_or(content.position),
        }
    }
}

/// A name, if it may be a folder's.
pub(crate) fn name(field: &str, text: String) -> Result<String, Violation> {
    let name = Text::line(100).check(field, text)?;
    if name.contains('/') {
        return Err(Violation::new(field, "must not hold '/', which separates names in a path"));
    }
    Ok(name)
}

/// Why a folder cannot lie where it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misplaced {
    Cycle,
    TooDeep,
}

/// Whether a folder may be put below another.
///
/// `above` is the new parent and everything that it lies in; empty at the top. `height` is how many
/// levels the moved folder brings along, itself included. Both must be read in the transaction that
/// moves it: two moves, each right on its own, make a ring together.
pub(crate) fn check_place(
    moved: FolderId,
    above: &[FolderId],
    height: usize,
) -> Result<(), Misplaced> {
    if above.contains(&moved) {
        return Err(Misplaced::Cycle);
    }
    if above.len() + height > DEEPEST {
        return Err(Misplaced::TooDeep);
    }
    Ok(())
}

/// The entries in their order: each after its parent, siblings by position, then name.
pub(crate) fn in_order(entries: Vec<Entry>) -> Vec<Entry> {
    let mut below: HashMap<Option<FolderId>, Vec<Entry>> = HashMap::new();
    let mut open = Vec::new();
    for entry in entries {
        match entry.depth {
            0 => open.push(entry),
            _ => below.entry(entry.folder.content.parent_id).or_default().push(entry),
        }
    }
    // What comes first is taken from the end.
    let sort = |siblings: &mut Vec<Entry>| {
        siblings.sort_unstable_by(|a, b| {
            let (a, b) = (&a.folder.content, &b.folder.content);
            (b.position, &b.name).cmp(&(a.position, &a.name))
        });
    };
    sort(&mut open);
    let mut ordered = Vec::new();
    while let Some(entry) = open.pop() {
        let mut inside = below.remove(&Some(entry.folder.id)).unwrap_or_default();
        sort(&mut inside);
        open.append(&mut inside);
        ordered.push(entry);
    }
    ordered
}

/// How many trees are deleted with a folder, since all of them are deleted at once.
pub(crate) const MOST_TREES: i64 = 10_000;

impl Listed for Folder {
    fn text_bytes(&self) -> usize {
        self.content.name.len()
    }
}

#[cfg(test)]
mod tests {

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn id(n: usize) -> FolderId {
        FolderId(Uuid::from_u128(n as u128))
    }

    #[test]
    fn a_name_is_one_step_of_a_path() {
        for good in ["a", "Über uns", "a.b", "100 %"] {
            assert!(name("folder.name", good.into()).is_ok(), "{good}");
        }
        for bad in ["", "  ", "a/b", "/", "a\tb", "a\0", &"x".repeat(101)] {
            assert_eq!(name("folder.name", bad.into()).unwrap_err().field, "folder.name");
        }
    }

    /// A forest by parents, moved through by the rule alone.
    #[derive(Debug)]
    struct Forest(HashMap<usize, Option<usize>>);

    impl Forest {
        /// From a folder up to the top; `None` if there is no top.
        fn path(&self, from: Option<usize>) -> Option<Vec<FolderId>> {
            let (mut path, mut at) = (Vec::new(), from);
            while let Some(n) = at {
                if path.len() > self.0.len() {
                    return None;
                }
                path.push(id(n));
                at = self.0[&n];
            }
            Some(path)
        }

        fn height(&self, top: usize) -> usize {
            let paths = self.0.keys().filter_map(|&n| self.path(Some(n)));
            paths
                .filter_map(|path| path.iter().position(|&n| n == id(top)))
                .max()
                .map_or(1, |below| below + 1)
        }

        fn put(&mut self, n: usize, parent: Option<usize>) {
            let above = self.path(parent).unwrap();
            if check_place(id(n), &above, self.height(n)).is_ok() {
                self.0.insert(n, parent);
            }
        }
    }

    proptest! {
        #[test]
        fn no_moves_make_a_ring_or_go_too_deep(
            moves in prop::collection::vec((0_usize..24, prop::option::of(0_usize..24)), 0..120),
        ) {
            // A chain as deep as can be, and single folders to move about with it.
            let chain = |n| (n > 0 && n < DEEPEST).then(|| n - 1);
            let mut forest = Forest((0..24).map(|n| (n, chain(n))).collect());
            for (n, parent) in moves {
                forest.put(n, parent);
                for n in 0..24 {
                    let path = forest.path(Some(n));
                    prop_assert!(path.is_some_and(|path| path.len() <= DEEPEST));
                }
            }
        }
    }

    #[test]
    fn the_rule_allows_what_fits() {
        let above: Vec<_> = (1..DEEPEST).map(id).collect();
        assert_eq!(check_place(id(0), &above, 1), Ok(()));
        assert_eq!(check_place(id(0), &above, 2), Err(Misplaced::TooDeep));
        assert_eq!(check_place(id(3), &above, 1), Err(Misplaced::Cycle));
        assert_eq!(check_place(id(0), &[], DEEPEST), Ok(()));
    }

    #[test]
    fn each_folder_comes_after_its_parent_and_siblings_by_position_then_name() {
        let entry = |n: usize, parent: Option<usize>, name: &str, position: i32, depth: i32| {
            let content = Content { parent_id: parent.map(id), name: name.into(), position };
            let folder = Folder {
                id: id(n),
                owner_id: "ada".into(),
                content,
                etag: Etag("e".into()),
                created_at: Timestamp::UNIX_EPOCH,
                updated_at: Timestamp::UNIX_EPOCH,
            };
            Entry { folder, depth, tree_count: 0 }
        };
        // The top lies in a folder that is not asked for.
        let entries = vec![
            entry(5, Some(2), "a", 0, 2),
            entry(3, Some(1), "b", 0, 1),
            entry(4, Some(1), "c", -1, 1),
            entry(2, Some(1), "a", 0, 1),
            entry(1, Some(0), "top", 7, 0),
        ];
        for turn in 0..entries.len() {
            let mut entries = entries.clone();
            entries.rotate_left(turn);
            let ordered = in_order(entries).into_iter().map(|entry| entry.folder.id);
            assert_eq!(ordered.collect::<Vec<_>>(), [1, 4, 2, 5, 3].map(id));
        }
    }
}
