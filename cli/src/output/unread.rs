//! Whether anybody still reads.

use std::future;

/// Returns once standard output is a pipe that nobody reads any more; never, if it is something else.
#[cfg(unix)]
pub(crate) async fn unread() {
    use std::os::fd::AsFd as _;

    use tokio::{io::Interest, net::unix::pipe::Sender};

    // Unchecked, since a check would have writes fail where they now wait: nothing is written by it.
    let out = std::io::stdout().as_fd().try_clone_to_owned();
    if let Ok(out) = out.and_then(Sender::from_owned_fd_unchecked)
        && out.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    // A file cannot be waited for, and says at the next line whether it takes it.
    future::pending::<()>().await;
}

/// Cannot be told here before something is written.
#[cfg(not(unix))]
pub(crate) async fn unread() {
    future::pending::<()>().await;
}
