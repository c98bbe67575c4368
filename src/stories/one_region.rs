//! one-region: some users cannot connect, most of them in one region, and the region has nothing to do with it.
//!
//! What is broken is the way of one provider's IPv6. Of a group of users so many cannot connect as have that provider and
//! IPv6: P(fails | group) = P(B and IPv6 | group). A group in which nobody fails rules out all that it has in common with
//! those who fail; the group in which most fail need not be where the fault is.

use super::claim::{Measurement, Prediction, Tolerance};
use super::consensus::cut;
use super::dns::{self, Answer, address, host_at};
use super::evidence::{Table, percent, percentile};
use super::http::{Connection, Reply, serve};
use super::model::{Arrival, Bound, Model, Observed, Setup, Variant};
use super::world::{Notes, World, drive, load_stream, named, paced};
use crate::fault::model::Fault;
use crate::host::Host;
use crate::run::RunError;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::io;
use std::rc::Rc;
use std::time::Duration;

const V6_FIRST: &str = "ipv6-first";
const PUBLIC: &str = "public-resolver";
const ELSEWHERE: &str = "other-region";
const LATE: &str = "late-fallback";
const EYEBALLS: &str = "happy-eyeballs";
const NO_V6: &str = "no-ipv6";

const ALL: &str = "cannot connect, of all users";
const NORTH: &str = "cannot connect, of the north";
const EAST: &str = "cannot connect, of the east";
const BY_B: &str = "cannot connect, of provider B";
const BY_V6: &str = "cannot connect, of those with IPv6";
const BY_PUBLIC: &str = "cannot connect, of the public resolver's";
const REACHED: &str = "connected in time, of B with IPv6";
const TAKES: &str = "to connect, of B with IPv6";

const REGIONS: [&str; 3] = ["north", "east", "west"];
const PROVIDERS: [&str; 2] = ["provider-a", "provider-b"];
/// The address families, as they stand in names of hosts.
const V4: &str = "ipv4";
const V6: &str = "ipv6";

/// When the way is lost, in seconds.
const LOST_AT_S: f64 = 4.0;
/// When the first user that is judged comes, in seconds.
const JUDGED_AT_S: f64 = 5.0;
/// How long users come that are judged, in seconds.
const JUDGED_S: f64 = 10.0;

/// The story: what may be changed about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneRegion {
    /// Users who connect, a second.
    users_per_s: f64,
    /// The share of the north's users that provider B has.
    north_b_share: f64,
    /// The share of the users in each other region that it has.
    elsewhere_b_share: f64,
    /// The share of B's users with IPv6.
    b_ipv6_share: f64,
    /// The share of A's users with IPv6.
    a_ipv6_share: f64,
    /// The share of users who ask a public resolver instead of their provider's.
    public_share: f64,
    /// How long a user waits (T).
    timeout_s: f64,
    /// After how long one variant gives up IPv6.
    gives_up_s: f64,
    /// After how long another one tries IPv4 beside it.
    fallback_s: f64,
    /// One way between any two hosts.
    latency_ms: u64,
    /// The simulator's step.
    tick_ms: u64,
}

/// Whom a request is from: a sort of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct User {
    region: usize,
    provider: usize,
    has_v6: bool,
    is_public: bool,
}

impl User {
    fn sort(self) -> u32 {
        let User { region, provider, has_v6, is_public } = self;
        (region * 8 + provider * 4 + usize::from(has_v6) * 2 + usize::from(is_public)) as u32
    }

    fn of(sort: u32) -> User {
        let bit = |place: u32| sort >> place & 1 == 1;
        let region = (sort >> 3) as usize % REGIONS.len();
        User { region, provider: usize::from(bit(2)), has_v6: bit(1), is_public: bit(0) }
    }

    fn is_cut_off(self) -> bool {
        self.provider == 1 && self.has_v6
    }
}

impl OneRegion {
    fn b_share(&self, region: usize) -> f64 {
        if region == 0 { self.north_b_share } else { self.elsewhere_b_share }
    }

