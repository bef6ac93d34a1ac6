//! Turns: one at a time under each name.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::pace::Subject;

/// One at a time under each name.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<Subject, Arc<Semaphore>>>>);

impl Turns {
    pub(super) async fn turn(&self, name: Subject) -> Turn {
        let semaphore =
            Arc::clone(locked(&self.0).entry(name).or_insert_with(|| Arc::new(Semaphore::new(1))));
        // Made before the wait: who is dropped there leaves nothing behind.
        let mut turn = Turn { turns: self.clone(), name, semaphore, permit: None };
        let permit = Arc::clone(&turn.semaphore).acquire_owned().await;
        turn.permit = Some(permit.expect("the semaphore is never closed"));
        turn
    }
}

/// A place among those who guess under a name, or wait for it.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    name: Subject,
    semaphore: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.permit = None;
        let mut turns = locked(&self.turns.0);
        // The table's and this one: nobody waits, and who comes now waits for the table.
        if Arc::strong_count(&self.semaphore) == 2 {
            turns.remove(&self.name);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_guesses_under_a_name_and_nothing_is_left_of_them() {
        let turns = Turns::default();
        let (name, other) = (Subject::name("a"), Subject::name("b"));
        let first = turns.turn(name).await;
        let _elsewhere = turns.turn(other).await;
        let mut second = Box::pin(turns.turn(name));
        let mut third = Box::pin(turns.turn(name));
        let mut context = Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert!(third.as_mut().poll(&mut context).is_pending());
        drop(second);
        drop(first);
        drop(third.await);
        assert_eq!(locked(&turns.0).len(), 1, "the other name");
    }
}
