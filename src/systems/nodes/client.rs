//! What clients ask the nodes, and what they make of the answers. The messages are Maelstrom's (its
//! `doc/workloads.md`), and so are the numbers of errors (`doc/protocol.md`).

use super::answer::Head;
use super::child::short;
use super::post::{Asked, Envelope, Outgoing, Reply as Answered};
use super::{Service, Shared, lock};
use crate::kv::transaction::{Micro, transaction};
use crate::kv::{Op, Response};
use crate::systems::protocol::Reply;
use crate::systems::{Attempt, Attempted};
use crate::trace::{AttemptId, HostId, MessageKind};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::sync::oneshot;

/// The numbers of errors after which an operation has not taken effect and will not.
const DEFINITE: [u64; 9] = [1, 10, 11, 12, 14, 20, 21, 22, 30];
/// Of these: the node cannot serve it now, and another one may.
const ELSEWHERE: [u64; 3] = [1, 11, 14];
const KEY_DOES_NOT_EXIST: u64 = 20;
const PRECONDITION_FAILED: u64 = 22;

/// What a client asks of a service that is not the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Send this back.
    Echo(u64),
    /// Make an id.
    Generate,
    /// Tell everybody this value.
    Broadcast(u64),
    /// Say what values you know.
    ReadValues,
    /// Add this to the sum.
    Add(u64),
    /// Say the sum.
    ReadSum,
    /// Do all of this in one step.
    Transaction(Vec<Micro>),
    /// Say in which term you lead, if you do.
    Term,
}

/// What a node answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    /// It is done.
    Done,
    /// What came back, or the id that was made, as JSON.
    Text(String),
    /// Values, as they were listed.
    Values(Vec<u64>),
    /// A sum.
    Sum(u64),
    /// The steps of a transaction, with what they read.
    Transaction(Vec<Micro>),
    /// The term in which the node that answers leads.
    Term(u64),
}

/// An operation of such a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What was asked.
    pub ask: Ask,
    /// The node that answered.
    pub node: Option<HostId>,
    /// The answer, if one came.
    pub got: Option<Got>,
}

/// What is known of the operations of a run.
#[derive(Default)]
pub struct Desk {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last message number of each client.
    numbers: BTreeMap<u32, u64>,
    /// By operation: whether it changes nothing.
    reads: BTreeMap<u32, bool>,
    dialogue: BTreeMap<u32, Said>,
}

impl Desk {
    /// Whether an operation changes nothing.
    pub fn is_read(&self, operation: u32) -> bool {
        lock(&self.state).reads.get(&operation).copied().unwrap_or(false)
    }

    /// See [`Shared::dialogue`].
    pub fn dialogue(&self) -> BTreeMap<u32, Said> {
        lock(&self.state).dialogue.clone()
    }

    /// One attempt: a message to the node, and the answer to it, if one comes in time.
    pub async fn attempt(&self, cluster: &Shared, attempt: Attempt<'_>) -> Attempted {
        let Attempt { client, node, command, by, operation, number, timeout } = attempt;
        let service = cluster.program.service();
        let ask = ask(service, &command.op, operation);
        let msg_id = self.begin(by, operation, &command.op, ask.as_ref());
        let fabric = client.fabric();
        if fabric.is_down(node) && fabric.is_open(client.id(), node) && fabric.is_open(node, client.id()) {
            // No process listens there: the client's connection is refused.
            tokio::time::sleep(fabric.round_trip(client.id(), node).min(timeout)).await;
            return Reply::Refused { hint: None }.into();
        }
        let (name, place) = (format!("c{by}"), AttemptId { operation, attempt: number });
        let (answer, waiting) = oneshot::channel();
        let (tag, key) = (command.tag, command.op.key());
        let asked = Asked { attempt: place, client: client.id(), node, tag, key, answer: Some(answer) };
        cluster.post.ask(&name, msg_id, asked);
        let mut body = ask.as_ref().map_or_else(|| store_body(&command.op), body);
        body["msg_id"] = msg_id.into();
        body["op"] = operation.into();
        let head = Head {
            kind: body["type"].as_str().unwrap_or_default().to_owned(),
            msg_id: Some(msg_id),
            in_reply_to: None,
        };
        let body = RawValue::from_string(body.to_string()).expect("a value is JSON");
        let envelope = Envelope { src: name, dest: fabric.name(node).to_owned(), body, head };
        let class = MessageKind::Request;
        let sending = Outgoing { envelope, class, cause: None, place: Some(place.number()), term: 0 };
        cluster.post.send(client, node, sending);
        let Ok(Ok(Answered { envelope, term })) = tokio::time::timeout(timeout, waiting).await else {
            return Reply::Unknown.into();
        };
        match self.read(service, &command.op, operation, node, &envelope) {
            Ok(Ok(outcome)) => {
                let hash = crate::rng::hash_bytes(0, envelope.body.get().as_bytes());
                Attempted { reply: Reply::Ok { outcome, acknowledged_by: node, term }, hash }
            }
            Ok(Err(Refusal::Elsewhere(hint))) => {
                let hint = hint.and_then(|name| fabric.host(&name)).filter(|host| fabric.is_node(*host));
                Reply::Refused { hint }.into()
            }
            Ok(Err(Refusal::Failed)) => Reply::Failed.into(),
            Ok(Err(Refusal::Unknown)) => Reply::Unknown.into(),
            Err(why) => {
                let said = format!(
                    "`{}` answered {}'s `{}` with a message that {why}: `{}`",
                    cluster.program.words().join(" "),
                    envelope.dest,
                    command.op,
                    short(envelope.body.get())
                );
                fabric.panicked(node, said);
                Reply::Unknown.into()
            }
        }
    }

