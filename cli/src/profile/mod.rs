//! Profiles: each has a session, and knows which servers it is with.

mod import;
mod name;
mod place;
mod private;
mod settings;

use std::path::{Path, PathBuf};

use etcetera::AppStrategy as _;

pub(crate) use self::{
    import::{Import, Key},
    name::{DEFAULT, Name},
    place::{Kept, Place},
    settings::{API_URL, AUTH_URL, Settings, Tls},
};
use crate::errors::{Error, Exit};

/// A profile's folder.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) name: Name,
    folder: PathBuf,
}

impl Profile {
    /// The profile of this name, below `home` or else where the system keeps settings. Nothing is
    /// written yet.
    pub(crate) fn find(name: Name, home: Option<&Path>) -> Result<Self, Error> {
        let home = match home {
            Some(home) => home.to_owned(),
            None => system_home()?,
        };
        let folder = home.join("profiles").join(name.as_str());
        Ok(Self { name, folder })
    }

    /// Makes the folder, if need be, for its user alone.
    pub(crate) fn make(&self) -> Result<(), Error> {
        private::folder(&self.folder).map_err(|e| Error::io("make", &self.folder, &e))
    }

    /// Where its session is, if it is kept in a file.
    fn session_file(&self) -> PathBuf {
        self.folder.join("session.json")
    }

    /// What it remembers; nothing, if it is new.
    pub(crate) fn settings(&self) -> Result<Settings, Error> {
        let path = self.settings_file();
        match std::fs::read_to_string(&path) {
            Ok(text) => Settings::parse(&text).ok_or_else(|| {
                Error::new(Exit::Failure, format!("{} holds no settings", path.display()))
                    .then("Remove it, and log in again with `--auth` and `--api`.")
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Settings::default()),
            Err(e) => Err(Error::io("read", &path, &e)),
        }
    }

    /// Remembers `settings`.
    pub(crate) fn remember(&self, settings: &Settings) -> Result<(), Error> {
        self.make()?;
        let path = self.settings_file();
        private::replace(&path, settings.to_text().as_bytes())
            .map_err(|e| Error::io("write", &path, &e))
    }

    /// Keeps `text` in a new file of the profile's, whose name begins with `stem`.
    pub(crate) fn keep(&self, stem: &str, text: &str) -> Result<PathBuf, Error> {
        let folder = self.folder.join("edits");
        let made = private::folder(&folder);
        made.and_then(|()| private::create(&folder, stem, "md", text.as_bytes()))
            .map_err(|e| Error::io("keep a file in", &folder, &e))
    }

    fn settings_file(&self) -> PathBuf {
        self.folder.join("profile.json")
    }
}

fn system_home() -> Result<PathBuf, Error> {
    let args = etcetera::AppStrategyArgs {
        top_level_domain: "dev".to_owned(),
        author: "evergreen".to_owned(),
        app_name: "evergreen".to_owned(),
    };
    let strategy = etcetera::choose_app_strategy(args);
    let strategy = strategy.map_err(|e| {
        Error::new(Exit::Failure, format!("there is no home directory: {e}"))
            .then("Say where profiles are kept: `--config-dir DIR` or EVERGREEN_CONFIG_DIR.")
    })?;
    Ok(strategy.config_dir())
}
