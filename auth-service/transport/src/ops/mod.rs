//! The operations port: what is asked for over plain HTTP, by programs that speak no gRPC.
//!
//! | path | answer |
//! | --- | --- |
//! | `/healthz` | 200: the process answers |
//! | `/readyz` | 200 while the server may be sent calls, else 503; says what is not ready |
//! | `/metrics` | what is counted and measured, in Prometheus' text format |
//!
//! A server may add paths of its own. Who may reach the port may read all of it, so nothing of it is
//! a secret.

mod connections;
mod readiness;
mod routes;

pub use self::{
    connections::serve,
    readiness::{NotReady, Readiness, Unready},
    routes::routes,
};
