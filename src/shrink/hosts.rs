//! Reductions of the hosts: leaves out nodes, sites and clients, and renumbers everything that names the others.

use super::plain::truthful;
use super::search::explicit;
use crate::fault::chaos::Act;
use crate::fault::model::{Fault, Target};
use crate::fault::remaining::Remaining;
use crate::fault::topology::Topology;
use crate::scenario::Scenario;
use crate::scenario::{ScriptedOp, Site};
use crate::trace::HostId;

/// How many nodes a scenario has.
pub(super) fn nodes(scenario: &Scenario) -> usize {
    scenario.sites.iter().map(|site| usize::from(site.nodes)).sum()
}

/// How many clients a scenario has.
pub(super) fn clients(scenario: &Scenario) -> usize {
    scenario.sites.iter().map(|site| usize::from(site.clients)).sum()
}

/// Without a whole site.
pub(super) fn without_site(base: &Scenario, site: usize) -> Option<Scenario> {
    let topology = base.topology();
    let client_sites = base.client_sites();
    keep(base, |node| topology.site_of(HostId(node as u16 + 1)) != Some(site), |client| client_sites[client] != site)
}

/// Without the nodes from one index (from 0) up to another.
pub(super) fn without_nodes(base: &Scenario, from: usize, to: usize) -> Option<Scenario> {
    keep(base, |node| !(from..to).contains(&node), |_| true)
}

/// Without the clients from one number up to another, and their operations.
pub(super) fn without_clients(base: &Scenario, from: usize, to: usize) -> Option<Scenario> {
    keep(base, |_| true, |client| !(from..to).contains(&client))
}

/// Without clients that have nothing to do.
pub(super) fn without_idle_clients(base: &Scenario) -> Option<Scenario> {
    let script = &explicit(base).script;
    keep(base, |_| true, |client| script.iter().any(|op| op.client as usize == client))
}

/// With one client's operations given to another client, and without the first.
pub(super) fn merged(base: &Scenario, gone: usize, into: usize) -> Option<Scenario> {
    let moved = super::search::with_explicit(base, |explicit| {
        let script = explicit.script.iter_mut();
        script.filter(|op| op.client as usize == gone).for_each(|op| op.client = into as u32);
    });
    without_clients(&moved, gone, gone + 1)
}

/// Keeps some nodes (numbered from 0) and some clients; `None` if no node or no client would be left.
/// A site without nodes is left out, together with its clients.
fn keep(base: &Scenario, node: impl Fn(usize) -> bool, client: impl Fn(usize) -> bool) -> Option<Scenario> {
    let old = base.topology();
    let client_sites = base.client_sites();
    let kept_nodes = |site: usize| old.sites[site].nodes.iter().filter(|host| node(host.index() - 1)).count() as u16;
    let stays = |index: usize| client(index) && kept_nodes(client_sites[index]) > 0;
    let settle = |(index, site): (usize, &Site)| {
        let clients = (0..client_sites.len()).filter(|client| client_sites[*client] == index && stays(*client)).count();
        Site { nodes: kept_nodes(index), clients: clients as u16, ..site.clone() }
    };
    let mut smaller = base.clone();
    smaller.sites = base.sites.iter().enumerate().map(settle).filter(|site| site.nodes > 0).collect();
    let asks = smaller.sites.iter().any(|site| site.clients > 0);
    if !asks || smaller.sites.iter().all(|site| site.witness) {
        return None;
    }
    let named = |name: &String| smaller.sites.iter().any(|site| site.name == *name);
    smaller.latency.between.retain(|between| named(&between.a) && named(&between.b));

    let new = smaller.topology();
    let moves = Moves::new(&old, &new, &node);
    let new_client = |index: u32| (0..index as usize).filter(|client| stays(*client)).count() as u32;
    let explicit = smaller.explicit.as_mut()?;
    explicit.schedule = explicit.schedule.iter().filter_map(|fault| moves.fault(fault)).collect();
    let script = explicit.script.iter().filter(|op| stays(op.client as usize));
    explicit.script = script.map(|op| ScriptedOp { client: new_client(op.client), ..*op }).collect();
    if let Some(acts) = &mut explicit.acts {
        *acts = acts.iter().filter_map(|act| moves.act(act)).collect();
    }
    Some(truthful(&smaller))
}

/// Where the hosts of one topology are in another.
struct Moves<'a> {
    /// By old host.
    hosts: Vec<Option<HostId>>,
    old: &'a Topology,
    new: &'a Topology,
}

impl<'a> Moves<'a> {
    fn new(old: &'a Topology, new: &'a Topology, keeps: impl Fn(usize) -> bool) -> Moves<'a> {
        let mut next = 0;
        let mut hosts = vec![Some(HostId::WORLD)];
        for node in 0..old.nodes {
            next += u16::from(keeps(node));
            hosts.push(keeps(node).then_some(HostId(next)));
        }
        hosts.extend(old.client_hosts().map(|(_, host)| new.host(old.name(host))));
        Moves { hosts, old, new }
    }

    fn act(&self, act: &Act) -> Option<Act> {
        let mut act = *act;
        act.place.from = *self.hosts.get(act.place.from.index())?.as_ref()?;
        act.place.to = *self.hosts.get(act.place.to.index())?.as_ref()?;
        Some(act)
    }

    /// The new name of a target, if it still exists.
    fn target(&self, target: &Target) -> Option<Target> {
        let node = self.old.node_ids().find(|node| self.old.name(*node) == target.0);
        match node {
            Some(node) => self.hosts[node.index()].map(|node| Target(self.new.name(node).to_owned())),
            None => self.new.resolve(target).is_ok().then(|| target.clone()),
        }
    }

    /// The fault among those that are left; `None` if it concerns none of them.
    fn fault(&self, fault: &Fault) -> Option<Fault> {
        let kind = fault.kind.among(&Remaining(&|target| self.target(target)))?;
        Some(Fault { kind, ..*fault })
    }
}
