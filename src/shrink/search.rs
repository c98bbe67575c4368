//! The best scenario so far, and the search for a better one: candidates run in parallel, with the same result as
//! one after the other.
//!
//! Of the candidates of a step the lowest-numbered one that still fails is taken, and only those up to it are
//! charged to the budget. Results of later ones that ran in parallel are remembered, not charged: so neither the
//! result nor the moment at which the budget ends depends on how many ran at once.

use super::oracle::{Oracle, Trial};
use super::{Limits, NotReproduced};
use crate::rng;
use crate::scenario::{Explicit, Scenario};
use std::collections::{BTreeMap, BTreeSet};

/// The state of a search.
pub(super) struct Search<'a> {
    oracle: &'a dyn Oracle,
    kept: &'a str,
    /// Whether the failure must rest on the script alone.
    scripted: bool,
    limits: Limits,
    best: Scenario,
    trial: Trial,
    /// Results of other candidates, by the hash of their text.
    known: BTreeMap<u64, Known>,
    spent_ms: u64,
    trials: u64,
}

struct Known {
    trial: Trial,
    paid: bool,
}

impl<'a> Search<'a> {
    /// Runs the recorded scenario, and begins with the acts that it really had.
    pub(super) fn new(
        recorded: &Scenario,
        kept: &'a str,
        oracle: &'a dyn Oracle,
        limits: &Limits,
    ) -> Result<Search<'a>, NotReproduced> {
        let trial = oracle.run(recorded);
        if trial.failure(kept).is_none() {
            return Err(NotReproduced { kept: kept.to_owned(), verdict: trial.verdict });
        }
        let best = trial.explicit.clone().unwrap_or_else(|| recorded.clone());
        let spent_ms = trial.simulated_ms;
        let scripted = rests_on_the_script(&trial, kept, recorded);
        Ok(Search { oracle, kept, scripted, limits: *limits, best, trial, known: BTreeMap::new(), spent_ms, trials: 1 })
    }

    /// The smallest scenario so far that fails.
    pub(super) fn best(&self) -> &Scenario {
        &self.best
    }

    /// What its run showed.
    pub(super) fn trial(&self) -> &Trial {
        &self.trial
    }

    /// How many candidates were charged to the budget.
    pub(super) fn trials(&self) -> u64 {
        self.trials
    }

    /// Whether the budget has ended; half of it, as long as the failure must rest on the script.
    pub(super) fn is_spent(&self) -> bool {
        self.spent_ms >= self.limits.simulated_ms / if self.scripted { 2 } else { 1 }
    }

    /// Lets the failure rest on a run's closing operations too. Returns whether it had to rest on the script before.
    pub(super) fn give_up_the_script(&mut self) -> bool {
        std::mem::replace(&mut self.scripted, false)
    }

    /// Tries candidates in order until one fails as the recorded run did; it becomes the best, and its place
    /// in the order is returned. `None` among the candidates is a place without one. Invalid scenarios, and those
    /// that change nothing, are skipped without cost.
    pub(super) fn first(&mut self, candidates: impl IntoIterator<Item = Option<Scenario>>) -> Option<usize> {
        let mut candidates = candidates.into_iter().enumerate();
        let jobs = self.limits.jobs.max(1);
        loop {
            let mut batch: Vec<(usize, Scenario, u64)> = Vec::new();
            while batch.len() < jobs {
                let Some((place, candidate)) = candidates.next() else { break };
                let sound = candidate.filter(|candidate| *candidate != self.best && candidate.check().is_ok());
                if let Some(candidate) = sound {
                    let key = key(&candidate);
                    // A candidate that is known to pass needs no thread, and must not delay the others.
                    if self.known.get(&key).is_some_and(|known| known.paid && !self.keeps(&known.trial, &candidate)) {
                        continue;
                    }
                    batch.push((place, candidate, key));
                }
            }
            if batch.is_empty() {
                return None;
            }
            if self.is_spent() {
                return None;
            }
            self.run(&batch);
            for (place, candidate, key) in batch {
                if self.is_spent() {
                    return None;
                }
                self.pay(key);
                if self.take(candidate, key) {
                    return Some(place);
                }
            }
        }
    }

    /// Takes a candidate if it fails as the recorded run did, even if the budget has ended; callers try few of these.
    pub(super) fn at_any_price(&mut self, candidate: Scenario) -> bool {
        if candidate == self.best || candidate.check().is_err() {
            return false;
        }
        let key = key(&candidate);
        self.run(&[(0, candidate.clone(), key)]);
        self.pay(key);
        self.take(candidate, key)
    }

    /// Makes a candidate that was run the best, if it fails as the recorded run did.
    fn take(&mut self, candidate: Scenario, key: u64) -> bool {
        if !self.known.get(&key).is_some_and(|known| self.keeps(&known.trial, &candidate)) {
            return false;
        }
        let known = self.known.remove(&key).expect("it was just found");
        self.best = known.trial.explicit.clone().unwrap_or(candidate);
        self.trial = known.trial;
        true
    }

    /// The result of each candidate, even when the budget has ended; callers try few of these.
    pub(super) fn verdicts(&mut self, candidates: Vec<Scenario>) -> Vec<(String, bool)> {
        let candidates: Vec<_> = candidates
            .into_iter()
            .map(|candidate| (0, key(&candidate), candidate))
            .map(|(a, k, c)| (a, c, k))
            .collect();
        let jobs = self.limits.jobs.max(1);
        candidates.chunks(jobs).for_each(|batch| self.run(batch));
        let verdict = |search: &mut Self, candidate: &Scenario, key: u64| {
            search.pay(key);
            let trial = &search.known[&key].trial;
            (trial.verdict.clone(), search.keeps(trial, candidate))
        };
        candidates.iter().map(|(_, candidate, key)| verdict(self, candidate, *key)).collect()
    }

    /// Whether a candidate fails as the recorded run did. Every run closes with operations that are not in the
    /// script, which may show the damage as well. But if the recorded evidence is in the script, it must stay there:
    /// a violation that a person can see in the script is easier to understand.
    fn keeps(&self, trial: &Trial, candidate: &Scenario) -> bool {
        if self.scripted {
            rests_on_the_script(trial, self.kept, candidate)
        } else {
            trial.failure(self.kept).is_some()
        }
    }

    fn pay(&mut self, key: u64) {
        let known = self.known.get_mut(&key).expect("a batch was run before it is paid for");
        if !std::mem::replace(&mut known.paid, true) {
            self.spent_ms = self.spent_ms.saturating_add(known.trial.simulated_ms);
            self.trials += 1;
        }
    }

    /// Runs the candidates of a batch without a known result, each on a thread of its own.
    fn run(&mut self, batch: &[(usize, Scenario, u64)]) {
        let unknown: Vec<_> = batch.iter().filter(|(_, _, key)| !self.known.contains_key(key)).collect();
        let (oracle, kept) = (self.oracle, self.kept);
        let trials: Vec<(u64, Trial)> = match unknown.as_slice() {
            [(_, candidate, key)] => vec![(*key, oracle.run(candidate))],
            several => std::thread::scope(|scope| {
                let running: Vec<_> = several
                    .iter()
                    .map(|(_, candidate, key)| (*key, scope.spawn(move || oracle.run(candidate))))
                    .collect();
                let join = |(key, thread): (u64, std::thread::ScopedJoinHandle<'_, Trial>)| {
                    (key, thread.join().expect("an oracle does not panic"))
                };
                running.into_iter().map(join).collect()
            }),
        };
        for (key, mut trial) in trials {
            if trial.failure(kept).is_none() {
                // Only its verdict will be needed, and a script is large.
                trial.explicit = None;
            }
            self.known.insert(key, Known { trial, paid: false });
        }
    }
}

