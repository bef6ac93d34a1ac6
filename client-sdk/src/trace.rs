//! The trace in what is asked of the token service.

use tonic::{Request, metadata::MetadataValue};
use trace_context::{TRACEPARENT, TraceContext};

/// Names the trace that the task works in, if it works in one.
pub(crate) fn stamped<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(trace) = TraceContext::current()
        && let Ok(value) = MetadataValue::try_from(trace.header().as_bytes())
    {
        request.metadata_mut().insert(TRACEPARENT.as_str(), value);
    }
    request
}
