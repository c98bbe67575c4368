//! one-region: only some users cannot connect. What they have in common is in no table of one property.
//!
//! A service has an IPv6 and an IPv4 address. Somewhere on the way IPv6 packets vanish: at one provider, in one region. A client
//! that tries the first address and gives up is lost there, and the total hides it: 1 / (R P) of half of the users. One that
//! tries the next address after a time-out connects a time-out later; one that does not wait for the first to fail (Happy
//! Eyeballs, RFC 8305) connects a head start later.

use super::claim::{Measurement, Prediction, Tolerance};
use super::evidence::{Table, percent, percentile};
use super::http::{Connection, Reply, serve};
use super::model::{Arrival, Bound, Model, Observed, Setup, Variant};
use super::world::{Notes, World, drive, load_stream, paced};
use crate::fault::kinds::Partition;
use crate::fault::model::{Fault, Target};
use crate::host::Host;
use crate::run::RunError;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::io;
use std::rc::Rc;
use std::time::Duration;

const FIRST: &str = "first-address";
const NEXT: &str = "next-address";
const EYEBALLS: &str = "happy-eyeballs";

const LOST: &str = "cannot connect, of all users";
const LOST_IN_WEST: &str = "cannot connect, in the west";
const LOST_THERE: &str = "cannot connect, with IPv6 at provider B in the west";
const TAKES: &str = "connecting takes, with IPv6 at provider B in the west";
const ELSEWHERE: &str = "connecting takes, in the north";

const REGIONS: [&str; 4] = ["north", "east", "south", "west"];
const PROVIDERS: [&str; 2] = ["A", "B"];
/// The addresses of the service, in the order in which clients with both try them.
const ADDRESSES: [&str; 2] = ["service-ipv6", "service-ipv4"];
const WEST: u32 = 3;
const B: u32 = 1;

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneRegion {
    /// Users who connect in a second; each is of a random region and provider, and half of them have IPv6.
    users_per_s: f64,
    /// The region that is cut off, from 1 (north, east, south, west); 0: all.
    broken_region: u32,
    /// The provider that is cut off, from 1 (A, B); 0: all.
    broken_provider: u32,
    /// The address that they cannot reach.
    broken_address: Broken,
    /// From when on.
    broken_at_s: f64,
    /// How long a client waits for an address (T).
    connect_timeout_s: f64,
    /// How long a client that tries both waits before it tries the second (RFC 8305, 5: 250 ms).
    head_start_ms: u64,
    /// How long the run is.
    duration_s: f64,
    /// One way between a user and the service.
    latency_ms: u64,
    /// The simulator's step.
    tick_ms: u64,
}

/// Which addresses cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Broken {
    Ipv6,
    Ipv4,
    Both,
}

/// Where a user is, and what they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct User {
    region: u32,
    provider: u32,
    has_ipv6: bool,
}

impl User {
    /// Every sort of user, in the order of their numbers.
    fn all() -> impl Iterator<Item = User> {
        (0..16).map(User::numbered)
    }

    fn numbered(sort: u32) -> User {
        User { region: sort / 4 % 4, provider: sort / 2 % 2, has_ipv6: sort.is_multiple_of(2) }
    }

    fn host(self) -> String {
        host(self.region, self.provider)
    }

    fn addresses(self) -> &'static [&'static str] {
        if self.has_ipv6 { &ADDRESSES } else { &ADDRESSES[1..] }
    }

    fn is_there(self) -> bool {
        self == User { region: WEST, provider: B, has_ipv6: true }
    }
}

fn host(region: u32, provider: u32) -> String {
    format!("{}-{}", REGIONS[region as usize], PROVIDERS[provider as usize])
}

/// One attempt of a user to connect.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    user: User,
    at_ns: u64,
    /// When it had a connection.
    connected_ns: Option<u64>,
}

impl OneRegion {
    fn round_trip_ms(&self) -> f64 {
        2.0 * self.latency_ms as f64
    }

    fn is_cut_off(&self, user: User, address: &str) -> bool {
        let is = |broken: u32, index: u32| broken == 0 || broken == index + 1;
        let is_address = match self.broken_address {
            Broken::Ipv6 => address == ADDRESSES[0],
            Broken::Ipv4 => address == ADDRESSES[1],
            Broken::Both => true,
        };
        is(self.broken_region, user.region) && is(self.broken_provider, user.provider) && is_address
    }

