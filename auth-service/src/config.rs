//! Settings: flags, each with an environment variable, and what is demanded of them together.

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use clap::{ArgAction, Args, builder::BoolishValueParser};
use token::Verifier;
use transport::{
    config::ConfigError,
    database_url::{self, DatabaseUrl},
    drain::GRACE,
    otlp::{self, Exporting},
    overload::{DEFAULT_CONNECTIONS, DEFAULT_REQUESTS},
    ports::Addresses,
    process::log_filter,
    serve::protected,
    tls::{ClientAuth, TlsFiles},
};

use crate::{
    app::{HashLimits, HashParams, STALE_AFTER},
    domain::{
        network::Networks,
        policy::{Lifetimes, Policy},
        rotation,
        signing_keys::{self, Slowness},
    },
};

/// The settings of AuthService.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 picks a free one
    #[arg(
        long,
        env = "EVERGREEN_AUTH_LISTEN",
        default_value = "127.0.0.1:50051",
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,

    /// Where to serve operations over HTTP: /healthz, /readyz, /metrics, and the public keys at
    /// /.well-known/jwks.json; port 0 picks a free one [default: nowhere]
    #[arg(long, env = "EVERGREEN_AUTH_OPS_LISTEN", value_name = "ADDRESS")]
    pub ops_listen: Option<SocketAddr>,

    /// The OpenTelemetry collector that spans are exported to, by OTLP over gRPC:
    /// http://127.0.0.1:4317 [default: nowhere]
    #[arg(long, env = "EVERGREEN_AUTH_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// Export one trace in so many; with the same number, all services export the same ones
    #[arg(long, env = "EVERGREEN_AUTH_TRACE_ONE_IN", default_value = "1", value_name = "N")]
    pub trace_one_in: NonZeroUsize,

    /// Where the master keys and, without --database-url, the database are kept
    #[arg(
        long,
        env = "EVERGREEN_AUTH_DATA_DIR",
        default_value = "evergreen-data",
        value_name = "DIR"
    )]
    pub data_dir: PathBuf,

    /// A PostgreSQL database to use instead of a file, so that several instances can serve it:
    /// postgres://user:password@host:5432/database; of several hosts, host-1:5432,host-2:5432, the
    /// primary is used
    #[arg(long, env = "EVERGREEN_AUTH_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<DatabaseUrl>,

    /// A file that holds the URL of the PostgreSQL database, instead of --database-url: others on the
    /// machine can read a program's flags
    #[arg(long, env = "EVERGREEN_AUTH_DATABASE_URL_FILE", value_name = "FILE")]
    pub database_url_file: Option<PathBuf>,

    /// The file of master keys, made on first use [default: master.keys in the data directory]
    #[arg(long, env = "EVERGREEN_AUTH_MASTER_KEYS", value_name = "FILE")]
    pub master_keys: Option<PathBuf>,

    /// The `iss` of access tokens
    #[arg(long, env = "EVERGREEN_AUTH_ISSUER", default_value = "evergreen", value_name = "NAME")]
    pub issuer: String,

    /// The `aud` of access tokens
    #[arg(long, env = "EVERGREEN_AUTH_AUDIENCE", default_value = "evergreen", value_name = "NAME")]
    pub audience: String,

    /// How long an access token lives; at most 1h, which is how long revocations are told
    #[arg(long, env = "EVERGREEN_AUTH_ACCESS_TOKEN_TTL", default_value = "15m", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub access_token_ttl: Duration,

    /// How long a session lives that nobody refreshes
    #[arg(long, env = "EVERGREEN_AUTH_REFRESH_TOKEN_TTL", default_value = "7d", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub refresh_token_ttl: Duration,

    /// How long a session lives, however often it is refreshed
    #[arg(long, env = "EVERGREEN_AUTH_SESSION_TTL", default_value = "30d", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub session_ttl: Duration,

    /// How long a client that sends no idempotency key may repeat a refresh; 0s forbids it
    #[arg(long, env = "EVERGREEN_AUTH_REUSE_GRACE", default_value = "10s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub reuse_grace: Duration,

    /// How long after a rotation a second keyed attempt is taken for an honest rival
    #[arg(long, env = "EVERGREEN_AUTH_RIVAL_WINDOW", default_value = "30s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub rival_window: Duration,

    /// How far the clocks of several instances may be apart
    #[arg(long, env = "EVERGREEN_AUTH_CLOCK_SKEW", default_value = "2s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub clock_skew: Duration,

    /// How long a request may live; at most 10s
    #[arg(long, env = "EVERGREEN_AUTH_REQUEST_TIMEOUT", default_value = "10s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub request_timeout: Duration,

    /// Connections at a time; of one address, half as many
    #[arg(long, env = "EVERGREEN_AUTH_MAX_CONNECTIONS", default_value_t = DEFAULT_CONNECTIONS, value_name = "N")]
    pub max_connections: NonZeroUsize,

    /// Requests at a time, streams and what waits for a password hash aside; more wait in line, and
    /// are told to come back where the line is long and stays so
    #[arg(long, env = "EVERGREEN_AUTH_MAX_REQUESTS", default_value_t = DEFAULT_REQUESTS, value_name = "N")]
    pub max_requests: NonZeroUsize,

    /// Whether a session newer than a restored database goes on (true) or ends (false)
    #[arg(long, env = "EVERGREEN_AUTH_ADOPT", default_value_t = true, action = ArgAction::Set, value_name = "BOOL", value_parser = BoolishValueParser::new())]
    pub adopt: bool,

    /// How long audit events are kept
    #[arg(long, env = "EVERGREEN_AUTH_AUDIT_RETENTION", default_value = "90d", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub audit_retention: Duration,

    /// How long a key signs access tokens before another one does
    #[arg(long, env = "EVERGREEN_AUTH_SIGNING_KEY_LIFE", default_value = "90d", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub signing_key_life: Duration,

    /// How long verifiers may keep the published keys: a withdrawn one is trusted for so long
    #[arg(long, env = "EVERGREEN_AUTH_JWKS_MAX_AGE", default_value = "5m", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub jwks_max_age: Duration,

    /// Let anybody register
    #[arg(long, env = "EVERGREEN_AUTH_OPEN_REGISTRATION", action = ArgAction::Set, default_value_t = false,
          num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    pub open_registration: bool,

    /// Memory of one password hash, in KiB
    #[arg(
        long,
        env = "EVERGREEN_AUTH_HASH_MEMORY_KIB",
        default_value_t = 19_456,
        value_name = "KIB"
    )]
    pub hash_memory_kib: u32,

    /// Passes of one password hash
    #[arg(long, env = "EVERGREEN_AUTH_HASH_ITERATIONS", default_value_t = 2, value_name = "N")]
    pub hash_iterations: u32,

    /// Password hashes at a time [default: one a processor]
    #[arg(long, env = "EVERGREEN_AUTH_HASH_CONCURRENCY", value_name = "N")]
    pub hash_concurrency: Option<NonZeroUsize>,

    /// Logins that may wait for a password hash, and for each other under one name; more are told to
    /// come back
    #[arg(long, env = "EVERGREEN_AUTH_HASH_QUEUE", default_value_t = 64, value_name = "N")]
    pub hash_queue: usize,

    /// Limit calls from this machine by their address and their session, as those from others. Off, they
    /// are limited by user name alone, and a proxy that runs here does not count as one caller
    #[arg(long, env = "EVERGREEN_AUTH_LIMIT_LOOPBACK", action = ArgAction::Set, default_value_t = false,
          num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    pub limit_loopback: bool,

    /// Networks of proxies, such as 10.0.0.0/8,192.0.2.7: calls from there are limited by user name and
    /// by session, but by no address, for each is as likely another caller's
    #[arg(long, env = "EVERGREEN_AUTH_TRUSTED_PROXIES", value_name = "NETWORKS")]
    pub trusted_proxies: Option<Networks>,
    /// The file of the certificate to serve TLS with, in PEM: the server's own first, then those that lead
    /// to its CA. A new one counts within seconds [default: plaintext is served]
    #[arg(long, env = "EVERGREEN_AUTH_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The file of that certificate's private key, in PEM
    #[arg(long, env = "EVERGREEN_AUTH_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// The file of the CAs that clients' certificates must be of, in PEM [default: clients are asked for
    /// none]
    #[arg(long, env = "EVERGREEN_AUTH_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,

    /// Whether a client must show a certificate where --tls-client-ca is set: required or optional
    #[arg(
        long,
        env = "EVERGREEN_AUTH_TLS_CLIENT_AUTH",
        default_value = "required",
        hide_possible_values = true,
        value_name = "WHEN"
    )]
    pub tls_client_auth: ClientAuth,

    /// Bind a session that begins over a connection with a client's certificate to the key of that
    /// certificate: its refresh tokens are of no use without the key
    #[arg(long, env = "EVERGREEN_AUTH_BIND_SESSIONS", action = ArgAction::Set, default_value_t = false,
          num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    pub bind_sessions: bool,

    /// Allow plaintext on addresses that other machines can reach
    #[arg(long, env = "EVERGREEN_AUTH_INSECURE", action = ArgAction::Set, default_value_t = false,
          num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    pub insecure: bool,

    /// How long the calls under way may go on when the service is told to stop; then they are cut
    #[arg(long, env = "EVERGREEN_AUTH_DRAIN_GRACE", default_value = "20s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub drain_grace: Duration,

    /// What is logged: a level (error, warn, info, debug, trace), or levels by module, such as
    /// info,sqlx=debug; RUST_LOG wins over it. It can be changed while the service runs
    #[arg(long, env = "EVERGREEN_AUTH_LOG", default_value = "info", value_name = "FILTER", value_parser = log_filter)]
    pub log: String,
}

