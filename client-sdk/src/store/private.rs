//! Files that are the user's alone.

use std::{
    fmt::Display,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use zeroize::Zeroizing;

use super::{Changed, StoreError, StoreErrorKind, StoreWatch, blocking::off_thread};

/// A file that is replaced as a whole, and that only its owner may read and write.
#[derive(Clone, Debug)]
pub(super) struct PrivateFile {
    path: PathBuf,
    temporary: PathBuf,
    folder: PathBuf,
}

impl PrivateFile {
    pub(super) fn new(path: &Path) -> Self {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        Self { path: path.to_path_buf(), temporary: sibling(path, ".tmp"), folder }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its bytes, or `None` if it is not there.
    pub(super) fn read(&self, limit: usize) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let Some(file) = open(&self.path, OpenOptions::new().read(true))? else { return Ok(None) };
        let length = file.metadata().map_err(|e| failed("look at", &self.path, e))?.len();
        // A buffer that need not grow leaves no copy of a secret behind.
        let length = usize::try_from(length).unwrap_or(limit).min(limit);
        let mut bytes = Zeroizing::new(Vec::with_capacity(length + 64));
        // One more than allowed shows that it is too long.
        file.take(limit as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| failed("read", &self.path, e))?;
        if bytes.len() > limit {
            return Err(StoreError::of_kind(
                StoreErrorKind::Foreign,
                format!("{} is too large for a session record; {MOVE_AWAY}", self.path.display()),
            ));
        }
        Ok(Some(bytes))
    }

    /// Puts `bytes` in its place, so that a crash leaves the old file or the new one.
    pub(super) fn replace(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let write = || {
            // A leftover of a crash may have another mode, so it is not reused.
            match fs::remove_file(&self.temporary) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let mut options = OpenOptions::new();
            let mut file = private(options.write(true).create_new(true)).open(&self.temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&self.temporary, &self.path)?;
            self.sync_folder()
        };
        write().map_err(|e| failed("write", &self.path, e))
    }

    /// Removes it if it is there.
    pub(super) fn remove(&self) -> Result<(), StoreError> {
        match fs::remove_file(&self.path) {
            Ok(()) => self.sync_folder(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
        .map_err(|e| failed("remove", &self.path, e))
    }

    /// A watch of it.
    pub(super) fn watch(&self) -> Box<dyn StoreWatch> {
        Box::new(FileWatch { file: self.clone(), seen: Look::at(&self.path) })
    }

    /// Makes a rename or a removal survive a crash.
    fn sync_folder(&self) -> io::Result<()> {
        if cfg!(unix) { File::open(&self.folder)?.sync_all() } else { Ok(()) }
    }
}

/// Looks at a file once a second. A notification service of the operating system would be faster
/// and does not work on every file system.
#[derive(Debug)]
struct FileWatch {
    file: PrivateFile,
    seen: Look,
}

impl StoreWatch for FileWatch {
    fn changed(&mut self) -> Changed<'_> {
        Box::pin(async move {
            loop {
                let path = self.file.path.clone();
                let look = off_thread(move || Ok(Look::at(&path))).await;
                // Only an ending runtime refuses; then there is nobody to tell.
                if let Ok(look) = look
                    && !look.same(&self.seen)
                {
                    self.seen = look;
                    return;
                }
                tokio::time::sleep(PERIOD).await;
            }
        })
    }
}

/// What a file looked like.
#[derive(Debug)]
enum Look {
    Absent,
    /// The file is kept open, so that the operating system cannot give its identity to the next one.
    There {
        _file: File,
        identity: Identity,
    },
    Unreadable,
}

/// Differs between a file and what replaced it, and mostly after it was written in place.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    file: (u64, u64),
    length: u64,
    modified: Option<SystemTime>,
}

impl Look {
    fn at(path: &Path) -> Self {
        let file = match open_without_following(path, OpenOptions::new().read(true)) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Self::Absent,
            Err(_) => return Self::Unreadable,
        };
        match file.metadata() {
            Ok(metadata) => Self::There { identity: Identity::of(&metadata), _file: file },
            Err(_) => Self::Unreadable,
        }
    }

    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, Self::Absent) | (Self::Unreadable, Self::Unreadable) => true,
            (Self::There { identity: a, .. }, Self::There { identity: b, .. }) => a == b,
            _ => false,
        }
    }
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let file = {
            use std::os::unix::fs::MetadataExt as _;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let file = (0, 0);
        Self { file, length: metadata.len(), modified: metadata.modified().ok() }
    }
}

/// Opens a file that must be ours alone; `None` if it is not there.
pub(super) fn open(path: &Path, options: &mut OpenOptions) -> Result<Option<File>, StoreError> {
    let file = match open_without_following(path, options) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(refused(path, e)),
    };
    let metadata = file.metadata().map_err(|e| failed("look at", path, e))?;
    if !metadata.is_file() {
        return Err(no_file(path, &metadata));
    }
    check_owner(path, &metadata)?;
    Ok(Some(file))
}

/// What could not be opened may be something else than a file, which is the better message.
fn refused(path: &Path, error: io::Error) -> StoreError {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => no_file(path, &metadata),
        _ => failed("open", path, error),
    }
}

fn no_file(path: &Path, metadata: &Metadata) -> StoreError {
    let path = path.display();
    let message = if metadata.is_symlink() {
        format!("{path} is a symbolic link, which saving would replace; name the file itself")
    } else if metadata.is_dir() {
        format!("{path} is a directory; name a file in it")
    } else {
        format!("{path} is no regular file; name another path")
    };
    StoreError::of_kind(StoreErrorKind::Foreign, message)
}

#[cfg(unix)]
fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), StoreError> {
    use std::os::unix::fs::MetadataExt as _;
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    let us = rustix::process::geteuid().as_raw();
    let path = path.display();
    let message = if owner != us {
        format!(
            "{path} belongs to user {owner}, and this process runs as user {us}; name a file of \
             your own, or `chown {us} {path}` if its content can be trusted"
        )
    } else if mode & 0o077 != 0 {
        format!("others may open {path} (mode {mode:04o}); `chmod 600 {path}`")
    } else {
        return Ok(());
    };
    Err(StoreError::of_kind(StoreErrorKind::Permissions, message))
}

#[cfg(not(unix))]
fn check_owner(_: &Path, _: &Metadata) -> Result<(), StoreError> {
    Ok(())
}

/// Opens no symbolic link's target, and does not wait for a pipe's other end.
fn open_without_following(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed());
    }
    private(options).open(path)
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// `path` with `suffix` after its name.
pub(super) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub(super) fn failed(verb: &str, path: &Path, source: impl Display) -> StoreError {
    StoreError::new(format!("cannot {verb} {}: {source}", path.display()))
}

/// What to do about content that is not overwritten.
pub(super) const MOVE_AWAY: &str = "move it away and sign in again";

const PERIOD: Duration = Duration::from_secs(1);
