//! Makes sessions.

use std::{sync::Arc, time::Duration};

use token::{
    clock::{Clock, SystemClock},
    entropy::{Entropy, SystemEntropy},
};
#[cfg(feature = "auth-service")]
use {
    crate::{AuthServiceRefresher, ServiceRefresher},
    secrecy::{ExposeSecret as _, SecretString},
    tonic::transport::{Channel, Endpoint},
};

use super::{
    OnUnreachable, Policy, Proof, ReplayForeign, Session,
    shared::{Parts, Shared},
};
use crate::{
    AuthenticationError, Refresher,
    refresher::CheckedRefresher,
    store::{MemoryStore, Store},
};

/// Makes a [`Session`]. Every setting has a default that suits an interactive program.
#[derive(Debug)]
pub struct SessionBuilder {
    #[cfg(feature = "auth-service")]
    endpoint: Option<Result<Endpoint, String>>,
    #[cfg(feature = "auth-service")]
    channel: Option<Channel>,
    /// The client id and the secret of a service.
    #[cfg(feature = "auth-service")]
    service: Option<(String, SecretString)>,
    refresher: Option<Arc<dyn Refresher>>,
    /// Without one the tokens stay in memory, where nobody else can change them.
    store: Option<Arc<dyn Store>>,
    clock: Option<Arc<dyn Clock>>,
    entropy: Arc<dyn Entropy>,
    policy: Policy,
}

impl SessionBuilder {
    fn new() -> Self {
        Self {
            #[cfg(feature = "auth-service")]
            endpoint: None,
            #[cfg(feature = "auth-service")]
            channel: None,
            #[cfg(feature = "auth-service")]
            service: None,
            refresher: None,
            store: None,
            clock: None,
            entropy: Arc::new(SystemEntropy),
            policy: Policy::default(),
        }
    }

    #[cfg(feature = "auth-service")]
    pub(super) fn for_endpoint<E>(endpoint: E) -> Self
    where
        E: TryInto<Endpoint>,
        E::Error: std::fmt::Display,
    {
        let endpoint = endpoint.try_into().map_err(|e| e.to_string());
        Self { endpoint: Some(endpoint.and_then(over_tls)), ..Self::new() }
    }

    #[cfg(feature = "auth-service")]
    pub(super) fn for_service<E>(endpoint: E, id: String, secret: SecretString) -> Self
    where
        E: TryInto<Endpoint>,
        E::Error: std::fmt::Display,
    {
        let mut builder = Self::for_endpoint(endpoint);
        builder.policy.proof = Proof::Credentials;
        builder.service = Some((id, secret));
        builder
    }

    pub(super) fn for_credentials(refresher: impl Refresher) -> Self {
        let mut builder = Self::for_refresher(refresher);
        builder.policy.proof = Proof::Credentials;
        builder
    }

    pub(super) fn for_refresher(refresher: impl Refresher) -> Self {
        Self::new().refresher(refresher)
    }

    /// Keeps the tokens in `store`. Default: in memory, where those of a session with credentials
    /// always are.
    #[must_use]
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Renews tokens with `refresher` instead of AuthService's `Refresh`.
    #[must_use]
    pub fn refresher(mut self, refresher: impl Refresher) -> Self {
        self.refresher = Some(Arc::new(refresher));
        self
    }

    /// Reaches AuthService over `channel`, which must be bare: with a proxy or a connector of
    /// one's own. Default: a lazy connection to the builder's endpoint.
    #[cfg(feature = "auth-service")]
    #[must_use]
    pub fn channel(mut self, channel: Channel) -> Self {
        self.channel = Some(channel);
        self
    }

    /// What the user's list of sessions shows for this one.
    #[cfg(feature = "auth-service")]
    #[must_use]
    pub fn device_name(mut self, name: impl Into<String>) -> Self {
        self.policy.device_name = name.into();
        self
    }

    /// Whether to renew ahead of a refusal: in the background when the access token is due, and
    /// before sending once it has run out. Default: true.
    #[must_use]
    pub fn proactive(mut self, proactive: bool) -> Self {
        self.policy.proactive = proactive;
        self
    }

    /// How long one refresh may go on, its repetitions included. Default: 20 s.
    #[must_use]
    pub fn budget(mut self, budget: Duration) -> Self {
        self.policy.budget = budget;
        self
    }

