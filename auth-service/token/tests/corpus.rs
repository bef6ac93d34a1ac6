//! The fuzzer's corpus, looked at without a fuzzer.

mod judge;

use std::{collections::HashMap, fs};

use judge::{Server, Verdict};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/authorization");

/// Fault 48.
#[test]
fn nothing_in_the_corpus_is_taken_for_what_it_is_not() {
    let server = Server::new();
    let mut verdicts = HashMap::<Verdict, u32>::new();
    for entry in fs::read_dir(CORPUS).unwrap() {
        let value = fs::read(entry.unwrap().path()).unwrap();
        *verdicts.entry(server.judge(&value)).or_default() += 1;
    }
    // Each kind is there, so the fuzzer begins with what good tokens are made of.
    for (good, token) in [
        (Verdict::AccessToken, &server.access_token),
        (Verdict::RunOutAccessToken, &server.run_out_access_token),
        (Verdict::RefreshToken, &server.refresh_token),
    ] {
        let seen = verdicts.get(&good).copied();
        assert_eq!(seen, Some(1), "put one {good:?} into {CORPUS}: Bearer {token}");
    }
    assert!(verdicts[&Verdict::Refused] >= 20 && verdicts[&Verdict::NoBearer] >= 5, "{verdicts:?}");
}

/// Fault 48: every token that differs from a good one in one byte.
#[test]
fn no_neighbour_of_a_good_token_is_good() {
    let server = Server::new();
    for good in [&server.access_token, &server.run_out_access_token, &server.refresh_token] {
        let mut value = format!("Bearer {good}").into_bytes();
        for place in "Bearer ".len()..value.len() {
            let right = value[place];
            for wrong in [right ^ 1, right ^ 0x20, b'A', b'_', b'=', b'.', b'+', 0, 0xFF] {
                value[place] = wrong;
                let verdict = server.judge(&value);
                let refused = matches!(verdict, Verdict::Refused | Verdict::NoBearer);
                assert!(refused || wrong == right, "{verdict:?} with {wrong} at {place}");
            }
            value[place] = right;
        }
    }
}
