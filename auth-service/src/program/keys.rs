//! Signing keys and security events.

use clap::{Args, Subcommand};
use transport::commands::{Failure, say};

use super::{Settings, open, time};

#[derive(Subcommand)]
pub(super) enum KeysCommand {
    /// List the signing keys, newest first
    List(Settings),
    /// Start the change to a new signing key, which a running service completes
    Rotate(RotateKey),
}

#[derive(Args)]
pub(super) struct RotateKey {
    /// This key is known to others: withdraw it at once with the ones that sign now and next, and
    /// with every token that they signed; see `keys list`. Once more does nothing
    #[arg(long, value_name = "KID", allow_hyphen_values = true)]
    compromised: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
pub(super) struct Audit {
    /// How many events at the most
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
    #[command(flatten)]
    settings: Settings,
}

impl KeysCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(settings) => list(settings).await,
            Self::Rotate(rotate) => rotate.run().await,
        }
    }
}

async fn list(settings: Settings) -> Result<(), Failure> {
    let server = open(settings.config).await?;
    let keys = server.signing_keys().await;
    server.close().await;
    let keys = keys?;
    say(&format!("{:<43}  {:<8}  {:<24}  {:<24}", "KEY", "STATE", "SINCE", "MADE"));
    for key in keys {
        let (since, made) = (time(key.state_time), time(key.create_time));
        say(&format!("{:<43}  {:<8}  {since:<24}  {made:<24}", key.kid, key.state));
    }
    Ok(())
}

impl RotateKey {
    async fn run(self) -> Result<(), Failure> {
        let server = open(self.settings.config).await?;
        let compromised = self.compromised.as_deref();
        let key = server.rotate_signing_key(compromised).await;
        server.close().await;
        let key = key?;
        let when = if compromised.is_some() { "now" } else { "next, once verifiers know it" };
        say(&format!("{} signs {when}", key.kid));
        Ok(())
    }
}

impl Audit {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let server = open(self.settings.config).await?;
        let events = server.newest_audit_events(self.limit).await;
        server.close().await;
        let events = events?;
        let absent = || "-".to_owned();
        let line = |columns: [String; 8]| {
            let [time, event, account, session, address, actor, detail, device] = columns;
            say(&format!(
                "{time:<24}  {event:<23}  {account:<36}  {session:<36}  {address:<15}  \
                 {actor:<44}  {detail:<43}  {device}"
            ));
        };
        let titles =
            ["TIME", "EVENT", "ACCOUNT", "SESSION", "ADDRESS", "ACTOR", "DETAIL", "DEVICE"];
        line(titles.map(str::to_owned));
        for event in events {
            line([
                time(event.time).to_string(),
                event.kind.to_owned(),
                event.account_id.unwrap_or_else(absent),
                event.session_id.unwrap_or_else(absent),
                event.address.map_or_else(absent, |address| address.to_string()),
                event.actor.unwrap_or_else(absent),
                Some(event.detail).filter(|detail| !detail.is_empty()).unwrap_or_else(absent),
                event.device,
            ]);
        }
        Ok(())
    }
}
