//! The failure stories, each a file: variants under the same load and faults, a prediction that cannot see the run, and
//! what the run measures.
//!
//! * [`list`](mod@list): every story, its name, its code and its file. To add one: `docs/GROWING.md`, "Add a story".
//! * [`model`]: what a story's code implements. [`claim`]: prediction beside measurement.
//! * [`file`](mod@file): the format of `sims/stories/`. [`recording`]: a recorded run in it.
//! * [`lesson`]: text and questions for a class. [`question`]: how an answer is graded. [`trial`]: choices that can be
//!   run.
//! * [`case`](mod@case): a question to be solved from evidence that has a price.
//! * [`tell`](mod@tell): runs of the variants. [`evidence`]: the tables that an engineer on call would have.
//! * `life`: what each request was doing at each instant.
//! * `world`: servers and clients inside the simulator. `http`, `dns`, `tls`: their protocols, over hyper, hickory and
//!   rustls. `tcp_log`: what TCP stacks logged, as tables.
//! * `quic`: QUIC by quinn's protocol machine on a host. `pages`: HTTP/1.1, HTTP/2 and HTTP/3 of pages, over TLS.
//! * `queue`: a processor that does one thing at a time. `consensus`: the testbed's own systems as variants.

pub mod case;
pub mod claim;
pub mod evidence;
pub mod file;
pub mod lesson;
mod life;
pub mod list;
pub mod model;
pub mod question;
pub mod recording;
pub mod tell;
pub mod trial;

mod consensus;
mod dns;
mod http;
mod pages;
mod queue;
mod quic;
mod tcp_log;
mod tls;
mod world;

mod central_or_peer;
mod connection_storm;
mod consistency_or_availability;
mod dns_failover;
mod dns_outage;
mod five_data_centres;
mod head_of_line;
mod latency_not_bandwidth;
mod load_balancer;
mod million_connections;
mod one_region;
mod pool_exhaustion;
mod retry_storm;
mod split_brain;
mod tcp_or_udp;
mod tcp_states;
mod tls_handshake_storm;

pub use file::{StoryFile, catalogue, find};
pub use model::{Arrival, Model, Observed, Parameters, Setup, Variant};
pub use tell::{StoryRun, Telling, run_setup, tell, tell_in_turn};
