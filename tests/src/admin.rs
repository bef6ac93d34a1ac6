//! Administrators, whom no RPC of everybody's makes.

use auth_service::UserKind;

use crate::{PASSWORD, World};

impl World {
    /// The same with an administrator, who is created as an operator does it, while AuthService is
    /// stopped.
    pub async fn with_admin(self, username: &str) -> Self {
        let create = async |server: &auth_service::Server| {
            server.create_user(username, PASSWORD, UserKind::Admin).await
        };
        let (world, created) = self.operate(create).await;
        created.expect("the user is new");
        world
    }
}
