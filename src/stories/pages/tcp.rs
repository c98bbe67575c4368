//! HTTP/1.1 and HTTP/2 by hyper, with TLS over a byte stream.

use super::packets::Packets;
use super::{PORT, Protocol, Site};
use crate::host::Host;
use crate::host::http::HostExecutor;
use crate::host::stream::Stream;
use crate::stories::tls;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// Flow control that allows more than a page has.
const WINDOW: u32 = 1 << 24;

/// A resource's body, one piece after the other: what reads it decides whose turn is next.
struct Pieces {
    piece: Bytes,
    left: u32,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(self.piece.clone()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.piece.len() as u64 * u64::from(self.left))
    }
}

fn name(protocol: Protocol) -> Vec<u8> {
    if protocol == Protocol::Two { b"h2".to_vec() } else { b"http/1.1".to_vec() }
}

/// Serves resources for ever.
pub async fn serve<F>(host: Host, site: Site, ready: impl Fn(String) -> F + Clone + 'static)
where
    F: Future<Output = ()> + 'static,
{
    let mut config = tls::server(None);
    config.alpn_protocols = vec![name(site.protocol)];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = host.listen(PORT).expect("a process has its port to itself");
    loop {
        let packets = Packets::new(listener.accept().await, site.packet, site.sent.clone());
        let (acceptor, own, site, ready) = (acceptor.clone(), host.clone(), site.clone(), ready.clone());
        host.spawn(async move {
            // A client that went away is no error of the server.
            if let Ok(stream) = acceptor.accept(packets).await {
                answer(own, stream, site, ready).await;
            }
        });
    }
}

/// Answers what comes over one connection, until its client goes away.
async fn answer<F>(
    host: Host,
    stream: server::TlsStream<Packets>,
    site: Site,
    ready: impl Fn(String) -> F + Clone + 'static,
) where
    F: Future<Output = ()> + 'static,
{
    let protocol = site.protocol;
    let service = service_fn(move |request: Request<Incoming>| {
        let (ready, piece, left) = (ready(request.uri().path().to_string()), site.piece(), site.packets);
        async move {
            ready.await;
            Ok::<_, Infallible>(Response::new(Pieces { piece, left }))
        }
    });
    // The date header would tell the real time.
    if protocol == Protocol::Two {
        let mut builder = hyper::server::conn::http2::Builder::new(HostExecutor::new(host));
        let _ = builder.auto_date_header(false).serve_connection(TokioIo::new(stream), service).await;
    } else {
        let mut builder = hyper::server::conn::http1::Builder::new();
        let _ = builder.auto_date_header(false).serve_connection(TokioIo::new(stream), service).await;
    }
}

async fn connect(host: &Host, server: &str, site: &Site) -> io::Result<TokioIo<client::TlsStream<Packets>>> {
    let mut config = tls::client(false);
    config.alpn_protocols = vec![name(site.protocol)];
    let stream: Stream = host.connect(server, PORT).await?;
    let packets = Packets::new(stream, site.packet, Arc::new(|_| ()));
    Ok(TokioIo::new(TlsConnector::from(Arc::new(config)).connect(tls::name(), packets).await?))
}

async fn length(response: Response<Incoming>) -> io::Result<usize> {
    Ok(response.into_body().collect().await.map_err(io::Error::other)?.to_bytes().len())
}

/// A connection of HTTP/1.1.
pub struct One(http1::SendRequest<Empty<Bytes>>);

impl One {
    /// Connects.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub async fn open(host: &Host, server: &str, site: &Site) -> io::Result<One> {
        let stream = connect(host, server, site).await?;
        let (requests, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
        host.spawn(async move {
            // An error of the connection shows in its requests.
            let _ = connection.await;
        });
        Ok(One(requests))
    }

    /// Asks for a resource and reads it; its length.
    ///
    /// # Errors
    /// If the connection ends first.
    pub async fn get(&mut self, path: &str) -> io::Result<usize> {
        self.0.ready().await.map_err(io::Error::other)?;
        let request = Request::get(path).header("host", tls::NAME).body(Empty::new()).map_err(io::Error::other)?;
        length(self.0.send_request(request).await.map_err(io::Error::other)?).await
    }
}

/// A share of a connection of HTTP/2.
#[derive(Clone)]
pub struct Two(http2::SendRequest<Empty<Bytes>>);

impl Two {
    /// Connects.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub async fn open(host: &Host, server: &str, site: &Site) -> io::Result<Two> {
        let stream = connect(host, server, site).await?;
        let mut builder = http2::Builder::new(HostExecutor::new(host.clone()));
        builder.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
        let (requests, connection) = builder.handshake(stream).await.map_err(io::Error::other)?;
        host.spawn(async move {
            // An error of the connection shows in its requests.
            let _ = connection.await;
        });
        Ok(Two(requests))
    }

    /// Asks for a resource and reads it; its length.
    ///
    /// # Errors
    /// If the connection ends first.
    pub async fn get(&mut self, path: &str) -> io::Result<usize> {
        self.0.ready().await.map_err(io::Error::other)?;
        let uri = format!("https://{}{path}", tls::NAME);
        let request = Request::get(uri).body(Empty::new()).map_err(io::Error::other)?;
        length(self.0.send_request(request).await.map_err(io::Error::other)?).await
    }
}
