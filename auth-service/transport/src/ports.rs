//! The ports of a service.

use std::{io, net::SocketAddr, sync::Arc};

use token::clock::Clock;
use tokio::net::TcpListener;

use crate::{
    serve::{ServeError, bind},
    service::Service,
    tls::{Tls, TlsFiles},
};

/// Where a service listens, by its settings.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "each service says all of it")]
pub struct Addresses {
    /// The setting that names the first of them.
    pub setting: &'static str,
    /// Where it is called.
    pub listen: SocketAddr,
    /// Where it serves operations, if it does.
    pub operations: Option<SocketAddr>,
    /// The files of its TLS, if it is not called in plaintext.
    pub tls: Option<TlsFiles>,
    /// Whether plaintext may leave the machine.
    pub insecure: bool,
}

impl Addresses {
    /// Reads the files, and listens. Nobody is served yet: who connects waits.
    ///
    /// # Errors
    ///
    /// [`ServeError`], which names the setting and what to do.
    pub async fn bind(self, clock: Arc<dyn Clock>) -> Result<Ports, ServeError> {
        let Self { setting, listen, operations, tls, insecure } = self;
        let tls = Tls::given(tls, clock).map_err(ServeError::Tls)?;
        let listener = bind(setting, listen, insecure || tls.is_some()).await?;
        let operations = match operations {
            Some(address) => Some(bind("--ops-listen", address, insecure).await?),
            None => None,
        };
        Ok(Ports { listener, operations, tls })
    }
}

/// Ports that are taken.
#[derive(Debug)]
pub struct Ports {
    listener: TcpListener,
    operations: Option<TcpListener>,
    tls: Option<Tls>,
}

impl Ports {
    /// Where the service is called.
    ///
    /// # Errors
    ///
    /// If the system does not know.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where it serves operations, if it does.
    ///
    /// # Errors
    ///
    /// If the system does not know.
    pub fn operations(&self) -> io::Result<Option<SocketAddr>> {
        self.operations.as_ref().map(TcpListener::local_addr).transpose()
    }

    /// What it is encrypted by, if it is.
    #[must_use]
    pub const fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Lets `server` serve on them until `shutdown` resolves: [`Service::run`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn run<S: Service>(
        self,
        mut server: S,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ServeError> {
        if let Some(operations) = self.operations {
            server = server.with_operations(operations);
        }
        if let Some(tls) = self.tls {
            server = server.with_tls(tls);
        }
        server.run(self.listener, shutdown).await
    }
}
