//! TCP by smoltcp, a stack in user space, over simulated datagrams: what a program's sockets do when its packets are lost.
//!
//! [`Host::connect`](super::Host::connect) gives streams that cannot fail by themselves. Here every segment is a packet of
//! its own on the same links: a connection is opened by a handshake, refused, reset, sent again, timed out and remembered,
//! each as smoltcp's state machine decides. All of it is in the process: a process that is killed takes its connections
//! along as a machine without power does, and the next one knows nothing of them.
//!
//! Settings are a kernel's, with Linux's names ([`settings`]). What smoltcp lacks is in [`stack`]: ports, both queues of a
//! listening port, limits of retransmission, and the length of TIME-WAIT. Its retransmission time-out is RFC 6298's, with
//! a minimum of one second ([`RTO`]); it has no congestion control. Not modelled: SYN cookies, a time-out of FIN-WAIT-2.
//!
//! * [`segment`]: the header of a segment. `machine`: one connection. [`stack`]: all of a host. [`record`]: what happened.
//! * [`Tcp`]: a host's stack as tasks use it.

mod machine;
pub mod record;
pub mod segment;
pub mod settings;
pub mod stack;

pub use machine::State;
pub use record::Failure;
pub use settings::Settings;

use super::address::{address, host_at};
use super::{Host, datagram};
use crate::trace::HostId;
use record::Id;
use stack::Stack;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;

/// The port on which packets are carried: TCP's number among the protocols of IP.
const PROTOCOL: u16 = 6;

/// The first retransmission time-out, and the smallest (RFC 6298, 2.1 and 2.4; smoltcp's `RTTE_INITIAL_RTO` and
/// `RTTE_MIN_RTO`). It doubles with each try.
pub const RTO: Duration = Duration::from_secs(1);

/// How long an acknowledgement waits for something to be sent along with it (smoltcp's `ACK_DELAY_DEFAULT`).
pub const ACK_DELAY: Duration = Duration::from_millis(10);

/// After how many acknowledgements of the same byte a segment is sent again without a time-out (RFC 5681, 3.2).
pub const DUPLICATE_ACKS: u32 = 3;

/// The TCP of one process. Cheap to clone.
#[derive(Clone)]
pub struct Tcp {
    shared: Rc<Shared>,
}

struct Shared {
    host: Host,
    wire: datagram::Socket,
    stack: RefCell<Stack>,
    /// Something is to be done earlier than before.
    earlier: Notify,
    /// A connection may be waiting to be accepted.
    incoming: Notify,
    /// The connections that a program holds.
    held: RefCell<BTreeMap<Id, Rc<Notify>>>,
}

impl Tcp {
    /// Starts the stack of a process.
    ///
    /// # Errors
    /// If the process has one already.
    pub fn start(host: &Host, settings: Settings) -> io::Result<Tcp> {
        let shared = Shared {
            host: host.clone(),
            wire: host.datagrams(Some(PROTOCOL))?,
            stack: RefCell::new(Stack::new(address(host.id()), settings, host.random())),
            earlier: Notify::new(),
            incoming: Notify::new(),
            held: RefCell::default(),
        };
        let tcp = Tcp { shared: Rc::new(shared) };
        host.spawn(tcp.clone().run());
        Ok(tcp)
    }

