//! The router: moves IP packets from device to device, over the same links and by the same faults as in the simulator.
//!
//! Each packet is a datagram of [`link`](crate::host::link): what is lost is lost, and the kernels at the two ends
//! retransmit. Its name for the chaos layer is its count among the packets of its kind on its directed link.

use super::clock::{monotonic_ns, thread_ns};
use super::namespace::MTU;
use crate::host::address::host_at;
use crate::host::carrier::{Letter, Sent};
use crate::host::fabric::{Fabric, Sending};
use crate::host::link::{Effect, End, Link, Policy};
use crate::trace::{DropReason, HostId, MessageKind};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::mem::MaybeUninit;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tun_rs::SyncDevice;

/// The most packets that are read from one device before the others get their turn.
const BATCH: usize = 64;
/// What names the timer and the bell among the sources of events; devices go by their host, from 1.
const TIMER: u64 = u64::MAX;
const BELL: u64 = u64::MAX - 1;
/// TCP's number in an IPv4 header.
const TCP: u8 = 6;

/// A packet on its way.
#[derive(Clone)]
struct Packet {
    letter: Letter,
    bytes: Arc<[u8]>,
}

struct Table {
    /// By sender, then receiver.
    links: Vec<Link<Packet>>,
    /// When a link next has something to do. An entry counts if it is the one that `noted` has.
    due: BinaryHeap<Reverse<(u64, usize)>>,
    /// The latest entry of each link; `u64::MAX`: none.
    noted: Vec<u64>,
    /// By how many nanoseconds packets were delivered after their time.
    late_ns: Vec<u32>,
}

/// Routes the packets of a run.
pub struct Router {
    hosts: usize,
    fabric: Arc<Fabric>,
    /// Host 1 first.
    devices: Vec<SyncDevice>,
    table: Mutex<Table>,
    timer: OwnedFd,
    bell: OwnedFd,
    is_over: AtomicBool,
    /// Whether packets are written to the event log: not when it is speed that is measured.
    records: bool,
}

/// How the router kept its own time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Punctuality {
    /// Packets that it delivered.
    pub packets: u64,
    /// By how many nanoseconds half of them were delivered after their time, at most.
    pub median_ns: u64,
    /// The same for 99 of 100.
    pub most_ns: u64,
}

impl Router {
    /// A router between these devices, with these latencies in nanoseconds, row by sender.
    ///
    /// # Errors
    /// When the kernel has no timer left.
    pub fn new(
        fabric: Arc<Fabric>,
        devices: Vec<SyncDevice>,
        latency_ns: &[u64],
        records: bool,
    ) -> io::Result<Arc<Router>> {
        let links: Vec<Link<Packet>> = latency_ns.iter().map(|latency_ns| Link::new(*latency_ns)).collect();
        let noted = vec![u64::MAX; links.len()];
        let table = Table { links, due: BinaryHeap::new(), noted, late_ns: Vec::new() };
        Ok(Arc::new(Router {
            hosts: devices.len() + 1,
            fabric,
            devices,
            table: Mutex::new(table),
            timer: timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?,
            bell: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            is_over: AtomicBool::new(false),
            records,
        }))
    }

