//! How fast the router is: two hosts, no faults, no latency, and nothing but packets.

use super::clock::{RunClock, monotonic_ns};
use super::error::RealError;
use super::namespace::Networks;
use super::router::Router;
use crate::fault::fold::{Active, SiteShape, Topology};
use crate::fault::model::{Chaos, Schedule};
use crate::host::address::address;
use crate::host::fabric::{Fabric, FabricConfig};
use crate::host::recorder::Recorder;
use crate::trace::HostId;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The length of a packet's content in bytes.
const LENGTH: usize = 64;
/// How long packets are sent as fast as possible.
const FLOOD: Duration = Duration::from_secs(3);
/// How many times a packet goes there and back, and the pause between two of them.
const ROUNDS: usize = 4000;
const PAUSE: Duration = Duration::from_micros(200);
/// After how long a packet counts as lost, and how many may be in a row.
const PATIENCE: Duration = Duration::from_millis(100);
const TRIES: u32 = 20;
/// The port on which packets are received.
const PORT: u16 = 9000;

/// What the router can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speed {
    /// Packets that arrived in a second.
    pub packets_per_s: u64,
    /// Packets that arrived for each second of processor time of the thread that routes.
    pub packets_per_core_s: u64,
    /// By how many nanoseconds the router delays half of the packets at most, against a socket of the same host.
    pub added_median_ns: u64,
    /// The same for 99 of 100 packets.
    pub added_most_ns: u64,
}

/// Measures throughput, then latency.
///
/// # Errors
/// When the network cannot be made.
pub fn measure() -> Result<Speed, RealError> {
    let (networks, devices) = Networks::new(2).map_err(RealError::Network)?;
    let router = Router::new(fabric()?, devices, &[0; 9], false).map_err(RealError::Network)?;
    let routing = router.clone();
    let thread = std::thread::spawn(move || routing.run());
    let speed = flood(&networks).and_then(|(packets, seconds)| Ok((packets, seconds, added(&networks)?)));
    let routed = router.stop().packets;
    let core_ns = thread.join().unwrap_or_else(|_| Err(io::Error::other("the router panicked")));
    let (packets, seconds, (added_median_ns, added_most_ns)) = speed.map_err(RealError::Network)?;
    let core_s = core_ns.map_err(RealError::Network)? as f64 / 1e9;
    Ok(Speed {
        packets_per_s: (packets as f64 / seconds) as u64,
        packets_per_core_s: (routed as f64 / core_s) as u64,
        added_median_ns,
        added_most_ns,
    })
}

fn fabric() -> Result<Arc<Fabric>, RealError> {
    let shape = SiteShape { name: "here".to_owned(), nodes: 2, clients: false, witness: false };
    let topology = Topology::of([shape]);
    let active = Active::new(&topology, &Schedule { faults: Vec::new() }, Chaos::NONE, 1)
        .map_err(|error| RealError::Harness(error.to_string()))?;
    let names = topology.names;
    let recorder = Recorder::new(names.clone(), 2).going_by(Arc::new(RunClock::default()));
    let config = FabricConfig { seed: 0, latency_ns: vec![0; 9], active, acts: None };
    Ok(Arc::new(Fabric::new(recorder, names, config)))
}

fn socket(networks: &Networks, host: HostId, port: u16) -> io::Result<UdpSocket> {
    networks.within(host, || UdpSocket::bind((address(host), port)))?
}

/// Sends as fast as possible from one host to the other: how many packets arrived, in how many seconds.
fn flood(networks: &Networks) -> io::Result<(u64, f64)> {
    let receiver = socket(networks, HostId(2), PORT)?;
    receiver.set_read_timeout(Some(Duration::from_millis(100)))?;
    let sender = socket(networks, HostId(1), 0)?;
    sender.connect((address(HostId(2)), PORT))?;
    let (is_over, received) = (AtomicBool::new(false), AtomicU64::new(0));
    let start_ns = monotonic_ns();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if receiver.recv(&mut [0; LENGTH]).is_ok() {
                    received.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        while monotonic_ns() - start_ns < FLOOD.as_nanos() as u64 {
            // A full queue refuses a packet, as any interface does.
            let _ = sender.send(&[0; LENGTH]);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    Ok((received.into_inner(), (monotonic_ns() - start_ns) as f64 / 1e9))
}

/// By how much longer a packet takes through the router than within a host: median and 99th percentile.
fn added(networks: &Networks) -> io::Result<(u64, u64)> {
    let routed = one_way_ns(networks, HostId(1))?;
    let local = one_way_ns(networks, HostId(2))?;
    let added = |hundredth: usize| {
        let at = ROUNDS * hundredth / 100;
        routed[at].saturating_sub(local[local.len() / 2])
    };
    Ok((added(50), added(99)))
}

/// Half of each time from this host to host 2 and back, ascending.
fn one_way_ns(networks: &Networks, from: HostId) -> io::Result<Vec<u64>> {
    let echo = socket(networks, HostId(2), PORT + 1)?;
    let asker = socket(networks, from, 0)?;
    echo.set_read_timeout(Some(PATIENCE))?;
    asker.set_read_timeout(Some(PATIENCE))?;
    asker.connect((address(HostId(2)), PORT + 1))?;
    let is_over = AtomicBool::new(false);
    let mut times = std::thread::scope(|threads| {
        threads.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let mut bytes = [0; LENGTH];
                if let Ok((length, asker)) = echo.recv_from(&mut bytes) {
                    let _ = echo.send_to(&bytes[..length], asker);
                }
            }
        });
        let round = |_| {
            std::thread::sleep(PAUSE);
            there_and_back_ns(&asker).map(|ns| ns / 2)
        };
        let times: io::Result<Vec<u64>> = (0..ROUNDS).map(round).collect();
        is_over.store(true, Ordering::Relaxed);
        times
    })?;
    times.sort_unstable();
    Ok(times)
}

/// How long a packet takes to whom the socket is connected to, and back; the socket gives up after [`PATIENCE`]. One that is
/// lost, in a queue that is still full of others, is sent again: it is no time.
fn there_and_back_ns(asker: &UdpSocket) -> io::Result<u64> {
    for _ in 0..TRIES {
        let sent_ns = monotonic_ns();
        let mut packet = [0; LENGTH];
        packet[..8].copy_from_slice(&sent_ns.to_be_bytes());
        let _ = asker.send(&packet);
        let mut came = [0; LENGTH];
        while asker.recv(&mut came).is_ok() {
            // An earlier one may come late.
            if came == packet {
                return Ok(monotonic_ns() - sent_ns);
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("{TRIES} packets in a row did not come back")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_packet_is_sent_again_and_silence_is_an_error() {
        let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
        let asker = UdpSocket::bind("127.0.0.1:0").unwrap();
        asker.connect(echo.local_addr().unwrap()).unwrap();
        for socket in [&echo, &asker] {
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        let is_over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let (mut bytes, mut is_first) = ([0; LENGTH], true);
                while !is_over.load(Ordering::Relaxed) {
                    let Ok((length, from)) = echo.recv_from(&mut bytes) else { continue };
                    // The first is lost.
                    if !std::mem::take(&mut is_first) {
                        echo.send_to(&bytes[..length], from).unwrap();
                    }
                }
            });
            let came = there_and_back_ns(&asker);
            is_over.store(true, Ordering::Relaxed);
            assert!(came.is_ok(), "{came:?}");
        });
        assert_eq!(there_and_back_ns(&asker).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
