//! The verdict on services that are not the store: echo, unique ids, broadcast, a counter that only grows,
//! transactions. Each has a
//! model of which answers are right; the first that is not is the evidence.

use super::subject::{Judge, Judged};
use crate::check::linearizability::Budget;
use crate::check::transactions::{self, Fate, Transaction};
use crate::check::{Certificate, CheckName, Violation, seconds};
use crate::history::{History, Operation, Status};
use crate::kv::transaction::Consistency;
use crate::systems::nodes::{Ask, Got, NodesCluster, Said};
use crate::trace::HostId;
use std::collections::{BTreeMap, BTreeSet};

/// Judges what clients asked the nodes of a cluster.
pub struct ServiceJudge {
    /// Knows what was asked and answered.
    pub cluster: NodesCluster,
    /// What transactions are held to.
    pub consistency: Consistency,
}

impl Judge for ServiceJudge {
    fn judge(&self, history: &History, _budget: Budget) -> Judged {
        let dialogue = self.cluster.dialogue();
        let mut violations = wrong(history, &dialogue, &self.cluster.leaders());
        violations.extend(transactions::check(&transactions(history, &dialogue), self.consistency));
        Judged { linearizable: Some(violations.is_empty()), violations }
    }
}

/// An operation with what was said in it.
type Turn<'a> = (&'a Operation, &'a Said);

/// Which nodes have said that they lead, by term.
type Leaders = BTreeMap<u64, BTreeSet<HostId>>;

/// The first wrong answer of each kind.
fn wrong(history: &History, dialogue: &BTreeMap<u32, Said>, leaders: &Leaders) -> Vec<Violation> {
    let turns: Vec<Turn> =
        history.operations.iter().filter_map(|operation| Some((operation, dialogue.get(&operation.id)?))).collect();
    let found = [
        echoes(&turns),
        ids(&turns),
        strangers(&turns),
        forgotten(&turns),
        sums(&turns),
        totals(&turns),
        reigns(&turns, leaders),
    ];
    found.into_iter().flatten().collect()
}

fn violation(sentence: String, operations: &[&Operation]) -> Violation {
    let at_ns = operations.iter().map(|operation| operation.end_ns).max();
    let operations = operations.iter().map(|operation| operation.id).collect();
    let certificate = Certificate { sentence, operations, at_ns, ..Certificate::default() };
    Violation { check: CheckName::Service, certificate }
}

fn is_acknowledged(operation: &Operation) -> bool {
    matches!(operation.status, Status::Ok { .. })
}

/// Who asked, and when the answer came.
fn who(operation: &Operation) -> String {
    format!("client {} at {}", operation.client, seconds(operation.end_ns))
}

/// Every echo is what was sent.
fn echoes(turns: &[Turn]) -> Option<Violation> {
    turns.iter().find_map(|(operation, said)| match (&said.ask, &said.got) {
        (Ask::Echo(value), Some(Got::Text(text))) if *text != format!("\"Please echo {value}\"") => {
            let sentence = format!("{} sent `Please echo {value}` and got {text}", who(operation));
            Some(violation(sentence, &[operation]))
        }
        _ => None,
    })
}

/// No two ids are equal.
fn ids(turns: &[Turn]) -> Option<Violation> {
    let mut seen: BTreeMap<&str, &Operation> = BTreeMap::new();
    turns.iter().find_map(|(operation, said)| {
        let (Ask::Generate, Some(Got::Text(id))) = (&said.ask, &said.got) else { return None };
        let before = seen.insert(id, operation)?;
        let sentence = format!("{} got the id {id}, which {} had got", who(operation), who(before));
        Some(violation(sentence, &[before, operation]))
    })
}

/// No read has a value that nobody had broadcast, or one twice.
fn strangers(turns: &[Turn]) -> Option<Violation> {
    let sent: BTreeMap<u64, u64> = turns
        .iter()
        .filter_map(|(operation, said)| match &said.ask {
            Ask::Broadcast(value) => Some((*value, operation.start_ns)),
            _ => None,
        })
        .collect();
    turns.iter().find_map(|(operation, said)| {
        let Some(Got::Values(values)) = &said.got else { return None };
        let mut once = BTreeSet::new();
        for value in values {
            if !once.insert(value) {
                return Some(violation(format!("{} read {value} twice in one answer", who(operation)), &[operation]));
            }
            if sent.get(value).is_none_or(|start_ns| *start_ns > operation.end_ns) {
                let sentence = format!("{} read {value}, which nobody had broadcast", who(operation));
                return Some(violation(sentence, &[operation]));
            }
        }
        None
    })
}