    /// The addresses that a variant tries for a user.
    fn tried(variant: &str, user: User) -> &'static [&'static str] {
        if variant == FIRST { &user.addresses()[..1] } else { user.addresses() }
    }

    /// The percentage of some users that cannot connect.
    fn lost(&self, variant: &str, who: impl Fn(User) -> bool) -> f64 {
        let users: Vec<User> = User::all().filter(|user| who(*user)).collect();
        let is_lost =
            |user: &&User| Self::tried(variant, **user).iter().all(|address| self.is_cut_off(**user, address));
        percent(users.iter().filter(is_lost).count(), users.len())
    }

    /// Attempts that are judged: the break has begun, and they end before the run does.
    fn judged_ns(&self) -> std::ops::Range<u64> {
        ns(self.broken_at_s + 0.5)..ns(self.duration_s - 2.0 * self.connect_timeout_s - 0.5)
    }
}

fn ns(s: f64) -> u64 {
    (s * 1e9) as u64
}

impl Model for OneRegion {
    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant {
                    name: FIRST,
                    what: "a client tries the first address of the name, and gives up",
                    naive: true,
                },
                Variant { name: NEXT, what: "when the first address is silent, a client tries the next", naive: false },
                Variant {
                    name: EYEBALLS,
                    what: "a client that hears nothing soon tries the next as well",
                    naive: false,
                },
            ]
        }
    }

    fn bounds(&self) -> Vec<Bound> {
        vec![
            ("users_per_s", self.users_per_s, 50.0..=500.0),
            ("broken_region", f64::from(self.broken_region), 0.0..=4.0),
            ("broken_provider", f64::from(self.broken_provider), 0.0..=2.0),
            ("broken_at_s", self.broken_at_s, 1.0..=60.0),
            ("connect_timeout_s", self.connect_timeout_s, 0.5..=30.0),
            (
                "head_start_ms",
                self.head_start_ms as f64,
                self.round_trip_ms() + 10.0..=1000.0 * self.connect_timeout_s / 2.0,
            ),
            ("duration_s", self.duration_s, self.broken_at_s + 2.0 * self.connect_timeout_s + 8.0..=300.0),
            ("latency_ms", self.latency_ms as f64, 1.0..=100.0),
            ("tick_ms", self.tick_ms as f64, 1.0..=self.latency_ms as f64),
        ]
    }

    fn assumptions(&self) -> Vec<String> {
        vec![
            format!(
                "open loop: {} users/s, each of a random region of {} and provider of {}; half of them have IPv6",
                self.users_per_s,
                REGIONS.len(),
                PROVIDERS.len()
            ),
            format!(
                "a user with IPv6 has both addresses, IPv6 first; a connect waits {} s for an answer",
                self.connect_timeout_s
            ),
            "what is cut off hears nothing and is told nothing: packets vanish".into(),
            format!("judged: users who come from {} s on, half a second after the break", self.broken_at_s + 0.5),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &[
            "an address family, as an address of its own for the same service",
            "a region's provider, as one host with all of its users",
            "the time-out of a connect: a parameter; Linux gives up a SYN after 127 s by default",
        ]
    }

    fn predict(&self) -> Vec<Prediction> {
        let mut predictions = Vec::new();
        for Variant { name: variant, .. } in self.variants() {
            let mut say = |claim, value, tolerance, because: &str| {
                predictions.push(Prediction::new(claim, variant, value, tolerance, because));
            };
            let because = "the sorts of users whose every address that is tried is cut off";
            // Which users come is drawn: three standard errors of a share of those that are judged.
            let judged = (self.judged_ns().end - self.judged_ns().start) as f64 / 1e9 * self.users_per_s;
            let drawn = |share: f64, of: f64| {
                let part = share / 100.0;
                Tolerance::Within(100.0 * 3.3 * (part * (1.0 - part) / (judged * of)).sqrt() + 0.5)
            };
            let lost = self.lost(variant, |_| true);
            say(LOST, (lost, "%"), drawn(lost, 1.0), because);
            let west = self.lost(variant, |user| user.region == WEST);
            say(LOST_IN_WEST, (west, "%"), drawn(west, 0.25), because);
            let there = self.lost(variant, User::is_there);
            say(LOST_THERE, (there, "%"), Tolerance::Within(0.5), because);
            let tick_ms = self.tick_ms as f64;
            if there == 0.0 {
                let user = User { region: WEST, provider: B, has_ipv6: true };
                let wait_ms = match self.is_cut_off(user, ADDRESSES[0]) {
                    false => 0.0,
                    true if *variant == NEXT => 1000.0 * self.connect_timeout_s,
                    true => self.head_start_ms as f64,
                };
                let because = "the wait for the first address, and a round trip";
                say(
                    TAKES,
                    (wait_ms + self.round_trip_ms(), "ms"),
                    Tolerance::Within(0.05 * wait_ms + 3.0 * tick_ms),
                    because,
                );
            }
            // Where the north is cut off, only some of it connects, and later.
            if self.lost(variant, |user| user.region == 0) == 0.0
                && !User::all().any(|user| user.region == 0 && self.is_cut_off(user, user.addresses()[0]))
            {
                say(ELSEWHERE, (self.round_trip_ms(), "ms"), Tolerance::Within(3.0 * tick_ms), "a round trip");
            }
        }
        predictions
    }

    fn load(&self, seed: u64) -> Vec<Arrival> {
        let mut stream = load_stream(seed);
        let mut load = paced(&mut stream, self.users_per_s, self.duration_s, 0);
        load.iter_mut().for_each(|arrival| arrival.sort = stream.gen_range(0..16));
        load
    }

    fn faults(&self) -> Vec<Fault> {
        let cut = |user: User, address: &str| {
            let group = |name: &str| vec![Target(name.into())];
            let kind = Partition { groups: vec![group(&user.host()), group(address)] }.into();
            Fault { at_ms: (self.broken_at_s * 1000.0) as u64, for_ms: None, kind }
        };
        // A place is one host, whichever addresses its users have.
        let places = User::all().filter(|user| user.has_ipv6);
        let broken = places.flat_map(|user| ADDRESSES.map(|address| (user, address)));
        broken
            .filter(|(user, address)| self.is_cut_off(*user, address))
            .map(|(user, address)| cut(user, address))
            .collect()
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let log = Notes::new(Vec::new());
        let scene = Rc::new(Scene { p: self.clone(), variant: setup.variant, log: log.clone() });
        let mut world = World::new(setup.seed, self.tick_ms, self.duration_s, self.latency_ms).faults(&setup.faults);
        for address in ADDRESSES {
            world = world.host(address, |host| serve(host, |_| async { Reply::ok() }));
        }
        for (region, provider) in (0..4).flat_map(|region| (0..2).map(move |provider| (region, provider))) {
            let scene = scene.clone();
            let is_here = |arrival: &&Arrival| {
                let user = User::numbered(arrival.sort);
                (user.region, user.provider) == (region, provider)
            };
            let load: Rc<[Arrival]> = setup.load.iter().filter(is_here).copied().collect();
            world = world.host(&host(region, provider), move |host| scene.clone().users(host, load.clone()));
        }
        let ran = world.run()?;
        let mut log = log.take();
        log.sort_by_key(|attempt: &Attempt| (attempt.at_ns, attempt.user.region, attempt.user.provider));
        let judged = self.judged_ns();
        log.retain(|attempt| judged.contains(&attempt.at_ns));
        Ok(ran.observed(measure(&log), on_call(&log)))
    }
}

