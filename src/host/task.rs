//! Tasks that know their host and do not run while it is paused.
//!
//! All tasks are started with `spawn_local`. Tokio shards the tasks of `tokio::spawn` by a process-global id, and drops
//! them shard by shard when a host crashes. The order of a crash's effects would then depend on how many tasks the
//! *process* ever spawned.

use super::{Host, echo, lock, panics};
use crate::trace::MessageId;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::JoinHandle;

/// A process: runs until it is killed.
pub type Process = Pin<Box<dyn Future<Output = ()>>>;

/// How long a process that ended by itself (its storage failed, or it panicked) stays down before its supervisor starts
/// it again.
pub const RESTART_PAUSE: Duration = Duration::from_secs(1);

tokio::task_local! {
    static HOST: Host;
    static CAUSE: MessageId;
}

/// The host whose task is running.
///
/// # Panics
/// Outside of a task started by [`spawn`]: library code that needs it must be reached through [`Host::spawn`].
pub fn current() -> Host {
    HOST.try_with(Clone::clone).expect("no current host: spawn the task through Host::spawn")
}

/// The message that the running task is handling, if it handles one.
pub fn cause() -> Option<MessageId> {
    CAUSE.try_with(|cause| *cause).ok()
}

/// Runs `future` as the handler of `message`: what it sends names that message as its cause.
pub async fn handling<F: Future>(message: MessageId, future: F) -> F::Output {
    CAUSE.scope(message, future).await
}

/// Starts a task of `host`'s process.
pub fn spawn<F>(host: Host, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let gated = Gated::<F::Output> { host: host.clone(), future: Box::pin(future) };
    tokio::task::spawn_local(HOST.scope(host, gated))
}

/// Whether a process runs, and the tasks that wait for it to run again.
#[derive(Default)]
pub struct Gate {
    state: Mutex<GateState>,
}

#[derive(Default)]
struct GateState {
    paused: bool,
    waiting: Vec<Waker>,
}

impl Gate {
    /// Stops every task of the process at its next step.
    pub fn pause(&self) {
        lock(&self.state).paused = true;
    }

    /// Whether they are stopped.
    pub fn is_paused(&self) -> bool {
        lock(&self.state).paused
    }

    /// Lets the tasks go on.
    pub fn resume(&self) {
        let waiting = {
            let mut state = lock(&self.state);
            state.paused = false;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    fn blocks(&self, context: &Context<'_>) -> bool {
        let mut state = lock(&self.state);
        if state.paused {
            state.waiting.push(context.waker().clone());
        }
        state.paused
    }
}

/// A future that is not polled while its host is paused. Its type is erased: what runs a task, tokio's share of it too, is
/// compiled once for each result and not once for each task.
struct Gated<T> {
    host: Host,
    future: Pin<Box<dyn Future<Output = T>>>,
}

impl<T> Future for Gated<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Gated { host, future } = &mut *self;
        let (fabric, id) = (host.fabric(), host.id());
        if fabric.gate(id).blocks(context) {
            return Poll::Pending;
        }
        let _polling = fabric.recorder().polling();
        if echo::is_on() {
            echo::mark(fabric.name(id), fabric.recorder().now_ns());
        }
        if !fabric.is_node(id) {
            return future.as_mut().poll(context);
        }
        match panics::catch(|| future.as_mut().poll(context)) {
            Ok(poll) => poll,
            Err(said) => {
                fabric.panicked(id, said);
                Poll::Pending
            }
        }
    }
}
