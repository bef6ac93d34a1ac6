//! One refresh at a time, whoever asks for it.

mod backoff;
mod gate;
mod outcome;
mod reconcile;
mod rotation;
mod window;

pub(crate) use self::{
    backoff::Backoff,
    gate::{Cause, CoolDown, Running},
    outcome::{How, Landing, Outcome},
    window::Window,
};
