//! A node's disk: a simulated block device under [`redb::StorageBackend`].
//!
//! Writes go to the image that the machine sees, and are remembered until a sync makes them durable. A **process kill**
//! leaves the image as it is: the operating system will write it. A **power loss** takes the image back to what was
//! durable; if it tears, some of the unsynced writes reach the disk. Either way the dead process's handle is dead too.
//! redb flushes when it is dropped: if the process's destructors could still write, a power loss would be a clean
//! shutdown.
//!
//! Where the host is a process of the operating system, its disk is a file of the machine's, without faults.
//!
//! A sync takes no time here, since redb calls it from the middle of a commit. Instead the writer waits for
//! [`Host::disk_latency`] *before* it syncs, so that the power can go between the write and the sync.

use super::fabric::Fabric;
use super::outside::Outside;
use super::{Host, lock};
use crate::fault::fold::DiskState;
use crate::rng;
use crate::trace::{HostId, What};
use redb::StorageBackend;
use redb::backends::FileBackend;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a sync takes on a healthy disk.
const SYNC: Duration = Duration::from_millis(1);
/// The size of an atomic write: a torn write ends at a multiple of this.
const SECTOR: usize = 512;

/// The disk of a host. It outlives the host's processes.
pub(super) struct Disk {
    host: HostId,
    fabric: Arc<Fabric>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The content that a reader sees.
    image: Vec<u8>,
    /// The content that remains after a power loss.
    durable: Vec<u8>,
    unsynced: Vec<Unsynced>,
    /// The number of the process that may use the disk; handles of earlier ones are dead.
    process: u64,
    /// Writes and syncs so far.
    operations: u64,
    /// Reads so far.
    reads: u64,
    /// Whether the power is gone.
    is_off: bool,
    /// The power loss that waits for an operation, and that operation's number.
    armed: Option<(u32, u64)>,
}

enum Unsynced {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Unsynced {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Unsynced::Length(length) => image.resize(*length, 0),
            Unsynced::Write { at, bytes } => {
                if image.len() < at + bytes.len() {
                    image.resize(at + bytes.len(), 0);
                }
                image[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }

    /// The part of an unsynced write that reaches a disk that tears, chosen by a hash of its place and number: all of
    /// it, its first sectors, or nothing.
    fn tear(&self, seed: u64, number: usize) -> Option<Unsynced> {
        let Unsynced::Write { at, bytes } = self else {
            return (rng::hash(seed, &[number as u64]) & 1 == 0).then(|| self.copy());
        };
        let draw = rng::hash(seed, &[number as u64, *at as u64]);
        let sectors = bytes.len().div_ceil(SECTOR) as u64;
        match draw & 3 {
            0 | 1 => None,
            2 => Some(self.copy()),
            _ => {
                let length = (rng::below(draw >> 2, sectors) as usize * SECTOR).min(bytes.len());
                Some(Unsynced::Write { at: *at, bytes: bytes[..length].to_vec() })
            }
        }
    }

    fn copy(&self) -> Unsynced {
        match self {
            Unsynced::Length(length) => Unsynced::Length(*length),
            Unsynced::Write { at, bytes } => Unsynced::Write { at: *at, bytes: bytes.clone() },
        }
    }
}

impl Disk {
    pub(super) fn new(host: HostId, fabric: Arc<Fabric>) -> Disk {
        Disk { host, fabric, state: Mutex::default() }
    }

    /// The process has died: its handle is dead.
    pub(super) fn detach(&self) {
        lock(&self.state).process += 1;
    }

    /// The power goes.
    fn power_off(&self, torn: bool) {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        state.process += 1;
        if std::mem::replace(&mut state.is_off, true) {
            return;
        }
        let unsynced = std::mem::take(&mut state.unsynced);
        if torn {
            let seed = rng::hash(self.fabric.seed(), &[0x7465_6172, u64::from(self.host.0), state.operations]);
            let through = unsynced.iter().enumerate().filter_map(|(number, write)| write.tear(seed, number));
            through.for_each(|write| write.apply(&mut state.durable));
        }
        state.image.clone_from(&state.durable);
        drop(guard);
        self.fabric.recorder().record(self.host, What::PowerOff { lost: unsynced.len() as u32 });
    }

    /// A process starts, on a disk that has power.
    pub(super) fn power_on(&self) {
        lock(&self.state).is_off = false;
    }

    fn faults(&self) -> DiskState {
        self.fabric.with_active(|active| active.disk(self.host))
    }

