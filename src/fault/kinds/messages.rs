//! Single messages are lost, late or duplicated.

use crate::fault::chaos::Chaos;
use crate::fault::check::{Check, Wrong, message_chaos, wrong};
use crate::fault::draw::Draw;
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::{Field, Holds};
use crate::fault::kind::{Click, Drawn, Family, Kind, Leaves, Sort};
use crate::fault::remaining::Remaining;
use crate::fault::topology::Target;
use crate::fault::words::{all, chances};
use crate::trace::MessageKind;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Single messages from `from` to `to` are lost, delayed past later ones, or duplicated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Messages {
    /// The senders; absent: every host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<Target>,
    /// The receivers; absent: every host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<Target>,
    /// The kinds of message concerned; absent: every kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<MessageKind>,
    /// What happens to them.
    #[serde(flatten)]
    pub chaos: Chaos,
}

impl fmt::Display for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.name()).collect();
        let kinds = if kinds.is_empty() { "messages".into() } else { kinds.join(", ") };
        write!(f, "{kinds} from {} to {} {}", all(&self.from), all(&self.to), chances(&self.chaos))
    }
}

impl Kind for Messages {
    const SORT: Sort = Sort {
        name: "messages",
        family: Family::Messages,
        title: "message chaos",
        does: "single messages are lost, late or duplicated",
        fields: &[
            Field::new("from", Holds::Hosts, "the senders; without it, every host").optional(),
            Field::new("to", Holds::Hosts, "the receivers; without it, every host").optional(),
            Field::new("kinds", Holds::MessageKinds, "the kinds of message; without it, every kind").optional(),
            Field::ppm("loss_ppm", "probability that a message is lost").optional(),
            Field::ppm("reorder_ppm", "probability that later messages overtake it").optional(),
            Field::delay("reorder_ms", "by how many milliseconds at most").optional(),
            Field::ppm("duplicate_ppm", "probability that a message is delivered twice").optional(),
            Field::delay("jitter_ms", "longest jitter of every message, in milliseconds").optional(),
        ],
        drawn: Drawn::Freely,
        least_nodes: 2,
        leaves: Leaves::Able,
    };

    const CLICKS: &'static [Click<Self>] = &[Click::Link("lose every third message", |a, b| Messages {
        from: vec![a],
        to: vec![b],
        kinds: Vec::new(),
        chaos: Chaos { loss_ppm: 333_333, ..Chaos::NONE },
    })];

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        let most = MessageKind::ALL.len();
        if self.kinds.len() > most {
            return wrong("kinds", format!("{} kinds of message, of {most}", self.kinds.len()), "name each once");
        }
        check.any_hosts("from", &self.from)?;
        check.any_hosts("to", &self.to)?;
        if self.chaos == Chaos::NONE {
            return wrong(
                "fault",
                "it does nothing to any message",
                "give one of: loss_ppm, reorder_ppm, duplicate_ppm, jitter_ms",
            );
        }
        message_chaos(&self.chaos)
    }

    fn effect(&self, scene: &Scene) -> Effect {
        let mut kinds = if self.kinds.is_empty() { MessageKind::ALL.to_vec() } else { self.kinds.clone() };
        kinds.sort_unstable();
        kinds.dedup();
        let links = scene.one_way(scene.set_or_all(&self.from), scene.set_or_all(&self.to));
        Effect::Messages { links, kinds, chaos: self.chaos }
    }

    /// A fault of all messages, or of the messages of one protocol exchange.
    fn draw(draw: &mut Draw) -> Self {
        let exchanges = [MessageKind::AppendEntries, MessageKind::Vote, MessageKind::Request, MessageKind::Replicate];
        let kinds = if draw.one_in(3) {
            let kind = exchanges[draw.between(0, exchanges.len() as u64 - 1) as usize];
            vec![kind, kind.reply()]
        } else {
            Vec::new()
        };
        let ranges = draw.ranges;
        let chaos = Chaos {
            loss_ppm: draw.within(ranges.loss_ppm) as u32,
            reorder_ppm: draw.within(ranges.reorder_ppm) as u32,
            reorder_ms: draw.within(ranges.reorder_ms),
            duplicate_ppm: draw.within(ranges.duplicate_ppm) as u32,
            jitter_ms: draw.within(ranges.jitter_ms),
        };
        Messages { from: Vec::new(), to: Vec::new(), kinds, chaos }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        let (from, to) = (remaining.targets_or_all(&self.from)?, remaining.targets_or_all(&self.to)?);
        Some(Messages { from, to, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::fold::Active;
    use crate::fault::kinds::tests::{mistake, targets};
    use crate::fault::model::{Fault, Schedule};
    use crate::fault::topology::tests::two_sites;
    use crate::trace::HostId;

    #[test]
    fn it_adds_to_the_baseline() {
        let baseline = Chaos { loss_ppm: 100_000, reorder_ppm: 0, reorder_ms: 5, duplicate_ppm: 0, jitter_ms: 1 };
        let chaos = Chaos { loss_ppm: 500_000, reorder_ppm: 1, reorder_ms: 3, duplicate_ppm: 1_000_000, jitter_ms: 2 };
        let kinds = vec![MessageKind::Vote, MessageKind::Vote];
        let kind = Messages { from: targets(&["n1"]), to: vec![], kinds, chaos }.into();
        let faults = vec![Fault { at_ms: 0, for_ms: None, kind, when: None }];
        let mut active = Active::new(&two_sites(), &Schedule { faults }, baseline, 1000).unwrap();
        let at = |active: &Active, from, to, kind| active.chaos(HostId(from), HostId(to), kind);
        assert_eq!(at(&active, 1, 7, MessageKind::Vote), baseline);
        active.begin(0, None);
        let both = Chaos { loss_ppm: 550_000, reorder_ppm: 1, reorder_ms: 5, duplicate_ppm: 1_000_000, jitter_ms: 2 };
        assert_eq!(at(&active, 1, 7, MessageKind::Vote), both);
        assert_eq!(at(&active, 1, 7, MessageKind::VoteReply), baseline);
        assert_eq!(at(&active, 7, 1, MessageKind::Vote), baseline);
        active.end(0);
        assert_eq!(at(&active, 1, 7, MessageKind::Vote), baseline);
    }

    #[test]
    fn a_mistake_is_named() {
        let messages = |chaos| Messages { from: vec![], to: vec![], kinds: vec![], chaos };
        assert!(mistake(messages(Chaos::NONE)).contains("nothing to any message"));
        assert!(mistake(messages(Chaos { loss_ppm: 1_000_001, ..Chaos::NONE })).contains("parts per million"));
        assert!(mistake(messages(Chaos { reorder_ppm: 1, ..Chaos::NONE })).contains("no time at all"));
    }

    #[test]
    fn it_reads_as_a_sentence_does() {
        let chaos = Chaos { loss_ppm: 15_000, jitter_ms: 2, ..Chaos::NONE };
        let kind = Messages { from: vec![], to: targets(&["n1"]), kinds: vec![MessageKind::Vote], chaos };
        assert_eq!(kind.to_string(), "vote from everybody to n1 1.5 % lost, up to 2 ms late");
    }
}
