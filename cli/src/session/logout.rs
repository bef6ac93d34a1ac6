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
        let context = match self.common.open().await {
            Ok(context) => context,
            // A certificate that has expired since tells no server of anything, and keeps nobody here.
            Err(error) if self.common.forget().await? => return Err(error.then(UNTOLD)),
            Err(error) => return Err(error),
        };
        let was_in = context.is_signed_in();
        let elsewhere = match self.everywhere {
            true => Some(context.auth()?.revoke_all_sessions(RevokeAllSessionsRequest {}).await),
            false => None,
        };
        context.session.logout().await.map_err(|error| Error::from(error).then(UNTOLD))?;
        let ended = match elsewhere {
            Some(Ok(answer)) => answer.into_inner().revoked_count,
            Some(Err(status)) if was_in => return Err(Error::from(status).finally(OTHERS)),
            Some(Err(status)) => return Err(status.into()),
            None => i32::from(was_in),
        };
        let sentence = match (self.everywhere, was_in) {
            (true, _) => format!("Logged out everywhere: {} ended.", counted(ended, "session")),
            (false, true) => "Logged out.".to_owned(),
            (false, false) => "You were not logged in.".to_owned(),
        };
        context.out.done(&json!({ "endedCount": ended }), &sentence)
    }
}

const UNTOLD: &str = "You are logged out here, but the server has not been told.";
/// Whether they have ended is not known if the answer was lost.
const OTHERS: &str = "You are logged out here; your other sessions may go on: log in, and run it \
                      again.";
