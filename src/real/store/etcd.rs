//! etcd's version 3, through the JSON gateway that each server has.

use super::{Asking, Done, Local, Networks, Store, Trouble, View};
use crate::kv::{Key, Op, Response, Value};
use crate::trace::{HostId, Role};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

type Connection = SendRequest<Full<Bytes>>;

/// Clients of etcd.
pub struct Etcd {
    networks: Arc<Networks>,
    port: u16,
    local_reads: bool,
    /// Idle connections, by client and node.
    idle: RefCell<BTreeMap<(u32, HostId), Connection>>,
}

impl Etcd {
    /// Clients without a connection yet.
    pub fn new(networks: Arc<Networks>, port: u16, local_reads: bool) -> Etcd {
        Etcd { networks, port, local_reads, idle: RefCell::default() }
    }

    async fn connect(&self, from: HostId, to: HostId) -> io::Result<Connection> {
        let stream = self.networks.dial(from, to, self.port).await?;
        let (connection, driver) = handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // It ends with the connection, whose trouble its user sees.
        tokio::task::spawn_local(driver);
        Ok(connection)
    }

    async fn ask(&self, asking: &Asking) -> Result<Done, Trouble> {
        let place = (asking.by, asking.node);
        let idle = self.idle.borrow_mut().remove(&place).filter(|connection| !connection.is_closed());
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect(asking.client, asking.node).await.map_err(|_| Trouble::Refused)?,
        };
        let (path, body) = request(&asking.op, self.local_reads);
        asking.is_sent.set(true);
        let answer = post(&mut connection, path, &body).await.map_err(|_| Trouble::Unknown)?;
        self.idle.borrow_mut().insert(place, connection);
        let (outcome, term) = outcome(&asking.op, &answer).ok_or(Trouble::Unknown)?;
        Ok(Done { outcome, by: asking.node, term })
    }

    async fn status(&self, node: HostId) -> io::Result<View> {
        let mut connection = self.connect(node, node).await?;
        let answer = post(&mut connection, "/v3/maintenance/status", &json!({})).await?;
        view(&answer).ok_or_else(|| io::Error::other("no status of etcd"))
    }
}

impl Store for Etcd {
    fn perform<'a>(&'a self, asking: &'a Asking) -> Local<'a, Result<Done, Trouble>> {
        Box::pin(self.ask(asking))
    }

    fn look<'a>(&'a self, node: HostId) -> Local<'a, io::Result<View>> {
        Box::pin(self.status(node))
    }
}

/// Sends a request; any answer but 200 is an error.
async fn post(connection: &mut Connection, path: &str, body: &Json) -> io::Result<Json> {
    let request = Request::post(path)
        .header("host", "etcd")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(io::Error::other)?;
    let response = connection.send_request(request).await.map_err(io::Error::other)?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    match status {
        StatusCode::OK => Ok(serde_json::from_slice(&body)?),
        _ => Err(io::Error::other(format!("{status}: {}", String::from_utf8_lossy(&body)))),
    }
}

fn text(text: impl ToString) -> String {
    STANDARD.encode(text.to_string())
}

/// The path and the body of an operation.
fn request(op: &Op, local_reads: bool) -> (&'static str, Json) {
    let key = |key: Key| text(key);
    match *op {
        Op::Get { key: at } => ("/v3/kv/range", json!({ "key": key(at), "serializable": local_reads })),
        Op::Put { key: at, value } => ("/v3/kv/put", json!({ "key": key(at), "value": text(value) })),
        Op::Delete { key: at } => ("/v3/kv/deleterange", json!({ "key": key(at) })),
        Op::Cas { key: at, expected, new } => {
            let compare = match expected {
                Some(value) => json!({ "key": key(at), "target": "VALUE", "result": "EQUAL", "value": text(value) }),
                // A key that is absent has never been created.
                None => json!({ "key": key(at), "target": "CREATE", "result": "EQUAL", "create_revision": "0" }),
            };
            let body = json!({
                "compare": [compare],
                "success": [{ "request_put": { "key": key(at), "value": text(new) } }],
                "failure": [{ "request_range": { "key": key(at) } }],
            });
            ("/v3/kv/txn", body)
        }
    }
}

