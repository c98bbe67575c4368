//! Group commit: changes are queued, and made durable together while the disk takes its time.
//!
//! A change is visible in the node's memory at once, and is queued here. A task that must not go on before the change
//! is durable requests a flush. The first request starts it, and one commit takes everything that is queued when the
//! disk is ready. If the power goes between the queueing and the commit, none of it has happened.

use super::rows::OpenError;
use crate::host::{Host, lock};
use redb::Database;
use std::io;
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// Called once everything queued before is durable, or with the reason why it is not.
type Waiter = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Makes changes in one commit, which is durable when it returns.
pub type Commit<C> = fn(&Database, &[C]) -> Result<(), OpenError>;

/// The way to a node's disk, for changes of a type that the system chooses.
pub struct Journal<C> {
    host: Host,
    database: Arc<Database>,
    commit: Commit<C>,
    queue: Arc<Mutex<Queue<C>>>,
}

// A derived impl would require changes to be cloneable.
impl<C> Clone for Journal<C> {
    fn clone(&self) -> Journal<C> {
        let (host, database, queue) = (self.host.clone(), self.database.clone(), self.queue.clone());
        Journal { host, database, commit: self.commit, queue }
    }
}

struct Queue<C> {
    changes: Vec<C>,
    waiters: Vec<Waiter>,
    is_flushing: bool,
    /// Why nothing can be written any more: after a failed commit, memory and disk differ.
    failed: Option<String>,
}

impl<C: 'static> Journal<C> {
    /// Commits to `database`, on the disk of `host`.
    pub fn new(host: Host, database: Database, commit: Commit<C>) -> Journal<C> {
        let queue = Queue { changes: Vec::new(), waiters: Vec::new(), is_flushing: false, failed: None };
        Journal { host, database: Arc::new(database), commit, queue: Arc::new(Mutex::new(queue)) }
    }

    /// Queues a change.
    pub fn change(&self, change: C) {
        lock(&self.queue).changes.push(change);
    }

    /// Calls `waiter` when everything queued so far is durable.
    pub fn flush(&self, waiter: impl FnOnce(io::Result<()>) + Send + 'static) {
        let must_start = {
            let mut queue = lock(&self.queue);
            queue.waiters.push(Box::new(waiter));
            !std::mem::replace(&mut queue.is_flushing, true)
        };
        if must_start {
            let this = self.clone();
            self.host.spawn(async move { this.run().await });
        }
    }

    /// Waits until everything queued so far is durable.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn flushed(&self) -> io::Result<()> {
        let (done, is_done) = oneshot::channel();
        // The waiting task may be gone.
        self.flush(|result| drop(done.send(result)));
        is_done.await.unwrap_or_else(|_| Err(io::Error::other("the process ended before the disk was done")))
    }

    async fn run(&self) {
        loop {
            self.host.sleep(self.host.disk_latency()).await;
            let (changes, waiters, failed) = {
                let mut queue = lock(&self.queue);
                (std::mem::take(&mut queue.changes), std::mem::take(&mut queue.waiters), queue.failed.clone())
            };
            let failed =
                failed.or_else(|| (self.commit)(&self.database, &changes).err().map(|error| error.to_string()));
            for waiter in waiters {
                waiter(failed.clone().map_or(Ok(()), |failed| Err(io::Error::other(failed))));
            }
            let mut queue = lock(&self.queue);
            queue.failed = failed;
            if queue.waiters.is_empty() {
                queue.is_flushing = false;
                return;
            }
        }
    }
}
