//! The calls of our own systems over TCP: the second way for a [`Transport`](crate::host::transport::Transport).
//!
//! A frame is its length in four bytes, and then its content. One connection for each direction of calling, as in the
//! simulator; after calls in a row without any answer it is given up, since TCP would go on retransmitting into a cut
//! with ever longer pauses.

use crate::host::address::{address, host_at};
use crate::host::outside::{Call, Wire};
use crate::host::task;
use crate::host::transport::{CallError, Handler, Incoming};
use crate::trace::{HostId, MessageKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

/// The port on which every node serves.
const PORT: u16 = 7000;
/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(400);
/// Calls in a row that time out, with nothing received meanwhile, before a connection is given up.
const STRIKES: u32 = 2;
/// The longest frame in bytes: far above a chunk of a snapshot.
const MOST_BYTES: u32 = 64 << 20;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 64;

/// Opens a socket in the network of a host.
pub type Open = Box<dyn Fn(HostId) -> io::Result<TcpSocket> + Send + Sync>;

/// Calls over TCP.
pub struct Tcp {
    open: Open,
    next_call: AtomicU64,
    peers: Mutex<BTreeMap<(HostId, HostId), Arc<Peer>>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Request {
    call: u64,
    kind: MessageKind,
    payload: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Reply {
    call: u64,
    payload: Vec<u8>,
}

/// A host as another one calls it.
#[derive(Default)]
struct Peer {
    /// The open connection. It stays locked while one is opened, so that calls wait for it.
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
}

struct Connection {
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<u64, oneshot::Sender<Vec<u8>>>,
    /// Frames received so far.
    received: u64,
    strikes: u32,
    is_closed: bool,
}

impl Connection {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing more comes: whoever waits learns that the connection broke.
    fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.waiting.clear();
    }
}

/// Removes a call's entry however its future ends.
struct Forget<'a> {
    connection: &'a Connection,
    call: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.connection.state().waiting.remove(&self.call);
    }
}

impl Tcp {
    /// Calls over sockets that `open` opens.
    pub fn new(open: Open) -> Tcp {
        Tcp { open, next_call: AtomicU64::new(1), peers: Mutex::default() }
    }

    /// The connection from a host to another, opened if there is none.
    async fn connection(&self, from: HostId, to: HostId) -> io::Result<Arc<Connection>> {
        let peer = {
            let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
            peers.entry((from, to)).or_default().clone()
        };
        let mut known = peer.connection.lock().await;
        if let Some(connection) = known.as_ref().filter(|connection| !connection.state().is_closed) {
            return Ok(connection.clone());
        }
        let socket = (self.open)(from)?;
        socket.set_nodelay(true)?;
        let connecting = socket.connect((address(to), PORT).into());
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await??;
        let (reader, writer) = stream.into_split();
        let (outgoing, queue) = mpsc::unbounded_channel();
        let connection = Arc::new(Connection { outgoing, state: Mutex::default() });
        tokio::task::spawn_local(write(writer, queue));
        tokio::task::spawn_local(receive(reader, connection.clone()));
        *known = Some(connection.clone());
        Ok(connection)
    }

    async fn ask(&self, call: Call) -> Result<Vec<u8>, CallError> {
        let Call { from, to, kind, payload, deadline } = call;
        let end = tokio::time::Instant::now() + deadline;
        let connected = tokio::time::timeout_at(end, self.connection(from, to)).await;
        let connection = connected.ok().and_then(Result::ok).ok_or(CallError::NotSent)?;
        let call = self.next_call.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        let received = {
            let mut state = connection.state();
            state.waiting.insert(call, reply);
            state.received
        };
        let _forget = Forget { connection: &connection, call };
        connection.outgoing.send(frame(&Request { call, kind, payload })).map_err(|_| CallError::NotSent)?;
        match tokio::time::timeout_at(end, answer).await {
            Ok(Ok(payload)) => Ok(payload),
            Ok(Err(_)) => Err(CallError::Broken),
            Err(_) => {
                let mut state = connection.state();
                state.strikes = if state.received == received { state.strikes + 1 } else { 0 };
                let is_dead = state.strikes >= STRIKES;
                drop(state);
                if is_dead {
                    connection.close();
                }
                Err(CallError::Deadline)
            }
        }
    }

    async fn answer(&self, host: HostId, handler: Handler) -> io::Result<()> {
        let listener = self.listen(host)?;
        loop {
            let (stream, peer) = listener.accept().await?;
            let SocketAddr::V4(peer) = peer else { continue };
            stream.set_nodelay(true)?;
            let serving = serve(stream, host_at(*peer.ip()), handler.clone());
            task::spawn(task::current(), serving);
        }
    }

    fn listen(&self, host: HostId) -> io::Result<TcpListener> {
        let socket = (self.open)(host)?;
        // The connections of a process that was killed may still be there.
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(IpAddr::V4(address(host)), PORT))?;
        socket.listen(BACKLOG)
    }
}

impl Wire for Tcp {
    fn call(&self, call: Call) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, CallError>> + Send + '_>> {
        Box::pin(self.ask(call))
    }

    fn serve(&self, host: HostId, handler: Handler) -> Pin<Box<dyn Future<Output = io::Result<()>> + '_>> {
        Box::pin(self.answer(host, handler))
    }
}

fn frame<T: Serialize>(content: &T) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend(postcard::to_stdvec(content).expect("every message of ours encodes"));
    let length = (bytes.len() - 4) as u32;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// The next frame.
async fn read<T: DeserializeOwned>(reader: &mut OwnedReadHalf) -> io::Result<T> {
    let length = reader.read_u32().await?;
    if length > MOST_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length as usize];
    reader.read_exact(&mut bytes).await?;
    postcard::from_bytes(&bytes).map_err(io::Error::other)
}

/// Writes what is to be sent, until nobody has anything to send any more or the connection breaks.
async fn write(mut writer: OwnedWriteHalf, mut queue: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(bytes) = queue.recv().await {
        if writer.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Gives replies to those who wait for them, until the connection breaks or is given up.
async fn receive(mut reader: OwnedReadHalf, connection: Arc<Connection>) {
    while let Ok(Reply { call, payload }) = read(&mut reader).await {
        let mut state = connection.state();
        (state.received, state.strikes) = (state.received + 1, 0);
        if state.is_closed {
            break;
        }
        if let Some(waiting) = state.waiting.remove(&call) {
            // A caller that has gone needs no reply.
            let _ = waiting.send(payload);
        }
    }
    connection.close();
}

/// Answers what comes on a connection.
async fn serve(stream: TcpStream, from: HostId, handler: Handler) {
    let (mut reader, writer) = stream.into_split();
    let (outgoing, queue) = mpsc::unbounded_channel();
    tokio::task::spawn_local(write(writer, queue));
    while let Ok(Request { call, kind, payload }) = read(&mut reader).await {
        let answer = handler(Incoming { from, kind, payload });
        let outgoing = outgoing.clone();
        task::spawn(task::current(), async move {
            if let Some(payload) = answer.await {
                // A connection that has broken meanwhile carries no answer.
                let _ = outgoing.send(frame(&Reply { call, payload }));
            }
        });
    }
}
