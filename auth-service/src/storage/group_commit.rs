//! Commits what arrives while a commit is under way as one group: one statement and one fsync serve
//! all of it, and nobody is made to wait for company.
//!
//! A group never holds two members of one session, since a set-based update applies only one of
//! two source rows for a target, and which one is not said. The second waits for the next group.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::Arc,
};

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

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
    /// One outcome a member, in the group's order. An error is every member's.
    async fn commit(&self, group: &[Advance]) -> Result<Vec<Outcome>, StoreError>;
}

/// What became of one member of a group that was committed.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// Its row was moved.
    Advanced(Advanced),
    /// Its deadline had passed, and its row was left alone.
    TooLate,
    /// Its row was not as expected, and was left alone.
    Unmoved,
}

type Reply = oneshot::Sender<Result<Option<Advanced>, StoreError>>;

/// Hands advances to a task that commits them in groups.
#[derive(Clone, Debug)]
pub(crate) struct GroupCommit(mpsc::Sender<(Advance, Reply)>);

impl GroupCommit {
    /// Starts the task; it ends when the last handle is dropped.
    pub(crate) fn start(committer: impl CommitGroup, max_group: usize) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(run(committer, receiver, max_group));
        Self(sender)
    }

    /// Commits one advance. Once it is queued it is carried out even if the caller goes away.
    pub(crate) async fn advance(&self, advance: Advance) -> Result<Option<Advanced>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let gone = || StoreError::Unavailable(sqlx::Error::PoolClosed);
        self.0.send((advance, reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

async fn run(
    committer: impl CommitGroup,
    mut queue: mpsc::Receiver<(Advance, Reply)>,
    max_group: usize,
) {
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            match queue.recv().await {
                Some(member) => waiting.push_back(member),
                None => return,
            }
        }
        while waiting.len() < max_group
            && let Ok(member) = queue.try_recv()
        {
            waiting.push_back(member);
        }
        let (group, replies) = next_group(&mut waiting, max_group);
        match committer.commit(&group).await {
            Ok(answers) => {
                for (reply, outcome) in replies.into_iter().zip(answers) {
                    // A caller who went away does not hear; the commit stands.
                    let _ = reply.send(match outcome {
                        Outcome::Advanced(advanced) => Ok(Some(advanced)),
                        Outcome::TooLate => Err(StoreError::TooLate),
                        Outcome::Unmoved => Ok(None),
                    });
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for reply in replies {
                    let _ = reply.send(Err(StoreError::Group(Arc::clone(&error))));
                }
            }
        }
    }
}

/// Takes from `waiting`, in order, all that may go together.
fn next_group(
    waiting: &mut VecDeque<(Advance, Reply)>,
    max_group: usize,
) -> (Vec<Advance>, Vec<Reply>) {
    let mut sessions: HashSet<SessionId> = HashSet::new();
    let mut later = VecDeque::new();
    let (mut group, mut replies) = (Vec::new(), Vec::new());
    for (advance, reply) in waiting.drain(..) {
        if group.len() < max_group && sessions.insert(advance.session) {
            group.push(advance);
            replies.push(reply);
        } else {
            later.push_back((advance, reply));
        }
    }
    *waiting = later;
    (group, replies)
}

/// How many advances may wait for their group; more wait in their callers' tasks.
const QUEUE: usize = 1024;
