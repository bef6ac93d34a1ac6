//! Settings from defaults, a file, the environment and flags, by the one definition that clap has of
//! each.
//!
//! A flag's name with underscores is its key in the file. What the file says becomes the default of
//! that flag before the command line is read: so the environment and flags win over it, and the same
//! parsers judge it.
//!
//! ```
//! use clap::{Args, CommandFactory as _, Parser};
//! use transport::settings::{Program, read};
//!
//! #[derive(Args)]
//! struct Config {
//!     /// How long an access token lives
//!     #[arg(long, default_value = "15m", value_name = "DURATION")]
//!     access_token_ttl: String,
//! }
//!
//! #[derive(Parser)]
//! struct Cli {
//!     /// A TOML file of settings
//!     #[arg(long)]
//!     config: Option<std::path::PathBuf>,
//!     #[command(flatten)]
//!     settings: Config,
//! }
//!
//! # let dir = tempfile::tempdir()?;
//! # let file = dir.path().join("auth.toml");
//! std::fs::write(&file, "access_token_ttl = \"5m\"")?;
//! let program = Program::of::<Config>("auth-service", "EVERGREEN_AUTH_", &[]);
//! let args = ["auth-service", "--config", file.to_str().unwrap_or_default()];
//! let read = read(&program, Cli::command(), args.map(Into::into))?;
//! let ttl = read.matches.get_one::<String>("access_token_ttl");
//! assert_eq!(ttl.map(String::as_str), Some("5m"));
//! assert!(read.effective.to_string().starts_with("access_token_ttl = \"5m\"  # file "));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod effective;
mod environment;
mod file;
mod key;
mod nearest;
mod program;

pub use self::{
    effective::Effective,
    file::FileError,
    program::{Program, Read, ReadError, parse, read},
};
