//! The names by which faults know messages, and the fate that they decide for each.

use crate::fault::chaos::{Act, Fate, Place};
use crate::fault::model::Chaos;
use crate::trace::{HostId, MessageKind};
use std::collections::BTreeMap;

/// Decides the fates of a run's messages and records the acts.
pub struct Fates {
    seed: u64,
    /// An explicit list of acts, which replaces the hashes of loss, reordering and duplication.
    explicit: Option<BTreeMap<Place, Fate>>,
    /// Messages so far, by directed link and kind.
    counts: BTreeMap<(HostId, HostId, MessageKind), u64>,
    acts: Vec<Act>,
}

impl Fates {
    /// Decided by hashes of the seed, or by a list.
    pub fn new(seed: u64, acts: Option<Vec<Act>>) -> Fates {
        let explicit = acts.map(|acts| {
            let mut fates: BTreeMap<Place, Fate> = BTreeMap::new();
            for act in &acts {
                let fate = fates.entry(act.place).or_default();
                *fate = fate.with(act);
            }
            fates
        });
        Fates { seed, explicit, counts: BTreeMap::new(), acts: Vec::new() }
    }

    /// The name of the next message of `kind` from `from` to `to`: its count, or `n` on client links.
    pub fn place(&mut self, from: HostId, to: HostId, kind: MessageKind, n: Option<u64>) -> Place {
        let n = n.unwrap_or_else(|| {
            let count = self.counts.entry((from, to, kind)).or_insert(0);
            *count += 1;
            *count - 1
        });
        Place { from, to, kind, n }
    }

    /// The fate of the message of this name, and its jitter in nanoseconds.
    pub fn decide(&mut self, place: Place, chaos: &Chaos) -> (Fate, u64) {
        let fate = match &self.explicit {
            Some(fates) => fates.get(&place).copied().unwrap_or_default(),
            None => chaos.decide(self.seed, &place),
        };
        self.acts.extend(fate.acts(place));
        (fate, chaos.jitter_ns(self.seed, &place))
    }

    /// Every act so far, in the order in which they were decided.
    pub fn take_acts(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.acts)
    }
}
