//! Each row of the decision table, at its edges, and what holds over random histories.

use proptest::prelude::*;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);
const POLICY: Policy = Policy::new(DAY, Duration::from_secs(10), Duration::from_secs(30), true);
const START: Timestamp = Timestamp::from_unix_seconds(1_000_000);

/// A stand-in for the key ring: the nonce spells out key and generation.
#[derive(Debug)]
struct Key(u8);

impl Successors for Key {
    fn nonces(&self, generation: u64) -> Box<dyn Iterator<Item = Nonce> + '_> {
        Box::new(std::iter::once(derived(self.0, generation)))
    }
}

fn derived(key: u8, generation: u64) -> Nonce {
    let mut bytes = [0xD0; 16];
    bytes[0] = key;
    bytes[8..].copy_from_slice(&generation.to_be_bytes());
    Nonce::from_bytes(bytes)
}

fn random(seed: u8) -> Nonce {
    Nonce::from_bytes([seed; 16])
}

/// A token that was minted at `START`.
fn presented(generation: u64, nonce: Nonce, attempt: Attempt<'_>) -> Presented<'_> {
    Presented {
        generation,
        nonce,
        issued_at: START,
        auth_time: START,
        expires_at: START + 30 * DAY,
        attempt,
        after_superseded: false,
    }
}

fn keyless() -> Attempt<'static> {
    Attempt::Keyless { fresh: random(0xFF) }
}

/// A session that rotated once, at `START`, by the attempt with key 1 or by one without a key.
fn rotated_once(keyed: bool) -> Row {
    let successor =
        Successor { generation: 1, nonce: if keyed { derived(1, 1) } else { random(1) }, keyed };
    Row::first(random(0), START, START + DAY, START + 30 * DAY).rotated(&successor, START, &POLICY)
}

fn at(seconds: f64) -> Timestamp {
    START + Duration::from_secs_f64(seconds)
}

#[test]
fn the_current_token_rotates_and_its_key_names_the_successor() {
    let row = Row::first(random(0), START, START + DAY, START + 30 * DAY);
    let decision =
        decide(&presented(0, random(0), Attempt::Keyed(&Key(7))), Some(&row), &POLICY, START);
    let successor = Successor { generation: 1, nonce: derived(7, 1), keyed: true };
    assert_eq!(decision, Decision::Rotate(successor));
    let decision = decide(&presented(0, random(0), keyless()), Some(&row), &POLICY, START);
    let successor = Successor { generation: 1, nonce: random(0xFF), keyed: false };
    assert_eq!(decision, Decision::Rotate(successor));
}

#[test]
fn the_same_attempt_gets_the_same_successor_until_the_session_ends() {
    let row = rotated_once(true);
    let again = presented(0, random(0), Attempt::Keyed(&Key(1)));
    let last = START + DAY - Duration::from_millis(1);
    for now in [START, at(5.0), at(3600.0), last] {
        assert_eq!(decide(&again, Some(&row), &POLICY, now), Decision::Repeat);
    }
    assert_eq!(decide(&again, Some(&row), &POLICY, START + DAY), Decision::Expired);
    // The flag changes nothing for an attempt that is recognised.
    let flagged = Presented { after_superseded: true, ..again };
    assert_eq!(decide(&flagged, Some(&row), &POLICY, START), Decision::Repeat);
}

#[test]
fn a_plain_client_may_repeat_itself_within_the_grace_and_not_after_a_keyed_rotation() {
    let retry = presented(0, random(0), keyless());
    let row = rotated_once(false);
    assert_eq!(decide(&retry, Some(&row), &POLICY, at(9.999)), Decision::Repeat);
    let reused = Decision::Reused { seen: row.head() };
    assert_eq!(decide(&retry, Some(&row), &POLICY, at(10.0)), reused);
    let strict = Policy { reuse_grace: Duration::ZERO, ..POLICY };
    assert_eq!(decide(&retry, Some(&row), &strict, START), reused);
    let keyed = rotated_once(true);
    assert_eq!(
        decide(&retry, Some(&keyed), &POLICY, START),
        Decision::Reused { seen: keyed.head() }
    );
}

