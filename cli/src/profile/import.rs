//! The keys under which files are imported, kept so that a repeated command goes on.

use std::{fs, io, path::PathBuf, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};
use token::clock::Timestamp;

use super::{Profile, private};
use crate::{
    errors::{Error, Exit},
    output::json::minute,
};

/// What a profile knows of the import of one file by one user to one place.
#[derive(Debug)]
pub(crate) struct Import {
    folder: PathBuf,
    path: PathBuf,
    source: String,
}

impl Import {
    /// The import of this source.
    pub(crate) fn find(profile: &Profile, source: &str) -> Self {
        let folder = profile.folder.join("imports");
        let path = folder.join(format!("{}.json", Self::digest(&[source])));
        Self { folder, path, source: source.to_owned() }
    }

    /// The key under which to send `text`. One that was begun and not ended goes on, even if what had
    /// not been created yet was mended in between; what was imported whole is known again.
    ///
    /// Refused, if the server may have forgotten the key by `now`: it would create everything again.
    pub(crate) fn key(&self, text: &str, now: Timestamp) -> Result<Key, Error> {
        let kept = match fs::read_to_string(&self.path) {
            Ok(kept) => serde_json::from_str(&kept).unwrap_or(Value::Null),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Value::Null,
            Err(e) => return Err(Error::io("read", &self.path, &e)),
        };
        let ended = kept["imported"].as_str();
        match kept["key"].as_str() {
            Some(key) if ended.is_none_or(|ended| ended == Self::digest(&[text])) => {
                let since = Timestamp::from_unix_seconds(kept["since"].as_i64().unwrap_or(0));
                if now.saturating_since(since) >= REMEMBERED {
                    return Err(forgotten(since, ended.is_some()));
                }
                Ok(Key { text: key.to_owned(), since })
            }
            _ => Ok(Key::new(Self::digest(&[&self.source, text]), now)),
        }
    }

    /// From now on this key is to go on with.
    pub(crate) fn begin(&self, key: &Key) -> Result<(), Error> {
        self.write(&json!({ "key": key.text, "since": key.since.unix_seconds() }))
    }

    /// All of `text` has been created.
    pub(crate) fn end(&self, key: &Key, text: &str) -> Result<(), Error> {
        self.write(&json!({
            "key": key.text,
            "since": key.since.unix_seconds(),
            "imported": Self::digest(&[text]),
        }))
    }

    /// SHA-256 over the parts and their lengths, in hexadecimal.
    pub(crate) fn digest(parts: &[&str]) -> String {
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        digest(&SHA256, &bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn write(&self, value: &Value) -> Result<(), Error> {
        let text = format!("{value}\n");
        let written = private::folder(&self.folder)
            .and_then(|()| private::replace(&self.path, text.as_bytes()));
        written.map_err(|e| Error::io("write", &self.path, &e))
    }
}

/// What the server knows an import by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) text: String,
    /// When the try began that last created something as far as is known: the server counts from
    /// what it creates, and not from tries that find everything there.
    pub(crate) since: Timestamp,
}

impl Key {
    /// One that is used for the first time.
    pub(crate) const fn new(text: String, now: Timestamp) -> Self {
        Self { text, since: now }
    }
}

fn forgotten(since: Timestamp, ended: bool) -> Error {
    let at = prost_types::Timestamp { seconds: since.unix_seconds(), nanos: 0 };
    let at = minute(Some(&at));
    let (what, known) = match ended {
        true => ("was imported", "that it was"),
        false => ("was begun to be imported", "how far it came"),
    };
    let message = format!(
        "This file {what} on {at}, and after seven days the server no longer knows {known}."
    );
    Error::new(Exit::Conflict, message).then(
        "Nothing was imported. `--again` imports it once more, with all that is there already.",
    )
}

/// The server's seven days, less an hour for what is on its way.
const REMEMBERED: Duration = Duration::from_secs((7 * 24 - 1) * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    fn import(dir: &tempfile::TempDir, source: &str) -> Import {
        let name = "default".parse().unwrap();
        Import::find(&Profile::find(name, Some(dir.path())).unwrap(), source)
    }

    #[test]
    fn a_key_lasts_until_all_is_there_and_is_known_again() {
        let dir = tempfile::tempdir().unwrap();
        let first = import(&dir, "ada trees.jsonl");
        let key = first.key("one, twoo", NOW).unwrap();
        assert_eq!((key.text.len(), key.since), (64, NOW));
        first.begin(&key).unwrap();
        // It broke off at the misspelt one; mended, it goes on.
        assert_eq!(first.key("one, two", NOW).unwrap(), key);
        first.end(&key, "one, two").unwrap();
        assert_eq!(first.key("one, two", NOW).unwrap(), key);
        // Another text is another import, and so is another user's.
        assert_ne!(first.key("one, two, three", NOW).unwrap(), key);
        assert_ne!(import(&dir, "bob trees.jsonl").key("one, twoo", NOW).unwrap(), key);
    }

    #[test]
    fn a_key_is_not_used_when_the_server_may_have_forgotten_it() {
        let dir = tempfile::tempdir().unwrap();
        let import = import(&dir, "ada trees.jsonl");
        let key = import.key("one", NOW).unwrap();
        let late = NOW + REMEMBERED;
        let in_time = late - Duration::from_secs(1);
        import.begin(&key).unwrap();
        assert_eq!(import.key("one", in_time).unwrap(), key, "a try does not make it younger");
        let error = import.key("one", late).unwrap_err();
        assert!(error.to_string().contains("begun to be imported on 2026-09-21 14:13"), "{error}");
        import.end(&key, "one").unwrap();
        assert_eq!(import.key("one", in_time).unwrap(), key);
        assert_eq!(import.key("one", late).unwrap_err().exit(), Exit::Conflict);
        // Nothing is known of another text, and it is no import of before.
        assert_eq!(import.key("two", late).unwrap().since, late);
    }

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_790_000_000);
}
