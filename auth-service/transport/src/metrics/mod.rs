//! What a server counts and measures, for Prometheus.
//!
//! A registry is one server's: several run in one process. What is counted where calls are served is
//! an atomic, which whoever counts holds in hand; names and labels are looked up by the scrape alone.
//! Where a number is kept anyway, it is read when it is asked for.

mod pool;
mod process;
mod registry;
mod rpcs;

pub use self::{
    pool::watch_pool,
    registry::{Counter, FORMAT, Histogram, Metrics, counter, histogram},
    rpcs::RpcMetrics,
};
