//! Which collector.

use std::time::Duration;

use tonic::transport::{Endpoint, Uri};

use crate::config::{ConfigError, is_loopback};

/// The collector that `--otlp-endpoint` names. Spans tell who has done what, so they leave the machine
/// unencrypted only if that is allowed.
///
/// # Errors
///
/// [`ConfigError`], if it is no URL of one.
pub fn collector(url: &str, insecure: bool) -> Result<Endpoint, ConfigError> {
    let bad = |mend: &str| Err(ConfigError::new("--otlp-endpoint", mend));
    let Ok(uri) = url.parse::<Uri>() else {
        return bad("must be a URL such as http://127.0.0.1:4317");
    };
    let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return bad("must be a URL such as http://127.0.0.1:4317, of a collector that speaks gRPC");
    };
    if !insecure && !is_loopback(host) {
        return bad("names another machine, and spans would travel there unencrypted; run a \
                    collector here, or allow it with --insecure");
    }
    Ok(Endpoint::from(uri).connect_timeout(Duration::from_secs(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_stay_on_the_machine_unless_they_may_leave_it() {
        for good in ["http://127.0.0.1:4317", "http://[::1]:4317", "http://localhost:4317/"] {
            assert!(collector(good, false).is_ok(), "{good}");
        }
        for bad in ["", "127.0.0.1:4317", "https://127.0.0.1", "http://collector:4317"] {
            assert_eq!(collector(bad, false).unwrap_err().setting, "--otlp-endpoint", "{bad}");
        }
        assert!(collector("http://collector:4317", true).is_ok());
    }
}
