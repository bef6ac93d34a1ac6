//! The service that costs nothing, to measure what the layer adds to it.
#![allow(unreachable_pub, reason = "shared by a test and a benchmark")]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Status, body::Body};
use tower::Service;

/// Reads the request, as a transport would, and answers with one empty message.
#[derive(Clone)]
pub struct Null;

impl Service<Request<Body>> for Null {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut body = request.into_body();
        let mut cx = Context::from_waker(Waker::noop());
        while !body.is_end_stream() {
            match Pin::new(&mut body).poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(None) => break,
                Poll::Ready(Some(Err(status))) => panic!("{status}"),
                Poll::Pending => panic!("a unary request is there at once"),
            }
        }
        ready(Ok(Response::new(Body::new(Answer::Message))))
    }
}

enum Answer {
    Message,
    Trailers,
    Ended,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let (next, frame) = match *self {
            Self::Message => (Self::Trailers, Frame::data(Bytes::from_static(&[0; 5]))),
            Self::Trailers => {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                (Self::Ended, Frame::trailers(trailers))
            }
            Self::Ended => return Poll::Ready(None),
        };
        *self = next;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
