//! The hosts of the story: clients, balancers, servers.

use super::super::http::{Connection, Reply, serve};
use super::super::model::Arrival;
use super::super::queue::Queue;
use super::super::world::{Notes, drive, ns, sleep_until};
use super::policy::Picker;
use super::{AWAY_S, Design, FAILING_SERVER, LoadBalancer, SLOW_AT_S, SLOW_SERVER};
use crate::host::Host;
use hyper::StatusCode;
use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What a check asks for: whether the process runs, or whether it does what it is for.
const SHALLOW: &str = "/health";
const DEEP: &str = "/health/work";

/// One request, as measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked {
    /// Whose it is.
    pub client: u32,
    /// When it came.
    pub at_ns: u64,
    /// When its client had an answer or gave up.
    pub ended_ns: Option<u64>,
    /// The server that a balancer picked.
    pub sent_to: Option<usize>,
    /// Whether it was answered in time and without an error.
    pub ok: bool,
    /// Whether a server answered with an error.
    pub is_error: bool,
}

/// What is recorded during a run.
#[derive(Default)]
pub struct Log {
    /// The requests, by number.
    pub asked: Vec<Asked>,
}

/// The name of a server.
pub fn server(number: usize) -> String {
    format!("server-{}", number + 1)
}

/// The name of a balancer.
pub fn balancer(number: u32) -> String {
    format!("balancer-{}", number + 1)
}

/// What every host of the story knows.
pub struct Scene {
    /// The story.
    pub p: LoadBalancer,
    /// The variant.
    pub design: &'static Design,
    /// What is recorded.
    pub log: Notes<Log>,
}

/// A request under way at a server: counted until it is answered or given up.
struct Waiting(Rc<Picker>, usize);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.done(self.1);
    }
}

impl Scene {
    fn is_failing(&self, host: &Host, number: usize) -> bool {
        let from_s = self.p.fails_at_s();
        number == FAILING_SERVER && is_now(host, from_s..from_s + self.p.failing_s)
    }

    /// A server: so many workers, and one queue in front of them.
    pub async fn server(self: Rc<Self>, host: Host, number: usize) {
        let workers = Arc::new(Semaphore::new(self.p.workers as usize));
        let own = host.clone();
        serve(host, move |path| {
            let (scene, host, workers) = (self.clone(), own.clone(), workers.clone());
            async move {
                if path == SHALLOW {
                    return Reply::ok();
                }
                if scene.is_failing(&host, number) {
                    host.sleep(Duration::from_secs_f64(scene.p.fails_in_s)).await;
                    return Reply::with(StatusCode::INTERNAL_SERVER_ERROR);
                }
                if path == DEEP {
                    return Reply::ok();
                }
                // A task of its own: it is done even if nobody waits for it any more.
                let worker = host.clone();
                let work = host.spawn(async move {
                    let _turn = workers.acquire().await;
                    let slow = SLOW_AT_S..SLOW_AT_S + scene.p.slow_s;
                    let is_slow = number == SLOW_SERVER && is_now(&worker, slow);
                    let factor = if is_slow { scene.p.slow_factor } else { 1.0 };
                    let tls_s = if scene.design.tls_at_servers { scene.p.tls_s } else { 0.0 };
                    worker.sleep(Duration::from_secs_f64(factor * scene.p.work_s + tls_s)).await;
                });
                match work.await {
                    Ok(()) => Reply::ok(),
                    Err(_) => Reply::with(StatusCode::INTERNAL_SERVER_ERROR),
                }
            }
        })
        .await;
    }

    /// The servers that requests may go to: those whose checks pass and that are not away; all if that leaves none, since
    /// then it is more likely the balancer that hears nothing.
    fn open(&self, host: &Host, is_out: &[Cell<bool>]) -> Vec<usize> {
        let away = self.p.leaves_at_s()..self.p.leaves_at_s() + AWAY_S;
        let last = self.p.servers as usize - 1;
        let here: Vec<usize> =
            self.p.all().into_iter().filter(|number| *number != last || !is_now(host, away.clone())).collect();
        let passed: Vec<usize> = here.iter().copied().filter(|number| !is_out[*number].get()).collect();
        if passed.is_empty() { here } else { passed }
    }

