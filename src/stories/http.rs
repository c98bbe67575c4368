//! HTTP/1.1 by hyper over simulated byte streams: what servers and clients of the stories speak.

use super::life::{self, Leg, Wire};
use crate::host::Host;
use crate::host::link::Flow;
use crate::trace::HostId;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::io;

/// The port of every server.
const PORT: u16 = 80;

/// What a server answers: a status and a body.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// 200 without a body.
    pub fn ok() -> Reply {
        Reply::with(StatusCode::OK)
    }

    /// A status without a body.
    pub fn with(status: StatusCode) -> Reply {
        Reply { status, body: Bytes::new() }
    }
}

/// Serves requests for ever; the handler is given the path.
pub async fn serve<F>(host: Host, handler: impl Fn(String) -> F + Clone + 'static)
where
    F: Future<Output = Reply> + 'static,
{
    let listener = host.listen(PORT).expect("a process has its port to itself");
    loop {
        let stream = listener.accept().await;
        let (handler, own, wire) = (handler.clone(), host.clone(), Wire::Stream(stream.flow()));
        let back_ns = host.fabric().one_way(host.id(), stream.peer()).as_nanos() as u64;
        let service = service_fn(move |request: Request<Incoming>| {
            let (handler, path) = (handler.clone(), request.uri().path().to_string());
            let answer = life::answering(&own, wire, back_ns, move || handler(path));
            async move {
                let Reply { status, body } = answer.await;
                let mut response = Response::new(Full::new(body));
                *response.status_mut() = status;
                Ok::<_, Infallible>(response)
            }
        });
        // The date header would tell the real time.
        let connection = hyper::server::conn::http1::Builder::new()
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service);
        host.spawn(async move {
            // A client that went away is no error of the server.
            let _ = connection.await;
        });
    }
}

/// A client's connection, kept alive while this lives.
pub struct Connection {
    requests: SendRequest<Empty<Bytes>>,
    host: Host,
    server: HostId,
    flow: Flow,
}

impl Connection {
    /// Connects to a server.
    ///
    /// # Errors
    /// As [`Host::connect`].
    pub async fn open(host: &Host, server: &str) -> io::Result<Connection> {
        let fabric = host.fabric();
        let ways_ns = fabric.host(server).map_or(0, |to| fabric.round_trip(host.id(), to).as_nanos() as u64);
        let leg = Leg::begin(host, None, &format!("connects to {server}"), ways_ns);
        let stream = host.connect(server, PORT).await?;
        leg.answered();
        let (server, flow) = (stream.peer(), stream.flow());
        let (requests, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        host.spawn(async move {
            // An error of the connection shows in its requests.
            let _ = connection.await;
        });
        Ok(Connection { requests, host: host.clone(), server, flow })
    }

    /// Whether another request can be sent.
    pub fn is_open(&self) -> bool {
        !self.requests.is_closed()
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// If the connection ends first.
    pub async fn get(&mut self, path: &str) -> io::Result<Reply> {
        self.requests.ready().await.map_err(io::Error::other)?;
        let request = Request::get(path).header("host", "story").body(Empty::new()).map_err(io::Error::other)?;
        let fabric = self.host.fabric();
        let (there_ns, name) =
            (fabric.one_way(self.host.id(), self.server).as_nanos() as u64, fabric.name(self.server));
        let leg = Leg::begin(&self.host, Some(Wire::Stream(self.flow)), &format!("the request to {name}"), there_ns);
        let response = self.requests.send_request(request).await.map_err(io::Error::other)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
        leg.answered();
        Ok(Reply { status, body })
    }
}
