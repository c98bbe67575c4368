//! Group commit: changes are collected, and made durable together while the disk takes its time.
//!
//! A change is visible at once in the node's memory and is queued here. Whoever must not go on before it is durable
//! asks for a flush; the first to ask starts it, and all that is queued by the time the disk gets to it goes into one
//! commit. Between the queueing and the commit the power can go, and then none of it has happened.

use super::tables::{self, Change};
use crate::host::{Host, lock};
use crate::systems::bugs::Bug;
use redb::Database;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// Told when everything queued before is durable, or why it is not.
type Waiter = Box<dyn FnOnce(io::Result<()>) + Send>;

/// The way to a node's disk.
#[derive(Clone)]
pub struct Journal {
    host: Host,
    database: Arc<Database>,
    queue: Arc<Mutex<Queue>>,
    /// The bug [`Bug::SyncErrorIgnored`].
    ignores_errors: bool,
}

#[derive(Default)]
struct Queue {
    changes: Vec<Change>,
    waiters: Vec<Waiter>,
    is_flushing: bool,
    /// Why nothing can be written any more: after a failed commit memory and disk have parted.
    failed: Option<String>,
}

impl Journal {
    /// Commits to `database`, on the disk of `host`.
    pub fn new(host: Host, database: Database, bug: Option<Bug>) -> Journal {
        let ignores_errors = bug == Some(Bug::SyncErrorIgnored);
        Journal { host, database: Arc::new(database), queue: Arc::default(), ignores_errors }
    }

    /// Queues a change.
    pub fn change(&self, change: Change) {
        lock(&self.queue).changes.push(change);
    }

    /// Queues a change after a while, which nobody waits for.
    pub fn change_in(&self, delay: Duration, change: Change) {
        let this = self.clone();
        self.host.spawn(async move {
            this.host.sleep(delay).await;
            this.change(change);
        });
    }

    /// Tells `waiter` when all that was queued so far is durable.
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

    /// Waits until all that was queued so far is durable.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn flushed(&self) -> io::Result<()> {
        let (done, is_done) = oneshot::channel();
        // A waiter that is gone has lost interest.
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
            let failed = failed
                .or_else(|| tables::commit(&self.database, &changes).err().map(|error| error.to_string()))
                .filter(|_| !self.ignores_errors);
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
