//! DNS over simulated datagrams: the messages are hickory's; servers, retries and caches are ours, because hickory's
//! cache goes by the machine's clock, on which a simulated TTL never ends.

use super::life::{self, Leg, Wire};
use crate::host::Host;
pub use crate::host::address::{address, host_at};
use crate::trace::HostId;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, NS};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use rand::Rng;
use std::future::Future;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

/// The port of every server.
const PORT: u16 = 53;
/// The most delegations that are followed for one name.
const DELEGATIONS: usize = 4;

/// What a server says about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Its address, for so many seconds.
    Address(Ipv4Addr, u32),
    /// Ask the server at this address, for so many seconds.
    Delegation(Ipv4Addr, u32),
    /// No answer is possible now.
    Failure,
}

fn encode(message: &Message) -> Vec<u8> {
    message.to_vec().expect("a message of one question always encodes")
}

fn question(id: u16, name: &str) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).expect("names are ASCII"), RecordType::A));
    encode(&message)
}

fn response(asked: &Message, name: &Name, answer: Answer) -> Vec<u8> {
    let mut message = Message::response(asked.metadata.id, OpCode::Query);
    message.add_queries(asked.queries.iter().cloned());
    match answer {
        Answer::Address(address, ttl_s) => {
            message.add_answer(Record::from_rdata(name.clone(), ttl_s, RData::A(A(address))));
        }
        Answer::Delegation(server, ttl_s) => {
            let zone = name.base_name();
            let glue = Name::from_ascii("ns.").and_then(|ns| ns.append_domain(&zone)).unwrap_or_else(|_| zone.clone());
            message.add_authority(Record::from_rdata(zone, ttl_s, RData::NS(NS(glue.clone()))));
            message.add_additional(Record::from_rdata(glue, ttl_s, RData::A(A(server))));
        }
        Answer::Failure => message.metadata.response_code = ResponseCode::ServFail,
    }
    encode(&message)
}

fn read(message: &Message) -> Answer {
    let found = |records: &[Record]| {
        records.iter().find_map(|record| match &record.data {
            RData::A(A(address)) => Some((*address, record.ttl)),
            _ => None,
        })
    };
    if message.metadata.response_code != ResponseCode::NoError {
        return Answer::Failure;
    }
    match (found(&message.answers), found(&message.additionals)) {
        (Some((address, ttl_s)), _) => Answer::Address(address, ttl_s),
        (None, Some((server, ttl_s))) => Answer::Delegation(server, ttl_s),
        (None, None) => Answer::Failure,
    }
}

/// Asks a server once, from a socket of its own; `None` if no answer comes in time.
pub async fn ask(host: &Host, server: HostId, name: &str, timeout: Duration) -> Option<Answer> {
    let socket = host.datagrams(None).ok()?;
    let id = host.with_rng(|rng| rng.r#gen());
    let (asked, there_ns) =
        (format!("asks {} for the name", host.fabric().name(server)), host.fabric().one_way(host.id(), server));
    let leg = Leg::begin(host, Some(Wire::Port(host.id(), socket.port())), &asked, there_ns.as_nanos() as u64);
    socket.send(&question(id, name), (server, PORT));
    let answer = async {
        loop {
            let letter = socket.receive().await;
            match Message::from_vec(&letter.bytes) {
                Ok(message) if message.metadata.id == id && letter.from == (server, PORT) => return read(&message),
                _ => {}
            }
        }
    };
    let answer = tokio::time::timeout(timeout, answer).await.ok();
    if answer.is_some() {
        leg.answered();
    }
    answer
}

/// Answers questions for ever, each in a task of its own.
pub async fn serve<F>(host: Host, handler: impl Fn(String) -> F)
where
    F: Future<Output = Answer> + 'static,
{
    let socket = Rc::new(host.datagrams(Some(PORT)).expect("a process has its port to itself"));
    loop {
        let letter = socket.receive().await;
        let Ok(asked) = Message::from_vec(&letter.bytes) else { continue };
        let Some(name) = asked.queries.first().map(|query| query.name().clone()) else { continue };
        let (from, port) = letter.from;
        let back_ns = host.fabric().one_way(host.id(), from).as_nanos() as u64;
        let answer = life::answering(&host, Wire::Port(from, port), back_ns, || handler(name.to_ascii()));
        let socket = socket.clone();
        host.spawn(async move { socket.send(&response(&asked, &name, answer.await), letter.from) });
    }
}

/// Resolves names from the root on, and remembers which server is responsible.
#[derive(Debug, Clone, Copy)]
pub struct Recursion {
    /// The server to ask first.
    server: HostId,
}

impl Recursion {
    /// One that knows the root only.
    pub fn from_root(root: HostId) -> Recursion {
        Recursion { server: root }
    }

    /// Follows delegations to the name's address and its TTL in seconds. `None`: no answer in time, or a failure.
    pub async fn resolve(&mut self, host: &Host, name: &str, timeout: Duration) -> Option<(Ipv4Addr, u32)> {
        for _ in 0..=DELEGATIONS {
            match ask(host, self.server, name, timeout).await? {
                Answer::Address(address, ttl_s) => return Some((address, ttl_s)),
                Answer::Delegation(server, _) => self.server = host_at(server),
                Answer::Failure => return None,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_what_is_read() {
        let name = Name::from_ascii("www.shop.example.").unwrap();
        let asked = Message::from_vec(&question(7, "www.shop.example.")).unwrap();
        assert_eq!((asked.metadata.id, asked.queries[0].name()), (7, &name));
        let server = address(HostId(300));
        for answer in [Answer::Address(server, 60), Answer::Delegation(server, 86_400), Answer::Failure] {
            let message = Message::from_vec(&response(&asked, &name, answer)).unwrap();
            assert_eq!((message.metadata.id, read(&message)), (7, answer));
        }
        assert_eq!(host_at(server), HostId(300));
    }
}
