//! What every kind in the list must satisfy, and what the tests of single kinds share.

use super::*;
use crate::fault::field::{Field, Holds};
use crate::fault::fold::{Active, ProcessState};
use crate::fault::generate::Nemesis;
use crate::fault::kind::{Drawn, Leaves};
use crate::fault::model::{Chaos, Fault, Schedule};
use crate::fault::state::DiskState;
use crate::fault::topology::tests::two_sites;
use crate::fault::topology::{SiteShape, TargetRole, Topology};
use crate::fault::validate::validate;
use crate::trace::HostId;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub(crate) fn target(name: &str) -> Target {
    Target(name.into())
}

pub(crate) fn targets(names: &[&str]) -> Vec<Target> {
    names.iter().map(|name| target(name)).collect()
}

/// One fault that has begun, its role held by `resolved`.
pub(crate) fn begun_in(topology: &Topology, kind: impl Into<FaultKind>, resolved: Option<u16>) -> Active {
    let faults = vec![Fault { at_ms: 0, for_ms: None, kind: kind.into(), when: None }];
    let mut active = Active::new(topology, &Schedule { faults }, Chaos::NONE, 1000).unwrap();
    active.begin(0, resolved.map(HostId));
    active
}

/// The same in [`two_sites`].
pub(crate) fn begun(kind: impl Into<FaultKind>, resolved: Option<u16>) -> Active {
    begun_in(&two_sites(), kind, resolved)
}

/// A fault on `n2` gives its disk this state, and no other disk any.
pub(crate) fn acts_on_the_disk_of_n2(kind: impl Into<FaultKind>, state: DiskState) {
    let active = begun(kind, None);
    assert_eq!(active.disk(HostId(2)), state);
    assert_eq!(active.disk(HostId(1)), DiskState::default());
}

/// The links that are cut, as (from, to).
pub(crate) fn cuts(active: &Active) -> Vec<(u16, u16)> {
    let hosts = || 1..active.topology().hosts() as u16;
    hosts()
        .flat_map(|from| hosts().map(move |to| (from, to)))
        .filter(|(from, to)| active.link(HostId(*from), HostId(*to)).cut)
        .collect()
}

/// Each pair in both directions, in order.
pub(crate) fn both(pairs: &[(u16, u16)]) -> Vec<(u16, u16)> {
    let mut all: Vec<_> = pairs.iter().flat_map(|(a, b)| [(*a, *b), (*b, *a)]).collect();
    all.sort_unstable();
    all
}

/// The error for a fault that makes no sense in [`two_sites`].
pub(crate) fn mistake(kind: impl Into<FaultKind>) -> String {
    let fault = Fault { at_ms: 5000, for_ms: Some(1000), kind: kind.into(), when: None };
    validate(&[fault], &two_sites(), 10_000).unwrap_err().to_string()
}

fn check(kind: &FaultKind, topology: &Topology) -> Result<(), String> {
    let fault = Fault { at_ms: 0, for_ms: None, kind: kind.clone(), when: None };
    validate(&[fault], topology, 1000).map_err(|error| error.to_string())
}

/// Faults of a kind as the nemesis draws them.
fn examples(sort: &Sort, topology: &Topology) -> Vec<FaultKind> {
    (0..100).map(|seed| FaultKind::draw(sort.name, &mut Draw::new(topology, &Ranges::default(), seed))).collect()
}

fn object(kind: &FaultKind) -> Map<String, Value> {
    serde_json::to_value(kind).unwrap().as_object().unwrap().clone()
}

fn read(object: Map<String, Value>) -> Result<FaultKind, String> {
    serde_json::from_value(Value::Object(object)).map_err(|error| error.to_string())
}

/// Calls `act` on every string in a value.
fn each_name(value: &mut Value, act: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(name) => act(name),
        Value::Array(values) => values.iter_mut().for_each(|value| each_name(value, act)),
        _ => {}
    }
}

/// The hosts that a fault names.
fn names(kind: &FaultKind) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for field in kind.sort().fields.iter().filter(|field| field.holds != Holds::MessageKinds) {
        if let Some(value) = object(kind).get_mut(field.name) {
            each_name(value, &mut |name| {
                names.insert(name.clone());
            });
        }
    }
    names
}

#[test]
fn a_kind_is_called_as_its_file_and_as_in_scenario_files() {
    assert_eq!(FILES, FaultKind::NAMES);
    assert_eq!(FaultKind::NAMES.iter().collect::<BTreeSet<_>>().len(), FaultKind::NAMES.len());
    for sort in FaultKind::SORTS {
        for kind in examples(sort, &two_sites()) {
            assert_eq!((kind.name(), &object(&kind)["fault"]), (sort.name, &json!(sort.name)));
        }
    }
}

