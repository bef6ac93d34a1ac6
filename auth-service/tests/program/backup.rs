//! Backups: made while the service runs, and put back while it does not.

use std::{fs, os::unix::fs::PermissionsExt as _};

use evergreen_proto::auth::v1::{
    RefreshRequest, RegisterRequest, auth_service_client::AuthServiceClient,
};
use tonic::{
    Code, Request,
    transport::{Channel, Endpoint},
};

use crate::harness::{Place, Serving, place, sql};

const PASSWORD: &str = "correct horse battery staple";

fn client(serving: &Serving) -> AuthServiceClient<Channel> {
    let url = format!("http://{}", serving.address);
    AuthServiceClient::new(Endpoint::from_shared(url).unwrap().connect_lazy())
}

/// Registers a user, and gives back their refresh token.
async fn register(serving: &Serving, username: &str) -> String {
    let (username, password) = (username.to_owned(), PASSWORD.to_owned());
    let answer = client(serving).register(RegisterRequest { username, password }).await;
    answer.unwrap().into_inner().tokens.unwrap().refresh_token
}

/// The next refresh token.
async fn refresh(serving: &Serving, token: &str) -> Result<String, Code> {
    let mut request = Request::new(RefreshRequest {});
    let bearer = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    let answer = client(serving).refresh(request).await.map_err(|status| status.code())?;
    Ok(answer.into_inner().tokens.unwrap().refresh_token)
}

/// Whether there is a user of this name.
fn knows(place: &Place, username: &str) -> bool {
    let ended = place.on_data(&["user", "enable", username]);
    let is_known = ended.code == Some(0);
    assert!(is_known || ended.stderr.contains("no user of this name"), "{ended:?}");
    is_known
}