    /// A balancer: takes a request in with what that costs, picks a server, and passes its answer back.
    pub async fn balancer(self: Rc<Self>, host: Host) {
        let is_out: Rc<[Cell<bool>]> = self.p.all().iter().map(|_| Cell::new(false)).collect();
        for number in self.p.all() {
            host.spawn(self.clone().check(host.clone(), number, is_out.clone()));
        }
        let picker = Rc::new(Picker::new(self.design.policy, self.p.servers as usize));
        let (queue, own) = (Rc::new(Queue::default()), host.clone());
        serve(host, move |path| {
            let (scene, host, queue) = (self.clone(), own.clone(), queue.clone());
            let (is_out, picker) = (is_out.clone(), picker.clone());
            async move {
                let Some((number, client)) = read_path(&path) else {
                    return Reply::with(StatusCode::BAD_REQUEST);
                };
                queue.work(&host, ns(scene.p.balancer_work_s(scene.design))).await;
                let picked = picker.pick(client, &scene.open(&host, &is_out));
                let _waiting = Waiting(picker, picked);
                scene.log.with(|log| log.asked[number].sent_to = Some(picked));
                let limit = Duration::from_secs_f64(scene.p.timeout_s);
                let answered = tokio::time::timeout(limit, ask(&host, &server(picked), "/work")).await;
                answered.ok().and_then(Result::ok).unwrap_or(Reply::with(StatusCode::GATEWAY_TIMEOUT))
            }
        })
        .await;
    }

    /// Checks a server as long as the run lasts.
    async fn check(self: Rc<Self>, host: Host, number: usize, is_out: Rc<[Cell<bool>]>) {
        let interval = Duration::from_secs_f64(self.p.check_interval_s);
        let path = if self.design.checks_deeply { DEEP } else { SHALLOW };
        let mut next_ns = host.random_below(interval.as_nanos() as u64);
        let mut failed = 0;
        loop {
            sleep_until(&host, next_ns).await;
            next_ns += interval.as_nanos() as u64;
            let answered = tokio::time::timeout(interval, ask(&host, &server(number), path)).await;
            let passed = answered.ok().and_then(Result::ok).is_some_and(|reply| reply.status == StatusCode::OK);
            failed = if passed { 0 } else { failed + 1 };
            is_out[number].set(failed >= self.p.failed_checks);
        }
    }

    /// All clients.
    pub async fn clients(self: Rc<Self>, host: Host, load: Rc<[Arrival]>) {
        // Whose turn it is, and until when each balancer is left out.
        let next = Rc::new(Cell::new(0));
        let aside_ns: Rc<[Cell<u64>]> = (0..self.design.balancers).map(|_| Cell::new(0)).collect();
        let own = host.clone();
        drive(host, load, move |number, arrival| {
            let (scene, host, next, aside_ns) = (self.clone(), own.clone(), next.clone(), aside_ns.clone());
            async move {
                let at_ns = host.now_ns();
                scene.log.with(|log| log.asked[number] = Asked { client: arrival.sort, at_ns, ..Asked::default() });
                let limit = Duration::from_secs_f64(scene.p.timeout_s);
                let path = format!("/{number}/{}", arrival.sort);
                let answered = tokio::time::timeout(limit, scene.request(&host, &next, &aside_ns, &path)).await;
                let status = answered.ok().flatten().map(|reply| reply.status);
                let ended_ns = host.now_ns();
                scene.log.with(|log| {
                    let asked = &mut log.asked[number];
                    asked.ended_ns = Some(ended_ns);
                    asked.ok = status == Some(StatusCode::OK);
                    asked.is_error = status == Some(StatusCode::INTERNAL_SERVER_ERROR);
                });
            }
        })
        .await;
    }

    /// Asks the balancer whose turn it is; one that gives no connection in time is left out for as long as it may be dead.
    async fn request(&self, host: &Host, next: &Cell<usize>, aside_ns: &[Cell<u64>], path: &str) -> Option<Reply> {
        let count = aside_ns.len();
        for _ in 0..count {
            let mut turns = (0..count).map(|turn| (next.get() + turn) % count);
            let chosen = turns.find(|number| aside_ns[*number].get() <= host.now_ns()).unwrap_or(next.get());
            next.set((chosen + 1) % count);
            let name = balancer(chosen as u32);
            let opened = Connection::open(host, &name);
            match tokio::time::timeout(Duration::from_secs_f64(self.p.connect_s), opened).await {
                Ok(Ok(mut connection)) => return connection.get(path).await.ok(),
                _ => aside_ns[chosen].set(host.now_ns() + ns(self.p.dead_s)),
            }
        }
        None
    }
}

fn is_now(host: &Host, period_s: Range<f64>) -> bool {
    (ns(period_s.start)..ns(period_s.end)).contains(&host.now_ns())
}

/// The number of a request and its client.
fn read_path(path: &str) -> Option<(usize, u32)> {
    let (number, client) = path.strip_prefix('/')?.split_once('/')?;
    Some((number.parse().ok()?, client.parse().ok()?))
}

async fn ask(host: &Host, name: &str, path: &str) -> std::io::Result<Reply> {
    Connection::open(host, name).await?.get(path).await
}