#[test]
fn every_kind_is_validated() {
    let five = SiteShape { name: "one".into(), nodes: 5, clients: false, witness: false };
    for topology in [two_sites(), Topology::of([five])] {
        for sort in FaultKind::SORTS {
            for kind in examples(sort, &topology) {
                assert_eq!(check(&kind, &topology), Ok(()), "{kind:?}");
                let nobody = {
                    let mut object = object(&kind);
                    for field in sort.fields.iter().filter(|field| field.holds != Holds::MessageKinds) {
                        if let Some(value) = object.get_mut(field.name) {
                            each_name(value, &mut |name| *name = "nobody".into());
                        }
                    }
                    read(object).unwrap()
                };
                if !names(&kind).is_empty() {
                    assert!(check(&nobody, &topology).unwrap_err().contains("`nobody`"), "{nobody:?}");
                }
            }
        }
    }
}

#[test]
fn every_field_is_said_and_no_other_is_read() {
    for sort in FaultKind::SORTS {
        let said: Vec<&str> = sort.fields.iter().map(|field| field.name).collect();
        let examples = examples(sort, &two_sites());
        for kind in &examples {
            let written = object(kind);
            assert!(written.keys().all(|key| key == "fault" || said.contains(&key.as_str())), "{written:?}");
            assert_eq!(read(written.clone()).as_ref(), Ok(kind));
            for field in sort.fields {
                assert!(!field.words.is_empty());
                let mut without = written.clone();
                let was_there = without.remove(field.name).is_some();
                assert!(was_there || !field.required, "{}: {}", sort.name, field.name);
                assert_eq!(read(without).is_ok(), !field.required, "{}: {}", sort.name, field.name);
            }
            let mut more = written;
            more.insert("ponies".into(), json!(1));
            assert!(read(more).unwrap_err().contains("ponies"), "{}", sort.name);
        }
    }
}

/// Exactly the values that a field declares are allowed: the ends of its range are, and values beyond are not.
#[test]
fn the_range_of_every_number_is_what_is_allowed() {
    let numbers = |sort: &'static Sort| {
        sort.fields.iter().filter_map(|field| match field.holds {
            Holds::Number { least, most } => Some((field.name, least, most)),
            _ => None,
        })
    };
    for sort in FaultKind::SORTS {
        for (name, least, most) in numbers(sort) {
            // One field may be bound to another one, which some example then leaves out.
            let is_allowed = |value: i64| {
                examples(sort, &two_sites()).iter().any(|kind| {
                    let optional = sort.fields.iter().filter(|field| !field.required).map(|field| Some(field.name));
                    [None].into_iter().chain(optional).any(|left_out| {
                        let mut object = object(kind);
                        left_out.map(|other| object.remove(other));
                        object.insert(name.into(), json!(value));
                        read(object).is_ok_and(|kind| check(&kind, &two_sites()).is_ok())
                    })
                })
            };
            assert!(is_allowed(least) && is_allowed(most), "{}: {name}", sort.name);
            let beyond = [least.checked_sub(1), most.checked_add(1)].into_iter().flatten();
            beyond.for_each(|value| assert!(!is_allowed(value), "{}: {name} = {value}", sort.name));
        }
    }
}

/// A role is allowed exactly where the field says so, and the fold resolves it there.
#[test]
fn roles_are_taken_where_the_fields_say_so() {
    for sort in FaultKind::SORTS {
        let examples = examples(sort, &two_sites());
        let plain = examples.iter().find(|kind| names(kind).iter().all(|name| !name.starts_with('@')));
        let plain = plain.unwrap_or_else(|| panic!("{}: no example without a role", sort.name));
        for field in sort.fields.iter().filter(|field| field.holds != Holds::MessageKinds) {
            let mut object = object(plain);
            let mut is_changed = false;
            if let Some(value) = object.get_mut(field.name) {
                each_name(value, &mut |name| {
                    if !std::mem::replace(&mut is_changed, true) {
                        *name = "@leader".into();
                    }
                });
            }
            if !is_changed {
                continue;
            }
            let kind = read(object).unwrap();
            match check(&kind, &two_sites()) {
                Ok(()) => {
                    assert!(field.takes_role(), "{kind}");
                    assert_eq!(begun(kind, Some(1)).role(0), Some(TargetRole::Leader));
                }
                Err(error) => {
                    assert!(!field.takes_role(), "{error}");
                    let takers = FaultKind::role_takers().join(", ");
                    assert!(error.ends_with(&format!("roles only in {takers}")), "{error}");
                }
            }
        }
    }
}

#[test]
fn every_kind_has_words() {
    let mut said = BTreeSet::new();
    for sort in FaultKind::SORTS {
        assert!(!sort.does.is_empty() && !sort.title.is_empty() && sort.title.len() <= 14, "{}", sort.name);
        for kind in examples(sort, &two_sites()).iter().take(1) {
            let words = kind.to_string();
            names(kind).iter().for_each(|name| assert!(words.contains(name.as_str()), "{words}: {name}"));
            assert!(said.insert(words.clone()), "{words} stands for two kinds");
        }
    }
}