    /// The share of all users that provider B has: the regions are equal.
    fn b_of_all(&self) -> f64 {
        (0..REGIONS.len()).map(|region| self.b_share(region)).sum::<f64>() / REGIONS.len() as f64
    }

    /// How long a connection takes.
    fn connect_ms(&self) -> f64 {
        2.0 * self.latency_ms as f64
    }

    /// Users who are judged.
    fn judged(&self) -> f64 {
        self.users_per_s * JUDGED_S
    }

    fn ends_at_s(&self) -> f64 {
        JUDGED_AT_S + JUDGED_S + self.timeout_s + 1.0
    }

    /// 15 %, or what chance leaves room for among so many users: 3.3 standard errors.
    fn of_chance(share: f64, among: f64) -> Tolerance {
        Tolerance::Within(100.0 * (0.15 * share).max(3.3 * (share * (1.0 - share) / among).sqrt()))
    }

    /// Whom the fault meets while nothing is done about it: the share of each group, and how large the group is.
    fn groups(&self) -> Vec<(&'static str, f64, f64, &'static str)> {
        let (all, b, b_v6) = (self.judged(), self.b_of_all(), self.b_ipv6_share);
        let v6 = b * b_v6 + (1.0 - b) * self.a_ipv6_share;
        let region = all / REGIONS.len() as f64;
        vec![
            (ALL, b * b_v6, all, "P(B) P(IPv6 | B)"),
            (NORTH, self.b_share(0) * b_v6, region, "P(B | north) P(IPv6 | B)"),
            (EAST, self.b_share(1) * b_v6, region, "P(B | east) P(IPv6 | B)"),
            (BY_B, b_v6, all * b, "P(IPv6 | B)"),
            (BY_V6, b * b_v6 / v6, all * v6, "P(B | IPv6) = P(B) P(IPv6 | B) / P(IPv6)"),
            (BY_PUBLIC, b * b_v6, all * self.public_share, "as of all: whom one asks changes nothing"),
        ]
    }
}

/// One user's request, as measured.
#[derive(Debug, Clone, Copy)]
struct Asked {
    user: User,
    at_ns: u64,
    is_resolved: bool,
    /// How long it took to connect, after the look-up.
    connected_ns: Option<u64>,
    ok: bool,
}

