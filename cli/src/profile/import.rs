//! The keys under which files are imported, kept so that a repeated command goes on.

use std::{fs, io, path::PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{Profile, private};
use crate::errors::Error;

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
    pub(crate) fn key(&self, text: &str) -> Result<String, Error> {
        let kept = match fs::read_to_string(&self.path) {
            Ok(kept) => serde_json::from_str(&kept).unwrap_or(Value::Null),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Value::Null,
            Err(e) => return Err(Error::io("read", &self.path, &e)),
        };
        let ended = kept["imported"].as_str();
        match kept["key"].as_str() {
            Some(key) if ended.is_none_or(|ended| ended == Self::digest(&[text])) => {
                Ok(key.to_owned())
            }
            _ => Ok(Self::digest(&[&self.source, text])),
        }
    }

    /// From now on this key is to go on with.
    pub(crate) fn begin(&self, key: &str) -> Result<(), Error> {
        self.write(&json!({ "key": key }))
    }

    /// All of `text` has been created.
    pub(crate) fn end(&self, key: &str, text: &str) -> Result<(), Error> {
        self.write(&json!({ "key": key, "imported": Self::digest(&[text]) }))
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
        let key = first.key("one, twoo").unwrap();
        assert_eq!(key.len(), 64);
        first.begin(&key).unwrap();
        // It broke off at the misspelt one; mended, it goes on.
        assert_eq!(first.key("one, two").unwrap(), key);
        first.end(&key, "one, two").unwrap();
        assert_eq!(first.key("one, two").unwrap(), key);
        // Another text is another import, and so is another user's.
        assert_ne!(first.key("one, two, three").unwrap(), key);
        assert_ne!(import(&dir, "bob trees.jsonl").key("one, twoo").unwrap(), key);
    }
}
