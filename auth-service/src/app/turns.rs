//! Turns: one at a time under each name.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::pace::Subject;

/// One at a time under each name, and so many who wait for it.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    lines: Arc<Mutex<HashMap<Subject, Line>>>,
    waiting: usize,
}

/// Those who have a place under one name.
#[derive(Debug)]
struct Line {
    semaphore: Arc<Semaphore>,
    /// Counted under the table's lock, where lines begin and end: whoever leaves last is seen to.
    places: usize,
}

impl Turns {
    pub(super) fn new(waiting: usize) -> Self {
        Self { lines: Arc::default(), waiting }
    }

    /// Waits for a turn; `None`, at once, if as many wait under this name as may.
    pub(super) async fn turn(&self, name: Subject) -> Option<Turn> {
        // Made before the wait: who is dropped there leaves nothing behind.
        let mut turn = Turn { permit: None, place: self.place(name)? };
        let permit = Arc::clone(&turn.place.semaphore).acquire_owned().await;
        turn.permit = Some(permit.expect("the semaphore is never closed"));
        Some(turn)
    }

    fn place(&self, name: Subject) -> Option<Place> {
        let mut lines = self.lines();
        let line = lines
            .entry(name)
            .or_insert_with(|| Line { semaphore: Arc::new(Semaphore::new(1)), places: 0 });
        // One of them has the turn. A new line is never full, so none is left without a place.
        if line.places > self.waiting {
            return None;
        }
        line.places += 1;
        Some(Place { turns: self.clone(), name, semaphore: Arc::clone(&line.semaphore) })
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<Subject, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn of one who guesses under a name.
#[derive(Debug)]
pub(super) struct Turn {
    // Dropped in this order: the next one goes before the place is gone.
    permit: Option<OwnedSemaphorePermit>,
    place: Place,
}

/// A place among those who guess under a name, or wait for it.
#[derive(Debug)]
struct Place {
    turns: Turns,
    name: Subject,
    semaphore: Arc<Semaphore>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.turns.lines();
        if let Entry::Occupied(mut line) = lines.entry(self.name) {
            line.get_mut().places -= 1;
            if line.get().places == 0 {
                line.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_guesses_under_a_name_and_nothing_is_left_of_them() {
        let turns = Turns::new(2);
        let (name, other) = (Subject::name("a"), Subject::name("b"));
        let first = turns.turn(name).await.unwrap();
        let _elsewhere = turns.turn(other).await.unwrap();
        let mut second = Box::pin(turns.turn(name));
        let mut third = Box::pin(turns.turn(name));
        let mut context = Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert!(third.as_mut().poll(&mut context).is_pending());
        // There is no room for a fourth, before one has gone.
        assert!(turns.turn(name).await.is_none());
        drop(second);
        let mut fourth = Box::pin(turns.turn(name));
        assert!(fourth.as_mut().poll(&mut context).is_pending());
        drop(first);
        drop(third.await.unwrap());
        drop(fourth.await.unwrap());
        assert_eq!(turns.lines().len(), 1, "the other name");
    }

    /// Who has left lets go of the semaphore a moment later.
    #[tokio::test]
    async fn nothing_is_left_of_those_who_leave_at_once() {
        let turns = Turns::new(0);
        let turn = turns.turn(Subject::name("a")).await.unwrap();
        let leaving = Arc::clone(&turn.place.semaphore);
        drop(turn);
        assert_eq!(turns.lines().len(), 0);
        drop(leaving);
    }
}
