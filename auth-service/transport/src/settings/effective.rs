//! The settings as they came out, and where each came from.

use std::fmt;

use clap::{Arg, ArgMatches, Command, parser::ValueSource};
use secrecy::{ExposeSecret, SecretString};

use super::{
    file::SettingsFile,
    key::{Kind, is_secret, quoted},
};
use crate::database_url::redacted;

/// The settings as they came out. Its text is a TOML file of them that says of each where it came
/// from; secrets are not in it.
#[derive(Clone, Debug, Default)]
pub struct Effective(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    key: String,
    /// In TOML; none if it is not set.
    value: Option<String>,
    /// As it was given, to be compared: it may be a secret.
    raw: Option<SecretString>,
    origin: String,
}

impl Effective {
    /// What `matches` says of each argument of `settings`.
    pub(super) fn new(settings: &Command, matches: &ArgMatches, file: &SettingsFile) -> Self {
        let entry = |arg: &Arg| {
            let key = arg.get_id().to_string();
            let value = value(arg, matches);
            let origin = match matches.value_source(&key) {
                Some(ValueSource::CommandLine) => {
                    format!("flag --{}", arg.get_long().unwrap_or_default())
                }
                Some(ValueSource::EnvVariable) => {
                    let name = arg.get_env().unwrap_or_default();
                    format!("environment {}", name.to_string_lossy())
                }
                _ => match file.said.get(&key) {
                    Some(said) => format!("file {}, line {}", file.path.display(), said.line),
                    None => "default".to_owned(),
                },
            };
            let raw = raw(arg, matches).map(SecretString::from);
            Entry { key, value, raw, origin }
        };
        Self(settings.get_arguments().map(entry).collect())
    }

    /// What a setting was given as; none if it is not set, or none.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|entry| entry.key == key)?.text()
    }

    /// The keys of the settings that are others in `now`, wherever they come from there.
    #[must_use]
    pub fn changes<'a>(&self, now: &'a Self) -> Vec<&'a str> {
        let changed = now.0.iter().filter(|entry| self.text(&entry.key) != entry.text());
        changed.map(|entry| entry.key.as_str()).collect()
    }
}

impl Entry {
    fn text(&self) -> Option<&str> {
        self.raw.as_ref().map(ExposeSecret::expose_secret)
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |entry: &Entry| match &entry.value {
            Some(value) => format!("{} = {value}", entry.key),
            // So that it can be told from the empty text.
            None => format!("# {} is not set", entry.key),
        };
        let widths = self.0.iter().map(|entry| line(entry).chars().count());
        let width = widths.filter(|width| *width <= WIDEST).max().unwrap_or_default();
        self.0.iter().try_for_each(|entry| match entry.value {
            Some(_) => writeln!(f, "{:<width$}  # {}", line(entry), entry.origin),
            None => writeln!(f, "{}", line(entry)),
        })
    }
}

fn value(arg: &Arg, matches: &ArgMatches) -> Option<String> {
    let key = arg.get_id().as_str();
    let raw = raw(arg, matches)?;
    Some(match Kind::of(arg) {
        // A variable may say yes or 1.
        Kind::Boolean => matches.try_get_one::<bool>(key).ok()??.to_string(),
        Kind::Integer => raw.parse().map_or_else(|_| raw.to_owned(), |n: u64| n.to_string()),
        Kind::Text if is_secret(arg) => quoted(&redacted(raw)),
        Kind::Text => quoted(raw),
    })
}

fn raw<'a>(arg: &Arg, matches: &'a ArgMatches) -> Option<&'a str> {
    matches.try_get_raw(arg.get_id().as_str()).ok()??.next()?.to_str()
}

/// A longer line does not move the comments of the others.
const WIDEST: usize = 56;
