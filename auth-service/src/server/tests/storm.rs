//! Many logins at once.

use std::num::NonZeroUsize;

use secrecy::ExposeSecret as _;
use tokio::sync::{mpsc, oneshot};

use super::{
    limits::{PASSWORD, serve},
    *,
};
use crate::{app::Origin, domain::guessing::FREE};

const CONCURRENT: usize = 2;
const QUEUED: usize = 8;
const STORM: usize = 500;

/// Has as many hashes begin as may run at a time; they end when what is given back is dropped.
async fn hold_all(app: &Arc<App>) -> Vec<std::sync::mpsc::Sender<()>> {
    let mut releases = Vec::new();
    for _ in 0..CONCURRENT {
        let (release, released) = std::sync::mpsc::channel();
        let (begin, begun) = oneshot::channel();
        let app = Arc::clone(app);
        let caller = tokio::spawn(async move { app.passwords.hold(begin, released).await });
        begun.await.unwrap();
        // Who hangs up frees nothing before the hash is made.
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        releases.push(release);
    }
    releases
}

/// Fault 50: more than there is memory and room for, while two hashes take their time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_five_hundred_logins_at_once_some_wait_the_rest_come_back_and_refreshes_go_on() {
    let served = serve(|config| {
        config.hash_concurrency = NonZeroUsize::new(CONCURRENT);
        config.hash_queue = QUEUED;
    })
    .await;
    let app = &served.app;
    let login = app.login("ada", PASSWORD.into(), String::new(), Origin::default());
    let mut token = login.await.unwrap().refresh_token;
    app.passwords.made.take();

    let releases = hold_all(app).await;
    let (tell, mut answers) = mpsc::unbounded_channel();
    for n in 0..STORM {
        let (app, tell) = (Arc::clone(app), tell.clone());
        tokio::spawn(async move {
            let name = format!("name-{n}");
            let answer = app.login(&name, "wrong".into(), String::new(), Origin::default());
            tell.send(answer.await.unwrap_err()).unwrap();
        });
    }
    for _ in 0..STORM - QUEUED {
        let answer = answers.recv().await.unwrap();
        let AppError::Overloaded { retry_after } = answer else { panic!("{answer:?}") };
        assert!(!retry_after.is_zero());
    }
    // The others wait, and no hash can be made. Refreshes need none.
    for _ in 0..20 {
        token = served.refresh([192, 0, 2, 7], token.expose_secret()).await.unwrap().refresh_token;
    }
    assert!(answers.try_recv().is_err());
    assert!(app.passwords.made.take().is_empty());

    drop(releases);
    for _ in 0..QUEUED {
        assert!(matches!(answers.recv().await.unwrap(), AppError::InvalidCredentials));
    }
    assert_eq!(app.passwords.made.take().len(), QUEUED);
    assert!(
        app.passwords.memories() <= CONCURRENT,
        "memory for more hashes than may run at a time"
    );
    // And there is room again.
    app.login("ada", PASSWORD.into(), String::new(), Origin::default()).await.unwrap();
}

/// One runs at a time under a name, so one has a place among the hashes, and the others' wait is theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_logins_under_one_name_takes_one_place_of_the_queue() {
    let served = serve(|config| {
        config.hash_concurrency = NonZeroUsize::new(CONCURRENT);
        config.hash_queue = QUEUED;
    })
    .await;
    let app = &served.app;
    let releases = hold_all(app).await;
    let try_each = |names: Vec<String>| {
        let (tell, answers) = mpsc::unbounded_channel();
        for name in names {
            let (app, tell) = (Arc::clone(app), tell.clone());
            tokio::spawn(async move {
                let answer = app.login(&name, "wrong".into(), String::new(), Origin::default());
                tell.send(answer.await.unwrap_err()).unwrap();
            });
        }
        answers
    };
    let mut of_one = try_each(vec!["ada".to_owned(); STORM]);
    for _ in 0..STORM - QUEUED - 1 {
        assert!(matches!(of_one.recv().await.unwrap(), AppError::Overloaded { .. }));
    }
    assert_eq!(served.limited("logins_of_name"), STORM - QUEUED - 1);
    let mut of_others = try_each((0..QUEUED).map(|n| format!("name-{n}")).collect());
    assert!(matches!(of_others.recv().await.unwrap(), AppError::Overloaded { .. }));

    drop(releases);
    for _ in 0..QUEUED - 1 {
        assert!(matches!(of_others.recv().await.unwrap(), AppError::InvalidCredentials));
    }
    let (mut guessed, mut locked) = (0, 0);
    for _ in 0..=QUEUED {
        match of_one.recv().await.unwrap() {
            AppError::InvalidCredentials => guessed += 1,
            AppError::AccountLocked { .. } => locked += 1,
            answer => panic!("{answer:?}"),
        }
    }
    assert_eq!((guessed, locked), (FREE, QUEUED as u64 + 1 - FREE));
}
