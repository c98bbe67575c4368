//! The settings of a host's TCP.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A kernel's settings, with Linux's names and defaults.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often an unanswered SYN is sent again (`tcp_syn_retries`).
    pub syn_retries: u32,
    /// How often an unanswered SYN ACK is sent again (`tcp_synack_retries`).
    pub syn_ack_retries: u32,
    /// How often anything else is sent again (`tcp_retries2`).
    pub retries: u32,
    /// How long the side that closed first remembers a connection (`TCP_TIMEWAIT_LEN`).
    pub time_wait: Duration,
    /// How many connections of a port may be half open (`tcp_max_syn_backlog`); a SYN beyond is dropped.
    pub syn_backlog: usize,
    /// How many open connections of a port may wait to be accepted (`somaxconn`, the argument of `listen`).
    pub accept_backlog: usize,
    /// The ports for connections to elsewhere (`ip_local_port_range`).
    pub ports: RangeInclusive<u16>,
    /// Every so often an idle connection is probed (`SO_KEEPALIVE`), and ended after so many unanswered probes
    /// (`tcp_keepalive_probes`).
    pub keep_alive: Option<(Duration, u32)>,
    /// Whether small pieces are sent at once (`TCP_NODELAY`).
    pub no_delay: bool,
    /// Bytes that may wait to be read, and to be acknowledged (`SO_RCVBUF`, `SO_SNDBUF`).
    pub buffer: usize,
    /// Whether [`Stack::log`](super::stack::Stack::log) is kept.
    pub is_logged: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            syn_retries: 6,
            syn_ack_retries: 5,
            retries: 15,
            time_wait: Duration::from_secs(60),
            syn_backlog: 1024,
            accept_backlog: 4096,
            ports: 32_768..=60_999,
            keep_alive: None,
            no_delay: false,
            buffer: 65_535,
            is_logged: false,
        }
    }
}
