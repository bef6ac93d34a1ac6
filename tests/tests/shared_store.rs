//! Processes that share a store: whatever happens to one of them, there is one refresh for all, and
//! nobody is signed out.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use client_sdk::{Session, store::FileStore};
use futures_util::future::join_all;
use serde_json::Value;
use tests::{PASSWORD, World, application::Application, claims};
use tokio::time::Instant;
use tonic::Code;

/// Both services, and a store with ada's session, whose access token has run out.
struct Shared {
    world: World,
    store: PathBuf,
}

impl Shared {
    async fn start() -> Self {
        let world = World::start().await;
        world.register("ada").await;
        let store = world.data_dir().join("tokens.json");
        let session = Session::builder(world.auth.url())
            .store(FileStore::open(&store).unwrap())
            .connect()
            .await
            .unwrap();
        session.login("ada", PASSWORD).await.unwrap();
        drop(session);
        world.access_tokens_run_out();
        world.auth_seen.take();
        Self { world, store }
    }

    /// An application that has opened the store.
    async fn application(&self) -> Application {
        self.application_on(&self.store).await
    }

    async fn application_on(&self, store: &Path) -> Application {
        let mut application =
            Application::start(env!("CARGO_BIN_EXE_application"), store, &self.world.auth.url());
        good(&application.ask(OPEN).await);
        application
    }

    async fn applications(&self, n: usize) -> Vec<Application> {
        join_all((0..n).map(|_| self.application())).await
    }

    /// How the refreshes that the server has seen since the last time ended.
    fn refreshes(&self) -> Vec<Code> {
        let seen = self.world.auth_seen.take();
        assert!(seen.iter().all(|rpc| rpc.method != "Login"), "somebody had to log in");
        seen.into_iter().filter(|rpc| rpc.method == "Refresh").map(|rpc| rpc.code).collect()
    }

    /// How often the stored refresh token was rotated.
    fn generation(&self) -> u64 {
        let record = stored(&self.store);
        let token = record["refresh_token"].as_str().unwrap();
        claims(token)["gen"].as_u64().unwrap()
    }
}

fn stored(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The access token of an application that is well.
fn good(said: &str) -> &str {
    said.strip_prefix("ok ").unwrap_or_else(|| panic!("the application says: {said}"))
}

/// All say something, in the order in which they were started.
async fn all(applications: &mut [Application], command: &str) -> Vec<String> {
    join_all(applications.iter_mut().map(|application| application.ask(command))).await
}

/// Fault 21.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_with_one_run_out_token_make_one_refresh_between_them() {
    one_refresh_among(2).await;
}

/// Fault 21.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_processes_with_one_run_out_token_make_one_refresh_between_them() {
    one_refresh_among(8).await;
}

async fn one_refresh_among(n: usize) {
    let shared = Shared::start().await;
    let mut applications = shared.applications(n).await;
    let said = all(&mut applications, "call").await;
    assert_eq!(shared.refreshes(), [Code::Ok]);
    let token = stored(&shared.store)["access_token"].as_str().unwrap().to_owned();
    assert!(said.iter().all(|said| good(said) == token), "all end with the stored token");
    assert_eq!(shared.generation(), 1);
}

/// Fault 21, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_rounds_of_ten_trials_of_two_processes_make_one_refresh_each() {
    let shared = Shared::start().await;
    let mut applications = shared.applications(2).await;
    let began = Instant::now();
    for trial in 1..=ROUNDS * TRIALS {
        // Each time as processes that have just been started: only the store knows the tokens.
        for said in all(&mut applications, OPEN).await {
            good(&said);
        }
        for said in all(&mut applications, "call").await {
            good(&said);
        }
        assert_eq!(shared.refreshes(), [Code::Ok], "trial {trial}");
        shared.world.access_tokens_run_out();
    }
    assert_eq!(shared.generation(), ROUNDS * TRIALS);
    println!("{} trials of two processes in {:?}", ROUNDS * TRIALS, began.elapsed());
}

/// Fault 22, and 23: the lock that cannot be had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_lock_s_holder_is_suspended_nobody_refreshes_and_afterwards_all_go_on() {
    let shared = Shared::start().await;
    let mut applications = shared.applications(3).await;
    let [holder, hasty, patient] = &mut applications[..] else { unreachable!() };
    good_halt(holder, "before").await;
    holder.tell("call").await;
    assert_eq!(holder.hear().await, "before");
    holder.suspend();

    good(&hasty.ask("open 300").await);
    patient.tell("call").await;
    let said = hasty.ask("call").await;
    assert!(said.starts_with("error Store { kind: Busy"), "{said}");
    assert_eq!(shared.refreshes(), [], "nobody refreshes without the lock");

    holder.resume();
    holder.tell("go").await;
    let token = good(&holder.hear().await).to_owned();
    assert_eq!(good(&patient.hear().await), token);
    assert_eq!(good(&hasty.ask("call").await), token);
    assert_eq!(shared.refreshes(), [Code::Ok]);
    assert_eq!(shared.generation(), 1);
}

