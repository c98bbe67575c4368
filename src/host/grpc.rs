//! gRPC with tonic over byte streams: a server that replays, and a connection for clients.
//!
//! ```ignore
//! let routes = Routes::new(LockServer::new(service));
//! grpc::serve(&host, host.listen(50051)?, routes).await;                      // a node
//! let channel = grpc::connect(&client, Endpoint::from_static("http://n2:50051")).await?;   // a client
//! ```
//!
//! `tonic::transport::Server` over an [`Incoming`] serves as well, but two of its properties do not suit a simulation.
//! hyper puts the real time into its answers (the `Date` header, which tonic's builder cannot switch off), so two runs
//! of one seed differ whenever a second of real time begins in between. And it starts its connections with
//! `tokio::spawn`, out of reach of a pause. [`serve`] does neither. It also lacks what the builder's stack adds:
//! limits, and the deadline that a client sends as `grpc-timeout`. Layers go onto `Routes::into_axum_router`.
//!
//! On the client's side, [`connect`] and [`channel`] keep one more thing independent of the real time: see `simulated`.
//!
//! A channel of several endpoints (`Channel::balance_list`) chooses between them at random, by a generator that no
//! seed reaches: connect to one node at a time.

use super::Host;
use super::http::{Connector, HostExecutor};
use super::stream::{Listener, Stream};
use hyper::body::Incoming as Body;
use hyper::server::conn::http2;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tonic::service::Routes;
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint};

/// How long a reset stream is remembered: longer than any run.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// The host at the other end of a connection. It is among every request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The host's name, as in scenario files.
    pub name: String,
}

impl Connected for Stream {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer { name: self.peer_name().to_owned() }
    }
}

/// Serves gRPC on a port of `host` for as long as its process runs: each connection is a task of the host.
pub async fn serve(host: &Host, listener: Listener, routes: Routes) {
    let mut builder = http2::Builder::new(HostExecutor::new(host.clone()));
    builder.timer(TokioTimer::new()).auto_date_header(false);
    let routes = TowerToHyperService::new(routes.prepare());
    loop {
        let stream = listener.accept().await;
        let (peer, routes) = (stream.connect_info(), routes.clone());
        let answer = service_fn(move |mut request: hyper::Request<Body>| {
            request.extensions_mut().insert(peer.clone());
            routes.call(request)
        });
        let connection = builder.serve_connection(TokioIo::new(stream), answer);
        host.spawn(async move {
            // A connection that breaks concerns only its client.
            let _ = connection.await;
        });
    }
}

/// A channel from `host` to the node that `endpoint` names (`http://n2:50051`), connected.
///
/// It connects before the first request is sent, so that a client can tell a node that was never asked (the error is
/// `ConnectionRefused`) from a node whose answer was lost. During a cut it hangs, as a real connection does: bound it
/// with a time-out, or with `Endpoint::connect_timeout`.
///
/// # Errors
/// As [`Host::connect`]; another kind of error if the two do not agree on HTTP/2.
pub async fn connect(host: &Host, endpoint: Endpoint) -> io::Result<Channel> {
    simulated(host, endpoint).connect_with_connector(Connector::new(host.clone())).await.map_err(|error| {
        // tonic wraps the connector's error.
        let mut cause: Option<&dyn Error> = Some(&error);
        while let Some(inner) = cause {
            if let Some(said) = inner.downcast_ref::<io::Error>() {
                return io::Error::new(said.kind(), error);
            }
            cause = inner.source();
        }
        io::Error::other(error)
    })
}

/// As [`connect`], but the first request connects, and a later one again after a failure: for calls between nodes.
pub fn channel(host: &Host, endpoint: Endpoint) -> Channel {
    simulated(host, endpoint).connect_with_connector_lazy(Connector::new(host.clone()))
}

/// An endpoint whose tasks are those of `host`, and which does not depend on the real time.
///
/// A dropped request, as after a time-out, resets its stream. What arrives for a reset stream is ignored as long as h2
/// remembers it, which by default is a second of the machine's own clock, and is answered with an error afterwards.
fn simulated(host: &Host, endpoint: Endpoint) -> Endpoint {
    endpoint.executor(HostExecutor::new(host.clone())).http2_reset_stream_duration(REMEMBERED)
}

/// The connections that arrive at a port, as `tonic::transport::Server::serve_with_incoming` takes them. The module's
/// header says why [`serve`] is the better choice.
pub struct Incoming {
    listener: Arc<Listener>,
    next: Option<Accepting>,
}

type Accepting = Pin<Box<dyn Future<Output = Stream> + Send>>;

impl From<Listener> for Incoming {
    fn from(listener: Listener) -> Incoming {
        Incoming { listener: Arc::new(listener), next: None }
    }
}

impl futures_core::Stream for Incoming {
    type Item = io::Result<Stream>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Stream>>> {
        let Incoming { listener, next } = &mut *self;
        let accepting = next.get_or_insert_with(|| {
            let listener = listener.clone();
            Box::pin(async move { listener.accept().await })
        });
        let stream = ready!(accepting.as_mut().poll(context));
        *next = None;
        Poll::Ready(Some(Ok(stream)))
    }
}
