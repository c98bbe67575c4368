//! Whether a schedule makes sense in a topology. Each error names the fault and the field, and says what is allowed.

use super::model::{Chaos, Fault, FaultKind, Target};
use super::topology::{Resolved, Topology};
use crate::trace::{HostSet, MessageKind};
use std::fmt;

/// A fault that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ScheduleError {
    /// Its index in the schedule.
    pub fault: usize,
    /// Its kind's name in scenario files.
    pub kind: &'static str,
    /// When it begins, in milliseconds.
    pub at_ms: u64,
    /// The field that is wrong.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
    /// What is allowed.
    pub help: String,
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ScheduleError { fault, kind, at_ms, field, problem, help } = self;
        write!(f, "fault {fault} (`{kind}` at {at_ms} ms), `{field}`: {problem}; {help}")
    }
}

/// What is wrong with one field: (field, problem, help).
type Wrong = (&'static str, String, String);

/// Checks every fault of a schedule against the hosts there are and the run's duration in milliseconds.
///
/// # Errors
/// The first fault that makes no sense.
pub fn validate(faults: &[Fault], topology: &Topology, duration_ms: u64) -> Result<(), ScheduleError> {
    for (index, fault) in faults.iter().enumerate() {
        timing(fault, duration_ms).and_then(|()| kind(&fault.kind, topology)).map_err(|(field, problem, help)| {
            ScheduleError { fault: index, kind: fault.kind.name(), at_ms: fault.at_ms, field, problem, help }
        })?;
    }
    Ok(())
}

fn wrong<T>(field: &'static str, problem: impl Into<String>, help: impl Into<String>) -> Result<T, Wrong> {
    Err((field, problem.into(), help.into()))
}

fn timing(fault: &Fault, duration_ms: u64) -> Result<(), Wrong> {
    if fault.at_ms >= duration_ms {
        return wrong("at_ms", "it begins after the run's end", format!("allowed: 0 to {}", duration_ms.max(1) - 1));
    }
    match fault.ends_ms() {
        Some(_) if fault.for_ms == Some(0) => wrong(
            "for_ms",
            "it ends as it begins",
            "allowed: 1 and more; leave the field out for a fault that lasts to the end of the run",
        ),
        Some(end) if end > duration_ms => wrong(
            "for_ms",
            format!("it ends at {end} ms, after the run's {duration_ms} ms"),
            format!(
                "allowed: up to {}; leave the field out for a fault that lasts to the end of the run",
                duration_ms - fault.at_ms
            ),
        ),
        _ => Ok(()),
    }
}

fn kind(kind: &FaultKind, topology: &Topology) -> Result<(), Wrong> {
    match kind {
        FaultKind::Partition { groups } => disjoint(groups, topology),
        FaultKind::Flapping { groups, down_ms, up_ms } => {
            disjoint(groups, topology)?;
            positive("down_ms", *down_ms)?;
            positive("up_ms", *up_ms)
        }
        FaultKind::OneWay { from, to } => {
            let roles = from.iter().chain(to).filter(|target| is_role(target, topology)).count();
            if roles > 1 {
                return wrong("to", "a fault resolves one role", "allowed: one role at one end, hosts at the other");
            }
            some_hosts("from", from, topology, Roles::Allowed)?;
            some_hosts("to", to, topology, Roles::Allowed).map(|_| ())
        }
        FaultKind::MajoritiesRing { order } => ring(order, topology),
        FaultKind::Bridge { left, middle, right } => {
            let left = some_hosts("left", left, topology, Roles::Refused)?;
            let right = some_hosts("right", right, topology, Roles::Refused)?;
            let middle = some_hosts("middle", std::slice::from_ref(middle), topology, Roles::Refused)?;
            overlap("right", left, right, topology)?;
            overlap("middle", left.union(right), middle, topology)
        }
        FaultKind::Isolate { target, .. } => {
            some_hosts("target", std::slice::from_ref(target), topology, Roles::Allowed).map(|_| ())
        }
        FaultKind::Latency { a, b, extra_ms } => {
            some_hosts("a", a, topology, Roles::Refused)?;
            some_hosts("b", b, topology, Roles::Refused)?;
            positive("extra_ms", *extra_ms)
        }
        FaultKind::Hold { a, b } => {
            some_hosts("a", a, topology, Roles::Refused)?;
            some_hosts("b", b, topology, Roles::Refused).map(|_| ())
        }
        FaultKind::Messages { from, to, chaos, kinds } => {
            if kinds.len() > MessageKind::ALL.len() {
                let most = MessageKind::ALL.len();
                return wrong("kinds", format!("{} kinds of message, of {most}", kinds.len()), "name each once");
            }
            hosts("from", from, topology, Roles::Refused)?;
            hosts("to", to, topology, Roles::Refused)?;
            if *chaos == Chaos::default() {
                return wrong(
                    "fault",
                    "it does nothing to any message",
                    "give one of: loss_ppm, reorder_ppm, duplicate_ppm, jitter_ms",
                );
            }
            message_chaos(chaos)
        }
        FaultKind::SlowDisk { target, extra_ms } => {
            positive("extra_ms", *extra_ms)?;
            nodes_only(target, topology)
        }
        FaultKind::CorruptReads { target, ppm } => {
            if !(1..=1_000_000).contains(ppm) {
                return wrong("ppm", "it is no probability", "allowed: 1 to 1000000 parts per million");
            }
            nodes_only(target, topology)
        }
        FaultKind::PowerLoss { target, at_operation, .. } => {
            positive("at_operation", at_operation.unwrap_or(1))?;
            nodes_only(target, topology)
        }
        FaultKind::Clock { target, offset_ms, drift_ppm } => {
            if (*offset_ms, *drift_ppm) == (0, 0) {
                return wrong("offset_ms", "the clock is right", "give offset_ms or drift_ppm");
            }
            if !(-900_000..=9_000_000).contains(drift_ppm) {
                return wrong("drift_ppm", "no clock runs like that", "allowed: -900000 (ten times slower) to 9000000");
            }
            nodes_only(target, topology)
        }
        FaultKind::Membership { voters } => {
            let set = some_hosts("voters", voters, topology, Roles::Refused)?;
            match set.minus(topology.all_nodes()).iter().next() {
                Some(client) => wrong(
                    "voters",
                    format!("`{}` is no node", topology.name(client)),
                    "allowed: nodes, or the nodes of a site (`SITE.nodes`)",
                ),
                None => Ok(()),
            }
        }
        FaultKind::Kill { target }
        | FaultKind::Pause { target }
        | FaultKind::DiskErrors { target }
        | FaultKind::FullDisk { target }
        | FaultKind::LostSync { target } => nodes_only(target, topology),
    }
}

/// A target of what happens to processes and disks.
fn nodes_only(target: &Target, topology: &Topology) -> Result<(), Wrong> {
    let set = some_hosts("target", std::slice::from_ref(target), topology, Roles::Allowed)?;
    match set.minus(topology.all_nodes()).iter().next() {
        Some(client) => wrong(
            "target",
            format!("`{}` includes `{}`, which is no node", target.0, topology.name(client)),
            "allowed: a node, the nodes of a site (`SITE.nodes`), or a role",
        ),
        None => Ok(()),
    }
}

/// Checks the probabilities and lengths of a chaos setting.
///
/// # Errors
/// (field, problem, help) of the first that is out of range.
pub fn message_chaos(chaos: &Chaos) -> Result<(), (&'static str, String, String)> {
    let probabilities =
        [("loss_ppm", chaos.loss_ppm), ("reorder_ppm", chaos.reorder_ppm), ("duplicate_ppm", chaos.duplicate_ppm)];
    for (field, ppm) in probabilities {
        if ppm > 1_000_000 {
            return wrong(field, format!("{ppm} is more than certain"), "allowed: 0 to 1000000 parts per million");
        }
    }
    if chaos.reorder_ppm > 0 && chaos.reorder_ms == 0 {
        return wrong("reorder_ms", "messages are reordered by no time at all", "allowed: 1 and more");
    }
    for (field, ms) in [("reorder_ms", chaos.reorder_ms), ("jitter_ms", chaos.jitter_ms)] {
        if ms > 3_600_000 {
            return wrong(field, format!("{ms} ms is longer than an hour"), "allowed: 0 to 3600000");
        }
    }
    Ok(())
}

fn positive(field: &'static str, value: u64) -> Result<(), Wrong> {
    // The upper bound, a day, keeps nanoseconds from overflowing.
    if (1..=86_400_000).contains(&value) {
        Ok(())
    } else {
        wrong(field, format!("{value} ms is out of range"), "allowed: 1 to 86400000 (a day)")
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Roles {
    Allowed,
    Refused,
}

fn is_role(target: &Target, topology: &Topology) -> bool {
    matches!(topology.resolve(target), Ok(Resolved::Role(_)))
}

/// The fixed hosts that these targets name together.
fn hosts(field: &'static str, targets: &[Target], topology: &Topology, roles: Roles) -> Result<HostSet, Wrong> {
    let most = 3 * topology.names.len();
    if targets.len() > most {
        return wrong(
            field,
            format!("{} names for {} hosts", targets.len(), topology.names.len() - 1),
            "name each once",
        );
    }
    let mut set = HostSet::EMPTY;
    for target in targets {
        match topology.resolve(target) {
            Ok(Resolved::Hosts(hosts)) => set = set.union(hosts),
            Ok(Resolved::Role(_)) if roles == Roles::Allowed => {}
            Ok(Resolved::Role(role)) => {
                return wrong(
                    field,
                    format!("the role `{role}` is not allowed here"),
                    format!("allowed: nodes and sites; roles only in {}", FaultKind::TAKE_ROLES.join(", ")),
                );
            }
            Err(unknown) => {
                let roles = |name: &&String| roles == Roles::Allowed || !name.starts_with('@');
                let allowed: Vec<&str> = unknown.allowed.iter().filter(roles).map(String::as_str).collect();
                let allowed = format!("allowed: {}", allowed.join(", "));
                return wrong(field, format!("`{}` names no node or site", unknown.name), allowed);
            }
        }
    }
    Ok(set)
}

fn some_hosts(field: &'static str, targets: &[Target], topology: &Topology, roles: Roles) -> Result<HostSet, Wrong> {
    if targets.is_empty() {
        return wrong(field, "it is empty", "name at least one node or site");
    }
    hosts(field, targets, topology, roles)
}

fn overlap(field: &'static str, one: HostSet, other: HostSet, topology: &Topology) -> Result<(), Wrong> {
    match one.intersection(other).iter().next() {
        Some(host) => {
            wrong(field, format!("`{}` is in two groups", topology.name(host)), "allowed: groups that share no host")
        }
        None => Ok(()),
    }
}

fn disjoint(groups: &[Vec<Target>], topology: &Topology) -> Result<(), Wrong> {
    if groups.len() < 2 {
        return wrong("groups", format!("{} group(s) cannot be cut apart", groups.len()), "give two or more groups");
    }
    let mut seen = HostSet::EMPTY;
    for group in groups {
        let set = some_hosts("groups", group, topology, Roles::Refused)?;
        overlap("groups", seen, set, topology)?;
        seen = seen.union(set);
    }
    Ok(())
}

fn ring(order: &[Target], topology: &Topology) -> Result<(), Wrong> {
    let help = format!("allowed: each of {} exactly once", topology.names[1..=topology.nodes].join(", "));
    let mut seen = HostSet::EMPTY;
    for target in order {
        let set = hosts("order", std::slice::from_ref(target), topology, Roles::Refused)?;
        if set.len() != 1 || !set.minus(topology.all_nodes()).is_empty() {
            return wrong("order", format!("`{}` is not one node", target.0), help);
        }
        if !seen.intersection(set).is_empty() {
            return wrong("order", format!("`{}` is in it twice", target.0), help);
        }
        seen = seen.union(set);
    }
    if topology.nodes < 3 {
        return wrong("order", "a ring of majorities needs three nodes", "use `partition` instead");
    }
    match topology.all_nodes().minus(seen).iter().next() {
        Some(missing) => wrong("order", format!("`{}` is missing", topology.name(missing)), help),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::topology::tests::two_sites;

    fn target(name: &str) -> Target {
        Target(name.into())
    }

    fn group(names: &[&str]) -> Vec<Target> {
        names.iter().map(|name| target(name)).collect()
    }

    fn error(kind: FaultKind) -> String {
        error_of(Fault { at_ms: 5000, for_ms: Some(1000), kind })
    }

    fn error_of(fault: Fault) -> String {
        validate(&[fault], &two_sites(), 10_000).unwrap_err().to_string()
    }

    #[test]
    fn good_faults_pass() {
        let kinds = [
            FaultKind::Partition { groups: vec![group(&["east"]), group(&["west"])] },
            FaultKind::OneWay { from: group(&["@leader"]), to: group(&["west"]) },
            FaultKind::MajoritiesRing { order: group(&["n5", "n4", "n3", "n2", "n1"]) },
            FaultKind::Bridge { left: group(&["n1", "n2"]), middle: target("n3"), right: group(&["west"]) },
            FaultKind::Kill { target: target("west.nodes") },
            FaultKind::Pause { target: target("@follower") },
        ];
        let faults: Vec<Fault> = kinds.into_iter().map(|kind| Fault { at_ms: 0, for_ms: Some(10_000), kind }).collect();
        assert_eq!(validate(&faults, &two_sites(), 10_000), Ok(()));
    }

    #[test]
    fn each_mistake_is_named_with_what_is_allowed() {
        let kill = |name| FaultKind::Kill { target: target(name) };
        assert_eq!(
            error(FaultKind::Partition { groups: vec![group(&["east"]), group(&["wset"])] }),
            "fault 0 (`partition` at 5000 ms), `groups`: `wset` names no node or site; allowed: n1, n2, n3, n4, n5, \
             east, east.nodes, east.clients, west, west.nodes, west.clients"
        );
        assert_eq!(
            error(FaultKind::Partition { groups: vec![group(&["east"]), group(&["west", "n2"])] }),
            "fault 0 (`partition` at 5000 ms), `groups`: `n2` is in two groups; allowed: groups that share no host"
        );
        assert_eq!(
            error(kill("east")),
            "fault 0 (`kill` at 5000 ms), `target`: `east` includes `east.clients`, which is no node; allowed: a node, \
             the nodes of a site (`SITE.nodes`), or a role"
        );
        let cases = [
            (FaultKind::Partition { groups: vec![group(&["east"])] }, "give two or more groups"),
            (FaultKind::Partition { groups: vec![group(&["@leader"]), group(&["west"])] }, "not allowed here"),
            (FaultKind::OneWay { from: group(&["@leader"]), to: group(&["@follower"]) }, "one role"),
            (FaultKind::OneWay { from: vec![], to: group(&["west"]) }, "it is empty"),
            (FaultKind::MajoritiesRing { order: group(&["n1", "n2", "n3", "n4"]) }, "`n5` is missing"),
            (FaultKind::MajoritiesRing { order: group(&["n1", "n1", "n3", "n4", "n5"]) }, "twice"),
            (FaultKind::MajoritiesRing { order: group(&["east"]) }, "not one node"),
            (
                FaultKind::Bridge { left: group(&["east"]), middle: target("n3"), right: group(&["west"]) },
                "in two groups",
            ),
            (FaultKind::Flapping { groups: vec![group(&["n1"]), group(&["n2"])], down_ms: 0, up_ms: 1 }, "`down_ms`"),
            (FaultKind::Latency { a: group(&["n1"]), b: group(&["n2"]), extra_ms: 0 }, "`extra_ms`"),
            (
                FaultKind::Messages { from: vec![], to: vec![], kinds: vec![], chaos: Chaos::default() },
                "nothing to any message",
            ),
            (
                FaultKind::Messages {
                    from: vec![],
                    to: vec![],
                    kinds: vec![],
                    chaos: Chaos { loss_ppm: 1_000_001, ..Chaos::default() },
                },
                "parts per million",
            ),
        ];
        for (kind, expected) in cases {
            let error = error(kind);
            assert!(error.contains(expected), "{error} should say {expected}");
        }
    }

    #[test]
    fn roles_are_taken_where_the_help_says_so() {
        let fields = r#"
            groups = [["@leader"], ["n2"]]  from = ["@leader"]  to = ["n2"]  order = ["@leader", "n2", "n3", "n4", "n5"]
            left = ["@leader"]  middle = "n3"  right = ["n2"]  target = "@leader"  a = ["@leader"]  b = ["n2"]
            down_ms = 5  up_ms = 5  extra_ms = 5  loss_ppm = 5  ppm = 5  offset_ms = 5  voters = ["@leader", "n2"]"#;
        let own: [(&str, &[&str]); 19] = [
            ("partition", &["groups"]),
            ("one_way", &["from", "to"]),
            ("majorities_ring", &["order"]),
            ("bridge", &["left", "middle", "right"]),
            ("isolate", &["target"]),
            ("flapping", &["groups", "down_ms", "up_ms"]),
            ("latency", &["a", "b", "extra_ms"]),
            ("hold", &["a", "b"]),
            ("messages", &["from", "to", "loss_ppm"]),
            ("kill", &["target"]),
            ("pause", &["target"]),
            ("slow_disk", &["target", "extra_ms"]),
            ("disk_errors", &["target"]),
            ("full_disk", &["target"]),
            ("lost_sync", &["target"]),
            ("corrupt_reads", &["target", "ppm"]),
            ("power_loss", &["target"]),
            ("clock", &["target", "offset_ms"]),
            ("membership", &["voters"]),
        ];
        assert_eq!(own.map(|(name, _)| name), FaultKind::NAMES);
        let all: toml::Table = toml::from_str(&fields.replace("  ", "\n")).unwrap();
        for (name, names) in own {
            let mut fault: toml::Table = names.iter().map(|field| ((*field).to_owned(), all[*field].clone())).collect();
            fault.insert("fault".into(), name.into());
            let kind: FaultKind = fault.try_into().unwrap();
            let checked = validate(&[Fault { at_ms: 0, for_ms: Some(10), kind }], &two_sites(), 10_000);
            assert_eq!(checked.is_ok(), FaultKind::TAKE_ROLES.contains(&name), "{name}: {checked:?}");
            if let Err(error) = checked {
                assert!(error.help.contains("only in one_way, isolate, kill, pause, slow_disk"), "{error}");
                assert!(error.help.ends_with("power_loss, clock"), "{error}");
            }
        }
    }

    #[test]
    fn times_are_checked() {
        let kill = FaultKind::Kill { target: target("n1") };
        let fault = |at_ms, for_ms| Fault { at_ms, for_ms, kind: kill.clone() };
        assert!(error_of(fault(10_000, None)).contains("allowed: 0 to 9999"));
        assert!(error_of(fault(9_000, Some(0))).contains("ends as it begins"));
        assert!(error_of(fault(9_000, Some(1_001))).contains("allowed: up to 1000;"));
        assert!(error_of(fault(9_000, Some(u64::MAX))).contains("after the run's 10000 ms"));
        assert_eq!(validate(&[fault(9_999, None)], &two_sites(), 10_000), Ok(()));
    }
}
