//! A bound on what one of many holds.

use std::{
    collections::HashMap,
    fmt::Debug,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How much each of many holds of something that lasts: connections, streams. Who holds nothing is not
/// remembered.
///
/// It is the count of this process alone.
///
/// # Example
///
/// ```
/// use transport::overload::Shares;
///
/// let streams = Shares::default();
/// let first = streams.take("ada", 1);
/// assert!(first.is_some());
/// assert!(streams.take("ada", 1).is_none(), "she has all that she may have");
/// assert!(streams.take("bob", 1).is_some());
/// drop(first);
/// assert!(streams.take("ada", 1).is_some());
/// ```
#[derive(Debug)]
pub struct Shares<K> {
    held: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Clone + Debug + Eq + Hash> Shares<K> {
    /// One more for `holder`, unless they hold `most` already. It is given back when it is dropped.
    #[must_use]
    pub fn take(&self, holder: K, most: usize) -> Option<Share<K>> {
        let mut held = locked(&self.held);
        let theirs = held.get(&holder).copied().unwrap_or_default();
        if theirs >= most {
            return None;
        }
        held.insert(holder.clone(), theirs + 1);
        Some(Share { held: Arc::clone(&self.held), holder })
    }
}

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self { held: Arc::default() }
    }
}

/// What one holds of [`Shares`], for as long as this lives.
#[derive(Debug)]
pub struct Share<K: Debug + Eq + Hash> {
    held: Arc<Mutex<HashMap<K, usize>>>,
    holder: K,
}

impl<K: Debug + Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = locked(&self.held);
        if let Some(theirs) = held.get_mut(&self.holder) {
            *theirs -= 1;
            if *theirs == 0 {
                held.remove(&self.holder);
            }
        }
    }
}

fn locked<K>(held: &Mutex<HashMap<K, usize>>) -> MutexGuard<'_, HashMap<K, usize>> {
    // No panic leaves a count halfway.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_holds_so_many_and_what_is_dropped_is_free() {
        let shares = Shares::default();
        let mut of_one: Vec<_> = (0..5).map_while(|_| shares.take("one", 3)).collect();
        assert_eq!(of_one.len(), 3);
        let of_other: Vec<_> = (0..5).map_while(|_| shares.take("other", 2)).collect();
        assert_eq!(of_other.len(), 2);
        of_one.pop();
        of_one.push(shares.take("one", 3).unwrap());
        assert!(shares.take("one", 3).is_none());
        drop(of_other);
        assert_eq!(*locked(&shares.held), HashMap::from([("one", 3)]));
        drop(of_one);
        assert!(locked(&shares.held).is_empty(), "nobody is remembered");
    }
}
