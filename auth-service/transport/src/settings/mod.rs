//! Settings from defaults, a file, the environment and flags, by the one definition that clap has of
//! each.
//!
//! A flag's name with underscores is its key in the file. What the file says becomes the default of
//! that flag before the command line is read: so the environment and flags win over it, and the same
//! parsers judge it.
//!
//! ```no_run
//! use clap::{Args, Parser};
//! use transport::settings::{Program, parse};
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
//! # fn main() -> Result<(), std::process::ExitCode> {
//! let program = Program::of::<Config>("auth-service", "EVERGREEN_AUTH_", &[]);
//! let (cli, effective) = parse::<Cli>(&program)?;
//! println!("{effective}tokens live for {}", cli.settings.access_token_ttl);
//! # Ok(())
//! # }
//! ```

mod effective;
mod environment;
mod file;
mod key;
mod nearest;
mod program;

pub(crate) use self::program::read;
pub use self::{
    effective::Effective,
    program::{Program, parse},
};
