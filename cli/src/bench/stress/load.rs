//! Calls that come at a pace of their own, and how long they took.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tonic::{Code, Status};

use crate::lab::Failure;

/// How long calls took.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(super) fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        Self(took)
    }

    pub(super) fn median(&self) -> Duration {
        self.at(50)
    }

    pub(super) fn p99(&self) -> Duration {
        self.at(99)
    }

    pub(super) fn max(&self) -> Duration {
        self.at(100)
    }

    fn at(&self, percent: usize) -> Duration {
        let place = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        self.0.get(place).copied().unwrap_or_default()
    }
}

/// What came of calls.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Of those that were answered.
    pub(super) answered: Latencies,
    /// Of those that were told to come back.
    pub(super) refused: Latencies,
    /// How long it all took.
    length: Duration,
}

impl Answers {
    /// The answers of a second.
    pub(super) fn rate(&self) -> f64 {
        self.answered.0.len() as f64 / self.length.as_secs_f64()
    }

    /// The refusals of a second.
    pub(super) fn refusals(&self) -> f64 {
        self.refused.0.len() as f64 / self.length.as_secs_f64()
    }

    fn of(calls: &[(Duration, bool)], length: Duration) -> Self {
        let took = |was_answered| {
            let calls = calls.iter().filter(|(_, answered)| *answered == was_answered);
            Latencies::of(calls.map(|(took, _)| *took).collect())
        };
        Self { answered: took(true), refused: took(false), length }
    }
}

/// A call of a caller.
pub(super) trait Call: Fn(usize) -> Self::Answer + Send + Sync + 'static {
    type Answer: Future<Output = Result<(), Status>> + Send;
}

impl<F, A> Call for F
where
    F: Fn(usize) -> A + Send + Sync + 'static,
    A: Future<Output = Result<(), Status>> + Send,
{
    type Answer = A;
}

/// As many callers as that, each of whom calls again when it is answered.
pub(super) async fn closed<C: Call>(
    callers: usize,
    length: Duration,
    call: &Arc<C>,
) -> Result<Answers, Failure> {
    let start = Instant::now();
    let calling = (0..callers).map(|caller| {
        let call = Arc::clone(call);
        async move {
            let mut calls = Vec::new();
            while start.elapsed() < length {
                calls.push(timed(&*call, caller).await?);
            }
            Ok::<_, Status>(calls)
        }
    });
    let calls = calling.collect::<JoinSet<_>>().join_all().await;
    let length = start.elapsed();
    let calls = calls.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    Ok(Answers::of(&calls, length))
}

/// So many calls a second, whatever becomes of those before: what is answered within `length`, once it
/// has gone on for `lead`.
pub(super) async fn open<C: Call>(
    rate: f64,
    lead: Duration,
    length: Duration,
    call: &Arc<C>,
) -> Result<Answers, Failure> {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (start, mut calling, mut begun) = (Instant::now(), JoinSet::new(), 0_usize);
    let (counts_from, end) = (start + lead, start + lead + length);
    let mut calls = Vec::new();
    let mut count = |(took, answered)| {
        let now = Instant::now();
        if (counts_from..end).contains(&now) {
            calls.push((took, answered));
        }
    };
    let mut over = pin!(sleep_until(end));
    loop {
        tokio::select! {
            () = &mut over => break,
            Some(ended) = calling.join_next() => count(ended??),
            _ = ticks.tick() => {
                let due = start.elapsed().as_secs_f64() * rate;
                while (begun as f64) < due {
                    let (call, caller) = (Arc::clone(call), begun);
                    calling.spawn(async move { timed(&*call, caller).await });
                    begun += 1;
                }
            }
        }
    }
    // They are waited for, since a caller who went away may have been answered.
    for ended in calling.join_all().await {
        ended?;
    }
    Ok(Answers::of(&calls, length))
}

/// How long a call took, and whether it was answered, or told to come back.
async fn timed<C: Call>(call: &C, caller: usize) -> Result<(Duration, bool), Status> {
    let start = Instant::now();
    match call(caller).await {
        Ok(()) => Ok((start.elapsed(), true)),
        Err(status) if status.code() == Code::ResourceExhausted => Ok((start.elapsed(), false)),
        Err(status) => Err(status),
    }
}

/// The median of what some rounds have shown: one in which others had the machine moves it little.
pub(super) fn median<T>(rounds: &[T], of: impl Fn(&T) -> f64) -> f64 {
    let mut shown: Vec<f64> = rounds.iter().map(of).collect();
    shown.sort_unstable_by(f64::total_cmp);
    shown.get(shown.len() / 2).copied().unwrap_or(f64::NAN)
}

const TICK: Duration = Duration::from_millis(1);
