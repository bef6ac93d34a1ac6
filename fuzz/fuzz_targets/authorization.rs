//! Bytes in the `authorization` metadata: `cargo +nightly fuzz run authorization`.

#![no_main]

#[path = "../../auth-service/token/tests/judge/mod.rs"]
mod judge;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static SERVER: LazyLock<judge::Server> = LazyLock::new(judge::Server::new);

fuzz_target!(|value: &[u8]| {
    SERVER.judge(value);
});