/// Fault 22: the lock was lost while the process slept, as it can be on a network's file system.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_suspended_between_two_attempts_reads_the_store_before_it_sends_again() {
    let shared = Shared::start().await;
    let elsewhere = shared.store.with_file_name("elsewhere.json");
    let mut sleeper = shared.application().await;
    good_halt(&mut sleeper, "before").await;
    sleeper.tell("call").await;
    assert_eq!(sleeper.hear().await, "before");
    sleeper.suspend();

    // Another one, which believes the lock to be free, rotates under the attempt that it finds.
    fs::copy(&shared.store, &elsewhere).unwrap();
    let mut rival = shared.application_on(&elsewhere).await;
    let token = good(&rival.ask("call").await).to_owned();
    assert_eq!(shared.refreshes(), [Code::Ok]);
    fs::rename(&elsewhere, &shared.store).unwrap();

    sleeper.tell("fail").await;
    sleeper.resume();
    assert_eq!(good(&sleeper.hear().await), token);
    assert_eq!(shared.refreshes(), [], "it sent nothing of its own");
    shared.world.access_tokens_run_out();
    assert_ne!(good(&sleeper.ask("call").await), token);
    assert_eq!(shared.refreshes(), [Code::Ok]);
}

/// Fault 23.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lock_of_a_process_that_was_killed_is_free_at_once() {
    let shared = Shared::start().await;
    let mut applications = shared.applications(2).await;
    let [holder, other] = &mut applications[..] else { unreachable!() };
    good_halt(holder, "before").await;
    holder.tell("call").await;
    assert_eq!(holder.hear().await, "before");
    let lock = File::open(shared.store.with_file_name("tokens.json.lock")).unwrap();
    assert!(lock.try_lock().is_err(), "it is held");
    holder.kill().await;
    lock.try_lock().unwrap();
    drop(lock);

    good(&other.ask("call").await);
    assert_eq!(shared.refreshes(), [Code::Ok]);
    assert_eq!(shared.generation(), 1);
}

/// Fault 19.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_between_the_answer_and_the_save_gets_the_same_successor_when_restarted() {
    let shared = Shared::start().await;
    let mut first = shared.application().await;
    good_halt(&mut first, "after").await;
    first.tell("call").await;
    assert_eq!(first.hear().await, "after");
    first.kill().await;
    assert_eq!(shared.refreshes(), [Code::Ok]);
    assert_eq!(shared.generation(), 0, "the answer is not in the store");
    let attempt = stored(&shared.store)["attempt_key"].clone();
    assert!(attempt.is_string(), "the attempt is");

    let mut second = shared.application().await;
    good(&second.ask("call").await);
    assert_eq!(shared.refreshes(), [Code::Ok]);
    assert_eq!(shared.generation(), 1, "the same successor, and not the one after it");
    good(&second.ask("refresh").await);
    assert_eq!((shared.refreshes(), shared.generation()), (vec![Code::Ok], 2));
}

/// Fault 66.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failed_save_another_process_takes_over_and_both_end_with_the_same_successor() {
    let shared = Shared::start().await;
    let mut applications = shared.applications(2).await;
    let [unlucky, other] = &mut applications[..] else { unreachable!() };
    good_halt(unlucky, "after").await;
    unlucky.tell("call").await;
    assert_eq!(unlucky.hear().await, "after");
    unlucky.limit_file_size(Some(0)).await;
    unlucky.tell("go").await;
    // The new tokens serve from memory.
    good(&unlucky.hear().await);
    assert_eq!((shared.refreshes(), shared.generation()), (vec![Code::Ok], 0));
    let said = unlucky.ask("refresh").await;
    assert!(said.starts_with("error Store { kind: Unavailable"), "{said}");
    assert_eq!(shared.refreshes(), [], "nothing is sent until they are saved");

    good(&other.ask("call").await);
    assert_eq!((shared.refreshes(), shared.generation()), (vec![Code::Ok], 1));

    unlucky.limit_file_size(None).await;
    let token = good(&unlucky.ask("refresh").await).to_owned();
    assert_eq!((shared.refreshes(), shared.generation()), (vec![Code::Ok], 2));
    shared.world.access_tokens_run_out();
    let next = good(&unlucky.ask("call").await).to_owned();
    assert_ne!(next, token);
    assert_eq!(good(&other.ask("call").await), next);
    assert_eq!((shared.refreshes(), shared.generation()), (vec![Code::Ok], 3));
}

async fn good_halt(application: &mut Application, point: &str) {
    assert_eq!(application.ask(&format!("halt {point}")).await, "ok");
}

/// With as much time for a refresh as a test may take.
const OPEN: &str = "open 30000";
const ROUNDS: u64 = 50;
const TRIALS: u64 = 10;
