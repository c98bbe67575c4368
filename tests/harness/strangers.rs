//! Services as other projects write them: without idempotency keys, with tokens, with chance, and with output.

use super::{read, run, said, write};
use schism::prelude::*;
use schism::run::{Options, Verdict, run_subject};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A counter per key on n1, which adds as often as it is asked to.
#[derive(Default)]
struct Counter {
    totals: Arc<Mutex<BTreeMap<u32, u64>>>,
    /// Whether its clients may ask again, which is wrong.
    claims_idempotence: bool,
    /// Whether it always answers in time.
    is_prompt: bool,
    prints: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Ask {
    Add(u32),
    Total(u32),
}

struct Totals;

impl Model for Totals {
    type State = u64;
    type Op = Ask;
    type Ret = u64;

    fn initial(&self) -> u64 {
        0
    }

    fn step(&self, total: &u64, ask: &Ask, answer: Option<&u64>) -> Option<u64> {
        let after = total + u64::from(matches!(ask, Ask::Add(_)));
        answer.is_none_or(|answer| *answer == after).then_some(after)
    }

    fn key(&self, ask: &Ask) -> u64 {
        let (Ask::Add(key) | Ask::Total(key)) = ask;
        u64::from(*key)
    }
}

impl Object for Totals {
    fn operation(&self, op: &Op) -> Ask {
        if op.is_write() { Ask::Add(op.key().0) } else { Ask::Total(op.key().0) }
    }
}

impl Service for Counter {
    type Object = Totals;

    fn object(&self) -> Totals {
        Totals
    }

    async fn node(self: Arc<Self>, host: Host) {
        let listener = host.listen(7).unwrap();
        loop {
            let mut stream = listener.accept().await;
            let (this, host, name) = (self.clone(), host.clone(), host.name().to_owned());
            host.clone().spawn(async move {
                while let Some(request) = read(&mut stream).await {
                    let ask: Ask = postcard::from_bytes(&request).unwrap();
                    if this.prints {
                        println!("{name} was asked to {ask:?}");
                        eprintln!("{name} complains");
                        tracing::info!(host = name, "and logs");
                    }
                    let total = {
                        let (Ask::Add(key) | Ask::Total(key)) = ask;
                        let mut totals = this.totals.lock().unwrap();
                        let total = totals.entry(key).or_default();
                        *total += u64::from(matches!(ask, Ask::Add(_)));
                        *total
                    };
                    if !this.is_prompt && matches!(ask, Ask::Add(_)) && total % 7 == 3 {
                        // Longer than its clients wait.
                        host.sleep(std::time::Duration::from_millis(400)).await;
                    }
                    write(&mut stream, &postcard::to_stdvec(&total).unwrap()).await;
                }
            });
        }
    }

    async fn call(&self, client: &Host, call: Call<'_, Ask>) -> Answer<u64> {
        let mut stream = match client.connect(call.node, 7).await {
            Ok(stream) => stream,
            Err(error) => return error.into(),
        };
        write(&mut stream, &postcard::to_stdvec(call.op).unwrap()).await;
        let Some(answer) = read(&mut stream).await else { return Answer::Unknown };
        Answer::Ok(postcard::from_bytes(&answer).unwrap())
    }