impl Model for OneRegion {
    fn variants(&self) -> &'static [Variant] {
        const {
            &[
                Variant { name: V6_FIRST, what: "who has IPv6 connects by IPv6", naive: true },
                Variant { name: PUBLIC, what: "the same, all ask the public resolver", naive: true },
                Variant { name: ELSEWHERE, what: "the same, the north is sent to the east's servers", naive: true },
                Variant { name: LATE, what: "IPv4 after IPv6 was given up", naive: false },
                Variant { name: EYEBALLS, what: "IPv4 beside it, a moment after IPv6", naive: false },
                Variant { name: NO_V6, what: "the service has no IPv6 address", naive: false },
            ]
        }
    }

    fn bounds(&self) -> Vec<Bound> {
        let connect_s = self.connect_ms() / 1000.0;
        vec![
            ("users_per_s", self.users_per_s, 50.0..=1000.0),
            ("north_b_share", self.north_b_share, 0.05..=0.95),
            ("elsewhere_b_share", self.elsewhere_b_share, 0.05..=0.95),
            ("b_ipv6_share", self.b_ipv6_share, 0.05..=0.95),
            ("a_ipv6_share", self.a_ipv6_share, 0.05..=0.95),
            ("public_share", self.public_share, 0.05..=0.95),
            ("latency_ms", self.latency_ms as f64, 1.0..=100.0),
            ("tick_ms", self.tick_ms as f64, 1.0..=self.latency_ms as f64),
            ("timeout_s", self.timeout_s, 10.0 * connect_s..=15.0),
            ("gives_up_s", self.gives_up_s, 2.0 * connect_s..=self.timeout_s - 5.0 * connect_s),
            ("fallback_s", self.fallback_s, 2.0 * connect_s..=self.timeout_s - 5.0 * connect_s),
        ]
    }

    fn assumptions(&self) -> Vec<String> {
        vec![
            format!(
                "{} users connect a second, evenly paced, as many in each of three regions; who they are is drawn for each",
                self.users_per_s
            ),
            format!(
                "provider B has {} % of the north's users and {} % of the others', provider A the rest; IPv6: {} % of B's, {} % of \
                 A's; {} % ask the public resolver, the others their provider's",
                100.0 * self.north_b_share,
                100.0 * self.elsewhere_b_share,
                100.0 * self.b_ipv6_share,
                100.0 * self.a_ipv6_share,
                100.0 * self.public_share
            ),
            format!("from {LOST_AT_S} s on nothing passes between provider B and any IPv6 address of the service"),
            format!(
                "connected in time: answered within {} s of the look-up's begin; judged: users who come from {JUDGED_AT_S} s to {} s",
                self.timeout_s,
                JUDGED_AT_S + JUDGED_S
            ),
        ]
    }

    fn modelled(&self) -> &'static [&'static str] {
        &[
            "a name for each address family, in place of an A and an AAAA record of one name",
            "the users of a provider, as one host; an address of a region's servers, as one host for each family",
        ]
    }

    fn predict(&self) -> Vec<Prediction> {
        let mut predictions = Vec::new();
        let mut say = |claim, variant, value, tolerance, because: &str| {
            predictions.push(Prediction::new(claim, variant, value, tolerance, because));
        };
        let groups = self.groups();
        for (claim, share, among, because) in &groups {
            say(claim, V6_FIRST, (100.0 * share, "%"), Self::of_chance(*share, *among), because);
        }
        let (_, share, among, _) = groups[0];
        let because = "neither resolver nor servers are on the way that is lost";
        [PUBLIC, ELSEWHERE]
            .into_iter()
            .for_each(|variant| say(ALL, variant, (100.0 * share, "%"), Self::of_chance(share, among), because));
        for variant in [V6_FIRST, PUBLIC, ELSEWHERE] {
            say(
                REACHED,
                variant,
                (0.0, "%"),
                Tolerance::Within(1.0),
                "no answer comes by IPv6, and nothing else is tried",
            );
        }
        let connect_ms = self.connect_ms();
        for (variant, takes_ms, because) in [
            (LATE, 1000.0 * self.gives_up_s + connect_ms, "the whole wait for IPv6, then a round trip by IPv4"),
            (EYEBALLS, 1000.0 * self.fallback_s + connect_ms, "the head start of IPv6, then a round trip by IPv4"),
            (NO_V6, connect_ms, "a round trip by IPv4"),
        ] {
            say(ALL, variant, (0.0, "%"), Tolerance::Within(1.0), "IPv4 works");
            say(REACHED, variant, (100.0, "%"), Tolerance::Within(1.0), "IPv4 works");
            say(TAKES, variant, (takes_ms, "ms"), Tolerance::Share(0.15), because);
        }
        predictions
    }

    fn load(&self, seed: u64) -> Vec<Arrival> {
        let mut stream = load_stream(seed);
        let mut load = paced(&mut stream, self.users_per_s, JUDGED_AT_S + JUDGED_S, 0);
        for arrival in &mut load {
            // Of a fixed width: a range of usize draws otherwise where that has 32 bits.
            let region = stream.gen_range(0..REGIONS.len() as u32) as usize;
            let is_b = stream.gen_bool(self.b_share(region));
            let has_v6 = stream.gen_bool(if is_b { self.b_ipv6_share } else { self.a_ipv6_share });
            let is_public = stream.gen_bool(self.public_share);
            arrival.sort = User { region, provider: usize::from(is_b), has_v6, is_public }.sort();
        }
        load
    }

    fn faults(&self) -> Vec<Fault> {
        let names = REGIONS.map(|region| server(region, V6));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        vec![cut([&[PROVIDERS[1]], &names], LOST_AT_S, self.ends_at_s() - LOST_AT_S)]
    }

    fn run(&self, setup: &Setup) -> Result<Observed, RunError> {
        let log = Notes::new(Vec::new());
        let scene = Rc::new(Scene { p: self.clone(), variant: setup.variant, log: log.clone() });
        let mut world = World::new(setup.seed, self.tick_ms, self.ends_at_s(), self.latency_ms).faults(&setup.faults);
        for name in REGIONS.iter().flat_map(|region| [server(region, V4), server(region, V6)]) {
            world = world.host(&name, |host| serve(host, |_| std::future::ready(Reply::ok())));
        }
        for name in PROVIDERS.map(own_resolver).into_iter().chain([PUBLIC.to_string()]) {
            world = world.host(&name, resolve);
        }
        for (number, name) in PROVIDERS.into_iter().enumerate() {
            let own = setup.load.iter().filter(|arrival| User::of(arrival.sort).provider == number);
            let (scene, load): (_, Rc<[Arrival]>) = (scene.clone(), own.copied().collect());
            world = world.host(name, move |host| {
                let (scene, own) = (scene.clone(), host.clone());
                drive(host, load.clone(), move |_, arrival| scene.clone().request(own.clone(), User::of(arrival.sort)))
            });
        }
        let ran = world.run()?;
        let asked = log.take();
        Ok(ran.observed(measure(&asked), on_call(&asked)))
    }
}

