//! What stands in front of several instances: one address, behind which any of them answers.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Gives each connection to the next instance, or to the one after it if that takes none.
#[derive(Debug)]
pub struct Balancer {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Balancer {
    /// One before these instances, on a free port.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub async fn start(instances: Vec<SocketAddr>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let instances: Arc<[SocketAddr]> = instances.into();
        let task = tokio::spawn(async move {
            let turn = Arc::new(AtomicUsize::new(0));
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, Arc::clone(&instances), Arc::clone(&turn)));
            }
        });
        Ok(Self { address, task })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(mut client: TcpStream, instances: Arc<[SocketAddr]>, turn: Arc<AtomicUsize>) {
    for _ in 0..instances.len() {
        let next = turn.fetch_add(1, Ordering::Relaxed) % instances.len();
        if let Ok(mut instance) = TcpStream::connect(instances[next]).await {
            // A connection that fails ends as one that is closed.
            let _ = copy_bidirectional(&mut client, &mut instance).await;
            return;
        }
    }
}
