//! What an operator does to service accounts by command. In a file of its own: where processes are
//! started, a directory may be in use for a moment after the server in it was closed.

use evergreen_proto::auth::v1::{LoginServiceRequest, auth_service_client::AuthServiceClient};
use tests::{channel, process::AuthProgram, reason};

/// The secret that a command has shown, and the client id.
fn shown(output: &str) -> (String, String) {
    let after = |label| {
        let line = output.lines().find_map(|line| line.strip_prefix(label));
        line.expect(output).trim().to_owned()
    };
    (after("client_id"), after("client_secret"))
}

#[tokio::test]
async fn an_operator_works_on_accounts_by_command() {
    let dir = tempfile::TempDir::new().unwrap();
    let program = AuthProgram::in_dir(dir.path()).await;
    let log_in = async |(client_id, client_secret): &(String, String)| {
        let auth = program.start().await;
        let client = AuthServiceClient::new(channel(program.address));
        let (client_id, client_secret) = (client_id.clone(), client_secret.clone());
        let answer =
            client.clone().login_service(LoginServiceRequest { client_id, client_secret }).await;
        auth.kill().await;
        answer.map(|_| ())
    };
    let create = ["service", "create", "worker", "--role", "viewer", "--role", "editor"];
    let first = shown(&program.command(&create).await.unwrap());
    log_in(&first).await.unwrap();
    assert!(program.command(&create).await.unwrap_err().contains("taken"));

    let rotate = ["service", "rotate-secret", "worker", "--overlap", "0s"];
    let second = shown(&program.command(&rotate).await.unwrap());
    assert_eq!(first.0, second.0);
    assert_eq!(reason(log_in(&first).await), "INVALID_CREDENTIALS");
    log_in(&second).await.unwrap();
    let long = ["service", "rotate-secret", "worker", "--overlap", "31d"];
    assert!(program.command(&long).await.unwrap_err().contains("at most 30 days"));

    for said in ["worker is disabled\n", "worker is disabled already\n"] {
        assert_eq!(program.command(&["service", "disable", "worker"]).await.unwrap(), said);
    }
    assert_eq!(reason(log_in(&second).await), "ACCOUNT_DISABLED");
    let enabled = program.command(&["service", "enable", "worker"]).await.unwrap();
    assert_eq!(enabled, "worker is enabled\n");
    log_in(&second).await.unwrap();
    let nobody = program.command(&["service", "enable", "nobody"]).await.unwrap_err();
    assert!(nobody.contains("no service of this name"), "{nobody}");
    let role = program.command(&["service", "create", "x", "--role", "emperor"]).await;
    assert!(role.unwrap_err().contains("viewer, editor, admin"));
    assert!(!program.log().contains(&second.1), "no log shows a secret");
}
