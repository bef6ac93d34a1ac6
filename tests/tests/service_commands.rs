//! What an operator does to service accounts and users by command. In a file of its own: where processes are
//! started, a directory may be in use for a moment after the server in it was closed.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use evergreen_proto::auth::v1::{
    GetCurrentUserRequest, LoginServiceRequest, RegisterRequest,
    auth_service_client::AuthServiceClient,
};
use tests::{PASSWORD, bearing, channel, process::AuthProgram, reason};

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

#[tokio::test]
async fn an_operator_sets_roles_and_keeps_an_administrator_unless_forced() {
    let dir = tempfile::TempDir::new().unwrap();
    let program = AuthProgram::in_dir(dir.path()).await;
    let user = async |words: &[&str]| program.command(&[&["user"], words].concat()).await;
    let ada = register(&program, "ada").await;

    assert_eq!(user(&["roles", "ada", "viewer", "admin"]).await.unwrap(), "ada is viewer, admin\n");
    let again = user(&["roles", "Ada", "admin", "viewer"]).await.unwrap();
    assert_eq!(again, "Ada is admin, viewer already\n");
    for refused in [&["roles", "ada", "--none"][..], &["disable", "ada"]] {
        let refused = user(refused).await.unwrap_err();
        assert!(refused.contains("last administrator") && refused.contains("--force"), "{refused}");
    }
    assert_eq!(user(&["disable", "ada", "--force"]).await.unwrap(), "ada is disabled\n");
    assert_eq!(user(&["enable", "ada"]).await.unwrap(), "ada is enabled\n");
    let none = user(&["roles", "ada", "--none", "--force"]).await.unwrap();
    assert_eq!(none, "ada is without a role\n");

    let wrong = user(&["roles", "ada", "edtor"]).await.unwrap_err();
    assert!(wrong.contains("similar value exists: 'editor'"), "{wrong}");
    assert!(user(&["roles", "ada"]).await.is_err(), "no role is not said by saying nothing");
    let nobody = user(&["roles", "nobody", "viewer"]).await.unwrap_err();
    assert!(nobody.contains("no user of this name"), "{nobody}");
    let help = program.run(&["user", "roles", "--help"]).await;
    assert!(help.contains("auth-service user roles ada editor admin"), "{help}");

    let audit = program.run(&["audit"]).await;
    let lines: Vec<_> = audit.lines().collect();
    let column = |title: &str| lines[0].find(title).unwrap();
    let told: Vec<_> = lines[1..]
        .iter()
        .rev()
        .filter(|line| !line.contains("user_created"))
        .map(|line| {
            assert!(line[column("ACCOUNT")..].starts_with(&ada), "{line}");
            let cell = |title| line[column(title)..].split("  ").next().unwrap();
            (cell("EVENT"), cell("ACTOR"), cell("DETAIL"))
        })
        .collect();
    let expected = [
        ("roles_changed", "operator", "roles viewer,admin"),
        ("user_disabled", "operator", "-"),
        ("user_enabled", "operator", "-"),
        ("roles_changed", "operator", "roles none"),
    ];
    assert_eq!(told, expected, "{audit}");
}

/// Registers a user, and gives back their id.
async fn register(program: &AuthProgram, username: &str) -> String {
    let auth = program.start().await;
    let mut client = AuthServiceClient::new(channel(program.address));
    let (username, password) = (username.to_owned(), PASSWORD.to_owned());
    let answer = client.register(RegisterRequest { username, password }).await.unwrap();
    let tokens = answer.into_inner().tokens.unwrap();
    let request = bearing(&tokens.access_token, GetCurrentUserRequest {});
    let user = client.get_current_user(request).await.unwrap().into_inner().user;
    auth.kill().await;
    user.unwrap().user_id
}
