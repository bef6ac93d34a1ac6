//! `evergreen admin keys`.

use clap::{Args, Subcommand};
use evergreen_proto::auth::v1::{
    ListSigningKeysRequest, RotateSigningKeyRequest, SigningKey, signing_key::State,
};
use serde_json::{Value, json};

use super::Client;
use crate::{
    common::Context,
    errors::Error,
    output::{Table, json},
};

/// The keys that sign access tokens
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  evergreen admin keys list
  evergreen admin keys rotate
  evergreen admin keys rotate --compromised kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")]
pub(super) struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The signing keys, newest first
    List,
    /// Start the change to a new signing key; no call fails, and nobody is logged out
    Rotate {
        /// A key that is known to others: withdraw it at once, with the ones that sign now and next
        /// and every token that they signed
        #[arg(
            long,
            value_name = "KID",
            default_value = "",
            hide_default_value = true,
            allow_hyphen_values = true
        )]
        compromised: String,
    },
}

impl Keys {
    pub(super) async fn run(self, context: &Context, mut admin: Client) -> Result<(), Error> {
        match self.command {
            Command::List => {
                let keys = admin.list_signing_keys(ListSigningKeysRequest {}).await?;
                list(context, &keys.into_inner().keys)
            }
            Command::Rotate { compromised } => {
                let request = RotateSigningKeyRequest { compromised_kid: compromised };
                let key = admin.rotate_signing_key(request).await?.into_inner().key;
                let key = key.unwrap_or_default();
                let sentence = match key.state() {
                    State::Active => format!("{} signs now.", key.kid),
                    _ => format!("{} is published, and signs next.", key.kid),
                };
                context.out.done(&json::signing_key(&key), &sentence)
            }
        }
    }
}

fn list(context: &Context, keys: &[SigningKey]) -> Result<(), Error> {
    if context.out.is_json() {
        let keys: Value = keys.iter().map(json::signing_key).collect();
        return context.out.value(&json!({ "keys": keys }));
    }
    let mut table = Table::new(&["=STATE", "=SINCE", "=KID"]);
    for key in keys {
        let state = match key.state() {
            State::Active => "active",
            State::Next => "next",
            State::Retired => "retired",
            State::Unspecified => "",
        };
        table.row([state, &json::minute(key.state_time.as_ref()), &key.kid]);
    }
    context.out.table(&table, "No signing keys.")
}
