//! Signing in and out, and what belongs to it.

mod login;
mod logout;
mod passwd;
mod password;
mod register;
mod sessions;
mod whoami;

pub(crate) use self::{
    login::Login, logout::Logout, passwd::Passwd, password::Source, register::Register,
    sessions::Sessions, whoami::Whoami,
};
