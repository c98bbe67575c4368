//! The store under chaos.

use omnipaxos::messages::Message;
use omnipaxos_kv::kv::{Ask, Command, Told};
use omnipaxos_kv::node::{Node, Reads, Reply};
use omnipaxos_kv::storage::Disk;
use omnipaxos_kv::wire::{read, write};
use schism::harness::{Answer, Call, KeyValue, Service};
use schism::host::Host;
use schism::kv::{Op, Response};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::BufReader;
use tokio::sync::{mpsc, oneshot};

/// Where nodes listen for clients, and for each other.
const CLIENTS: u16 = 80;
const PEERS: u16 = 81;
/// A node's unit of time.
const TICK: Duration = Duration::from_millis(20);

/// An input of a node.
enum Event {
    Asked(Command, oneshot::Sender<Reply>),
    Came(Message<Command>),
    Reconnected(u64),
}

/// A cluster: its configuration, and the durable state of its nodes.
struct Cluster {
    disks: Mutex<BTreeMap<u64, Disk>>,
    reads: Reads,
    is_durable: bool,
}

impl Cluster {
    fn new(reads: Reads, is_durable: bool) -> Cluster {
        Cluster { disks: Mutex::default(), reads, is_durable }
    }
}

/// Receives the messages of peers.
async fn hear(host: Host, events: mpsc::UnboundedSender<Event>) {
    let listener = host.listen(PEERS).expect("nothing else listens on this port");
    loop {
        let stream = listener.accept().await;
        let from = stream.peer();
        let events = events.clone();
        host.spawn(async move {
            // Messages on the previous connection may be lost.
            let _ = events.send(Event::Reconnected(u64::from(from.0)));
            let mut lines = BufReader::new(stream);
            while let Ok(Some(message)) = read(&mut lines).await {
                let _ = events.send(Event::Came(message));
            }
        });
    }
}

/// Sends a peer its messages, and connects again after a broken connection.
async fn tell(host: Host, pid: u64, mut messages: mpsc::UnboundedReceiver<Message<Command>>) {
    loop {
        let connected = tokio::time::timeout(Duration::from_millis(400), host.connect(&format!("n{pid}"), PEERS)).await;
        let Ok(Ok(mut stream)) = connected else {
            host.sleep(TICK).await;
            continue;
        };
        // The messages queued meanwhile are old; omnipaxos sends again what still matters.
        while messages.try_recv().is_ok() {}
        loop {
            let Some(message) = messages.recv().await else { return };
            if write(&mut stream, &message).await.is_err() {
                break;
            }
        }
    }
}

/// Receives the requests of clients.
async fn serve(host: Host, events: mpsc::UnboundedSender<Event>) {
    let listener = host.listen(CLIENTS).expect("nothing else listens on this port");
    loop {
        let (mut stream, events) = (BufReader::new(listener.accept().await), events.clone());
        host.spawn(async move {
            while let Ok(Some(command)) = read(&mut stream).await {
                let (reply, answer) = oneshot::channel();
                let _ = events.send(Event::Asked(command, reply));
                // If the node has no answer, the connection ends without one.
                let Ok(answer) = answer.await else { return };
                if write(&mut stream, &answer).await.is_err() {
                    return;
                }
            }
        });
    }
}

impl Service for Cluster {
    type Object = KeyValue;

    fn object(&self) -> KeyValue {
        KeyValue
    }

    async fn node(self: Arc<Self>, host: Host) {
        let (pid, nodes) = (u64::from(host.id().0), host.nodes().len() as u64);
        let disk = match self.is_durable {
            true => self.disks.lock().unwrap().entry(pid).or_default().clone(),
            false => Disk::default(),
        };
        let mut node = Node::new(pid, nodes, disk, self.reads);
        let (sender, mut events) = mpsc::unbounded_channel();
        let mut peers = BTreeMap::new();
        for peer in (1..=nodes).filter(|peer| *peer != pid) {
            let (messages, to_send) = mpsc::unbounded_channel();
            peers.insert(peer, messages);
            host.spawn(tell(host.clone(), peer, to_send));
        }
        host.spawn(hear(host.clone(), sender.clone()));
        host.spawn(serve(host.clone(), sender));
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                biased;
                event = events.recv() => match event.expect("the listeners live as long as the node") {
                    Event::Asked(command, reply) => node.ask(command, reply),
                    Event::Came(message) => node.handle(message),
                    Event::Reconnected(peer) => node.reconnected(peer),
                },
                _ = ticks.tick() => node.tick(),
            }
            for message in node.outgoing() {
                let _ = peers[&message.get_receiver()].send(message);
            }
        }
    }

    async fn call(&self, client: &Host, call: Call<'_, Op>) -> Answer<Response> {
        let ask = match *call.op {
            Op::Get { key } => Ask::Get { key: key.0 },
            Op::Put { key, value } => Ask::Put { key: key.0, value },
            Op::Delete { key } => Ask::Delete { key: key.0 },
            Op::Cas { key, expected, new } => Ask::Cas { key: key.0, expected, new },
        };
        let command = Command { request: (call.tag.session, call.tag.sequence), ask };
        let stream = match client.connect(call.node, CLIENTS).await {
            Ok(stream) => stream,
            Err(error) => return error.into(),
        };
        match exchange(BufReader::new(stream), &command).await {
            Ok(Some(Reply::Told(told))) => Answer::Ok(match told {
                Told::Value(value) => Response::Value(value),
                Told::Done => Response::Done,
                Told::Swapped => Response::Swapped,
                Told::Mismatch(found) => Response::Mismatch { found },
            }),
            Ok(Some(Reply::NoLeader)) => Answer::refused(),
            Ok(None) | Err(_) => Answer::Unknown,
        }
    }

    /// The store knows a request by its number in its session.
    fn is_idempotent(&self, _: &Op) -> bool {
        true
    }
}

async fn exchange(mut stream: BufReader<schism::host::stream::Stream>, command: &Command) -> io::Result<Option<Reply>> {
    write(&mut stream, command).await?;
    read(&mut stream).await
}

#[schism::test(scenario = "sims/chaos.toml", seeds = 5, isolation = "thread")]
fn reads_through_the_log_are_never_stale() -> Cluster {
    Cluster::new(Reads::Decided, true)
}

#[schism::test(scenario = "sims/chaos.toml", seeds = 5, isolation = "thread")]
#[ignore = "fails: `tests/finds.rs` shows what it says"]
fn reads_of_any_node() -> Cluster {
    Cluster::new(Reads::Local, true)
}

#[schism::test(scenario = "sims/chaos.toml", seeds = 20, isolation = "thread")]
#[ignore = "fails: `tests/finds.rs` shows what it says"]
fn storage_in_memory() -> Cluster {
    Cluster::new(Reads::Decided, false)
}
