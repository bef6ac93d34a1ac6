//! The file of settings.

use std::{
    collections::BTreeMap,
    error::Error as _,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use clap::{Arg, Command, builder::Resettable};
use thiserror::Error;
use toml_edit::{Document, Item, Value};

use super::{
    key::{Kind, expected, is_secret},
    nearest::{nearest, question},
};
use crate::database_url::REDACTED;

/// What a file says of the settings it names.
#[derive(Debug, Default)]
pub(super) struct SettingsFile {
    pub(super) path: PathBuf,
    pub(super) said: BTreeMap<String, Said>,
}

/// One value, as the flag would take it, and where it stands.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) line: usize,
}

/// Why a file of settings cannot be used. No message repeats a secret.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    /// A value is of the right kind, and still none that the setting can have.
    #[error("{file}:{line}: {key}: {detail}; expected {expected}", file = .file.display())]
    BadValue {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// What is wrong with it.
        detail: String,
        /// What to write.
        expected: &'static str,
    },
    /// It is no TOML.
    #[error("{file}:{line}: {detail}", file = .file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        detail: String,
    },
    /// `--print-config` has written this where a secret was.
    #[error(
        "{file}:{line}: {key}: holds {REDACTED}, which --print-config writes instead of a secret; \
         write the secret there, or name a file that holds it by {key}_file",
        file = .file.display()
    )]
    Redacted {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
    },
    /// There is no such setting.
    #[error("{file}:{line}: {key} is no setting{}", question(.nearest.as_deref()),
            file = .file.display())]
    UnknownKey {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The setting that may have been meant.
        nearest: Option<String>,
    },
    /// It cannot be read.
    #[error("--config: {file}: {source}; name a file that this user may read",
            file = .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A value is of a kind that the setting does not take.
    #[error("{file}:{line}: {key}: is {found}; expected {expected}", file = .file.display())]
    WrongKind {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// What it is.
        found: &'static str,
        /// What to write.
        expected: &'static str,
    },
}

impl SettingsFile {
    /// Reads `path`; `settings` has an argument for each key that there is.
    pub(super) fn read(path: &Path, settings: &Command) -> Result<Self, FileError> {
        let unreadable = |source| FileError::Unreadable { file: path.to_owned(), source };
        Self::parse(path, &fs::read_to_string(path).map_err(unreadable)?, settings)
    }

    /// A warning, if it holds a secret and others may read it.
    pub(super) fn told_to_others(&self, settings: &Command) -> Option<String> {
        let secret = settings
            .get_arguments()
            .find(|arg| is_secret(arg) && self.said.contains_key(arg.get_id().as_str()))?;
        let mode = fs::metadata(&self.path).ok()?.permissions().mode();
        let (file, key) = (self.path.display(), secret.get_id());
        (mode & 0o007 != 0).then(|| {
            format!("{file} holds a secret ({key}), and others may read it; chmod 600 {file}")
        })
    }

    fn parse(path: &Path, text: &str, settings: &Command) -> Result<Self, FileError> {
        let file = path.to_owned();
        let line = |at: Option<std::ops::Range<usize>>| {
            let before = at.and_then(|at| text.get(..at.start)).unwrap_or_default();
            before.matches('\n').count() + 1
        };
        let document = Document::parse(text).map_err(|error| FileError::Malformed {
            file: file.clone(),
            line: line(error.span()),
            detail: error.message().trim().to_owned(),
        })?;
        let mut said = BTreeMap::new();
        for (key, item) in document.iter() {
            let span = document.key(key).and_then(toml_edit::Key::span);
            let line = line(span.or_else(|| item.span()));
            let Some(arg) = settings.get_arguments().find(|arg| arg.get_id() == key) else {
                let known = settings.get_arguments().map(|arg| arg.get_id().as_str());
                let nearest = nearest(key, known).map(str::to_owned);
                return Err(FileError::UnknownKey { file, line, key: key.to_owned(), nearest });
            };
            let text = text_of(arg, item).map_err(|found| FileError::WrongKind {
                file: file.clone(),
                line,
                key: key.to_owned(),
                found,
                expected: expected(arg),
            })?;
            if is_secret(arg) && text.contains(REDACTED) {
                return Err(FileError::Redacted { file, line, key: key.to_owned() });
            }
            judge(arg, &text).map_err(|detail| FileError::BadValue {
                file: file.clone(),
                line,
                key: key.to_owned(),
                detail,
                expected: expected(arg),
            })?;
            said.insert(key.to_owned(), Said { text, line });
        }
        Ok(Self { path: file, said })
    }
}

