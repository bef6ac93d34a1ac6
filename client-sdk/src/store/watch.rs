//! How a session learns of what another process has saved.

use std::{fmt, future::Future, pin::Pin};

/// A boxed future of [`StoreWatch::changed`].
pub type Changed<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Tells that what a [`Store`](super::Store) holds may have changed.
///
/// A watch remembers what it has told. It is made *before* the store is read, and it takes note of a
/// change *before* [`changed`](Self::changed) completes; so a change that comes between a read and the
/// next wait completes that wait at once, and none is missed however slow the reader is.
///
/// What an implementation promises:
///
/// - after any change since the watch was made, or since `changed` last completed, `changed`
///   completes, soon and not only when asked at the right moment;
/// - a future of `changed` that is dropped has taken note of nothing.
///
/// It may complete without a change, though not again and again: whoever watches reads the store
/// then, and compares.
pub trait StoreWatch: fmt::Debug + Send {
    /// Completes once the store may hold something else.
    fn changed(&mut self) -> Changed<'_>;
}

/// The watch of a store that cannot be watched: it never tells anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct NeverChanges;

impl StoreWatch for NeverChanges {
    fn changed(&mut self) -> Changed<'_> {
        Box::pin(std::future::pending())
    }
}