/// What every host of the story knows.
struct Scene {
    p: OneRegion,
    variant: &'static str,
    log: Notes<Vec<Attempt>>,
}

impl Scene {
    async fn users(self: Rc<Self>, host: Host, load: Rc<[Arrival]>) {
        let own = host.clone();
        drive(host, load, move |_, arrival| {
            let (scene, host) = (self.clone(), own.clone());
            async move {
                let (user, at_ns) = (User::numbered(arrival.sort), host.now_ns());
                let connected = scene.connect(&host, OneRegion::tried(scene.variant, user)).await;
                let connected_ns = connected.is_ok().then(|| host.now_ns());
                scene.log.with(|log| log.push(Attempt { user, at_ns, connected_ns }));
            }
        })
        .await;
    }

    async fn connect(&self, host: &Host, addresses: &[&str]) -> io::Result<()> {
        match addresses {
            [first, second] if self.variant == EYEBALLS => {
                let later = async {
                    host.sleep(Duration::from_millis(self.p.head_start_ms)).await;
                    self.reach(host, second).await
                };
                // Whichever connects first; the other one is dropped. An attempt that fails leaves it to the other.
                tokio::select! {
                    biased;
                    Ok(()) = self.reach(host, first) => Ok(()),
                    Ok(()) = later => Ok(()),
                    else => Err(io::ErrorKind::TimedOut.into()),
                }
            }
            addresses => {
                let mut reached = Err(io::ErrorKind::TimedOut.into());
                for address in addresses {
                    reached = self.reach(host, address).await;
                    if reached.is_ok() {
                        break;
                    }
                }
                reached
            }
        }
    }

