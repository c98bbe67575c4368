//! Many seeds on all cores, each isolated from the others.
//!
//! A seed that panics or hangs costs that seed only: a panic is caught, a thread that overruns the
//! watchdog is abandoned and replaced. A crash of the whole process (an abort, a stack overflow, no memory left) costs
//! only one seed if the seeds run in child processes: [`children`].
//!
//! [`log`] is the file to which a sweep writes each seed as soon as it is done.

pub mod children;
pub mod log;
mod summary;

pub use summary::{Spread, Summary};

use crate::rng::seeds::Seeds;
use std::any::Any;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How a sweep uses the machine.
#[derive(Debug, Clone, Copy)]
pub struct Pool {
    /// How many seeds run at once; at least one.
    pub jobs: usize,
    /// Wall-clock time after which a seed counts as hung.
    pub watchdog: Duration,
}

/// What became of one seed.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate<T> {
    /// It ran to its end.
    Done(T),
    /// It panicked, with this message.
    Panicked(String),
    /// It overran the watchdog; its thread was abandoned.
    Hung,
}

/// One worker's current seed, and whether the worker has been abandoned. Both are under one lock: a worker that
/// ends just as its watchdog fires is either in time or abandoned, never both.
#[derive(Default)]
struct Slot {
    current: Option<(u64, Instant)>,
    abandoned: bool,
}

struct Shared<T, F> {
    job: F,
    next: AtomicU64,
    end: u64,
    results: Mutex<Sender<(u64, Fate<T>)>>,
}

/// Runs `job` for every seed, and hands each fate to `each` on the calling thread, in the order of the seeds.
///
/// The job must own what it uses: a thread that hangs lives until the process ends.
pub fn sweep<T, F>(seeds: Seeds, pool: &Pool, job: F, mut each: impl FnMut(u64, Fate<T>))
where
    T: Send + 'static,
    F: Fn(u64) -> T + Send + Sync + 'static,
{
    let mut waiting: BTreeMap<u64, Fate<T>> = BTreeMap::new();
    let mut due = seeds.iter().start;
    sweep_as_they_end(seeds, pool, job, &|| false, |seed, fate| {
        waiting.insert(seed, fate);
        while let Some(fate) = waiting.remove(&due) {
            each(due, fate);
            due += 1;
        }
        ControlFlow::Continue(())
    });
}

/// As [`sweep`], but in the order in which the seeds end: no seed waits for a slower one before it.
///
/// When `is_stopped` says so, or `each` breaks, the sweep ends within a tenth of a second: no further seed begins, and what
/// runs then is abandoned. Every seed that had ended has been handed to `each` by then, unless that broke.
pub fn sweep_as_they_end<T, F>(
    seeds: Seeds,
    pool: &Pool,
    job: F,
    is_stopped: &dyn Fn() -> bool,
    mut each: impl FnMut(u64, Fate<T>) -> ControlFlow<()>,
) where
    T: Send + 'static,
    F: Fn(u64) -> T + Send + Sync + 'static,
{
    let range = seeds.iter();
    let (sender, receiver) = channel();
    let shared =
        Arc::new(Shared { job, next: AtomicU64::new(range.start), end: range.end, results: Mutex::new(sender) });
    let jobs = (pool.jobs.max(1) as u64).min(seeds.count());
    let mut slots: Vec<Arc<Mutex<Slot>>> = (0..jobs).map(|_| spawn(&shared)).collect();
    // Often enough to notice a hang within a quarter of the watchdog's time, and a request to stop at once.
    let patience = (pool.watchdog / 4).clamp(Duration::from_millis(1), Duration::from_millis(100));
    let mut left = seeds.count();
    while left > 0 {
        let stopped = is_stopped();
        if stopped {
            shared.next.store(range.end, Ordering::Relaxed);
        }
        let mut ended = Vec::new();
        match if stopped { Err(RecvTimeoutError::Timeout) } else { receiver.recv_timeout(patience) } {
            Ok(result) => ended.push(result),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => unreachable!("`shared` holds a sender"),
        }
        ended.extend(receiver.try_iter());
        for slot in &mut slots {
            let hung = {
                let mut slot = lock(slot);
                let late = slot.current.filter(|(_, started)| started.elapsed() > pool.watchdog);
                slot.abandoned |= late.is_some();
                late
            };
            if let Some((seed, _)) = hung {
                ended.push((seed, Fate::Hung));
                *slot = spawn(&shared);
            }
        }
        for (seed, fate) in ended {
            left -= 1;
            if each(seed, fate).is_break() {
                shared.next.store(range.end, Ordering::Relaxed);
                return;
            }
        }
        if stopped {
            return;
        }
    }
}

