//! Messages take longer.

use crate::fault::check::{Check, Wrong, positive};
use crate::fault::draw::Draw;
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::{Field, Holds};
use crate::fault::kind::{Click, Drawn, Family, Kind, Leaves, Sort};
use crate::fault::remaining::Remaining;
use crate::fault::topology::Target;
use crate::fault::words::all;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Messages between `a` and `b`, both ways, take longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// One end.
    pub a: Vec<Target>,
    /// The other end.
    pub b: Vec<Target>,
    /// Extra one-way delay of each message, in milliseconds.
    pub extra_ms: u64,
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms more latency between {} and {}", self.extra_ms, all(&self.a), all(&self.b))
    }
}

impl Kind for Latency {
    const SORT: Sort = Sort {
        name: "latency",
        family: Family::Delay,
        title: "latency",
        does: "messages take longer, both ways",
        fields: &[
            Field::new("a", Holds::Hosts, "one end"),
            Field::new("b", Holds::Hosts, "the other end"),
            Field::positive("extra_ms", "extra one-way delay of each message, in milliseconds"),
        ],
        drawn: Drawn::Freely,
        least_nodes: 2,
        leaves: Leaves::Able,
    };

    const CLICKS: &'static [Click<Self>] =
        &[Click::Link("slow it by 100 ms", |a, b| Latency { a: vec![a], b: vec![b], extra_ms: 100 })];

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        check.hosts("a", &self.a)?;
        check.hosts("b", &self.b)?;
        positive("extra_ms", self.extra_ms)
    }

    fn effect(&self, scene: &Scene) -> Effect {
        let links = scene.both_ways(scene.set(&self.a), scene.set(&self.b));
        Effect::Delay(links, self.extra_ms.saturating_mul(1_000_000))
    }

    fn draw(draw: &mut Draw) -> Self {
        let (a, b) = draw.ends();
        Latency { a, b, extra_ms: draw.within(draw.ranges.latency_ms) }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        Some(Latency { a: remaining.targets(&self.a)?, b: remaining.targets(&self.b)?, ..*self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::fold::Passage;
    use crate::fault::kinds::tests::{begun, mistake, targets};
    use crate::trace::HostId;

    fn latency(extra_ms: u64) -> Latency {
        Latency { a: targets(&["n1"]), b: targets(&["west.nodes"]), extra_ms }
    }

    #[test]
    fn both_ways_are_slower_and_no_other() {
        let active = begun(latency(7), None);
        let passage = |from, to| active.link(HostId(from), HostId(to)).passage();
        let slow = Passage::Open { extra_ns: 7_000_000 };
        assert_eq!([passage(1, 4), passage(5, 1), passage(4, 5)], [slow, slow, Passage::Open { extra_ns: 0 }]);
    }

    #[test]
    fn a_mistake_is_named() {
        assert!(mistake(latency(0)).contains("`extra_ms`"));
    }
}