    /// How long to wait for the answer to one attempt. Default: 5 s.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.policy.attempt_timeout = timeout;
        self
    }

    /// How long calls fail fast after a refresh did not get through. Default: 2 s.
    #[must_use]
    pub fn cool_down(mut self, cool_down: Duration) -> Self {
        self.policy.cool_down = cool_down;
        self
    }

    /// At most `max` refreshes per `per` whose new token no call has had accepted. Default: 5 per
    /// 30 s.
    #[must_use]
    pub fn refresh_window(mut self, max: usize, per: Duration) -> Self {
        self.policy.window = (max, per);
        self
    }

    /// How many bytes of a request are kept for a replay. Default: 1 MiB.
    #[must_use]
    pub fn replay_cap(mut self, bytes: usize) -> Self {
        self.policy.replay_cap = bytes;
        self
    }

    /// Whether to replay after an `UNAUTHENTICATED` without a reason. Default:
    /// [`ReplayForeign::IdempotentOnly`].
    #[must_use]
    pub fn replay_foreign(mut self, policy: ReplayForeign) -> Self {
        self.policy.replay_foreign = policy;
        self
    }

    /// What becomes of the session when the token service cannot be reached. Default:
    /// [`OnUnreachable::Keep`], which a session with credentials always does.
    #[must_use]
    pub fn on_unreachable(mut self, policy: OnUnreachable) -> Self {
        self.policy.on_unreachable = policy;
        self
    }

    /// The wall clock, which only tells how old a stored pair looks.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Where attempt keys and jitter come from.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Makes the session, signed in if the store holds a pair. Works offline: nothing is sent.
    /// From then on a [`store`](Self::store) is watched, until the last clone of the session is gone.
    ///
    /// # Errors
    ///
    /// [`Configuration`](AuthenticationError::Configuration) for a malformed endpoint, a service's
    /// empty client id or secret, or credentials together with a store,
    /// [`Store`](AuthenticationError::Store) if the store cannot be read.
    pub async fn connect(self) -> Result<Session, AuthenticationError> {
        #[cfg(feature = "auth-service")]
        let auth = match (self.channel, self.endpoint) {
            (Some(channel), _) => Some(channel),
            (None, Some(endpoint)) => {
                let mut endpoint =
                    endpoint.map_err(|message| AuthenticationError::Configuration { message })?;
                if endpoint.get_connect_timeout().is_none() {
                    endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT);
                }
                Some(endpoint.connect_lazy())
            }
            (None, None) => None,
        };
        #[cfg(feature = "auth-service")]
        let session_id = self.service.as_ref().map(|(id, _)| id.clone()).unwrap_or_default();
        #[cfg(not(feature = "auth-service"))]
        let session_id = String::new();
        #[cfg(feature = "auth-service")]
        let fallback = match (auth.clone(), self.service) {
            (None, _) => None,
            (Some(channel), None) => {
                Some(Arc::new(AuthServiceRefresher::new(channel)) as Arc<dyn Refresher>)
            }
            (Some(_), Some((id, secret))) if id.is_empty() || secret.expose_secret().is_empty() => {
                return Err(configuration("the client id or the client secret is empty"));
            }
            (Some(channel), Some((id, secret))) => {
                Some(Arc::new(ServiceRefresher::new(channel, id, secret)) as Arc<dyn Refresher>)
            }
        };
        #[cfg(not(feature = "auth-service"))]
        let fallback = None;
        let refresher = self.refresher.or(fallback);
        let refresher = refresher.ok_or_else(|| configuration("no refresher"))?;
        let refresher: Arc<dyn Refresher> = Arc::new(CheckedRefresher::new(refresher));
        let proof = self.policy.proof;
        if proof == Proof::Credentials && self.store.is_some() {
            return Err(configuration("a session with credentials has nothing to store"));
        }
        let watch = self.store.as_ref().map(|store| store.watch());
        let store = self.store.unwrap_or_else(|| Arc::new(MemoryStore::new()));
        let stored = store.load().await?;
        let parts = Parts {
            store,
            refresher,
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock::new())),
            entropy: self.entropy,
            policy: self.policy,
            #[cfg(feature = "auth-service")]
            auth,
        };
        let shared = match proof {
            Proof::Credentials => Shared::with_credentials(parts, session_id),
            Proof::RefreshToken => Shared::new(parts, stored),
        };
        Ok(Session::from_shared(shared, watch))
    }
}

/// An `https` URL that says nothing of TLS is that of a server which the machine trusts.
#[cfg(feature = "auth-service")]
fn over_tls(endpoint: Endpoint) -> Result<Endpoint, String> {
    Endpoint::new(endpoint).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        cause.unwrap_or_else(|| error.to_string())
    })
}

fn configuration(message: &str) -> AuthenticationError {
    AuthenticationError::Configuration { message: message.to_owned() }
}

/// An endpoint that swallows packets must not eat a whole refresh budget in one connect.
#[cfg(feature = "auth-service")]
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
