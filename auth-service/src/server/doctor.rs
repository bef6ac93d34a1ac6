//! What is wrong here, and what mends it.

use std::path::Path;

use evergreen_proto::auth::v1::auth_service_server::SERVICE_NAME;
use token::clock::Clock;
use transport::{
    doctor::{self, Check, Listening, Report},
    postgres::Servers,
};

use crate::{
    app::{KeysError, read_ring, unseal},
    config::Config,
    storage::{
        postgres,
        sealed_keys::{self, InUse},
        sqlite,
    },
};

/// Looks at everything that AuthService needs, and changes nothing. It may run meanwhile.
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
    let has_file = config.database_url.is_none() && config.database_url_file.is_none();
    if has_file || config.master_keys.is_none() {
        report.add(doctor::directory("data directory", "--data-dir", &config.data_dir));
    }
    if let Some(file) = &config.database_url_file {
        report.add(doctor::given_secret("database URL", "--database-url-file", file));
    }
    let ring = config.master_keys_path();
    let found = match config.database() {
        Ok(None) => on_sqlite(&config.data_dir.join(sqlite::FILE)).await,
        Ok(Some(url)) => match url.servers() {
            Ok(servers) => on_postgres(config, servers, clock).await,
            Err(error) => Found::only(Check::fail("database", error.setting, error.mend)),
        },
        Err(error) => Found::only(Check::fail("database", error.setting, error.mend)),
    };
    report.add(found.database);
    report.extend(keys(&ring, found.keys.as_deref()));
    let by_files = || {
        let file = config.data_dir.join(sqlite::FILE);
        doctor::against_files(clock.now(), &[&file, &ring])
    };
    report.add(found.clock.unwrap_or_else(by_files));
    report
}

/// What a database tells.
struct Found {
    database: Check,
    /// None if it could not be asked for them.
    keys: Option<Vec<InUse>>,
    clock: Option<Check>,
}

impl Found {
    const fn only(database: Check) -> Self {
        Self { database, keys: None, clock: None }
    }
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

async fn on_sqlite(file: &Path) -> Found {
    let (database, connection) = doctor::sqlite(file, &sqlite::MIGRATIONS).await;
    let Some(mut connection) = connection else { return Found::only(database) };
    let keys = sealed_keys::of_sqlite(&mut connection).await.ok();
    Found { database, keys, clock: None }
}

async fn on_postgres(config: &Config, servers: Servers, clock: &dyn Clock) -> Found {
    let servers = servers.application_name("evergreen-auth-service doctor");
    let (database, connection) =
        doctor::postgres(servers, None, postgres::RIGHTS, &postgres::MIGRATIONS).await;
    let Some(mut connection) = connection else { return Found::only(database) };
    let keys = sealed_keys::of_postgres(&mut connection).await.ok();
    let clock = doctor::against_postgres(&mut connection, clock, config.clock_skew).await;
    Found { database, keys, clock }
}

/// The master keys, and whether they open the signing keys.
fn keys(path: &Path, signing: Option<&[InUse]>) -> Vec<Check> {
    const MASTER: &str = "master keys";
    const SIGNING: &str = "signing keys";
    let shown = path.display();
    let is_needed = signing.is_some_and(|keys| !keys.is_empty());
    let absent = if is_needed {
        let mend = "bring back the file that the database was made with: a new one would end every \
                    session";
        Check::fail(MASTER, format!("{shown} is missing"), mend)
    } else {
        Check::ok(MASTER, format!("{shown} is made by the first start"))
    };
    let check = match doctor::secret_file(MASTER, "--master-keys", path, absent) {
        Ok(check) => check,
        Err(check) => return vec![check],
    };
    let ring = match read_ring(path) {
        Ok(ring) => ring,
        Err(KeysError::Malformed { source, .. }) => {
            let mend = "bring back the file as it was: one key a line, none changed";
            return vec![Check::fail(MASTER, format!("{shown}: {source}"), mend)];
        }
        Err(error) => {
            return vec![Check::fail(MASTER, error.to_string(), "let this user read it")];
        }
    };
    let mut checks = vec![check];
    let Some(signing) = signing else { return checks };
    let sealed = |signs_now| {
        let of_it = signing.iter().filter(|(_, active)| *active == signs_now);
        of_it.filter(|(key, _)| unseal(key, &ring).is_err()).count()
    };
    let mend = format!("bring back the ring that sealed them, as {shown} or by --master-keys");
    checks.push(match (sealed(true), sealed(false)) {
        (0, 0) if signing.is_empty() => Check::ok(SIGNING, "the first start makes one"),
        (0, 0) => Check::ok(SIGNING, format!("{shown} opens all {} in use", signing.len())),
        (0, _) => {
            Check::warn(SIGNING, format!("{shown} does not open the one that signs next"), mend)
        }
        _ => Check::fail(SIGNING, format!("{shown} does not open the one that signs"), mend),
    });
    checks
}
