//! The combined effect of the active faults on one link, one process, one disk, one clock.

/// What the active faults do to messages in one direction of a link.
///
/// The three fields are independent facts. When several hold, cut wins over hold and hold over delay:
/// [`LinkState::passage`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkState {
    /// Nothing passes.
    pub cut: bool,
    /// Messages are held back until the last hold ends.
    pub hold: bool,
    /// Messages take this much longer, in nanoseconds.
    pub extra_ns: u64,
}

/// What happens to a message that is sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It is lost.
    Cut,
    /// It is held back.
    Held,
    /// It passes, this many nanoseconds later than usual.
    Open {
        /// The extra delay.
        extra_ns: u64,
    },
}

impl LinkState {
    /// The three facts, reduced by their order of precedence.
    pub fn passage(self) -> Passage {
        match self {
            LinkState { cut: true, .. } => Passage::Cut,
            LinkState { hold: true, .. } => Passage::Held,
            LinkState { extra_ns, .. } => Passage::Open { extra_ns },
        }
    }
}

/// What the active faults do to a node's process. If several apply, the later in this order wins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProcessState {
    /// Nothing.
    #[default]
    Running,
    /// It is paused, as by SIGSTOP.
    Paused,
    /// It is dead, until the last kill that concerns it ends.
    Down,
    /// It is dead and its disk has no power, until the last power loss that concerns it ends.
    Off,
}

impl ProcessState {
    /// Whether the process is dead.
    pub fn is_dead(self) -> bool {
        self >= ProcessState::Down
    }
}

/// What the active faults do to a node's disk. If several apply, the slowest and the worst win.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskState {
    /// Each operation takes this much longer, in nanoseconds.
    pub extra_ns: u64,
    /// Each operation fails.
    pub fails: bool,
    /// Writes that need more space fail.
    pub full: bool,
    /// Syncs are reported as done, and are not.
    pub loses_syncs: bool,
    /// Probability that a read is corrupted, in parts per million.
    pub corrupt_ppm: u32,
    /// Unsynced writes may be torn when the power goes.
    pub torn: bool,
    /// The power goes at the n-th operation from now on: the fault, and n.
    pub power_at: Option<(u32, u64)>,
}

impl DiskState {
    /// The combined state of both.
    pub fn and(&self, other: &DiskState) -> DiskState {
        DiskState {
            extra_ns: self.extra_ns.max(other.extra_ns),
            fails: self.fails | other.fails,
            full: self.full | other.full,
            loses_syncs: self.loses_syncs | other.loses_syncs,
            corrupt_ppm: self.corrupt_ppm.max(other.corrupt_ppm),
            torn: self.torn | other.torn,
            power_at: self.power_at.or(other.power_at),
        }
    }
}

/// The slowest that a clock runs, in parts per million of its rate: ten times slower than true time.
pub const SLOWEST_PPM: i64 = -900_000;
/// The fastest: ten times faster than true time.
pub const FASTEST_PPM: i64 = 9_000_000;

/// How wrong a node's clock is. Offsets and drifts of several faults add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockState {
    /// Added to the time of day that it reads, in nanoseconds.
    pub offset_ns: i64,
    /// How much faster than true time it runs, in parts per million.
    pub drift_ppm: i64,
}

impl ClockState {
    /// The combined state of both.
    pub fn and(&self, other: &ClockState) -> ClockState {
        ClockState {
            offset_ns: self.offset_ns.saturating_add(other.offset_ns),
            drift_ppm: self.drift_ppm.saturating_add(other.drift_ppm),
        }
    }
}
