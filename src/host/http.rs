//! hyper over byte streams: a connector, an executor, and the traits that it requires of a stream.
//!
//! * A hyper server: `http1::Builder::new().auto_date_header(false)` (the header would tell the real time), and
//!   `TokioIo::new(listener.accept().await)` as its connection.
//! * A hyper client: `Connector` (feature `hyper`) for `hyper_util`'s pooled client, or a
//!   [`Stream`](super::stream::Stream) for `hyper::client::conn`.
//! * tonic: `schism::host::grpc`, feature `tonic`.
//!
//! [`HostExecutor`] starts the tasks that these libraries need with [`Host::spawn`], so that a pause stops them.

use super::Host;
use std::future::Future;

#[cfg(feature = "hyper")]
pub use super::connector::Connector;

/// Starts the tasks of hyper, or of any library that takes a hyper executor, as tasks of a host.
#[derive(Debug, Clone)]
pub struct HostExecutor {
    host: Host,
}

impl HostExecutor {
    /// An executor for tasks of `host`.
    pub fn new(host: Host) -> HostExecutor {
        HostExecutor { host }
    }
}

impl<F> hyper::rt::Executor<F> for HostExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        self.host.spawn(future);
    }
}
