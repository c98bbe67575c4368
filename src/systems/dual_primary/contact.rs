//! When each peer was last heard from, and what it still has to get.

use super::replica::Update;
use crate::trace::HostId;
use std::collections::{BTreeMap, VecDeque};

/// What a process knows about one peer.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// When anything last arrived from it.
    pub heard_ns: u64,
    /// When it last answered a call of this node: an answer proves both directions.
    pub answered_ns: u64,
    /// Whether it reports that it is fit to hold shards.
    pub joined: bool,
    /// The number of the full exchange of state that it needs, and of the last one that it completed.
    pub exchange_wanted: u64,
    /// See `exchange_wanted`.
    pub exchange_done: u64,
    /// Whether an exchange is in progress. Meanwhile the journal keeps the updates that come after it.
    pub exchanging: bool,
    /// How much of the journal it has acknowledged.
    pub acked: u64,
}

impl Peer {
    /// Whether it needs a full exchange before it can be sent updates from the journal.
    pub fn needs_exchange(&self) -> bool {
        self.exchange_done < self.exchange_wanted
    }
}

/// All peers of a process, and the updates that are on their way to them.
#[derive(Debug)]
pub struct Contacts {
    peers: BTreeMap<HostId, Peer>,
    silence_ns: u64,
    exchanges: u64,
    /// Updates that some peer has not acknowledged yet, oldest first; the first has number `base`.
    journal: VecDeque<Update>,
    base: u64,
}

impl Contacts {
    /// Contacts in which every peer counts as just heard and needs a full exchange.
    pub fn new(peers: impl Iterator<Item = HostId>, silence_ns: u64, now_ns: u64) -> Contacts {
        let peers = peers.map(|peer| (peer, Peer::default())).collect();
        let mut contacts = Contacts { peers, silence_ns, exchanges: 0, journal: VecDeque::new(), base: 0 };
        contacts.start_over(now_ns);
        contacts
    }

    /// Resets to the state at a process's start: no peer is presumed dead yet, and all need a full exchange.
    pub fn start_over(&mut self, now_ns: u64) {
        for peer in self.peers.values_mut() {
            (peer.heard_ns, peer.answered_ns) = (now_ns, now_ns);
        }
        self.exchange_with_all();
    }

    /// The state of a peer; `None` for a host that is not a peer (a client).
    pub fn peer(&self, peer: HostId) -> Option<&Peer> {
        self.peers.get(&peer)
    }

    /// Whether a host is a peer.
    pub fn is_peer(&self, host: HostId) -> bool {
        self.peers.contains_key(&host)
    }

    /// Something arrived from `peer`. A peer that comes back after a silence needs a full exchange.
    pub fn heard(&mut self, peer: HostId, now_ns: u64) {
        let silence_ns = self.silence_ns;
        let Some(contact) = self.peers.get_mut(&peer) else { return };
        let was_silent = now_ns.saturating_sub(contact.heard_ns) >= silence_ns;
        contact.heard_ns = now_ns;
        if was_silent {
            self.exchange_with(peer);
        }
    }

    /// `peer` answered a call.
    pub fn answered(&mut self, peer: HostId, now_ns: u64) {
        self.heard(peer, now_ns);
        let silence_ns = self.silence_ns;
        let Some(contact) = self.peers.get_mut(&peer) else { return };
        let was_silent = now_ns.saturating_sub(contact.answered_ns) >= silence_ns;
        contact.answered_ns = now_ns;
        if was_silent {
            self.exchange_with(peer);
        }
    }

    /// What `peer` reports about itself.
    pub fn set_joined(&mut self, peer: HostId, joined: bool) {
        if let Some(contact) = self.peers.get_mut(&peer) {
            contact.joined = joined;
        }
    }

    /// Whether `peer` was heard from lately.
    pub fn is_heard(&self, peer: HostId, now_ns: u64) -> bool {
        self.peers.get(&peer).is_some_and(|peer| now_ns.saturating_sub(peer.heard_ns) < self.silence_ns)
    }

    /// Whether `peer` has answered lately.
    pub fn answers(&self, peer: HostId, now_ns: u64) -> bool {
        self.peers.get(&peer).is_some_and(|peer| now_ns.saturating_sub(peer.answered_ns) < self.silence_ns)
    }

    /// Requests a full exchange with every peer; returns its number.
    pub fn exchange_with_all(&mut self) -> u64 {
        self.exchanges += 1;
        for peer in self.peers.values_mut() {
            peer.exchange_wanted = self.exchanges;
        }
        self.exchanges
    }

