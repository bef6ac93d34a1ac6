//! What the demonstration claims, and whether it held.

use std::fmt;

use serde_json::json;

use super::timeline::Timeline;
use crate::{errors::Error, paint};

/// One scene of the story.
#[derive(Debug)]
pub(super) struct Chapter {
    pub(super) title: &'static str,
    /// What is going on, a sentence a line.
    pub(super) scene: Vec<String>,
    pub(super) timeline: Timeline,
    pub(super) claims: Vec<Claim>,
}

/// A sentence that was measured.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) text: String,
    pub(super) holds: bool,
}

impl Claim {
    pub(super) fn new(text: impl Into<String>, holds: bool) -> Self {
        Self { text: text.into(), holds }
    }
}

/// What a burst of calls came to, as the servers and the callers counted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) calls: usize,
    pub(super) refused: usize,
    pub(super) refreshes: usize,
    pub(super) replays: usize,
    pub(super) errors: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |n: usize, one: &str, many: &str| {
            format!("{} {}", grouped(n), if n == 1 { one } else { many })
        };
        write!(
            f,
            "{}, {} refused, {}, {}, {}",
            plural(self.calls, "call", "calls"),
            grouped(self.refused),
            plural(self.refreshes, "refresh", "refreshes"),
            plural(self.replays, "replay", "replays"),
            plural(self.errors, "error", "errors"),
        )
    }
}

/// 1,234 for 1234.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let lead = digits.len() % 3;
    let mut groups: Vec<&str> = Vec::new();
    if lead > 0 {
        groups.push(&digits[..lead]);
    }
    groups.extend((lead..digits.len()).step_by(3).map(|start| &digits[start..start + 3]));
    groups.join(",")
}

impl Chapter {
    pub(super) fn print(&self) -> Result<(), Error> {
        paint::line(format_args!("\n{}", paint::styled(paint::HEADING, self.title)))?;
        for sentence in &self.scene {
            paint::line(format_args!("  {sentence}"))?;
        }
        self.timeline.print()?;
        for Claim { text, holds } in &self.claims {
            let mark = if *holds {
                paint::styled(paint::GOOD, "✓")
            } else {
                paint::styled(paint::BAD, "✗")
            };
            paint::line(format_args!("  {mark} {text}"))?;
        }
        Ok(())
    }
}

pub(super) fn to_json(chapters: &[Chapter]) -> String {
    let chapters: Vec<_> = chapters
        .iter()
        .map(|chapter| {
            let claims: Vec<_> = chapter
                .claims
                .iter()
                .map(|claim| json!({ "claim": claim.text, "holds": claim.holds }))
                .collect();
            json!({ "chapter": chapter.title, "claims": claims })
        })
        .collect();
    json!({ "chapters": chapters }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_reads_as_a_sentence() {
        let tally = Tally { calls: 3, refused: 3, refreshes: 1, replays: 3, errors: 0 };
        assert_eq!(tally.to_string(), "3 calls, 3 refused, 1 refresh, 3 replays, 0 errors");
        let tally = Tally { calls: 1, refused: 1000, refreshes: 2, replays: 1, errors: 1 };
        assert_eq!(tally.to_string(), "1 call, 1,000 refused, 2 refreshes, 1 replay, 1 error");
    }

    #[test]
    fn digits_are_grouped_in_threes() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(n), text);
        }
    }
}
