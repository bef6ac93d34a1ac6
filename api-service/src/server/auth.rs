//! AuthService, as ApiService speaks to it.

use std::sync::Arc;

use token::clock::Clock;
use tonic::transport::{Channel, Endpoint};
use transport::{config::ConfigError, reload::certificate, service, tls::ClientTls};

use crate::config::Config;

/// Where AuthService is, and by what it is spoken to.
#[derive(Debug)]
pub(super) struct AuthService {
    endpoint: Endpoint,
    pub(super) tls: Option<ClientTls>,
}

impl AuthService {
    /// The one that the settings name. The files of TLS are read, and nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], if they cannot be used.
    pub(super) fn of(config: &Config, clock: &Arc<dyn Clock>) -> Result<Self, ConfigError> {
        let endpoint = config.auth_endpoint()?;
        let is_https = endpoint.uri().scheme_str() == Some("https");
        let open = || ClientTls::open(config.auth_files(), Arc::clone(clock));
        let tls = is_https.then(open).transpose()?;
        Ok(Self { endpoint, tls })
    }

    /// A connection of its own, which is made when it is first used.
    pub(super) fn connect_lazy(&self) -> Channel {
        match &self.tls {
            Some(tls) => tls.connect_lazy(self.endpoint.clone()),
            None => self.endpoint.connect_lazy(),
        }
    }
}

/// The certificate that is shown to AuthService, and whom to trust there: both can be read again
/// while it serves.
#[derive(Clone, Debug)]
pub struct Files(pub(super) Option<ClientTls>);

impl service::Files for Files {
    async fn read_again(&self) {
        certificate(self.0.as_ref()).await;
    }
}
