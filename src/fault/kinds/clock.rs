//! A clock is set wrong, or runs too fast or too slow.

use crate::fault::check::{Check, Wrong, wrong};
use crate::fault::draw::Draw;
use crate::fault::effect::{Effect, Scene};
use crate::fault::field::Field;
use crate::fault::kind::{Click, Drawn, Family, Kind, Leaves, Sort};
use crate::fault::ranges::Ranges;
use crate::fault::remaining::Remaining;
use crate::fault::state::{ClockState, FASTEST_PPM, SLOWEST_PPM};
use crate::fault::topology::Target;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A node's clock is wrong, both in the time it reads and in how long its timers wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// The node or role.
    pub target: Target,
    /// Added to the time of day that it reads, in milliseconds.
    #[serde(default)]
    pub offset_ms: i64,
    /// How much faster than true time it runs, in parts per million; negative: slower.
    #[serde(default)]
    pub drift_ppm: i64,
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "clock of {} off by {} ms and {} ppm", self.target.0, self.offset_ms, self.drift_ppm)
    }
}

impl Kind for Clock {
    const SORT: Sort = Sort {
        name: "clock",
        family: Family::Clock,
        title: "clock",
        does: "the clock is set wrong, or runs too fast or too slow, and so do its timers",
        fields: &[
            Field::TARGET,
            Field::number("offset_ms", i64::MIN, i64::MAX, "milliseconds ahead; negative: behind").optional(),
            Field::number("drift_ppm", SLOWEST_PPM, FASTEST_PPM, "how much too fast; negative: too slow").optional(),
        ],
        drawn: Drawn::IfNamed,
        least_nodes: 2,
        leaves: Leaves::Able,
    };

    const CLICKS: &'static [Click<Self>] =
        &[Click::Node("slow its clock by a third", |target| Clock { target, offset_ms: 0, drift_ppm: -333_333 })];

    fn check(&self, check: &Check) -> Result<(), Wrong> {
        if (self.offset_ms, self.drift_ppm) == (0, 0) {
            return wrong("offset_ms", "the clock is right", "give offset_ms or drift_ppm");
        }
        if !(SLOWEST_PPM..=FASTEST_PPM).contains(&self.drift_ppm) {
            return wrong("drift_ppm", "no clock runs like that", "allowed: -900000 (ten times slower) to 9000000");
        }
        check.node_or_role(&self.target)
    }

    fn effect(&self, scene: &Scene) -> Effect {
        let offset_ns = self.offset_ms.saturating_mul(1_000_000);
        Effect::Clock(scene.one(&self.target), ClockState { offset_ns, drift_ppm: self.drift_ppm })
    }

    fn draw(draw: &mut Draw) -> Self {
        let Ranges { drift_ppm: most_drift, offset_ms: most_offset, .. } = *draw.ranges;
        let drift_ppm = draw.either_way(most_drift);
        let target = draw.victim();
        let offset_ms = match draw.either_way(most_offset) {
            // A clock that is right is no fault.
            0 if drift_ppm == 0 => most_offset as i64,
            offset_ms => offset_ms,
        };
        // Both can be zero only where the ranges allow no offset.
        let drift_ppm = if (offset_ms, drift_ppm) == (0, 0) { most_drift as i64 } else { drift_ppm };
        Clock { target, offset_ms, drift_ppm }
    }

    fn among(&self, remaining: &Remaining) -> Option<Self> {
        Some(Clock { target: remaining.target(&self.target)?, ..*self })
    }

    fn target(&self) -> Option<&Target> {
        Some(&self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::fold::Active;
    use crate::fault::kinds::tests::{begun, mistake, target};
    use crate::fault::model::{Chaos, Fault, Schedule};
    use crate::fault::topology::tests::two_sites;
    use crate::trace::HostId;

    fn clock(offset_ms: i64, drift_ppm: i64) -> Clock {
        Clock { target: target("n2"), offset_ms, drift_ppm }
    }

    #[test]
    fn it_is_this_clock_and_no_other() {
        let active = begun(clock(-3, 40), None);
        assert_eq!(active.clock(HostId(2)), ClockState { offset_ns: -3_000_000, drift_ppm: 40 });
        assert_eq!(active.clock(HostId(1)), ClockState::default());
    }

    /// Two drifts that together would turn a clock back.
    #[test]
    fn no_sum_of_drifts_turns_a_clock_back() {
        let fault = || Fault { at_ms: 0, for_ms: None, kind: clock(0, -600_000).into(), when: None };
        let schedule = Schedule { faults: vec![fault(), fault()] };
        let mut active = Active::new(&two_sites(), &schedule, Chaos::NONE, 1000).unwrap();
        (0..2).for_each(|fault| active.begin(fault, None));
        assert_eq!(active.clock(HostId(2)).drift_ppm, SLOWEST_PPM);
    }

    #[test]
    fn a_mistake_is_named() {
        assert!(mistake(clock(0, 0)).contains("the clock is right"));
        assert!(mistake(clock(0, -900_001)).contains("no clock runs like that"));
    }
}
