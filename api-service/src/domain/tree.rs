//! A decision or troubleshooting tree.

use token::clock::Timestamp;

use super::{
    etag::Etag,
    id::{CategoryId, FolderId, TreeId},
    node::Nodes,
    policy::Relation,
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
    pub(crate) etag: Etag,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
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

impl Tree {
    /// How `user_id` stands to it.
    pub(crate) fn relation(&self, user_id: &str) -> Relation {
        match self.content.visibility {
            _ if self.owner_id == user_id => Relation::Own,
            Visibility::Shared => Relation::Shared,
            Visibility::Private => Relation::Hidden,
        }
    }

    /// As `user_id` sees it: the folders of others are not shown.
    pub(crate) fn seen_by(mut self, user_id: &str) -> Self {
        if self.owner_id != user_id {
            self.content.folder_id = None;
        }
        self
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