#[test]
fn a_keyed_rival_is_superseded_within_the_window_and_caught_after_it() {
    let row = rotated_once(true);
    let rival = presented(0, random(0), Attempt::Keyed(&Key(2)));
    assert_eq!(decide(&rival, Some(&row), &POLICY, at(29.999)), Decision::Superseded);
    let reused = Decision::Reused { seen: row.head() };
    assert_eq!(decide(&rival, Some(&row), &POLICY, at(30.0)), reused);
    let flagged = Presented { after_superseded: true, ..rival };
    assert_eq!(decide(&flagged, Some(&row), &POLICY, START), reused);
}

#[test]
fn a_clock_set_back_widens_the_window_and_revokes_nobody() {
    let row = rotated_once(true);
    let rival = presented(0, random(0), Attempt::Keyed(&Key(2)));
    let before = START - Duration::from_secs(3600);
    assert_eq!(decide(&rival, Some(&row), &POLICY, before), Decision::Superseded);
}

#[test]
fn a_late_copy_of_an_attempt_that_won_is_recognised_for_eight_generations() {
    let mut row = Row::first(random(0), START, START + DAY, START + 30 * DAY);
    let copy = presented(0, random(0), Attempt::Keyed(&Key(1)));
    for generation in 1..=9 {
        let successor = Successor { generation, nonce: derived(1, generation), keyed: true };
        row = row.rotated(&successor, START, &POLICY);
        let expected = match generation {
            1 => Decision::Repeat,
            2..=8 => Decision::Superseded,
            _ => Decision::Reused { seen: row.head() },
        };
        // Long after the rival window, so that only the memory of nonces can excuse it.
        assert_eq!(decide(&copy, Some(&row), &POLICY, at(60.0)), expected, "{generation}");
    }
}

#[test]
fn a_late_copy_is_excused_by_a_row_that_adopted_a_newer_token() {
    let adopting = Successor { generation: 6, nonce: derived(3, 6), keyed: true };
    let first = Row::first(random(0), START, START + DAY, START + 30 * DAY);
    let mut row = first.adopted(random(5), &adopting, START, &POLICY);
    // Long after the rival window.
    let now = at(60.0);
    let before = presented(0, random(0), Attempt::Keyed(&Key(1)));
    let lost = presented(4, random(4), Attempt::Keyed(&Key(1)));
    for copy in [before, lost] {
        assert_eq!(decide(&copy, Some(&row), &POLICY, now), Decision::Superseded);
        let reused = Decision::Reused { seen: row.head() };
        let flagged = Presented { after_superseded: true, ..copy };
        assert_eq!(decide(&flagged, Some(&row), &POLICY, now), reused);
        let plain = Presented { attempt: keyless(), ..copy };
        assert_eq!(decide(&plain, Some(&row), &POLICY, now), reused);
    }
    // Of the token that was adopted, the row knows who spent it.
    let adopted = presented(5, random(5), Attempt::Keyed(&Key(1)));
    let reused = Decision::Reused { seen: row.head() };
    assert_eq!(decide(&adopted, Some(&row), &POLICY, now), reused);
    for (generation, excused) in [(7, true), (8, false)] {
        let successor = Successor { generation, nonce: derived(3, generation), keyed: true };
        row = row.rotated(&successor, START, &POLICY);
        let decision = decide(&before, Some(&row), &POLICY, now);
        assert_eq!(decision == Decision::Superseded, excused, "{generation}");
    }
}

#[test]
fn a_genuine_token_newer_than_its_row_is_adopted_or_unknown() {
    let row = rotated_once(true);
    let newer = presented(5, random(5), Attempt::Keyed(&Key(3)));
    let successor = Successor { generation: 6, nonce: derived(3, 6), keyed: true };
    assert_eq!(
        decide(&newer, Some(&row), &POLICY, START),
        Decision::Adopt { behind: row.head(), successor }
    );
    assert_eq!(decide(&newer, None, &POLICY, START), Decision::Recreate);
    let never = Policy { adopt: false, ..POLICY };
    assert_eq!(decide(&newer, Some(&row), &never, START), Decision::Unknown);
    assert_eq!(decide(&newer, None, &never, START), Decision::Unknown);
}

