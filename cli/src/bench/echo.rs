//! The least that a tonic server can do: decode a request, answer the same message each time. It can
//! refuse one access token, as a guard does.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    marker::PhantomData,
    net::SocketAddr,
    task::{Context, Poll},
};

use client_sdk::guard::GuardLayer;
use evergreen_proto::reason;
use http::{HeaderValue, header::AUTHORIZATION};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{BoxFuture, Bytes, Service, StdError},
    server::{Grpc, UnaryService},
    transport::Server,
};
use tonic_prost::ProstCodec;
use tower::{Layer as _, ServiceBuilder};
use transport::{serve::connections, status::unauthenticated};

use crate::lab::Failure;

/// A server that answers every call with the same message.
#[derive(Debug)]
pub(super) struct Echo<Req, Res> {
    address: SocketAddr,
    task: JoinHandle<()>,
    messages: PhantomData<fn(Req) -> Res>,
}

impl<Req, Res> Echo<Req, Res>
where
    Req: prost::Message + Default + 'static,
    Res: prost::Message + Default + Clone + Sync + 'static,
{
    pub(super) async fn start(answer: Res) -> Result<Self, Failure> {
        Self::refusing(answer, watch::channel(None).1).await
    }

    /// The same, but calls whose `authorization` is what `refused` says are told that their token
    /// has run out.
    pub(super) async fn refusing(
        answer: Res,
        refused: watch::Receiver<Option<HeaderValue>>,
    ) -> Result<Self, Failure> {
        Self::serve(Answering { answer, refused, messages: PhantomData::<fn(Req)> }).await
    }

    /// The same, behind a guard.
    pub(super) async fn behind(guard: GuardLayer, answer: Res) -> Result<Self, Failure> {
        let refused = watch::channel(None).1;
        let answering = Answering { answer, refused, messages: PhantomData::<fn(Req)> };
        Self::serve(guard.layer(answering)).await
    }

    /// The same, and `work` is done for each call, beside nothing.
    pub(super) async fn working(
        work: impl Fn() + Clone + Send + 'static,
        answer: Res,
    ) -> Result<Self, Failure> {
        let refused = watch::channel(None).1;
        let answering = Answering { answer, refused, messages: PhantomData::<fn(Req)> };
        let service = ServiceBuilder::new().map_future(move |answer| {
            let work = work.clone();
            async move {
                work();
                answer.await
            }
        });
        Self::serve(service.service(answering)).await
    }

    async fn serve<S, B>(service: S) -> Result<Self, Failure>
    where
        S: Service<http::Request<Body>, Response = http::Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError>,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let incoming = connections(listener);
        let task = tokio::spawn(async {
            // It ends when it is aborted.
            let server = Server::builder().max_concurrent_streams(STREAMS);
            let _ = server.serve_with_incoming(service, incoming).await;
        });
        Ok(Self { address, task, messages: PhantomData })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl<Req, Res> Drop for Echo<Req, Res> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Answering<Req, Res> {
    answer: Res,
    refused: watch::Receiver<Option<HeaderValue>>,
    messages: PhantomData<fn(Req)>,
}

impl<Req, Res: Clone> Clone for Answering<Req, Res> {
    fn clone(&self) -> Self {
        let (answer, refused) = (self.answer.clone(), self.refused.clone());
        Self { answer, refused, messages: PhantomData }
    }
}

impl<Req, Res: Clone> UnaryService<Req> for Answering<Req, Res> {
    type Response = Res;
    type Future = Ready<Result<Response<Res>, Status>>;

    fn call(&mut self, _: Request<Req>) -> Self::Future {
        ready(Ok(Response::new(self.answer.clone())))
    }
}

impl<Req, Res> Service<http::Request<Body>> for Answering<Req, Res>
where
    Req: prost::Message + Default + 'static,
    Res: prost::Message + Default + Clone + Sync + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let bearer = request.headers().get(AUTHORIZATION);
            if bearer.is_some() && *service.refused.borrow() == bearer.cloned() {
                let status = unauthenticated(reason::ACCESS_TOKEN_EXPIRED, "it has run out");
                return Ok(status.into_http());
            }
            let mut grpc = Grpc::new(ProstCodec::<Res, Req>::default());
            Ok(grpc.unary(service, request).await)
        })
    }
}

/// How many calls are under way on a connection; more wait at the client. Without a bound, thousands
/// of small messages would lie unread at the server, and its HTTP/2 cuts a connection for that.
const STREAMS: u32 = 1_000;
