//! What happens to one message: a pure hash, or an explicit list.
//!
//! A decision depends on (seed, link, direction, kind, n-th message of that kind on the link) and on nothing else; on
//! client links, on (seed, operation, attempt). One message more or less therefore shifts no other decision. Every act
//! taken can be written down as an [`Act`] and given back as a list, which a shrinker edits. Jitter is part of a link's
//! latency, not an act: it stays a hash in both forms.

use crate::rng;
use crate::trace::{HostId, MessageKind};
use serde::{Deserialize, Serialize};

/// What the chaos layer does to single messages. Probabilities in parts per million.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Chaos {
    /// Probability that a message is lost.
    pub loss_ppm: u32,
    /// Probability that a message is delayed by up to `reorder_ms`, so that later ones overtake it.
    pub reorder_ppm: u32,
    /// Longest extra delay of a reordered message or of a duplicate's second copy, in milliseconds.
    pub reorder_ms: u64,
    /// Probability that a message is delivered twice.
    pub duplicate_ppm: u32,
    /// Longest jitter added to every message, in milliseconds.
    pub jitter_ms: u64,
}

/// Names one message independently of what else is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The sender.
    pub from: HostId,
    /// The receiver.
    pub to: HostId,
    /// What the message carries.
    pub kind: MessageKind,
    /// Between nodes: the count of this kind on this directed link, from 0. On client links: an
    /// [`AttemptId`](crate::trace::AttemptId)'s number.
    pub n: u64,
}

/// What the chaos layer does to a message. Times in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fate {
    /// It is lost.
    pub lost: bool,
    /// Extra delay before it leaves, 0 for none (jitter not included).
    pub delay_ns: u64,
    /// A second copy leaves after this delay.
    pub duplicate_ns: Option<u64>,
}

/// One act of the chaos layer, in the explicit form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Which message.
    #[serde(flatten)]
    pub place: Place,
    /// What is done to it.
    #[serde(rename = "act")]
    pub what: ActKind,
    /// The delay in microseconds of a delayed message or of a duplicate's second copy; 0 for a loss.
    #[serde(default)]
    pub us: u64,
}

/// The kinds of act.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ActKind {
    /// The message is lost.
    Lose,
    /// The message is delayed.
    Delay,
    /// The message is delivered twice.
    Duplicate,
}

/// Salts that make the questions about one message independent of each other.
#[derive(Clone, Copy)]
enum Question {
    Loss,
    Reorder,
    ReorderBy,
    Duplicate,
    DuplicateBy,
    Jitter,
}

fn draw(seed: u64, place: &Place, question: Question) -> u64 {
    let link = u64::from(place.from.0) << 32 | u64::from(place.to.0) << 16 | place.kind as u64;
    rng::hash(seed, &[0x6368_616f_7300 + question as u64, link, place.n])
}

/// A delay in whole microseconds, so that an [`Act`] carries it without loss; at least one.
fn delay_ns(draw: u64, up_to_ms: u64) -> u64 {
    (1 + rng::below(draw, (up_to_ms * 1000).max(1))) * 1000
}

impl Chaos {
    /// Nothing happens to any message.
    pub const NONE: Chaos = Chaos { loss_ppm: 0, reorder_ppm: 0, reorder_ms: 0, duplicate_ppm: 0, jitter_ms: 0 };

    /// Both at once: independent probabilities p and q make 1 - (1 - p)(1 - q), lengths their maximum.
    pub fn and(&self, other: &Chaos) -> Chaos {
        let either = |p: u32, q: u32| {
            let (p, q) = (u64::from(p.min(1_000_000)), u64::from(q.min(1_000_000)));
            (p + q - p * q / 1_000_000) as u32
        };
        Chaos {
            loss_ppm: either(self.loss_ppm, other.loss_ppm),
            reorder_ppm: either(self.reorder_ppm, other.reorder_ppm),
            reorder_ms: self.reorder_ms.max(other.reorder_ms),
            duplicate_ppm: either(self.duplicate_ppm, other.duplicate_ppm),
            jitter_ms: self.jitter_ms.max(other.jitter_ms),
        }
    }

