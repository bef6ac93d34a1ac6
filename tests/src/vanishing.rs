//! A machine that is gone, and closes nothing.

use std::{io, net::SocketAddr, path::PathBuf};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinHandle,
};

/// The address of a server that can vanish as a machine does, or the network before it: what was
/// connected to it is neither answered nor closed, and who connects hears nothing.
#[derive(Debug)]
pub struct Vanishing {
    /// Where it is reached.
    pub address: SocketAddr,
    gone: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Vanishing {
    /// An address, on a free port, of the server that listens on `socket`.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub async fn before(socket: PathBuf) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let gone = watch::Sender::new(false);
        let is_gone = gone.subscribe();
        let task = tokio::spawn(async move {
            let accepting = async {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(pass_on(client, socket.clone(), is_gone.clone()));
                }
            };
            let mut gone = is_gone.clone();
            tokio::select! {
                biased;
                _ = gone.wait_for(|gone| *gone) => {}
                () = accepting => {}
            }
            // The system still takes connections for a listener that is not closed.
            std::future::pending::<()>().await;
            drop(listener);
        });
        Ok(Self { address, gone, task })
    }

    /// It is gone from now on.
    pub fn vanish(&self) {
        self.gone.send_replace(true);
    }
}

impl Drop for Vanishing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(mut client: TcpStream, socket: PathBuf, mut gone: watch::Receiver<bool>) {
    let Ok(mut server) = UnixStream::connect(socket).await else { return };
    let vanished = tokio::select! {
        biased;
        vanished = gone.wait_for(|gone| *gone) => vanished.is_ok(),
        // A connection that fails ends as one that is closed.
        _ = copy_bidirectional(&mut client, &mut server) => false,
    };
    if vanished {
        // Both are kept open until the address itself is no more.
        while gone.changed().await.is_ok() {}
    }
}
