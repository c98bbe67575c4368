//! Servers and clients inside the simulator: hosts by name, each with a process, and what they recorded.

use super::claim::Measurement;
use super::evidence::Table;
use super::life;
use super::{Arrival, Observed};
use crate::fault::fold::{SiteHosts, Topology};
use crate::fault::kinds::Isolate;
use crate::fault::model::{Chaos, Fault, FaultKind, Schedule, Target};
use crate::host::task::Process;
use crate::host::{Host, lock};
use crate::rng::{self, Stream};
use crate::run::RunError;
use crate::run::life::Life;
use crate::sim::{self, simulate};
use crate::trace::HostId;
use crate::trace::digest::{self, Digest};
use rand::Rng;
use std::future::Future;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Makes the process of a host; called again when it starts anew.
type Start = Box<dyn Fn(Host) -> Process>;

/// A world to run.
pub struct World {
    seed: u64,
    tick_ms: u64,
    duration_ms: u64,
    latency_ms: u64,
    faults: Vec<Fault>,
    hosts: Vec<(String, Start)>,
}

/// The results of a world.
pub struct Ran {
    /// Of every event.
    pub digest: Digest,
    /// How long it lasted, in simulated seconds.
    pub simulated_s: f64,
    /// The simulator's step, in milliseconds.
    pub tick_ms: u64,
    /// How many hosts there were.
    pub hosts: usize,
    /// The requests that were followed.
    pub lives: Vec<Life>,
}

impl Ran {
    /// The results together with the story's measurements and tables.
    pub fn observed(self, measured: Vec<Measurement>, evidence: Vec<Table>) -> Observed {
        let Ran { digest: trace, simulated_s, tick_ms, hosts, lives } = self;
        Observed { measured, evidence, trace, simulated_s, tick_ms, hosts, lives, scenario: None }
    }
}

/// The host of this name.
pub fn named(host: &Host, name: &str) -> HostId {
    host.fabric().host(name).expect("the story has this host")
}

impl World {
    /// A world without hosts, in which a message between two hosts takes `latency_ms`.
    pub fn new(seed: u64, tick_ms: u64, duration_s: f64, latency_ms: u64) -> World {
        let duration_ms = (duration_s * 1000.0).round() as u64;
        World { seed, tick_ms, duration_ms, latency_ms, faults: Vec::new(), hosts: Vec::new() }
    }

    /// Adds faults.
    pub fn faults(mut self, faults: &[Fault]) -> World {
        self.faults.extend_from_slice(faults);
        self
    }

    /// Adds a host.
    pub fn host<F>(mut self, name: &str, process: impl Fn(Host) -> F + 'static) -> World
    where
        F: Future<Output = ()> + 'static,
    {
        self.hosts.push((name.into(), Box::new(move |host| Box::pin(process(host)))));
        self
    }

    /// Runs it.
    ///
    /// # Errors
    /// As [`simulate`].
    pub fn run(self) -> Result<Ran, RunError> {
        let site = |(index, (name, _)): (usize, &(String, Start))| SiteHosts {
            name: name.clone(),
            nodes: vec![HostId(index as u16 + 1)],
            clients: None,
            witness: false,
        };
        let (hosts, tick_ms) = (self.hosts.len(), self.tick_ms);
        let names = ["world".into()].into_iter().chain(self.hosts.iter().map(|(name, _)| name.clone()));
        let topology =
            Topology { names: names.collect(), nodes: hosts, sites: self.hosts.iter().enumerate().map(site).collect() };
        let world = sim::World {
            seed: self.seed,
            tick_ms,
            duration_ms: self.duration_ms,
            latency_ns: sim::World::latencies(&topology, |_, _| self.latency_ms * 1_000_000),
            baseline: Chaos::default(),
            schedule: Schedule { faults: self.faults },
            acts: None,
            topology,
        };
        life::open_book();
        let (evidence, ()) = simulate(&world, &|host: Host| (self.hosts[host.id().index() - 1].1)(host))?;
        Ok(Ran {
            digest: digest::of(&evidence.trace.events),
            simulated_s: evidence.ended_ns as f64 / 1e9,
            tick_ms,
            hosts,
            // Each end rounds to its own step.
            lives: life::close_book(2 * tick_ms * 1_000_000),
        })
    }
}

/// What the hosts of a world record for the measurements: not part of the world.
pub struct Notes<T>(Arc<Mutex<T>>);

impl<T> Clone for Notes<T> {
    fn clone(&self) -> Notes<T> {
        Notes(self.0.clone())
    }
}

impl<T> Notes<T> {
    /// Notes with this initial content.
    pub fn new(notes: T) -> Notes<T> {
        Notes(Arc::new(Mutex::new(notes)))
    }

