//! Text from the user's editor, or from a file.

use std::{
    env, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    errors::{Error, Exit},
    profile::Profile,
};

/// What somebody wrote.
#[derive(Debug)]
pub(super) struct Edited {
    pub(super) text: String,
    pub(super) place: Place,
}

/// Where else that text is.
#[derive(Debug)]
pub(super) enum Place {
    /// In a file of the profile's, which goes once the text is saved.
    Kept(PathBuf),
    /// Nowhere.
    Nowhere,
    /// In the user's own file.
    Theirs(PathBuf),
}

impl Edited {
    /// The text is where it belongs, and needs no file of ours any more.
    pub(super) fn saved(&self) {
        if let Place::Kept(path) = &self.place {
            forget(path);
        }
    }
}

/// Reads a file, or standard input if it is `-`.
pub(super) fn read(path: &Path) -> Result<Edited, Error> {
    let (text, place) = if path == Path::new("-") {
        let mut text = String::new();
        (io::stdin().read_to_string(&mut text).map(|_| text), Place::Nowhere)
    } else {
        (fs::read_to_string(path), Place::Theirs(path.to_owned()))
    };
    let text = text.map_err(|e| Error::io("read", path, &e))?;
    Ok(Edited { text, place })
}

/// Opens the outline of the tree with this id in the user's editor, and returns what it is
/// afterwards; `None` if it is the same.
///
/// The outline is in a file of the profile's, so that no end of this process loses what was written.
/// The file goes if nothing was written, and by [`Edited::saved`].
pub(super) fn edit(profile: &Profile, tree_id: &str, text: &str) -> Result<Option<Edited>, Error> {
    let path = profile.keep(tree_id, text)?;
    let editor = ["VISUAL", "EDITOR"].into_iter().filter_map(env::var_os).find(|e| !e.is_empty());
    let editor = editor.unwrap_or_else(|| "vi".into());
    // By the shell, since $EDITOR may have arguments of its own.
    let ran = Command::new("sh").args(["-c", r#"exec $0 "$1""#]).arg(&editor).arg(&path).status();
    let failed = match ran {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("The editor ({}) failed: {status}.", editor.display())),
        Err(e) => Some(format!("cannot start an editor: {e}")),
    };
    // Some editors put a new file in the place of the old one, so it is opened anew.
    let edited = fs::read(&path).map_err(|e| Error::io("read", &path, &e))?;
    let same = edited == text.as_bytes();
    if same {
        forget(&path);
    }
    if let Some(message) = failed {
        let error = Error::new(Exit::Failure, message);
        return Err(match same {
            true => error
                .then("Nothing was changed. Choose an editor by $EDITOR, or use `--from FILE`."),
            false => {
                error.then(format!("Nothing was changed. Your text is in {}.", path.display()))
            }
        });
    }
    if same {
        return Ok(None);
    }
    match String::from_utf8(edited) {
        Ok(text) => Ok(Some(Edited { text, place: Place::Kept(path) })),
        Err(_) => Err(Error::invalid("What the editor saved is not UTF-8.").then(format!(
            "Nothing was changed. Your text is in {path}. Turn it into UTF-8, then run `evergreen \
             trees edit {tree_id} --from {path}`.",
            path = path.display()
        ))),
    }
}

/// Removes a file that holds nothing of the user's. If it stays, nothing is lost.
fn forget(path: &Path) {
    let _ = fs::remove_file(path);
}
