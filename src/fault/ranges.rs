//! The ranges from which the nemesis draws: how strong a fault of each kind may be.

use super::check::Wrong;
use serde::{Deserialize, Serialize};

/// The ranges of the nemesis, each from its least to its greatest value, both included. A range of one value pins it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ranges {
    /// The greatest drift of a clock, in parts per million, too fast or too slow.
    pub drift_ppm: u64,
    /// The greatest offset of a clock, in milliseconds, ahead or behind.
    pub offset_ms: u64,
    /// Extra one-way delay of a slow link, in milliseconds.
    pub latency_ms: [u64; 2],
    /// How long a flapping link is cut, and how long it is whole, in milliseconds.
    pub flap_ms: [u64; 2],
    /// How long a process is paused, in milliseconds, if not `min_ms` to `max_ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_ms: Option<[u64; 2]>,
    /// Extra time of each operation of a slow disk, in milliseconds.
    pub slow_disk_ms: [u64; 2],
    /// Probability that a message is lost, in parts per million.
    pub loss_ppm: [u64; 2],
    /// Probability that a message is overtaken, in parts per million.
    pub reorder_ppm: [u64; 2],
    /// Longest delay of a message that is overtaken, in milliseconds.
    pub reorder_ms: [u64; 2],
    /// Probability that a message is duplicated, in parts per million.
    pub duplicate_ppm: [u64; 2],
    /// Longest jitter of every message, in milliseconds.
    pub jitter_ms: [u64; 2],
    /// How long after its moment an aimed fault begins, in milliseconds.
    #[serde(skip_serializing_if = "is_usual_aim")]
    pub aim_ms: [u64; 2],
}

const AIM_MS: [u64; 2] = [0, 200];

fn is_usual_aim(range: &[u64; 2]) -> bool {
    *range == AIM_MS
}

impl Default for Ranges {
    fn default() -> Self {
        Ranges {
            drift_ppm: 600_000,
            offset_ms: 2000,
            latency_ms: [20, 250],
            flap_ms: [200, 1500],
            pause_ms: None,
            slow_disk_ms: [5, 120],
            loss_ppm: [20_000, 150_000],
            reorder_ppm: [50_000, 300_000],
            reorder_ms: [20, 200],
            duplicate_ppm: [50_000, 200_000],
            jitter_ms: [0, 5],
            aim_ms: AIM_MS,
        }
    }
}

impl Ranges {
    /// Whether these are the default ranges.
    pub fn is_default(&self) -> bool {
        *self == Ranges::default()
    }

    /// Checks that each range is a range, and that any values drawn from them make a fault.
    ///
    /// # Errors
    /// (field, problem, what is allowed) for the first one that fails. `window_ms` is how long a fault may last.
    pub fn check(&self, window_ms: u64) -> Result<(), Wrong> {
        const HOUR_MS: u64 = 3_600_000;
        const CERTAIN: u64 = 1_000_000;
        if self.drift_ppm > 900_000 {
            let problem = format!("no clock runs {} ppm too slow", self.drift_ppm);
            return Err(("drift_ppm", problem, "allowed: 0 to 900000 (ten times slower)".into()));
        }
        if self.offset_ms > 86_400_000 || self.drift_ppm == 0 && self.offset_ms == 0 {
            let help = "allowed: 0 to 86400000 (a day), and above 0 where `drift_ppm` is 0";
            return Err(("offset_ms", format!("a clock that is wrong by up to {} ms", self.offset_ms), help.into()));
        }
        let ranges = [
            ("latency_ms", self.latency_ms, 1, HOUR_MS),
            ("flap_ms", self.flap_ms, 1, HOUR_MS),
            ("pause_ms", self.pause_ms.unwrap_or([1, 1]), 1, window_ms),
            ("slow_disk_ms", self.slow_disk_ms, 1, HOUR_MS),
            ("loss_ppm", self.loss_ppm, 0, CERTAIN),
            ("reorder_ppm", self.reorder_ppm, 0, CERTAIN),
            ("reorder_ms", self.reorder_ms, 1, HOUR_MS),
            ("duplicate_ppm", self.duplicate_ppm, 0, CERTAIN),
            ("jitter_ms", self.jitter_ms, 0, HOUR_MS),
            ("aim_ms", self.aim_ms, 0, HOUR_MS),
        ];
        for (field, [least, most], from, to) in ranges {
            if least > most || least < from || most > to {
                let help = format!("allowed: [least, most], least not above most, within {from} to {to}");
                return Err((field, format!("[{least}, {most}] is no range to draw from"), help));
            }
        }
        let harmless = [self.loss_ppm, self.reorder_ppm, self.duplicate_ppm, self.jitter_ms];
        if harmless.iter().all(|[least, _]| *least == 0) {
            let help = "allowed: 1 and more as the least of `loss_ppm`, `reorder_ppm`, `duplicate_ppm` or `jitter_ms`";
            return Err(("loss_ppm", "a burst of chaos might do nothing to any message".into(), help.into()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_is_none_is_refused() {
        assert_eq!(Ranges::default().check(5000), Ok(()));
        let wrong = |change: fn(&mut Ranges)| {
            let mut ranges = Ranges::default();
            change(&mut ranges);
            ranges.check(5000).unwrap_err().0
        };
        assert_eq!(wrong(|ranges| ranges.drift_ppm = 900_001), "drift_ppm");
        assert_eq!(wrong(|ranges| (ranges.drift_ppm, ranges.offset_ms) = (0, 0)), "offset_ms");
        assert_eq!(wrong(|ranges| ranges.latency_ms = [0, 5]), "latency_ms");
        assert_eq!(wrong(|ranges| ranges.flap_ms = [5, 4]), "flap_ms");
        assert_eq!(wrong(|ranges| ranges.pause_ms = Some([100, 5001])), "pause_ms");
        assert_eq!(wrong(|ranges| ranges.duplicate_ppm = [0, 1_000_001]), "duplicate_ppm");
        let nothing = |ranges: &mut Ranges| {
            (ranges.loss_ppm, ranges.reorder_ppm, ranges.duplicate_ppm) = ([0, 1], [0, 1], [0, 1]);
        };
        assert_eq!(wrong(nothing), "loss_ppm");
    }
}
