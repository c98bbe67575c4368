//! The network of one host: a network namespace whose only way out is a TUN device, which the router holds.
//!
//! A thread enters a namespace to open a socket or to start a process there, and comes back. A socket belongs for ever
//! to the namespace in which it was opened.

use crate::host::address::address;
use crate::trace::HostId;
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use tokio::net::{TcpSocket, TcpStream};
use tun_rs::{DeviceBuilder, SyncDevice};

/// The name of the device in each namespace.
const DEVICE: &str = "eth0";
/// The longest packet in bytes, as on an Ethernet.
pub const MTU: u16 = 1500;
/// The length of the network's prefix: every host is on the link.
const PREFIX: u8 = 16;

/// The network namespaces of all hosts, by host; the world has none.
pub struct Networks {
    home: File,
    hosts: Vec<File>,
}

impl Networks {
    /// Makes a namespace for each of so many hosts, and returns their devices in the same order, host 1 first.
    ///
    /// # Errors
    /// When the kernel refuses a namespace or a device.
    pub fn new(hosts: usize) -> io::Result<(Networks, Vec<SyncDevice>)> {
        let mut networks = Networks { home: File::open("/proc/self/ns/net")?, hosts: Vec::new() };
        let mut devices = Vec::new();
        for id in (1..=hosts as u16).map(HostId) {
            // A thread of its own: what cannot be undone half-way ends with it.
            let made = std::thread::spawn(move || network(id)).join().expect("making a network does not panic");
            let (namespace, device) = made?;
            networks.hosts.push(namespace);
            devices.push(device);
        }
        Ok((networks, devices))
    }

    /// Runs `act` with the calling thread in a host's namespace.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    ///
    /// # Panics
    /// If the thread cannot return: what it did next would act on another host.
    pub fn within<T>(&self, host: HostId, act: impl FnOnce() -> T) -> io::Result<T> {
        setns(&self.hosts[host.index() - 1], CloneFlags::CLONE_NEWNET)?;
        let done = act();
        setns(&self.home, CloneFlags::CLONE_NEWNET).expect("a thread may return to its own namespace");
        Ok(done)
    }

    /// Opens a TCP connection from one host to another, or to itself.
    ///
    /// # Errors
    /// As `connect(2)`.
    pub async fn dial(&self, from: HostId, to: HostId, port: u16) -> io::Result<TcpStream> {
        let socket = self.within(from, TcpSocket::new_v4)??;
        socket.set_nodelay(true)?;
        socket.connect((address(to), port).into()).await
    }
}

/// Moves the calling thread into a new namespace, and gives it a device and an address.
fn network(id: HostId) -> io::Result<(File, SyncDevice)> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| said("a network namespace", &error))?;
    let device = DeviceBuilder::new().name(DEVICE).build_sync().map_err(|error| said("/dev/net/tun", &error))?;
    device.set_nonblocking(true)?;
    let address = address(id);
    ip(&format!(
        "link set lo up\nlink set {DEVICE} mtu {MTU} addrgenmode none up\naddr add {address}/{PREFIX} dev {DEVICE}\n"
    ))?;
    Ok((File::open("/proc/thread-self/ns/net")?, device))
}

fn said(what: &str, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{what}: {error}"))
}

/// Runs these commands of `ip` in the namespace of the calling thread.
fn ip(commands: &str) -> io::Result<()> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| said("the command `ip` (Debian's package iproute2)", &error))?;
    child.stdin.take().expect("it is piped").write_all(commands.as_bytes())?;
    let done = child.wait_with_output()?;
    match done.status.success() {
        true => Ok(()),
        false => Err(said("ip", &String::from_utf8_lossy(&done.stderr).trim())),
    }
}