    /// Notes an attempt, and gives it a number.
    fn begin(&self, by: u32, operation: u32, op: &Op, ask: Option<&Ask>) -> u64 {
        let mut state = lock(&self.state);
        let is_read = match ask {
            None => !op.is_write(),
            Some(Ask::Transaction(micros)) => !micros.iter().any(Micro::is_append),
            // An id that is lost is no harm, and neither is a value that is told twice.
            Some(ask) => !matches!(ask, Ask::Add(_)),
        };
        state.reads.insert(operation, is_read);
        if let Some(ask) = ask {
            state.dialogue.entry(operation).or_insert_with(|| Said { ask: ask.clone(), node: None, got: None });
        }
        let number = state.numbers.entry(by).or_default();
        *number += 1;
        *number
    }

    /// What an answer means; an error says why it means nothing.
    fn read(
        &self,
        service: Service,
        op: &Op,
        operation: u32,
        node: HostId,
        envelope: &Envelope,
    ) -> Result<Result<Response, Refusal>, String> {
        let body: Value = serde_json::from_str(envelope.body.get()).map_err(|error| error.to_string())?;
        if envelope.head.kind == "error" {
            return refusal(service, op, &body);
        }
        if service == Service::LinKv {
            return store_answer(op, &body).map(Ok);
        }
        let mut state = lock(&self.state);
        let said = state.dialogue.get_mut(&operation).ok_or("answers what was not asked")?;
        said.got = Some(got(&said.ask, &body)?);
        said.node = Some(node);
        Ok(Ok(match said.ask {
            Ask::ReadValues | Ask::ReadSum | Ask::Term => Response::Value(None),
            _ => Response::Done,
        }))
    }
}

/// Why an operation was not carried out.
enum Refusal {
    /// Not here; maybe at this node.
    Elsewhere(Option<String>),
    /// Definitely not, and asking again is of no use.
    Failed,
    /// It may have been, or may yet be.
    Unknown,
}

/// What a scripted operation asks of a service that is not the store.
fn ask(service: Service, op: &Op, operation: u32) -> Option<Ask> {
    let value = op.written();
    match service {
        Service::LinKv => None,
        Service::Echo => Some(Ask::Echo(u64::from(operation))),
        Service::UniqueIds => Some(Ask::Generate),
        Service::Broadcast => Some(value.map_or(Ask::ReadValues, Ask::Broadcast)),
        Service::TxnListAppend => Some(Ask::Transaction(transaction(op, operation))),
        Service::Leader => Some(Ask::Term),
        Service::GCounter => Some(value.map_or(Ask::ReadSum, |value| Ask::Add(value % 5))),
    }
}

fn body(ask: &Ask) -> Value {
    match ask {
        Ask::Echo(value) => json!({ "type": "echo", "echo": format!("Please echo {value}") }),
        Ask::Generate => json!({ "type": "generate" }),
        Ask::Broadcast(value) => json!({ "type": "broadcast", "message": value }),
        Ask::ReadValues | Ask::ReadSum => json!({ "type": "read" }),
        Ask::Transaction(micros) => {
            let steps: Vec<Value> = micros.iter().map(step).collect();
            json!({ "type": "txn", "txn": steps })
        }
        Ask::Term => json!({ "type": "leader" }),
        Ask::Add(delta) => json!({ "type": "add", "delta": delta }),
    }
}

/// A step of a transaction, as it is asked.
fn step(micro: &Micro) -> Value {
    match micro {
        Micro::Read { key, .. } => json!(["r", key, null]),
        Micro::Append { key, value } => json!(["append", key, value]),
    }
}