    async fn reach(&self, host: &Host, address: &str) -> io::Result<()> {
        let limit = Duration::from_secs_f64(self.p.connect_timeout_s);
        tokio::time::timeout(limit, Connection::open(host, address)).await.map_err(io::Error::from)?.map(drop)
    }
}

fn share_lost(attempts: &[Attempt], who: impl Fn(User) -> bool) -> f64 {
    let of = || attempts.iter().filter(|attempt| who(attempt.user));
    percent(of().filter(|attempt| attempt.connected_ns.is_none()).count(), of().count())
}

fn measure(attempts: &[Attempt]) -> Vec<Measurement> {
    let took = |who: fn(User) -> bool| {
        let of = attempts.iter().filter(|attempt| who(attempt.user));
        let took: Vec<u64> = of.filter_map(|attempt| Some(attempt.connected_ns? - attempt.at_ns)).collect();
        (!took.is_empty()).then(|| took.iter().sum::<u64>() as f64 / took.len() as f64 / 1e6)
    };
    let mut measured = vec![
        Measurement::new(LOST, share_lost(attempts, |_| true)),
        Measurement::new(LOST_IN_WEST, share_lost(attempts, |user| user.region == WEST)),
        Measurement::new(LOST_THERE, share_lost(attempts, User::is_there)),
    ];
    measured.extend(took(User::is_there).map(|ms| Measurement::new(TAKES, ms)));
    measured.extend(took(|user| user.region == 0).map(|ms| Measurement::new(ELSEWHERE, ms)));
    measured
}

/// What a user has in common with those of one row.
type Is<'a> = &'a dyn Fn(User) -> bool;

/// The attempts by one property at a time, as most dashboards show them.
fn on_call(attempts: &[Attempt]) -> Vec<Table> {
    let header = ["", "users", "cannot connect", "%", "median ms"];
    let table = |title: &str, rows: &[(&str, Is<'_>)]| {
        let mut table = Table::new(title, &header);
        for (name, is) in rows {
            let of: Vec<&Attempt> = attempts.iter().filter(|attempt| is(attempt.user)).collect();
            let connected = of.iter().filter_map(|attempt| Some(attempt.connected_ns? - attempt.at_ns));
            let mut took: Vec<u64> = connected.map(|ns| ns / 1_000_000).collect();
            let lost = of.len() - took.len();
            let median = percentile(&mut took, 0.5).map_or("-".into(), |ms| ms.to_string());
            let share = format!("{:.1}", percent(lost, of.len()));
            table.row([name.to_string(), of.len().to_string(), lost.to_string(), share, median]);
        }
        table
    };
    let regions: Vec<_> = (0..4).map(|region| move |user: User| user.region == region).collect();
    let providers: Vec<_> = (0..2).map(|provider| move |user: User| user.provider == provider).collect();
    let by_region: Vec<(&str, Is<'_>)> = REGIONS.iter().zip(&regions).map(|(name, is)| (*name, is as Is<'_>)).collect();
    let by_provider: Vec<(&str, Is<'_>)> =
        PROVIDERS.iter().zip(&providers).map(|(name, is)| (*name, is as Is<'_>)).collect();
    vec![
        table("all users, as the front page of the dashboard shows them", &[("all", &|_| true)]),
        table("the same users by region", &by_region),
        table("the same users by provider", &by_provider),
        table(
            "the same users by address",
            &[("IPv6 first", &|user: User| user.has_ipv6), ("IPv4 only", &|user: User| !user.has_ipv6)],
        ),
    ]
}
