//! Folders and files for their user alone.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use transport::whole_file::{self, IfThere};

/// Makes a folder and what is above it. One that is there stays as it is.
pub(super) fn folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Puts `bytes` in the place of what the file holds, wholly or not at all.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    whole_file::write(path, bytes, IfThere::Replace)
}

/// Writes a file that was not there: `stem.extension`, or `stem-2.extension` and so on.
pub(super) fn create(
    folder: &Path,
    stem: &str,
    extension: &str,
    bytes: &[u8],
) -> io::Result<PathBuf> {
    for n in 1_u32.. {
        let name = match n {
            1 => format!("{stem}.{extension}"),
            n => format!("{stem}-{n}.{extension}"),
        };
        let path = folder.join(name);
        match private(OpenOptions::new().write(true).create_new(true), &path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
            Ok(mut file) => {
                file.write_all(bytes)?;
                file.sync_all()?;
                return Ok(path);
            }
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn private(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_file_never_overwrites_another() {
        let dir = tempfile::tempdir().unwrap();
        let first = create(dir.path(), "tree", "md", b"one").unwrap();
        let second = create(dir.path(), "tree", "md", b"two").unwrap();
        assert_ne!(first, second);
        assert_eq!(fs::read(first).unwrap(), b"one");
        replace(&second, b"three").unwrap();
        assert_eq!(fs::read(second).unwrap(), b"three");
    }
}
