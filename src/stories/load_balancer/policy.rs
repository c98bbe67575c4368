//! How a load balancer picks a server.

use crate::rng;
use std::cell::Cell;

/// Points of each server on the ring of consistent hashing.
const POINTS: u64 = 100;
/// What keeps the hashes of addresses and of the ring's points apart.
const OF_ADDRESS: u64 = 1;
const OF_POINT: u64 = 2;

/// A way to pick a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// One after the other.
    RoundRobin,
    /// The one that the balancer waits for fewest answers of; of several, one after the other.
    LeastConnections,
    /// The hash of the client's address, modulo the number of servers.
    IpHash,
    /// The next server on a ring from the hash of the client's address on.
    ConsistentHash,
}

impl Policy {
    /// The server for a client by its address alone; `None` for a policy that does not go by it. `open` must not be
    /// empty.
    pub fn by_address(self, client: u32, open: &[usize]) -> Option<usize> {
        let address = rng::hash(OF_ADDRESS, &[u64::from(client)]);
        match self {
            Policy::RoundRobin | Policy::LeastConnections => None,
            Policy::IpHash => Some(open[(address % open.len() as u64) as usize]),
            Policy::ConsistentHash => {
                let points = open.iter().flat_map(|server| {
                    (0..POINTS).map(|point| (rng::hash(OF_POINT, &[*server as u64, point]), *server))
                });
                // How far it is from the address to the point, once around if need be.
                points.min_by_key(|(point, _)| point.wrapping_sub(address)).map(|(_, server)| server)
            }
        }
    }
}

/// What a balancer knows of its servers.
pub struct Picker {
    policy: Policy,
    /// Whose turn it is.
    next: Cell<usize>,
    /// How many answers of each it waits for.
    waiting: Vec<Cell<u32>>,
}

impl Picker {
    /// One that waits for no answer yet.
    pub fn new(policy: Policy, servers: usize) -> Picker {
        Picker { policy, next: Cell::new(0), waiting: vec![Cell::new(0); servers] }
    }

    /// Picks one of the servers in `open`, which must not be empty, and waits for its answer from now on.
    pub fn pick(&self, client: u32, open: &[usize]) -> usize {
        let picked = self.policy.by_address(client, open).unwrap_or_else(|| {
            let count = self.waiting.len();
            let turns = (0..count).map(|turn| (self.next.get() + turn) % count);
            let in_turn = turns.filter(|server| open.contains(server));
            let least = |server: &usize| match self.policy {
                Policy::LeastConnections => self.waiting[*server].get(),
                _ => 0,
            };
            in_turn.min_by_key(least).expect("a server is open")
        });
        self.next.set((picked + 1) % self.waiting.len());
        self.waiting[picked].update(|waiting| waiting + 1);
        picked
    }

    /// The answer of a server is there, or nobody waits for it any more.
    pub fn done(&self, server: usize) {
        self.waiting[server].update(|waiting| waiting - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [usize; 4] = [0, 1, 2, 3];

    #[test]
    fn round_robin_goes_round_and_leaves_out_who_is_not_open() {
        let picker = Picker::new(Policy::RoundRobin, 4);
        let picked: Vec<_> = (0..5).map(|client| picker.pick(client, &ALL)).collect();
        assert_eq!(picked, [0, 1, 2, 3, 0]);
        assert_eq!([0, 1, 2].map(|client| picker.pick(client, &[0, 2])), [2, 0, 2]);
    }

    #[test]
    fn least_connections_goes_where_fewest_answers_are_waited_for() {
        let picker = Picker::new(Policy::LeastConnections, 4);
        for client in 0..8 {
            picker.pick(client, &ALL);
        }
        picker.done(2);
        picker.done(2);
        assert_eq!([8, 9].map(|client| picker.pick(client, &ALL)), [2, 2]);
    }

    #[test]
    fn when_a_server_leaves_one_hash_moves_nearly_all_and_the_other_only_its_own() {
        let moved = |policy: Policy| {
            let stays =
                (0..1000).filter(|client| policy.by_address(*client, &ALL) == policy.by_address(*client, &ALL[..3]));
            1000 - stays.count()
        };
        assert!((700..800).contains(&moved(Policy::IpHash)), "{}", moved(Policy::IpHash));
        let own = (0..1000).filter(|client| Policy::ConsistentHash.by_address(*client, &ALL) == Some(3)).count();
        assert_eq!(moved(Policy::ConsistentHash), own);
        assert!((200..300).contains(&own), "{own}");
    }
}
