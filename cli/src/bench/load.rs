//! A closed loop of callers, and the comparison of two such loops round by round.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::{task::JoinSet, time::Instant};
use tonic::Status;

use crate::lab::Failure;

/// How a subject compares with a baseline, over rounds that were measured in turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comparison {
    /// Of the calls per second.
    pub(super) rate: Ratio,
    /// Of the calls that a second of processor time made. The same as the rate where nothing else
    /// runs and the processor is what is short; other programs, and waiting for a disk, do not
    /// count.
    pub(super) processor: Ratio,
}

/// How one figure compares with another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ratio {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
    /// The subject's figure in the median round.
    pub(super) subject: f64,
    /// The baseline's of the same round.
    pub(super) baseline: f64,
}

impl Ratio {
    /// Of the rounds of `figures`: the subject's and the baseline's.
    fn over(mut figures: Vec<(f64, f64)>) -> Self {
        let ratio = |(subject, baseline): (f64, f64)| subject / baseline;
        figures.sort_by(|&a, &b| ratio(a).total_cmp(&ratio(b)));
        let at = |n: usize| ratio(figures[n]);
        let middle = figures.len() / 2;
        let (subject, baseline) = figures[middle];
        let (min, median, max) = (at(0), at(middle), at(figures.len() - 1));
        Self { min, median, max, subject, baseline }
    }
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
) -> Result<Comparison, Failure>
where
    S: Call,
    B: Call,
{
    // The first round of each warms up connections, caches and branch predictors.
    rate(callers, round / 2, &baseline).await?;
    rate(callers, round / 2, &subject).await?;
    let (mut rates, mut processor) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        let baseline = rate(callers, round, &baseline).await?;
        let subject = rate(callers, round, &subject).await?;
        rates.push((subject.per_second, baseline.per_second));
        processor.push((subject.per_processor_second, baseline.per_processor_second));
    }
    Ok(Comparison { rate: Ratio::over(rates), processor: Ratio::over(processor) })
}

/// A caller's call, made again and again.
pub(super) trait Call: Send + 'static {
    fn call(&mut self) -> impl Future<Output = Result<(), Status>> + Send;
}

/// How many calls a round made.
struct Rate {
    per_second: f64,
    per_processor_second: f64,
}

/// The calls of `callers` callers, each of whom calls again as soon as it is answered.
async fn rate<C: Call>(
    callers: usize,
    length: Duration,
    caller: &impl Fn(usize) -> C,
) -> Result<Rate, Failure> {
    let (start, worked) = (Instant::now(), processor_time());
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
    let per_second = total / start.elapsed().as_secs_f64();
    let worked = processor_time().saturating_sub(worked);
    Ok(Rate { per_second, per_processor_second: total / worked.as_secs_f64() })
}

/// How long this process has kept processors busy: callers and servers, which share it.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
