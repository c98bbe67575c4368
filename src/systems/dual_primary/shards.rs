//! Shards of the key space, the line of nodes that may hold each, and claims to hold them.

use crate::kv::Key;
use crate::systems::Deployment;
use crate::trace::HostId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The deployment as dual-primary sees it.
#[derive(Debug)]
pub struct Layout {
    /// Nodes of the home sites, by site.
    homes: Vec<Vec<HostId>>,
    /// The site of every node, witnesses included.
    sites: BTreeMap<HostId, usize>,
    /// Interval of heartbeats.
    pub heartbeat: Duration,
    /// Silence after which a node is presumed dead.
    pub takeover_after: Duration,
}

impl Layout {
    /// The layout of a deployment.
    ///
    /// # Panics
    /// If no site is a home.
    pub fn new(deployment: &Deployment) -> Layout {
        let sites = deployment.sites.iter().enumerate();
        let homes: Vec<Vec<HostId>> = deployment
            .sites
            .iter()
            .filter(|site| !site.witness && !site.nodes.is_empty())
            .map(|site| site.nodes.clone())
            .collect();
        assert!(!homes.is_empty(), "at least one site must be a home: not a witness, and with nodes");
        Layout {
            homes,
            sites: sites.flat_map(|(index, site)| site.nodes.iter().map(move |node| (*node, index))).collect(),
            heartbeat: deployment.heartbeat,
            takeover_after: deployment.takeover_after,
        }
    }

    /// All shards: one per home site.
    pub fn shards(&self) -> impl Iterator<Item = u16> + use<> {
        0..self.homes.len() as u16
    }

    /// The shard of a key.
    pub fn shard(&self, key: Key) -> u16 {
        (key.0 as usize % self.homes.len()) as u16
    }

    /// The nodes that may hold a shard, the most preferred first: its home's nodes, then those of the next home site
    /// around the ring, and so on. Nodes of a witness site are left out.
    pub fn line(&self, shard: u16) -> impl Iterator<Item = HostId> + '_ {
        let count = self.homes.len();
        (0..count).flat_map(move |turn| self.homes[(usize::from(shard) + turn) % count].iter().copied())
    }

    /// Whether a node is in no shard's line: it belongs to a witness site.
    pub fn is_witness(&self, node: HostId) -> bool {
        !self.homes.iter().flatten().any(|home| *home == node)
    }

    /// Every other node.
    pub fn peers(&self, node: HostId) -> impl Iterator<Item = HostId> + '_ {
        self.sites.keys().copied().filter(move |peer| *peer != node)
    }

    /// Whether two nodes share a site, and hence replicate synchronously.
    pub fn are_neighbours(&self, a: HostId, b: HostId) -> bool {
        self.sites.get(&a) == self.sites.get(&b)
    }
}

/// The holder of a shard since a given take-over. The greater claim wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Claim {
    /// How often the shard has changed hands.
    pub term: u64,
    /// The node that serves it.
    pub holder: HostId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::SiteNodes;

    fn layout() -> Layout {
        let site = |name: &str, nodes: &[u16], witness| SiteNodes {
            name: name.to_owned(),
            nodes: nodes.iter().map(|node| HostId(*node)).collect(),
            witness,
        };
        Layout::new(&Deployment {
            sites: vec![site("east", &[1, 2], false), site("witness", &[5], true), site("west", &[3, 4], false)],
            heartbeat: Duration::from_millis(1),
            election: (Duration::from_millis(1), Duration::from_millis(1)),
            takeover_after: Duration::from_millis(1),
            snapshot_entries: None,
            kept_entries: None,
            disk_bytes: None,
        })
    }

    #[test]
    fn a_line_starts_at_home_goes_around_the_ring_and_leaves_witnesses_out() {
        let line = |shard| layout().line(shard).map(|node| node.0).collect::<Vec<_>>();
        assert_eq!(line(0), [1, 2, 3, 4]);
        assert_eq!(line(1), [3, 4, 1, 2]);
        assert_eq!(layout().shard(Key(7)), 1);
        assert!(layout().are_neighbours(HostId(3), HostId(4)) && !layout().are_neighbours(HostId(5), HostId(4)));
        assert_eq!(layout().peers(HostId(5)).count(), 4);
        assert!(layout().is_witness(HostId(5)) && !layout().is_witness(HostId(4)));
    }
}
