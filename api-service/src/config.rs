//! The settings: each a flag, an environment variable and a key of a file.

use std::{
    convert::Infallible, fmt, net::SocketAddr, num::NonZeroUsize, path::PathBuf, str::FromStr,
    time::Duration,
};

use clap::{ArgAction, Args, builder::BoolishValueParser};
use client_sdk::guard::RevocationsBuilder;
use secrecy::{ExposeSecret as _, SecretString};
use tonic::transport::{Endpoint, Uri};
use transport::{
    config::{ConfigError, is_loopback, read_secret},
    database_url::{self, DatabaseUrl},
    drain::GRACE,
    otlp::{self, Exporting},
    overload::{DEFAULT_CONNECTIONS, DEFAULT_REQUESTS},
    ports::Addresses,
    process::log_filter,
    serve::protected,
    tls::{ClientAuth, ClientFiles, TlsFiles},
};

/// How to serve.
#[derive(Clone, Debug, Args)]
pub struct Config {
    /// Address to listen on; port 0 picks a free one
    #[arg(
        long,
        env = "EVERGREEN_API_LISTEN",
        default_value = "127.0.0.1:50052",
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,

    /// Where to serve operations over HTTP: /healthz, /readyz and /metrics; port 0 picks a free one
    /// [default: nowhere]
    #[arg(long, env = "EVERGREEN_API_OPS_LISTEN", value_name = "ADDRESS")]
    pub ops_listen: Option<SocketAddr>,

    /// The OpenTelemetry collector that spans are exported to, by OTLP over gRPC:
    /// http://127.0.0.1:4317 [default: nowhere]
    #[arg(long, env = "EVERGREEN_API_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// Export one trace in so many; with the same number, all services export the same ones
    #[arg(long, env = "EVERGREEN_API_TRACE_ONE_IN", default_value = "1", value_name = "N")]
    pub trace_one_in: NonZeroUsize,

