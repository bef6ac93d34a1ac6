//! Runs this program.

use service_program::Program;
pub(crate) use service_program::{Ended, Place, sql};

/// A directory for it.
pub(crate) fn place() -> Place {
    Place::of(Program {
        path: env!("CARGO_BIN_EXE_api-service"),
        ready: "ApiService is ready on ",
        data: &["--data-dir=data"],
    })
}
