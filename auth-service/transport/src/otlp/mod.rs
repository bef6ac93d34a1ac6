//! Spans for an OpenTelemetry collector, by OTLP over gRPC.
//!
//! An RPC that has ended is a span. It is queued where the RPC is served and sent from a task of its
//! own, many at a time; what a collector cannot take is lost, and counted. Nobody waits for one.

mod collector;
mod exporter;
mod message;

pub use self::{
    collector::collector,
    exporter::{Exporter, Exporting},
};