/// The last read that each node answered, when nothing was written any more.
fn last_reads<'a>(turns: &[Turn<'a>]) -> BTreeMap<HostId, Turn<'a>> {
    let is_read = |ask: &Ask| matches!(ask, Ask::ReadValues | Ask::ReadSum);
    let written = |(_, said): &&Turn| matches!(said.ask, Ask::Broadcast(_) | Ask::Add(_));
    let begun_ns = turns.iter().filter(written).map(|(operation, _)| operation.start_ns).max().unwrap_or(0);
    let mut last = BTreeMap::new();
    for turn @ (operation, said) in turns.iter().filter(|(operation, _)| is_acknowledged(operation)) {
        if let Some(node) = said.node.filter(|_| is_read(&said.ask) && operation.start_ns > begun_ns) {
            last.insert(node, *turn);
        }
    }
    last
}

/// What was acknowledged is in the last read at every node.
fn forgotten(turns: &[Turn]) -> Option<Violation> {
    for (read, said) in last_reads(turns).into_values() {
        let Some(Got::Values(values)) = &said.got else { continue };
        let values: BTreeSet<&u64> = values.iter().collect();
        let lost = turns.iter().find_map(|(operation, said)| match &said.ask {
            Ask::Broadcast(value) if is_acknowledged(operation) && !values.contains(value) => Some((operation, value)),
            _ => None,
        });
        if let (Some((operation, value)), Some(node)) = (lost, said.node) {
            let sentence = format!(
                "{value} was acknowledged to {}, and the last read at {node}, answered to {}, is without it",
                who(operation),
                who(read)
            );
            return Some(violation(sentence, &[operation, read]));
        }
    }
    None
}

/// What may have been added by the end of an operation, and what certainly was before it began.
fn bounds(turns: &[Turn], read: &Operation) -> (u64, u64) {
    let mut bounds = (0, 0);
    for (operation, said) in turns {
        let Ask::Add(delta) = &said.ask else { continue };
        if operation.status != Status::Fail && operation.start_ns <= read.end_ns {
            bounds.1 += delta;
        }
        if is_acknowledged(operation) && operation.end_ns < read.start_ns {
            bounds.0 += delta;
        }
    }
    bounds
}

/// No read exceeds what may have been added.
fn sums(turns: &[Turn]) -> Option<Violation> {
    turns.iter().find_map(|(operation, said)| {
        let Some(Got::Sum(sum)) = said.got else { return None };
        let (_, most) = bounds(turns, operation);
        (sum > most).then(|| {
            let sentence = format!("{} read {sum}, and at most {most} had been added", who(operation));
            violation(sentence, &[operation])
        })
    })
}

/// The last read at every node has all that was acknowledged.
fn totals(turns: &[Turn]) -> Option<Violation> {
    last_reads(turns).into_values().find_map(|(operation, said)| {
        let (Some(Got::Sum(sum)), Some(node)) = (&said.got, said.node) else { return None };
        let (least, _) = bounds(turns, operation);
        (*sum < least).then(|| {
            let sentence = format!(
                "{} read {sum} at {node} in the end, and {least} had been acknowledged as added",
                who(operation)
            );
            violation(sentence, &[operation])
        })
    })
}

/// In each term at most one node leads, and it has said so before it answers as its leader. Roles count only where somebody
/// asks for them: a service that has no elections may call two nodes primary.
fn reigns(turns: &[Turn], leaders: &Leaders) -> Option<Violation> {
    let answers = || {
        turns.iter().filter_map(|(operation, said)| match (&said.got, said.node) {
            (Some(Got::Term(term)), Some(node)) => Some((*operation, *term, node)),
            _ => None,
        })
    };
    let asked = turns.iter().any(|(_, said)| said.ask == Ask::Term);
    let said = |term: u64, node: HostId| leaders.get(&term).is_some_and(|nodes| nodes.contains(&node));
    if let Some((operation, term, node)) = answers().find(|(_, term, node)| !said(*term, *node)) {
        let sentence = format!(
            "{} was answered by {node} as the leader of term {term}, and {node} had not said that this is its role",
            who(operation)
        );
        return Some(violation(sentence, &[operation]));
    }
    let (term, nodes) = leaders.iter().filter(|_| asked).find(|(_, nodes)| nodes.len() > 1)?;
    let names: Vec<String> = nodes.iter().map(HostId::to_string).collect();
    let served: BTreeMap<HostId, &Operation> =
        answers().filter(|(_, of, _)| of == term).map(|(operation, _, node)| (node, operation)).collect();
    let operations: Vec<&Operation> = served.into_values().collect();
    Some(violation(format!("{} led in the same term, {term}", names.join(" and ")), &operations))
}

