//! Files that appear whole and durable, or not at all.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicUsize, Ordering},
};

/// What becomes of a file that has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it goes, or it does not")]
pub enum IfThere {
    /// It stays as it is, and the new one does not appear, even if it came in the same moment:
    /// [`io::ErrorKind::AlreadyExists`].
    Keep,
    /// The new one takes its place at once: whoever opens the name finds one of the two.
    Replace,
}

/// Writes a file of these contents that is its owner's alone.
///
/// Whenever this is cut short, by a full disk or the loss of power too, there is under the name what was
/// there before, or all of `contents`. When it returns, they stay. Nothing else is left, but for what a
/// process that was killed was writing: a file with `.unfinished` at the end of its name.
///
/// Those who write at once do not mix; of them, as `if_there` says, the first or the last counts.
///
/// # Errors
///
/// What the system says.
///
/// # Example
///
/// ```
/// use std::{fs, io::ErrorKind};
/// use transport::whole_file::{IfThere, write};
///
/// # fn main() -> std::io::Result<()> {
/// let dir = tempfile::tempdir()?;
/// let file = dir.path().join("account");
/// write(&file, b"first", IfThere::Keep)?;
/// write(&file, b"second", IfThere::Replace)?;
/// let refused = write(&file, b"third", IfThere::Keep).unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
/// assert_eq!(fs::read(&file)?, b"second");
/// # Ok(())
/// # }
/// ```
pub fn write(path: &Path, contents: &[u8], if_there: IfThere) -> io::Result<()> {
    static WRITTEN: AtomicUsize = AtomicUsize::new(0);
    let nth = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let unfinished = beside(path, &format!(".{}-{nth}.unfinished", process::id()));
    // One of that name is of a process that is gone.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = new_private(&unfinished)?;
    if let Err(error) = file.write_all(contents) {
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    put(&unfinished, path, if_there)
}

/// Gives what was written as `unfinished`, in the same directory, the name `path`, as [`write`] does.
/// It has its former name no longer, whatever comes of it.
pub(crate) fn put(unfinished: &Path, path: &Path, if_there: IfThere) -> io::Result<()> {
    let put = File::open(unfinished).and_then(|file| file.sync_all()).and_then(|()| {
        match if_there {
            // A link, unlike a rename, does not replace a file that appeared meanwhile.
            IfThere::Keep => fs::hard_link(unfinished, path),
            IfThere::Replace => fs::rename(unfinished, path),
        }
    });
    if if_there == IfThere::Keep || put.is_err() {
        let removed = fs::remove_file(unfinished);
        put.and(removed)?;
    }
    sync_directory(path)
}

/// `path` with `suffix` behind its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A file that was not there, its owner's alone.
pub(crate) fn new_private(path: &Path) -> io::Result<File> {
    File::options().mode(0o600).create_new(true).write(true).open(path)
}

/// Makes durable which files there are in the directory of `path`.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, thread};

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let files = fs::read_dir(dir).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn of_those_who_write_at_once_one_counts_and_nothing_is_left_beside_it() {
        for (if_there, written) in [(IfThere::Keep, 1), (IfThere::Replace, 8)] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("file");
            let write = |byte: u8| write(&path, &[byte; 10_000], if_there);
            let done = thread::scope(|scope| {
                let all: Vec<_> = (0..8).map(|byte| scope.spawn(move || write(byte))).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
            });
            assert_eq!(done.iter().filter(|done| done.is_ok()).count(), written);
            let kinds = done.into_iter().filter_map(Result::err).map(|error| error.kind());
            assert!(kinds.into_iter().all(|kind| kind == io::ErrorKind::AlreadyExists));
            let found = fs::read(&path).unwrap();
            assert!(found.len() == 10_000 && found.iter().all(|byte| *byte == found[0]));
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(names(dir.path()), ["file"]);
        }
    }

    #[test]
    fn what_cannot_appear_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();
        for if_there in [IfThere::Keep, IfThere::Replace] {
            write(&path, b"text", if_there).unwrap_err();
            assert_eq!(names(dir.path()), ["taken"]);
        }
        write(&dir.path().join("nowhere").join("file"), b"text", IfThere::Keep).unwrap_err();
    }
}
