//! What all commands for people have in common.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use client_sdk::{Reauth, Session, SessionState};
use evergreen_proto::{
    api::v1::api_service_client::ApiServiceClient, auth::v1::auth_service_client::AuthServiceClient,
};
use token::clock::{Clock as _, SystemClock};
use tonic::transport::{Channel, Endpoint};
use tower::Layer as _;

use crate::{
    errors::{Error, Exit},
    output::Printer,
    profile::{API_URL, AUTH_URL, DEFAULT, Kept, Name, Place, Profile, Settings, Tls},
};

// No doc comment: it would become that of the command which takes these.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of all commands for people")]
pub(crate) struct Common {
    /// Print JSON, errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Whose session to use
    #[arg(long, global = true, env = "EVERGREEN_PROFILE", default_value = DEFAULT, value_name = "NAME", hide_env_values = true)]
    pub(crate) profile: Name,

    /// AuthService; remembered by login
    #[arg(
        long,
        global = true,
        env = "EVERGREEN_AUTH_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    auth: Option<String>,

    /// ApiService; remembered by login
    #[arg(
        long,
        global = true,
        env = "EVERGREEN_API_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    api: Option<String>,

    /// CAs to trust instead of the machine's, for https:// URLs (PEM); remembered by login
    #[arg(long, global = true, env = "EVERGREEN_CA", value_name = "FILE", hide_env_values = true)]
    ca: Option<PathBuf>,

    /// Certificate to show to servers that ask for one (PEM); remembered by login
    #[arg(
        long,
        global = true,
        env = "EVERGREEN_CERT",
        value_name = "FILE",
        hide_env_values = true
    )]
    cert: Option<PathBuf>,

    /// Its private key (PEM); remembered by login
    #[arg(long, global = true, env = "EVERGREEN_KEY", value_name = "FILE", hide_env_values = true)]
    key: Option<PathBuf>,

    /// When to use colour
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    color: Color,

    /// Where profiles are kept, instead of where the system keeps settings
    #[arg(
        long,
        global = true,
        env = "EVERGREEN_CONFIG_DIR",
        value_name = "DIR",
        hide_env_values = true
    )]
    config_dir: Option<PathBuf>,
}

/// When to use colour: by itself on a terminal, and never where `NO_COLOR` is set.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl Common {
    /// Has everything that is printed from now on follow `--color`.
    pub(crate) fn choose_color(&self) {
        match self.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::AlwaysAnsi,
            Color::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }

    /// Tells whom nobody knows how to log in to this profile.
    pub(crate) fn advise(&self, error: Error) -> Error {
        match (error.exit(), self.profile.is_default()) {
            (Exit::NotSignedIn, true) => error.first("Run `evergreen login`."),
            (Exit::NotSignedIn, false) => {
                error.first(&format!("Run `evergreen login --profile {}`.", self.profile))
            }
            _ => error,
        }
    }

    /// The files that were named, or else are remembered. A certificate and its key go together.
    fn tls(&self, remembered: Tls) -> Result<Tls, Error> {
        let absolute = |flag: &str, path: &PathBuf| {
            std::path::absolute(path)
                .map_err(|e| Error::invalid(format!("{flag} {}: {e}", path.display())))
        };
        let named = |flag, path: &Option<PathBuf>| {
            path.as_ref().map(|path| absolute(flag, path)).transpose()
        };
        let (certificate, key) = match (named("--cert", &self.cert)?, named("--key", &self.key)?) {
            (None, None) => (remembered.certificate, remembered.key),
            given => given,
        };
        let tls = Tls { ca: named("--ca", &self.ca)?.or(remembered.ca), certificate, key };
        tls.files().validate(true)?;
        Ok(tls)
    }

    /// The profile with its session.
    pub(crate) async fn open(&self) -> Result<Context, Error> {
        self.open_at(None).await
    }

    /// Ends the session here, where no server can be told of it. Tells whether there was one.
    pub(crate) async fn forget(&self) -> Result<bool, Error> {
        let profile = Profile::find(self.profile.clone(), self.config_dir.as_deref())?;
        profile.settings()?.place.open(&profile).await?.clear().await
    }

    /// The profile with the session that is kept there, if it is said where.
    pub(crate) async fn open_at(&self, place: Option<Place>) -> Result<Context, Error> {
        let profile = Profile::find(self.profile.clone(), self.config_dir.as_deref())?;
        let remembered = profile.settings()?;
        let settings = Settings {
            auth_url: self.auth.clone().or(remembered.auth_url),
            api_url: self.api.clone().or(remembered.api_url),
            username: remembered.username,
            place: place.unwrap_or(remembered.place),
            tls: self.tls(remembered.tls)?,
        };
        profile.make()?;
        let url = settings.auth_url.as_deref().unwrap_or(AUTH_URL);
        let session = Session::builder(endpoint("--auth", url, &settings.tls)?);
        let session = match settings.place.open(&profile).await? {
            Kept::File(store) => session.store(store),
            Kept::Keyring(store) => session.store(store),
        };
        let session = session.device_name(DEVICE).replay_cap(MOST_MESSAGE_BYTES).connect().await?;
        Ok(Context { out: Printer::new(self.json), profile, settings, session })
    }
}