impl Default for Config {
    /// The defaults that `--help` tells; the environment is not read.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 50051)),
            ops_listen: None,
            otlp_endpoint: None,
            trace_one_in: NonZeroUsize::MIN,
            data_dir: PathBuf::from("evergreen-data"),
            database_url: None,
            database_url_file: None,
            master_keys: None,
            issuer: "evergreen".into(),
            audience: "evergreen".into(),
            access_token_ttl: Duration::from_secs(15 * 60),
            refresh_token_ttl: Duration::from_secs(7 * 86_400),
            session_ttl: Duration::from_secs(30 * 86_400),
            reuse_grace: Duration::from_secs(10),
            rival_window: Duration::from_secs(30),
            clock_skew: Duration::from_secs(2),
            request_timeout: MAX_REQUEST_LIFE,
            max_connections: DEFAULT_CONNECTIONS,
            max_requests: DEFAULT_REQUESTS,
            adopt: true,
            audit_retention: Duration::from_secs(90 * 86_400),
            signing_key_life: Duration::from_secs(90 * 86_400),
            jwks_max_age: Duration::from_secs(300),
            open_registration: false,
            hash_memory_kib: 19_456,
            hash_iterations: 2,
            hash_concurrency: None,
            hash_queue: 64,
            limit_loopback: false,
            trusted_proxies: None,
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            tls_client_auth: ClientAuth::Required,
            bind_sessions: false,
            insecure: false,
            drain_grace: GRACE,
            log: "info".into(),
        }
    }
}