    /// Directory of the database, which no other process may use at the same time; not used with
    /// --database-url
    #[arg(
        long,
        env = "EVERGREEN_API_DATA_DIR",
        default_value = "evergreen-data",
        value_name = "DIR"
    )]
    pub data_dir: PathBuf,

    /// A PostgreSQL database to use instead of a file, so that several instances can serve it; it may
    /// be AuthService's: postgres://user:password@host:5432/database; of several hosts,
    /// host-1:5432,host-2:5432, the primary is used
    #[arg(long, env = "EVERGREEN_API_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<DatabaseUrl>,

    /// A file that holds the URL of the PostgreSQL database, instead of --database-url: others on the
    /// machine can read a program's flags
    #[arg(long, env = "EVERGREEN_API_DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,

    /// Where AuthService publishes the keys that verify access tokens
    #[arg(
        long,
        env = "EVERGREEN_API_AUTH_URL",
        default_value = "http://127.0.0.1:50051",
        value_name = "URL"
    )]
    pub auth_url: String,

    /// The file of the CAs that AuthService's certificate must be of, in PEM, for an https:// URL [default:
    /// those that the machine trusts]
    #[arg(long, env = "EVERGREEN_API_AUTH_CA", value_name = "FILE")]
    pub auth_ca: Option<PathBuf>,

    /// The file of the certificate to show to AuthService, in PEM. A new one counts within seconds
    #[arg(long, env = "EVERGREEN_API_AUTH_CLIENT_CERT", value_name = "FILE")]
    pub auth_client_cert: Option<PathBuf>,

    /// The file of that certificate's private key, in PEM
    #[arg(long, env = "EVERGREEN_API_AUTH_CLIENT_KEY", value_name = "FILE")]
    pub auth_client_key: Option<PathBuf>,

    /// The `iss` that access tokens must have
    #[arg(long, env = "EVERGREEN_API_ISSUER", default_value = "evergreen", value_name = "NAME")]
    pub issuer: String,

    /// The `aud` that access tokens must have
    #[arg(long, env = "EVERGREEN_API_AUDIENCE", default_value = "evergreen", value_name = "NAME")]
    pub audience: String,

    /// The service account with which revocations are followed; without one, the tokens of a revoked
    /// session are good until they run out
    #[arg(long, env = "EVERGREEN_API_CLIENT_ID", value_name = "ID")]
    pub client_id: Option<String>,

    /// A file that holds the account's secret
    #[arg(long, env = "EVERGREEN_API_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub client_secret_file: Option<PathBuf>,

    /// The account's secret; better in a file or the environment, since others on the machine can
    /// read a program's flags
    #[arg(
        long,
        env = "EVERGREEN_API_CLIENT_SECRET",
        hide_env_values = true,
        value_name = "SECRET",
        allow_hyphen_values = true
    )]
    pub client_secret: Option<ClientSecret>,

    /// Refuse all calls when nothing was heard of revocations for so long [default: go on by what is
    /// known, and log an error]
    #[arg(long, env = "EVERGREEN_API_REFUSE_AFTER_SILENCE", value_name = "DURATION",
          value_parser = humantime::parse_duration)]
    pub refuse_after_silence: Option<Duration>,

    /// The file of the certificate to serve TLS with, in PEM: the server's own first, then those that lead
    /// to its CA. A new one counts within seconds [default: plaintext is served]
    #[arg(long, env = "EVERGREEN_API_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The file of that certificate's private key, in PEM
    #[arg(long, env = "EVERGREEN_API_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// The file of the CAs that clients' certificates must be of, in PEM [default: clients are asked for
    /// none]
    #[arg(long, env = "EVERGREEN_API_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,

    /// Whether a client must show a certificate where --tls-client-ca is set: required or optional
    #[arg(
        long,
        env = "EVERGREEN_API_TLS_CLIENT_AUTH",
        default_value = "required",
        hide_possible_values = true,
        value_name = "WHEN"
    )]
    pub tls_client_auth: ClientAuth,

    /// Allow plaintext to and from other machines
    #[arg(long, env = "EVERGREEN_API_INSECURE", action = ArgAction::Set, default_value_t = false,
          num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    pub insecure: bool,

    /// No request lives longer
    #[arg(long, env = "EVERGREEN_API_REQUEST_TIMEOUT", default_value = "10s", value_name = "DURATION",
          value_parser = humantime::parse_duration)]
    pub request_timeout: Duration,

    /// Connections at a time; of one address, half as many
    #[arg(long, env = "EVERGREEN_API_MAX_CONNECTIONS", default_value_t = DEFAULT_CONNECTIONS, value_name = "N")]
    pub max_connections: NonZeroUsize,

    /// Requests at a time, streams aside; more wait in line, and are told to come back where the line
    /// is long and stays so
    #[arg(long, env = "EVERGREEN_API_MAX_REQUESTS", default_value_t = DEFAULT_REQUESTS, value_name = "N")]
    pub max_requests: NonZeroUsize,

    /// How long a deleted tree can be brought back; it holds for trees deleted from now on
    #[arg(long, env = "EVERGREEN_API_DELETED_RETENTION", default_value = "30days",
          value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub deleted_retention: Duration,

    /// How long the calls under way may go on when the service is told to stop; then they are cut
    #[arg(long, env = "EVERGREEN_API_DRAIN_GRACE", default_value = "20s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub drain_grace: Duration,

    /// What is logged: a level (error, warn, info, debug, trace), or levels by module, such as
    /// info,sqlx=debug; RUST_LOG wins over it. It can be changed while the service runs
    #[arg(long, env = "EVERGREEN_API_LOG", default_value = "info", value_name = "FILTER", value_parser = log_filter)]
    pub log: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 50052)),
            ops_listen: None,
            otlp_endpoint: None,
            trace_one_in: NonZeroUsize::MIN,
            data_dir: "evergreen-data".into(),
            database_url: None,
            database_url_file: None,
            auth_url: "http://127.0.0.1:50051".into(),
            auth_ca: None,
            auth_client_cert: None,
            auth_client_key: None,
            issuer: "evergreen".into(),
            audience: "evergreen".into(),
            client_id: None,
            client_secret_file: None,
            client_secret: None,
            refuse_after_silence: None,
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            tls_client_auth: ClientAuth::Required,
            insecure: false,
            request_timeout: Duration::from_secs(10),
            max_connections: DEFAULT_CONNECTIONS,
            max_requests: DEFAULT_REQUESTS,
            deleted_retention: Duration::from_secs(30 * 86_400),
            drain_grace: GRACE,
            log: "info".into(),
        }
    }
}

