//! The parts of faults, and acts, in words as people read them.

use super::chaos::{Act, ActKind, Chaos};
use super::topology::{Target, Topology};
use crate::trace::AttemptId;

/// `n1, west`.
pub fn all(targets: &[Target]) -> String {
    if targets.is_empty() {
        return "everybody".into();
    }
    targets.iter().map(|target| target.0.as_str()).collect::<Vec<_>>().join(", ")
}

/// `n1, n2 | west`.
pub fn apart(groups: &[Vec<Target>]) -> String {
    groups.iter().map(|group| all(group)).collect::<Vec<_>>().join(" | ")
}

/// Milliseconds as seconds: `4.210 s`.
pub fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

/// `1.5 % lost, up to 2 ms late`.
pub fn chances(chaos: &Chaos) -> String {
    let percent = |ppm: u32| f64::from(ppm) / 10_000.0;
    let chances = [("lost", chaos.loss_ppm), ("reordered", chaos.reorder_ppm), ("duplicated", chaos.duplicate_ppm)];
    let mut parts: Vec<String> = chances
        .into_iter()
        .filter(|(_, ppm)| *ppm > 0)
        .map(|(what, ppm)| format!("{} % {what}", percent(ppm)))
        .collect();
    if chaos.jitter_ms > 0 {
        parts.push(format!("up to {} ms late", chaos.jitter_ms));
    }
    parts.join(", ")
}

/// `append_entries 17 from n1 to n3 lost`: the message (counted by kind and link, or by operation and attempt), and
/// what happens to it.
pub fn act(act: &Act, topology: &Topology) -> String {
    let place = act.place;
    let which = match AttemptId::of(place.n) {
        None => format!("{} {}", place.kind, place.n),
        Some(AttemptId { operation, attempt }) => format!("{} of #{operation}, attempt {attempt},", place.kind),
    };
    let ms = act.us as f64 / 1000.0;
    let what = match act.what {
        ActKind::Lose => "lost".into(),
        ActKind::Delay => format!("{ms} ms late"),
        ActKind::Duplicate => format!("duplicated after {ms} ms"),
    };
    format!("{which} from {} to {} {what}", topology.name(place.from), topology.name(place.to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::chaos::Place;
    use crate::fault::topology::tests::two_sites;
    use crate::trace::{HostId, MessageKind};

    #[test]
    fn acts_name_their_message() {
        let topology = two_sites();
        let place = Place { from: HostId(1), to: HostId(3), kind: MessageKind::Vote, n: 2 };
        let told = |place, what, us| act(&Act { place, what, us }, &topology);
        assert_eq!(told(place, ActKind::Lose, 0), "vote 2 from n1 to n3 lost");
        let place = Place {
            from: HostId(6),
            to: HostId(1),
            kind: MessageKind::Request,
            n: AttemptId { operation: 12, attempt: 1 }.number(),
        };
        assert_eq!(
            told(place, ActKind::Delay, 30_500),
            "request of #12, attempt 1, from east.clients to n1 30.5 ms late"
        );
    }
}