/// The server at `url`, which `flag` sets.
fn endpoint(flag: &str, url: &str, tls: &Tls) -> Result<Endpoint, Error> {
    let endpoint = Endpoint::from_shared(url.to_owned());
    let endpoint = endpoint.map_err(|e| Error::invalid(format!("{flag} {url}: {e}")))?;
    let files = tls.files();
    // A plaintext server beside an encrypted one has no use for them.
    let endpoint = match endpoint.uri().scheme_str() {
        Some("https") => {
            files.good_until(SystemClock::new().now())?;
            files.secure(endpoint)?
        }
        _ => endpoint,
    };
    Ok(endpoint.connect_timeout(CONNECT_PATIENCE))
}

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) out: Printer,
    pub(crate) profile: Profile,
    pub(crate) settings: Settings,
    pub(crate) session: Session,
}

/// A client of ApiService that calls as the profile's session.
pub(crate) type Api = ApiServiceClient<Reauth<Channel>>;

impl Context {
    /// ApiService. Its answers are waited for so long and no longer.
    pub(crate) fn api(&self) -> Result<Api, Error> {
        Ok(self.client(&self.endpoint()?.timeout(PATIENCE)))
    }

    /// ApiService, for a call that streams and may take as long as it takes: silence ends it only if
    /// the server does not even answer pings.
    pub(crate) fn streaming_api(&self) -> Result<Api, Error> {
        let endpoint = self
            .endpoint()?
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .keep_alive_while_idle(true);
        Ok(self.client(&endpoint))
    }

    /// AuthService, as this session.
    pub(crate) fn auth(&self) -> Result<AuthServiceClient<Reauth<Channel>>, Error> {
        Ok(AuthServiceClient::new(self.session.auth_channel()?))
    }

    pub(crate) fn is_signed_in(&self) -> bool {
        matches!(*self.session.state().borrow(), SessionState::SignedIn { .. })
    }

    fn client(&self, endpoint: &Endpoint) -> Api {
        ApiServiceClient::new(self.session.layer().layer(endpoint.connect_lazy()))
            .max_decoding_message_size(MOST_MESSAGE_BYTES)
            .max_encoding_message_size(MOST_MESSAGE_BYTES)
    }

    fn endpoint(&self) -> Result<Endpoint, Error> {
        let url = self.settings.api_url.as_deref().unwrap_or(API_URL);
        endpoint("--api", url, &self.settings.tls)
    }
}

/// What the list of sessions calls this one.
const DEVICE: &str = "evergreen";
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);
const PING: Duration = Duration::from_secs(10);
/// ApiService's own limit.
const MOST_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
