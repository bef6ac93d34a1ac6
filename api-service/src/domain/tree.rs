//! A decision or troubleshooting tree.

use std::time::Duration;

use token::clock::Timestamp;

use super::{
    etag::Etag,
    id::{CategoryId, FolderId, TreeId},
    node::Nodes,
    page::Listed,
    policy::Relation,
    revision::Revision,
    text::Text,
    violation::Violation,
};

/// How far a tree has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Status {
    Archived,
    #[default]
    Draft,
    Published,
}

/// Who may read a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Visibility {
    #[default]
    Private,
    Shared,
}

/// What its owner wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) category_id: Option<CategoryId>,
    pub(crate) folder_id: Option<FolderId>,
    pub(crate) status: Status,
    pub(crate) visibility: Visibility,
    pub(crate) tags: Vec<String>,
    pub(crate) nodes: Nodes,
}

/// A tree as it is stored; in lists, without its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) id: TreeId,
    pub(crate) owner_id: String,
    pub(crate) content: Content,
    /// How often title, description, tags or nodes were written; counts from 1.
    pub(crate) revision: i64,
    /// How many nodes it has, in lists too.
    pub(crate) node_count: i32,
    pub(crate) etag: Etag,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// `None` while it is not deleted.
    pub(crate) deletion: Option<Deletion>,
}

/// Since when a tree is deleted, and for how long it can be brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deletion {
    pub(crate) deleted_at: Timestamp,
    /// From then on it counts as gone, whether or not it is still stored.
    pub(crate) purge_at: Timestamp,
}

/// Why a tree cannot be changed like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misstate {
    Deleted,
    NotDeleted,
}

/// A change to some fields, each of which keeps to its rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edit {
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) category_id: Option<Option<CategoryId>>,
    pub(crate) folder_id: Option<Option<FolderId>>,
    pub(crate) status: Option<Status>,
    pub(crate) visibility: Option<Visibility>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) nodes: Option<Nodes>,
}

impl Deletion {
    pub(crate) fn new(now: Timestamp, retention: Duration) -> Self {
        Self { deleted_at: now, purge_at: now + retention }
    }
}

impl Tree {
    pub(crate) fn new(
        id: TreeId,
        owner_id: String,
        content: Content,
        etag: Etag,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            owner_id,
            revision: 1,
            node_count: content.nodes.count(),
            content,
            etag,
            created_at: now,
            updated_at: now,
            deletion: None,
        }
    }

    /// With some fields changed: a new revision, if it reads differently now.
    pub(crate) fn edited(self, edit: Edit, etag: Etag, now: Timestamp) -> Result<Self, Misstate> {
        self.check_alive()?;
        let before = self.content.clone();
        let content = edit.apply(self.content);
        let reads_the_same = content.title == before.title
            && content.description == before.description
            && content.tags == before.tags
            && content.nodes == before.nodes;
        Ok(Self {
            revision: if reads_the_same { self.revision } else { self.revision + 1 },
            node_count: content.nodes.count(),
            content,
            etag,
            updated_at: now.max(self.updated_at),
            ..self
        })
    }

    /// Reading as it once did: a new revision, even if that is how it reads already.
    pub(crate) fn rolled_back(
        self,
        to: Revision,
        etag: Etag,
        now: Timestamp,
    ) -> Result<Self, Misstate> {
        self.check_alive()?;
        Ok(Self {
            revision: self.revision + 1,
            node_count: to.node_count,
            content: Content {
                title: to.title,
                description: to.description,
                tags: to.tags,
                nodes: to.nodes,
                ..self.content
            },
            etag,
            updated_at: now.max(self.updated_at),
            ..self
        })
    }

    /// Deleted, and so in no folder.
    pub(crate) fn deleted(self, deletion: Deletion, etag: Etag) -> Result<Self, Misstate> {
        self.check_alive()?;
        Ok(Self {
            content: Content { folder_id: None, ..self.content },
            etag,
            updated_at: deletion.deleted_at.max(self.updated_at),
            deletion: Some(deletion),
            ..self
        })
    }

    /// Brought back.
    pub(crate) fn undeleted(self, etag: Etag, now: Timestamp) -> Result<Self, Misstate> {
        if self.deletion.is_none() {
            return Err(Misstate::NotDeleted);
        }
        Ok(Self { etag, updated_at: now.max(self.updated_at), deletion: None, ..self })
    }

    fn check_alive(&self) -> Result<(), Misstate> {
        if self.deletion.is_some() { Err(Misstate::Deleted) } else { Ok(()) }
    }

    /// How `user_id` stands to it.
    pub(crate) fn relation(&self, user_id: &str, now: Timestamp) -> Relation {
        if self.deletion.is_some_and(|deletion| deletion.purge_at <= now) {
            return Relation::Hidden;
        }
        match self.content.visibility {
            _ if self.owner_id == user_id => Relation::Own,
            Visibility::Shared if self.deletion.is_none() => Relation::Shared,
            Visibility::Shared | Visibility::Private => Relation::Hidden,
        }
    }

    /// As `user_id` sees it: the folders of others are not shown.
    pub(crate) fn seen_by(mut self, user_id: &str) -> Self {
        if self.owner_id != user_id {
            self.content.folder_id = None;
        }
        self
    }

    /// As it is listed.
    pub(crate) fn without_nodes(mut self) -> Self {
        self.content.nodes = Nodes::default();
        self
    }
}

