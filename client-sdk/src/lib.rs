//! Placeholder.

#[cfg(feature = "guard")]
pub mod guard;