#[test]
fn an_older_row_ends_no_session_before_a_newer_tokens_idle_end() {
    let mut row = rotated_once(true);
    row.idle_until = START + Duration::from_secs(1);
    let newer = presented(2, random(2), Attempt::Keyed(&Key(1)));
    let now = at(3600.0);
    assert!(matches!(decide(&newer, Some(&row), &POLICY, now), Decision::Adopt { .. }));
    assert_eq!(decide(&newer, Some(&row), &POLICY, START + DAY), Decision::Expired);
    assert_eq!(decide(&newer, None, &POLICY, START + DAY), Decision::Expired);
}

#[test]
fn the_absolute_end_is_final_for_every_token() {
    let mut row = rotated_once(true);
    row.idle_until = START + 60 * DAY;
    let mut current = presented(1, derived(1, 1), Attempt::Keyed(&Key(2)));
    current.issued_at = START + 30 * DAY;
    let end = START + 30 * DAY;
    let before = end - Duration::from_millis(1);
    assert!(matches!(decide(&current, Some(&row), &POLICY, before), Decision::Rotate(_)));
    assert_eq!(decide(&current, Some(&row), &POLICY, end), Decision::Expired);
    row.absolute_until = START;
    assert_eq!(decide(&current, Some(&row), &POLICY, before), Decision::Expired);
}

#[test]
fn a_revoked_session_refuses_every_token_whatever_else_is_true() {
    let row = Row { revoked: true, ..rotated_once(true) };
    for (generation, nonce) in [(0, random(0)), (1, derived(1, 1)), (9, random(9))] {
        let token = presented(generation, nonce, Attempt::Keyed(&Key(1)));
        assert_eq!(decide(&token, Some(&row), &POLICY, START), Decision::Revoked);
        assert_eq!(decide(&token, Some(&row), &POLICY, at(1e9)), Decision::Revoked);
    }
}

#[test]
fn another_token_of_the_current_generation_is_a_fork_and_is_caught() {
    let row = rotated_once(true);
    let fork = presented(1, random(9), Attempt::Keyed(&Key(2)));
    assert_eq!(decide(&fork, Some(&row), &POLICY, at(5.0)), Decision::Superseded);
    assert_eq!(decide(&fork, Some(&row), &POLICY, at(31.0)), Decision::Reused { seen: row.head() });
}

/// One step of a random history: which of the tokens seen so far, by which key, how much later.
fn step() -> impl Strategy<Value = (prop::sample::Index, Option<u8>, bool, u64)> {
    (any::<prop::sample::Index>(), prop::option::of(0_u8..4), any::<bool>(), 0_u64..40)
}

proptest! {
    /// Whatever is presented in whatever order, at most one token is ever current, a repeat answers
    /// exactly that one, and a revoked session stays revoked.
    #[test]
    fn any_history_has_one_live_successor(steps in prop::collection::vec(step(), 1..40)) {
        let mut row = Row::first(random(0), START, START + DAY, START + 30 * DAY);
        let mut seen = vec![row.head()];
        let mut now = START;
        for (turn, (which, key, after_superseded, later)) in steps.into_iter().enumerate() {
            now = now + Duration::from_secs(later);
            let token = seen[which.index(seen.len())];
            let key = key.map(Key);
            let attempt = match &key {
                Some(key) => Attempt::Keyed(key),
                // A random nonce is never drawn twice.
                None => Attempt::Keyless { fresh: random(u8::try_from(turn).unwrap() + 100) },
            };
            let mut token = presented(token.generation, token.nonce, attempt);
            token.after_superseded = after_superseded;
            let before = row.clone();
            match decide(&token, Some(&row), &POLICY, now) {
                Decision::Rotate(successor) => {
                    prop_assert_eq!(before.head(), Head::new(token.generation, token.nonce));
                    row = row.rotated(&successor, now, &POLICY);
                    seen.push(row.head());
                }
                Decision::Repeat => prop_assert_eq!(token.generation + 1, row.generation),
                Decision::Superseded => prop_assert!(token.generation < row.generation),
                Decision::Reused { seen } => {
                    prop_assert_eq!(seen, row.head());
                    row.revoked = true;
                }
                Decision::Revoked => prop_assert!(before.revoked),
                other => prop_assert!(false, "impossible here: {:?}", other),
            }
            prop_assert!(!before.revoked || row == before);
            prop_assert!(row.nonces.iter().count() <= REMEMBERED);
        }
    }
}
