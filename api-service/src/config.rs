//! The settings: each a flag and an environment variable.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use tonic::transport::{Endpoint, Uri};
use transport::config::ConfigError;

/// How to serve. Flags win over environment variables, those over the defaults.
#[derive(Clone, Debug, Args)]
pub struct Config {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, env = "EVERGREEN_API_LISTEN", default_value = "127.0.0.1:50052")]
    pub listen: SocketAddr,

    /// Directory of the database, which no other process may use at the same time
    #[arg(long, env = "EVERGREEN_API_DATA_DIR", default_value = "evergreen-data")]
    pub data_dir: PathBuf,

    /// Where AuthService publishes the keys that verify access tokens
    #[arg(long, env = "EVERGREEN_API_AUTH_URL", default_value = "http://127.0.0.1:50051")]
    pub auth_url: String,

    /// The `iss` that access tokens must have
    #[arg(long, env = "EVERGREEN_API_ISSUER", default_value = "evergreen")]
    pub issuer: String,

    /// The `aud` that access tokens must have
    #[arg(long, env = "EVERGREEN_API_AUDIENCE", default_value = "evergreen")]
    pub audience: String,

    /// Allow plaintext to and from other machines
    #[arg(long, env = "EVERGREEN_API_INSECURE")]
    pub insecure: bool,

    /// No request lives longer
    #[arg(long, env = "EVERGREEN_API_REQUEST_TIMEOUT", default_value = "10s", value_name = "DURATION",
          value_parser = humantime::parse_duration)]
    pub request_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 50052)),
            data_dir: "evergreen-data".into(),
            auth_url: "http://127.0.0.1:50051".into(),
            issuer: "evergreen".into(),
            audience: "evergreen".into(),
            insecure: false,
            request_timeout: Duration::from_secs(10),
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
        self.auth_endpoint()?;
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
        if !self.insecure && !self.listen.ip().is_loopback() {
            let mend = "is reachable from other machines, and tokens would travel there \
                        unencrypted; listen on 127.0.0.1, or allow it with --insecure";
            return Err(ConfigError::new("--listen", format!("{} {mend}", self.listen)));
        }
        Ok(())
    }

    pub(crate) fn auth_endpoint(&self) -> Result<Endpoint, ConfigError> {
        let bad = |mend: &str| Err(ConfigError::new("--auth-url", mend));
        let Ok(uri) = self.auth_url.parse::<Uri>() else {
            return bad("must be a URL such as http://127.0.0.1:50051");
        };
        let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return bad("must be a URL such as http://127.0.0.1:50051; https is not supported yet");
        };
        // Whoever can answer in AuthService's place decides which tokens are good.
        if !self.insecure && !is_loopback(host) {
            return bad("names another machine, and keys would travel from there unprotected; \
                 name 127.0.0.1, or allow it with --insecure");
        }
        Ok(Endpoint::from(uri).connect_timeout(Duration::from_secs(2)))
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

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
        assert_eq!(bad(|c| c.auth_url = "https://127.0.0.1".into()), "--auth-url");
        assert_eq!(bad(|c| c.auth_url = "http://auth.example:50051".into()), "--auth-url");
        assert_eq!(bad(|c| c.issuer.clear()), "--issuer");
        assert_eq!(bad(|c| c.audience.clear()), "--audience");
        assert_eq!(bad(|c| c.request_timeout = Duration::ZERO), "--request-timeout");
        assert_eq!(bad(|c| c.listen = ([0, 0, 0, 0], 1).into()), "--listen");
        let open = Config {
            auth_url: "http://auth.example:50051".into(),
            listen: ([0, 0, 0, 0], 1).into(),
            insecure: true,
            ..Config::default()
        };
        assert_eq!(open.validate(), Ok(()));
    }
}
