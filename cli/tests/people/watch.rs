//! Changes, told as they happen.

use std::{process::ExitStatus, time::Duration};

use cli::lab::LossyProxy;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout},
    time::timeout,
};

use crate::harness::{PATIENCE, Pair, Person};

/// A watch under way.
struct Watch {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    /// Begins one, and returns with the first cursor once it is known to listen.
    async fn begin(person: &Person, args: &[&str]) -> (Self, String) {
        let args = [&["trees", "watch", "--json"], args].concat();
        let mut child = person.command(&args).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut watch = Self { child, lines };
        let first = watch.next().await;
        assert_eq!(first["change"], json!(null));
        (watch, first["cursor"].as_str().unwrap().to_owned())
    }

    async fn next(&mut self) -> Value {
        let line = timeout(PATIENCE, self.lines.next_line()).await.unwrap().unwrap();
        serde_json::from_str(&line.expect("the watch goes on")).unwrap()
    }

    /// Kind, title and cursor of the next change of a tree.
    async fn tree(&mut self) -> (String, String, String) {
        let told = self.next().await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (
            text(&told["change"]["kind"]),
            text(&told["change"]["tree"]["title"]),
            text(&told["cursor"]),
        )
    }

    async fn ended(mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_across_breaks_and_from_a_cursor_on() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let proxy = LossyProxy::start(pair.api.address).await.unwrap();
    let behind = ada.clone().with("EVERGREEN_API_URL", &format!("http://{}", proxy.address));
    let (mut watch, _) = Watch::begin(&behind, &["--count", "3"]).await;
    ada.run(&["trees", "new", "First"]).await.ok();
    let (kind, title, _) = watch.tree().await;
    assert_eq!((&*kind, &*title), ("CHANGE_KIND_CREATED", "First"));

    proxy.cut_connections();
    ada.run(&["trees", "new", "Second"]).await.ok();
    let (kind, title, cursor) = watch.tree().await;
    assert_eq!((&*kind, &*title), ("CHANGE_KIND_CREATED", "Second"));
    ada.run(&["trees", "rm", "First"]).await.ok();
    assert_eq!(watch.tree().await.0, "CHANGE_KIND_DELETED");
    assert!(watch.ended().await.success(), "three changes were asked for");

    let (mut later, _) = Watch::begin(&ada, &["--since", &cursor, "--count", "1"]).await;
    assert_eq!(later.tree().await.0, "CHANGE_KIND_DELETED");
    assert!(later.ended().await.success());
    let said = ada.run(&["trees", "watch", "--since", "nonsense"]).await.code_is(8);
    said.err_has("--since");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_outlives_its_access_token_and_not_its_session() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let (mut watch, _) = Watch::begin(&ada, &[]).await;
    pair.clock.advance(Duration::from_secs(20 * 60));
    ada.run(&["trees", "new", "After a while"]).await.ok();
    assert_eq!(watch.tree().await.1, "After a while");
    ada.run(&["logout", "--everywhere"]).await.ok();
    assert_eq!(watch.ended().await.code(), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_in_words() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let (_, start) = Watch::begin(&ada, &[]).await;
    let made = ada.json(&["folders", "new", "IT"]).await;
    let said = ada.run(&["trees", "watch", "--since", &start, "--count", "1"]).await.ok();
    assert_eq!(said, format!("created folder    {}  IT\n", made["folderId"].as_str().unwrap()));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_with_its_reader_whether_or_not_anything_changes() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let (Watch { mut child, lines }, _) = Watch::begin(&ada, &[]).await;
    drop(lines);
    assert!(timeout(PATIENCE, child.wait()).await.unwrap().unwrap().success());
}
