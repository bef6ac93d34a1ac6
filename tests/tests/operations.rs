//! The real `auth-service` serves operations where it is told to, and says where.

use tempfile::TempDir;
use tests::{ask, process::AuthProgram};

#[tokio::test]
async fn the_program_says_where_it_serves_operations_and_does() {
    let dir = TempDir::new().unwrap();
    let program = AuthProgram::in_dir(dir.path()).await.with("--ops-listen", ["127.0.0.1:0"]);
    let mut process = program.start().await;
    let line = process.next_line().await.unwrap();
    let address = line.strip_prefix("Operations are served on ").expect(&line);
    let (head, body) = ask(address.parse().unwrap(), "/.well-known/jwks.json").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && body.contains(r#""kty":"OKP""#), "{head} {body}");
    process.kill().await;
}

#[tokio::test]
async fn a_place_that_cannot_be_is_refused_by_the_name_of_its_setting() {
    let dir = TempDir::new().unwrap();
    let program = AuthProgram::in_dir(dir.path()).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (address, mend) in [("0.0.0.0:0", "--insecure"), (taken.as_str(), "0 picks a free one")] {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--ops-listen", address];
        let refused = program.command(&serve).await.unwrap_err();
        assert!(refused.contains("--ops-listen: ") && refused.contains(mend), "{refused}");
    }
}
