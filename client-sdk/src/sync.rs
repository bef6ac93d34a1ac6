//! The primitives on which it depends who goes first.
//!
//! `client-sdk/interleavings` compiles these same sources with the cfg `interleaved`, over
//! primitives whose scheduling a checker decides.

#[cfg(not(interleaved))]
pub(crate) use {
    arc_swap::ArcSwapOption,
    std::sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    tokio::sync::broadcast,
};

#[cfg(interleaved)]
pub(crate) use {
    real_tokio::sync::broadcast,
    shuttle::sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    slot::ArcSwapOption,
};

#[cfg(interleaved)]
mod slot {
    use std::sync::Arc;

    use super::Mutex;

    /// What the checker can see of an atomic pointer: each use of it is a point where another task
    /// may go first.
    pub(crate) struct ArcSwapOption<T>(Mutex<Option<Arc<T>>>);

    impl<T> ArcSwapOption<T> {
        pub(crate) fn empty() -> Self {
            Self(Mutex::new(None))
        }

        pub(crate) fn load_full(&self) -> Option<Arc<T>> {
            self.0.lock().expect("nothing panics while holding it").clone()
        }

        pub(crate) fn store(&self, value: Option<Arc<T>>) {
            *self.0.lock().expect("nothing panics while holding it") = value;
        }
    }
}
