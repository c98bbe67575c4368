//! Liveness: after the last fault ends and all nodes are up, every client is served again and replicas are equal, in
//! bounded time.
//!
//! A client is served if, within the limit, a write and a get that it invoked after the last fault are acknowledged.
//! The clock starts when it first *tries* (its first operation of that kind after the fault), so a client that happens
//! to be idle for a while does not count against the system. Every client is made to try once at the end of the run.

use super::{Certificate, CheckName, Violation, convergence};
use crate::history::History;
use crate::kv::Op;
use crate::trace::Trace;
use std::collections::BTreeMap;

/// The requirements on the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// When the last fault had ended and all nodes were up, in nanoseconds.
    pub last_fault_end_ns: u64,
    /// How long the system may take, in nanoseconds: ten times the longest election time-out.
    pub limit_ns: u64,
    /// How many clients there are; each must be served.
    pub clients: u32,
    /// Whether liveness is required: the faults left a quorum with intact disks.
    pub required: bool,
}

/// The result of the check.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Whether every client was served in time and replicas are equal.
    pub live: bool,
    /// The violation, if liveness is required and failed.
    pub violation: Option<Violation>,
    /// When the last client had its first write and first get acknowledged, in nanoseconds after the last fault; `None`
    /// if some client never did.
    pub recovered_ns: Option<u64>,
}

/// One kind of operation of one client after the last fault.
#[derive(Debug, Clone, Copy, Default)]
struct Service {
    first_try_ns: Option<u64>,
    first_ack_ns: Option<u64>,
}

/// Checks liveness; `trace` is used only for the replicas' final states.
pub fn check(history: &History, trace: &Trace, params: &Params) -> Report {
    let mut services: BTreeMap<u32, [Service; 2]> = BTreeMap::new();
    for operation in &history.operations {
        let services = services.entry(operation.client).or_default();
        if operation.start_ns < params.last_fault_end_ns {
            continue;
        }
        let is_get = matches!(operation.op, Op::Get { .. });
        let service = &mut services[usize::from(is_get)];
        let least = |known: Option<u64>, new: u64| Some(known.map_or(new, |known| known.min(new)));
        service.first_try_ns = least(service.first_try_ns, operation.start_ns);
        if is_get && operation.outcome().is_some() || operation.is_acknowledged_write() {
            service.first_ack_ns = least(service.first_ack_ns, operation.end_ns);
        }
    }
    let in_time = |service: &Service| {
        service.first_try_ns.zip(service.first_ack_ns).is_some_and(|(tried, acked)| acked <= tried + params.limit_ns)
    };
    let unserved: Vec<u32> =
        services.iter().filter(|(_, services)| !services.iter().all(in_time)).map(|(client, _)| *client).collect();
    let silent = (params.clients as usize).saturating_sub(services.len());
    let limit_s = params.limit_ns as f64 / 1e9;
    let since_s = params.last_fault_end_ns as f64 / 1e9;
    let diverged = convergence::check(trace);
    let sentence = match (unserved.first(), silent, &diverged) {
        (Some(client), _, _) => Some(format!(
            "{} of {} clients, client {client} first, had no write and get acknowledged within {limit_s:.1} s after the last fault ended at {since_s:.3} s",
            unserved.len() + silent,
            params.clients.max(services.len() as u32),
        )),
        (None, 1.., _) => Some(format!("{silent} of {} clients never invoked anything", params.clients)),
        (None, 0, Some(diverged)) => Some(diverged.certificate.sentence.clone()),
        (None, 0, None) => None,
    };
    let acks = services.values().flatten().map(|service| service.first_ack_ns);
    let last_ack = acks.collect::<Option<Vec<u64>>>().and_then(|acks| acks.into_iter().max());
    let recovered_ns = last_ack.filter(|_| silent == 0).map(|ack| ack - params.last_fault_end_ns);
    let live = sentence.is_none();
    let violation = sentence.filter(|_| params.required).map(|sentence| Violation {
        check: CheckName::Liveness,
        certificate: Certificate {
            sentence,
            at_ns: Some(params.last_fault_end_ns + params.limit_ns),
            ..Certificate::default()
        },
    });
    Report { live, violation, recovered_ns }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Operation, Status};
    use crate::kv::{Key, Response, Tag};
    use crate::trace::{Event, HostId, What};

    const PARAMS: Params = Params { last_fault_end_ns: 100, limit_ns: 50, clients: 2, required: true };

    /// A put (`write`) or a get of `client`.
    fn operation(client: u32, write: bool, start_ns: u64, end_ns: u64, acked: bool) -> Operation {
        let key = Key(1);
        let (op, outcome) = if write {
            (Op::Put { key, value: start_ns }, Response::Done)
        } else {
            (Op::Get { key }, Response::Value(None))
        };
        let status = if acked { Status::Ok { outcome, by: None } } else { Status::Info };
        let tag = Tag { session: 0, sequence: 0 };
        Operation { id: 0, client, tag, op, planned_ns: start_ns, start_ns, end_ns, status, attempts: 1 }
    }

    fn served(client: u32) -> [Operation; 2] {
        [operation(client, true, 120, 130, true), operation(client, false, 130, 140, true)]
    }

    fn judge(operations: &[Operation], states: [u64; 2], params: &Params) -> Report {
        let finals = states.iter().enumerate().map(|(index, state)| Event {
            t_ns: 500,
            host: HostId(index as u16 + 1),
            seq: 0,
            what: What::Final { state: *state },
        });
        let trace = Trace { names: Vec::new(), nodes: 2, events: finals.collect(), ..Trace::default() };
        check(&History { operations: operations.to_vec() }, &trace, params)
    }

    #[test]
    fn every_client_served_and_replicas_equal_is_live() {
        let report = judge(&[served(0), served(1)].concat(), [7, 7], &PARAMS);
        assert_eq!(report, Report { live: true, violation: None, recovered_ns: Some(40) });
        let stumbled = [&[operation(0, true, 101, 119, false)][..], &served(0), &served(1)].concat();
        assert!(judge(&stumbled, [7, 7], &PARAMS).live, "a failed attempt is forgiven if another succeeds in time");
        let idle = [operation(0, true, 400, 410, true), operation(0, false, 410, 420, true)];
        assert!(judge(&[idle, served(1)].concat(), [7, 7], &PARAMS).live, "an idle client starts its own clock");
    }

    #[test]
    fn a_client_not_served_in_time_fails() {
        let late = [operation(0, true, 101, 119, false), operation(0, true, 140, 160, true)];
        let late = [&late[..], &[operation(0, false, 120, 130, true)], &served(1)].concat();
        let cases = [
            ("only one kind", [&served(0)[..], &[operation(1, true, 120, 130, true)]].concat()),
            ("a write too late", late),
            (
                "before the fault ended",
                [&served(0)[..], &served(1)[..1], &[operation(1, false, 99, 130, true)]].concat(),
            ),
            ("a client that never spoke", served(0).to_vec()),
        ];
        for (name, operations) in cases {
            let report = judge(&operations, [7, 7], &PARAMS);
            assert!(!report.live && report.violation.is_some(), "{name}");
        }
    }

    #[test]
    fn diverged_replicas_are_not_live_and_nothing_is_asked_where_it_is_not_required() {
        let operations = [served(0), served(1)].concat();
        assert!(judge(&operations, [7, 8], &PARAMS).violation.is_some());
        let report = judge(&operations, [7, 8], &Params { required: false, ..PARAMS });
        assert!(!report.live && report.violation.is_none());
    }
}
