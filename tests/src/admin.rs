//! Administrators, whom no RPC of everybody's makes.

use std::sync::Arc;

use auth_service::{Server, UserKind};
use cli::lab::start_auth;
use token::entropy::SystemEntropy;
use transport::recorder::Recorder;

use crate::{PASSWORD, World};

impl World {
    /// The same with an administrator, who is created as an operator does it, while AuthService is
    /// stopped.
    pub async fn with_admin(self, username: &str) -> Self {
        self.auth.stop().await.expect("AuthService stops");
        let config = self.auth_config.clone();
        let (clock, entropy) = (self.clock.clone(), Arc::new(SystemEntropy));
        let server = Server::open(config.clone(), clock, entropy, Arc::new(Recorder::new()));
        let server = server.await.expect("the database opens");
        let created = server.create_user(username, PASSWORD, UserKind::Admin).await;
        created.expect("the user is new");
        server.close().await;
        let (auth, _) = start_auth(config, self.clock.clone(), self.auth_seen.clone(), false)
            .await
            .expect("AuthService starts again");
        Self { auth, ..self }
    }
}
