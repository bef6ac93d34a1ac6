//! Who may do what: the one place that says so.

use super::caller::Role;

/// What an RPC does to what it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    ReadCategories,
    ReadFolders,
    ReadTrees,
    WriteCategories,
    WriteFolders,
    WriteTrees,
}

/// How the caller stands to the thing that an RPC names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// It is the caller's, or it is about to be.
    Own,
    /// It is another user's, who shares it; or it is on the common shelf.
    Shared,
    /// It is another user's alone, or it does not exist: the caller cannot tell which.
    Hidden,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allow,
    /// `PERMISSION_DENIED`.
    Deny,
    /// `NOT_FOUND`.
    Hide,
}

impl Action {
    /// The least role that may do this at all.
    fn least(self) -> Role {
        match self {
            Self::ReadCategories | Self::ReadFolders | Self::ReadTrees => Role::Viewer,
            Self::WriteFolders | Self::WriteTrees => Role::Editor,
            Self::WriteCategories => Role::Admin,
        }
    }

    /// Whether `role` may do this to anything at all: asked before anything is read, so that the
    /// answer tells nothing of what exists.
    pub(crate) fn open_to(self, role: Option<Role>) -> bool {
        role.is_some_and(|role| role >= self.least())
    }

    /// Whether this may be done to a thing of this relation, by a caller to whom it is open.
    pub(crate) fn on(self, relation: Relation) -> Verdict {
        match (self, relation) {
            (_, Relation::Hidden) => Verdict::Hide,
            (_, Relation::Own)
            | (Self::ReadCategories | Self::ReadTrees | Self::WriteCategories, Relation::Shared) => {
                Verdict::Allow
            }
            // Folders are never shared: another user's would be hidden.
            (Self::ReadFolders | Self::WriteFolders, Relation::Shared) => Verdict::Hide,
            (Self::WriteTrees, Relation::Shared) => Verdict::Deny,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(action: Action, role: Option<Role>, relation: Relation) -> Verdict {
        if action.open_to(role) { action.on(relation) } else { Verdict::Deny }
    }

    /// Own, shared and hidden, for no role, viewer, editor and admin: `+` allowed, `-` denied, `?`
    /// as if it did not exist.
    const TABLE: [(Action, [&str; 4]); 6] = [
        (Action::ReadTrees, ["---", "++?", "++?", "++?"]),
        (Action::WriteTrees, ["---", "---", "+-?", "+-?"]),
        (Action::ReadFolders, ["---", "+??", "+??", "+??"]),
        (Action::WriteFolders, ["---", "---", "+??", "+??"]),
        (Action::ReadCategories, ["---", "++?", "++?", "++?"]),
        (Action::WriteCategories, ["---", "---", "---", "++?"]),
    ];

    #[test]
    fn every_action_by_every_role_on_every_relation() {
        let roles = [None, Some(Role::Viewer), Some(Role::Editor), Some(Role::Admin)];
        let relations = [Relation::Own, Relation::Shared, Relation::Hidden];
        for (action, rows) in TABLE {
            for (role, row) in roles.into_iter().zip(rows) {
                let verdicts: String = relations
                    .into_iter()
                    .map(|relation| match judge(action, role, relation) {
                        Verdict::Allow => '+',
                        Verdict::Deny => '-',
                        Verdict::Hide => '?',
                    })
                    .collect();
                assert_eq!(verdicts, row, "{action:?} by {role:?}");
            }
        }
    }
}
