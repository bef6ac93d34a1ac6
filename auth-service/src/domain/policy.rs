//! How long things live, and what is demanded of them.

use std::time::Duration;

use crate::domain::rotation;

/// The lifetimes of tokens and sessions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    /// Of an access token.
    pub(crate) access: Duration,
    /// Of a session that nobody refreshes.
    pub(crate) idle: Duration,
    /// Of a session, however often it is refreshed.
    pub(crate) absolute: Duration,
}

impl Lifetimes {
    /// When a client should renew an access token: between 70 and 85 percent of its life, so that a
    /// fleet that started together does not renew together. `unit` is drawn from `0.0..1.0`.
    pub(crate) fn refresh_after(&self, unit: f64) -> Duration {
        self.access.mul_f64(0.70 + 0.15 * unit)
    }
}

/// All that an operator decides about sessions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) lifetimes: Lifetimes,
    pub(crate) rotation: rotation::Policy,
    /// Whether anybody may register.
    pub(crate) open_registration: bool,
    /// Whether a session is bound to the key that its client proved, if it proved one.
    pub(crate) bind_sessions: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_comes_before_the_end_whatever_is_drawn() {
        let lifetimes = Lifetimes {
            access: Duration::from_secs(100),
            idle: Duration::ZERO,
            absolute: Duration::ZERO,
        };
        assert_eq!(lifetimes.refresh_after(0.0), Duration::from_secs(70));
        assert_eq!(lifetimes.refresh_after(1.0), Duration::from_secs(85));
    }
}
