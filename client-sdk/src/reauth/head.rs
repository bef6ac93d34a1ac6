//! The head of a request, kept for a replay.

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use smallvec::SmallVec;
use tonic::{GrpcMethod, body::Body};

use super::classify::Idempotent;

/// All of a head but what the service below has taken with the first attempt.
///
/// Cloning a request's parts allocates five times for the plainest of calls, and hardly any call is
/// replayed; so this keeps the pieces and puts them together only then.
pub(super) struct Head {
    method: Method,
    uri: Uri,
    version: Version,
    /// As many as a stub sends by itself, and two, without allocating.
    headers: SmallVec<[(HeaderName, HeaderValue); 4]>,
    extensions: Kept,
    idempotent: bool,
}

/// Extensions can be cloned, but not counted among what is cheap to clone.
enum Kept {
    None,
    /// What stubs put there, and nothing else.
    Method(GrpcMethod<'static>),
    Others(Extensions),
}

impl Head {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let headers = request.headers();
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            extensions: Kept::of(request.extensions()),
            idempotent: request.extensions().get::<Idempotent>().is_some(),
        }
    }

    pub(super) const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    pub(super) fn path(&self) -> &str {
        self.uri.path()
    }

    /// The request again, with `body`.
    pub(super) fn with(&self, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = self.version;
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 1);
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        *request.headers_mut() = headers;
        match &self.extensions {
            Kept::None => {}
            Kept::Method(method) => drop(request.extensions_mut().insert(method.clone())),
            Kept::Others(extensions) => *request.extensions_mut() = extensions.clone(),
        }
        request
    }
}

impl Kept {
    fn of(extensions: &Extensions) -> Self {
        match (extensions.len(), extensions.get::<GrpcMethod<'static>>()) {
            (0, _) => Self::None,
            (1, Some(method)) => Self::Method(method.clone()),
            _ => Self::Others(extensions.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Mark(u8);

    fn request() -> Request<Body> {
        Request::builder()
            .method(Method::POST)
            .uri("http://127.0.0.1:1/p.S/M")
            .version(Version::HTTP_2)
            .header("te", "trailers")
            .header("x-many", "1")
            .header("x-other", "a")
            .header("x-many", "2")
            .header("grpc-timeout", "1S")
            .header("x-bin", HeaderValue::from_bytes(&[0x80]).unwrap())
            .body(Body::empty())
            .unwrap()
    }

    fn same_head(a: &Request<Body>, b: &Request<Body>) {
        assert_eq!(a.method(), b.method());
        assert_eq!(a.uri(), b.uri());
        assert_eq!(a.version(), b.version());
        assert_eq!(a.headers(), b.headers());
        assert_eq!(a.extensions().len(), b.extensions().len());
    }

    fn method_of(request: &Request<Body>) -> Option<&str> {
        request.extensions().get::<GrpcMethod<'static>>().map(GrpcMethod::method)
    }

    #[test]
    fn a_head_is_put_together_as_it_was() {
        let request = request();
        same_head(&Head::of(&request).with(Body::empty()), &request);
    }

    #[test]
    fn extensions_come_back_whether_the_stubs_or_the_callers() {
        let mut request = request();
        request.extensions_mut().insert(GrpcMethod::new("p.S", "M"));
        let again = Head::of(&request).with(Body::empty());
        same_head(&again, &request);
        assert_eq!(method_of(&again), Some("M"));

        request.extensions_mut().insert(Mark(7));
        let again = Head::of(&request).with(Body::empty());
        same_head(&again, &request);
        assert_eq!(method_of(&again), Some("M"));
        assert_eq!(again.extensions().get(), Some(&Mark(7)));

        request.extensions_mut().remove::<GrpcMethod<'static>>();
        let again = Head::of(&request).with(Body::empty());
        assert_eq!(again.extensions().get(), Some(&Mark(7)));
    }

    #[test]
    fn a_request_says_that_it_is_idempotent() {
        let mut request = request();
        assert!(!Head::of(&request).is_idempotent());
        request.extensions_mut().insert(Idempotent);
        assert!(Head::of(&request).is_idempotent());
    }
}