/// The explicit form of a scenario that has one, as all do here.
pub(super) fn explicit(scenario: &Scenario) -> &Explicit {
    scenario.explicit.as_ref().expect("a shrinker works on explicit forms")
}

/// The scenario with its explicit form changed.
pub(super) fn with_explicit(scenario: &Scenario, change: impl FnOnce(&mut Explicit)) -> Scenario {
    let mut scenario = scenario.clone();
    change(scenario.explicit.as_mut().expect("a shrinker works on explicit forms"));
    scenario
}

/// Whether some certificate of the failure rests on operations of the script alone.
fn rests_on_the_script(trial: &Trial, kept: &str, scenario: &Scenario) -> bool {
    let script: BTreeSet<u32> = explicit(scenario).script.iter().map(|op| op.id).collect();
    let is_scripted = |operations: &Vec<u32>| !operations.is_empty() && operations.iter().all(|id| script.contains(id));
    trial.failure(kept).is_some_and(|failed| failed.operations.iter().any(is_scripted))
}

fn key(scenario: &Scenario) -> u64 {
    // The verdict that a candidate carries is that of another run, so it is no part of the candidate's identity.
    let text = serde_json::to_string(&(
        (&scenario.sites, &scenario.latency, &scenario.timing, &scenario.workload, &scenario.messages),
        (&scenario.expect, &scenario.nemesis),
        scenario.explicit.as_ref().map(|explicit| (&explicit.schedule, &explicit.script, &explicit.acts)),
    ));
    rng::hash_bytes(0, text.expect("a scenario is plain data").as_bytes())
}
