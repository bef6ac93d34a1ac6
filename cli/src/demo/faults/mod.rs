//! `evergreen demo --faults`: what refreshers stumble over, played against real servers.

mod arena;
mod cases;
mod catalogue;
mod finding;
mod report;
mod rivals;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, timeout};

pub(crate) use self::rivals::Rival;
use self::{arena::Arena, catalogue::FAULTS, report::Verdict};
use crate::{lab::Failure, paint};

/// Plays every fault, and shows each as soon as it has been played.
pub(super) async fn run(json: bool) -> Result<(), Failure> {
    let arena = Arena::open(json).await?;
    if !json {
        report::print_head(&arena)?;
    }
    let mut verdicts = Vec::with_capacity(FAULTS.len());
    for fault in FAULTS {
        let spinner = spinner(fault.title, json);
        let start = Instant::now();
        let played = timeout(PATIENCE, cases::play(fault.case, &arena)).await;
        spinner.finish_and_clear();
        let stuck = || format!("\"{}\" has not ended after {PATIENCE:?}", fault.title);
        let finding = played.map_err(|_| stuck())??;
        let verdict = Verdict { fault, finding, took: start.elapsed() };
        if !json {
            verdict.print()?;
        }
        verdicts.push(verdict);
    }
    arena.close().await?;
    match json {
        true => paint::line(report::to_json(&verdicts))?,
        false => report::print_foot()?,
    }
    let broken = verdicts.iter().filter(|verdict| !verdict.finding.holds).count();
    if broken > 0 {
        return Err(format!("{broken} of {} claims did not hold", verdicts.len()).into());
    }
    if !json {
        let all = format!("All {} claims held.", verdicts.len());
        paint::line(format_args!("\n{}", paint::styled(paint::GOOD, all)))?;
    }
    Ok(())
}

/// Says what is being played, on a terminal only.
fn spinner(what: &'static str, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let spinner = ProgressBar::with_draw_target(None, target)
        .with_style(ProgressStyle::default_spinner())
        .with_message(what);
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// A case that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);
