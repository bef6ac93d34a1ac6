//! Runs this program.

use service_program::Program;
pub(crate) use service_program::{Ended, Place, Serving, sql};

/// A directory for it.
pub(crate) fn place() -> Place {
    Place::of(Program {
        path: env!("CARGO_BIN_EXE_auth-service"),
        ready: "AuthService is ready on ",
        data: &["--data-dir=data", "--hash-memory-kib=64", "--hash-iterations=1"],
    })
}
