//! Both services in this process, and a network that can be told to lose answers: what the
//! demonstration, the benchmarks and the end-to-end tests stand on.

mod pair;
mod proxy;

pub use self::{
    pair::{DEMO_PASSWORD, DEMO_USER, Failure, Running, start_api, start_auth},
    proxy::LossyProxy,
};
