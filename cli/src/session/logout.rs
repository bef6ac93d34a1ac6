//! `evergreen logout`.

use clap::Args;
use evergreen_proto::auth::v1::RevokeAllSessionsRequest;
use serde_json::json;

use crate::{common::Common, errors::Error, output::counted};

/// Log out.
///
/// The session ends here whatever happens; the exit code is not 0 if AuthService could not be told.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  evergreen logout
  evergreen logout --everywhere   # ends all your sessions, on all devices")]
pub(crate) struct Logout {
    /// End all your sessions, on all devices
    #[arg(long)]
    everywhere: bool,

    #[command(flatten)]
    pub(crate) common: Common,
}

impl Logout {
    pub(crate) async fn run(self) -> Result<(), Error> {
        let context = self.common.open().await?;
        let was_in = context.is_signed_in();
        let elsewhere = match self.everywhere {
            true => Some(context.auth()?.revoke_all_sessions(RevokeAllSessionsRequest {}).await),
            false => None,
        };
        let untold =
            |error: Error| error.then("You are logged out here, but the server has not been told.");
        let here = context.session.logout().await.map_err(|error| untold(error.into()));
        let ended = match elsewhere {
            Some(answer) => {
                answer.map_err(|status| untold(status.into()))?.into_inner().revoked_count
            }
            None => i32::from(was_in),
        };
        here?;
        let sentence = match (self.everywhere, was_in) {
            (true, _) => format!("Logged out everywhere: {} ended.", counted(ended, "session")),
            (false, true) => "Logged out.".to_owned(),
            (false, false) => "You were not logged in.".to_owned(),
        };
        context.out.done(&json!({ "endedCount": ended }), &sentence)
    }
}
