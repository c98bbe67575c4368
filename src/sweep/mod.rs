//! Many seeds on all cores, each isolated from the others.
//!
//! A seed that panics or hangs costs that seed only: a panic is caught, a thread that overruns the
//! watchdog is abandoned and replaced. A crash of the whole process (an abort, a stack overflow, no memory left) costs
//! only one seed if the seeds run in child processes: [`children`].
//!
//! [`log`] is the file to which a sweep writes each seed as soon as it is done.

pub mod children;
pub mod coverage;
pub mod log;
pub mod merge;
mod summary;

pub use summary::{Spread, Summary};

use crate::rng::seeds::Seeds;
use std::any::Any;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, sync_channel};
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

/// What a sweep is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Next {
    /// Go on.
    GoOn,
    /// Begin no further seed, and wait for those that run.
    Finish,
    /// End within a tenth of a second: what runs is abandoned.
    Stop,
}

/// The seeds that have not begun.
struct Todo {
    seeds: Peekable<Box<dyn Iterator<Item = u64> + Send>>,
    begun: u64,
    is_closed: bool,
}

impl Todo {
    fn take(&mut self) -> Option<u64> {
        let seed = if self.is_closed { None } else { self.seeds.next() };
        self.begun += u64::from(seed.is_some());
        seed
    }

    fn is_empty(&mut self) -> bool {
        self.is_closed || self.seeds.peek().is_none()
    }
}

struct Shared<T, F> {
    job: F,
    todo: Mutex<Todo>,
    results: SyncSender<(u64, Fate<T>)>,
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
    sweep_as_they_end(seeds.iter(), pool, job, &|| Next::GoOn, |seed, fate| {
        waiting.insert(seed, fate);
        while let Some(fate) = waiting.remove(&due) {
            each(due, fate);
            due += 1;
        }
        Next::GoOn
    });
}

/// As [`sweep`], but in the order in which the seeds end: no seed waits for a slower one before it.
///
/// `outside` is asked ten times a second what to do next, `each` answers that for every seed. Once one of them said
/// [`Next::Finish`] or [`Next::Stop`], only the latter can change that. Every seed that had ended has been handed to `each`,
/// unless that stopped the sweep.
pub fn sweep_as_they_end<T, F>(
    seeds: impl Iterator<Item = u64> + Send + 'static,
    pool: &Pool,
    job: F,
    outside: &dyn Fn() -> Next,
    mut each: impl FnMut(u64, Fate<T>) -> Next,
) where
    T: Send + 'static,
    F: Fn(u64) -> T + Send + Sync + 'static,
{
    let jobs = seeds.size_hint().1.map_or(pool.jobs, |most| pool.jobs.min(most)).max(1);
    // Without room: a worker begins its next seed when the last one is being handed to `each`, so that few begin in vain.
    let (results, receiver) = sync_channel(0);
    let seeds: Box<dyn Iterator<Item = u64> + Send> = Box::new(seeds);
    let todo = Mutex::new(Todo { seeds: seeds.peekable(), begun: 0, is_closed: false });
    let shared = Arc::new(Shared { job, todo, results });
    let mut slots: Vec<Arc<Mutex<Slot>>> = (0..jobs).map(|_| spawn(&shared)).collect();
    // Often enough to notice a hang within a quarter of the watchdog's time, and a request to stop at once.
    let patience = (pool.watchdog / 4).clamp(Duration::from_millis(1), Duration::from_millis(100));
    let mut ended_so_far = 0;
    loop {
        let next = outside();
        let is_over = {
            let mut todo = lock(&shared.todo);
            todo.is_closed |= next != Next::GoOn;
            todo.is_empty() && todo.begun == ended_so_far
        };
        if is_over {
            return;
        }
        let mut ended = Vec::new();
        if next == Next::Stop {
            ended.extend(receiver.try_iter());
        } else {
            ended.extend(receiver.recv_timeout(patience));
        }
        ended.extend(abandon(&mut slots, pool, &shared));
        for (seed, fate) in ended {
            ended_so_far += 1;
            match each(seed, fate) {
                Next::GoOn => {}
                Next::Finish => lock(&shared.todo).is_closed = true,
                Next::Stop => {
                    lock(&shared.todo).is_closed = true;
                    return;
                }
            }
        }
        if next == Next::Stop {
            return;
        }
    }
}

/// Replaces the workers that overran the watchdog, and returns the seeds on which they hang.
fn abandon<T, F>(slots: &mut [Arc<Mutex<Slot>>], pool: &Pool, shared: &Arc<Shared<T, F>>) -> Vec<(u64, Fate<T>)>
where
    T: Send + 'static,
    F: Fn(u64) -> T + Send + Sync + 'static,
{
    let mut hung = Vec::new();
    for slot in slots {
        let late = {
            let mut slot = lock(slot);
            let late = slot.current.filter(|(_, started)| started.elapsed() > pool.watchdog);
            slot.abandoned |= late.is_some();
            late
        };
        if let Some((seed, _)) = late {
            hung.push((seed, Fate::Hung));
            *slot = spawn(shared);
        }
    }
    hung
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
        let Some(seed) = lock(&shared.todo).take() else { return };
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
        if shared.results.send((seed, fate)).is_err() {
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
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let job = move |seed| {
            if seed == 0 {
                lock(&gate).recv().unwrap()
            }
        };
        sweep_as_they_end(0..3, &pool, job, &|| Next::GoOn, |seed, _| {
            ended.push(seed);
            if ended.len() == 2 {
                release.send(()).unwrap();
            }
            Next::GoOn
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
        let outside = || if ended.get() == 4 { Next::Stop } else { Next::GoOn };
        sweep_as_they_end(0..1000, &PATIENT, job, &outside, |_, fate| {
            assert_eq!(fate, Fate::Done(()));
            ended.set(ended.get() + 1);
            Next::GoOn
        });
        assert_eq!(ended.get(), 4);
    }

    #[test]
    fn a_sweep_that_finishes_begins_no_seed_and_drops_none() {
        let begun = Arc::new(Mutex::new(Vec::new()));
        let mut ended = Vec::new();
        let note = begun.clone();
        let job = move |seed| {
            lock(&note).push(seed);
            std::thread::sleep(Duration::from_millis(seed));
        };
        sweep_as_they_end((10..).step_by(3), &PATIENT, job, &|| Next::GoOn, |seed, _| {
            ended.push(seed);
            if ended.len() == 6 { Next::Finish } else { Next::GoOn }
        });
        ended.sort_unstable();
        lock(&begun).sort_unstable();
        assert_eq!(ended, *lock(&begun));
        assert!((6..=6 + PATIENT.jobs).contains(&ended.len()), "{ended:?}");
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