fn spawn<T, F>(shared: &Arc<Shared<T, F>>) -> Arc<Mutex<Slot>>
where
    T: Send + 'static,
    F: Fn(u64) -> T + Send + Sync + 'static,
{
    let slot = Arc::new(Mutex::new(Slot::default()));
    let (shared, own) = (Arc::clone(shared), Arc::clone(&slot));
    std::thread::spawn(move || work(&shared, &own));
    slot
}

fn work<T, F: Fn(u64) -> T>(shared: &Shared<T, F>, slot: &Mutex<Slot>) {
    loop {
        let after = |seed: u64| (seed < shared.end).then_some(seed + 1);
        let Ok(seed) = shared.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after) else { return };
        lock(slot).current = Some((seed, Instant::now()));
        // The job only sees its seed and its own captures, so state that a panic leaves broken is never reused.
        let fate = match catch_unwind(AssertUnwindSafe(|| (shared.job)(seed))) {
            Ok(result) => Fate::Done(result),
            Err(payload) => Fate::Panicked(said(payload.as_ref())),
        };
        {
            let mut slot = lock(slot);
            if slot.abandoned {
                return;
            }
            slot.current = None;
        }
        if lock(&shared.results).send((seed, fate)).is_err() {
            return;
        }
    }
}

/// A lock whose holder cannot leave broken state behind, so poisoning means nothing.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The message of a panic.
pub fn said(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked without a message".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: Pool = Pool { jobs: 4, watchdog: Duration::from_secs(60) };

    fn fates<T: Send + 'static>(
        seeds: Seeds,
        pool: &Pool,
        job: impl Fn(u64) -> T + Send + Sync + 'static,
    ) -> Vec<(u64, Fate<T>)> {
        let mut fates = Vec::new();
        sweep(seeds, pool, job, |seed, fate| fates.push((seed, fate)));
        fates
    }

    #[test]
    fn every_seed_comes_out_once_and_in_order() {
        let seeds = Seeds::new(5, 105).unwrap();
        let found = fates(seeds, &PATIENT, |seed| {
            // The first seeds take longest, so that completion order is not seed order.
            std::thread::sleep(Duration::from_micros((110 - seed) * 20));
            seed * 2
        });
        let expected: Vec<_> = seeds.iter().map(|seed| (seed, Fate::Done(seed * 2))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_seed_that_ends_is_told_before_a_slower_one_before_it() {
        let pool = Pool { jobs: 2, ..PATIENT };
        let mut ended = Vec::new();
        let (release, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let job = move |seed| {
            if seed == 0 {
                lock(&gate).recv().unwrap()
            }
        };
        sweep_as_they_end(Seeds::first(3), &pool, job, &|| false, |seed, _| {
            ended.push(seed);
            if ended.len() == 2 {
                release.send(()).unwrap();
            }
            ControlFlow::Continue(())
        });
        assert_eq!(ended.last(), Some(&0));
        assert_eq!(ended.len(), 3);
    }

    #[test]
    fn a_sweep_that_is_stopped_keeps_what_had_ended() {
        let ended = std::cell::Cell::new(0);
        let job = |seed| {
            if seed > 3 {
                std::thread::sleep(Duration::from_secs(3600))
            }
        };
        sweep_as_they_end(Seeds::first(1000), &PATIENT, job, &|| ended.get() == 4, |_, fate| {
            assert_eq!(fate, Fate::Done(()));
            ended.set(ended.get() + 1);
            ControlFlow::Continue(())
        });
        assert_eq!(ended.get(), 4);
    }

    #[test]
    fn the_last_of_all_seeds_is_the_last() {
        let seeds = Seeds::new(u64::MAX - 3, u64::MAX).unwrap();
        assert_eq!(fates(seeds, &PATIENT, |_| ()).len(), 3);
    }

    #[test]
    fn a_panic_is_its_own_seeds_alone() {
        let found = fates(Seeds::first(10), &PATIENT, |seed| assert!(seed != 3, "seed {seed} broke"));
        assert_eq!(found[3], (3, Fate::Panicked("seed 3 broke".into())));
        assert_eq!(found.iter().filter(|(_, fate)| *fate == Fate::Done(())).count(), 9);
    }

    #[test]
    fn a_hang_is_its_own_seeds_alone_and_its_worker_is_replaced() {
        // One worker only: unless it is replaced, no later seed could run.
        let pool = Pool { jobs: 1, watchdog: Duration::from_millis(200) };
        let found = fates(Seeds::first(6), &pool, |seed| {
            if seed == 2 {
                std::thread::sleep(Duration::from_secs(3600));
            }
        });
        assert_eq!(found[2], (2, Fate::Hung));
        assert_eq!(found.iter().filter(|(_, fate)| *fate == Fate::Done(())).count(), 5);
    }
}
