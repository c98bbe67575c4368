//! A node's disk: a simulated block device under [`redb::StorageBackend`].
//!
//! Writes go to the image that the machine sees. What each overwrote is remembered until a sync makes it durable: a sync
//! forgets, and copies nothing. A **process kill** leaves the image as it is: the operating system will write it. A **power
//! loss** takes back what was not durable, the last write first; if it tears, some of the unsynced writes reach the disk all
//! the same. Either way the dead process's handle is dead too.
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
    image: Image,
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

/// What is on a disk, and how to get back to what is durable.
#[derive(Default)]
struct Image {
    /// The content that a reader sees.
    bytes: Vec<u8>,
    unsynced: Vec<Unsynced>,
    /// What the unsynced changes overwrote or cut off, one after the other.
    overwritten: Vec<u8>,
}

/// A change that a power loss takes back.
struct Unsynced {
    /// The length of the image before.
    length: usize,
    /// How many bytes of [`Image::overwritten`] are its own.
    saved: usize,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Write { at: usize, length: usize },
    Length(usize),
}

/// An unsynced change that a power loss has taken back, and that a disk which tears may have made all the same.
enum Lost {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Image {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        let (length, end) = (self.bytes.len(), at + bytes.len());
        let old = &self.bytes[at.min(length)..end.min(length)];
        self.overwritten.extend_from_slice(old);
        let kind = Kind::Write { at, length: bytes.len() };
        self.unsynced.push(Unsynced { length, saved: old.len(), kind });
        self.put(at, bytes);
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[at..end].copy_from_slice(bytes);
    }

    fn set_length(&mut self, to: usize) {
        let length = self.bytes.len();
        let cut_off = &self.bytes[to.min(length)..];
        self.overwritten.extend_from_slice(cut_off);
        self.unsynced.push(Unsynced { length, saved: cut_off.len(), kind: Kind::Length(to) });
        self.bytes.resize(to, 0);
    }

    /// What is on the disk is durable.
    fn sync(&mut self) {
        self.unsynced.clear();
        self.overwritten.clear();
    }

    /// Goes back to what was durable, and returns what that took back, in the order in which it had been made.
    fn take_back(&mut self) -> Vec<Lost> {
        let mut lost: Vec<Lost> = Vec::with_capacity(self.unsynced.len());
        while let Some(Unsynced { length, saved, kind }) = self.unsynced.pop() {
            let at = match kind {
                Kind::Write { at, length } => {
                    // All later writes are taken back already.
                    lost.push(Lost::Write { at, bytes: self.bytes[at..at + length].to_vec() });
                    at
                }
                Kind::Length(to) => {
                    lost.push(Lost::Length(to));
                    to
                }
            };
            self.bytes.resize(length, 0);
            let old = self.overwritten.split_off(self.overwritten.len() - saved);
            if !old.is_empty() {
                self.bytes[at..at + saved].copy_from_slice(&old);
            }
        }
        lost.reverse();
        lost
    }

    /// A change that the power loss did not prevent.
    fn keep(&mut self, change: Lost) {
        match change {
            Lost::Write { at, bytes } => self.put(at, &bytes),
            Lost::Length(to) => self.bytes.resize(to, 0),
        }
    }
}

