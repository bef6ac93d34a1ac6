//! Evergreen's tokens, apart from transport and storage: access tokens (RFC 9068, Ed25519), refresh
//! tokens (HMAC under a ring of master keys), and the clock and entropy that both are given.
//!
//! Nothing here reads the system's clock or its randomness but [`clock`] and [`entropy`]; every
//! decision takes `now` as an argument. Without the default feature `jwt` only those two remain.

#![warn(missing_docs)]

#[cfg(feature = "jwt")]
pub mod bearer;
pub mod clock;
pub mod entropy;

#[cfg(feature = "jwt")]
mod claims;
#[cfg(feature = "jwt")]
mod digest;
#[cfg(feature = "jwt")]
mod error;
#[cfg(feature = "jwt")]
mod jws;
#[cfg(feature = "jwt")]
mod nonce;
#[cfg(feature = "jwt")]
mod refresh;
#[cfg(feature = "jwt")]
mod ring;
#[cfg(feature = "jwt")]
mod signer;
#[cfg(feature = "jwt")]
mod verifier;

#[cfg(feature = "jwt")]
pub use self::{
    claims::{AccessClaims, Kind},
    digest::{KeyDigest, TokenDigest},
    error::{KeyError, RefreshTokenError, VerifyError},
    nonce::Nonce,
    refresh::{RefreshClaims, names_itself_refresh_token},
    ring::{KeyRing, MasterKey},
    signer::{PublicKey, SigningKey},
    verifier::{KeySet, Verifier},
};