    /// Requests a full exchange with one peer; returns its number.
    pub fn exchange_with(&mut self, peer: HostId) -> u64 {
        self.exchanges += 1;
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.exchange_wanted = self.exchanges;
        }
        self.exchanges
    }

    /// Whether every peer has completed the exchanges requested of it.
    pub fn all_exchanged(&self) -> bool {
        self.peers.values().all(|peer| !peer.needs_exchange())
    }

    /// Begins an exchange with `peer`, of the state as it is now; returns its number.
    pub fn begin_exchange(&mut self, peer: HostId) -> u64 {
        let end = self.end();
        let Some(peer) = self.peers.get_mut(&peer) else { return 0 };
        peer.exchanging = true;
        peer.acked = end;
        peer.exchange_wanted
    }

    /// Ends the exchange with this number.
    pub fn end_exchange(&mut self, peer: HostId, number: u64, succeeded: bool) {
        let Some(peer) = self.peers.get_mut(&peer) else { return };
        peer.exchanging = false;
        if succeeded {
            peer.exchange_done = peer.exchange_done.max(number);
        }
    }

    /// Queues an update for every peer.
    pub fn push(&mut self, update: Update) {
        self.journal.push_back(update);
    }

    /// The number after the last update pushed.
    pub fn end(&self) -> u64 {
        self.base + self.journal.len() as u64
    }

    /// At most `limit` updates that `peer` has not acknowledged, and the number after the last of them.
    pub fn pending(&self, peer: HostId, limit: usize) -> (Vec<Update>, u64) {
        let from = self.peers.get(&peer).map_or(self.end(), |peer| peer.acked).max(self.base);
        let skip = (from - self.base) as usize;
        let updates: Vec<Update> = self.journal.iter().skip(skip).take(limit).copied().collect();
        let upto = from + updates.len() as u64;
        (updates, upto)
    }

    /// `peer` has acknowledged everything before `upto`. Updates that every peer has acknowledged are dropped.
    pub fn acked(&mut self, peer: HostId, upto: u64) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.acked = peer.acked.max(upto);
        }
        let in_use = self.peers.values().filter(|peer| peer.exchanging || !peer.needs_exchange());
        let keep = in_use.map(|peer| peer.acked).min().unwrap_or_else(|| self.end());
        while self.base < keep {
            self.journal.pop_front();
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: HostId = HostId(1);
    const B: HostId = HostId(2);

    fn update(n: u64) -> Update {
        let session = crate::kv::store::Session { last: n, outcome: crate::kv::Response::Done };
        Update { write: None, session: Some((n, session)) }
    }

    fn exchanged() -> Contacts {
        let mut contacts = Contacts::new([A, B].into_iter(), 100, 0);
        for peer in [A, B] {
            assert!(contacts.peer(peer).unwrap().needs_exchange());
            let number = contacts.begin_exchange(peer);
            contacts.end_exchange(peer, number, true);
        }
        assert!(contacts.all_exchanged());
        contacts
    }

    #[test]
    fn updates_stay_until_everybody_has_them() {
        let mut contacts = exchanged();
        (0..5).for_each(|n| contacts.push(update(n)));
        contacts.acked(A, 5);
        assert_eq!(contacts.pending(A, 9).0.len(), 0);
        assert_eq!(contacts.pending(B, 2), (vec![update(0), update(1)], 2));
        contacts.acked(B, 2);
        assert_eq!(contacts.pending(B, 9).0.len(), 3);
    }

    #[test]
    fn a_silent_peer_needs_an_exchange_when_it_is_back() {
        let mut contacts = exchanged();
        contacts.heard(A, 99);
        assert!(contacts.all_exchanged() && contacts.is_heard(A, 198) && !contacts.is_heard(A, 199));
        contacts.heard(A, 199);
        assert!(contacts.peer(A).unwrap().needs_exchange());
        assert!(!contacts.peer(B).unwrap().needs_exchange());
        contacts.heard(B, 99);
        contacts.answered(B, 100);
        assert!(contacts.peer(B).unwrap().needs_exchange(), "heard all the time, but it did not answer");
    }

    #[test]
    fn what_comes_during_an_exchange_is_not_lost() {
        let mut contacts = exchanged();
        contacts.exchange_with(B);
        let number = contacts.begin_exchange(B);
        contacts.push(update(1));
        contacts.acked(A, 1);
        contacts.end_exchange(B, number, true);
        assert_eq!(contacts.pending(B, 9), (vec![update(1)], 1));
    }

    #[test]
    fn an_older_exchange_does_not_count_for_a_newer_wish() {
        let mut contacts = exchanged();
        contacts.exchange_with(B);
        let older = contacts.begin_exchange(B);
        contacts.exchange_with_all();
        contacts.end_exchange(B, older, true);
        assert!(contacts.peer(B).unwrap().needs_exchange());
    }
}