/// The address of a region's servers in a family.
fn server(region: &str, family: &str) -> String {
    format!("{region}-{family}")
}

fn own_resolver(provider: &str) -> String {
    format!("resolver-of-{provider}")
}

/// A resolver that knows all names of the service: `ipv6.north.shop.example.` and the like.
async fn resolve(host: Host) {
    let own = host.clone();
    dns::serve(host, move |name| {
        let mut labels = name.split('.');
        let found = labels.next().zip(labels.next());
        let host = found.and_then(|(family, region)| own.fabric().host(&server(region, family)));
        std::future::ready(host.map_or(Answer::Failure, |host| Answer::Address(address(host), 60)))
    })
    .await;
}

/// What every host of the story knows.
struct Scene {
    p: OneRegion,
    variant: &'static str,
    log: Notes<Vec<Asked>>,
}

impl Scene {
    async fn request(self: Rc<Self>, host: Host, user: User) {
        let mut asked = Asked { user, at_ns: host.now_ns(), is_resolved: false, connected_ns: None, ok: false };
        let limit = Duration::from_secs_f64(self.p.timeout_s);
        asked.ok =
            tokio::time::timeout(limit, self.ask(&host, &mut asked)).await.is_ok_and(|answered| answered.is_some());
        self.log.with(|log| log.push(asked));
    }

    async fn ask(&self, host: &Host, asked: &mut Asked) -> Option<Reply> {
        let user = asked.user;
        let region = if self.variant == ELSEWHERE && user.region == 0 { REGIONS[1] } else { REGIONS[user.region] };
        let v4 = self.look_up(host, user, V4, region).await?;
        let v6 = match user.has_v6 && self.variant != NO_V6 {
            true => Some(self.look_up(host, user, V6, region).await?),
            false => None,
        };
        asked.is_resolved = true;
        let from_ns = host.now_ns();
        let mut connection = self.connect(host, &v4, v6.as_deref()).await.ok()?;
        asked.connected_ns = Some(host.now_ns() - from_ns);
        connection.get("/").await.ok()
    }

    /// The name of the host that a name leads to.
    async fn look_up(&self, host: &Host, user: User, family: &str, region: &str) -> Option<String> {
        let resolver = match user.is_public || self.variant == PUBLIC {
            true => PUBLIC.to_string(),
            false => own_resolver(PROVIDERS[user.provider]),
        };
        let name = format!("{family}.{region}.shop.example.");
        let limit = Duration::from_secs_f64(self.p.timeout_s);
        match dns::ask(host, named(host, &resolver), &name, limit).await? {
            Answer::Address(address, _) => Some(host.fabric().name(host_at(address)).to_string()),
            Answer::Delegation(..) | Answer::Failure => None,
        }
    }

