//! The connector of `hyper_util`'s pooled client. A module of its own, because that client asks for sockets of the
//! operating system, which a build for WebAssembly has not.

use super::Host;
use super::stream::Stream;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Connects to the host and port of a URI: `http://n2:8080/`, port 80 if there is none.
#[derive(Debug, Clone)]
pub struct Connector {
    host: Host,
}

impl Connector {
    /// Connections from `host`.
    pub fn new(host: Host) -> Connector {
        Connector { host }
    }
}

impl tower_service::Service<hyper::Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: hyper::Uri) -> Self::Future {
        let host = self.host.clone();
        Box::pin(async move {
            let nameless = || io::Error::new(io::ErrorKind::InvalidInput, format!("`{uri}` names no host"));
            let to = uri.host().ok_or_else(nameless)?;
            host.connect(to, uri.port_u16().unwrap_or(80)).await.map(TokioIo::new)
        })
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