impl Content {
    /// How much text there may be in a tree: twice this is the largest message.
    const MOST_BYTES: usize = 8 * 1024 * 1024;

    /// Whether it can be sent as one message; `field` is where its nodes stand in the request, which
    /// are what makes it large.
    pub(crate) fn check_size(&self, field: &str) -> Result<(), Violation> {
        if self.head_bytes() + self.nodes.bytes() > Self::MOST_BYTES {
            let mend = "must be shorter: a tree holds at most 8 MiB of text";
            return Err(Violation::new(field, mend));
        }
        Ok(())
    }

    /// How long title, description and tags are.
    fn head_bytes(&self) -> usize {
        let tags: usize = self.tags.iter().map(String::len).sum();
        self.title.len() + self.description.len() + tags
    }
}

impl Listed for Tree {
    fn text_bytes(&self) -> usize {
        self.content.head_bytes()
    }
}

impl Edit {
    pub(crate) fn apply(self, content: Content) -> Content {
        Content {
            title: self.title.unwrap_or(content.title),
            description: self.description.unwrap_or(content.description),
            category_id: self.category_id.unwrap_or(content.category_id),
            folder_id: self.folder_id.unwrap_or(content.folder_id),
            status: self.status.unwrap_or(content.status),
            visibility: self.visibility.unwrap_or(content.visibility),
            tags: self.tags.unwrap_or(content.tags),
            nodes: self.nodes.unwrap_or(content.nodes),
        }
    }
}

/// A title, if it may be one.
pub(crate) fn title(field: &str, text: String) -> Result<String, Violation> {
    Text::line(200).check(field, text)
}

/// A description, if it may be one.
pub(crate) fn description(field: &str, text: String) -> Result<String, Violation> {
    Text::lines(10_000).check(field, text)
}

