//! Clients of a cluster: they follow a script and write the history. This is one workload of the simulated world, used
//! for every system of the testbed and for every external service.
//!
//! * [`load`]: the clients' load, as plain data.
//! * `client`: one client. `desk`: what all of them share.
//! * `admin`: changes the cluster's members when faults ask for it.

mod admin;
mod client;
mod desk;
pub mod load;

pub use load::Load;

use crate::fault::model::FaultKind;
use crate::history::History;
use crate::host::Host;
use crate::host::recorder::Recorder;
use crate::kv::{Key, Value};
use crate::sim::{Workload, World};
use crate::systems::{Cluster, Process};
use crate::trace::{HostId, What, digest};
use client::Client;
use desk::Desk;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How often the nodes' states are compared once all clients are done.
const POLL: Duration = Duration::from_millis(20);

/// A cluster and its clients, as a workload of a world.
pub struct Clients<'a> {
    world: &'a World,
    load: &'a Load,
    desk: Rc<Desk>,
    /// The client host on which an administrator works, if any fault asks for one.
    administrator: Option<HostId>,
    next_look_ns: Cell<u64>,
}

impl Clients<'_> {
    /// Clients with this load, before their first operation.
    pub fn new<'a>(world: &'a World, load: &'a Load, cluster: Arc<dyn Cluster>) -> Clients<'a> {
        let changes_members =
            world.schedule.faults.iter().any(|fault| matches!(fault.kind, FaultKind::Membership { .. }));
        let administrator = world.topology.client_hosts().next().map(|(_, host)| host).filter(|_| changes_members);
        let desk = Rc::new(Desk::new(load, cluster, world.quiet_from_ns()));
        Clients { world, load, desk, administrator, next_look_ns: Cell::new(0) }
    }

    /// The clients of a site, all on its client host.
    fn at_site(&self, site: usize, host: &Host) -> Vec<Client> {
        let sites = &self.world.topology.sites;
        let own = &sites[site].nodes;
        let others = || sites.iter().filter(|other| other.name != sites[site].name).flat_map(|other| &other.nodes);
        // Nodes of sites without clients are read through by the first site that has clients.
        let has_clients = |index: usize| sites[index].clients.is_some() && self.load.clients[index] > 0;
        let is_first = (0..sites.len()).find(|index| has_clients(*index)) == Some(site);
        let orphans =
            (0..sites.len()).filter(|index| is_first && !has_clients(*index)).flat_map(|index| &sites[index].nodes);
        let reads_through: Vec<HostId> = own.iter().chain(orphans).copied().collect();
        let client = |local: u32| {
            let id = self.load.first_client(site) + local;
            let mut nodes = own.clone();
            if !nodes.is_empty() {
                let turn = local as usize % nodes.len();
                nodes.rotate_left(turn);
            }
            nodes.extend(others());
            let script = self.load.script.iter().filter(|op| op.client == id).copied().collect();
            let reads_through = if local == 0 { reads_through.clone() } else { Vec::new() };
            Client::new(id, host.clone(), self.desk.clone(), script, nodes, reads_through)
        };
        (0..u32::from(self.load.clients[site])).map(client).collect()
    }

    /// The key-value map of each node whose state can be seen.
    fn states(&self) -> BTreeMap<HostId, BTreeMap<Key, Value>> {
        let nodes = self.world.topology.node_ids();
        nodes.filter_map(|node| Some((node, self.desk.cluster.state(node)?))).collect()
    }
}

impl Workload for Clients<'_> {
    type Record = History;

    fn node(&self, host: Host) -> Process {
        self.desk.cluster.process(host)
    }

    fn client_host(&self, host: Host) -> Process {
        let site = self.world.topology.site_of(host.id()).expect("a client host belongs to a site");
        let clients = self.at_site(site, &host);
        let administrator =
            (self.administrator == Some(host.id())).then(|| admin::administer(host.clone(), self.desk.cluster.clone()));
        Box::pin(async move {
            administrator.map(|administrator| host.spawn(administrator));
            let running: Vec<_> = clients.into_iter().map(|client| host.spawn(client.run())).collect();
            for client in running {
                client.await.expect("a client's panic ends the run");
            }
        })
    }

    fn operations(&self) -> usize {
        self.load.operations()
    }

    fn is_done(&self, now_ns: u64) -> bool {
        if now_ns < self.next_look_ns.get() || !self.desk.all_finished() {
            return false;
        }
        self.next_look_ns.set(now_ns + POLL.as_nanos() as u64);
        let states = self.states();
        let mut states = states.values();
        let first = states.next();
        states.all(|state| Some(state) == first)
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.load.recovery_ms)
    }

    fn finish(&self, recorder: &Recorder) -> History {
        for (node, state) in self.states() {
            recorder.record(node, What::Final { state: digest::of(&state).0 as u64 });
        }
        self.desk.take_history()
    }
}
