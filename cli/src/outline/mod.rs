//! A tree as text that people edit.
//!
//! ```text
//! ---
//! title: Printer does not print
//! status: published
//! visibility: shared
//! category: hardware
//! folder: /IT/Printers
//! tags: printer, office
//! ---
//!
//! What the description says, in as many lines as it takes.
//!
//! - ? Is the lamp green? {#lamp}
//!   The body of the question, indented by two spaces.
//!   - ! Yes: print a test page {#test}
//!   - = No: switch it on
//! ```
//!
//! `?` is a question, `!` an action, `=` a solution. A node's children are indented by two spaces more
//! than itself, and so is its body, which stands before them. `{#id}` names a node that is there
//! already; a new one needs none. A line of text that begins with `- ` or `\` has a `\` before it, and
//! what cannot stand on a line as it is, such as a line break in a title, is a JSON string.

mod error;
mod parse;
#[cfg(test)]
mod tests;
mod text;
mod write;

use evergreen_proto::api::v1::{TreeNode, TreeStatus, TreeVisibility};

pub(crate) use self::{error::OutlineError, parse::parse, write::write};

/// What a tree's owner may change of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outline {
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) status: TreeStatus,
    pub(crate) visibility: TreeVisibility,
    /// As it is named; empty if there is none.
    pub(crate) category: String,
    /// Likewise.
    pub(crate) folder: String,
    pub(crate) tags: Vec<String>,
    /// Parents before their children, siblings by position.
    pub(crate) nodes: Vec<TreeNode>,
}