#[tokio::test]
async fn a_backup_is_made_while_the_service_runs_and_restored_while_it_does_not() {
    let place = place();
    let copy = place.path("copy.db");
    let serving = place.serve(&["--open-registration"]);
    register(&serving, "ada").await;
    let said = place.done(&["backup", "copy.db"]);
    assert!(said.contains("the master keys are not in it"), "{said}");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = fs::read(&copy).unwrap();
    assert!(said.contains(&format!("({} bytes)", bytes.len())), "{said}");
    register(&serving, "bob").await;
    let again = place.refused(&["backup", "copy.db"]);
    assert!(again.contains("copy.db exists already"), "{again}");
    assert!(fs::read(&copy).unwrap() == bytes, "nothing is written over");
    let refused = place.refused(&["restore", "copy.db"]);
    assert!(refused.contains("in use by another process; stop it"), "{refused}");

    // Killed, it leaves what was written last in a log beside the file.
    drop(serving);
    assert!(fs::metadata(place.data("auth.db-wal")).unwrap().len() > 0);
    let said = place.done(&["restore", "copy.db"]);
    for told in ["newer than the backup go on", "is so no longer", "must be withdrawn again"] {
        assert!(said.contains(told), "{told}: {said}");
    }
    let former = said.lines().find_map(|line| line.strip_prefix("the former one is kept as "));
    let former = place.path(former.expect(&said));
    assert!(knows(&place, "ada") && !knows(&place, "bob"), "it is the backup's state");
    let mode = fs::metadata(place.data("auth.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // The former one is whole by itself, log and all.
    fs::remove_file(place.data("auth.db")).unwrap();
    fs::rename(former, place.data("auth.db")).unwrap();
    assert!(knows(&place, "ada") && knows(&place, "bob"));
    let ended = place.done(&["restore", "copy.db", "--adopt=false"]);
    assert!(ended.contains("end when they are used next (--adopt false)"), "{ended}");
}

#[tokio::test]
async fn a_session_that_is_newer_than_the_backup_goes_on_unless_it_is_not_adopted() {
    let place = place();
    let serving = place.serve(&["--open-registration"]);
    let ada = register(&serving, "ada").await;
    place.done(&["backup", "copy.db"]);
    let ada = refresh(&serving, &ada).await.unwrap();
    let ada = refresh(&serving, &ada).await.unwrap();
    let bob = register(&serving, "bob").await;
    drop(serving);

    place.done(&["restore", "copy.db"]);
    let serving = place.serve(&[]);
    let ada = refresh(&serving, &ada).await.unwrap();
    assert_eq!(refresh(&serving, &bob).await, Err(Code::Unauthenticated), "it knows no bob");
    drop(serving);

    // The time is in the former one's name, and this one's may be the same second.
    let former = fs::read_dir(place.path("data")).unwrap().map(|file| file.unwrap().path());
    let former = former.filter(|path| path.to_str().unwrap().contains(".before-"));
    former.for_each(|path| fs::remove_file(path).unwrap());
    place.done(&["restore", "copy.db"]);
    let serving = place.serve(&["--adopt=false"]);
    assert_eq!(refresh(&serving, &ada).await, Err(Code::Unauthenticated));
}

#[tokio::test]
async fn a_backup_that_cannot_be_used_is_refused_and_all_is_as_it_was() {
    let place = place();
    place.done(&["migrate"]);
    place.done(&["backup", "sound.db"]);
    let sound = fs::read(place.path("sound.db")).unwrap();
    let before = place.files();
    let refused = |words: &[&str]| {
        let refused = place.refused(&["restore", "copy.db"]);
        for word in words {
            assert!(refused.contains(word), "{word}: {refused}");
        }
        assert!(place.files() == before, "a file was changed: {refused}");
    };
    let copy = place.path("copy.db");
    refused(&["copy.db: No such file"]);
    fs::write(&copy, "no database").unwrap();
    refused(&["copy.db is damaged or no database", "restore another backup"]);
    fs::write(&copy, "").unwrap();
    refused(&["copy.db is empty"]);
    // A page in the middle, which nothing but a check of all of it meets.
    let mut damaged = sound.clone();
    let middle = damaged.len() / 2 / 4_096 * 4_096;
    damaged[middle..middle + 64].fill(0xa5);
    fs::write(&copy, damaged).unwrap();
    refused(&["copy.db is damaged or no database"]);

    const NEWER: &str =
        "INSERT INTO _sqlx_migrations VALUES (9999, 'later', '2030-01-01', 1, x'00', 0)";
    const FOREIGN: &str = "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1";
    for (statement, words) in [
        (NEWER, ["has schema 9999, newer than this program's", "run the newer program"]),
        (FOREIGN, ["has tables that are not this program's", "that belongs to this program"]),
    ] {
        fs::write(&copy, &sound).unwrap();
        sql(&copy, statement).await;
        refused(&words);
    }
    fs::write(&copy, &sound).unwrap();
    fs::write(place.path("copy.db-wal"), "what was written last").unwrap();
    refused(&["has a log beside it", "make one with `backup`"]);
    fs::remove_file(place.path("copy.db-wal")).unwrap();

    let ring = place.data("master.keys");
    let kept = fs::read(&ring).unwrap();
    fs::write(&ring, "bm90IHRoZSBzYW1lIHRoaXJ0eS10d28gYnl0ZXMgISE\n").unwrap();
    let refused = place.refused(&["restore", "copy.db"]);
    assert!(refused.contains("is not the ring that sealed"), "{refused}");
    fs::write(&ring, kept).unwrap();
    place.done(&["restore", "copy.db"]);
}

#[test]
fn a_damaged_database_is_replaced_and_kept_with_its_log() {
    let place = place();
    place.done(&["migrate"]);
    place.done(&["backup", "copy.db"]);
    fs::write(place.data("auth.db"), "no database").unwrap();
    fs::write(place.data("auth.db-wal"), "nor its log").unwrap();
    let said = place.done(&["restore", "copy.db"]);
    let former = said.lines().find_map(|line| line.strip_prefix("the former one is kept as "));
    let former = former.expect(&said);
    assert_eq!(fs::read(place.path(former)).unwrap(), b"no database");
    assert_eq!(fs::read(place.path(&format!("{former}-wal"))).unwrap(), b"nor its log");
    assert!(!place.data("auth.db-wal").exists(), "it would count as the restored one's");
    place.done(&["migrate"]);
}

#[test]
fn a_backup_of_nothing_is_none_and_leaves_nothing() {
    let place = place();
    let refused = place.refused(&["backup", "copy.db"]);
    assert!(refused.contains("there is no data/auth.db"), "{refused}");
    place.done(&["migrate"]);
    let refused = place.refused(&["backup", "absent/copy.db"]);
    assert!(refused.contains("absent/copy.db.unfinished cannot be written"), "{refused}");
    fs::write(place.data("auth.db"), "no database").unwrap();
    let refused = place.refused(&["backup", "copy.db"]);
    assert!(refused.contains("`doctor` tells what is wrong"), "{refused}");
    assert!(!place.path("copy.db").exists() && !place.path("copy.db.unfinished").exists());
}
