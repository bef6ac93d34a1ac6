//! `evergreen admin users`.

use clap::{Args, Subcommand, ValueEnum};
use evergreen_proto::auth::v1::{
    CreateUserRequest, DisableUserRequest, EnableUserRequest, ListUsersRequest,
    SetUserRolesRequest, UnlockUserRequest, UserAccount, list_users_request,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{
    Client,
    role::{self, Role},
};
use crate::{
    common::Context,
    errors::{Error, Exit},
    names::is_id,
    output::{Table, json},
    pages::{self, PAGE},
    session::Source,
};

/// Who has an account, and what they may do
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  evergreen admin users list --prefix ada
  evergreen admin users create ada --role editor --role admin
  pass show ada | evergreen admin users create ada --password-stdin
  evergreen admin users roles ada viewer
  evergreen admin users disable ada
  evergreen admin users unlock ada")]
pub(super) struct Users {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The users, by name
    List {
        /// Only users whose names begin so, whatever the case
        #[arg(long, default_value = "", hide_default_value = true)]
        prefix: String,

        /// Only users of this status
        #[arg(long, value_enum)]
        status: Option<Status>,

        /// At most so many
        #[arg(long, value_name = "NUMBER", default_value = "1000")]
        limit: usize,
    },
    /// Make an account for somebody, who then logs in by themselves
    Create {
        /// Letters, digits, and . _ - @ + inside
        username: String,

        /// What they may do; several times for several
        #[arg(long = "role", value_enum, value_name = "ROLE", default_value = "editor")]
        roles: Vec<Role>,

        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Replace what somebody may do
    Roles {
        /// Name or id
        user: String,

        #[arg(value_enum, value_name = "ROLE", required_unless_present = "none")]
        roles: Vec<Role>,

        /// Leave them no role
        #[arg(long, conflicts_with = "roles")]
        none: bool,
    },
    /// Bar somebody from logging in, and end all their sessions
    Disable {
        /// Name or id
        user: String,
    },
    /// Let somebody log in again
    Enable {
        /// Name or id
        user: String,
    },
    /// Forgive somebody's failed logins, so that they need not wait before the next one
    Unlock {
        /// Name or id
        user: String,
    },
}

/// Whether a user may log in.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    Active,
    Disabled,
}

impl From<Status> for list_users_request::Status {
    fn from(status: Status) -> Self {
        match status {
            Status::Active => Self::Active,
            Status::Disabled => Self::Disabled,
        }
    }
}

impl Users {
    pub(super) async fn run(self, context: &Context, admin: Client) -> Result<(), Error> {
        match self.command {
            Command::List { prefix, status, limit } => {
                list(context, &admin, prefix, status, limit).await
            }
            Command::Create { username, roles, password_stdin } => {
                create(context, admin, username, &roles, password_stdin).await
            }
            Command::Roles { user, roles, .. } => set_roles(context, admin, &user, &roles).await,
            Command::Disable { user } => disable(context, admin, &user).await,
            Command::Enable { user } => enable(context, admin, &user).await,
            Command::Unlock { user } => unlock(context, admin, &user).await,
        }
    }
}

async fn list(
    context: &Context,
    admin: &Client,
    prefix: String,
    status: Option<Status>,
    limit: usize,
) -> Result<(), Error> {
    let filter = ListUsersRequest {
        page_size: PAGE,
        username_prefix: prefix,
        status: status.map(list_users_request::Status::from).unwrap_or_default().into(),
        ..ListUsersRequest::default()
    };
    let users = pages::all(limit, async |page_token| {
        let request = ListUsersRequest { page_token, ..filter.clone() };
        let answer = admin.clone().list_users(request).await?.into_inner();
        Ok((answer.users, answer.next_page_token))
    })
    .await?;
    if context.out.is_json() {
        let users: Value = users.iter().map(json::user_account).collect();
        return context.out.value(&json!({ "users": users }));
    }
    let mut table = Table::new(&["USERNAME", "ROLES", "=STATUS", "=CREATED", "-ID"]);
    for user in &users {
        table.row([
            &user.username,
            &user.roles.join(","),
            if user.disabled { "disabled" } else { "active" },
            &json::minute(user.create_time.as_ref()),
            &user.user_id,
        ]);
    }
    context.out.table(&table, "No users.")?;
    context.out.cut(users.len(), limit);
    Ok(())
}

async fn create(
    context: &Context,
    mut admin: Client,
    username: String,
    roles: &[Role],
    password_stdin: bool,
) -> Result<(), Error> {
    let password = Source::new(password_stdin).read_new(&format!("New password of {username}"))?;
    let password = password.expose_secret().to_owned();
    let request = CreateUserRequest { username, password, roles: role::names(roles) };
    let made = admin.create_user(request).await.map_err(|refusal| {
        let error = Error::from(refusal);
        match error.exit() {
            Exit::Conflict => error.then("Choose another name."),
            _ => error,
        }
    })?;
    let made = made.into_inner().user.unwrap_or_default();
    let sentence = format!("Created {} ({}).", made.username, role::listed(&made.roles));
    context.out.done(&json::user_account(&made), &sentence)
}

async fn set_roles(
    context: &Context,
    mut admin: Client,
    given: &str,
    roles: &[Role],
) -> Result<(), Error> {
    let user = named(&admin, given).await?;
    let roles = role::names(roles);
    let (user_id, set) = (user.user_id.clone(), roles.clone());
    admin.set_user_roles(SetUserRolesRequest { user_id, roles: set }).await?;
    let sentence = format!("{} has now: {}.", user.username, role::listed(&roles));
    context.out.done(&json!({ "userId": user.user_id, "roles": roles }), &sentence)
}

async fn disable(context: &Context, mut admin: Client, given: &str) -> Result<(), Error> {
    let UserAccount { user_id, username, .. } = named(&admin, given).await?;
    admin.disable_user(DisableUserRequest { user_id: user_id.clone() }).await?;
    let sentence = format!("{username} is disabled, and their sessions have ended.");
    context.out.done(&json!({ "userId": user_id }), &sentence)
}

async fn enable(context: &Context, mut admin: Client, given: &str) -> Result<(), Error> {
    let UserAccount { user_id, username, .. } = named(&admin, given).await?;
    admin.enable_user(EnableUserRequest { user_id: user_id.clone() }).await?;
    let sentence = format!("{username} may log in again.");
    context.out.done(&json!({ "userId": user_id }), &sentence)
}

async fn unlock(context: &Context, mut admin: Client, given: &str) -> Result<(), Error> {
    let UserAccount { user_id, username, .. } = named(&admin, given).await?;
    admin.unlock_user(UnlockUserRequest { user_id: user_id.clone() }).await?;
    let sentence = format!("No failed login counts against {username} any more.");
    context.out.done(&json!({ "userId": user_id }), &sentence)
}

/// The user that `given` means: an id, which the server judges, or a name.
pub(super) async fn named(admin: &Client, given: &str) -> Result<UserAccount, Error> {
    if is_id(given) {
        let (user_id, username) = (given.to_lowercase(), given.to_owned());
        return Ok(UserAccount { user_id, username, ..UserAccount::default() });
    }
    // Of the names that begin so, the name itself is the first.
    let request = ListUsersRequest {
        page_size: 1,
        username_prefix: given.to_owned(),
        ..ListUsersRequest::default()
    };
    let found = match admin.clone().list_users(request).await.map_err(Error::from) {
        Ok(answer) => answer.into_inner().users,
        // Nobody can be called so.
        Err(error) if error.exit() == Exit::Invalid => vec![],
        Err(error) => return Err(error),
    };
    let user = found.into_iter().find(|user| user.username.eq_ignore_ascii_case(given));
    user.ok_or_else(|| {
        let message = format!("There is no user “{given}”.");
        Error::new(Exit::NotFound, message).then("`evergreen admin users list` shows the users.")
    })
}
