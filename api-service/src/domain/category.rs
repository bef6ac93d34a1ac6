//! A category: a place on the organisation's shared shelf.

use token::clock::Timestamp;

use super::{etag::Etag, id::CategoryId, page::Listed, text::Text, violation::Violation};

/// A category as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Category {
    pub(crate) id: CategoryId,
    pub(crate) content: Content,
    pub(crate) etag: Etag,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// What an admin wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) name: String,
    pub(crate) slug: String,
    pub(crate) description: String,
    pub(crate) position: i32,
}

/// A change to some fields, each of which keeps to its rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edit {
    pub(crate) name: Option<String>,
    pub(crate) slug: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) position: Option<i32>,
}

impl Edit {
    pub(crate) fn apply(self, content: Content) -> Content {
        Content {
            name: self.name.unwrap_or(content.name),
            slug: self.slug.unwrap_or(content.slug),
            description: self.description.unwrap_or(content.description),
            position: self.position.unwrap_or(content.position),
        }
    }
}

/// A name, if it may be a category's.
pub(crate) fn name(field: &str, text: String) -> Result<String, Violation> {
    Text::line(100).check(field, text)
}

/// A description, if it may be one.
pub(crate) fn description(field: &str, text: String) -> Result<String, Violation> {
    Text::lines(2_000).check(field, text)
}

/// A slug, if it may be one.
pub(crate) fn slug(field: &str, slug: String) -> Result<String, Violation> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let edges = !slug.starts_with('-') && !slug.ends_with('-');
    if (1..=SLUG_MOST).contains(&slug.len()) && slug.bytes().all(inner) && edges {
        Ok(slug)
    } else {
        Err(Violation::new(field, "must be 1 to 64 of a-z, 0-9 and inner '-'"))
    }
}

/// The slug that a name suggests: its ASCII letters and digits, '-' for what lies between them.
pub(crate) fn slug_of(field: &str, name: &str) -> Result<String, Violation> {
    let mut made = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            made.push(c.to_ascii_lowercase());
        } else if !made.is_empty() && !made.ends_with('-') {
            made.push('-');
        }
    }
    made.truncate(SLUG_MOST);
    let made = made.trim_end_matches('-');
    if made.is_empty() {
        return Err(Violation::new(field, "cannot be made from the name; give one of a-z and 0-9"));
    }
    Ok(made.to_owned())
}

const SLUG_MOST: usize = 64;

impl Listed for Category {
    fn text_bytes(&self) -> usize {
        let content = &self.content;
        content.name.len() + content.slug.len() + content.description.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slugs_are_plain() {
        for good in ["a", "0", "a-b", "a--b", &"x".repeat(64)] {
            assert!(slug("category.slug", good.into()).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "-", "A", "a b", "ä", "a_b", "a\n", &"x".repeat(65)] {
            assert_eq!(slug("category.slug", bad.into()).unwrap_err().field, "category.slug");
        }
        assert_eq!(slug_of("f", "Wi-Fi & VPN (remote)").as_deref(), Ok("wi-fi-vpn-remote"));
        assert!(slug_of("category.slug", "日本語").is_err());
    }

    proptest! {
        #[test]
        fn a_slug_that_is_made_is_a_slug(name in "\\PC{0,200}") {
            if let Ok(made) = slug_of("f", &name) {
                prop_assert!(slug("f", made).is_ok());
            }
        }
    }
}
