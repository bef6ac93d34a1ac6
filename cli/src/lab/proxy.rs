//! A TCP proxy that can lose answers.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncWriteExt as _, copy, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Forwards connections to a server. While it loses answers, requests still arrive there, but
/// nothing comes back until the connections are cut.
#[derive(Debug)]
pub struct LossyProxy {
    /// Where it listens.
    pub address: SocketAddr,
    losing: Arc<AtomicBool>,
    cut: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl LossyProxy {
    /// A proxy before `server`, on a free port.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let losing = Arc::new(AtomicBool::new(false));
        let cut = watch::Sender::new(0);
        let task = tokio::spawn({
            let (losing, cut) = (Arc::clone(&losing), cut.clone());
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let losing = losing.load(Ordering::SeqCst);
                    tokio::spawn(forward(client, server, losing, cut.subscribe()));
                }
            }
        });
        Ok(Self { address, losing, cut, task })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Cuts every connection; those made from now on lose their answers.
    pub fn lose_answers(&self) {
        self.losing.store(true, Ordering::SeqCst);
        self.cut_connections();
    }

    /// Cuts every connection; those made from now on are good.
    pub fn mend(&self) {
        self.losing.store(false, Ordering::SeqCst);
        self.cut_connections();
    }

    /// Cuts every connection.
    pub fn cut_connections(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for LossyProxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut_connections();
    }
}

async fn forward(
    mut client: TcpStream,
    server: SocketAddr,
    losing: bool,
    mut cut: watch::Receiver<u64>,
) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    // A connection that fails by itself ends like one that is cut.
    let forwarding = async {
        if losing {
            let (mut from_client, _held_back) = client.split();
            let (mut from_server, mut to_server) = server.split();
            let mut nowhere = tokio::io::sink();
            let _ = tokio::join!(
                copy(&mut from_client, &mut to_server),
                copy(&mut from_server, &mut nowhere)
            );
            let _ = to_server.shutdown().await;
        } else {
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
    };
    tokio::select! {
        () = forwarding => {}
        _ = cut.changed() => {}
    }
}
