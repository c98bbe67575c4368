//! Hosts and sites, and the targets that name them.

use crate::trace::{HostId, HostSet};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A set of hosts, by name: a node (`n2`), a site (`east`: its nodes and its clients), the clients of a
/// site (`east.clients`), the nodes of a site (`east.nodes`), or a role (`@leader`, `@follower`, and in an
/// aimed fault `@there`), which is resolved when the fault begins and recorded in the trace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Target(pub String);

/// A site by its size, as a scenario describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteShape {
    /// Its name.
    pub name: String,
    /// How many nodes it holds.
    pub nodes: u16,
    /// Whether clients live there (all on one host).
    pub clients: bool,
    /// Whether it only votes.
    pub witness: bool,
}

/// A site with its hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteHosts {
    /// Its name.
    pub name: String,
    /// Its nodes, ascending.
    pub nodes: Vec<HostId>,
    /// The host on which its clients live.
    pub clients: Option<HostId>,
    /// Whether it only votes and is no key's home.
    pub witness: bool,
}

/// The hosts of a run and their names: the world, then nodes `n1`, `n2`, ... across the sites in order,
/// then one client host (`east.clients`) for each site that has clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Host names by [`HostId`]; entry 0 is `world`.
    pub names: Vec<String>,
    /// How many nodes there are.
    pub nodes: usize,
    /// The sites, in the scenario's order.
    pub sites: Vec<SiteHosts>,
}

/// A role that a target may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(prefix = "@", serialize_all = "snake_case")]
pub enum TargetRole {
    /// `@leader`: the node that most recently became primary (of the whole key space, if there are several primaries).
    Leader,
    /// `@follower`: a node that is up and is not the leader.
    Follower,
    /// `@there`: the node at which the event was that an aimed fault waited for.
    There,
}

impl TargetRole {
    /// Every role.
    pub const ALL: &'static [TargetRole] = <TargetRole as strum::VariantArray>::VARIANTS;

    /// The name in scenario files.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for TargetRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a target stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// These hosts, always.
    Hosts(HostSet),
    /// The host that holds this role when the fault begins.
    Role(TargetRole),
}

/// A target that names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` names no node, site or role; allowed: {}", .allowed.join(", "))]
pub struct UnknownTarget {
    /// What was written.
    pub name: String,
    /// What could have been written.
    pub allowed: Vec<String>,
}

impl Topology {
    /// The most hosts, the world included: a [`HostSet`] is one word, and every link costs time at every tick.
    pub const MAX_HOSTS: usize = 64;

    /// Numbers the hosts of these sites.
    ///
    /// # Panics
    /// With [`Topology::MAX_HOSTS`] hosts or more; scenarios are checked before.
    pub fn of(shapes: impl IntoIterator<Item = SiteShape>) -> Topology {
        let mut topology = Topology { names: vec!["world".into()], nodes: 0, sites: Vec::new() };
        let mut homes = Vec::new();
        for shape in shapes {
            let nodes = (0..shape.nodes).map(|_| {
                topology.nodes += 1;
                topology.names.push(format!("n{}", topology.nodes));
                HostId(topology.nodes as u16)
            });
            let nodes = nodes.collect();
            topology.sites.push(SiteHosts { name: shape.name, nodes, clients: None, witness: shape.witness });
            homes.push(shape.clients);
        }
        for (site, has_clients) in topology.sites.iter_mut().zip(homes) {
            if has_clients {
                site.clients = Some(HostId(topology.names.len() as u16));
                topology.names.push(format!("{}.clients", site.name));
            }
        }
        assert!(topology.names.len() <= Topology::MAX_HOSTS, "at most {} hosts", Topology::MAX_HOSTS - 1);
        topology
    }

    /// How many hosts there are, the world included: the length of a table by [`HostId`].
    pub fn hosts(&self) -> usize {
        self.names.len()
    }

    /// The name of a host.
    pub fn name(&self, host: HostId) -> &str {
        self.names.get(host.index()).map_or("?", String::as_str)
    }

    /// The host called `name`, if there is one (the world is none).
    pub fn host(&self, name: &str) -> Option<HostId> {
        let index = self.names.iter().skip(1).position(|known| known == name)?;
        Some(HostId(index as u16 + 1))
    }

