//! What a write is to those who follow.

use token::{clock::Timestamp, entropy::Entropy};

use super::{
    category::Category,
    etag::Etag,
    folder::Folder,
    id::{CategoryId, FolderId, TreeId},
    tree::{Tree, Visibility},
};

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) what: ResourceId,
    /// `None` on the common shelf.
    pub(crate) owner_id: Option<String>,
    /// What it is to its owner, or to everybody if it has none.
    pub(crate) own: ChangeKind,
    /// What it is to everybody else, if anything.
    pub(crate) shared: Option<ChangeKind>,
    pub(crate) stamp: Stamp,
}

/// Names one write, and says when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Drawn for the write.
    pub(crate) mark: Etag,
    pub(crate) at: Timestamp,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ResourceId {
    Category(CategoryId),
    Folder(FolderId),
    Tree(TreeId),
}

/// What was written, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Category(Category),
    Folder(Folder),
    /// Without its nodes.
    Tree(Tree),
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Created,
    Updated,
    Deleted,
}

/// Who finds a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Audience {
    /// It does not exist, or is deleted.
    Nobody,
    Owner,
    Everybody,
}

impl Stamp {
    pub(crate) fn new(now: Timestamp, entropy: &dyn Entropy) -> Self {
        Self { mark: Etag::new(entropy), at: now }
    }
}

impl Change {
    pub(crate) fn of_category(id: CategoryId, kind: ChangeKind, stamp: Stamp) -> Self {
        let what = ResourceId::Category(id);
        Self { what, owner_id: None, own: kind, shared: None, stamp }
    }

    pub(crate) fn of_folder(id: FolderId, owner: &str, kind: ChangeKind, stamp: Stamp) -> Self {
        let what = ResourceId::Folder(id);
        Self { what, owner_id: Some(owner.into()), own: kind, shared: None, stamp }
    }

    /// Of a tree that was found by some and is found by others now; `None` if it is nothing to
    /// anybody.
    pub(crate) fn of_tree(
        id: TreeId,
        owner: &str,
        before: Audience,
        after: Audience,
        stamp: Stamp,
    ) -> Option<Self> {
        let kind = |least: Audience| match (before >= least, after >= least) {
            (false, false) => None,
            (false, true) => Some(ChangeKind::Created),
            (true, true) => Some(ChangeKind::Updated),
            (true, false) => Some(ChangeKind::Deleted),
        };
        let own = kind(Audience::Owner)?;
        let shared = kind(Audience::Everybody);
        Some(Self { what: ResourceId::Tree(id), owner_id: Some(owner.into()), own, shared, stamp })
    }

    /// What it is to `reader`, if anything.
    pub(crate) fn to(&self, reader: &str) -> Option<ChangeKind> {
        match &self.owner_id {
            Some(owner) if owner != reader => self.shared,
            _ => Some(self.own),
        }
    }
}

impl Tree {
    /// What making it what it is was, of a tree that `before` could find.
    pub(crate) fn change(&self, before: Audience) -> Option<Change> {
        Change::of_tree(self.id, &self.owner_id, before, self.audience(), self.stamp())
    }

    /// Names the write that made it what it is.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { mark: self.etag.clone(), at: self.updated_at }
    }

    pub(crate) fn audience(&self) -> Audience {
        match self.content.visibility {
            _ if self.deletion.is_some() => Audience::Nobody,
            Visibility::Private => Audience::Owner,
            Visibility::Shared => Audience::Everybody,
        }
    }
}

impl Folder {
    /// Names the write that made it what it is.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { mark: self.etag.clone(), at: self.updated_at }
    }
}

impl Category {
    /// Names the write that made it what it is.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { mark: self.etag.clone(), at: self.updated_at }
    }
}

impl Resource {
    /// As `reader` sees it.
    pub(crate) fn seen_by(self, reader: &str) -> Self {
        match self {
            Self::Tree(tree) => Self::Tree(tree.seen_by(reader)),
            other => other,
        }
    }

    /// Whether `reader` finds it.
    pub(crate) fn is_found_by(&self, reader: &str) -> bool {
        match self {
            Self::Category(_) => true,
            Self::Folder(folder) => folder.owner_id == reader,
            Self::Tree(tree) => match tree.audience() {
                Audience::Nobody => false,
                Audience::Owner => tree.owner_id == reader,
                Audience::Everybody => true,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use token::entropy::SeededEntropy;

    use super::*;

    #[test]
    fn what_a_write_of_a_tree_is_to_whom() {
        use Audience::{Everybody, Nobody, Owner};
        use ChangeKind::{Created, Deleted, Updated};
        let stamp = Stamp::new(Timestamp::UNIX_EPOCH, &SeededEntropy::new(1));
        let id = TreeId::new(Timestamp::UNIX_EPOCH, &SeededEntropy::new(1));
        for (before, after, own, shared) in [
            (Nobody, Nobody, None, None),
            (Nobody, Owner, Some(Created), None),
            (Nobody, Everybody, Some(Created), Some(Created)),
            (Owner, Nobody, Some(Deleted), None),
            (Owner, Owner, Some(Updated), None),
            (Owner, Everybody, Some(Updated), Some(Created)),
            (Everybody, Nobody, Some(Deleted), Some(Deleted)),
            (Everybody, Owner, Some(Updated), Some(Deleted)),
            (Everybody, Everybody, Some(Updated), Some(Updated)),
        ] {
            let change = Change::of_tree(id, "ada", before, after, stamp.clone());
            let told = |reader| change.as_ref().and_then(|change| change.to(reader));
            assert_eq!((told("ada"), told("eve")), (own, shared), "{before:?} to {after:?}");
        }
    }
}