    /// Counts a write or sync. Fails if it is the operation at which the power goes.
    fn count(&self, faults: &DiskState) -> io::Result<()> {
        let struck = {
            let mut state = lock(&self.state);
            state.operations += 1;
            match faults.power_at {
                None => {
                    state.armed = None;
                    None
                }
                Some((fault, n)) => {
                    let now = state.operations;
                    let (_, at) = *state.armed.get_or_insert((fault, now + n - 1));
                    (now >= at).then_some(fault)
                }
            }
        };
        match struck {
            None => Ok(()),
            Some(fault) => {
                self.power_off(faults.torn);
                self.fabric.processes().strike(fault);
                Err(io::Error::other("the power has gone (simulated)"))
            }
        }
    }
}

/// The disk, as opened by one process.
#[derive(Debug, Clone)]
pub enum DiskFile {
    /// A simulated disk.
    Simulated(Handle),
    /// A file of the machine's; or why it cannot be opened, as a file or because another process has it.
    Real(Result<Arc<FileBackend>, Arc<str>>),
}

/// A simulated disk, as opened by one process.
#[derive(Clone)]
pub struct Handle {
    disk: Arc<Disk>,
    process: u64,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DiskFile({})", self.disk.host)
    }
}

impl Handle {
    /// The active disk faults; an error if this handle is dead or the disk does not answer.
    fn usable(&self) -> io::Result<DiskState> {
        if lock(&self.disk.state).process != self.process {
            return Err(io::Error::other("the process has died (simulated)"));
        }
        let faults = self.disk.faults();
        if faults.fails {
            return Err(io::Error::other("the disk failed (simulated)"));
        }
        Ok(faults)
    }

    fn change(&self, change: Unsynced) -> io::Result<()> {
        let faults = self.usable()?;
        let end = match &change {
            Unsynced::Length(length) => *length,
            Unsynced::Write { at, bytes } => at + bytes.len(),
        };
        if faults.full && end > lock(&self.disk.state).image.len() {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.disk.count(&faults)?;
        let mut state = lock(&self.disk.state);
        change.apply(&mut state.image);
        state.unsynced.push(change);
        Ok(())
    }
}

impl DiskFile {
    fn open(path: &Path) -> DiskFile {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let backend = file
            .map_err(|error| error.to_string())
            .and_then(|file| FileBackend::new(file).map(Arc::new).map_err(|error| error.to_string()));
        DiskFile::Real(backend.map_err(|why| format!("{}: {why}", path.display()).into()))
    }

    fn device(&self) -> io::Result<&dyn StorageBackend> {
        match self {
            DiskFile::Simulated(handle) => Ok(handle),
            DiskFile::Real(Ok(file)) => Ok(&**file),
            DiskFile::Real(Err(why)) => Err(io::Error::other(why.to_string())),
        }
    }
}

impl StorageBackend for DiskFile {
    fn len(&self) -> io::Result<u64> {
        self.device()?.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.device()?.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.device()?.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.device()?.sync_data()
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.device()?.write(offset, bytes)
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        self.usable()?;
        Ok(lock(&self.disk.state).image.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let faults = self.usable()?;
        let mut state = lock(&self.disk.state);
        let from = offset as usize;
        let bytes =
            state.image.get(from..from + out.len()).ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(bytes);
        state.reads += 1;
        if faults.corrupt_ppm > 0 && !out.is_empty() {
            let draw = rng::hash(self.disk.fabric.seed(), &[0x6269_7473, u64::from(self.disk.host.0), state.reads]);
            if rng::happens(draw, faults.corrupt_ppm) {
                let bit = rng::below(rng::hash(draw, &[1]), out.len() as u64 * 8) as usize;
                out[bit / 8] ^= 1 << (bit % 8);
            }
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Unsynced::Length(length as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        let faults = self.usable()?;
        self.disk.count(&faults)?;
        let mut guard = lock(&self.disk.state);
        let state = &mut *guard;
        let writes = state.unsynced.len() as u32;
        if !faults.loses_syncs {
            for write in state.unsynced.drain(..) {
                write.apply(&mut state.durable);
            }
        }
        drop(guard);
        self.disk.fabric.recorder().record(self.disk.host, What::Sync { writes });
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(Unsynced::Write { at: offset as usize, bytes: bytes.to_vec() })
    }
}

impl Host {
    /// This host's disk, for the process that runs now. The handles of other processes fail on every call.
    pub fn disk(&self) -> DiskFile {
        if let Some(Outside { disk: Some(path), .. }) = self.fabric().outside() {
            return DiskFile::open(path);
        }
        let disk = self.disk_device().clone();
        let process = lock(&disk.state).process;
        DiskFile::Simulated(Handle { disk, process })
    }

    /// How long a writer waits before it syncs this host's disk now; a real one takes its time in the sync itself.
    pub fn disk_latency(&self) -> Duration {
        if self.fabric().outside().is_some() {
            return Duration::ZERO;
        }
        SYNC + Duration::from_nanos(self.disk_device().faults().extra_ns)
    }

    /// Whether this host's disk holds writes that are not synced.
    pub fn has_unsynced_writes(&self) -> bool {
        !lock(&self.disk_device().state).unsynced.is_empty()
    }

    /// The process has died. The kernel has what it wrote.
    pub fn detach_disk(&self) {
        self.disk_device().detach();
    }

    /// The power has gone. Writes that were not synced are lost, or torn.
    pub fn power_off(&self) {
        let disk = self.disk_device();
        disk.power_off(disk.faults().torn);
    }
}
