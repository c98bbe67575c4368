//! Three nodes in one process, over TCP: one client takes a lock, and another learns who holds it.

use lock::acceptor::Acceptor;
use lock::messages::Request;
use lock::proposer::Proposer;
use lock::service::routes;
use lock::wire::locks::locks_client::LocksClient;
use std::error::Error;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Endpoint, Server};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut listeners = Vec::new();
    for _ in 0..3 {
        listeners.push(TcpListener::bind("127.0.0.1:0").await?);
    }
    let mut channels = Vec::new();
    for listener in &listeners {
        channels.push(Endpoint::from_shared(format!("http://{}", listener.local_addr()?))?.connect_lazy());
    }
    for (at, listener) in listeners.into_iter().enumerate() {
        let mut peers = channels.clone();
        peers.remove(at);
        let node = Proposer { node: at as u64 + 1, acceptor: Acceptor::default(), peers, mistake: None };
        let incoming = TcpListenerStream::new(listener);
        tokio::spawn(Server::builder().add_routes(routes(node)).serve_with_incoming(incoming));
    }
    for (holder, channel) in (1..).zip(channels) {
        let request = Request { lock: "billing".into(), holder, session: holder, sequence: 1 };
        let standing = LocksClient::new(channel).acquire(request).await?.into_inner();
        println!("{holder} asks for `billing`: held by {:?}, token {}", standing.holder, standing.token);
    }
    Ok(())
}