/// The transactions among what was asked.
fn transactions(history: &History, dialogue: &BTreeMap<u32, Said>) -> Vec<Transaction> {
    let of = |operation: &Operation| {
        let Said { ask: Ask::Transaction(asked), got, .. } = dialogue.get(&operation.id)? else { return None };
        let (fate, micros) = match (operation.status, got) {
            (Status::Ok { .. }, Some(Got::Transaction(answered))) => (Fate::Committed, answered),
            (Status::Fail, _) => (Fate::Aborted, asked),
            _ => (Fate::Unknown, asked),
        };
        let Operation { id, client, start_ns, end_ns, .. } = *operation;
        Some(Transaction { id, client, start_ns, end_ns, fate, micros: micros.clone() })
    };
    history.operations.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::{Key, Op, Response, Tag};

    /// A history in which each turn takes a second, one after the other; those without an answer have an unknown
    /// outcome.
    fn judged(turns: &[(Ask, Option<Got>)]) -> Vec<String> {
        judged_with(turns, &Leaders::new())
    }

    fn judged_with(turns: &[(Ask, Option<Got>)], leaders: &Leaders) -> Vec<String> {
        let mut history = History::default();
        let mut dialogue = BTreeMap::new();
        for (at, (ask, got)) in turns.iter().enumerate() {
            let (id, start_ns) = (at as u32, at as u64 * 1_000_000_000);
            let status = match got {
                Some(_) => Status::Ok { outcome: Response::Done, by: None },
                None => Status::Info,
            };
            let end_ns = if got.is_some() { start_ns + 500_000_000 } else { u64::MAX };
            let (tag, op) = (Tag { session: 0, sequence: 1 }, Op::Get { key: Key(0) });
            history.operations.push(Operation {
                id,
                client: 0,
                tag,
                op,
                planned_ns: start_ns,
                start_ns,
                end_ns,
                status,
                attempts: 1,
            });
            dialogue.insert(id, Said { ask: ask.clone(), node: Some(HostId(1)), got: got.clone() });
        }
        wrong(&history, &dialogue, leaders).into_iter().map(|found| found.certificate.sentence).collect()
    }

    fn text(text: &str) -> Option<Got> {
        Some(Got::Text(text.to_owned()))
    }

    #[test]
    fn an_echo_is_what_was_sent() {
        assert!(judged(&[(Ask::Echo(7), text("\"Please echo 7\"")), (Ask::Echo(8), None)]).is_empty());
        assert!(judged(&[(Ask::Echo(7), text("\"Please echo 8\""))])[0].contains("and got"));
    }

    #[test]
    fn ids_differ() {
        assert!(
            judged(&[(Ask::Generate, text("1")), (Ask::Generate, text("\"1\"")), (Ask::Generate, None)]).is_empty()
        );
        assert!(judged(&[(Ask::Generate, text("1")), (Ask::Generate, text("1"))])[0].contains("had got"));
    }

    #[test]
    fn what_was_broadcast_is_read_in_the_end_and_nothing_else() {
        let (sent, read) = (
            |value| (Ask::Broadcast(value), Some(Got::Done)),
            |values: &[u64]| (Ask::ReadValues, Some(Got::Values(values.to_vec()))),
        );
        assert!(judged(&[sent(1), read(&[]), sent(2), read(&[2, 1])]).is_empty(), "an early read may lack it");
        assert!(judged(&[sent(1), (Ask::Broadcast(2), None), read(&[1])]).is_empty(), "2 may be lost");
        assert!(judged(&[sent(1), (Ask::Broadcast(2), None), read(&[1, 2])]).is_empty(), "or not");
        assert!(judged(&[sent(1), sent(2), read(&[2])])[0].contains("is without it"));
        assert!(judged(&[read(&[2]), sent(2), read(&[2])])[0].contains("nobody had broadcast"));
        assert!(judged(&[sent(1), read(&[1, 1])])[0].contains("twice"));
    }

    #[test]
    fn a_counter_counts_what_was_added() {
        let (add, read) = (|delta| (Ask::Add(delta), Some(Got::Done)), |sum| (Ask::ReadSum, Some(Got::Sum(sum))));
        assert!(judged(&[add(2), read(0), (Ask::Add(3), None), read(2)]).is_empty());
        assert!(judged(&[add(2), read(2), (Ask::Add(3), None), read(5)]).is_empty());
        assert!(judged(&[add(2), read(3)])[0].contains("at most 2"));
        assert!(judged(&[add(2), add(1), read(2)])[0].contains("3 had been acknowledged"));
    }

    #[test]
    fn in_each_term_one_node_leads() {
        let leaders = |led: &[(u64, &[u16])]| -> Leaders {
            led.iter().map(|(term, nodes)| (*term, nodes.iter().copied().map(HostId).collect())).collect()
        };
        let asked = [(Ask::Term, Some(Got::Term(2))), (Ask::Term, None)];
        assert!(judged_with(&asked, &leaders(&[(1, &[2]), (2, &[1])])).is_empty());
        assert!(judged_with(&asked, &leaders(&[(1, &[2])]))[0].contains("had not said"));
        assert!(judged_with(&asked, &leaders(&[(2, &[1, 3])]))[0].contains("n1 and n3 led in the same term, 2"));
        // Who is not asked for a leader may call two nodes primary.
        let echo = [(Ask::Echo(7), text("\"Please echo 7\""))];
        assert!(judged_with(&echo, &leaders(&[(0, &[1, 3])])).is_empty());
    }
}