    /// Routes until [`Router::stop`]; returns how many nanoseconds of processor time that took.
    ///
    /// # Errors
    /// When a device fails.
    pub fn run(&self) -> io::Result<u64> {
        let sources = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (device, host) in self.devices.iter().zip(1..) {
            epoll::add(&sources, device, EventData::new_u64(host), EventFlags::IN)?;
        }
        epoll::add(&sources, &self.timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        epoll::add(&sources, &self.bell, EventData::new_u64(BELL), EventFlags::IN)?;
        let mut events = [MaybeUninit::<epoll::Event>::uninit(); 64];
        let mut alarm_ns = 0;
        while !self.is_over.load(Ordering::Acquire) {
            let ready = match epoll::wait(&sources, &mut events, None) {
                Err(rustix::io::Errno::INTR) => continue,
                ready => ready?.0,
            };
            for event in &*ready {
                match event.data.u64() {
                    TIMER => self.clear(&self.timer),
                    BELL => self.clear(&self.bell),
                    host => self.read(HostId(host as u16))?,
                }
            }
            let next_ns = self.deliver();
            if next_ns != alarm_ns {
                self.set_alarm(next_ns)?;
                alarm_ns = next_ns;
            }
        }
        Ok(thread_ns())
    }

    fn clear(&self, source: &OwnedFd) {
        // It has nothing to say but that it rang.
        let _ = rustix::io::read(source, &mut [0; 8][..]);
    }

    /// Sets the timer to an instant of the monotonic clock; 0 turns it off.
    fn set_alarm(&self, at_ns: u64) -> io::Result<()> {
        let at = Timespec { tv_sec: (at_ns / 1_000_000_000) as i64, tv_nsec: (at_ns % 1_000_000_000) as _ };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once)?;
        Ok(())
    }