impl Config {
    /// Checks what can be checked without touching the network or the disk.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], for the first setting that cannot be what it is.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.auth_url()?;
        self.exporting()?;
        if let (Some(_), Some(_)) = (&self.database_url, &self.database_url_file) {
            return Err(ConfigError::both("--database-url-file", "--database-url"));
        }
        if let Some(url) = &self.database_url {
            url.servers()?;
        }
        for (setting, value) in [("--issuer", &self.issuer), ("--audience", &self.audience)] {
            if value.is_empty() {
                return Err(ConfigError::new(setting, "must not be empty"));
            }
        }
        if self.request_timeout.is_zero() || self.request_timeout > Duration::from_secs(3600) {
            return Err(ConfigError::new(
                "--request-timeout",
                "must be more than 0 and at most 60m",
            ));
        }
        if self.deleted_retention.is_zero() || self.deleted_retention > LONGEST_RETENTION {
            return Err(ConfigError::new(
                "--deleted-retention",
                "must be more than 0 and at most 3650days",
            ));
        }
        match (&self.client_id, &self.client_secret, &self.client_secret_file) {
            (None, None, None) | (Some(_), Some(_), None) | (Some(_), None, Some(_)) => {}
            (None, ..) => {
                return Err(ConfigError::new("--client-id", "must be given with a client secret"));
            }
            (Some(_), None, None) => {
                let mend =
                    "must be given with --client-id: `auth-service service create` shows both";
                return Err(ConfigError::new("--client-secret-file", mend));
            }
            (Some(_), Some(_), Some(_)) => {
                return Err(ConfigError::both("--client-secret-file", "--client-secret"));
            }
        }
        if let Some(silence) = self.refuse_after_silence {
            if self.client_id.is_none() {
                let mend = "needs --client-id: nothing is heard of revocations without an account";
                return Err(ConfigError::new("--refuse-after-silence", mend));
            }
            if silence < RevocationsBuilder::SILENCE {
                let least = RevocationsBuilder::SILENCE.as_secs();
                let mend =
                    format!("must be at least {least}s, the time in which a break is noticed");
                return Err(ConfigError::new("--refuse-after-silence", mend));
            }
        }
        protected("--listen", self.listen, self.insecure || self.tls()?.is_some())?;
        if let Some(address) = self.ops_listen {
            protected("--ops-listen", address, self.insecure)?;
        }
        Ok(())
    }

    /// The PostgreSQL database; none if a file in the data directory is used.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], if the file that holds its URL cannot be read.
    pub fn database(&self) -> Result<Option<DatabaseUrl>, ConfigError> {
        database_url::given(self.database_url.as_ref(), self.database_url_file.as_deref())
    }

    /// Where spans are exported to, if they are.
    pub(crate) fn exporting(&self) -> Result<Option<Exporting>, ConfigError> {
        let Some(url) = &self.otlp_endpoint else { return Ok(None) };
        let collector = otlp::collector(url, self.insecure)?;
        let (service, version) = ("evergreen-api", env!("CARGO_PKG_VERSION"));
        Ok(Some(Exporting { collector, service, version, one_in: self.trace_one_in }))
    }

    /// Where to listen, and by what.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], if a file of TLS is missed by the others.
    pub fn addresses(&self) -> Result<Addresses, ConfigError> {
        Ok(Addresses {
            setting: "--listen",
            listen: self.listen,
            operations: self.ops_listen,
            tls: self.tls()?,
            insecure: self.insecure,
        })
    }

    /// The files of TLS; none if plaintext is served.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], if one of them is missed by the others.
    pub fn tls(&self) -> Result<Option<TlsFiles>, ConfigError> {
        let [cert, key, ca] = [&self.tls_cert, &self.tls_key, &self.tls_client_ca];
        TlsFiles::given(cert.as_deref(), key.as_deref(), ca.as_deref(), self.tls_client_auth)
    }

    /// The files of TLS to AuthService.
    pub(crate) fn auth_files(&self) -> ClientFiles<'_> {
        ClientFiles {
            ca: ("--auth-ca", self.auth_ca.as_deref()),
            certificate: ("--auth-client-cert", self.auth_client_cert.as_deref()),
            key: ("--auth-client-key", self.auth_client_key.as_deref()),
        }
    }

    /// Where AuthService is, and how to speak to it, without TLS.
    pub(crate) fn auth_endpoint(&self) -> Result<Endpoint, ConfigError> {
        Ok(Endpoint::from(self.auth_url()?)
            .connect_timeout(Duration::from_secs(2))
            // A connection that swallows packets is given up, and with it the stream of revocations.
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE))
    }

    fn auth_url(&self) -> Result<Uri, ConfigError> {
        let bad = |mend: &str| Err(ConfigError::new("--auth-url", mend));
        let Ok(uri) = self.auth_url.parse::<Uri>() else {
            return bad("must be a URL such as https://auth.example:50051");
        };
        let (Some(scheme @ ("http" | "https")), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return bad("must be a URL such as https://auth.example:50051");
        };
        let is_https = scheme == "https";
        // Whoever can answer in AuthService's place decides which tokens are good.
        if !is_https && !self.insecure && !is_loopback(host) {
            return bad("names another machine, and keys would travel from there unprotected; \
                 use https://, name 127.0.0.1, or allow it with --insecure");
        }
        self.auth_files().validate(is_https)?;
        Ok(uri)
    }

    /// The account with which revocations are followed, if there is one.
    pub(crate) fn credentials(&self) -> Result<Option<(String, SecretString)>, ConfigError> {
        let Some(id) = &self.client_id else { return Ok(None) };
        let secret = match (&self.client_secret, &self.client_secret_file) {
            (Some(ClientSecret(secret)), _) => secret.clone(),
            (None, Some(path)) => read_secret("--client-secret-file", path)?,
            (None, None) => SecretString::default(),
        };
        if id.is_empty() || secret.expose_secret().is_empty() {
            let mend = "must not be empty, nor the secret that goes with it";
            return Err(ConfigError::new("--client-id", mend));
        }
        Ok(Some((id.clone(), secret)))
    }
}

