//! Where connections come from: turmoil's simulated TCP.
//!
//! This is the only file that names turmoil's network. A connection attempt fails as in life: through
//! a cut it vanishes until the caller's time-out (turmoil itself would refuse it at once, and its
//! SYN-ACK ignores the network), and a host whose process is down refuses after one round trip.

use super::fabric::Fabric;
use crate::trace::HostId;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// The port on which every node listens.
pub const PORT: u16 = 7000;

/// The receiving half of a connection.
pub type ReadHalf = Box<dyn AsyncRead + Unpin>;
/// The sending half of a connection.
pub type WriteHalf = Box<dyn AsyncWrite + Unpin>;

/// Connects to a node, as a process on `from`; gives up after `timeout`.
///
/// # Errors
/// `TimedOut` when nothing answers, `ConnectionRefused` when no process listens there.
pub async fn connect(
    fabric: &Arc<Fabric>,
    from: HostId,
    to: HostId,
    timeout: Duration,
) -> io::Result<(ReadHalf, WriteHalf)> {
    if fabric.is_cut(from, to) || fabric.is_cut(to, from) {
        tokio::time::sleep(timeout).await;
        return Err(io::ErrorKind::TimedOut.into());
    }
    if fabric.is_down(to) {
        tokio::time::sleep(fabric.round_trip(from, to)).await;
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    let connecting = turmoil::net::TcpStream::connect((fabric.name(to), PORT));
    let stream = tokio::time::timeout(timeout, connecting).await.map_err(|_| io::ErrorKind::TimedOut)??;
    let (read, write) = stream.into_split();
    Ok((Box::new(read), Box::new(write)))
}

/// Accepts connections on this node's port.
pub struct Listener {
    inner: turmoil::net::TcpListener,
}

impl Listener {
    /// Binds this node's port.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn bind() -> io::Result<Listener> {
        Ok(Listener { inner: turmoil::net::TcpListener::bind(("0.0.0.0", PORT)).await? })
    }

    /// The next connection.
    ///
    /// # Errors
    /// When the listener is broken.
    pub async fn accept(&self) -> io::Result<(ReadHalf, WriteHalf)> {
        let (stream, _) = self.inner.accept().await?;
        let (read, write) = stream.into_split();
        Ok((Box::new(read), Box::new(write)))
    }
}