    /// Looks at or adds to the notes.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut lock(&self.0))
    }
}

impl<T: Default> Notes<T> {
    /// Takes the notes out.
    pub fn take(&self) -> T {
        self.with(std::mem::take)
    }
}

/// Seconds as the simulator counts them.
pub fn ns(s: f64) -> u64 {
    (s * 1e9) as u64
}

/// A fault, given its beginning and its length, both in seconds.
pub fn lasting(at_s: f64, for_s: f64, kind: FaultKind) -> Fault {
    let ms = |s: f64| (s * 1000.0).round() as u64;
    Fault { at_ms: ms(at_s), for_ms: Some(ms(for_s)), kind, when: None }
}

/// A machine without power, as a host that nothing reaches and that reaches nothing.
pub fn dead(host: impl Into<String>) -> FaultKind {
    Isolate { target: Target(host.into()), from_clients: true }.into()
}

/// Waits until an instant of simulated time.
pub async fn sleep_until(host: &Host, t_ns: u64) {
    let now_ns = host.now_ns();
    if t_ns > now_ns {
        host.sleep(Duration::from_nanos(t_ns - now_ns)).await;
    }
}

/// Starts a task for each request of the load when its time comes, and follows it; `request` gets its number.
pub async fn drive<F>(host: Host, load: Rc<[Arrival]>, request: impl Fn(usize, Arrival) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let own = host.clone();
    drive_unfollowed(host, load, move |number, arrival| life::follow(own.clone(), request(number, arrival))).await;
}

/// As [`drive`], for requests of others, that only keep a server busy.
pub async fn drive_unfollowed<F>(host: Host, load: Rc<[Arrival]>, request: impl Fn(usize, Arrival) -> F)
where
    F: Future<Output = ()> + 'static,
{
    for (number, arrival) in load.iter().enumerate() {
        sleep_until(&host, arrival.at_us * 1000).await;
        host.spawn(request(number, *arrival));
    }
    std::future::pending().await
}

/// Requests at `per_s` a second from 0 on, one at a random place within each interval of 1 / `per_s`: the rate is exact,
/// the instants are random.
pub fn paced(stream: &mut Stream, per_s: f64, until_s: f64, sort: u32) -> Vec<Arrival> {
    let count = (per_s * until_s).floor() as u64;
    let interval_us = 1e6 / per_s;
    let at = |number: u64, place: f64| ((number as f64 + place) * interval_us) as u64;
    (0..count).map(|number| Arrival { at_us: at(number, stream.gen_range(0.0..1.0)), sort }).collect()
}

/// The same from 0 on, and after that a rush: at another rate, for so long.
pub fn paced_with_rush(
    stream: &mut Stream,
    (per_s, until_s): (f64, f64),
    (rush_per_s, rush_s): (f64, f64),
) -> Vec<Arrival> {
    let mut load = paced(stream, per_s, until_s, 0);
    let rush_us = (until_s * 1e6) as u64;
    let rush = paced(stream, rush_per_s, rush_s, 0);
    load.extend(rush.into_iter().map(|arrival| Arrival { at_us: rush_us + arrival.at_us, ..arrival }));
    load
}

/// Independent requests at `per_s` a second (a Poisson process).
pub fn poisson(stream: &mut Stream, per_s: f64, until_s: f64, sort: u32) -> Vec<Arrival> {
    let mut at_s = 0.0;
    let mut arrivals = Vec::new();
    loop {
        // 1 - u is never 0, so that its logarithm is finite.
        at_s -= (1.0 - stream.gen_range(0.0..1.0_f64)).ln() / per_s;
        if at_s >= until_s {
            return arrivals;
        }
        arrivals.push(Arrival { at_us: (at_s * 1e6) as u64, sort });
    }
}

/// The stream of random numbers from which a story's load is drawn.
pub fn load_stream(seed: u64) -> Stream {
    rng::stream(seed, "load")
}
