//! Convergence: at the end, after the quiet period, every node holds the same state.
//!
//! Compares the `Final` events, one per node. A node without one did not answer, so it has not converged. If no node
//! has one, the system's state cannot be seen and there is nothing to compare.

use super::{Certificate, CheckName, Violation};
use crate::trace::{HostId, Trace, What};
use std::collections::BTreeMap;

/// The violation, if the nodes' last reported states are not all there and all equal.
pub fn check(trace: &Trace) -> Option<Violation> {
    let mut states: BTreeMap<HostId, u64> = BTreeMap::new();
    for event in &trace.events {
        if let What::Final { state } = event.what {
            states.insert(event.host, state);
        }
    }
    let first = trace.node_ids().next().filter(|_| !states.is_empty())?;
    let (sentence, nodes) = match trace.node_ids().find(|node| !states.contains_key(node)) {
        Some(silent) => (format!("{silent} could not be read at the end of the run"), vec![silent]),
        None => {
            let differs = trace.node_ids().find(|node| states[node] != states[&first])?;
            (format!("{first} and {differs} hold different states at the end of the run"), vec![first, differs])
        }
    };
    let at_ns = trace.events.last().map(|event| event.t_ns);
    Some(Violation {
        check: CheckName::Convergence,
        certificate: Certificate { sentence, nodes, at_ns, ..Default::default() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Event;

    fn verdict(states: &[(u16, u64)]) -> Option<Vec<u16>> {
        let event = |(seq, (host, state)): (usize, &(u16, u64))| Event {
            t_ns: 1,
            host: HostId(*host),
            seq: seq as u32,
            what: What::Final { state: *state },
        };
        let trace = Trace {
            names: Vec::new(),
            nodes: 3,
            events: states.iter().enumerate().map(event).collect(),
            ..Trace::default()
        };
        check(&trace).map(|violation| violation.certificate.nodes.iter().map(|node| node.0).collect())
    }

    #[test]
    fn every_node_must_report_the_same_state() {
        assert_eq!(verdict(&[(1, 7), (2, 7), (3, 7)]), None);
        assert_eq!(verdict(&[(1, 7), (2, 8), (3, 7), (2, 7)]), None, "the last report counts");
        assert_eq!(verdict(&[(1, 7), (2, 7), (3, 8)]), Some(vec![1, 3]));
        assert_eq!(verdict(&[(1, 7), (3, 7)]), Some(vec![2]), "silence is not agreement");
        assert_eq!(verdict(&[]), None, "a system that cannot be seen into");
    }
}
