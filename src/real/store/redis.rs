//! Redis, with or without Sentinel.
//!
//! A client of Sentinel does what its documentation asks of clients: it asks a sentinel for the primary, connects to it,
//! keeps the connection, and asks again once the connection fails or the server says that it is a replica.

use super::{Asking, Done, Local, Networks, Store, Trouble, View};
use crate::host::address::host_at;
use crate::kv::{Op, Response, Value};
use crate::trace::{HostId, Role};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, RedisConnectionInfo, RedisError, RedisResult, cmd};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The name under which the sentinels watch the primary.
const NAME: &str = "schism";

/// A compare-and-set. It returns whether it matched, and what it found.
const CAS: &str = "\
local found = redis.call('GET', KEYS[1])
if found == (ARGV[1] ~= '' and ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[2])
  return {1, found}
end
return {0, found}";

/// Clients of Redis.
pub struct Redis {
    networks: Arc<Networks>,
    port: u16,
    sentinel: Option<u16>,
    nodes: usize,
    /// Each client's connection to the primary that it knows.
    primaries: RefCell<BTreeMap<u32, (HostId, MultiplexedConnection)>>,
}

impl Redis {
    /// Clients without a connection yet.
    pub fn new(networks: Arc<Networks>, port: u16, sentinel: Option<u16>, nodes: usize) -> Redis {
        Redis { networks, port, sentinel, nodes, primaries: RefCell::default() }
    }

    async fn connect(&self, from: HostId, to: HostId, port: u16) -> RedisResult<MultiplexedConnection> {
        let stream = self.networks.dial(from, to, port).await?;
        let login = RedisConnectionInfo::default();
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&login, stream, AsyncConnectionConfig::default()).await?;
        // It ends with the connection, whose trouble its user sees.
        tokio::task::spawn_local(driver);
        Ok(connection)
    }

    /// The primary as far as a client can find out from the node that it prefers.
    async fn primary(&self, asking: &Asking) -> RedisResult<HostId> {
        let Some(port) = self.sentinel else { return Ok(asking.node) };
        let mut sentinel = self.connect(asking.client, asking.node, port).await?;
        let found: Option<(String, u16)> =
            cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(NAME).query_async(&mut sentinel).await?;
        let address = found.and_then(|(address, _)| address.parse::<Ipv4Addr>().ok());
        Ok(host_at(address.ok_or((ErrorKind::UnexpectedReturnType, "the sentinel names no primary"))?))
    }

    async fn ask(&self, asking: &Asking) -> Result<Done, Trouble> {
        let known = self.primaries.borrow_mut().remove(&asking.by);
        // Without sentinels the client is at the node that it was told to ask.
        let known = known.filter(|(primary, _)| self.sentinel.is_some() || *primary == asking.node);
        let (primary, mut connection) = match known {
            Some(known) => known,
            None => {
                let primary = self.primary(asking).await.map_err(|_| Trouble::Refused)?;
                let connected = self.connect(asking.client, primary, self.port).await;
                (primary, connected.map_err(|_| Trouble::Refused)?)
            }
        };
        asking.is_sent.set(true);
        match send(&mut connection, &asking.op).await {
            Ok(outcome) => {
                self.primaries.borrow_mut().insert(asking.by, (primary, connection));
                Ok(Done { outcome, by: primary, term: 0 })
            }
            Err(error) if is_refusal(&error) => Err(Trouble::Refused),
            Err(_) => Err(Trouble::Unknown),
        }
    }

    async fn view(&self, node: HostId) -> RedisResult<View> {
        let mut server = self.connect(node, node, self.port).await?;
        let role: redis::Value = cmd("ROLE").query_async(&mut server).await?;
        let role = match role {
            redis::Value::Array(parts) => {
                parts.into_iter().next().map(redis::from_redis_value::<String>).transpose()?
            }
            _ => None,
        };
        let role = if role.as_deref() == Some("master") { Role::Primary } else { Role::Backup };
        let Some(port) = self.sentinel else { return Ok(View { role, term: 0, is_ready: true }) };
        let mut sentinel = self.connect(node, node, port).await?;
        let known: BTreeMap<String, String> =
            cmd("SENTINEL").arg("MASTER").arg(NAME).query_async(&mut sentinel).await?;
        let number = |field: &str| known.get(field).and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
        let others = self.nodes as u64 - 1;
        let is_ready = number("num-slaves") == others && number("num-other-sentinels") == others;
        Ok(View { role, term: number("config-epoch"), is_ready })
    }
}

impl Store for Redis {
    fn perform<'a>(&'a self, asking: &'a Asking) -> Local<'a, Result<Done, Trouble>> {
        Box::pin(self.ask(asking))
    }

    fn look<'a>(&'a self, node: HostId) -> Local<'a, io::Result<View>> {
        Box::pin(async move { self.view(node).await.map_err(io::Error::other) })
    }
}

async fn send(connection: &mut MultiplexedConnection, op: &Op) -> RedisResult<Response> {
    let command = command(op);
    Ok(match op {
        Op::Get { .. } => Response::Value(command.query_async::<Option<Value>>(connection).await?),
        Op::Put { .. } | Op::Delete { .. } => {
            command.query_async::<redis::Value>(connection).await?;
            Response::Done
        }
        Op::Cas { .. } => match command.query_async::<(u8, Option<Value>)>(connection).await? {
            (0, found) => Response::Mismatch { found },
            _ => Response::Swapped,
        },
    })
}

fn command(op: &Op) -> Cmd {
    let mut command = match op {
        Op::Get { .. } => cmd("GET"),
        Op::Put { .. } => cmd("SET"),
        Op::Delete { .. } => cmd("DEL"),
        Op::Cas { .. } => {
            let mut eval = cmd("EVAL");
            eval.arg(CAS).arg(1);
            eval
        }
    };
    command.arg(op.key().to_string());
    match *op {
        Op::Put { value, .. } => drop(command.arg(value)),
        Op::Cas { expected, new, .. } => {
            command.arg(expected.map_or_else(String::new, |value| value.to_string())).arg(new);
        }
        Op::Get { .. } | Op::Delete { .. } => {}
    }
    command
}

/// Whether a server's error says that it has not executed the command: a replica, a primary without enough replicas,
/// and one that is still loading its data. Any other error may have come after the command took effect.
fn is_refusal(error: &RedisError) -> bool {
    matches!(error.code(), Some("READONLY" | "NOREPLICAS" | "LOADING" | "MASTERDOWN"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Key;

    #[test]
    fn operations_become_commands() {
        let words = |op: Op| -> Vec<String> {
            let simple = |arg: redis::Arg<&[u8]>| match arg {
                redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                _ => "?".to_owned(),
            };
            command(&op).args_iter().map(simple).collect()
        };
        let key = Key(3);
        assert_eq!(words(Op::Get { key }), ["GET", "k3"]);
        assert_eq!(words(Op::Put { key, value: 8 }), ["SET", "k3", "8"]);
        assert_eq!(words(Op::Delete { key }), ["DEL", "k3"]);
        assert_eq!(words(Op::Cas { key, expected: None, new: 8 })[2..], ["1", "k3", "", "8"]);
        assert_eq!(words(Op::Cas { key, expected: Some(7), new: 8 })[2..], ["1", "k3", "7", "8"]);
    }
}