    /// What happens to the message at `place` under these probabilities.
    pub fn decide(&self, seed: u64, place: &Place) -> Fate {
        let happens = |question, ppm: u32| ppm > 0 && rng::happens(draw(seed, place, question), ppm);
        if happens(Question::Loss, self.loss_ppm) {
            return Fate { lost: true, ..Fate::default() };
        }
        let reordered = happens(Question::Reorder, self.reorder_ppm);
        let duplicated = happens(Question::Duplicate, self.duplicate_ppm);
        Fate {
            lost: false,
            delay_ns: if reordered { delay_ns(draw(seed, place, Question::ReorderBy), self.reorder_ms) } else { 0 },
            duplicate_ns: duplicated
                .then(|| delay_ns(draw(seed, place, Question::DuplicateBy), self.reorder_ms.max(1))),
        }
    }

    /// The jitter of the message at `place`, in nanoseconds, uniform over 0 to `jitter_ms`.
    pub fn jitter_ns(&self, seed: u64, place: &Place) -> u64 {
        if self.jitter_ms == 0 {
            return 0;
        }
        rng::below(draw(seed, place, Question::Jitter), self.jitter_ms * 1000 + 1) * 1000
    }
}

impl Fate {
    /// The acts that make up this fate.
    pub fn acts(&self, place: Place) -> impl Iterator<Item = Act> {
        let lose = self.lost.then_some(Act { place, what: ActKind::Lose, us: 0 });
        let delay = (self.delay_ns > 0).then_some(Act { place, what: ActKind::Delay, us: self.delay_ns / 1000 });
        let duplicate = self.duplicate_ns.map(|ns| Act { place, what: ActKind::Duplicate, us: ns / 1000 });
        lose.into_iter().chain(delay).chain(duplicate)
    }

    /// Adds one explicit act to this fate.
    pub fn with(mut self, act: &Act) -> Fate {
        match act.what {
            ActKind::Lose => self.lost = true,
            ActKind::Delay => self.delay_ns = act.us * 1000,
            ActKind::Duplicate => self.duplicate_ns = Some(act.us * 1000),
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAOS: Chaos =
        Chaos { loss_ppm: 20_000, reorder_ppm: 50_000, reorder_ms: 30, duplicate_ppm: 30_000, jitter_ms: 2 };

    fn place(n: u64) -> Place {
        Place { from: HostId(1), to: HostId(2), kind: MessageKind::AppendEntries, n }
    }

    #[test]
    fn the_explicit_acts_reproduce_the_hash() {
        for n in 0..20_000 {
            let fate = CHAOS.decide(9, &place(n));
            let again = fate.acts(place(n)).fold(Fate::default(), |fate, act| fate.with(&act));
            assert_eq!(fate, again);
        }
    }

    #[test]
    fn frequencies_match_the_probabilities() {
        let fates: Vec<Fate> = (0..100_000).map(|n| CHAOS.decide(9, &place(n))).collect();
        let count = |f: fn(&&Fate) -> bool| fates.iter().filter(f).count();
        assert!((1_800..2_200).contains(&count(|fate| fate.lost)));
        assert!((4_500..5_400).contains(&count(|fate| fate.delay_ns > 0)));
        assert!((2_650..3_250).contains(&count(|fate| fate.duplicate_ns.is_some())));
        assert!(fates.iter().all(|fate| fate.delay_ns <= 30_001_000));
    }

    #[test]
    fn a_decision_depends_on_its_own_message_only() {
        let mut other_kind = place(3);
        other_kind.kind = MessageKind::Vote;
        let fates = |seed| -> Vec<Fate> { (0..1000).map(|n| CHAOS.decide(seed, &place(n))).collect() };
        assert_eq!(fates(1), fates(1));
        assert_ne!(fates(1), fates(2));
        assert!((0..1000).any(|n| CHAOS.decide(1, &place(n)) != CHAOS.decide(1, &Place { n, ..other_kind })));
    }
}