/// What an answer says of an operation, and the term of Raft that it names.
fn outcome(op: &Op, answer: &Json) -> Option<(Response, u64)> {
    let term = number(&answer["header"]["raft_term"])?;
    let outcome = match op {
        Op::Get { .. } => Response::Value(found(answer)?),
        Op::Put { .. } | Op::Delete { .. } => Response::Done,
        Op::Cas { .. } if answer["succeeded"] == true => Response::Swapped,
        Op::Cas { .. } => Response::Mismatch { found: found(&answer["responses"][0]["response_range"])? },
    };
    Some((outcome, term))
}

/// The value in the answer to a range; outer `None`: it is no value of ours.
fn found(range: &Json) -> Option<Option<Value>> {
    let Some(first) = range["kvs"].get(0) else { return Some(None) };
    let bytes = STANDARD.decode(first["value"].as_str()?).ok()?;
    Some(Some(String::from_utf8(bytes).ok()?.parse().ok()?))
}

/// The gateway writes 64-bit numbers as strings, and leaves out zeros.
fn number(json: &Json) -> Option<u64> {
    match json {
        Json::Null => Some(0),
        Json::String(text) => text.parse().ok(),
        json => json.as_u64(),
    }
}

fn view(status: &Json) -> Option<View> {
    let (own, leader) = (number(&status["header"]["member_id"])?, number(&status["leader"])?);
    let role = if own == leader { Role::Primary } else { Role::Backup };
    Some(View { role, term: number(&status["raftTerm"])?, is_ready: leader != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key(3);

    #[test]
    fn answers_of_etcd_are_understood() {
        let of = |op: Op, answer: &str| outcome(&op, &serde_json::from_str(answer).expect("it is JSON"));
        let get = Op::Get { key: KEY };
        let held = r#"{"header":{"member_id":"17","raft_term":"4"},"kvs":[{"key":"azM=","value":"NDI="}],"count":"1"}"#;
        assert_eq!(of(get, held), Some((Response::Value(Some(42)), 4)));
        assert_eq!(of(get, r#"{"header":{"raft_term":"4"}}"#), Some((Response::Value(None), 4)));
        assert_eq!(of(Op::Put { key: KEY, value: 1 }, r#"{"header":{"raft_term":"4"}}"#), Some((Response::Done, 4)));
        let cas = Op::Cas { key: KEY, expected: None, new: 9 };
        assert_eq!(of(cas, r#"{"header":{"raft_term":"4"},"succeeded":true}"#), Some((Response::Swapped, 4)));
        let missed = r#"{"header":{"raft_term":"4"},"responses":[{"response_range":{"kvs":[{"value":"NDI="}]}}]}"#;
        assert_eq!(of(cas, missed), Some((Response::Mismatch { found: Some(42) }, 4)));
        // A value that nobody here has written is no answer.
        assert_eq!(of(get, r#"{"header":{"raft_term":"4"},"kvs":[{"value":"aGk="}]}"#), None);
    }

    #[test]
    fn a_member_that_is_its_own_leader_leads() {
        let of = |status: &str| view(&serde_json::from_str(status).expect("it is JSON")).expect("a status");
        let leader = of(r#"{"header":{"member_id":"7"},"leader":"7","raftTerm":"3"}"#);
        assert_eq!(leader, View { role: Role::Primary, term: 3, is_ready: true });
        let follower = of(r#"{"header":{"member_id":"8"},"leader":"7","raftTerm":"3"}"#);
        assert_eq!((follower.role, follower.is_ready), (Role::Backup, true));
        assert!(!of(r#"{"header":{"member_id":"8"},"raftTerm":"3"}"#).is_ready, "it has no leader");
    }
}