impl Config {
    /// Checks the settings, alone and together.
    ///
    /// # Errors
    ///
    /// The first that cannot be, and how to mend it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |holds: bool, setting, mend: &str| {
            if holds { Ok(()) } else { Err(ConfigError::new(setting, mend)) }
        };
        let second = Duration::from_secs(1);
        if let (Some(_), Some(_)) = (&self.database_url, &self.database_url_file) {
            return Err(ConfigError::both("--database-url-file", "--database-url"));
        }
        if let Some(url) = &self.database_url {
            url.servers()?;
        }
        protected("--listen", self.listen, self.insecure || self.tls()?.is_some())?;
        if let Some(address) = self.ops_listen {
            protected("--ops-listen", address, self.insecure)?;
        }
        self.exporting()?;
        check(!self.issuer.is_empty(), "--issuer", "must not be empty")?;
        check(!self.audience.is_empty(), "--audience", "must not be empty")?;
        check(
            (second..=MAX_ACCESS_TOKEN_TTL).contains(&self.access_token_ttl),
            "--access-token-ttl",
            "must be between 1s and 1h",
        )?;
        check(
            self.refresh_token_ttl >= self.access_token_ttl,
            "--refresh-token-ttl",
            "must be at least --access-token-ttl, or a session would end with its first token",
        )?;
        check(
            self.session_ttl >= self.refresh_token_ttl,
            "--session-ttl",
            "must be at least --refresh-token-ttl",
        )?;
        check(
            (Duration::from_millis(100)..=MAX_REQUEST_LIFE).contains(&self.request_timeout),
            "--request-timeout",
            "must be between 100ms and 10s",
        )?;
        check(
            self.rival_window > self.request_timeout + self.clock_skew,
            "--rival-window",
            &format!(
                "must exceed --request-timeout plus --clock-skew ({}), or a late copy of an honest \
                 request would be taken for theft",
                humantime::format_duration(self.request_timeout + self.clock_skew)
            ),
        )?;
        check(
            (second..=MAX_JWKS_AGE).contains(&self.jwks_max_age),
            "--jwks-max-age",
            "must be between 1s and 24h",
        )?;
        let lead = self.signing_keys().lead;
        check(
            self.signing_key_life >= lead,
            "--signing-key-life",
            &format!(
                "must be at least {}, for which a key is published before it signs (it follows from \
                 --jwks-max-age, --request-timeout and --clock-skew)",
                humantime::format_duration(lead)
            ),
        )?;
        HashParams::new(self.hash_memory_kib, self.hash_iterations, HASH_LANES)
            .map_err(|mend| ConfigError::new("--hash-memory-kib", mend))?;
        let tls = self.tls()?;
        check(
            !self.bind_sessions || tls.is_some_and(|tls| tls.asks_clients()),
            "--bind-sessions",
            "needs --tls-client-ca: without it no client shows a certificate",
        )
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
        let (service, version) = ("evergreen-auth", env!("CARGO_PKG_VERSION"));
        Ok(Some(Exporting { collector, service, version, one_in: self.trace_one_in }))
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy {
            lifetimes: Lifetimes {
                access: self.access_token_ttl,
                idle: self.refresh_token_ttl,
                absolute: self.session_ttl,
            },
            rotation: rotation::Policy::new(
                self.refresh_token_ttl,
                self.reuse_grace,
                self.rival_window,
                self.adopt,
            ),
            open_registration: self.open_registration,
            bind_sessions: self.bind_sessions,
        }
    }

    pub(crate) fn signing_keys(&self) -> signing_keys::Policy {
        let slowness = Slowness {
            instances: STALE_AFTER,
            clocks: self.clock_skew,
            request: self.request_timeout,
            verifiers: self.jwks_max_age,
            tokens: self.access_token_ttl + Verifier::LEEWAY,
        };
        signing_keys::Policy::new(self.signing_key_life, &slowness)
    }

    pub(crate) fn hash_params(&self) -> Result<HashParams, ConfigError> {
        HashParams::new(self.hash_memory_kib, self.hash_iterations, HASH_LANES)
            .map_err(|mend| ConfigError::new("--hash-memory-kib", mend))
    }

    pub(crate) fn hash_limits(&self) -> HashLimits {
        let processors = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        HashLimits {
            concurrent: self.hash_concurrency.unwrap_or_else(processors),
            queued: self.hash_queue,
        }
    }

    pub(crate) fn master_keys_path(&self) -> PathBuf {
        self.master_keys.clone().unwrap_or_else(|| Path::join(&self.data_dir, "master.keys"))
    }
}

