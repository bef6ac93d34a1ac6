//! Servers over TLS, and what a person is told of certificates.

use std::{path::Path, time::Duration};

use private_authority::{Authority, Signed, now_for};

use crate::harness::{PASSWORD, Pair, Person};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn register(person: &Person, name: &str, flags: &[&str]) -> crate::harness::Ran {
    let args = [&["register", name, "--password-stdin"], flags].concat();
    person.feed(&args, PASSWORD).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_remembers_whom_to_trust_and_what_to_show() {
    let authority = Authority::new();
    let pair = Pair::encrypted(&authority, &authority.server("server")).await;
    let (ada, me) = (pair.person("ada"), authority.client("me"));
    let show = ["--cert", text(&me.certificate), "--key", text(&me.key)];
    let told = register(&ada, "ada", &show).await.fails(6);
    assert!(told.contains("not trusted here") && told.contains("`--ca FILE`"), "{told}");
    let trust = ["--ca", text(authority.file())];
    let told = register(&ada, "ada", &trust).await.fails(6);
    assert!(told.contains("`--cert FILE --key FILE`"), "{told}");
    register(&ada, "ada", &[&trust[..], &show].concat()).await.ok();
    ada.run(&["whoami"]).await.ok();
    ada.run(&["trees", "list"]).await.ok();
    pair.clock.advance(Duration::from_secs(16 * 60));
    ada.run(&["trees", "list"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_here_also_if_its_certificate_will_not_do_any_more() {
    let authority = Authority::new();
    let pair = Pair::encrypted(&authority, &authority.server("server")).await;
    let (ada, me) = (pair.person("ada"), authority.client("me"));
    let flags =
        ["--ca", text(authority.file()), "--cert", text(&me.certificate), "--key", text(&me.key)];
    register(&ada, "ada", &flags).await.ok();
    std::fs::remove_file(&me.certificate).unwrap();
    ada.run(&["whoami"]).await.fails(8);
    let told = ada.run(&["logout"]).await.fails(8);
    assert!(told.contains("--cert: ") && told.contains("You are logged out here"), "{told}");
    let told = ada.run(&["logout"]).await.fails(8);
    assert!(!told.contains("You are logged out here"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_will_not_do_is_explained() {
    let authority = Authority::new();
    let elsewhere =
        authority.server_of("server", ["elsewhere"], &now_for(Duration::from_secs(600)));
    let pair = Pair::encrypted(&authority, &elsewhere).await;
    let (ada, me) = (pair.person("ada"), authority.client("me"));
    let flags = |me: &Signed| {
        ["--ca", text(authority.file()), "--cert", text(&me.certificate), "--key", text(&me.key)]
            .map(str::to_owned)
    };
    let registered = async |flags: [String; 6]| {
        register(&ada, "ada", &flags.each_ref().map(String::as_str)).await
    };
    let told = registered(flags(&me)).await.fails(6);
    assert!(told.contains("for another name"), "{told}");

    let old = Duration::from_secs(1)..Duration::from_secs(2);
    let told = registered(flags(&authority.client_for("old", &old))).await.fails(8);
    assert!(told.contains("--cert: ") && told.contains("expired at 1970-01-01"), "{told}");
    let mixed = Signed { key: authority.client("another").key, ..me.clone() };
    let told = registered(flags(&mixed)).await.fails(8);
    assert!(told.contains("--key: ") && told.contains("does not fit"), "{told}");
    let told = register(&ada, "ada", &["--cert", text(&me.certificate)]).await.fails(8);
    assert!(told.contains("--key: must be given with --cert"), "{told}");
    let absent = authority.path("absent.pem");
    let told = register(&ada, "ada", &["--ca", text(&absent)]).await.fails(8);
    assert!(told.contains("--ca: ") && told.contains("absent.pem"), "{told}");
}