    /// The active faults have changed: informs the links.
    pub fn changed(&self) {
        let hosts = || (0..self.hosts as u16).map(HostId);
        for (from, to) in hosts().flat_map(|from| hosts().map(move |to| (from, to))) {
            let state = self.fabric.with_active(|active| active.link(from, to));
            self.act(from, to, |link, now_ns| link.changed(now_ns, state));
        }
        // The thread that routes sleeps until the time that held back packets knew of.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }

    /// Ends [`Router::run`], and tells how punctual it was.
    pub fn stop(&self) -> Punctuality {
        self.is_over.store(true, Ordering::Release);
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
        let mut late_ns = std::mem::take(&mut self.table().late_ns);
        late_ns.sort_unstable();
        let share = |hundredth: usize| late_ns.get(late_ns.len() * hundredth / 100).copied().unwrap_or(0).into();
        Punctuality { packets: late_ns.len() as u64, median_ns: share(50), most_ns: share(99) }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what a host sends.
    fn read(&self, host: HostId) -> io::Result<()> {
        let mut bytes = [0; MTU as usize];
        for _ in 0..BATCH {
            match self.devices[host.index() - 1].recv(&mut bytes) {
                Ok(length) => self.route(host, &bytes[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Puts a packet on its link. What is not from this host to another of the run goes nowhere.
    fn route(&self, from: HostId, bytes: &[u8]) {
        let Some((source, to, kind)) = header(bytes) else { return };
        if source != from || to == from || !(1..self.hosts).contains(&to.index()) {
            return;
        }
        let sent = if self.records {
            self.fabric.send(Sending { from, to, class: kind, cause: None, payload: bytes, place: None })
        } else {
            let message = crate::trace::MessageId { host: from, number: 0 };
            Sent { letter: Letter { from, to, message, class: kind }, fate: Default::default(), jitter_ns: 0 }
        };
        let Sent { letter, fate, jitter_ns } = sent;
        let packet = Packet { letter, bytes: bytes.into() };
        self.act(from, to, |link, now_ns| link.send(now_ns, packet, Policy::Datagram, &fate, jitter_ns));
    }

    /// Changes a link, records the effects, and notes when it next has something to do.
    fn act(&self, from: HostId, to: HostId, act: impl FnOnce(&mut Link<Packet>, u64) -> Vec<Effect<Packet>>) {
        let at = from.index() * self.hosts + to.index();
        let effects = {
            let mut table = self.table();
            let effects = act(&mut table.links[at], monotonic_ns());
            table.note(at);
            effects
        };
        for effect in &effects {
            let letter = effect.message().letter;
            self.fabric.recorder().record(letter.from, letter.suffered(effect));
        }
    }

    /// Delivers what has arrived; returns when there is more to do, 0 for never.
    fn deliver(&self) -> u64 {
        loop {
            let (arrived, effects) = {
                let mut table = self.table();
                let now_ns = monotonic_ns();
                let Some(&Reverse((at_ns, at))) = table.due.peek() else { return 0 };
                if at_ns > now_ns {
                    return at_ns;
                }
                table.due.pop();
                if table.noted[at] != at_ns {
                    continue;
                }
                table.noted[at] = u64::MAX;
                let effects = table.links[at].depart(now_ns);
                let arrives_ns = table.links[at].next_arrival_ns(End::Receiver);
                let arrived = table.links[at].arrive(now_ns, End::Receiver);
                if arrived.is_some() {
                    let late_ns = now_ns.saturating_sub(arrives_ns.unwrap_or(now_ns));
                    table.late_ns.push(u32::try_from(late_ns).unwrap_or(u32::MAX));
                }
                table.note(at);
                (arrived, effects)
            };
            for effect in &effects {
                let letter = effect.message().letter;
                self.fabric.recorder().record(letter.from, letter.suffered(effect));
            }
            if let Some(packet) = arrived {
                self.write(&packet);
            }
        }
    }

    fn write(&self, packet: &Packet) {
        let letter = &packet.letter;
        let written = self.devices[letter.to.index() - 1].send(&packet.bytes);
        if self.records {
            let (host, what) = match written {
                Ok(_) => (letter.to, letter.delivered()),
                // The receiver's kernel has no room for it: it is lost, as on any interface.
                Err(_) => (letter.from, letter.dropped(DropReason::Loss)),
            };
            self.fabric.recorder().record(host, what);
        }
    }
}

impl Table {
    /// Notes when a link next has something to do.
    fn note(&mut self, at: usize) {
        let link = &mut self.links[at];
        let next = link.next_departure_ns().into_iter().chain(link.next_arrival_ns(End::Receiver)).min();
        if let Some(at_ns) = next.filter(|at_ns| *at_ns < self.noted[at]) {
            self.noted[at] = at_ns;
            self.due.push(Reverse((at_ns, at)));
        }
    }
}

/// Sender, receiver and kind of an IPv4 packet; `None` for any other.
fn header(bytes: &[u8]) -> Option<(HostId, HostId, MessageKind)> {
    let header: &[u8; 20] = bytes.first_chunk().filter(|header: &&[u8; 20]| header[0] >> 4 == 4)?;
    let address = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
    let [source, target] = [address(12), address(16)];
    let is_ours = |address: Ipv4Addr| address.octets()[..2] == [10, 0];
    let kind = if header[9] == TCP { MessageKind::Segment } else { MessageKind::Other };
    (is_ours(source) && is_ours(target)).then(|| (host_at(source), host_at(target), kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::address::address;

    fn packet(from: Ipv4Addr, to: Ipv4Addr, protocol: u8) -> Vec<u8> {
        let mut bytes = vec![0; 28];
        (bytes[0], bytes[9]) = (0x45, protocol);
        bytes[12..16].copy_from_slice(&from.octets());
        bytes[16..20].copy_from_slice(&to.octets());
        bytes
    }

    #[test]
    fn a_header_names_the_two_hosts() {
        let [a, b] = [HostId(3), HostId(300)].map(address);
        assert_eq!(header(&packet(a, b, TCP)), Some((HostId(3), HostId(300), MessageKind::Segment)));
        assert_eq!(header(&packet(a, b, 17)), Some((HostId(3), HostId(300), MessageKind::Other)));
    }

    #[test]
    fn what_is_no_packet_between_hosts_has_no_header() {
        let [a, outside] = [address(HostId(1)), Ipv4Addr::new(224, 0, 0, 1)];
        assert_eq!(header(&packet(a, outside, 2)), None);
        assert_eq!(header(&packet(outside, a, 2)), None);
        assert_eq!(header(&packet(a, a, TCP)[..19]), None);
        assert_eq!(header(&[]), None);
        let mut sixth = packet(a, a, TCP);
        sixth[0] = 0x60;
        assert_eq!(header(&sixth), None);
    }
}