#[test]
fn every_kind_is_drawn_or_says_why_not() {
    for sort in FaultKind::SORTS {
        let nemesis = Nemesis { kinds: vec![sort.name.into()], ..Nemesis::default() };
        if let Drawn::Never(because) = sort.drawn {
            assert!(!because.is_empty() && !Nemesis::possible_kinds(&two_sites()).contains(&sort.name));
            continue;
        }
        let drawn: Vec<Fault> = (0..20).flat_map(|seed| nemesis.generate(&two_sites(), seed)).collect();
        assert!(drawn.iter().any(|fault| fault.kind.name() == sort.name), "{}", sort.name);
        // The nemesis falls back to latency where too many nodes would be away.
        assert!(drawn.iter().all(|fault| [sort.name, "latency"].contains(&fault.kind.name())), "{}", sort.name);
        let freely = (0..20).flat_map(|seed| Nemesis::default().generate(&two_sites(), seed));
        let is_there = freely.map(|fault| fault.kind.name()).any(|name| name == sort.name);
        assert_eq!(is_there, sort.drawn == Drawn::Freely, "{}", sort.name);
        let too_few = SiteShape { name: "a".into(), nodes: sort.least_nodes as u16 - 1, clients: true, witness: false };
        assert!(!Nemesis::possible_kinds(&Topology::of([too_few])).contains(&sort.name), "{}", sort.name);
    }
}

/// When a node is removed, the rest of the fault names no host that is gone and makes sense among the others.
#[test]
fn every_kind_is_shrunk() {
    let site = |name: &str, nodes| SiteShape { name: name.into(), nodes, clients: true, witness: false };
    let smaller = Topology::of([site("east", 3), site("west", 1)]);
    let without_n5 = |target: &Target| smaller.resolve(target).is_ok().then(|| target.clone());
    for sort in FaultKind::SORTS {
        let mut survivors = 0;
        for kind in examples(sort, &two_sites()) {
            assert_eq!(kind.among(&Remaining(&|target| Some(target.clone()))).as_ref(), Some(&kind), "all remain");
            if let Some(left) = kind.among(&Remaining(&without_n5)) {
                assert_eq!(check(&left, &smaller), Ok(()), "{kind} became {left}");
                survivors += 1;
            }
            match kind.among(&Remaining(&|_| None)) {
                Some(left) => assert!(names(&kind).is_empty() && left == kind, "{kind} became {left}"),
                None => assert!(!names(&kind).is_empty(), "{kind}"),
            }
            let renamed = kind.among(&Remaining(&|target| Some(Target(format!("{}-new", target.0))))).unwrap();
            let expected: BTreeSet<String> = names(&kind).iter().map(|name| format!("{name}-new")).collect();
            assert_eq!((names(&renamed), renamed.name()), (expected, sort.name));
        }
        assert!(survivors > 0, "{} never survives", sort.name);
    }
}

/// A plain cut that shrinking puts in a fault's place cuts the same links as the fault does.
#[test]
fn a_plain_cut_is_no_other_cut() {
    for kind in FaultKind::SORTS.iter().flat_map(|sort| examples(sort, &two_sites())) {
        let Some(plain) = kind.plain_cut() else { continue };
        assert_eq!(check(&plain, &two_sites()), Ok(()));
        assert_eq!(cuts(&begun(plain, None)), cuts(&begun(kind, None)));
    }
}

/// What a kind declares about itself is what it does.
#[test]
fn family_and_toll_are_those_of_the_effect() {
    for sort in FaultKind::SORTS {
        for kind in examples(sort, &two_sites()) {
            let active = begun(kind.clone(), Some(1));
            let is_stopped = (1..=5).any(|host| active.process(HostId(host)) != ProcessState::Running);
            let waits = (1..=5).any(|host| active.disk(HostId(host)).power_at.is_some());
            assert_eq!(is_stopped || waits, sort.leaves == Leaves::Stopped, "{kind}");
            assert_eq!(!cuts(&active).is_empty(), sort.family == Family::Cut, "{kind}");
            let is_wrong = (1..=5).any(|host| active.disk(HostId(host)) != Default::default());
            assert!(!is_wrong || sort.family == Family::Disk, "{kind}");
            let is_wrong = (1..=5).any(|host| active.clock(HostId(host)) != Default::default());
            assert_eq!(is_wrong, sort.family == Family::Clock, "{kind}");
        }
    }
}

#[test]
fn what_a_click_makes_is_a_fault_of_these_places() {
    for entry in FaultKind::catalogue() {
        for Offer { on, words, fault } in entry.clicks {
            let places: &[&str] = if on == "link" { &[Offer::A, Offer::B] } else { &[Offer::A] };
            assert_eq!(names(&fault), places.iter().map(|place| (*place).to_owned()).collect(), "{words}");
            let filled = serde_json::to_string(&fault).unwrap().replace(Offer::A, "n1").replace(Offer::B, "n2");
            let fault: FaultKind = serde_json::from_str(&filled).unwrap();
            assert_eq!(check(&fault, &two_sites()), Ok(()), "{words}");
        }
    }
}

#[test]
fn a_field_that_is_optional_is_the_same_otherwise() {
    let field = Field::positive("extra_ms", "words");
    assert!(field.required && !field.optional().required);
    assert_eq!(field.optional().holds, field.holds);
}
