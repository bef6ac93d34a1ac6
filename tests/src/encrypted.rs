//! Both services over TLS.

use std::net::SocketAddr;

use evergreen_proto::{
    api::v1::api_service_client::ApiServiceClient,
    auth::v1::{RegisterRequest, TokenPair, auth_service_client::AuthServiceClient},
};
use private_authority::{Authority, Signed};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use transport::tls::ClientAuth;

use crate::{PASSWORD, World};

/// Both services, and the CA that all their certificates are of.
#[derive(Debug)]
pub struct Encrypted {
    /// The services; none of its bare clients fits them.
    pub world: World,
    /// Signs for servers and clients. The servers' files are called `auth` and `api`, and those of what
    /// ApiService shows to AuthService `api-service`.
    pub authority: Authority,
}

impl Encrypted {
    /// Both services with certificates, which clients must or may have too. ApiService has one, and
    /// follows revocations.
    pub async fn start(
        clients: ClientAuth,
        change: impl FnOnce(&mut auth_service::Config),
    ) -> Self {
        Self::start_all(clients, change, |_| {}).await
    }

    /// The same with other settings of ApiService, too.
    pub async fn start_all(
        clients: ClientAuth,
        change: impl FnOnce(&mut auth_service::Config),
        change_api: impl FnOnce(&mut api_service::Config),
    ) -> Self {
        let authority = Authority::new();
        let ca = Some(authority.file().to_owned());
        let (auth, api) = (authority.server("auth"), authority.server("api"));
        let shown = authority.client("api-service");
        let world = World::start_all(
            |config| {
                (config.tls_cert, config.tls_key) = (Some(auth.certificate), Some(auth.key));
                (config.tls_client_ca, config.tls_client_auth) = (ca.clone(), clients);
                change(config);
            },
            |accounts, config| {
                accounts.configure(config);
                (config.tls_cert, config.tls_key) = (Some(api.certificate), Some(api.key));
                (config.tls_client_ca, config.tls_client_auth) = (ca.clone(), clients);
                config.auth_ca.clone_from(&ca);
                config.auth_client_cert = Some(shown.certificate);
                config.auth_client_key = Some(shown.key);
                change_api(config);
            },
        );
        Self { world: world.await, authority }
    }

    /// How to reach AuthService, showing this certificate.
    #[must_use]
    pub fn auth(&self, shown: Option<&Signed>) -> Endpoint {
        endpoint(self.world.auth.address, &self.authority, shown)
    }

    /// How to reach ApiService, showing this certificate.
    #[must_use]
    pub fn api(&self, shown: Option<&Signed>) -> Endpoint {
        endpoint(self.world.api.address, &self.authority, shown)
    }

    /// A bare client of AuthService.
    #[must_use]
    pub fn auth_client(&self, shown: Option<&Signed>) -> AuthServiceClient<Channel> {
        AuthServiceClient::new(self.auth(shown).connect_lazy())
    }

    /// A bare client of ApiService.
    #[must_use]
    pub fn api_client(&self, shown: Option<&Signed>) -> ApiServiceClient<Channel> {
        ApiServiceClient::new(self.api(shown).connect_lazy())
    }

    /// Registers a user over a connection that shows this certificate.
    ///
    /// # Panics
    ///
    /// If that is refused.
    pub async fn register(&self, name: &str, shown: Option<&Signed>) -> TokenPair {
        let request = RegisterRequest { username: name.into(), password: PASSWORD.into() };
        let answer = self.auth_client(shown).register(request).await;
        let answer = answer.expect("the name is new").into_inner();
        answer.tokens.expect("a registration has tokens")
    }
}

/// How to reach a service over TLS, trusting this CA.
///
/// # Panics
///
/// If a file cannot be read.
#[must_use]
pub fn endpoint(address: SocketAddr, trusted: &Authority, shown: Option<&Signed>) -> Endpoint {
    let read = |path: &std::path::Path| std::fs::read(path).expect("the file is there");
    let mut tls =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(trusted.file())));
    if let Some(Signed { certificate, key, .. }) = shown {
        tls = tls.identity(Identity::from_pem(read(certificate), read(key)));
    }
    let endpoint = Endpoint::from_shared(format!("https://{address}"));
    let endpoint = endpoint.expect("an address makes a URL");
    endpoint.tls_config(tls).expect("the files are sound")
}