/// The secret of a service account. `Debug` does not show it.
#[derive(Clone)]
pub struct ClientSecret(SecretString);

impl From<SecretString> for ClientSecret {
    fn from(secret: SecretString) -> Self {
        Self(secret)
    }
}

impl FromStr for ClientSecret {
    type Err = Infallible;

    fn from_str(secret: &str) -> Result<Self, Infallible> {
        Ok(Self(secret.into()))
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Ten years: instants on the wire end with the year 9999.
const LONGEST_RETENTION: Duration = Duration::from_secs(3_650 * 86_400);
const KEEP_ALIVE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn the_flags_defaults_are_the_defaults() {
        let parsed = Cli::parse_from(["api-service"]).config;
        assert_eq!(format!("{parsed:?}"), format!("{:?}", Config::default()));
        assert_eq!(parsed.validate(), Ok(()));
    }

    #[test]
    fn a_bad_value_names_its_setting() {
        let bad = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().unwrap_err().setting
        };
        assert_eq!(bad(|c| c.auth_url = "localhost".into()), "--auth-url");
        assert_eq!(bad(|c| c.database_url = Some("mysql://db".into())), "--database-url");
        assert_eq!(bad(|c| c.auth_url = "ftp://127.0.0.1".into()), "--auth-url");
        assert_eq!(bad(|c| c.auth_ca = Some("ca".into())), "--auth-ca");
        assert_eq!(bad(|c| c.ops_listen = Some(([0, 0, 0, 0], 0).into())), "--ops-listen");
        assert_eq!(bad(|c| c.auth_client_cert = Some("cert".into())), "--auth-client-key");
        assert_eq!(bad(|c| c.auth_client_key = Some("key".into())), "--auth-client-cert");
        assert_eq!(bad(|c| c.tls_cert = Some("cert".into())), "--tls-key");
        assert_eq!(bad(|c| c.tls_key = Some("key".into())), "--tls-cert");
        assert_eq!(bad(|c| c.tls_client_ca = Some("ca".into())), "--tls-client-ca");
        assert_eq!(bad(|c| c.auth_url = "http://auth.example:50051".into()), "--auth-url");
        assert_eq!(bad(|c| c.otlp_endpoint = Some("collector".into())), "--otlp-endpoint");
        assert_eq!(bad(|c| c.issuer.clear()), "--issuer");
        assert_eq!(bad(|c| c.audience.clear()), "--audience");
        assert_eq!(bad(|c| c.request_timeout = Duration::ZERO), "--request-timeout");
        assert_eq!(bad(|c| c.deleted_retention = Duration::ZERO), "--deleted-retention");
        assert_eq!(bad(|c| c.deleted_retention = Duration::MAX), "--deleted-retention");
        assert_eq!(bad(|c| c.listen = ([0, 0, 0, 0], 1).into()), "--listen");
        assert_eq!(bad(|c| c.client_id = Some("id".into())), "--client-secret-file");
        assert_eq!(bad(|c| c.client_secret_file = Some("file".into())), "--client-id");
        let account = |c: &mut Config| {
            c.client_id = Some("id".into());
            c.client_secret = Some(SecretString::from("s3cr3t").into());
        };
        let mut both = Config::default();
        account(&mut both);
        assert_eq!(both.validate(), Ok(()));
        assert!(!format!("{both:?}").contains("s3cr3t"));
        both.refuse_after_silence = Some(Duration::from_secs(1));
        assert_eq!(both.validate().unwrap_err().setting, "--refuse-after-silence");
        both.client_secret_file = Some("file".into());
        assert_eq!(both.validate().unwrap_err().setting, "--client-secret-file");
        assert_eq!(
            bad(|c| c.refuse_after_silence = Some(Duration::from_secs(60))),
            "--refuse-after-silence"
        );
        let open = Config {
            auth_url: "http://auth.example:50051".into(),
            listen: ([0, 0, 0, 0], 1).into(),
            insecure: true,
            ..Config::default()
        };
        assert_eq!(open.validate(), Ok(()));
        let encrypted = Config {
            auth_url: "https://auth.example:50051".into(),
            tls_cert: Some("cert".into()),
            tls_key: Some("key".into()),
            insecure: false,
            ..open
        };
        assert_eq!(encrypted.validate(), Ok(()));
    }
}
