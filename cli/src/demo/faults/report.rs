//! The table, and the same as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    arena::Arena,
    catalogue::{Fault, OTHERS},
    finding::Finding,
};
use crate::{errors::Error, paint};

/// A fault that has been played.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) fault: &'static Fault,
    pub(super) finding: Finding,
    pub(super) took: Duration,
}

impl Verdict {
    /// Three lines: the fault, the claim, the figures.
    pub(super) fn print(&self) -> Result<(), Error> {
        let Self { fault, finding, took } = self;
        let (mark, style) = if finding.holds { ("✓", paint::GOOD) } else { ("✗", paint::BAD) };
        let took = format!("{:.2} s", took.as_secs_f64());
        paint::line(format_args!(
            "\n{} {}",
            paint::styled(style, mark),
            paint::styled(paint::HEADING, fault.title)
        ))?;
        paint::line(format_args!(
            "  {}",
            paint::styled(paint::FAINT, format_args!("claim: {} ({took})", fault.claim))
        ))?;
        let others: String = fault.others.map(column).concat();
        let ours = paint::styled(style.bold(), column(&finding.shown));
        paint::line(format_args!("  {:<LABEL$}{others}{ours}", fault.counted))?;
        if !finding.holds {
            paint::line(format_args!("  {}", paint::styled(paint::BAD, &finding.figures)))?;
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        let Self { fault, finding, took } = self;
        let others: serde_json::Map<_, _> = OTHERS
            .iter()
            .zip(fault.others)
            .map(|(other, shown)| (other.name.to_owned(), shown.into()))
            .collect();
        json!({
            "fault": fault.name, "title": fault.title, "claim": fault.claim,
            "holds": finding.holds, "counted": fault.counted, "evergreen": finding.shown,
            "others": others, "figures": finding.figures, "seconds": took.as_secs_f64(),
        })
    }
}

/// Where it is played, and the names of the columns.
pub(super) fn print_head(arena: &Arena) -> Result<(), Error> {
    let stage = &arena.stage;
    let place = format!(
        "AuthService on {}, ApiService on {} and, refusing everybody, on {}",
        stage.auth.address, stage.api.address, arena.refusing.address
    );
    paint::line(paint::styled(paint::FAINT, place))?;
    let ours = ["Evergreen", "just now"];
    for (line, ours) in ours.into_iter().enumerate() {
        let others: String = OTHERS.iter().map(|other| column(other.heading[line])).collect();
        let heading = format!("  {:<LABEL$}{others}{}", "", column(ours));
        paint::line(paint::styled(paint::HEADING, heading))?;
    }
    Ok(())
}

/// Where the other columns come from.
pub(super) fn print_foot() -> Result<(), Error> {
    paint::line("")?;
    paint::line(paint::styled(paint::FAINT, PROVENANCE))?;
    for other in &OTHERS {
        let name = other.heading.join(" ").replace("- ", "-");
        paint::line(paint::styled(paint::FAINT, format_args!("  {name:<22}{}", other.what)))?;
    }
    Ok(())
}

pub(super) fn to_json(verdicts: &[Verdict]) -> Value {
    let others: serde_json::Map<_, _> =
        OTHERS.iter().map(|other| (other.name.to_owned(), other.what.into())).collect();
    json!({
        "faults": verdicts.iter().map(Verdict::to_json).collect::<Vec<_>>(),
        "others": others,
        "others_measured": PROVENANCE.replace('\n', " "),
    })
}

fn column(text: &str) -> String {
    format!("{text:>COLUMN$}")
}

/// Room for the longest of what is counted.
const LABEL: usize = 18;
const COLUMN: usize = 12;

const PROVENANCE: &str = "The others were measured in November 2026 on a machine with two processors,\n\
    against a small HTTP server that rotates refresh tokens and revokes what is used twice.";

#[cfg(test)]
mod tests {
    use super::{super::catalogue::FAULTS, *};

    #[test]
    fn every_cell_fits_its_column() {
        let cells = FAULTS.iter().flat_map(|fault| fault.others);
        let headings = OTHERS.iter().flat_map(|other| other.heading);
        for cell in cells.chain(headings) {
            assert!(cell.chars().count() < COLUMN, "{cell}");
        }
        for fault in FAULTS {
            assert!(fault.counted.chars().count() <= LABEL, "{}", fault.counted);
        }
    }

    #[test]
    fn the_json_tells_of_each_fault_what_was_counted_with_whom() {
        let finding =
            Finding { shown: "2 / 1".into(), figures: json!({ "refreshes": 2 }), holds: false };
        let verdict = Verdict { fault: &FAULTS[0], finding, took: Duration::from_millis(1_500) };
        let told = to_json(&[verdict]);
        let fault = &told["faults"][0];
        assert_eq!(fault["fault"], "herd");
        assert_eq!(fault["holds"], false);
        assert_eq!(fault["evergreen"], "2 / 1");
        assert_eq!(fault["figures"]["refreshes"], 2);
        assert_eq!(fault["others"]["axios-auth-refresh"], "1 / 999");
        assert_eq!(fault["seconds"], 1.5);
        assert_eq!(told["others"].as_object().map(serde_json::Map::len), Some(OTHERS.len()));
    }
}
