//! argon2id (RFC 9106) in memory that is kept from hash to hash.
//!
//! Allocated anew for each, megabytes of it would stay behind in every thread that ever hashed.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{self, Output, ParamsString, Salt},
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroize as _;

use crate::domain::secret::PasswordHash;

/// What one hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HashParams {
    /// In KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl HashParams {
    /// These parameters.
    ///
    /// # Errors
    ///
    /// How to mend them.
    pub fn new(memory_kib: u32, iterations: u32, parallelism: u32) -> Result<Self, String> {
        Params::new(memory_kib, iterations, parallelism, None)
            .map_err(|error| format!("argon2 does not take these parameters: {error}"))?;
        Ok(Self { memory_kib, iterations, parallelism })
    }
}

/// Memory for as many hashes as there may be at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Arc<Mutex<Vec<Vec<Block>>>>);

impl Memory {
    /// Lends memory to `work`, and wipes what it leaves there: the first block would tell a right
    /// guess of the password from a wrong one at no cost.
    pub(super) fn lend<T>(&self, params: HashParams, work: impl FnOnce(&mut Vec<Block>) -> T) -> T {
        let mut blocks = self.free().pop().unwrap_or_default();
        let done = work(&mut blocks);
        for block in &mut blocks {
            block.as_mut().zeroize();
        }
        // More than is usual was for a hash of other parameters, and is given back.
        if blocks.len() <= argon2(params).params().block_count() {
            self.free().push(blocks);
        }
        done
    }

    /// How many hashes have memory that is kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.free().len()
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Vec<Block>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hash of `password`.
pub(super) fn hash(
    params: HashParams,
    password: &[u8],
    salt: &[u8; 16],
    memory: &mut Vec<Block>,
) -> PasswordHash {
    const BOUNDED: &str = "argon2 hashes any password of bounded length under checked parameters";
    let argon2 = argon2(params);
    let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
    fill(&argon2, password, salt, &mut out, memory).expect(BOUNDED);
    let hash = phc::PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon2.params()).expect(BOUNDED),
        salt: Some(Salt::new(salt).expect(BOUNDED)),
        hash: Some(Output::new(&out).expect(BOUNDED)),
    };
    PasswordHash::from_phc(hash.to_string())
}

/// Whether `password` is the one that `hash` was made from, by the parameters it was made with.
pub(super) fn verify(hash: &phc::PasswordHash, password: &[u8], memory: &mut Vec<Block>) -> bool {
    let made_with = || {
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let version = hash.version.map_or(Ok(Version::V0x13), Version::try_from).ok()?;
        Some(Argon2::new(algorithm, version, Params::try_from(hash).ok()?))
    };
    let (Some(argon2), Some(salt), Some(expected)) = (made_with(), &hash.salt, &hash.hash) else {
        return false;
    };
    let mut out = vec![0; expected.as_bytes().len()];
    fill(&argon2, password, salt, &mut out, memory).is_ok()
        && verify_slices_are_equal(&out, expected.as_bytes()).is_ok()
}

/// Whether a hash was made with other parameters than these.
pub(super) fn is_outdated(hash: &phc::PasswordHash, params: HashParams) -> bool {
    let made_with =
        Params::try_from(hash).map(|made| (made.m_cost(), made.t_cost(), made.p_cost())).ok();
    hash.algorithm.as_str() != Algorithm::Argon2id.as_str()
        || hash.version != Some(Version::V0x13.into())
        || made_with != Some((params.memory_kib, params.iterations, params.parallelism))
}

fn fill(
    argon2: &Argon2<'_>,
    password: &[u8],
    salt: &[u8],
    out: &mut [u8],
    memory: &mut Vec<Block>,
) -> argon2::Result<()> {
    let blocks = argon2.params().block_count();
    if memory.len() < blocks {
        memory.resize(blocks, Block::new());
    }
    argon2.hash_password_into_with_memory(password, salt, out, &mut memory[..blocks])
}

fn argon2(params: HashParams) -> Argon2<'static> {
    let params = Params::new(params.memory_kib, params.iterations, params.parallelism, None)
        .expect("the parameters were checked when they were made");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordVerifier as _;

    use super::*;

    const CHEAP: HashParams = HashParams { memory_kib: 16, iterations: 1, parallelism: 1 };

    #[test]
    fn a_hash_is_what_the_library_itself_makes_and_verifies() {
        let memory = Memory::default();
        let made = memory.lend(CHEAP, |blocks| hash(CHEAP, b"one", &[7; 16], blocks));
        let parsed = phc::PasswordHash::new(made.as_phc()).unwrap();
        assert!(argon2(CHEAP).verify_password(b"one", &parsed).is_ok());
        assert!(argon2(CHEAP).verify_password(b"two", &parsed).is_err());
        assert!(!is_outdated(&parsed, CHEAP));
    }

    #[test]
    fn memory_is_kept_and_wiped_and_does_not_change_what_is_hashed() {
        let memory = Memory::default();
        let first = memory.lend(CHEAP, |blocks| hash(CHEAP, b"one", &[7; 16], blocks));
        memory.lend(CHEAP, |blocks| {
            assert_eq!(blocks.len(), 16);
            assert!(blocks.iter().all(|block| block.as_ref().iter().all(|word| *word == 0)));
        });
        let again = memory.lend(CHEAP, |blocks| {
            blocks.iter_mut().for_each(|block| block.as_mut().fill(9));
            hash(CHEAP, b"one", &[7; 16], blocks)
        });
        assert_eq!(first, again);
    }

    #[test]
    fn what_a_dearer_hash_took_is_given_back() {
        let memory = Memory::default();
        let dear = HashParams { memory_kib: 64, ..CHEAP };
        memory.lend(CHEAP, |blocks| hash(dear, b"one", &[7; 16], blocks));
        memory.lend(CHEAP, |blocks| assert!(blocks.is_empty()));
    }
}
