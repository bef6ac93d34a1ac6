//! What kind of value a key takes, and how it is written in TOML.

use std::{any::TypeId, num::NonZeroUsize};

use clap::Arg;

/// The kinds of TOML that settings are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Integer,
    Text,
}

impl Kind {
    pub(super) fn of(arg: &Arg) -> Self {
        let parsed = arg.get_value_parser().type_id();
        let is = |types: &[TypeId]| types.iter().any(|id| parsed == *id);
        if is(&[TypeId::of::<bool>()]) {
            Self::Boolean
        } else if is(&[
            TypeId::of::<u16>(),
            TypeId::of::<u32>(),
            TypeId::of::<u64>(),
            TypeId::of::<usize>(),
            TypeId::of::<NonZeroUsize>(),
        ]) {
            Self::Integer
        } else {
            Self::Text
        }
    }
}

/// What to write, for somebody who wrote something else.
pub(super) fn expected(arg: &Arg) -> &'static str {
    let name = arg.get_value_names().and_then(|names| names.first());
    match (Kind::of(arg), name.map(clap::builder::Str::as_str)) {
        (Kind::Boolean, _) => "true or false",
        (Kind::Integer, _) => "a whole number without quotes, such as 64",
        (Kind::Text, Some("ADDRESS")) => r#"an address such as "127.0.0.1:50051""#,
        (Kind::Text, Some("DURATION")) => r#"a duration such as "90s", "15m" or "7d""#,
        (Kind::Text, Some("DIR" | "FILE")) => r#"a path such as "/var/lib/evergreen""#,
        (Kind::Text, Some("NETWORKS")) => r#"networks such as "10.0.0.0/8,192.0.2.7""#,
        (Kind::Text, Some("URL")) => r#"a URL such as "scheme://host:port""#,
        (Kind::Text, _) => "text in quotes",
    }
}

/// Whether it is, or holds, what nobody may read: what is hidden in `--help` is hidden elsewhere.
pub(super) fn is_secret(arg: &Arg) -> bool {
    arg.is_hide_env_values_set()
}

/// `text` as a TOML string.
pub(super) fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|char| match char {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        char if char.is_control() => format!("\\u{:04X}", u32::from(char)),
        char => char.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}
