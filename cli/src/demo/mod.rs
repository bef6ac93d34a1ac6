//! `evergreen demo`: the whole story, against real servers.

mod chapters;
mod claims;
mod faults;
mod stage;
mod timeline;

use std::sync::Arc;

use clap::Args;
use token::clock::SystemClock;

pub(crate) use self::faults::Rival;
use self::{claims::Chapter, stage::Stage};
use crate::{lab::Failure, paint};

/// Tell the whole story in the terminal, against real servers on free ports.
///
/// Every figure is counted at the servers. The exit code is 0 only if each claim held.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Demo {
    /// Play instead what refreshers stumble over, beside what others made of it
    #[arg(long)]
    faults: bool,
    /// Print the claims as JSON, and nothing else
    #[arg(long)]
    json: bool,
}

impl Demo {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        if self.faults {
            return faults::run(self.json).await;
        }
        let clock = Arc::new(SystemClock::new());
        let stage = Stage::set(clock, stage::ACCESS_TOKEN_TTL, self.json).await?;
        if !self.json {
            paint::line(paint::styled(
                paint::FAINT,
                format_args!(
                    "AuthService on {}, ApiService on {}, access tokens that live {}",
                    stage.auth.address,
                    stage.api.address,
                    humantime::format_duration(stage::ACCESS_TOKEN_TTL)
                ),
            ))?;
        }
        let show = |chapter: &Chapter| if self.json { Ok(()) } else { chapter.print() };
        let told = chapters::tell(&stage, show).await?;
        stage.strike().await?;
        if self.json {
            paint::line(claims::to_json(&told))?;
        }
        conclude(&told, self.json)
    }
}

fn conclude(told: &[Chapter], json: bool) -> Result<(), Failure> {
    let claims: Vec<_> = told.iter().flat_map(|chapter| &chapter.claims).collect();
    let broken = claims.iter().filter(|claim| !claim.holds).count();
    if broken > 0 {
        return Err(format!("{broken} of {} claims did not hold", claims.len()).into());
    }
    if !json {
        let all = format!("All {} claims held.", claims.len());
        paint::line(format_args!("\n{}", paint::styled(paint::GOOD, all)))?;
    }
    Ok(())
}