/// The steps of a transaction, answered: the same, with a list in each read, or `null` for an empty one.
fn steps(asked: &[Micro], body: &Value) -> Result<Vec<Micro>, String> {
    let answered = body["txn"].as_array().filter(|answered| answered.len() == asked.len());
    let answered = answered.ok_or("has no `txn` with as many steps as were asked")?;
    let of = |(micro, answer): (&Micro, &Value)| {
        let other = || format!("has `{}` where the step {} was asked", short(&answer.to_string()), step(micro));
        let Micro::Read { key, .. } = micro else {
            return if *answer == step(micro) { Ok(micro.clone()) } else { Err(other()) };
        };
        let Some([kind, of, list]) = answer.as_array().map(Vec::as_slice) else { return Err(other()) };
        let list: Option<Vec<u64>> = match list {
            Value::Null => Some(Vec::new()),
            list => list.as_array().and_then(|list| list.iter().map(Value::as_u64).collect()),
        };
        let is_it = *kind == "r" && *of == key.0;
        list.filter(|_| is_it).map(|list| Micro::Read { key: *key, list }).ok_or_else(other)
    };
    asked.iter().zip(answered).map(of).collect()
}

fn store_body(op: &Op) -> Value {
    let key = op.key().0;
    match *op {
        Op::Get { .. } => json!({ "type": "read", "key": key }),
        Op::Put { value, .. } => json!({ "type": "write", "key": key, "value": value }),
        // Maelstrom's workload removes nothing: to write `null` is to remove.
        Op::Delete { .. } => json!({ "type": "write", "key": key, "value": null }),
        Op::Cas { expected, new, .. } => json!({ "type": "cas", "key": key, "from": expected, "to": new }),
    }
}

/// A field that is absent or null, or a number.
fn number(body: &Value, field: &str) -> Result<Option<u64>, String> {
    match &body[field] {
        Value::Null => Ok(None),
        value => value.as_u64().map(Some).ok_or_else(|| format!("has a `{field}` that is no whole number")),
    }
}

fn expect(body: &Value, kind: &str) -> Result<(), String> {
    if body["type"] == kind { Ok(()) } else { Err(format!("is neither `{kind}` nor `error`")) }
}

fn store_answer(op: &Op, body: &Value) -> Result<Response, String> {
    match op {
        Op::Get { .. } => {
            expect(body, "read_ok")?;
            if body.get("value").is_none() {
                return Err("has no `value`".into());
            }
            number(body, "value").map(Response::Value)
        }
        Op::Put { .. } | Op::Delete { .. } => expect(body, "write_ok").map(|()| Response::Done),
        Op::Cas { .. } => expect(body, "cas_ok").map(|()| Response::Swapped),
    }
}

fn refusal(service: Service, op: &Op, body: &Value) -> Result<Result<Response, Refusal>, String> {
    let code = body["code"].as_u64().ok_or("is an error without a `code`")?;
    let is_cas = matches!(op, Op::Cas { .. });
    match (service, op) {
        (Service::LinKv, Op::Get { .. }) if code == KEY_DOES_NOT_EXIST => return Ok(Ok(Response::Value(None))),
        (Service::LinKv, Op::Cas { expected: Some(_), .. }) if code == KEY_DOES_NOT_EXIST => {
            return Ok(Ok(Response::Mismatch { found: None }));
        }
        // What it found is no part of Maelstrom's error; a node that says so lets more be checked.
        (Service::LinKv, Op::Cas { expected, .. }) if code == PRECONDITION_FAILED && body.get("found").is_some() => {
            let found = number(body, "found")?;
            if found == *expected {
                return Err("refuses a cas that it says to match".into());
            }
            return Ok(Ok(Response::Mismatch { found }));
        }
        _ => {}
    }
    Ok(Err(if ELSEWHERE.contains(&code) {
        Refusal::Elsewhere(body["leader"].as_str().map(str::to_owned))
    } else if DEFINITE.contains(&code) {
        let is_odd = code == PRECONDITION_FAILED && !is_cas;
        if is_odd {
            return Err("says that a precondition failed, and there was none".into());
        }
        Refusal::Failed
    } else {
        Refusal::Unknown
    }))
}

