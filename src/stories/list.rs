//! The list of the stories: each with its name, its code and its file.
//!
//! A name has one meaning. If a scenario has a story's name, it belongs to that story, and its line here says so.

use super::model::{Model, read};
use crate::scenario::{Document, ScenarioError};
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeValue;

/// Reads and checks the parameters of a story.
type Read = fn(Document<'_>, &Spanned<DeValue<'_>>) -> Result<Arc<dyn Model>, ScenarioError>;

/// A story of the list.
#[derive(Debug)]
pub struct Listed {
    /// The name on the command line, of its file, and of its code (`model` in files).
    pub name: &'static str,
    /// The text of its file in `sims/stories/`.
    pub text: &'static str,
    /// The scenario used where a story's name is given for a scenario: it has the systems that the story is about.
    pub scenario: Option<&'static str>,
    pub(super) read: Read,
}

macro_rules! stories {
    ($($name:literal: $module:ident :: $model:ident $(, scenario $scenario:literal)?;)*) => {
        &[$(Listed {
            name: $name,
            text: include_str!(concat!("../../sims/stories/", $name, ".toml")),
            scenario: stories!(@scenario $($scenario)?),
            read: read::<super::$module::$model>,
        }),*]
    };
    (@scenario) => { None };
    (@scenario $scenario:literal) => { Some($scenario) };
}

/// Every story, in the order in which a class would meet them.
pub static STORIES: &[Listed] = stories! {
    "split-brain": split_brain::SplitBrain, scenario "split-brain";
    "consistency-or-availability": consistency_or_availability::ConsistencyOrAvailability;
    "five-data-centres": five_data_centres::FiveDataCentres, scenario "five-data-centres";
    "latency-not-bandwidth": latency_not_bandwidth::LatencyNotBandwidth;
    "tcp-states": tcp_states::TcpStates;
    "connection-storm": connection_storm::ConnectionStorm;
    "tcp-or-udp": tcp_or_udp::TcpOrUdp;
    "head-of-line": head_of_line::HeadOfLine;
    "tls-handshake-storm": tls_handshake_storm::TlsHandshakeStorm;
    "retry-storm": retry_storm::RetryStorm;
    "pool-exhaustion": pool_exhaustion::PoolExhaustion;
    "load-balancer": load_balancer::LoadBalancer;
    "central-or-peer": central_or_peer::CentralOrPeer;
    "million-connections": million_connections::MillionConnections;
    "one-region": one_region::OneRegion;
    "dns-failover": dns_failover::DnsFailover;
    "dns-outage": dns_outage::DnsOutage;
};

/// The story of this name.
pub fn listed(name: &str) -> Option<&'static Listed> {
    STORIES.iter().find(|story| story.name == name)
}

/// The names of all stories.
pub fn names() -> Vec<&'static str> {
    STORIES.iter().map(|story| story.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::find;

    #[test]
    fn a_name_means_one_thing() {
        for story in STORIES {
            assert_eq!(STORIES.iter().filter(|other| other.name == story.name).count(), 1, "{}", story.name);
            let namesake = find(story.name).map(|scenario| scenario.name);
            assert_eq!(namesake.as_deref(), story.scenario, "the scenario called {} is that story's", story.name);
        }
    }
}
