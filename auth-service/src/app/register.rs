//! Creating a user.

use crate::{
    app::{
        audit::{Administrator, Origin},
        context::{App, Issued},
        error::AppError,
    },
    domain::{
        audit::EventKind,
        id::UserId,
        listing::UserSummary,
        secret::{PlainPassword, Username},
        user::{Grants, NewUser, Role, names_of},
    },
};

impl App {
    /// Creates a user who is an editor, and logs in.
    pub(crate) async fn register(
        &self,
        username: &str,
        password: String,
        origin: Origin,
    ) -> Result<Issued, AppError> {
        if !self.policy.open_registration {
            return Err(AppError::RegistrationClosed);
        }
        let (username, password) = judge(username, password)?;
        self.limit_registration(origin).await?;
        let user = self.new_user(username, password, vec![Role::Editor]).await?;
        let signer = self.signer().await?;
        let session = self.new_session(user.id, String::new());
        let event = self.event(EventKind::UserCreated, origin);
        let event = event.of(user.id).of_session(session.id);
        self.store.create_user(&user, Some(&session), &event).await?;
        let grants = Grants { roles: user.roles, version: 0 };
        Ok(self.issue_first(&signer, &session, &grants, origin))
    }

    /// The user of this name: as they are if they exist, else a new one with these roles.
    pub(crate) async fn ensure_user(
        &self,
        username: &str,
        password: String,
        roles: Vec<Role>,
    ) -> Result<UserId, AppError> {
        let key = Username::parse(username).map(|name| name.key()).unwrap_or_default();
        match self.store.user_by_name(&key).await? {
            Some(user) => Ok(user.id),
            None => {
                let by = Administrator::OPERATOR;
                Ok(self.add_user(by, username, password, roles).await?.id)
            }
        }
    }

    /// Creates a user with these roles, who has no session yet.
    pub(crate) async fn add_user(
        &self,
        by: Administrator,
        username: &str,
        password: String,
        roles: Vec<Role>,
    ) -> Result<UserSummary, AppError> {
        let (username, password) = judge(username, password)?;
        let user = self.new_user(username, password, roles).await?;
        let event = self.event_by(by, EventKind::UserCreated).of(user.id);
        let event = event.detailed(format!("roles {}", names_of(&user.roles)));
        self.store.create_user(&user, None, &event).await?;
        Ok(user.into())
    }

    async fn new_user(
        &self,
        username: Username,
        password: PlainPassword,
        roles: Vec<Role>,
    ) -> Result<NewUser, AppError> {
        Ok(NewUser {
            id: UserId::generate(self.clock.now(), &*self.entropy),
            password: self.passwords.hash(password).await?,
            username,
            roles,
            create_time: self.clock.now(),
        })
    }
}

/// What a user may be called, and a password that is not easily guessed.
fn judge(username: &str, password: String) -> Result<(Username, PlainPassword), AppError> {
    let username = Username::parse(username)
        .map_err(|mend| AppError::FieldInvalid { field: "username", mend: mend.into() })?;
    let password = PlainPassword::chosen(password, username.as_str())
        .map_err(|mend| AppError::FieldInvalid { field: "password", mend })?;
    Ok((username, password))
}
