//! One word that any number of tasks wait for.
//!
//! Tokio's `watch` would do, but it wakes its waiters in an order drawn at random, which no simulated
//! run could repeat. These are woken in a fixed one.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use tokio::sync::Semaphore;

/// A word to be said at most once, and those who wait for it.
pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let word = Arc::new(Word { said: OnceLock::new(), open: Semaphore::new(0) });
    (Sender(Arc::clone(&word)), Receiver(word))
}

struct Word<T> {
    said: OnceLock<T>,
    /// Closed when the word has been said, or never will be.
    open: Semaphore,
}

/// Says the word. Dropped without a word, it tells that there will be none.
pub(crate) struct Sender<T>(Arc<Word<T>>);

impl<T> Sender<T> {
    pub(crate) fn send(self, word: T) {
        let _ = self.0.said.set(word);
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.open.close();
    }
}

/// Waits for the word.
pub(crate) struct Receiver<T>(Arc<Word<T>>);

impl<T: Clone> Receiver<T> {
    /// The word; `None` if there will be none.
    pub(crate) async fn wait(&self) -> Option<T> {
        // Nobody adds a permit, so this ends when the semaphore is closed.
        let _ = self.0.open.acquire().await;
        self.0.said.get().cloned()
    }
}

impl<T> Receiver<T> {
    /// Whether the word may still come.
    pub(crate) fn is_pending(&self) -> bool {
        !self.0.open.is_closed()
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("pending", &self.is_pending()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn all_hear_the_word_before_and_after_it_is_said() {
        let (sender, receiver) = channel();
        assert!(receiver.is_pending());
        let waiting = join_all((0..3).map(|_| receiver.wait()));
        let (heard, ()) = futures_util::future::join(waiting, async { sender.send(7) }).await;
        assert_eq!(heard, [Some(7); 3]);
        assert_eq!(receiver.wait().await, Some(7));
        assert!(!receiver.is_pending());
    }

    #[tokio::test]
    async fn a_sender_that_is_gone_keeps_nobody_waiting() {
        let (sender, receiver) = channel::<u8>();
        drop(sender);
        assert_eq!(receiver.wait().await, None);
        assert!(!receiver.is_pending());
    }
}