impl Lost {
    /// The part of it that reaches a disk that tears, chosen by a hash of its place and number: all of it, its first
    /// sectors, or nothing.
    fn torn(self, seed: u64, number: usize) -> Option<Lost> {
        let Lost::Write { at, mut bytes } = self else {
            return (rng::hash(seed, &[number as u64]) & 1 == 0).then_some(self);
        };
        let draw = rng::hash(seed, &[number as u64, at as u64]);
        let sectors = bytes.len().div_ceil(SECTOR) as u64;
        match draw & 3 {
            0 | 1 => return None,
            2 => {}
            _ => bytes.truncate(rng::below(draw >> 2, sectors) as usize * SECTOR),
        }
        Some(Lost::Write { at, bytes })
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
        let taken_back = state.image.take_back();
        let lost = taken_back.len() as u32;
        if torn {
            let seed = rng::hash(self.fabric.seed(), &[0x7465_6172, u64::from(self.host.0), state.operations]);
            let through = taken_back.into_iter().enumerate().filter_map(|(number, change)| change.torn(seed, number));
            through.for_each(|change| state.image.keep(change));
        }
        drop(guard);
        self.fabric.recorder().record(self.host, What::PowerOff { lost });
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

    /// Counts an operation that needs the image to have `end` bytes, and makes it.
    fn change(&self, end: usize, change: impl FnOnce(&mut Image)) -> io::Result<()> {
        let faults = self.usable()?;
        if faults.full && end > lock(&self.disk.state).image.bytes.len() {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.disk.count(&faults)?;
        change(&mut lock(&self.disk.state).image);
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
        Ok(lock(&self.disk.state).image.bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let faults = self.usable()?;
        let mut state = lock(&self.disk.state);
        let from = offset as usize;
        let bytes = state
            .image
            .bytes
            .get(from..from + out.len())
            .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
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
        let length = length as usize;
        self.change(length, |image| image.set_length(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        let faults = self.usable()?;
        self.disk.count(&faults)?;
        let mut state = lock(&self.disk.state);
        let writes = state.image.unsynced.len() as u32;
        if !faults.loses_syncs {
            state.image.sync();
        }
        drop(state);
        self.disk.fabric.recorder().record(self.disk.host, What::Sync { writes });
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let at = offset as usize;
        self.change(at + bytes.len(), |image| image.write(at, bytes))
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
        !lock(&self.disk_device().state).image.unsynced.is_empty()
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Step {
        Write(usize, Vec<u8>),
        Length(usize),
        Sync,
        PowerLoss,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let write =
            (0..40usize, prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(at, bytes)| Step::Write(at, bytes));
        let step = prop_oneof![
            6 => write,
            2 => (0..40usize).prop_map(Step::Length),
            1 => Just(Step::Sync),
            1 => Just(Step::PowerLoss),
        ];
        prop::collection::vec(step, 0..40)
    }

    /// A disk by its definition: two copies of the content, and the changes that are in one of them only.
    #[derive(Default)]
    struct Plain {
        seen: Vec<u8>,
        durable: Vec<u8>,
        unsynced: Vec<Step>,
    }

    impl Plain {
        fn make(bytes: &mut Vec<u8>, step: &Step) {
            match step {
                Step::Write(at, new) => {
                    bytes.resize(bytes.len().max(at + new.len()), 0);
                    bytes[*at..at + new.len()].copy_from_slice(new);
                }
                Step::Length(length) => bytes.resize(*length, 0),
                Step::Sync | Step::PowerLoss => {}
            }
        }
    }

    proptest! {
        #[test]
        fn what_a_power_loss_leaves_is_what_was_durable(steps in steps()) {
            let (mut image, mut plain) = (Image::default(), Plain::default());
            for step in steps {
                match &step {
                    Step::Write(at, bytes) => image.write(*at, bytes),
                    Step::Length(to) => image.set_length(*to),
                    Step::Sync => {
                        image.sync();
                        plain.durable.clone_from(&plain.seen);
                        plain.unsynced.clear();
                    }
                    Step::PowerLoss => {
                        let lost = image.take_back();
                        prop_assert_eq!(lost.len(), plain.unsynced.len());
                        for (lost, made) in lost.iter().zip(&plain.unsynced) {
                            let is_same = match (lost, made) {
                                (Lost::Write { at, bytes }, Step::Write(made_at, made)) => (at, bytes) == (made_at, made),
                                (Lost::Length(to), Step::Length(made)) => to == made,
                                _ => false,
                            };
                            prop_assert!(is_same);
                        }
                        plain.seen.clone_from(&plain.durable);
                        plain.unsynced.clear();
                    }
                }
                Plain::make(&mut plain.seen, &step);
                if matches!(step, Step::Write(..) | Step::Length(_)) {
                    plain.unsynced.push(step);
                }
                prop_assert_eq!(&image.bytes, &plain.seen);
            }
        }
    }
}