/// The value as its flag would be given it, or what it is instead of one.
fn text_of(arg: &Arg, item: &Item) -> Result<String, &'static str> {
    match (Kind::of(arg), item) {
        (Kind::Boolean, Item::Value(Value::Boolean(value))) => Ok(value.value().to_string()),
        (Kind::Integer, Item::Value(Value::Integer(value))) => Ok(value.value().to_string()),
        (Kind::Text, Item::Value(Value::String(value))) => Ok(value.value().clone()),
        (_, Item::Value(Value::Array(_)) | Item::ArrayOfTables(_)) => Err("a list"),
        (_, Item::Value(Value::Boolean(_))) => Err("true or false"),
        (_, Item::Value(Value::Datetime(_))) => Err("a date or time"),
        (_, Item::Value(Value::Float(_) | Value::Integer(_))) => Err("a number"),
        (_, Item::Value(Value::InlineTable(_)) | Item::Table(_)) => {
            Err("a table, and settings are in none")
        }
        (_, Item::Value(Value::String(_))) => Err("text in quotes"),
        (_, Item::None) => Err("nothing"),
    }
}

/// What the flag's own parser says of it.
fn judge(arg: &Arg, text: &str) -> Result<(), String> {
    let Some(long) = arg.get_long() else { return Ok(()) };
    // Its kind says it all, and many a flag of this kind takes no value.
    if Kind::of(arg) == Kind::Boolean {
        return Ok(());
    }
    let alone = arg.clone().env(Resettable::Reset).default_value(Resettable::Reset);
    let judged = Command::new("file")
        .no_binary_name(true)
        .arg(alone)
        .try_get_matches_from([format!("--{long}={text}")]);
    judged.map(drop).map_err(|error| match error.source() {
        Some(source) => source.to_string(),
        None => "is no value for it".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use clap::Args;

    use super::*;

    #[derive(Args)]
    struct Config {
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<SocketAddr>,
        #[arg(long, default_value = "15m", value_name = "DURATION", env = "EVERGREEN_TEST_TTL")]
        access_token_ttl: humantime::Duration,
        #[arg(long, default_value_t = 64)]
        hash_queue: u32,
        #[arg(long)]
        insecure: bool,
        #[arg(long, hide_env_values = true)]
        secret: Option<String>,
    }

    fn parse(text: &str) -> Result<SettingsFile, String> {
        let settings = Config::augment_args(Command::new(""));
        let parsed = SettingsFile::parse(Path::new("auth.toml"), text, &settings);
        parsed.map_err(|error| error.to_string())
    }

    #[test]
    fn each_kind_is_read_as_its_flag_would_take_it() {
        let file = parse(
            "# a comment\nlisten = '127.0.0.1:0'\naccess_token_ttl = \"5m\"\n\nhash_queue = 7\n\
             insecure = true\nsecret = \"\"",
        );
        let said = file.unwrap().said;
        let said = |key: &str| (said[key].text.as_str(), said[key].line);
        assert_eq!(said("listen"), ("127.0.0.1:0", 2));
        assert_eq!(said("access_token_ttl"), ("5m", 3));
        assert_eq!(said("hash_queue"), ("7", 5));
        assert_eq!(said("insecure"), ("true", 6));
        assert_eq!(said("secret"), ("", 7));
    }

    #[test]
    fn whatever_is_wrong_is_named_with_its_line_and_what_is_expected() {
        for (text, named) in [
            (
                "\nacces_token_ttl = '5m'",
                "auth.toml:2: acces_token_ttl is no setting; did you mean access_token_ttl?",
            ),
            (
                "access-token-ttl = '5m'",
                "auth.toml:1: access-token-ttl is no setting; did you mean access_token_ttl?",
            ),
            ("colour = 1", "auth.toml:1: colour is no setting"),
            (
                "\n\nhash_queue = '7'",
                "auth.toml:3: hash_queue: is text in quotes; expected a whole number without quotes, such as 64",
            ),
            ("insecure = 1", "auth.toml:1: insecure: is a number; expected true or false"),
            (
                "access_token_ttl = 300",
                "auth.toml:1: access_token_ttl: is a number; expected a duration such as",
            ),
            (
                "access_token_ttl = 'soon'",
                "auth.toml:1: access_token_ttl: expected number at 0; expected a duration such as",
            ),
            (
                "hash_queue = -1",
                "auth.toml:1: hash_queue: -1 is not in 0..=4294967295; expected a whole number",
            ),
            ("listen = ['a']", "auth.toml:1: listen: is a list; expected an address such as"),
            (
                "[listen]\nport = 1",
                "auth.toml:1: listen: is a table, and settings are in none; expected",
            ),
            ("listen = \n", "auth.toml:1: "),
            ("insecure = true\ninsecure = true", "auth.toml:2: duplicate key"),
            (
                "secret = 'x<redacted>y'",
                "auth.toml:1: secret: holds <redacted>, which --print-config writes",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(named), "{text:?}: {error}");
        }
    }
}