    /// The nodes, ascending.
    pub fn node_ids(&self) -> impl Iterator<Item = HostId> + use<> {
        (1..=self.nodes as u16).map(HostId)
    }

    /// The client hosts, ascending, with their site's index.
    pub fn client_hosts(&self) -> impl Iterator<Item = (usize, HostId)> + '_ {
        self.sites.iter().enumerate().filter_map(|(index, site)| Some((index, site.clients?)))
    }

    /// All nodes.
    pub fn all_nodes(&self) -> HostSet {
        self.node_ids().collect()
    }

    /// All client hosts.
    pub fn all_clients(&self) -> HostSet {
        self.client_hosts().map(|(_, host)| host).collect()
    }

    /// All hosts: nodes and client hosts.
    pub fn all(&self) -> HostSet {
        self.all_nodes().union(self.all_clients())
    }

    /// The index in [`Topology::sites`] of this host's site.
    pub fn site_of(&self, host: HostId) -> Option<usize> {
        self.sites.iter().position(|site| site.nodes.contains(&host) || site.clients == Some(host))
    }

    /// Every valid target, roles last.
    pub fn target_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.names[1..=self.nodes].to_vec();
        for site in &self.sites {
            names.push(site.name.clone());
            names.push(format!("{}.nodes", site.name));
            names.extend(site.clients.map(|_| format!("{}.clients", site.name)));
        }
        names.extend(TargetRole::ALL.iter().map(|role| role.name().to_string()));
        names
    }

    /// Resolves a target.
    ///
    /// # Errors
    /// If it names nothing; the error lists what it could have named.
    pub fn resolve(&self, target: &Target) -> Result<Resolved, UnknownTarget> {
        let name = target.0.as_str();
        if let Some(role) = TargetRole::ALL.iter().copied().find(|role| role.name() == name) {
            return Ok(Resolved::Role(role));
        }
        let hosts = self.sites.iter().find_map(|site| {
            let nodes: HostSet = site.nodes.iter().copied().collect();
            match name.strip_prefix(site.name.as_str())? {
                "" => Some(site.clients.iter().copied().collect::<HostSet>().union(nodes)),
                ".nodes" => Some(nodes),
                _ => None,
            }
        });
        hosts
            .or_else(|| self.host(name).map(HostSet::one))
            .map(Resolved::Hosts)
            .ok_or_else(|| UnknownTarget { name: name.to_string(), allowed: self.target_names() })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Sites east (3 nodes) and west (2 nodes), clients in both: hosts 1..=5, then 6 and 7.
    pub(crate) fn two_sites() -> Topology {
        let site = |name: &str, nodes| SiteShape { name: name.into(), nodes, clients: true, witness: false };
        Topology::of([site("east", 3), site("west", 2)])
    }

    fn hosts(topology: &Topology, name: &str) -> Vec<u16> {
        match topology.resolve(&Target(name.into())).unwrap() {
            Resolved::Hosts(set) => set.iter().map(|host| host.0).collect(),
            Resolved::Role(role) => panic!("{role} is a role"),
        }
    }

    #[test]
    fn names_lead_to_hosts() {
        let topology = two_sites();
        assert_eq!(topology.names, ["world", "n1", "n2", "n3", "n4", "n5", "east.clients", "west.clients"]);
        assert_eq!(hosts(&topology, "n4"), [4]);
        assert_eq!(hosts(&topology, "east"), [1, 2, 3, 6]);
        assert_eq!(hosts(&topology, "west.nodes"), [4, 5]);
        assert_eq!(hosts(&topology, "west.clients"), [7]);
        let leader = topology.resolve(&Target("@leader".into()));
        assert_eq!(leader, Ok(Resolved::Role(TargetRole::Leader)));
        assert_eq!(topology.site_of(HostId(7)), Some(1));
    }

    #[test]
    fn an_unknown_name_is_told_what_is_allowed() {
        let error = two_sites().resolve(&Target("n6".into())).unwrap_err().to_string();
        assert_eq!(
            error,
            "`n6` names no node, site or role; allowed: n1, n2, n3, n4, n5, east, east.nodes, east.clients, \
             west, west.nodes, west.clients, @leader, @follower, @there"
        );
        assert!(two_sites().resolve(&Target("world".into())).is_err());
    }
}
