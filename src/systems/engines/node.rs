//! One node: the task that drives its engine, and the requests that come to it. The same for every engine.

use super::desk::{Asked, Counter};
use super::mailroom::{Arrival, Batch, Mailroom};
use crate::host::Host;
use crate::host::transport::Incoming;
use crate::systems::Reconfigured;
use crate::systems::message::{decode, encode};
use crate::systems::protocol::Request;
use crate::systems::storage::process;
use crate::trace::{HostSet, MessageKind};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// An engine between its inputs and its outputs.
pub trait Engine: 'static {
    /// A message of a peer, or the end of a call to one.
    fn arrived(&mut self, arrival: Arrival);

    /// A tick of the clock.
    fn tick(&mut self);

    /// A client's request.
    fn ask(&mut self, asked: Asked);

    /// An administrator's request for a set of voters.
    fn change_members(&mut self, _voters: HostSet, counter: Counter) {
        // The administrator may have stopped waiting.
        let _ = counter.send(encode(&Reconfigured::Refused { hint: None }));
    }

    /// Does all that follows from the inputs: makes durable, sends, applies.
    ///
    /// # Errors
    /// When the disk refuses. The process must end then.
    fn settle(&mut self, mailroom: &Rc<Mailroom>, batch: &mut Batch) -> impl Future<Output = io::Result<()>>;

    /// Answers the clients for whom that was enough.
    fn answer(&mut self);
}

/// A request for the engine.
enum Work {
    Command(Asked),
    Members(HostSet, Counter),
}

/// One process.
pub struct Node<E> {
    host: Host,
    tick: Duration,
    mailroom: Rc<Mailroom>,
    work: RefCell<Vec<Work>>,
    is_tick_due: Cell<bool>,
    failure: Notify,
    /// Taken by the task that drives it.
    engine: RefCell<Option<E>>,
}

impl<E: Engine> Node<E> {
    /// A node on an engine. A call of it waits `deadline` for its reply.
    pub fn new(host: &Host, tick: Duration, deadline: Duration, engine: E) -> Rc<Node<E>> {
        Rc::new(Node {
            host: host.clone(),
            tick,
            mailroom: Mailroom::new(host.clone(), deadline),
            work: RefCell::default(),
            is_tick_due: Cell::new(false),
            failure: Notify::new(),
            engine: RefCell::new(Some(engine)),
        })
    }

    /// Counts time for the engine. A tick that finds the node at its disk waits for it; further ones are dropped, as an
    /// interval timer does.
    async fn keep_time(self: Rc<Self>) {
        while !self.mailroom.is_closed() {
            self.host.sleep(self.tick).await;
            self.is_tick_due.set(true);
            self.mailroom.wake();
        }
    }

    /// Drives the engine until the disk fails.
    async fn drive(self: Rc<Self>) {
        let mut engine = self.engine.take().expect("one task drives a node");
        loop {
            self.mailroom.work().await;
            if let Err(error) = self.batch(&mut engine).await {
                tracing::error!("{:?} stops: {error}", self.host);
                self.mailroom.close();
                self.failure.notify_one();
                return;
            }
        }
    }

    /// Hands over all that came, and then does all that the engine asks for.
    async fn batch(&self, engine: &mut E) -> io::Result<()> {
        let (arrived, mut batch) = self.mailroom.batch();
        arrived.into_iter().for_each(|arrival| engine.arrived(arrival));
        if self.is_tick_due.take() {
            engine.tick();
        }
        for work in self.work.take() {
            match work {
                Work::Command(asked) => engine.ask(asked),
                Work::Members(voters, counter) => engine.change_members(voters, counter),
            }
        }
        engine.settle(&self.mailroom, &mut batch).await?;
        batch.reply();
        engine.answer();
        Ok(())
    }
}

impl<E: Engine> process::Node for Node<E> {
    fn begin(self: &Rc<Self>) {
        self.host.spawn(self.clone().keep_time());
        self.host.spawn(self.clone().drive());
    }

    async fn answer(self: Rc<Self>, incoming: Incoming) -> Option<Vec<u8>> {
        let (counter, answer) = oneshot::channel();
        let work = match incoming.kind {
            MessageKind::Request => {
                let Request { command } = decode(&incoming.payload)?;
                Work::Command(Asked { command, counter })
            }
            MessageKind::Members => Work::Members(decode(&incoming.payload)?, counter),
            _ => return self.mailroom.receive(incoming).await,
        };
        if self.mailroom.is_closed() {
            return None;
        }
        self.work.borrow_mut().push(work);
        self.mailroom.wake();
        answer.await.ok()
    }

    async fn failed(&self) {
        self.failure.notified().await;
    }
}