    fn is_idempotent(&self, _op: &Ask) -> bool {
        self.claims_idempotence
    }
}

#[schism::test(scenario = "tests/harness/late-answers.toml", seeds = 3)]
fn a_counter_without_idempotency_keys_is_not_accused_of_its_clients() -> Counter {
    Counter::default()
}

#[schism::test(scenario = "tests/harness/late-answers.toml", seeds = 3)]
#[ignore = "fails, and is run by the tests below"]
fn asked_again() -> Counter {
    Counter { claims_idempotence: true, ..Counter::default() }
}

#[schism::test(scenario = "tests/harness/late-answers.toml", seeds = 1, isolation = "thread")]
#[ignore = "is run by the tests below"]
fn printing() -> Counter {
    Counter { prints: true, ..Counter::default() }
}

#[schism::test(scenario = "tests/harness/late-answers.toml", seeds = 2, check_steps = 1)]
#[ignore = "fails, and is run by the tests below"]
fn judged_in_one_step() -> Counter {
    Counter::default()
}

#[schism::test(scenario = "tests/harness/late-answers.toml", seeds = 2, check_steps = 1, inconclusive = "allow")]
fn an_inconclusive_test_passes_if_its_author_says_so() -> Counter {
    Counter::default()
}

#[test]
fn a_failure_lists_the_attempts() {
    let said = said("strangers::asked_again", &[]);
    assert!(said[0].contains("linearizability"), "{said:#?}");
    let all = said.join(" ");
    assert!(all.contains("asked n1 at ") && all.contains("no answer in time, so unknown, at "), "{all}");
}

#[test]
fn what_nodes_print_comes_through_when_one_seed_is_replayed() {
    let output = |variables: &[(&str, &str)]| {
        let mut process = std::process::Command::new(std::env::current_exe().unwrap());
        process.args(["--include-ignored", "--nocapture", "--exact", "harness::strangers::printing"]);
        process.envs(variables.iter().copied()).env_remove("RUST_LOG");
        String::from_utf8(process.output().unwrap().stderr).unwrap()
    };
    let shown = output(&[("SCHISM_SEED", "0")]);
    let at = shown.lines().position(|line| line.starts_with("[n1 0.") && line.contains("] n1 was asked to "));
    let next: Vec<&str> = shown.lines().skip(at.expect(&shown)).take(3).collect();
    let time = next[0].split(']').next().unwrap();
    assert_eq!(next[1], format!("{time}] n1 complains"), "{next:?}");
    assert!(next[2].starts_with(time) && next[2].ends_with("and logs host=\"n1\""), "{next:?}");
    assert!(!shown.contains("running 1 test"), "only what the run printed:\n{shown}");
}

#[test]
fn the_budget_of_the_checker_is_the_author_s() {
    let said = said("strangers::judged_in_one_step", &[]);
    assert!(said[0].contains("inconclusive: nothing failed, but 2 of 2 seeds prove nothing"), "{said:#?}");
    assert!(said[1].contains("spent its budget"), "{said:#?}");
    assert!(said.last().unwrap().contains("inconclusive = 0.1"), "{said:#?}");
}

/// One store behind a leader: n1, until it is killed, and n2 from then on.
#[derive(Default)]
struct Shared {
    counter: Counter,
    starts_of_n1: Mutex<u32>,
}

impl Service for Shared {
    type Object = Totals;

    fn object(&self) -> Totals {
        Totals
    }

    async fn node(self: Arc<Self>, host: Host) {
        if host.name() == "n1" {
            let mut starts = self.starts_of_n1.lock().unwrap();
            *starts += 1;
            if *starts == 1 {
                host.record_role(Role::Primary, Scope::All, 1);
            }
        }
        let totals = self.counter.totals.clone();
        Arc::new(Counter { totals, is_prompt: true, ..Counter::default() }).node(host).await;
    }

