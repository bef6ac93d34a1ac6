//! The contract: what a simulation shows of this backend holds of the others.

use std::sync::Arc;

use token::clock::ManualClock;

use super::*;
use crate::storage::contract::{Fixture, START, contract};

async fn fixture() -> Option<Fixture<MemoryStore>> {
    let clock = Arc::new(ManualClock::at(START));
    let store = MemoryStore::open(&MemoryDatabase::new(), clock.clone());
    Some(Fixture { store, clock, database_clock: None, _dir: None })
}

contract!(fixture());
