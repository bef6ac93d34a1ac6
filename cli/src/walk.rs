//! `evergreen walk`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::Args;
use evergreen_proto::api::v1::{NodeKind, Tree, TreeNode};
use serde_json::json;

use crate::{
    common::{Common, Context},
    errors::Error,
    names,
    output::{clean, json},
    paint,
    trees::content::{drawn_node, in_order},
};

/// Walk through a tree, question by question.
///
/// Answer with a number; b goes back, q quits. Without a terminal the answers are read from standard
/// input, one on each line.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  evergreen walk \"Printer does not print\"
  printf '2\\n1\\n' | evergreen walk \"Printer does not print\" --json")]
pub(crate) struct Walk {
    /// Id, beginning of an id, or title
    tree: String,

    #[command(flatten)]
    pub(crate) common: Common,
}

impl Walk {
    pub(crate) async fn run(self) -> Result<(), Error> {
        let context = self.common.open().await?;
        let tree = names::tree(&context.api()?, &self.tree).await?;
        let nodes: Vec<_> = in_order(&tree.nodes).into_iter().map(|(_, node)| node).collect();
        let Some(root) = nodes.first() else {
            return Err(Error::invalid(format!("“{}” has no nodes to walk through.", tree.title))
                .then(format!("Write some: `evergreen trees edit {}`.", tree.tree_id)));
        };
        let mut walk =
            Walking { nodes: &nodes, path: vec![root], terminal: io::stdin().is_terminal() };
        let outcome = walk.through(&context, &tree)?;
        if context.out.is_json() {
            let path: Vec<_> = walk.path.iter().map(|node| json::node(node)).collect();
            let outcome = outcome.word();
            context
                .out
                .value(&json!({ "treeId": tree.tree_id, "path": path, "outcome": outcome }))?;
        }
        Ok(())
    }
}

struct Walking<'a> {
    nodes: &'a [&'a TreeNode],
    path: Vec<&'a TreeNode>,
    terminal: bool,
}

/// How a walk ends.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// At something that has nothing below it and is no solution.
    End,
    Quit,
    Solution,
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Quit => "quit",
            Self::Solution => "solution",
        }
    }
}

/// What somebody answered.
enum Answer {
    Back,
    Choice(usize),
    Quit,
}

impl<'a> Walking<'a> {
    fn through(&mut self, context: &Context, tree: &Tree) -> Result<Outcome, Error> {
        // Programs are asked nothing; who answers them at a terminal has to see what.
        let say = |text: String| {
            match (context.out.is_json(), self.terminal) {
                (false, _) => return context.out.line(text),
                (true, true) => paint::error(text),
                (true, false) => {}
            }
            Ok(())
        };
        say(paint::styled(paint::HEADING, clean::line(&tree.title)))?;
        while let Some(&here) = self.path.last() {
            let ways: Vec<&'a TreeNode> =
                self.nodes.iter().copied().filter(|node| node.parent_id == here.node_id).collect();
            say(shown(here, &ways))?;
            if ways.is_empty() {
                let solved = here.kind() == NodeKind::Solution;
                return Ok(if solved { Outcome::Solution } else { Outcome::End });
            }
            match self.answer(ways.len())? {
                Answer::Quit => return Ok(Outcome::Quit),
                Answer::Choice(way) => self.path.push(ways[way]),
                Answer::Back if self.path.len() > 1 => {
                    self.path.pop();
                }
                Answer::Back => {}
            }
        }
        Ok(Outcome::End)
    }

    fn answer(&self, ways: usize) -> Result<Answer, Error> {
        loop {
            if self.terminal {
                let mut screen = io::stderr();
                // A prompt that cannot be shown is no reason not to read.
                let _ = write!(screen, "> ").and_then(|()| screen.flush());
            }
            let mut text = String::new();
            let read = io::stdin().lock().read_line(&mut text);
            let read = read.map_err(|e| Error::invalid(format!("cannot read the answer: {e}")))?;
            let mend =
                format!("Answer with a number from 1 to {ways}, b to go back, or q to quit.");
            match text.trim() {
                "" if read == 0 && self.terminal => return Ok(Answer::Quit),
                "" if read == 0 => {
                    return Err(Error::invalid("The answers end before the walk does."));
                }
                "b" => return Ok(Answer::Back),
                "q" => return Ok(Answer::Quit),
                given => match given.parse::<usize>() {
                    Ok(number) if (1..=ways).contains(&number) => {
                        return Ok(Answer::Choice(number - 1));
                    }
                    _ if self.terminal => paint::error(mend),
                    _ => return Err(Error::invalid(format!("“{given}” is no answer.")).then(mend)),
                },
            }
        }
    }
}

/// A node, and the ways that lead on from it.
fn shown(node: &TreeNode, ways: &[&TreeNode]) -> String {
    let mut lines = vec![String::new(), drawn_node(node)];
    for line in clean::lines(&node.body).lines() {
        lines.push(format!("  {}", paint::styled(paint::FAINT, line)));
    }
    for (number, way) in (1..).zip(ways) {
        lines.push(format!("  {number}  {}", clean::line(&way.title)));
    }
    lines.join("\n")
}
