//! What clients were told, held against what the database says.
//!
//! Every client reports to one [`Ledger`] what it sends and what it is answered. The ledger finds
//! the first word that does not fit: an acknowledged rotation that is gone, a repeated attempt with
//! another successor, a client that was sent away.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use tokio::{
    sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, watch},
    time::{Instant, timeout},
};

use crate::{claims, process::PATIENCE};

/// The books of all clients of one server.
#[derive(Debug, Default)]
pub struct Ledger {
    books: Mutex<Books>,
    tally: watch::Sender<Tally>,
    turns: RwLock<()>,
}

#[derive(Debug, Default)]
struct Books {
    accounts: BTreeMap<String, Account>,
    visits: BTreeMap<String, Visit>,
    down_since: Option<Instant>,
    /// What was said instead of answers, and how often.
    excuses: BTreeMap<String, u64>,
    faults: Vec<String>,
}

/// A session that its client keeps rotating.
#[derive(Debug, Default)]
struct Account {
    /// The newest generation that was acknowledged.
    newest: u64,
    /// The nonce of that generation's token, once it was seen.
    nonce: Option<String>,
    /// The key of the attempt that was sent and has no answer yet.
    attempt: Option<String>,
    /// The key of the attempt whose answer the newest generation is.
    answered: Option<String>,
    /// The nonce of the next generation, where the database has it and the client does not: the
    /// answer was lost.
    ahead: Option<String>,
}

/// A session that begins, and is over soon after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visit {
    LoggedIn,
    LoggingOut,
    LoggedOut,
}

/// A session's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// How often it was rotated.
    pub generation: u64,
    /// The newest token's nonce, in hexadecimal digits.
    pub nonce: String,
    /// Whether it is over.
    pub revoked: bool,
}

/// Exact counts.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Attempts sent, repetitions included.
    pub sent: u64,
    /// Attempts that had no answer, repetitions included.
    pub unanswered: u64,
    /// Logins and logouts that had no answer, repetitions included.
    pub turned_away: u64,
    /// Rotations acknowledged, each once.
    pub acknowledged: u64,
    /// Attempts sent again under their key.
    pub repeated: u64,
    /// Rotations found in the database whose answer was lost.
    pub lost_answers: u64,
    /// Lost answers that a repetition of the attempt got, each the very successor that was stored.
    pub recovered: u64,
    /// Answers that came, were not saved before the client died, and were given again.
    pub unsaved: u64,
    /// Attempts that another one had spent the token of.
    pub superseded: u64,
    /// Logins acknowledged.
    pub logins: u64,
    /// Logouts acknowledged.
    pub logouts: u64,
    /// Words that did not fit.
    pub faults: u64,
    /// The longest time from a kill to the next rotation acknowledged.
    pub longest_outage: Duration,
}

