//! What failing runs of one bug have in common: a check, the kinds of fault that it takes, the shape of the certificate.

use crate::check::{Certificate, CheckName, Violation};
use crate::fault::chaos::ActKind;
use crate::run::Outcome;
use crate::scenario::Scenario;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// A failed check and the shape of its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Symptom {
    /// The check.
    pub check: CheckName,
    /// The shape of its certificate.
    pub shape: Shape,
}

/// What a certificate rests on, without the names, counts and instants that differ from seed to seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Shape {
    /// Whether it names operations of clients.
    pub operations: bool,
    /// Whether it names no node, one, or several.
    pub nodes: Few,
    /// Whether it names no term, one, or several.
    pub terms: Few,
}

/// How many different ones there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Few {
    /// None.
    None,
    /// One.
    One,
    /// Two or more.
    Several,
}

impl Few {
    fn of<T: Ord>(items: &[T]) -> Few {
        match items.iter().collect::<BTreeSet<_>>().len() {
            0 => Few::None,
            1 => Few::One,
            _ => Few::Several,
        }
    }
}

impl Symptom {
    /// What an outcome shows, the strongest first.
    pub fn all(outcome: &Outcome) -> Vec<Symptom> {
        let mut all = Vec::new();
        for symptom in outcome.violations.iter().map(Symptom::of) {
            if !all.contains(&symptom) {
                all.push(symptom);
            }
        }
        all
    }

    /// Whether it is about what nodes did among themselves, and not about what clients saw or how a process ended.
    pub(super) fn is_of_the_protocol(&self) -> bool {
        (CheckName::ElectionSafety..=CheckName::SnapshotAgreement).contains(&self.check)
    }

    fn of(violation: &Violation) -> Symptom {
        let Certificate { operations, nodes, terms, .. } = &violation.certificate;
        let shape = Shape { operations: !operations.is_empty(), nodes: Few::of(nodes), terms: Few::of(terms) };
        Symptom { check: violation.check, shape }
    }
}

impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.check.name())?;
        let Shape { operations, nodes, terms } = self.shape;
        let named = |few: Few, one: &str, several: &str| match few {
            Few::None => None,
            Few::One => Some(one.to_string()),
            Few::Several => Some(several.to_string()),
        };
        let parts = [
            operations.then(|| "operations".to_string()),
            named(nodes, "one node", "several nodes"),
            named(terms, "one term", "several terms"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { Ok(()) } else { write!(f, " ({})", parts.join(", ")) }
    }
}

/// The kinds of fault in a scenario in explicit form: those of its schedule, and what happens to single messages.
pub(super) fn kinds(scenario: &Scenario) -> BTreeSet<&'static str> {
    let explicit = scenario.explicit.as_ref().expect("a shrinker works on explicit forms");
    let scheduled = explicit.schedule.iter().map(|fault| fault.kind.name());
    let chaos = &scenario.messages;
    let hashed = [
        (ActKind::Lose, chaos.loss_ppm),
        (ActKind::Delay, chaos.reorder_ppm),
        (ActKind::Duplicate, chaos.duplicate_ppm),
    ];
    let acts: BTreeSet<&'static str> = match &explicit.acts {
        Some(acts) => acts.iter().map(|act| act.what.into()).collect(),
        None => hashed.into_iter().filter(|(_, ppm)| *ppm > 0).map(|(what, _)| what.into()).collect(),
    };
    scheduled.chain(acts).collect()
}

/// The scenario with faults of these kinds and no others. Jitter is part of a link and stays.
pub(super) fn only(base: &Scenario, kinds: &BTreeSet<&'static str>) -> Scenario {
    let mut scenario = base.clone();
    let explicit = scenario.explicit.as_mut().expect("a shrinker works on explicit forms");
    explicit.schedule.retain(|fault| kinds.contains(fault.kind.name()));
    let is_kept = |what: ActKind| kinds.contains(<&'static str>::from(what));
    if let Some(acts) = &mut explicit.acts {
        acts.retain(|act| is_kept(act.what));
    }
    let chaos = &mut scenario.messages;
    for (what, ppm) in [
        (ActKind::Lose, &mut chaos.loss_ppm),
        (ActKind::Delay, &mut chaos.reorder_ppm),
        (ActKind::Duplicate, &mut chaos.duplicate_ppm),
    ] {
        *ppm = if is_kept(what) { *ppm } else { 0 };
    }
    scenario
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::load;
    use crate::trace::HostId;

    #[test]
    fn a_shape_forgets_what_differs_from_seed_to_seed() {
        let violation = |operations: &[u32], nodes: &[u32], terms: &[u64]| Violation {
            check: CheckName::LostWrite,
            certificate: Certificate {
                operations: operations.into(),
                nodes: nodes.iter().map(|node| HostId(*node as _)).collect(),
                terms: terms.into(),
                ..Certificate::default()
            },
        };
        let one = Symptom::of(&violation(&[1, 2], &[1, 2], &[4, 4]));
        assert_eq!(one, Symptom::of(&violation(&[7, 8, 9], &[0, 4], &[2])));
        assert_eq!(one.to_string(), "lost_write (operations, several nodes, one term)");
        assert_eq!(Symptom::of(&violation(&[], &[], &[])).to_string(), "lost_write");
        assert_ne!(one, Symptom::of(&violation(&[1, 2], &[1, 2], &[4, 5])));
    }

    #[test]
    fn what_is_left_out_is_gone_and_the_rest_stays() {
        let zoo = load("zoo").unwrap().materialised("raft", 3);
        let all = kinds(&zoo);
        assert!(["lose", "delay", "duplicate"].iter().all(|act| all.contains(act)), "{all:?}");
        assert_eq!(kinds(&only(&zoo, &BTreeSet::new())), BTreeSet::new());
        for kind in &all {
            let one = only(&zoo, &BTreeSet::from([*kind]));
            assert_eq!(kinds(&one), BTreeSet::from([*kind]));
            assert_eq!(one.messages.jitter_ms, zoo.messages.jitter_ms);
        }
        assert_eq!(only(&zoo, &all), zoo);
    }
}
