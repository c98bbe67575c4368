//! The registry under chaos. It differs from `main.rs` by one type parameter and three wrappers.

use openraft::{BasicNode, Entry, Raft};
use registry::log::Log;
use registry::machine::Machine;
use registry::node::{Ask, Told, ask, config, members, serve};
use registry::router::Router;
use registry::types::Register;
use schism::harness::{Answer, Call, KeyValue, Service};
use schism::host::Host;
use schism::kv::{Op, Response};
use schism::systems::raft::chaos::Chaos;
use schism::systems::raft::faulty::FaultyLog;
use schism::systems::raft::observe::{ObservedLog, ObservedMachine};
use schism::systems::raft::runtime::HostRuntime;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex};

openraft::declare_raft_types!(
    /// On a simulated host.
    pub Simulated:
        D = Register,
        R = (),
        NodeId = u64,
        Node = BasicNode,
        Entry = Entry<Simulated>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = HostRuntime,
);

/// A cluster: the durable state of its nodes, and the router between them.
#[derive(Default)]
struct Registry {
    disks: Mutex<BTreeMap<u64, (Log<Simulated>, Machine)>>,
    router: Router<Simulated>,
}

impl Service for Registry {
    type Object = KeyValue;

    fn object(&self) -> KeyValue {
        KeyValue
    }

    async fn node(self: Arc<Self>, host: Host) {
        let (id, nodes) = (u64::from(host.id().0), host.nodes().len() as u64);
        let (log, machine) = self.disks.lock().unwrap().entry(id).or_default().clone();
        let network = Chaos::new(self.router.clone(), host.clone());
        let observed = ObservedLog::new(FaultyLog::new(log, host.clone()), host.clone(), ());
        let applied = ObservedMachine::new(machine.clone(), host.clone(), ());
        let raft = Raft::new(id, config(), network, observed, applied).await.expect("a node starts from its disk");
        self.router.register(id, raft.clone());
        if id == 1 && !raft.is_initialized().await.expect("a node that runs says so") {
            raft.initialize(members(nodes)).await.expect("a blank node can found a cluster");
        }
        let listener = host.listen(80).expect("nothing else listens on this port");
        loop {
            // A broken connection is for its client to handle.
            host.spawn(serve(listener.accept().await, raft.clone(), machine.clone()));
        }
    }

    async fn call(&self, client: &Host, call: Call<'_, Op>) -> Answer<Response> {
        let name = call.op.key().to_string();
        let question = match call.op.written() {
            Some(value) => Ask::Register(Register {
                request: (call.tag.session, call.tag.sequence),
                name,
                address: value.to_string(),
            }),
            None => Ask::LookUp(name),
        };
        let connection = match client.connect(call.node, 80).await {
            Ok(connection) => connection,
            Err(error) => return error.into(),
        };
        match ask(connection, &question).await {
            Ok(Told::Registered) => Answer::Ok(Response::Done),
            Ok(Told::Address(address)) => {
                Answer::Ok(Response::Value(address.map(|value| value.parse().expect("only numbers are registered"))))
            }
            Ok(Told::NotLeader(leader)) => Answer::Refused { instead: leader.map(|id| format!("n{id}")) },
            Ok(Told::Unknown) => Answer::Unknown,
            Err(error) => error.into(),
        }
    }

    /// A registration carries the client's request number, which the machine remembers.
    fn is_idempotent(&self, _op: &Op) -> bool {
        true
    }
}

#[schism::test(scenario = "sims/chaos.toml", seeds = 5, isolation = "thread")]
fn lookups_are_never_stale() -> Registry {
    Registry::default()
}
