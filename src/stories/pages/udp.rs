//! HTTP/3 by h3, over QUIC.

use super::Site;
use crate::host::Host;
use crate::stories::{quic, tls};
use hyper::body::{Buf, Bytes};
use hyper::{Request, Response};
use std::future::Future;
use std::io;

/// The name of the protocol in the handshake.
const NAME: &[u8] = b"h3";

/// Serves resources for ever.
pub async fn serve<F>(host: Host, site: Site, ready: impl Fn(String) -> F + Clone + 'static)
where
    F: Future<Output = ()> + 'static,
{
    let sent = site.sent.clone();
    let endpoint = quic::server(&host, NAME, site.packet, sent).expect("a process has its port to itself");
    loop {
        let connection = endpoint.accept().await;
        let (own, site, ready) = (host.clone(), site.clone(), ready.clone());
        host.spawn(async move {
            // A client that went away is no error of the server.
            if connection.established().await.is_ok() {
                answer(own, connection, site, ready).await;
            }
        });
    }
}

/// Answers what comes over one connection, until its client goes away.
async fn answer<F>(host: Host, connection: quic::Connection, site: Site, ready: impl Fn(String) -> F + Clone + 'static)
where
    F: Future<Output = ()> + 'static,
{
    // What "grease" sends is drawn from the machine.
    let Ok(mut requests) = h3::server::builder().send_grease(false).build::<_, Bytes>(connection).await else { return };
    while let Ok(Some(request)) = requests.accept().await {
        let (ready, piece, packets) = (ready.clone(), site.piece(), site.packets);
        host.spawn(async move {
            let Ok((request, mut stream)) = request.resolve_request().await else { return };
            ready(request.uri().path().to_string()).await;
            let mut sent = stream.send_response(Response::new(())).await;
            for _ in 0..packets {
                if sent.is_ok() {
                    sent = stream.send_data(piece.clone()).await;
                }
            }
            if sent.is_ok() {
                let _ = stream.finish().await;
            }
        });
    }
}

/// A share of a connection of HTTP/3.
#[derive(Clone)]
pub struct Three(h3::client::SendRequest<quic::Connection, Bytes>);

impl Three {
    /// Connects.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub async fn open(host: &Host, server: &str, site: &Site) -> io::Result<Three> {
        let to = host.fabric().host(server).ok_or(io::ErrorKind::NotFound)?;
        let connection = quic::connect(host, to, NAME, site.packet).await?;
        let (mut driver, requests) =
            h3::client::builder().send_grease(false).build(connection).await.map_err(io::Error::other)?;
        host.spawn(async move {
            // An error of the connection shows in its requests.
            let _ = driver.wait_idle().await;
        });
        Ok(Three(requests))
    }

    /// Asks for a resource and reads it; its length.
    ///
    /// # Errors
    /// If the connection ends first.
    pub async fn get(&mut self, path: &str) -> io::Result<usize> {
        let uri = format!("https://{}{path}", tls::NAME);
        let request = Request::get(uri).body(()).map_err(io::Error::other)?;
        let mut stream = self.0.send_request(request).await.map_err(io::Error::other)?;
        stream.finish().await.map_err(io::Error::other)?;
        stream.recv_response().await.map_err(io::Error::other)?;
        let mut length = 0;
        while let Some(piece) = stream.recv_data().await.map_err(io::Error::other)? {
            length += piece.remaining();
        }
        Ok(length)
    }
}
