//! What a profile remembers between commands.

use std::path::PathBuf;

use serde_json::{Value, json};
use transport::tls::ClientFiles;

use super::Place;

/// The servers of the last login and whom to trust there, who it was, and where the session is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) auth_url: Option<String>,
    pub(crate) api_url: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) place: Place,
    pub(crate) tls: Tls,
}

/// Whom to trust, and what to show to servers that ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

impl Tls {
    pub(crate) fn files(&self) -> ClientFiles<'_> {
        ClientFiles {
            ca: ("--ca", self.ca.as_deref()),
            certificate: ("--cert", self.certificate.as_deref()),
            key: ("--key", self.key.as_deref()),
        }
    }
}

impl Settings {
    /// From the file's text; `None` if it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        value.as_object()?;
        let field = |name: &str| value[name].as_str().map(str::to_owned);
        let place = match &value["store"] {
            Value::Null => Place::default(),
            // A session that cannot be found must not be taken for none.
            store => Place::named(store.as_str()?)?,
        };
        let file = |name: &str| field(name).map(PathBuf::from);
        let tls = Tls { ca: file("caFile"), certificate: file("certFile"), key: file("keyFile") };
        Some(Self {
            tls,
            auth_url: field("authUrl"),
            api_url: field("apiUrl"),
            username: field("username"),
            place,
        })
    }

    pub(super) fn to_text(&self) -> String {
        let Self { auth_url, api_url, username, place, tls } = self;
        let value = json!({
            "caFile": tls.ca,
            "certFile": tls.certificate,
            "keyFile": tls.key,
            "authUrl": auth_url,
            "apiUrl": api_url,
            "username": username,
            "store": place.as_str(),
        });
        format!("{value:#}\n")
    }
}

/// Where AuthService is if nobody says otherwise.
pub(crate) const AUTH_URL: &str = "http://127.0.0.1:50051";
/// Where ApiService is.
pub(crate) const API_URL: &str = "http://127.0.0.1:50052";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_comes_back() {
        let settings = Settings { auth_url: Some("http://a".into()), ..Settings::default() };
        assert_eq!(Settings::parse(&settings.to_text()), Some(settings.clone()));
        let tls = Tls { ca: Some("/ca.pem".into()), ..Tls::default() };
        let settings = Settings { place: Place::Keyring, tls, ..settings };
        assert_eq!(Settings::parse(&settings.to_text()), Some(settings));
        // One that was written before there was a choice.
        assert_eq!(Settings::parse("{}"), Some(Settings::default()));
        assert_eq!(Settings::parse(r#"{"store": "cloud"}"#), None);
        assert_eq!(Settings::parse("[]"), None);
        assert_eq!(Settings::parse("{"), None);
    }
}
