//! What a server does unasked.

use tempfile::TempDir;
use token::{clock::ManualClock, entropy::SeededEntropy};
use transport::recorder::Recorder;

use super::*;

mod limits;
mod sessions;
mod storm;

const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn config(dir: &TempDir) -> Config {
    Config { data_dir: dir.path().to_owned(), ..Config::default() }
}

/// The names of the keys that are published, and of the one that signs.
fn keys(app: &App) -> (Vec<String>, String) {
    let published = app.keys.published(app.clock.now()).0;
    let published = published.iter().map(|key| key.kid().to_owned()).collect();
    (published, app.keys.signer(app.clock.now()).unwrap().public().kid().to_owned())
}

/// Only the instants that its intervals are made of pass by themselves here.
#[cfg(feature = "simulation")]
#[tokio::test(start_paused = true)]
async fn keys_are_looked_after_while_nobody_asks_for_them() {
    let dir = TempDir::new().unwrap();
    let (config, clock) = (config(&dir), Arc::new(ManualClock::at(START)));
    let policy = config.signing_keys();
    let database = crate::MemoryDatabase::new();
    let server = Server::open_in_memory(
        &database,
        config,
        clock.clone(),
        Arc::new(SeededEntropy::new(1)),
        Arc::new(Recorder::new()),
    );
    let server = server.await.unwrap();
    let app = Arc::clone(&server.app);
    let nobody = tokio_stream::pending::<io::Result<tokio::io::DuplexStream>>();
    let running = tokio::spawn(server.run_on(nobody, std::future::pending()));
    let pass = async |time| {
        clock.advance(time);
        tokio::time::sleep(Duration::from_secs(6)).await;
        keys(&app)
    };
    let (published, first) = pass(policy.life - policy.lead - Duration::from_secs(1)).await;
    assert_eq!(published, [first.as_str()]);
    let (published, signs) = pass(Duration::from_secs(1)).await;
    assert_eq!((published.len(), &signs), (2, &first));
    let (published, signs) = pass(policy.lead).await;
    assert_eq!(published.len(), 2);
    assert!(signs != first && published.contains(&first));
    let (published, signs) = pass(policy.retention).await;
    assert_eq!(published, [signs]);
    running.abort();
}

#[tokio::test]
async fn keys_go_on_serving_while_the_database_cannot_be_read() {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let entropy = Arc::new(SeededEntropy::new(1));
    let config = config(&dir);
    let max_age = config.jwks_max_age;
    let server = Server::open(config, clock.clone(), entropy, Arc::new(Recorder::new()));
    let app = server.await.unwrap().app;
    let before = keys(&app);
    assert_eq!(app.published_keys().await.1, max_age);
    app.store.close().await;
    clock.advance(Duration::from_secs(60));
    assert!(app.tend_keys(Duration::ZERO).await.is_err());
    assert!(app.keys.trusted().contains(&before.1), "tokens are verified");
    assert!(app.keys.signer(clock.now()).is_none(), "another instance may have retired the key");
    let (told, age) = app.published_keys().await;
    assert_eq!((told.len(), age), (1, Duration::from_secs(1)));
}
