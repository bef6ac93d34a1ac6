//! `evergreen sessions`.

use clap::{Args, Subcommand};
use evergreen_proto::auth::v1::{ListSessionsRequest, RevokeSessionRequest, Session};
use serde_json::{Value, json};

use crate::{
    common::{Common, Context},
    errors::{Candidate, Error},
    names::{ShortIds, Thing, choose},
    output::{Table, json},
    pages,
};

/// Show where you are logged in, and end what should not be.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  evergreen sessions list
  evergreen sessions revoke 0192f0c1")]
pub(crate) struct Sessions {
    #[command(flatten)]
    pub(crate) common: Common,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Your sessions, newest first
    List,
    /// End a session, which is never renewed again
    Revoke {
        /// Its id, or the beginning of it
        session: String,
    },
}

impl Sessions {
    pub(crate) async fn run(self) -> Result<(), Error> {
        let context = self.common.open().await?;
        match self.command {
            Command::List => list(&context).await,
            Command::Revoke { session } => revoke(&context, &session).await,
        }
    }
}

async fn list(context: &Context) -> Result<(), Error> {
    let sessions = all(context).await?;
    if context.out.is_json() {
        let sessions: Value = sessions.iter().map(json::session).collect();
        return context.out.value(&json!({ "sessions": sessions }));
    }
    let ids = ShortIds::of(sessions.iter().map(|session| session.session_id.as_str()));
    let mut table = Table::new(&["=ID", "DEVICE", "=LOGGED IN", "=LAST RENEWED", "=ENDS"]);
    for session in &sessions {
        let device = match (session.device_name.as_str(), session.current) {
            ("", true) => "(this one)".to_owned(),
            (name, true) => format!("{name} (this one)"),
            (name, false) => name.to_owned(),
        };
        table.row([
            ids.short(&session.session_id),
            &device,
            &json::minute(session.create_time.as_ref()),
            &json::minute(session.last_refresh_time.as_ref()),
            &json::minute(session.expire_time.as_ref()),
        ]);
    }
    context.out.table(&table, "No sessions.")
}

async fn revoke(context: &Context, given: &str) -> Result<(), Error> {
    let candidates = all(context).await?.into_iter().map(|session| {
        let label = json::minute(session.create_time.as_ref());
        Candidate { id: session.session_id, label }
    });
    let session_id = choose(Thing::Session, given, &candidates.collect::<Vec<_>>())?.id;
    let request = RevokeSessionRequest { session_id: session_id.clone() };
    context.auth()?.revoke_session(request).await?;
    context.out.done(&json!({ "sessionId": session_id }), "The session has ended.")
}

async fn all(context: &Context) -> Result<Vec<Session>, Error> {
    let auth = context.auth()?;
    pages::all(usize::MAX, async |page_token| {
        let request = ListSessionsRequest { page_size: 100, page_token };
        let answer = auth.clone().list_sessions(request).await?.into_inner();
        Ok((answer.sessions, answer.next_page_token))
    })
    .await
}