/// Tags, if they may be a tree's.
pub(crate) fn tags(field: &str, tags: Vec<String>) -> Result<Vec<String>, Violation> {
    const MOST: usize = 20;
    if tags.len() > MOST {
        return Err(Violation::new(field, format!("must hold at most {MOST} tags")));
    }
    let mut kept: Vec<String> = Vec::with_capacity(tags.len());
    for (i, tag) in tags.into_iter().enumerate() {
        let field = format!("{field}[{i}]");
        let tag = Text::line(50).check(&field, tag)?;
        if kept.contains(&tag) {
            return Err(Violation::new(field, "must not repeat an earlier tag"));
        }
        kept.push(tag);
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);

    fn a_tree() -> Tree {
        let content = Content { title: "t".into(), ..Content::default() };
        let id = TreeId(uuid::Uuid::from_u128(1));
        Tree::new(id, "ada".into(), content, Etag("1".into()), NOW)
    }

    fn etag() -> Etag {
        Etag("2".into())
    }

    fn deletion() -> Deletion {
        Deletion::new(NOW, Duration::from_secs(60))
    }

    #[test]
    fn what_reads_differently_is_a_new_revision_and_nothing_else_is() {
        let folder = FolderId(uuid::Uuid::from_u128(1));
        let category = CategoryId(uuid::Uuid::from_u128(1));
        let none = Edit::default;
        for (edit, revision) in [
            (none(), 1),
            (Edit { title: Some("t".into()), ..none() }, 1),
            (Edit { folder_id: Some(Some(folder)), ..none() }, 1),
            (Edit { category_id: Some(Some(category)), ..none() }, 1),
            (Edit { status: Some(Status::Published), ..none() }, 1),
            (Edit { visibility: Some(Visibility::Shared), ..none() }, 1),
            (Edit { title: Some("u".into()), ..none() }, 2),
            (Edit { description: Some("d".into()), ..none() }, 2),
            (Edit { tags: Some(vec!["x".into()]), ..none() }, 2),
        ] {
            let shown = format!("{edit:?}");
            let tree = a_tree().edited(edit, etag(), NOW).unwrap();
            assert_eq!((tree.revision, tree.etag), (revision, etag()), "{shown}");
        }
        let rolled_back = a_tree().rolled_back(Revision::of(&a_tree()), etag(), NOW).unwrap();
        assert_eq!(rolled_back.revision, 2);
    }

    #[test]
    fn a_deleted_tree_can_only_be_brought_back() {
        let deleted = || a_tree().deleted(deletion(), etag()).unwrap();
        let revision = Revision::of(&a_tree());
        for refused in [
            deleted().edited(Edit::default(), etag(), NOW),
            deleted().rolled_back(revision, etag(), NOW),
            deleted().deleted(deletion(), etag()),
        ] {
            assert_eq!(refused, Err(Misstate::Deleted));
        }
        let back = deleted().undeleted(etag(), NOW).unwrap();
        assert_eq!(back, Tree { etag: etag(), ..a_tree() });
        assert_eq!(back.undeleted(etag(), NOW), Err(Misstate::NotDeleted));
    }

    #[test]
    fn a_deleted_tree_is_its_owners_until_its_purge() {
        let mut tree = a_tree();
        tree.content.visibility = Visibility::Shared;
        assert_eq!(tree.relation("eve", NOW), Relation::Shared);
        let tree = tree.deleted(deletion(), etag()).unwrap();
        let due = deletion().purge_at;
        let before = Timestamp::from_unix_millis(due.unix_millis() - 1);
        assert_eq!(tree.relation("eve", before), Relation::Hidden);
        assert_eq!(tree.relation("ada", before), Relation::Own);
        assert_eq!(tree.relation("ada", due), Relation::Hidden);
    }

    #[test]
    fn time_that_steps_back_takes_no_update_with_it() {
        let past = Timestamp::from_unix_seconds(500);
        let tree = a_tree().edited(Edit::default(), etag(), past).unwrap();
        let tree = tree.deleted(Deletion::new(past, Duration::from_secs(1)), etag()).unwrap();
        assert_eq!(tree.updated_at, NOW);
        assert_eq!(tree.undeleted(etag(), past).unwrap().updated_at, NOW);
    }

    #[test]
    fn tags_are_few_short_and_different() {
        let tags = |list: &[&str]| tags("tree.tags", list.iter().map(|&t| t.into()).collect());
        assert!(tags(&[]).is_ok());
        assert!(tags(&["vpn", "VPN", "wifi"]).is_ok());
        for (bad, field) in [
            (&["a", ""][..], "tree.tags[1]"),
            (&["a", "b", "a"], "tree.tags[2]"),
            (&["a\n"], "tree.tags[0]"),
            (&[&*"x".repeat(51)], "tree.tags[0]"),
        ] {
            assert_eq!(tags(bad).unwrap_err().field, field);
        }
        let many: Vec<_> = (0..21).map(|i| i.to_string()).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(tags(&many[..20]).is_ok());
        assert_eq!(tags(&many).unwrap_err().field, "tree.tags");
    }
}
