//! The process of [`tests::application`]: its arguments are the store's path and AuthService's URL.

use std::{
    env,
    sync::{Arc, Mutex},
    time::Duration,
};

use client_sdk::{
    AuthServiceRefresher, AuthenticationError, RefreshFuture, RefreshRequest, Refresher, Renewal,
    Session, store::FileStore,
};
use evergreen_proto::auth::v1::{GetCurrentUserRequest, auth_service_client::AuthServiceClient};
use secrecy::ExposeSecret as _;
use tests::process::PATIENCE;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, stdin},
    sync::{Mutex as AsyncMutex, mpsc},
};
use tonic::transport::Endpoint;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = env::args().skip(1);
    let (Some(path), Some(url)) = (arguments.next(), arguments.next()) else {
        panic!("the store's path and AuthService's URL are its arguments");
    };
    serve(path, url).await;
}

async fn serve(path: String, url: String) {
    let (go, heard) = mpsc::channel(1);
    let channel = Endpoint::from_shared(url.clone()).expect("a URL").connect_lazy();
    let refresher = Halting {
        inner: AuthServiceRefresher::new(channel.clone()),
        halt: Arc::default(),
        heard: Arc::new(AsyncMutex::new(heard)),
    };
    let mut session = None;
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await.expect("its input is text") {
        match line.split_once(' ').unwrap_or((line.as_str(), "")) {
            ("open", millis) => {
                let budget = Duration::from_millis(millis.parse().expect("a number"));
                let opened = async {
                    let store = FileStore::open(&path)?;
                    let builder = Session::builder(url.clone()).channel(channel.clone());
                    let builder = builder.refresher(refresher.clone()).store(store);
                    builder
                        .budget(budget)
                        .attempt_timeout(PATIENCE)
                        .cool_down(Duration::ZERO)
                        .connect()
                        .await
                };
                let opened = opened.await;
                say(&report(opened.as_ref().err(), opened.as_ref().ok()));
                session = opened.ok();
            }
            ("halt", when) => {
                *refresher.halt.lock().expect("nothing panics holding it") = when.to_owned();
                say("ok");
            }
            ("go" | "fail", _) => go.send(line).await.expect("the refresher listens"),
            (command, _) => {
                let (command, session) =
                    (command.to_owned(), session.clone().expect("a session was opened"));
                // The task goes on while this listens.
                tokio::spawn(async move {
                    let done = match command.as_str() {
                        "call" => call(&session).await,
                        "refresh" => session.refresh().await,
                        _ => panic!("{command}?"),
                    };
                    say(&report(done.as_ref().err(), Some(&session)));
                });
            }
        }
    }
}

async fn call(session: &Session) -> Result<(), AuthenticationError> {
    let mut client = AuthServiceClient::new(session.auth_channel()?);
    let answer = client.get_current_user(GetCurrentUserRequest {}).await;
    answer.map(drop).map_err(|status| {
        let ours = AuthenticationError::from_status(&status);
        ours.unwrap_or_else(|| AuthenticationError::Service(Arc::new(status)))
    })
}

fn report(error: Option<&AuthenticationError>, session: Option<&Session>) -> String {
    if let Some(error) = error {
        return format!("error {error:?}");
    }
    let token = session.and_then(Session::access_token);
    format!("ok {}", token.as_ref().map_or("", |token| token.expose_secret()))
}

fn say(what: &str) {
    println!("{what}");
}

/// AuthService's refresher, which can be halted.
#[derive(Clone, Debug)]
struct Halting {
    inner: AuthServiceRefresher,
    halt: Arc<Mutex<String>>,
    heard: Arc<AsyncMutex<mpsc::Receiver<String>>>,
}

impl Halting {
    /// Whether the attempt goes on.
    async fn passes(&self, point: &str) -> bool {
        {
            let mut halt = self.halt.lock().expect("nothing panics holding it");
            if *halt != point {
                return true;
            }
            halt.clear();
        }
        say(point);
        self.heard.lock().await.recv().await.expect("it is told to go on") == "go"
    }
}

impl Refresher for Halting {
    fn refresh(&self, request: RefreshRequest) -> RefreshFuture<'_> {
        Box::pin(async move {
            let failed = || Renewal::Unreachable { message: "halted".into(), retry_after: None };
            if !self.passes("before").await {
                return failed();
            }
            let answer = self.inner.refresh(request).await;
            if self.passes("after").await { answer } else { failed() }
        })
    }
}
