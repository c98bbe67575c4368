//! The life of a request on the simulated clock: what it was doing at each instant, from when it was offered until it was
//! answered or given up. Each span begins where the one before it ends, so that the spans of a life add up to its latency.

use serde::Serialize;

/// What a request does for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::VariantArray, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Part {
    /// It is under way between two hosts, as long as their distance takes.
    Distance,
    /// It stands in a queue, behind others.
    Queueing,
    /// Something works on it.
    Processing,
    /// Its bytes go onto the wire: their number by the bandwidth.
    Transfer,
    /// It waits for what does not come: a message that was lost and is sent again, an answer that is given up.
    Lost,
    /// Its own client does something else: pauses, or is busy with an earlier request.
    Idle,
}

/// A span of a life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Span {
    /// What kind of thing it is.
    pub part: Part,
    /// What, in words: `the request to server`.
    pub what: String,
    /// When it begins, in simulated nanoseconds.
    pub from_ns: u64,
    /// When it ends; a note (a cache that knows) takes no time.
    pub until_ns: u64,
}

/// A request from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Life {
    /// When it was offered, in simulated nanoseconds.
    pub at_ns: u64,
    /// When it was answered or given up; `None`: the run ended first.
    pub ended_ns: Option<u64>,
    /// Whether it was served; `None`: its story does not say.
    pub served: Option<bool>,
    /// What it did, each from where the one before ended.
    pub spans: Vec<Span>,
}

impl Life {
    /// A life of these spans, for requests that are followed by other means.
    pub fn new(at_ns: u64, ended_ns: Option<u64>, served: bool, spans: Vec<Span>) -> Life {
        Life { at_ns, ended_ns, served: Some(served), spans }
    }

    /// How long it took, in nanoseconds; of one without an end, until the last thing that is known of it.
    pub fn took_ns(&self) -> u64 {
        let known_ns = self.spans.last().map_or(self.at_ns, |span| span.until_ns);
        self.ended_ns.unwrap_or(known_ns) - self.at_ns
    }
}
