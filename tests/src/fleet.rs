//! Clients of the SDK that refresh at a steady pace, and count what their callers see.

use std::{sync::Arc, time::Duration};

use client_sdk::{AuthServiceRefresher, AuthenticationError, Session};
use evergreen_proto::auth::v1::{RegisterRequest, auth_service_client::AuthServiceClient};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tonic::transport::Endpoint;

use crate::{PASSWORD, clients::Witness, ledger::Ledger, process::PATIENCE};

/// Sessions of one user behind one address, each with a connection of its own.
#[derive(Debug)]
pub struct Fleet {
    /// What the clients report of each attempt.
    pub ledger: Arc<Ledger>,
    stop: watch::Sender<bool>,
    clients: JoinSet<Seen>,
}

/// What the callers of clients saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Calls of `refresh`.
    pub calls: u64,
    /// Those that failed, whatever the SDK had tried.
    pub failed: u64,
    /// Sessions whose last call succeeded: nobody was logged out of them.
    pub signed_in: usize,
}

impl Fleet {
    /// Logs the clients in at `url`, and lets each refresh once in `pace`.
    ///
    /// # Panics
    ///
    /// If nobody serves there.
    pub async fn start(url: &str, clients: usize, pace: Duration) -> Self {
        let endpoint = Endpoint::from_shared(url.to_owned()).expect("it is a URL");
        let user = RegisterRequest { username: USER.into(), password: PASSWORD.into() };
        let channel = endpoint.connect_lazy();
        AuthServiceClient::new(channel).register(user).await.expect("the database is new");
        let ledger = Arc::new(Ledger::default());
        let stop = watch::Sender::new(false);
        let mut sessions = Vec::new();
        for _ in 0..clients {
            let channel = endpoint.connect_lazy();
            let refresher = AuthServiceRefresher::new(channel.clone());
            let witness = Witness::new(refresher, &ledger);
            let session = Session::custom(witness).channel(channel).connect().await;
            let session = session.expect("a session connects without a server");
            session.login(USER, PASSWORD).await.expect("the server is up");
            sessions.push(session);
        }
        let start = Instant::now();
        let mut fleet = Self { ledger, stop, clients: JoinSet::new() };
        for (number, session) in sessions.into_iter().enumerate() {
            // Spread over the first round, and so over each.
            let first = start + pace.mul_f64(number as f64 / clients as f64);
            let client = sail(session, first, pace, fleet.stop.subscribe(), fleet.ledger.clone());
            fleet.clients.spawn(client);
        }
        fleet
    }

    /// Tells all of them to stop after one more call, and gives back what all of them saw.
    ///
    /// # Panics
    ///
    /// If a client panics, or gets no answer.
    pub async fn stop(mut self) -> Seen {
        self.stop.send_replace(true);
        let mut all = Seen::default();
        while let Some(seen) =
            timeout(PATIENCE, self.clients.join_next()).await.expect("every call ends")
        {
            let seen = seen.expect("no client panics");
            all.calls += seen.calls;
            all.failed += seen.failed;
            all.signed_in += seen.signed_in;
        }
        all
    }
}

async fn sail(
    session: Session,
    first: Instant,
    pace: Duration,
    mut stop: watch::Receiver<bool>,
    ledger: Arc<Ledger>,
) -> Seen {
    let mut turns = interval_at(first, pace);
    turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut seen = Seen::default();
    loop {
        let last = tokio::select! {
            _ = turns.tick() => false,
            stop = stop.wait_for(|stop| *stop) => stop.is_ok(),
        };
        seen.calls += 1;
        let done = session.refresh().await;
        if let Err(error) = &done {
            seen.failed += 1;
            ledger.excuse(format!("{error:?}"));
            let kept = AuthenticationError::is_transient(error);
            if !kept {
                ledger.fault(format!("logged out: {error:?}"));
            }
        }
        if last {
            seen.signed_in = usize::from(done.is_ok());
            return seen;
        }
    }
}

/// All sessions are this user's.
const USER: &str = "ada";