impl Ledger {
    /// Holds back whoever wants to send while [`Ledger::quiet`] is held.
    pub async fn turn(&self) -> RwLockReadGuard<'_, ()> {
        self.turns.read().await
    }

    /// Waits until nobody waits for an answer, and holds back those who come after.
    ///
    /// # Panics
    ///
    /// If somebody waits too long.
    pub async fn quiet(&self) -> RwLockWriteGuard<'_, ()> {
        timeout(PATIENCE, self.turns.write()).await.expect("every attempt ends")
    }

    /// The counts so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally.borrow().clone()
    }

    /// Waits until the counts are such.
    ///
    /// # Panics
    ///
    /// At the first fault, or if nothing comes of it.
    pub async fn until(&self, mut holds: impl FnMut(&Tally) -> bool) {
        let mut tally = self.tally.subscribe();
        let done = tally.wait_for(|tally| tally.faults > 0 || holds(tally));
        let waited = timeout(PATIENCE, done).await.map(drop);
        self.assert_no_faults();
        assert!(waited.is_ok(), "the clients are stuck: {:?}", self.tally());
    }

    /// Nothing that was reported contradicts anything else.
    ///
    /// # Panics
    ///
    /// If something does; the message says what.
    pub fn assert_no_faults(&self) {
        let faults = self.books().faults.clone();
        assert!(faults.is_empty(), "{}\n{}", faults.join("\n"), self.tally());
    }

    /// Something that must not be.
    pub fn fault(&self, what: impl Into<String>) {
        self.books().faults.push(what.into());
        self.count(|tally| tally.faults += 1);
    }

    /// The server that was killed at `died` has been started again: the next answer ends the outage.
    pub fn back_since(&self, died: Instant) {
        self.books().down_since = Some(died);
    }

    /// A client is about to spend `token` under `key`.
    pub fn sending(&self, token: &str, key: &str) {
        let claims = Claims::of(token);
        let mut books = self.books();
        let account = books.accounts.entry(claims.session.clone()).or_default();
        let sending = account.sending(&claims, key);
        drop(books);
        match sending {
            Ok(Sending::First) => self.count(|tally| tally.sent += 1),
            Ok(Sending::Again) => self.count(|tally| {
                tally.sent += 1;
                tally.repeated += 1;
            }),
            Err(fault) => self.fault(format!("session {}: {fault}", claims.session)),
        }
    }

    /// It has been answered, with `successor` as far as that is known.
    pub fn answered(&self, token: &str, key: &str, successor: Option<&str>) {
        let claims = Claims::of(token);
        let mut books = self.books();
        let account = books.accounts.entry(claims.session.clone()).or_default();
        let answer = account.answered(&claims, key, successor.map(Claims::of).as_ref());
        let outage = books.down_since.take().map(|since| since.elapsed()).unwrap_or_default();
        drop(books);
        match answer {
            Ok(answer) => self.count(|tally| {
                match answer {
                    Answer::Rotated => tally.acknowledged += 1,
                    Answer::Recovered => {
                        tally.acknowledged += 1;
                        tally.recovered += 1;
                    }
                    Answer::GivenAgain => tally.unsaved += 1,
                }
                tally.longest_outage = tally.longest_outage.max(outage);
            }),
            Err(fault) => self.fault(format!("session {}: {fault}", claims.session)),
        }
    }

    /// It has not been answered, or by an error that settles nothing.
    pub fn unanswered(&self) {
        self.count(|tally| tally.unanswered += 1);
    }

    /// A login or a logout has not been answered.
    pub fn turned_away(&self) {
        self.count(|tally| tally.turned_away += 1);
    }

    /// What was said instead of an answer.
    pub fn excuse(&self, excuse: String) {
        *self.books().excuses.entry(excuse).or_default() += 1;
    }

    /// What was said instead of answers, and how often.
    #[must_use]
    pub fn excuses(&self) -> BTreeMap<String, u64> {
        self.books().excuses.clone()
    }

    /// Another attempt had spent the token.
    pub fn superseded(&self) {
        self.count(|tally| tally.superseded += 1);
    }

    /// A session has begun that nobody rotates.
    pub fn logged_in(&self, session: &str) {
        self.books().visits.insert(session.to_owned(), Visit::LoggedIn);
        self.count(|tally| tally.logins += 1);
    }

    /// It is about to be ended.
    pub fn logging_out(&self, session: &str) {
        self.books().visits.insert(session.to_owned(), Visit::LoggingOut);
    }

    /// It has ended.
    pub fn logged_out(&self, session: &str) {
        self.books().visits.insert(session.to_owned(), Visit::LoggedOut);
        self.count(|tally| tally.logouts += 1);
    }

    /// The newest generation of each session that was acknowledged.
    #[must_use]
    pub fn generations(&self) -> BTreeMap<String, u64> {
        let books = self.books();
        let accounts = books.accounts.iter();
        accounts.map(|(session, account)| (session.clone(), account.newest)).collect()
    }

    /// Holds the database against the books: nothing acknowledged is missing, and nothing is there
    /// that nobody asked for. Only while nobody waits for an answer: see [`Ledger::quiet`].
    ///
    /// # Panics
    ///
    /// If they differ; the message says where.
    pub fn check(&self, rows: &BTreeMap<String, Row>) {
        let mut lost_answers = 0;
        let mut faults = Vec::new();
        let mut books = self.books();
        for (session, account) in &mut books.accounts {
            match account.check(rows.get(session)) {
                Ok(lost) => lost_answers += u64::from(lost),
                Err(fault) => faults.push(format!("session {session}: {fault}")),
            }
        }
        for (session, visit) in &books.visits {
            let agrees = match (visit, rows.get(session)) {
                (Visit::LoggedIn, Some(row)) => !row.revoked,
                (Visit::LoggingOut, Some(_)) => true,
                (Visit::LoggedOut, Some(row)) => row.revoked,
                (_, None) => false,
            };
            if !agrees {
                faults.push(format!("session {session}: {visit:?}, and {:?}", rows.get(session)));
            }
        }
        drop(books);
        self.count(|tally| tally.lost_answers += lost_answers);
        for fault in faults {
            self.fault(fault);
        }
        self.assert_no_faults();
    }

    /// The same once every client has had its last answer: now nothing may be ahead of the books.
    ///
    /// # Panics
    ///
    /// As [`Ledger::check`], or if a client still waits for an answer.
    pub fn check_settled(&self, rows: &BTreeMap<String, Row>) {
        let waiting = self.books().accounts.values().filter(|a| a.attempt.is_some()).count();
        assert_eq!(waiting, 0, "clients stopped without their last answer");
        self.check(rows);
        let tally = self.tally();
        assert_eq!(tally.recovered, tally.lost_answers, "a lost answer has been got by nobody");
    }

    fn count(&self, change: impl FnOnce(&mut Tally)) {
        self.tally.send_modify(change);
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Sending {
    First,
    Again,
}

enum Answer {
    Rotated,
    Recovered,
    GivenAgain,
}

impl Account {
    fn sending(&mut self, claims: &Claims, key: &str) -> Result<Sending, String> {
        // A client that died after an answer and before it saved it repeats the attempt.
        if claims.generation + 1 == self.newest && self.answered.as_deref() == Some(key) {
            return Ok(Sending::Again);
        }
        if claims.generation != self.newest {
            return Err(format!(
                "generation {} is presented, {} was acknowledged",
                claims.generation, self.newest
            ));
        }
        let nonce = self.nonce.get_or_insert_with(|| claims.nonce.clone());
        if *nonce != claims.nonce {
            return Err(format!("two tokens of generation {}", self.newest));
        }
        match &self.attempt {
            None => {
                self.attempt = Some(key.to_owned());
                Ok(Sending::First)
            }
            Some(under_way) if under_way == key => Ok(Sending::Again),
            Some(_) => Err("an attempt without an answer is given up for another".to_owned()),
        }
    }

    fn answered(
        &mut self,
        claims: &Claims,
        key: &str,
        successor: Option<&Claims>,
    ) -> Result<Answer, String> {
        if let Some(successor) = successor
            && (successor.generation != claims.generation + 1
                || successor.session != claims.session)
        {
            return Err(format!("the successor of {claims:?} is {successor:?}"));
        }
        let nonce = successor.map(|successor| successor.nonce.clone());
        let (known, answer) = if claims.generation == self.newest {
            self.newest += 1;
            self.attempt = None;
            self.answered = Some(key.to_owned());
            let known = self.ahead.take();
            let answer = if known.is_some() { Answer::Recovered } else { Answer::Rotated };
            (known, answer)
        } else {
            (self.nonce.take(), Answer::GivenAgain)
        };
        if let (Some(known), Some(nonce)) = (&known, &nonce)
            && known != nonce
        {
            return Err("a repeated attempt got another successor".to_owned());
        }
        // What is not known of the successor shows when it is presented.
        self.nonce = nonce.or(known);
        Ok(answer)
    }

    /// Tells whether the row shows that an answer was lost.
    fn check(&mut self, row: Option<&Row>) -> Result<bool, String> {
        let Some(row) = row else { return Err("its row is gone".to_owned()) };
        if row.revoked {
            return Err("revoked".to_owned());
        }
        if row.generation == self.newest {
            return match &self.nonce {
                Some(nonce) if *nonce != row.nonce => {
                    Err(format!("generation {} is not the token given out", row.generation))
                }
                _ => Ok(false),
            };
        }
        if row.generation == self.newest + 1 && self.attempt.is_some() {
            return match self.ahead.replace(row.nonce.clone()) {
                Some(before) if before != row.nonce => Err("its head was replaced".to_owned()),
                before => Ok(before.is_none()),
            };
        }
        Err(format!(
            "acknowledged generation {} ({}), and the row says {}",
            self.newest,
            if self.attempt.is_some() { "an attempt under way" } else { "no attempt under way" },
            row.generation
        ))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rotations acknowledged, {} attempts sent ({} repeated, {} unanswered), \
             {} answers lost after the commit ({} got again), {} got and not saved (given again), \
             {} superseded, {} logins, {} logouts \
             ({} unanswered), longest outage {:?}, {} faults",
            self.acknowledged,
            self.sent,
            self.repeated,
            self.unanswered,
            self.lost_answers,
            self.recovered,
            self.unsaved,
            self.superseded,
            self.logins,
            self.logouts,
            self.turned_away,
            self.longest_outage,
            self.faults
        )
    }
}

/// What a refresh token says to whoever holds it.
#[derive(Debug)]
struct Claims {
    session: String,
    generation: u64,
    nonce: String,
}

impl Claims {
    fn of(token: &str) -> Self {
        let claims = claims(token);
        let read = || {
            let nonce = BASE64_URL_SAFE_NO_PAD.decode(claims["non"].as_str()?).ok()?;
            Some(Self {
                session: claims["sid"].as_str()?.to_owned(),
                generation: claims["gen"].as_u64()?,
                nonce: nonce.iter().map(|byte| format!("{byte:02x}")).collect(),
            })
        };
        read().expect("a refresh token has sid, gen and non")
    }
}
