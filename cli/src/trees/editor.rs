//! Text from the user's editor, or from a file.

use std::{
    env, fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::errors::{Error, Exit};

/// What somebody wrote.
#[derive(Debug)]
pub(super) struct Edited {
    pub(super) text: String,
    /// The file of theirs that it is in, if it is in one.
    pub(super) file: Option<PathBuf>,
}

/// Reads a file, or standard input if it is `-`.
pub(super) fn read(path: &Path) -> Result<Edited, Error> {
    let (text, file) = if path == Path::new("-") {
        let mut text = String::new();
        (io::stdin().read_to_string(&mut text).map(|_| text), None)
    } else {
        (fs::read_to_string(path), Some(path.to_owned()))
    };
    let text = text.map_err(|e| Error::io("read", path, &e))?;
    Ok(Edited { text, file })
}

/// Opens `text` in the user's editor, and returns what it is afterwards.
pub(super) fn edit(text: &str) -> Result<Edited, Error> {
    let editor = ["VISUAL", "EDITOR"].into_iter().filter_map(env::var_os).find(|e| !e.is_empty());
    let editor = editor.unwrap_or_else(|| "vi".into());
    let failed = |e: io::Error| Error::new(Exit::Failure, format!("cannot edit: {e}"));
    let mut file =
        tempfile::Builder::new().prefix("evergreen-").suffix(".md").tempfile().map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.flush()).map_err(failed)?;
    // By the shell, since $EDITOR may have arguments of its own.
    let status = Command::new("sh")
        .args(["-c", r#"exec $0 "$1""#])
        .arg(&editor)
        .arg(file.path())
        .status()
        .map_err(failed)?;
    // Some editors put a new file in the place of the old one, so it is opened anew.
    let edited = fs::read_to_string(file.path()).map_err(failed)?;
    if status.success() {
        return Ok(Edited { text: edited, file: None });
    }
    let message = format!("The editor ({}) failed: {status}.", editor.display());
    if edited == text {
        return Err(Error::new(Exit::Failure, message)
            .then("Nothing was changed. Choose an editor by $EDITOR, or use `--from FILE`."));
    }
    let kept = file.into_temp_path().keep().map_err(|e| failed(e.error))?;
    Err(Error::new(Exit::Failure, message)
        .then(format!("Nothing was changed. Your text is in {}.", kept.display())))
}
