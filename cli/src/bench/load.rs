//! A closed loop of callers, and the comparison of two such loops round by round.

use std::time::Duration;

use tokio::{task::JoinSet, time::Instant};
use tonic::Status;

use crate::lab::Failure;

/// How one rate compares with another, over rounds that were measured in turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ratio {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
    /// Of the median round.
    pub(super) per_second: f64,
    /// Of the same round.
    pub(super) baseline: f64,
}

/// Measures `subject` and `baseline` in turn, so that a machine whose speed drifts slows both.
///
/// Each is given the number of a caller and makes that caller's call.
pub(super) async fn compare<S, B>(
    callers: usize,
    rounds: usize,
    round: Duration,
    subject: impl Fn(usize) -> S,
    baseline: impl Fn(usize) -> B,
) -> Result<Ratio, Failure>
where
    S: Call,
    B: Call,
{
    // The first round of each warms up connections, caches and branch predictors.
    rate(callers, round / 2, &baseline).await?;
    rate(callers, round / 2, &subject).await?;
    let mut measured = Vec::with_capacity(rounds);
    for _ in 0..rounds.max(1) {
        let baseline = rate(callers, round, &baseline).await?;
        let subject = rate(callers, round, &subject).await?;
        measured.push((subject / baseline, subject, baseline));
    }
    measured.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (median, per_second, baseline) = measured[measured.len() / 2];
    let (min, max) = (measured[0].0, measured[measured.len() - 1].0);
    Ok(Ratio { min, median, max, per_second, baseline })
}

/// A caller's call, made again and again.
pub(super) trait Call: Send + 'static {
    fn call(&mut self) -> impl Future<Output = Result<(), Status>> + Send;
}

/// Calls per second of `callers` callers, each of whom calls again as soon as it is answered.
async fn rate<C: Call>(
    callers: usize,
    length: Duration,
    caller: &impl Fn(usize) -> C,
) -> Result<f64, Failure> {
    let start = Instant::now();
    let end = start + length;
    let mut running = JoinSet::new();
    for number in 0..callers {
        let mut call = caller(number);
        running.spawn(async move {
            let mut done = 0_u32;
            while Instant::now() < end {
                call.call().await?;
                done += 1;
            }
            Ok::<_, Status>(done)
        });
    }
    let mut total = 0.0;
    for done in running.join_all().await {
        total += f64::from(done?);
    }
    Ok(total / start.elapsed().as_secs_f64())
}
