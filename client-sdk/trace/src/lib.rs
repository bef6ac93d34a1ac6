//! What ties together all that is done for one request, whoever does it: W3C trace context.
//!
//! A request names its trace and the span that it comes from in the metadata entry `traceparent`.
//! Whoever serves it works in a span of the same trace, and names that in what it asks of others. So
//! one id finds every line that every service has logged of it.
//!
//! `tracestate`, in which vendors keep what is theirs, is not read; whoever sends it sends it on
//! themselves.

#![warn(missing_docs)]

mod context;
mod ids;

pub use self::{
    context::{SpanId, TRACEPARENT, TraceContext, TraceId},
    ids::TraceIds,
};
