//! The feed of revocations: one reader a process, and any number of streams that follow it.

mod cursor;
mod feed;
mod following;
mod known;
mod progress;
mod reader;

pub(crate) use self::{
    feed::Feed,
    following::{Batch, Following},
    known::Told,
};

#[cfg(test)]
mod tests;
