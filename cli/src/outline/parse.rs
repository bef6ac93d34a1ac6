//! From text to a tree.

use std::collections::HashMap;

use clap::ValueEnum as _;
use evergreen_proto::api::v1::{NodeKind, TreeNode, TreeStatus, TreeVisibility};

use super::{
    Outline, OutlineError,
    text::{read_block_line, read_list, read_value},
};
use crate::trees::content::{Status, Visibility, kind_of};

/// Reads an outline. New nodes are given ids.
///
/// # Errors
///
/// The first line that cannot be understood.
pub(crate) fn parse(text: &str) -> Result<Outline, OutlineError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<_> =
        text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let (mut outline, head) = front_matter(&lines)?;
    let mut reader = Reader::default();
    for (at, line) in lines.iter().enumerate().skip(head) {
        reader.take(at + 1, line)?;
    }
    outline.description = reader.description.text;
    outline.nodes = with_ids(reader.nodes)?;
    Ok(outline)
}

/// What stands between the two lines of dashes, and how many lines that takes.
fn front_matter(lines: &[&str]) -> Result<(Outline, usize), OutlineError> {
    let mut outline = Outline {
        status: TreeStatus::Draft,
        visibility: TreeVisibility::Private,
        ..Outline::default()
    };
    if lines.first().is_none_or(|line| line.trim_end() != DASHES) {
        return Err(OutlineError::new(1, "an outline begins with `---`, `title: …` and `---`"));
    }
    let mut seen: Vec<&str> = Vec::new();
    for (at, line) in lines.iter().enumerate().skip(1) {
        let line = line.trim();
        if line == DASHES {
            if !seen.contains(&"title") || outline.title.is_empty() {
                return Err(OutlineError::new(at + 1, "a tree has a title: add `title: …` above"));
            }
            return Ok((outline, at + 1));
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |mend: String| OutlineError::new(at + 1, mend);
        let Some((name, value)) = line.split_once(':') else {
            return Err(wrong("write `name: value`, or end this part with `---`".to_owned()));
        };
        let (name, value) = (name.trim(), value.trim());
        if seen.contains(&name) {
            return Err(wrong(format!("`{name}` is there twice: remove one")));
        }
        seen.push(name);
        set(&mut outline, name, value).map_err(wrong)?;
    }
    Err(OutlineError::new(lines.len(), "the part with the title has no end: add a line `---`"))
}

fn set(outline: &mut Outline, name: &str, value: &str) -> Result<(), String> {
    match name {
        "title" => outline.title = read_value(value)?,
        "status" => {
            let status = Status::from_str(value, true);
            outline.status =
                status.map_err(|_| one_of("status", "draft, published, archived"))?.into();
        }
        "visibility" => {
            let visibility = Visibility::from_str(value, true);
            outline.visibility =
                visibility.map_err(|_| one_of("visibility", "private, shared"))?.into();
        }
        "category" => outline.category = read_value(value)?,
        "folder" => outline.folder = read_value(value)?,
        "tags" => outline.tags = read_list(value)?,
        _ => {
            return Err(format!(
                "there is no `{name}`: write title, status, visibility, category, folder or tags"
            ));
        }
    }
    Ok(())
}

fn one_of(name: &str, words: &str) -> String {
    format!("`{name}` is one of {words}")
}

/// A node as it was read, and where.
#[derive(Debug)]
struct Found {
    line: usize,
    depth: usize,
    parent: Option<usize>,
    position: i32,
    id: Option<String>,
    kind: NodeKind,
    title: String,
    body: Block,
}

/// Text of several lines, and how many blank ones came last.
#[derive(Debug, Default)]
struct Block {
    begun: bool,
    blank: usize,
    text: String,
}

impl Block {
    fn push(&mut self, line: &str) {
        if self.begun {
            self.text.extend(std::iter::repeat_n('\n', self.blank + 1));
        }
        (self.begun, self.blank) = (true, 0);
        self.text.push_str(line);
    }
}

#[derive(Debug, Default)]
struct Reader {
    description: Block,
    nodes: Vec<Found>,
    /// From the root to the node that was read last.
    path: Vec<usize>,
}

impl Reader {
    fn take(&mut self, at: usize, line: &str) -> Result<(), OutlineError> {
        let wrong = |mend: String| OutlineError::new(at, mend);
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        if content.trim().is_empty() {
            self.block().blank += 1;
            return Ok(());
        }
        if let Some(node) = content.strip_prefix("- ") {
            return self.take_node(at, indent, node.trim_start());
        }
        if content.starts_with('\t') && content.trim_start().starts_with("- ") {
            return Err(wrong("indent by spaces, two for each step".to_owned()));
        }
        let needed = self.nodes.last().map_or(0, |node| 2 * node.depth + 2);
        let Some(text) = line.get(needed..).filter(|_| indent >= needed) else {
            let title = self.nodes.last().map_or("", |node| &node.title);
            return Err(wrong(format!(
                "text stands right below its node and before what is below that: indent it by \
                 {needed} spaces for “{title}”, or move it up"
            )));
        };
        let text = read_block_line(text).map_err(wrong)?;
        self.block().push(&text);
        Ok(())
    }

    fn take_node(&mut self, line: usize, indent: usize, text: &str) -> Result<(), OutlineError> {
        let wrong = |mend: String| Err(OutlineError::new(line, mend));
        let mut letters = text.chars();
        let kind = letters.next().and_then(kind_of);
        let rest = letters.as_str();
        let Some(kind) = kind.filter(|_| rest.is_empty() || rest.starts_with(' ')) else {
            return wrong(
                "a node begins with `- ?` (question), `- !` (action) or `- =` (solution); text that \
                 begins with a dash is written `\\- …`"
                    .to_owned(),
            );
        };
        let deepest = self.path.len();
        if indent % 2 == 1 || indent / 2 > deepest {
            return wrong(format!(
                "indent nodes by two spaces for each step: at most {} here",
                2 * deepest
            ));
        }
        let depth = indent / 2;
        if depth == 0 && !self.nodes.is_empty() {
            return wrong("a tree has one root: indent this node to put it below".to_owned());
        }
        let (title, id) =
            title_and_id(rest.trim()).map_err(|mend| OutlineError::new(line, mend))?;
        if title.is_empty() {
            return wrong("a node has a title: write it after its mark".to_owned());
        }
        self.path.truncate(depth);
        let parent = self.path.last().copied();
        let siblings = self.nodes.iter().filter(|node| node.parent == parent).count();
        self.path.push(self.nodes.len());
        self.nodes.push(Found {
            line,
            depth,
            parent,
            position: i32::try_from(siblings).unwrap_or(i32::MAX),
            id,
            kind,
            title,
            body: Block::default(),
        });
        Ok(())
    }

    /// What a line of text is added to.
    fn block(&mut self) -> &mut Block {
        self.nodes.last_mut().map_or(&mut self.description, |node| &mut node.body)
    }
}

/// Takes `{#id}` off the end of a title.
fn title_and_id(text: &str) -> Result<(String, Option<String>), String> {
    // No id has a space in it, so this is where it begins, whatever it and the title hold.
    let Some((at, inner)) = text.rfind(" {#").zip(text.strip_suffix('}')) else {
        return Ok((read_value(text)?, None));
    };
    let id = &inner[at + 3..];
    if id.is_empty() || id.len() > 64 || !id.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(
            "`{#id}` takes 1 to 64 visible ASCII characters; leave it out for a new node".into()
        );
    }
    Ok((read_value(text[..at].trim_end())?, Some(id.to_owned())))
}

/// Gives ids to the nodes that have none, and parents to all.
fn with_ids(found: Vec<Found>) -> Result<Vec<TreeNode>, OutlineError> {
    let mut taken: HashMap<String, usize> = HashMap::new();
    for node in &found {
        let Some(id) = &node.id else { continue };
        if let Some(first) = taken.insert(id.clone(), node.line) {
            let mend = format!("`{{#{id}}}` is in line {first} already: leave it out here");
            return Err(OutlineError::new(node.line, mend));
        }
    }
    let mut next = 1_usize;
    let mut nodes: Vec<TreeNode> = Vec::with_capacity(found.len());
    for node in found {
        let node_id = node.id.unwrap_or_else(|| {
            while taken.contains_key(&format!("n{next}")) {
                next += 1;
            }
            next += 1;
            format!("n{}", next - 1)
        });
        nodes.push(TreeNode {
            node_id,
            parent_id: node.parent.map_or_else(String::new, |parent| nodes[parent].node_id.clone()),
            kind: node.kind.into(),
            title: node.title,
            body: node.body.text,
            position: node.position,
        });
    }
    Ok(nodes)
}

const DASHES: &str = "---";
