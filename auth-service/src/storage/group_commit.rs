//! Commits what arrives while a commit is under way as one group: one statement and one fsync serve
//! all of it, and nobody is made to wait for company.
//!
//! A group never holds two members of one session, since a set-based update applies only one of
//! two source rows for a target, and which one is not said. The same attempt joins the member that
//! is there; anything else waits until that session's commit is done. Where several groups are in
//! flight at a time, they share no session either.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt, slice,
    sync::Arc,
};

use async_trait::async_trait;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};
use transport::metrics::{Histogram, Metrics, histogram};

use crate::{
    domain::id::SessionId,
    storage::{
        error::StoreError,
        store::{Advance, Advanced},
    },
};

/// Commits a group of advances, each of another session, in one transaction.
#[async_trait]
pub(crate) trait CommitGroup: fmt::Debug + Send + Sync + 'static {
    /// One outcome a member, in the group's order. An error is every member's, and nothing of the
    /// group has been done, or it is not known whether it has.
    async fn commit(&self, group: &[Advance]) -> Result<Vec<Outcome>, StoreError>;
}

/// What became of one member of a group that was committed.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Its row was moved.
    Advanced(Advanced),
    /// Its row was moved, but what it says of its user cannot be.
    Inconsistent(StoreError),
    /// Its deadline had passed, and its row was left alone.
    TooLate,
    /// Its row was not as expected, and was left alone.
    Unmoved,
}

/// How much is committed at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Members of one group; 1 for an engine that shards by session.
    pub(crate) members: usize,
    /// Groups under way at a time.
    pub(crate) groups: usize,
}

type Reply = oneshot::Sender<Result<Option<Advanced>, StoreError>>;

/// Hands advances to a task that commits them in groups.
#[derive(Clone, Debug)]
pub(crate) struct GroupCommit {
    queue: mpsc::Sender<(Advance, Reply)>,
    meters: Meters,
}

/// What is measured of groups.
#[derive(Clone, Debug)]
struct Meters {
    size: Histogram,
    duration: Histogram,
}

