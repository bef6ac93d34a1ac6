//! Turns: one at a time under each name.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::pace::Subject;

/// One at a time under each name.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<Subject, Line>>>);

/// Those who have a place under one name.
#[derive(Debug)]
struct Line {
    semaphore: Arc<Semaphore>,
    /// Counted under the table's lock, where lines begin and end: whoever leaves last is seen to.
    places: usize,
}

impl Turns {
    pub(super) async fn turn(&self, name: Subject) -> Turn {
        // Made before the wait: who is dropped there leaves nothing behind.
        let mut turn = Turn { place: self.place(name), permit: None };
        let permit = Arc::clone(&turn.place.semaphore).acquire_owned().await;
        turn.permit = Some(permit.expect("the semaphore is never closed"));
        turn
    }

    fn place(&self, name: Subject) -> Place {
        let mut lines = self.lines();
        let line = lines
            .entry(name)
            .or_insert_with(|| Line { semaphore: Arc::new(Semaphore::new(1)), places: 0 });
        line.places += 1;
        Place { turns: self.clone(), name, semaphore: Arc::clone(&line.semaphore) }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<Subject, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert_eq!(turns.lines().len(), 1, "the other name");
    }

    /// Who has left lets go of the semaphore a moment later.
    #[tokio::test]
    async fn nothing_is_left_of_those_who_leave_at_once() {
        let turns = Turns::default();
        let turn = turns.turn(Subject::name("a")).await;
        let leaving = Arc::clone(&turn.place.semaphore);
        drop(turn);
        assert_eq!(turns.lines().len(), 0);
        drop(leaving);
    }
}