    async fn call(&self, client: &Host, call: Call<'_, Ask>) -> Answer<u64> {
        let leader = if *self.starts_of_n1.lock().unwrap() > 1 { "n2" } else { "n1" };
        if call.node != leader {
            return Answer::Refused { instead: Some(leader.into()) };
        }
        self.counter.call(client, call).await
    }
}

#[schism::test(scenario = "tests/harness/luck.toml", seeds = 8)]
fn that_one_leader_did_everything_in_some_seeds_does_not_fail_a_test() -> Shared {
    Shared::default()
}

#[schism::test(scenario = "tests/harness/luck.toml", seeds = 3, nemesis = "kinds = [\"clock\"]")]
#[ignore = "fails, and is run by the tests below"]
fn never_two_leaders() -> Shared {
    Shared::default()
}

#[schism::test(scenario = "tests/harness/luck.toml", seeds = 3, nemesis = "ranges = { drift = 5 }")]
#[ignore = "fails, and is run by the tests below"]
fn with_no_such_range() -> Shared {
    Shared::default()
}

#[test]
fn what_no_seed_had_fails_the_test() {
    let said = said("strangers::never_two_leaders", &[]);
    assert!(said[0].contains("inconclusive: nothing failed, but of 3 seeds none had it all"), "{said:#?}");
    assert!(said[1].contains("acknowledged by 1 leader, not by two"), "{said:#?}");
    // A single seed need not have it.
    assert!(run("strangers::never_two_leaders", &[("SCHISM_SEED", "1")]).status.success());
    let said = self::said("strangers::with_no_such_range", &[]).join(" ");
    assert!(said.contains("unknown field `drift`") && said.contains("`drift_ppm`"), "{said}");
}

/// Locks on n1, each under a token that its holder must show to let it go.
#[derive(Default)]
struct Locks {
    held: Arc<Mutex<BTreeMap<u32, Lock>>>,
    released: Arc<Mutex<u32>>,
}

/// A lock: the token of its holder, if any, and how many were given out.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Lock {
    holder: Option<u64>,
    given: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Wish {
    Take(u32),
    LetGo(u32, Option<u64>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Told {
    Yours(u64),
    Free,
    NotYours,
}

impl Lock {
    fn answer(&mut self, wish: &Wish) -> Told {
        match wish {
            Wish::Take(_) if self.holder.is_none() => {
                self.given += 1;
                self.holder = Some(self.given);
                Told::Yours(self.given)
            }
            Wish::LetGo(_, token) if token.is_some() && *token == self.holder => {
                self.holder = None;
                Told::Free
            }
            Wish::Take(_) | Wish::LetGo(..) => Told::NotYours,
        }
    }
}

struct LockModel;

impl Model for LockModel {
    type State = Lock;
    type Op = Wish;
    type Ret = Told;

    fn initial(&self) -> Lock {
        Lock::default()
    }

    fn step(&self, lock: &Lock, wish: &Wish, told: Option<&Told>) -> Option<Lock> {
        let mut after = lock.clone();
        let answer = after.answer(wish);
        told.is_none_or(|told| *told == answer).then_some(after)
    }

    fn key(&self, wish: &Wish) -> u64 {
        let (Wish::Take(key) | Wish::LetGo(key, _)) = wish;
        u64::from(*key)
    }
}

impl Object for LockModel {
    fn operation(&self, op: &Op) -> Wish {
        self.operation_after(op, None)
    }

    fn operation_after(&self, op: &Op, last: Option<&Told>) -> Wish {
        let token = last.and_then(|told| if let Told::Yours(token) = told { Some(*token) } else { None });
        match op {
            Op::Put { key, .. } if token.is_none() => Wish::Take(key.0),
            op => Wish::LetGo(op.key().0, token),
        }
    }
}

impl Service for Locks {
    type Object = LockModel;

    fn object(&self) -> LockModel {
        LockModel
    }

    async fn node(self: Arc<Self>, host: Host) {
        let listener = host.listen(7).unwrap();
        loop {
            let mut stream = listener.accept().await;
            let this = self.clone();
            host.spawn(async move {
                while let Some(request) = read(&mut stream).await {
                    let wish: Wish = postcard::from_bytes(&request).unwrap();
                    let (Wish::Take(key) | Wish::LetGo(key, _)) = wish;
                    let told = this.held.lock().unwrap().entry(key).or_default().answer(&wish);
                    *this.released.lock().unwrap() += u32::from(told == Told::Free);
                    write(&mut stream, &postcard::to_stdvec(&told).unwrap()).await;
                }
            });
        }
    }

    async fn call(&self, client: &Host, call: Call<'_, Wish>) -> Answer<Told> {
        let mut stream = match client.connect(call.node, 7).await {
            Ok(stream) => stream,
            Err(error) => return error.into(),
        };
        write(&mut stream, &postcard::to_stdvec(call.op).unwrap()).await;
        let Some(answer) = read(&mut stream).await else { return Answer::Unknown };
        Answer::Ok(postcard::from_bytes(&answer).unwrap())
    }
}

#[test]
fn a_client_lets_go_of_a_lock_with_the_token_it_was_given() {
    let scenario = schism::scenario::load("tests/harness/locks.toml").unwrap();
    let locks = Locks::default();
    let released = locks.released.clone();
    let run = run_subject(&scenario, &schism::harness::subject("locks", locks), 1, &Options::default()).unwrap();
    assert_eq!(run.outcome.verdict, Verdict::Pass, "{:?}", run.outcome.violations);
    assert!(*released.lock().unwrap() > 10, "{}", released.lock().unwrap());
}

#[test]
fn a_host_has_random_numbers_without_a_crate() {
    /// What a node drew.
    #[derive(Default)]
    struct Draws(Arc<Mutex<Vec<u64>>>);
    impl Service for Draws {
        type Object = Totals;
        fn object(&self) -> Totals {
            Totals
        }
        async fn node(self: Arc<Self>, host: Host) {
            let mut bytes = [0; 8];
            host.random_bytes(&mut bytes);
            let below = host.random_below(10);
            assert!(below < 10 && host.random_below(0) == 0);
            self.0.lock().unwrap().extend([host.random(), below, u64::from_le_bytes(bytes)]);
            std::future::pending().await
        }
        async fn call(&self, _: &Host, _: Call<'_, Ask>) -> Answer<u64> {
            Answer::refused()
        }
    }
    let drawn = |seed| {
        let scenario = schism::scenario::load("tests/harness/locks.toml").unwrap();
        let draws = Draws::default();
        let drawn = draws.0.clone();
        run_subject(&scenario, &schism::harness::subject("draws", draws), seed, &Options::default()).unwrap();
        drawn.lock().unwrap().clone()
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}
