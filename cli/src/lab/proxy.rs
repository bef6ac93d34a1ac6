//! A TCP proxy that can lose answers, or keep them back for a while.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Forwards connections to a server. While it loses answers, requests still arrive there, but
/// nothing comes back until the connections are cut; while it keeps them back, they come later.
#[derive(Debug)]
pub struct LossyProxy {
    /// Where it listens.
    pub address: SocketAddr,
    losing: Arc<AtomicBool>,
    keeping: watch::Sender<bool>,
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
        let (keeping, cut) = (watch::Sender::new(false), watch::Sender::new(0));
        let task = tokio::spawn({
            let (losing, keeping, cut) = (Arc::clone(&losing), keeping.clone(), cut.clone());
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let keeping = keeping.subscribe();
                    let fate = match losing.load(Ordering::SeqCst) {
                        true => Fate::Lost,
                        false => Fate::Delivered { unless: keeping },
                    };
                    tokio::spawn(forward(client, server, fate, cut.subscribe()));
                }
            }
        });
        Ok(Self { address, losing, keeping, cut, task })
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

    /// Keeps back what the server answers from now on, on the connections that there are too.
    pub fn keep_answers(&self) {
        self.keeping.send_replace(true);
    }

    /// Delivers what was kept back, and keeps back nothing more.
    pub fn deliver_answers(&self) {
        self.keeping.send_replace(false);
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

/// What becomes of the answers on a connection.
enum Fate {
    Delivered { unless: watch::Receiver<bool> },
    Lost,
}

async fn forward(
    mut client: TcpStream,
    server: SocketAddr,
    fate: Fate,
    mut cut: watch::Receiver<u64>,
) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    // A connection that fails by itself ends like one that is cut.
    let forwarding = async {
        let (mut from_client, to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let asking = async {
            copy(&mut from_client, &mut to_server).await?;
            to_server.shutdown().await
        };
        let _ = match fate {
            Fate::Delivered { unless } => {
                tokio::try_join!(asking, deliver(from_server, to_client, unless))
            }
            Fate::Lost => {
                let mut nowhere = tokio::io::sink();
                let losing = async { copy(&mut from_server, &mut nowhere).await.map(drop) };
                tokio::try_join!(asking, losing)
            }
        };
    };
    tokio::select! {
        () = forwarding => {}
        _ = cut.changed() => {}
    }
}

/// Copies what the server says, but waits while answers are kept back.
async fn deliver(
    mut server: impl AsyncRead + Unpin,
    mut client: impl AsyncWrite + Unpin,
    mut kept: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = server.read(&mut buffer).await?;
        if length == 0 {
            return client.shutdown().await;
        }
        // Without the proxy nobody is left who could deliver.
        if kept.wait_for(|kept| !kept).await.is_err() {
            return Ok(());
        }
        client.write_all(&buffer[..length]).await?;
    }
}
