//! The administrator of a cluster: makes the nodes its members that the active faults ask for.
//!
//! It runs on a client host and is affected by that host's cuts. It asks one node after the other, follows hints to the
//! leader, and tries until a node reports success or other members are requested.

use crate::host::Host;
use crate::systems::{Cluster, Reconfiguration, Reconfigured};
use crate::trace::HostId;
use std::sync::Arc;
use std::time::Duration;

/// How often it checks whether other members are requested, and its pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);
/// How long it waits for an answer: adding a learner and two changes of the configuration are up to three commits.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Runs on `host` for as long as the run lasts. At the beginning all nodes vote.
pub async fn administer(host: Host, cluster: Arc<dyn Cluster>) {
    let all = host.fabric().with_active(|active| active.topology().all_nodes());
    let nodes: Vec<HostId> = all.iter().collect();
    // The set of voters, if it is known for certain.
    let (mut settled, mut asked) = (Some(all), 0);
    loop {
        let voters = host.fabric().with_active(|active| active.voters());
        if settled == Some(voters) {
            host.sleep(PAUSE).await;
            continue;
        }
        let request = Reconfiguration { client: &host, node: nodes[asked], voters, timeout: PATIENCE };
        let Some(answer) = cluster.reconfigure(request) else {
            host.fabric().cannot_act("membership cannot act: the members of this system are fixed");
            return;
        };
        let next = (asked + 1) % nodes.len();
        asked = match answer.await {
            Reconfigured::Done => {
                settled = Some(voters);
                continue;
            }
            Reconfigured::Refused { hint: Some(leader) } => {
                nodes.iter().position(|node| *node == leader).unwrap_or(next)
            }
            Reconfigured::Refused { hint: None } | Reconfigured::Unknown => next,
        };
        // Whatever has happened, the request counts as not fulfilled until a node reports success.
        settled = None;
        host.sleep(PAUSE).await;
    }
}