    /// Receives packets and does what is due, for as long as the process lives.
    async fn run(self) {
        let Shared { host, wire, earlier, .. } = &*self.shared;
        loop {
            let next_ns = self.shared.stack.borrow().next_ns();
            let due = async {
                match next_ns {
                    Some(at_ns) => host.sleep(Duration::from_nanos(at_ns.saturating_sub(host.now_ns()))).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                datagram = wire.receive() => self.with(|stack, now_ns| stack.receive(now_ns, &datagram.bytes)),
                () = earlier.notified() => {}
                () = due => self.with(Stack::poll),
            }
        }
    }

    /// Looks at or changes the stack, sends what it has to send, and wakes who waits for it.
    pub fn with<T>(&self, act: impl FnOnce(&mut Stack, u64) -> T) -> T {
        let Shared { host, wire, stack, earlier, incoming, held } = &*self.shared;
        let (result, outgoing, changed, is_earlier) = {
            let mut stack = stack.borrow_mut();
            let before_ns = stack.next_ns();
            let result = act(&mut stack, host.now_ns());
            let after_ns = stack.next_ns();
            let is_earlier = after_ns.is_some_and(|at_ns| before_ns.is_none_or(|before_ns| at_ns < before_ns));
            (result, stack.take_outgoing(), stack.take_changed(), is_earlier)
        };
        for (to, packet) in outgoing {
            wire.send(&packet, (host_at(to), PROTOCOL));
        }
        if is_earlier {
            earlier.notify_one();
        }
        self.wake(held, incoming, &changed);
        result
    }

    fn wake(&self, held: &RefCell<BTreeMap<Id, Rc<Notify>>>, incoming: &Notify, changed: &BTreeSet<Id>) {
        let held = held.borrow();
        for id in changed {
            match held.get(id) {
                Some(holder) => holder.notify_waiters(),
                None => incoming.notify_waiters(),
            }
        }
    }

    fn hold(&self, id: Id) -> Stream {
        let changed = Rc::<Notify>::default();
        self.shared.held.borrow_mut().insert(id, changed.clone());
        Stream { tcp: self.clone(), id, changed }
    }

    /// Opens a connection to a port of a host.
    ///
    /// # Errors
    /// If it is refused, the host does not answer, or no port is free.
    pub async fn connect(&self, to: HostId, port: u16) -> Result<Stream, Failure> {
        let stream = self.begin(to, port)?;
        stream.opened().await?;
        Ok(stream)
    }

    /// Begins to open a connection.
    ///
    /// # Errors
    /// If no port is free.
    pub fn begin(&self, to: HostId, port: u16) -> Result<Stream, Failure> {
        let id = self.with(|stack, now_ns| stack.connect(now_ns, (address(to), port)))?;
        Ok(self.hold(id))
    }

    /// Listens at a port.
    pub fn listen(&self, port: u16) -> Listener {
        self.with(|stack, _| stack.listen(port));
        Listener { tcp: self.clone(), port }
    }
}

/// A port at which connections are accepted.
pub struct Listener {
    tcp: Tcp,
    port: u16,
}

impl Listener {
    /// The next connection.
    pub async fn accept(&self) -> Stream {
        loop {
            let incoming = self.tcp.shared.incoming.notified();
            if let Some(id) = self.tcp.with(|stack, _| stack.accept(self.port)) {
                return self.tcp.hold(id);
            }
            incoming.await;
        }
    }
}

/// A program's end of a connection. Dropped, it is closed in order.
pub struct Stream {
    tcp: Tcp,
    id: Id,
    changed: Rc<Notify>,
}

impl Stream {
    /// Names it in the stack's record.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.tcp.shared.stack.borrow().state(self.id)
    }

    async fn until<T>(&self, mut ask: impl FnMut(&mut Stack, u64) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            if let Some(found) = self.tcp.with(&mut ask) {
                return found;
            }
            changed.await;
        }
    }

    /// Waits until it is open.
    ///
    /// # Errors
    /// If it is refused, or the host does not answer.
    pub async fn opened(&self) -> Result<(), Failure> {
        self.until(|stack, _| stack.opened(self.id)).await
    }

    /// What has arrived; no bytes at the end of what the other end sends.
    ///
    /// # Errors
    /// If the connection was reset or timed out.
    pub async fn read(&self) -> Result<Vec<u8>, Failure> {
        self.until(|stack, now_ns| stack.read(now_ns, self.id)).await
    }

    /// Hands all bytes to the stack. That it took them does not mean that they arrive.
    ///
    /// # Errors
    /// If the connection is over, or closed at this end.
    pub async fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = self.until(|stack, now_ns| stack.write(now_ns, self.id, rest)).await?;
            rest = &rest[count..];
        }
        Ok(())
    }

    /// Sends nothing more (a FIN follows what was written), and may still read.
    pub fn close(&self) {
        self.tcp.with(|stack, now_ns| stack.close(now_ns, self.id));
    }

    /// Throws the connection away: the other end is sent a reset.
    pub fn abort(&self) {
        self.tcp.with(|stack, now_ns| stack.abort(now_ns, self.id));
    }

    /// Waits until the connection is in this state.
    pub async fn reaches(&self, state: State) {
        self.until(|stack, _| (stack.state(self.id) == state).then_some(())).await;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let host = &self.tcp.shared.host;
        // A machine without power closes nothing.
        if host.fabric().is_down(host.id()) {
            return;
        }
        self.tcp.shared.held.borrow_mut().remove(&self.id);
        self.tcp.with(|stack, now_ns| stack.release(now_ns, self.id));
    }
}

#[cfg(test)]
mod tests;