    async fn connect(&self, host: &Host, v4: &str, v6: Option<&str>) -> io::Result<Connection> {
        let Some(v6) = v6 else { return Connection::open(host, v4).await };
        let mut six = std::pin::pin!(Connection::open(host, v6));
        let first_s = match self.variant {
            LATE => self.p.gives_up_s,
            EYEBALLS => self.p.fallback_s,
            _ => return six.await,
        };
        match tokio::time::timeout(Duration::from_secs_f64(first_s), &mut six).await {
            Ok(Ok(connection)) => Ok(connection),
            Err(_) if self.variant == EYEBALLS => {
                let mut four = std::pin::pin!(Connection::open(host, v4));
                // The first that is there (RFC 8305); one that fails leaves it to the other.
                tokio::select! {
                    biased;
                    Ok(connection) = &mut six => Ok(connection),
                    connection = &mut four => connection,
                }
            }
            _ => Connection::open(host, v4).await,
        }
    }
}

/// Those who are judged.
fn judged(asked: &[Asked]) -> impl Iterator<Item = &Asked> {
    let ns = |s: f64| (s * 1e9) as u64;
    asked.iter().filter(move |asked| (ns(JUDGED_AT_S)..ns(JUDGED_AT_S + JUDGED_S)).contains(&asked.at_ns))
}

/// How many of a group there are, and how many of them cannot connect.
fn count(asked: &[Asked], of: impl Fn(User) -> bool) -> (usize, usize) {
    let group = || judged(asked).filter(|asked| of(asked.user));
    (group().count(), group().filter(|asked| !asked.ok).count())
}

fn measure(asked: &[Asked]) -> Vec<Measurement> {
    let failing = |of: &dyn Fn(User) -> bool| {
        let (all, failed) = count(asked, of);
        percent(failed, all)
    };
    let mut took: Vec<u64> =
        judged(asked).filter(|asked| asked.user.is_cut_off()).filter_map(|asked| asked.connected_ns).collect();
    let median_ms = percentile(&mut took, 0.5).map_or(f64::NAN, |ns| ns as f64 / 1e6);
    vec![
        Measurement::new(ALL, failing(&|_| true)),
        Measurement::new(NORTH, failing(&|user| user.region == 0)),
        Measurement::new(EAST, failing(&|user| user.region == 1)),
        Measurement::new(BY_B, failing(&|user| user.provider == 1)),
        Measurement::new(BY_V6, failing(&|user| user.has_v6)),
        Measurement::new(BY_PUBLIC, failing(&|user| user.is_public)),
        Measurement::new(REACHED, 100.0 - failing(&User::is_cut_off)),
        Measurement::new(TAKES, median_ms),
    ]
}

/// Users who have something in common: its name, and whether one has it.
type Group = (&'static str, fn(User) -> bool);

/// What users can have in common.
const GROUPS: [(&str, &[Group]); 4] = [
    (
        "region",
        &[
            (REGIONS[0], |user| user.region == 0),
            (REGIONS[1], |user| user.region == 1),
            (REGIONS[2], |user| user.region == 2),
        ],
    ),
    ("provider", &[("A", |user| user.provider == 0), ("B", |user| user.provider == 1)]),
    ("address", &[("has IPv4 only", |user| !user.has_v6), ("has IPv6, too", |user| user.has_v6)]),
    (
        "resolver",
        &[
            ("A's", |user| user.provider == 0 && !user.is_public),
            ("B's", |user| user.provider == 1 && !user.is_public),
            ("the public one", |user| user.is_public),
        ],
    ),
];

/// The users' reports by what they have in common, one table for each.
fn on_call(asked: &[Asked]) -> Vec<Table> {
    let table = |(by, groups): (&str, &[Group])| {
        let header = [by, "users", "name resolved", "connected", "timed out", "share"];
        let mut table = Table::new(format!("ten seconds of users, by {by}"), &header);
        for (name, of) in groups {
            let (all, failed) = count(asked, of);
            let resolved = judged(asked).filter(|asked| of(asked.user) && asked.is_resolved).count();
            table.row([
                name.to_string(),
                all.to_string(),
                resolved.to_string(),
                (all - failed).to_string(),
                failed.to_string(),
                format!("{:.0} %", percent(failed, all)),
            ]);
        }
        table
    };
    GROUPS.map(table).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_what_the_sort_says() {
        for sort in 0..24 {
            assert_eq!(User::of(sort).sort(), sort);
        }
    }
}
