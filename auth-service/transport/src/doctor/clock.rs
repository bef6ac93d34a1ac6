//! Whether the clock can be right.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use sqlx::PgConnection;
use token::clock::{Clock, Timestamp};

use super::Check;

/// Whether `now` is not before something that has happened: the files here were written, and this
/// program was built.
#[must_use]
pub fn against_files(now: Timestamp, files: &[&Path]) -> Check {
    let program = env::current_exe().ok();
    let files = files.iter().map(|&path| path.to_owned()).chain(program);
    let newest = files.filter_map(|path| Some((written(&path)?, path))).max();
    let Some((written, path)) = newest else {
        return Check::warn(CLOCK, "there is nothing to compare it with", "see that it is right");
    };
    let ahead = written.saturating_since(now);
    if ahead > FILES_DIFFER {
        let found = format!(
            "it is {}s before {} was written, which cannot be",
            ahead.as_secs(),
            path.display()
        );
        return Check::fail(CLOCK, found, MEND);
    }
    Check::ok(CLOCK, format!("it is later than {} was written", path.display()))
}

/// Whether the clock that said `before` and then `after` agrees with a server's, which said `there`
/// in between, within `allowed`.
fn against_database(
    before: Timestamp,
    there: Timestamp,
    after: Timestamp,
    allowed: Duration,
) -> Check {
    let apart = there.saturating_since(after).max(before.saturating_since(there));
    let found = match apart {
        Duration::ZERO => "it agrees with PostgreSQL's".to_owned(),
        apart => format!("it is {}ms from PostgreSQL's", apart.as_millis()),
    };
    if apart > FAR_APART {
        Check::fail(CLOCK, found, MEND)
    } else if apart > allowed {
        Check::warn(CLOCK, found, MEND)
    } else {
        Check::ok(CLOCK, found)
    }
}

/// Whether `clock` agrees with that of the PostgreSQL server at the other end, within `allowed`. None if
/// it does not say what it has.
pub async fn against_postgres(
    connection: &mut PgConnection,
    clock: &dyn Clock,
    allowed: Duration,
) -> Option<Check> {
    let statement = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    let before = clock.now();
    let there = sqlx::query_scalar(statement).fetch_one(connection).await.ok()?;
    let there = Timestamp::from_unix_millis(there);
    Some(against_database(before, there, clock.now(), allowed))
}

fn written(path: &PathBuf) -> Option<Timestamp> {
    let written = fs::metadata(path).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_unix_millis(i64::try_from(written.as_millis()).ok()?))
}

const CLOCK: &str = "clock";
const MEND: &str = "set it by NTP (timedatectl set-ntp true), here and there";
/// A file server has a clock of its own.
const FILES_DIFFER: Duration = Duration::from_secs(60);
const FAR_APART: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_clock_is_behind_nothing_that_has_happened() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let at = written(&file).unwrap();
        let verdict = |now| against_files(now, &[&file]).verdict();
        assert_eq!(verdict(at), Verdict::Ok);
        assert_eq!(verdict(at + Duration::from_secs(3_000_000)), Verdict::Ok);
        assert_eq!(verdict(Timestamp::from_unix_seconds(0)), Verdict::Fail);
    }

    #[test]
    fn two_clocks_may_differ_by_as_much_as_is_allowed() {
        let at = |millis: i64| Timestamp::from_unix_millis(1_800_000_000_000 + millis);
        let verdict =
            |there| against_database(at(0), at(there), at(10), Duration::from_secs(2)).verdict();
        for agreed in [5, 2_010, -2_000] {
            assert_eq!(verdict(agreed), Verdict::Ok, "{agreed}");
        }
        for doubtful in [2_011, -2_001, 60_010] {
            assert_eq!(verdict(doubtful), Verdict::Warn, "{doubtful}");
        }
        for wrong in [60_011, -60_001] {
            assert_eq!(verdict(wrong), Verdict::Fail, "{wrong}");
        }
    }
}
