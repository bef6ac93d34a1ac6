//! Following the primary: whichever server takes the writes, the pools connect there.

use std::time::Duration;

use sqlx::{
    PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::sleep;

use super::{
    pool::Pool,
    servers::{Servers, Timeline, ask_all, newest, shown},
};

/// The primary of a database, and the pools of connections to it.
///
/// Of a database with one server nothing is followed, and its pools are as they would be without
/// this.
#[derive(Debug)]
pub struct Primary {
    servers: Servers,
    at: usize,
    /// No server of an older one is written to any more.
    timeline: Timeline,
    pools: Vec<Pool>,
}

impl Primary {
    pub(super) fn at(servers: Servers, at: usize, timeline: Timeline) -> Self {
        Self { servers, at, timeline, pools: Vec::new() }
    }

    /// How to connect to it, as things are.
    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.servers.all()[self.at]
    }

    /// Its address, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        shown(self.options())
    }

    /// A pool of connections to it, which it makes when they are needed.
    #[must_use]
    pub fn pool(&mut self, options: PgPoolOptions) -> Pool {
        let pool = Pool::new(options, self.options().clone());
        self.pools.push(pool.clone());
        pool
    }

    /// Looks after the pools until they are closed.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn follow(self) {
        if !self.is_the_only_one() && !self.pools.is_empty() {
            tokio::spawn(self.keep_looking());
        }
    }

    fn is_the_only_one(&self) -> bool {
        self.servers.all().len() == 1
    }

    async fn keep_looking(mut self) {
        let mut connections: Vec<Option<PgConnection>> =
            self.servers.all().iter().map(|_| None).collect();
        let mut answered = true;
        loop {
            tokio::select! {
                () = self.pools[0].closed() => return,
                () = sleep(if answered { LOOK } else { SEARCH }) => {}
            }
            let asked = ask_all(&self.servers, connections).await;
            let seen: Vec<_> = asked
                .iter()
                .map(|asked| asked.as_ref().ok().and_then(|seen| seen.writes))
                .collect();
            connections =
                asked.into_iter().map(|asked| asked.ok().map(|seen| seen.connection)).collect();
            let found = newest(&seen, self.at, self.timeline);
            match found {
                Some((at, timeline)) => self.is_at(at, timeline),
                None if answered => tracing::warn!(
                    server = self.shown(),
                    "the database's primary does not answer, and no other server takes writes"
                ),
                None => {}
            }
            answered = found.is_some();
        }
    }

    fn is_at(&mut self, at: usize, timeline: Timeline) {
        self.timeline = timeline;
        if at == self.at {
            return;
        }
        let former = self.shown();
        self.at = at;
        for pool in &self.pools {
            pool.move_to(self.options());
        }
        tracing::warn!(server = self.shown(), former, "the database has another primary");
    }
}

/// How often all servers are asked what they are, while all is well.
const LOOK: Duration = Duration::from_secs(1);
/// How often while none takes writes.
const SEARCH: Duration = Duration::from_millis(100);
