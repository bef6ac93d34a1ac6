//! What is wrong here, and what mends it.

use std::time::Duration;

use evergreen_proto::{
    api::v1::api_service_server::SERVICE_NAME,
    auth::v1::{GetJwksRequest, auth_service_client::AuthServiceClient},
};
use token::clock::Clock;
use transport::{
    doctor::{self, Check, Listening, Report, Verdict},
    postgres::Servers,
};

use crate::{
    config::Config,
    storage::{postgres, sqlite},
};

/// Looks at everything that ApiService needs, and changes nothing. It may run meanwhile.
pub async fn doctor(config: &Config, clock: &dyn Clock) -> Report {
    let mut report = Report::default();
    report.add(match config.validate() {
        Ok(()) => Check::ok("settings", "they are sound"),
        Err(error) => Check::fail("settings", error.setting, error.mend),
    });
    report.extend(ports(config).await);
    if let Ok(Some(tls)) = config.tls() {
        report.extend(doctor::certificate(&tls, clock.now()));
    }
    if config.database_url.is_none() && config.database_url_file.is_none() {
        report.add(doctor::directory("data directory", "--data-dir", &config.data_dir));
    }
    if let Some(file) = &config.database_url_file {
        report.add(doctor::given_secret("database URL", "--database-url-file", file));
    }
    let file = config.data_dir.join(sqlite::FILE);
    let (database, by_database) = match config.database() {
        Ok(None) => (doctor::sqlite(&file, &sqlite::MIGRATIONS).await.0, None),
        Ok(Some(url)) => match url.servers() {
            Ok(servers) => on_postgres(servers, clock).await,
            Err(error) => (Check::fail("database", error.setting, error.mend), None),
        },
        Err(error) => (Check::fail("database", error.setting, error.mend), None),
    };
    report.add(database);
    report.add(auth_service(config).await);
    report.extend(doctor::client_certificate(config.auth_files(), clock.now()));
    report.add(account(config));
    report.add(by_database.unwrap_or_else(|| doctor::against_files(clock.now(), &[&file])));
    report
}

async fn ports(config: &Config) -> Vec<Check> {
    let tls = config.tls().ok().flatten();
    let main = Listening {
        name: "port",
        setting: "--listen",
        address: config.listen,
        insecure: config.insecure,
        tls: tls.as_ref(),
        service: SERVICE_NAME,
    };
    let (check, is_running) = doctor::listening(main).await;
    let mut checks = vec![check];
    // It speaks no gRPC, so it is not asked whose it is: the service that runs has taken it.
    if let Some(address) = config.ops_listen.filter(|_| !is_running) {
        let setting = "--ops-listen";
        let operations = Listening { name: "operations port", setting, address, tls: None, ..main };
        checks.push(doctor::listening(operations).await.0);
    }
    checks
}

async fn on_postgres(servers: Servers, clock: &dyn Clock) -> (Check, Option<Check>) {
    let servers = servers.application_name("evergreen-api-service doctor");
    let schema = Some(postgres::SCHEMA);
    let (database, connection) =
        doctor::postgres(servers, schema, postgres::RIGHTS, &postgres::MIGRATIONS).await;
    let Some(mut connection) = connection else { return (database, None) };
    let agrees = doctor::against_postgres(&mut connection, clock, CLOCKS_DIFFER).await;
    (database, agrees)
}

/// Without its keys no call is let in.
async fn auth_service(config: &Config) -> Check {
    const NAME: &str = "AuthService";
    let url = &config.auth_url;
    let secured = config.auth_endpoint().and_then(|endpoint| config.auth_files().secure(endpoint));
    let endpoint = match secured {
        Ok(endpoint) => endpoint.timeout(PATIENCE),
        Err(error) => return Check::fail(NAME, error.setting, error.mend),
    };
    let answer = AuthServiceClient::new(endpoint.connect_lazy()).get_jwks(GetJwksRequest {}).await;
    match answer.map(|answer| answer.into_inner().keys.len()) {
        Ok(0) => Check::fail(NAME, format!("{url} publishes no key"), "look at its own doctor"),
        Ok(keys) => Check::ok(NAME, format!("{url} publishes its keys ({keys})")),
        Err(status) => {
            let found = format!("{url} does not tell its keys: {}", status.message());
            Check::fail(NAME, found, "start it, or name another --auth-url")
        }
    }
}

/// The service account, without which revocations are not heard of.
fn account(config: &Config) -> Check {
    const NAME: &str = "account";
    if config.client_id.is_none() {
        let mend = "make one by `auth-service service create NAME`, and set --client-id and \
                    --client-secret-file";
        let found = "there is none: revoked sessions live until their tokens run out";
        return Check::warn(NAME, found, mend);
    }
    let file = config.client_secret_file.as_deref();
    let file = file.map(|file| doctor::given_secret(NAME, "--client-secret-file", file));
    match (file, config.credentials()) {
        (Some(check), Ok(_)) => check,
        (Some(check), Err(_)) if check.verdict() == Verdict::Fail => check,
        (_, Err(error)) => Check::fail(NAME, error.setting, error.mend),
        (None, Ok(_)) => Check::ok(NAME, "id and secret are given"),
    }
}

/// Tokens are good for as long after their end.
const CLOCKS_DIFFER: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(5);