/// No access token lives longer, whatever the setting is or was: so revocations, which are told for
/// as long, outlast the tokens that were minted under an earlier setting or at another instance.
pub(crate) const MAX_ACCESS_TOKEN_TTL: Duration = Duration::from_secs(3_600);
/// Rotation counts on no request being older.
const MAX_REQUEST_LIFE: Duration = Duration::from_secs(10);
/// No verifier keeps keys for longer, whatever it is told.
const MAX_JWKS_AGE: Duration = Duration::from_secs(86_400);
/// Each lane would take a thread of its own.
const HASH_LANES: u32 = 1;

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn the_flags_defaults_are_the_defaults_in_code() {
        Command::command().debug_assert();
        let parsed = Command::parse_from(["auth-service"]).config;
        assert_eq!(format!("{parsed:?}"), format!("{:?}", Config::default()));
        assert_eq!(parsed.validate(), Ok(()));
    }

    #[test]
    fn a_bad_setting_is_named() {
        let named = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().unwrap_err().setting
        };
        assert_eq!(named(|c| c.rival_window = Duration::from_secs(12)), "--rival-window");
        assert_eq!(named(|c| c.access_token_ttl = Duration::ZERO), "--access-token-ttl");
        assert_eq!(
            named(|c| c.access_token_ttl = Duration::from_secs(3_601)),
            "--access-token-ttl"
        );
        assert_eq!(named(|c| c.refresh_token_ttl = Duration::from_secs(1)), "--refresh-token-ttl");
        assert_eq!(named(|c| c.session_ttl = Duration::from_secs(1)), "--session-ttl");
        assert_eq!(named(|c| c.request_timeout = Duration::from_secs(11)), "--request-timeout");
        assert_eq!(named(|c| c.hash_memory_kib = 1), "--hash-memory-kib");
        assert_eq!(named(|c| c.jwks_max_age = Duration::ZERO), "--jwks-max-age");
        assert_eq!(named(|c| c.jwks_max_age = Duration::from_secs(86_401)), "--jwks-max-age");
        assert_eq!(named(|c| c.signing_key_life = Duration::from_secs(321)), "--signing-key-life");
        assert_eq!(named(|c| c.tls_cert = Some("cert".into())), "--tls-key");
        assert_eq!(named(|c| c.tls_key = Some("key".into())), "--tls-cert");
        assert_eq!(named(|c| c.tls_client_ca = Some("ca".into())), "--tls-client-ca");
        assert_eq!(named(|c| c.bind_sessions = true), "--bind-sessions");
        let asks_nobody = named(|c| {
            (c.tls_cert, c.tls_key) = (Some("cert".into()), Some("key".into()));
            c.bind_sessions = true;
        });
        assert_eq!(asks_nobody, "--bind-sessions");
        assert_eq!(named(|c| c.issuer.clear()), "--issuer");
        assert_eq!(named(|c| c.otlp_endpoint = Some("collector".into())), "--otlp-endpoint");
        assert_eq!(named(|c| c.database_url = Some("mysql://db".into())), "--database-url");
        let both = named(|c| {
            c.database_url = Some("postgres://db/x".into());
            c.database_url_file = Some("url".into());
        });
        assert_eq!(both, "--database-url-file");
    }
}
