//! Says what to do about a request that is too large to be read.
//!
//! tonic refuses it before it is decoded, with a bare `OUT_OF_RANGE`: a caller cannot tell it from
//! an answer of the service, nor learn what to mend.

use evergreen_proto::reason;
use http::Response;
use tonic::{Code, Status};

use crate::status::argument_invalid;

/// The response, or in place of tonic's refusal `INVALID_ARGUMENT` that names the request.
pub(crate) fn explain<B: Default>(response: Response<B>) -> Response<B> {
    let refusal = Status::from_header_map(response.headers())
        .filter(|status| status.code() == Code::OutOfRange)
        .and_then(|status| status.message().strip_prefix(REFUSAL).map(str::to_owned));
    match refusal {
        Some(sizes) => argument_invalid(
            reason::FIELD_INVALID,
            "request",
            format!("is too large ({}); shorten its fields", sizes.trim_start_matches([':', ' '])),
        )
        .into_http(),
        None => response,
    }
}

/// How tonic's message begins; the end-to-end tests notice if it changes.
const REFUSAL: &str = "Error, decoded message length too large";

#[cfg(test)]
mod tests {
    use tonic::body::Body;

    use super::*;
    use crate::status::reason_of;

    fn explained(status: &Status) -> Status {
        let response = explain::<Body>(status.clone().into_http());
        Status::from_header_map(response.headers()).unwrap()
    }

    #[test]
    fn a_request_that_is_too_large_is_told_so_and_others_keep_their_answers() {
        let sizes = "found 2000 bytes, the limit is: 1024 bytes";
        let refused = explained(&Status::out_of_range(format!("{REFUSAL}: {sizes}")));
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(reason_of(&refused).as_deref(), Some(reason::FIELD_INVALID));
        assert!(refused.message().contains(sizes), "{refused}");
        let own = Status::out_of_range("the service's own");
        assert_eq!(explained(&own).message(), own.message());
    }
}