fn got(ask: &Ask, body: &Value) -> Result<Got, String> {
    let text = |field: &str| match &body[field] {
        Value::Null => Err(format!("has no `{field}`")),
        value => Ok(Got::Text(value.to_string())),
    };
    match ask {
        Ask::Echo(_) => expect(body, "echo_ok").and_then(|()| text("echo")),
        Ask::Generate => expect(body, "generate_ok").and_then(|()| text("id")),
        Ask::Broadcast(_) => expect(body, "broadcast_ok").map(|()| Got::Done),
        Ask::Add(_) => expect(body, "add_ok").map(|()| Got::Done),
        Ask::Transaction(micros) => {
            expect(body, "txn_ok")?;
            steps(micros, body).map(Got::Transaction)
        }
        Ask::Term => {
            expect(body, "leader_ok")?;
            number(body, "term")?.map(Got::Term).ok_or_else(|| "has no `term`".to_owned())
        }
        Ask::ReadSum => {
            expect(body, "read_ok")?;
            number(body, "value")?.map(Got::Sum).ok_or_else(|| "has no `value`".to_owned())
        }
        Ask::ReadValues => {
            expect(body, "read_ok")?;
            let listed = body["messages"].as_array().ok_or("has no list `messages`")?;
            let values: Option<Vec<u64>> = listed.iter().map(Value::as_u64).collect();
            values.map(Got::Values).ok_or_else(|| "lists what was never broadcast".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Key;

    const KEY: Key = Key(3);
    const CAS: Op = Op::Cas { key: KEY, expected: Some(1), new: 2 };

    #[test]
    fn the_store_is_asked_in_maelstroms_words() {
        assert_eq!(store_body(&Op::Get { key: KEY }).to_string(), r#"{"key":3,"type":"read"}"#);
        assert_eq!(store_body(&CAS).to_string(), r#"{"from":1,"key":3,"to":2,"type":"cas"}"#);
        assert_eq!(store_body(&Op::Delete { key: KEY })["value"], Value::Null);
    }

    #[test]
    fn a_transaction_is_answered_step_by_step() {
        let asked = [Micro::read(KEY), Micro::Append { key: KEY, value: 8 }, Micro::read(KEY)];
        let body = body(&Ask::Transaction(asked.to_vec())).to_string();
        assert_eq!(body, r#"{"txn":[["r",3,null],["append",3,8],["r",3,null]],"type":"txn"}"#);
        let got = |txn: Value| steps(&asked, &json!({ "type": "txn_ok", "txn": txn }));
        let read = |list: &[u64]| Micro::Read { key: KEY, list: list.to_vec() };
        let answered = got(json!([["r", 3, null], ["append", 3, 8], ["r", 3, [8]]]));
        assert_eq!(answered, Ok(vec![read(&[]), asked[1].clone(), read(&[8])]));
        assert!(got(json!([["r", 3, [1, 2]], ["append", 3, 8], ["r", 3, [1, 2, 8]]])).is_ok());
        let wrong = [
            json!([["r", 3, [1]], ["append", 3, 8]]),
            json!([["r", 4, [1]], ["append", 3, 8], ["r", 3, [8]]]),
            json!([["r", 3, [1]], ["append", 3, [8]], ["r", 3, [8]]]),
            json!([["r", 3, 1], ["append", 3, 8], ["r", 3, [8]]]),
            json!([["r", 3], ["append", 3, 8], ["r", 3, [8]]]),
            json!([["r", 3, ["8"]], ["append", 3, 8], ["r", 3, [8]]]),
            json!("done"),
        ];
        for txn in wrong {
            assert!(got(txn.clone()).is_err(), "{txn}");
        }
    }

    #[test]
    fn answers_mean_what_maelstrom_says() {
        let read = |value: Value| store_answer(&Op::Get { key: KEY }, &value);
        assert_eq!(read(json!({ "type": "read_ok", "value": 4 })), Ok(Response::Value(Some(4))));
        assert_eq!(read(json!({ "type": "read_ok", "value": null })), Ok(Response::Value(None)));
        assert!(read(json!({ "type": "read_ok" })).is_err());
        assert!(read(json!({ "type": "read_ok", "value": "4" })).is_err());
        assert!(read(json!({ "type": "write_ok" })).is_err());
        let refused = |op: &Op, body: Value| refusal(Service::LinKv, op, &body);
        let cas = |body| refused(&CAS, body);
        assert!(matches!(cas(json!({ "code": 20 })), Ok(Ok(Response::Mismatch { found: None }))));
        assert!(matches!(cas(json!({ "code": 22 })), Ok(Err(Refusal::Failed))));
        assert!(matches!(cas(json!({ "code": 22, "found": 9 })), Ok(Ok(Response::Mismatch { found: Some(9) }))));
        assert!(cas(json!({ "code": 22, "found": 1 })).is_err(), "it matched");
        assert!(matches!(cas(json!({ "code": 11, "leader": "n2" })), Ok(Err(Refusal::Elsewhere(Some(_))))));
        assert!(matches!(cas(json!({ "code": 13 })), Ok(Err(Refusal::Unknown))));
        assert!(matches!(cas(json!({ "code": 0 })), Ok(Err(Refusal::Unknown))));
        assert!(cas(json!({ "text": "no" })).is_err());
        let put = Op::Put { key: KEY, value: 1 };
        assert!(refused(&put, json!({ "code": 22 })).is_err(), "a put has no precondition");
    }
}
