//! Directories, and files that hold secrets.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

use rustix::fs::{Access, access, statvfs};

use super::Check;

/// Whether a service can keep its files in `path`, which it makes if need be.
#[must_use]
pub fn directory(name: &'static str, setting: &'static str, path: &Path) -> Check {
    let shown = path.display();
    let other = format!("choose another {setting}, or let this user write there");
    // What is not there is made in the nearest directory that is.
    let Some(there) = path.ancestors().map(or_here).find(|path| path.exists()) else {
        return Check::fail(name, format!("{shown} cannot be made"), other);
    };
    if !there.is_dir() {
        return Check::fail(name, format!("{} is no directory", there.display()), other);
    }
    if let Err(error) = access(there, Access::WRITE_OK | Access::EXEC_OK) {
        return Check::fail(name, format!("{} cannot be written: {error}", there.display()), other);
    }
    let free = match statvfs(there) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => {
            let found = format!("the free space of {} is not known: {error}", there.display());
            return Check::warn(name, found, "look at the disk");
        }
    };
    let state =
        if there == or_here(path) { "can be written" } else { "is made by the first start" };
    let found = format!("{shown} {state}; {} MiB are free", free / MIB);
    let mend = "make room on its disk: writes are refused when it is full";
    match free {
        0..LEAST => Check::fail(name, found, mend),
        LEAST..LITTLE => Check::warn(name, found, mend),
        _ => Check::ok(name, found),
    }
}

/// The empty path, which a relative one begins in, is the directory at hand.
fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// Whether a file that holds a secret is there, and its owner's alone. `absent` is what it means if
/// it is not there.
///
/// # Errors
///
/// The check that fails: it cannot be read.
pub fn secret_file(
    name: &'static str,
    setting: &'static str,
    path: &Path,
    absent: Check,
) -> Result<Check, Check> {
    let shown = path.display();
    let mode = match fs::metadata(path).and_then(|file| fs::File::open(path).map(|_| file)) {
        Ok(file) => file.permissions().mode() & 0o777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(absent),
        Err(error) => {
            let mend = format!("let this user read it, or name another file by {setting}");
            return Err(Check::fail(name, format!("{shown}: {error}"), mend));
        }
    };
    let found = format!("{shown} has mode {mode:04o}");
    let mend = format!("chmod 600 {shown}, and replace what others may have read");
    Ok(match mode {
        _ if mode & 0o007 != 0 => Check::fail(name, found, mend),
        // An orchestrator may give secrets to a group.
        _ if mode & 0o070 != 0 => Check::warn(name, found, mend),
        _ => Check::ok(name, found),
    })
}

/// [`secret_file`], for one that must be there because `setting` names it.
#[must_use]
pub fn given_secret(name: &'static str, setting: &'static str, path: &Path) -> Check {
    let mend = format!("write the secret there, or name another file by {setting}");
    let absent = Check::fail(name, format!("{} is missing", path.display()), mend);
    secret_file(name, setting, path, absent).unwrap_or_else(|check| check)
}

const MIB: u64 = 1024 * 1024;
const LEAST: u64 = 64 * MIB;
const LITTLE: u64 = 1024 * MIB;

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_secret_file_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let verdict = || {
            let absent = Check::warn("secret", "is not there", "make it");
            secret_file("secret", "--secret", &path, absent).map(|check| check.verdict())
        };
        assert_eq!(verdict().map_err(|check| check.verdict()), Err(Verdict::Warn));
        fs::write(&path, "hush").unwrap();
        for (mode, expected) in
            [(0o600, Verdict::Ok), (0o640, Verdict::Warn), (0o604, Verdict::Fail)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(verdict(), Ok(expected));
        }
    }

    #[test]
    fn a_directory_may_be_made_later_but_not_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let there = format!("{:?}", directory("data", "--data-dir", dir.path()));
        assert!(there.contains("can be written"), "{there}");
        let later = dir.path().join("a/b");
        let later = format!("{:?}", directory("data", "--data-dir", &later));
        assert!(later.contains("is made by the first start"), "{later}");
        assert!(!dir.path().join("a").exists(), "nothing was made");
        fs::write(dir.path().join("file"), "").unwrap();
        let inside = directory("data", "--data-dir", &dir.path().join("file/b"));
        assert_eq!(inside.verdict(), Verdict::Fail);
    }
}
