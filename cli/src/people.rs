//! Commands for people.

use std::process::ExitCode;

use clap::Subcommand;

use crate::{
    admin::Admin,
    categories::Categories,
    common::Common,
    errors::{Error, Exit},
    folders::Folders,
    session::{Login, Logout, Passwd, Register, Sessions, Whoami},
    trees::Trees,
    walk::Walk,
};

#[derive(Debug, Subcommand)]
pub(crate) enum People {
    Login(Login),
    Register(Register),
    Logout(Logout),
    Whoami(Whoami),
    Sessions(Sessions),
    Passwd(Passwd),
    Trees(Trees),
    Walk(Walk),
    Folders(Folders),
    Categories(Categories),
    Admin(Admin),
}

impl People {
    /// Does it, and tells how that went.
    pub(crate) async fn serve(self) -> ExitCode {
        let common = self.common().clone();
        common.choose_color();
        match Box::pin(self.run()).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if error.exit() == Exit::Unread => ExitCode::SUCCESS,
            Err(error) => {
                let error = common.advise(error);
                error.report(common.json);
                error.exit().code().into()
            }
        }
    }

    const fn common(&self) -> &Common {
        match self {
            Self::Login(command) => &command.common,
            Self::Register(command) => &command.common,
            Self::Logout(command) => &command.common,
            Self::Whoami(command) => &command.common,
            Self::Sessions(command) => &command.common,
            Self::Passwd(command) => &command.common,
            Self::Trees(command) => &command.common,
            Self::Walk(command) => &command.common,
            Self::Folders(command) => &command.common,
            Self::Categories(command) => &command.common,
            Self::Admin(command) => &command.common,
        }
    }

    async fn run(self) -> Result<(), Error> {
        match self {
            Self::Login(command) => command.run().await,
            Self::Register(command) => command.run().await,
            Self::Logout(command) => command.run().await,
            Self::Whoami(command) => command.run().await,
            Self::Sessions(command) => command.run().await,
            Self::Passwd(command) => command.run().await,
            Self::Trees(command) => command.run().await,
            Self::Walk(command) => command.run().await,
            Self::Folders(command) => command.run().await,
            Self::Categories(command) => command.run().await,
            Self::Admin(command) => command.run().await,
        }
    }
}