impl GroupCommit {
    /// Starts the task; it ends when the last handle is dropped and all is committed.
    pub(crate) fn start(committer: impl CommitGroup, limits: Limits) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE);
        let meters = Meters::new();
        tokio::spawn(run(Arc::new(committer), receiver, limits, meters.clone()));
        Self { queue, meters }
    }

    /// Tells how large groups are, how long their commits take, and how many advances wait.
    pub(crate) fn measure(&self, metrics: &Metrics) {
        metrics.register(&self.meters.size);
        metrics.register(&self.meters.duration);
        // Not the queue itself, whose end it would put off.
        let queue = self.queue.downgrade();
        let help = "Advances of sessions that wait to be taken into a group";
        metrics.reading("commit_queue", help, &[], move || {
            let waiting = |queue: mpsc::Sender<_>| queue.max_capacity() - queue.capacity();
            queue.upgrade().map_or(0, waiting) as f64
        });
    }

    /// Commits one advance. Once it is queued it is carried out even if the caller goes away.
    pub(crate) async fn advance(&self, advance: Advance) -> Result<Option<Advanced>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let gone = || StoreError::Unavailable(sqlx::Error::PoolClosed);
        self.queue.send((advance, reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

async fn run<C: CommitGroup>(
    committer: Arc<C>,
    mut queue: mpsc::Receiver<(Advance, Reply)>,
    limits: Limits,
    meters: Meters,
) {
    let mut waiting = VecDeque::new();
    let mut commits = JoinSet::new();
    let mut busy = HashSet::new();
    let mut open = true;
    loop {
        while waiting.len() < QUEUE
            && let Ok(member) = queue.try_recv()
        {
            waiting.push_back(member);
        }
        while commits.len() < limits.groups
            && let Some(group) = Group::next(&mut waiting, &busy, limits.members)
        {
            busy.extend(group.advances.iter().map(|advance| advance.session));
            let (committer, duration) = (Arc::clone(&committer), meters.duration.clone());
            meters.size.observe(group.advances.len() as f64);
            commits.spawn(async move {
                let began = Instant::now();
                let sessions = group.commit(&*committer).await;
                duration.observe(began.elapsed().as_secs_f64());
                sessions
            });
        }
        tokio::select! {
            biased;
            Some(done) = commits.join_next() => match done {
                Ok(sessions) => sessions.iter().for_each(|session| {
                    busy.remove(session);
                }),
                // A commit that panicked has answered nobody, so its sessions may not be held up;
                // to wait for the others first keeps two commits of one session apart.
                Err(_) => {
                    while commits.join_next().await.is_some() {}
                    busy.clear();
                }
            },
            // While no group can be committed, what arrives wakes nobody and waits in the queue.
            member = queue.recv(),
                if open && commits.len() < limits.groups && waiting.len() < QUEUE =>
            {
                match member {
                    Some(member) => waiting.push_back(member),
                    None => open = false,
                }
            }
            else => return,
        }
    }
}

impl Meters {
    fn new() -> Self {
        let size = "Sessions that one group commit moves";
        let duration = "How long the commit of a group takes";
        Self {
            size: histogram("commit_group_size", size, &[], &SIZES),
            duration: histogram("commit_duration_seconds", duration, &[], &DURATIONS),
        }
    }
}

/// Advances of different sessions, and who waits for each.
#[derive(Debug, Default)]
struct Group {
    advances: Vec<Advance>,
    replies: Vec<Vec<Reply>>,
}

impl Group {
    /// Takes from `waiting`, in order, all that may go together. `None` if nothing may.
    fn next(
        waiting: &mut VecDeque<(Advance, Reply)>,
        busy: &HashSet<SessionId>,
        members: usize,
    ) -> Option<Self> {
        let mut group = Self::default();
        let mut places: HashMap<SessionId, usize> = HashMap::new();
        let mut later = VecDeque::new();
        for (advance, reply) in waiting.drain(..) {
            match places.get(&advance.session) {
                Some(&place) if group.advances[place].is_same_attempt(&advance) => {
                    // Whichever of them still has time is entitled to the rotation.
                    let member = &mut group.advances[place];
                    member.deadline = member.deadline.max(advance.deadline);
                    group.replies[place].push(reply);
                }
                None if group.advances.len() < members && !busy.contains(&advance.session) => {
                    places.insert(advance.session, group.advances.len());
                    group.advances.push(advance);
                    group.replies.push(vec![reply]);
                }
                _ => later.push_back((advance, reply)),
            }
        }
        *waiting = later;
        (!group.advances.is_empty()).then_some(group)
    }

    /// Commits, answers everybody who waits, and gives back the sessions.
    async fn commit(self, committer: &impl CommitGroup) -> Vec<SessionId> {
        let Self { advances, replies } = self;
        match committer.commit(&advances).await {
            Ok(outcomes) => {
                for (replies, outcome) in replies.into_iter().zip(outcomes) {
                    answer(replies, outcome.into_result());
                }
            }
            // One member's values were refused, and the others' with them: each by itself, then.
            Err(StoreError::Refused(_)) if advances.len() > 1 => {
                for (advance, replies) in advances.iter().zip(replies) {
                    let outcome = committer.commit(slice::from_ref(advance)).await;
                    let outcome = outcome.and_then(|mut outcomes| {
                        outcomes.pop().map_or(Ok(None), Outcome::into_result)
                    });
                    answer(replies, outcome);
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for replies in replies {
                    answer(replies, Err(StoreError::Group(Arc::clone(&error))));
                }
            }
        }
        advances.into_iter().map(|advance| advance.session).collect()
    }
}

impl Outcome {
    fn into_result(self) -> Result<Option<Advanced>, StoreError> {
        match self {
            Self::Advanced(advanced) => Ok(Some(advanced)),
            Self::Inconsistent(error) => Err(error),
            Self::TooLate => Err(StoreError::TooLate),
            Self::Unmoved => Ok(None),
        }
    }
}

/// A caller who went away does not hear; the commit stands.
fn answer(replies: Vec<Reply>, result: Result<Option<Advanced>, StoreError>) {
    let result = result.map_err(Arc::new);
    for reply in replies {
        let _ = reply.send(match &result {
            Ok(advanced) => Ok(advanced.clone()),
            Err(error) => Err(match **error {
                StoreError::TooLate => StoreError::TooLate,
                _ => StoreError::Group(Arc::clone(error)),
            }),
        });
    }
}

/// How many advances may wait for their group; more wait in their callers' tasks.
const QUEUE: usize = 1024;
const SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// From a disk that keeps what it is given in memory to the longest wait for a lock.
const DURATIONS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use token::{Nonce, clock::Timestamp};
    use tokio::sync::Semaphore;
    use transport::deadline::Deadline;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        rotation::{Head, Successor},
        user::Grants,
    };

    const START: Timestamp = Timestamp::from_unix_seconds(1_000_000);
    /// A session whose values a database would refuse.
    const POISON: u128 = 666;

    /// Commits one group for each permit, and remembers it.
    #[derive(Clone, Debug)]
    struct Gated {
        permits: Arc<Semaphore>,
        groups: Arc<Mutex<Vec<Vec<u128>>>>,
        under_way: Arc<Mutex<Vec<u128>>>,
    }

    impl Gated {
        fn start(limits: Limits) -> (Self, GroupCommit) {
            let gated = Self {
                permits: Arc::new(Semaphore::new(0)),
                groups: Arc::default(),
                under_way: Arc::default(),
            };
            (gated.clone(), GroupCommit::start(gated, limits))
        }

        fn groups(&self) -> Vec<Vec<u128>> {
            self.groups.lock().unwrap().clone()
        }
    }

    #[async_trait]
    impl CommitGroup for Gated {
        async fn commit(&self, group: &[Advance]) -> Result<Vec<Outcome>, StoreError> {
            let ids: Vec<_> = group.iter().map(|advance| advance.session.0.as_u128()).collect();
            {
                let mut under_way = self.under_way.lock().unwrap();
                assert!(ids.iter().all(|id| !under_way.contains(id)), "one session, two groups");
                under_way.extend(&ids);
            }
            self.permits.acquire().await.unwrap().forget();
            self.under_way.lock().unwrap().retain(|id| !ids.contains(id));
            let poisoned = ids.contains(&POISON);
            self.groups.lock().unwrap().push(ids);
            if poisoned {
                return Err(StoreError::Refused(sqlx::Error::RowNotFound));
            }
            let advanced = |advance: &Advance| Advanced {
                grants: Grants::default(),
                rotated_at: START,
                idle_until: START,
                now: advance.deadline.0,
            };
            Ok(group.iter().map(|advance| Outcome::Advanced(advanced(advance))).collect())
        }
    }

    /// The attempt `key` on the first token of a session.
    fn advance(session: u128, key: u8, keyed: bool) -> Advance {
        Advance {
            session: SessionId(Uuid::from_u128(session)),
            expected: Head::new(0, Nonce::from_bytes([0; 16])),
            adoption: None,
            to: Successor::for_test(1, Nonce::from_bytes([key; 16]), keyed),
            idle_floor: START,
            idle_life: std::time::Duration::ZERO,
            deadline: Deadline(START),
        }
    }

    type Waiting = tokio::task::JoinHandle<Result<Option<Advanced>, StoreError>>;

    /// Sends an advance, and returns when it is in the queue.
    async fn send(commits: &GroupCommit, advance: Advance) -> Waiting {
        let commits = commits.clone();
        let waiting = tokio::spawn(async move { commits.advance(advance).await });
        // One thread runs these tests: by then it has sent, and the task has taken it.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        waiting
    }

    /// Fault 57: one key twice, two keys, and no key, of one session.
    #[tokio::test]
    async fn what_arrives_during_a_commit_forms_the_next_group_and_the_same_attempt_joins() {
        let (gated, commits) = Gated::start(Limits { members: 64, groups: 1 });
        let first = send(&commits, advance(1, 1, true)).await;
        let mut rest = Vec::new();
        for (session, key, keyed) in [
            (2, 1, true),
            (2, 1, true),  // the same attempt
            (2, 2, true),  // a rival
            (3, 1, false), // without a key
            (3, 1, false), // never the same
            (1, 2, true),
        ] {
            rest.push(send(&commits, advance(session, key, keyed)).await);
        }
        gated.permits.add_permits(3);
        assert!(first.await.unwrap().unwrap().is_some());
        for waiting in rest {
            assert!(waiting.await.unwrap().unwrap().is_some());
        }
        assert_eq!(gated.groups(), [vec![1], vec![2, 3, 1], vec![2, 3]]);
    }

    #[tokio::test]
    async fn a_twin_with_time_left_is_not_held_to_its_twins_deadline() {
        let (gated, commits) = Gated::start(Limits { members: 64, groups: 1 });
        let first = send(&commits, advance(1, 1, true)).await;
        let later = Deadline(START + std::time::Duration::from_secs(9));
        let early = send(&commits, advance(2, 1, true)).await;
        let late = send(&commits, Advance { deadline: later, ..advance(2, 1, true) }).await;
        gated.permits.add_permits(2);
        first.await.unwrap().unwrap();
        for twin in [early, late] {
            assert_eq!(twin.await.unwrap().unwrap().unwrap().now, later.0);
        }
    }

    #[tokio::test]
    async fn groups_in_flight_share_no_session() {
        let (gated, commits) = Gated::start(Limits { members: 64, groups: 2 });
        let mut waiting = Vec::new();
        for (session, key) in [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)] {
            waiting.push(send(&commits, advance(session, key, true)).await);
        }
        assert_eq!(*gated.under_way.lock().unwrap(), [1, 2], "two are under way");
        gated.permits.add_permits(10);
        for waiting in waiting {
            assert!(waiting.await.unwrap().unwrap().is_some());
        }
        assert_eq!(gated.groups().concat().len(), 5);
    }

    #[tokio::test]
    async fn a_caller_who_goes_away_cancels_nothing() {
        let (gated, commits) = Gated::start(Limits { members: 64, groups: 1 });
        send(&commits, advance(1, 1, true)).await.abort();
        send(&commits, advance(2, 1, true)).await.abort();
        gated.permits.add_permits(9);
        assert!(commits.advance(advance(3, 1, true)).await.unwrap().is_some());
        assert_eq!(gated.groups().concat(), [1, 2, 3]);
    }

    #[tokio::test]
    async fn what_the_database_refuses_of_one_fails_none_of_its_neighbours() {
        let (gated, commits) = Gated::start(Limits { members: 64, groups: 1 });
        let first = send(&commits, advance(1, 1, true)).await;
        let neighbour = send(&commits, advance(2, 1, true)).await;
        let poison = send(&commits, advance(POISON, 1, true)).await;
        let other = send(&commits, advance(3, 1, true)).await;
        gated.permits.add_permits(5);
        for waiting in [first, neighbour, other] {
            assert!(waiting.await.unwrap().unwrap().is_some());
        }
        let refused = poison.await.unwrap().unwrap_err();
        assert!(
            matches!(&refused, StoreError::Group(error) if matches!(**error, StoreError::Refused(_))),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn no_group_is_larger_than_its_limit() {
        let (gated, commits) = Gated::start(Limits { members: 1, groups: 1 });
        let mut waiting = Vec::new();
        for session in 1..=3 {
            waiting.push(send(&commits, advance(session, 1, true)).await);
        }
        gated.permits.add_permits(3);
        for waiting in waiting {
            assert!(waiting.await.unwrap().unwrap().is_some());
        }
        assert_eq!(gated.groups(), [[1], [2], [3]]);
    }
}
