//! The life of a signing key: published, then signing, then published until its last token has run
//! out. So a rotation fails no call: no token is signed by a key that a verifier may not know yet,
//! and no verifier is told to forget a key while a token of it is good.

use std::time::Duration;

use token::clock::Timestamp;

/// Where a signing key stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    /// Published, so that verifiers know it before it signs.
    Next,
    /// Signs.
    Active,
    /// Signs no more; published until its last token has run out.
    Retired,
}

impl KeyState {
    pub(crate) const ALL: [Self; 3] = [Self::Next, Self::Active, Self::Retired];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

/// How long a key stays in each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// How long a key signs.
    pub(crate) life: Duration,
    /// How long it is published before: until no verifier goes by an answer without it.
    pub(crate) lead: Duration,
    /// How long it is published after: until nobody takes the last token that it signed.
    pub(crate) retention: Duration,
}

impl Policy {
    /// What follows from how slow the others may be.
    pub(crate) fn new(life: Duration, slowness: &Slowness) -> Self {
        // An instance that has just not seen the change goes on for a while as before.
        let everywhere = slowness.instances + slowness.clocks;
        Self {
            life,
            lead: everywhere + slowness.request + slowness.verifiers,
            retention: everywhere + slowness.request + slowness.tokens,
        }
    }
}

/// How long a key is published before and after it signs, at the least: the longest of what any
/// instance promised while the key waited or signed.
///
/// Verifiers and tokens go by what they were told. An instance that starts with lower settings does
/// not shorten it, nor does one that has them while another one has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Promised {
    pub(crate) lead: Duration,
    pub(crate) retention: Duration,
}

impl Promised {
    /// Whether an instance of this policy may act on the key without promising more.
    pub(crate) fn covers(&self, policy: &Policy) -> bool {
        self.lead >= policy.lead && self.retention >= policy.retention
    }
}

/// How long what was true before a change may still be acted on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slowness {
    /// Until every instance has read the change.
    pub(crate) instances: Duration,
    /// How far clocks are apart.
    pub(crate) clocks: Duration,
    /// How long an answer is under way.
    pub(crate) request: Duration,
    /// How long a verifier keeps the keys that it was told.
    pub(crate) verifiers: Duration,
    /// How long a token is taken after its signing.
    pub(crate) tokens: Duration,
}

/// A key, as far as its life goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing<'a> {
    pub(crate) kid: &'a str,
    pub(crate) state: KeyState,
    /// When it came into that state.
    pub(crate) state_time: Timestamp,
    /// Since when whoever decides has published it. A key may have been made while no instance
    /// served: what stands in the database alone has not been published.
    pub(crate) published_since: Timestamp,
    pub(crate) promised: Promised,
}

/// A change that is due. Each is carried out by compare-and-set, so that of several instances that
/// find it due one makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Publish a new key.
    MakeNext,
    /// Let the published key sign from now on, and the other no more.
    Promote { next: String, active: String },
    /// Publish a key no longer.
    Remove(String),
}

/// The steps that are due at `now`. They do not depend on each other; more may be due after them.
pub(crate) fn due(keys: &[Standing<'_>], now: Timestamp, policy: &Policy) -> Vec<Step> {
    let of = |state| keys.iter().find(move |key| key.state == state);
    let mut steps: Vec<_> = keys
        .iter()
        .filter(|key| key.state == KeyState::Retired)
        .filter(|key| {
            let retention = policy.retention.max(key.promised.retention);
            now.saturating_since(key.state_time) >= retention
        })
        .map(|key| Step::Remove(key.kid.to_owned()))
        .collect();
    // A verifier may have been told to keep the keys before any of these was made.
    let lead = keys.iter().map(|key| key.promised.lead).fold(policy.lead, Duration::max);
    match (of(KeyState::Active), of(KeyState::Next)) {
        (Some(active), Some(next)) => {
            // Whichever was later: clocks may have been set.
            let published = next.published_since.max(next.state_time);
            if now.saturating_since(published) >= lead {
                let (next, active) = (next.kid.to_owned(), active.kid.to_owned());
                steps.push(Step::Promote { next, active });
            }
        }
        (Some(active), None) => {
            let signed_for = now.saturating_since(active.state_time);
            if signed_for >= policy.life.saturating_sub(lead) {
                steps.push(Step::MakeNext);
            }
        }
        // The first key is made before anything is served.
        (None, _) => {}
    }
    steps
}

#[cfg(test)]
mod tests;
