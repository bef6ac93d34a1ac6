//! Hears what our code logs, in the one thread that listens.

use std::{cell::RefCell, io, sync::Once};

use tracing::{Metadata, subscriber::Interest};
use tracing_subscriber::{filter::dynamic_filter_fn, layer::SubscriberExt as _, prelude::*};

thread_local! {
    static HEARD: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Listens from now on.
pub fn open() {
    // One subscriber for all threads: those that come and go would change what the others hear.
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // What is not ours is settled once, and not asked at every call.
        let ours = dynamic_filter_fn(|metadata, _| is_ours(metadata) && is_open())
            .with_callsite_filter(|metadata| match is_ours(metadata) {
                true => Interest::sometimes(),
                false => Interest::never(),
            });
        let log = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Ear);
        let subscriber = tracing_subscriber::registry().with(log.with_filter(ours));
        tracing::subscriber::set_global_default(subscriber).expect("it is the only one");
    });
    HEARD.set(Some(Vec::new()));
}

/// What was heard.
pub fn close() -> Vec<u8> {
    HEARD.take().unwrap_or_default()
}

fn is_open() -> bool {
    HEARD.with_borrow(Option::is_some)
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    let name = metadata.target().split("::").next().unwrap_or_default();
    ["api_service", "auth_service", "client_sdk", "token", "transport"].contains(&name)
}

struct Ear;

impl io::Write for Ear {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        HEARD.with_borrow_mut(|heard| heard.get_or_insert_default().extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
