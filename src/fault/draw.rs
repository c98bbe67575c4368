//! Draws the parts of a fault: from the seed's stream, among the topology's hosts, within the ranges of the nemesis.

use super::ranges::Ranges;
use super::topology::{SiteHosts, Target, TargetRole, Topology};
use crate::rng::{self, Stream};
use crate::trace::HostId;
use rand::RngCore;
use rand::seq::SliceRandom;

/// Draws the parts of a fault.
pub struct Draw<'a> {
    stream: Stream,
    topology: &'a Topology,
    /// How strong a fault may be.
    pub ranges: &'a Ranges,
}

impl<'a> Draw<'a> {
    /// The draws of the nemesis under this seed.
    pub fn new(topology: &'a Topology, ranges: &'a Ranges, seed: u64) -> Draw<'a> {
        Draw::named("nemesis", topology, ranges, seed)
    }

    /// Other draws under this seed: those of another name are independent of them.
    pub fn named(name: &str, topology: &'a Topology, ranges: &'a Ranges, seed: u64) -> Draw<'a> {
        Draw { stream: rng::stream(seed, name), topology, ranges }
    }

    /// Uniform over `from` to `to`, both included.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + rng::below(self.stream.next_u64(), to - from + 1)
    }

    /// Uniform over a range, both ends included.
    pub fn within(&mut self, [least, most]: [u64; 2]) -> u64 {
        self.between(least, most)
    }

    /// Uniform over `-most` to `most`.
    pub fn either_way(&mut self, most: u64) -> i64 {
        self.between(0, 2 * most) as i64 - most as i64
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.between(1, n) == 1
    }

    /// Shuffles a list.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        list.shuffle(&mut self.stream);
    }

    fn target(&self, host: HostId) -> Target {
        Target(self.topology.name(host).to_string())
    }

    /// The role of the leader.
    pub fn leader() -> Target {
        Target(TargetRole::Leader.name().to_string())
    }

    /// All nodes, shuffled.
    pub fn nodes(&mut self) -> Vec<Target> {
        let mut nodes: Vec<Target> = self.topology.node_ids().map(|node| self.target(node)).collect();
        self.shuffle(&mut nodes);
        nodes
    }

    /// One node.
    pub fn node(&mut self) -> Target {
        self.nodes().swap_remove(0)
    }

    /// A node or the leader. The leader is drawn more often than any other node: there a fault does most damage.
    pub fn victim(&mut self) -> Target {
        match self.between(1, 4) {
            1 | 2 => Draw::leader(),
            3 => Target(TargetRole::Follower.name().to_string()),
            _ => self.node(),
        }
    }

    /// Two disjoint groups: sites with their clients, or nodes alone, so that clients see both sides.
    pub fn halves(&mut self) -> (Vec<Target>, Vec<Target>) {
        let by_site = self.topology.sites.len() >= 2 && self.one_in(2);
        let all = if by_site { self.sites() } else { self.nodes() };
        self.split(all)
    }

    /// Two disjoint groups, as [`Draw::halves`] draws them, in a list.
    pub fn groups(&mut self) -> Vec<Vec<Target>> {
        let (left, right) = self.halves();
        vec![left, right]
    }

    /// Splits these into two groups, neither of them empty.
    pub fn split(&mut self, mut all: Vec<Target>) -> (Vec<Target>, Vec<Target>) {
        let left = self.between(1, all.len() as u64 - 1) as usize;
        let right = all.split_off(left);
        (sorted(all), sorted(right))
    }

    /// Two single nodes, or two sites.
    pub fn ends(&mut self) -> (Vec<Target>, Vec<Target>) {
        let mut all = if self.topology.sites.len() >= 2 && self.one_in(2) { self.sites() } else { self.nodes() };
        let b = all.swap_remove(1);
        (vec![all.swap_remove(0)], vec![b])
    }

    fn sites(&mut self) -> Vec<Target> {
        let sites: &[SiteHosts] = &self.topology.sites;
        let mut names: Vec<Target> = sites.iter().map(|site| Target(site.name.clone())).collect();
        self.shuffle(&mut names);
        names
    }
}

/// Sorts targets: sets of hosts read better in order. (Only a ring's order has a meaning.)
pub fn sorted(mut targets: Vec<Target>) -> Vec<Target> {
    targets.sort();
    targets
}
