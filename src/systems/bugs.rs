//! The zoo: switchable bugs of the kinds that engineers ship, for the checks to find.
//!
//! A bug is the smallest change that a reasonable person might make to a system, in the layer where such bugs are made.
//! A system with a bug is a [`System`](super::System) of its own, named after the bug, so it runs, sweeps, replays and shrinks like
//! any other. Nothing here says how a bug is found: all are hunted with the same nemesis and the same checks.

use std::fmt;

/// The layer of a system that a bug is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Layer {
    /// What reaches the disk, and when.
    Storage,
    /// Snapshots and purging.
    Snapshots,
    /// Messages.
    Network,
    /// Elections and takeovers.
    Elections,
    /// The members of the cluster.
    Membership,
    /// The state machine.
    Apply,
    /// Retries, and the choice of the node to ask.
    Sessions,
    /// Reads, and how their answers are obtained.
    Reads,
    /// Writes, and what an acknowledgement promises.
    Writes,
}

impl Layer {
    /// The name used in tables and JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The system in which a bug is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The replicated store on openraft.
    Raft,
    /// A primary that acknowledges what every backup has.
    PrimaryBackupSync,
    /// A primary that holds a lease of a majority.
    Lease,
}

/// A bug's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Species {
    /// The name on the command line.
    pub name: &'static str,
    /// The layer that has it.
    pub layer: Layer,
    /// The system without it.
    pub base: Base,
    /// What it does, in one sentence.
    pub does: &'static str,
    /// Where a bug of this kind was seen: a name and an address.
    pub seen: (&'static str, &'static str),
    /// Why the nemesis rarely triggers it, if that is so.
    pub hides: Option<&'static str>,
}

macro_rules! zoo {
    ($($bug:ident = $name:literal, $layer:ident, $base:ident, $does:literal, ($seen:literal, $address:literal)
        $(, hides $hides:literal)?;)*) => {
        /// A switchable bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Bug {
            $(#[doc = $does] $bug,)*
        }

        impl Bug {
            /// Every bug, by system and layer; those of [`Bug::UNTUNED`] last.
            pub const ALL: &'static [Bug] = &[$(Bug::$bug),*];

            /// Its description.
            pub fn species(self) -> Species {
                match self {
                    $(Bug::$bug => Species {
                        name: $name,
                        layer: Layer::$layer,
                        base: Base::$base,
                        does: $does,
                        seen: ($seen, $address),
                        hides: [$($hides)?].first().copied(),
                    },)*
                }
            }
        }
    };
}

zoo! {
    RaftAmnesia = "raft-amnesia", Storage, Raft,
        "A node forgets its vote whenever it starts.",
        ("PySyncObj #202", "https://github.com/bakwc/PySyncObj/pull/202");
    VoteNotSynced = "vote-not-synced", Storage, Raft,
        "A vote is answered at once, and reaches the disk seconds later, because no sync was requested.",
        ("hashicorp/raft #661", "https://github.com/hashicorp/raft/issues/661");
    AcknowledgedBeforeSync = "acknowledged-before-sync", Storage, Raft,
        "Entries are reported durable once they are written, before they are synced.",
        ("robustmq #2039", "https://github.com/robustmq/robustmq/pull/2039");
    SyncErrorIgnored = "sync-error-ignored", Storage, Raft,
        "When a commit to disk fails, the next one is made as if nothing were missing.",
        ("PostgreSQL, 2018", "https://wiki.postgresql.org/wiki/Fsync_Errors");
    TruncationLost = "truncation-lost", Storage, Raft,
        "A conflicting tail of the log is removed in memory but not on disk, and comes back at the next start.",
        ("etcd #22442", "https://github.com/etcd-io/etcd/issues/22442");
    BlankStart = "blank-start", Storage, Raft,
        "A node that cannot open its storage starts with an empty one, under its old name.",
        ("etcd #12227", "https://github.com/etcd-io/etcd/issues/12227");
    ReadAfterRestart = "read-after-restart", Storage, Raft,
        "The committed index may be lost with the process: a leader that restarts within its term answers reads \
            before it has reapplied the writes that it had acknowledged.",
        ("openraft #1511", "https://github.com/databendlabs/openraft/issues/1511"),
        hides "The leader must be killed and be back before another node is elected. And a cut must keep a majority \
            from accepting its log, yet not from confirming it as leader, until a client has read what it wrote \
            before.";
    SnapshotWithoutSessions = "snapshot-without-sessions", Snapshots, Raft,
        "A snapshot contains the values but not the clients' sessions.",
        ("curvine #676", "https://github.com/CurvineIO/curvine/issues/676");
    SnapshotBehindItsLabel = "snapshot-behind-its-label", Snapshots, Raft,
        "A snapshot is labelled with the last entry applied when it is finished, not when its data was taken.",
        ("etcd #8091 (raftexample)", "https://github.com/etcd-io/etcd/issues/8091");
    SnapshotMerged = "snapshot-merged", Snapshots, Raft,
        "An installed snapshot is merged into the old state instead of replacing it.",
        ("jgroups-raft #301", "https://github.com/jgroups-extras/jgroups-raft/issues/301");
    PurgePastSnapshot = "purge-past-snapshot", Snapshots, Raft,
        "The log is purged past the end of the snapshot, by as many entries as should have been kept.",
        ("braft #461", "https://github.com/baidu/braft/pull/461");
    ReplyToWrongRequest = "reply-to-wrong-request", Network, Raft,
        "A reply that arrives after its caller gave up is taken for the answer to the next request.",
        ("redis-py #2624", "https://github.com/redis/redis-py/issues/2624");
    TruncatedFrameAccepted = "truncated-frame-accepted", Network, Raft,
        "The entries of a large message beyond the first read are dropped, and it is answered as if it were complete.",
        ("requests #4956", "https://github.com/psf/requests/issues/4956");
    RaftUnfenced = "raft-unfenced", Network, Raft,
        "A deposed leader goes on replicating, and sends entries that its log got from its successor (openraft \
            0.9.24 and 0.9.25 do that).",
        ("openraft #1184", "https://github.com/databendlabs/openraft/issues/1184"),
        hides "The deposed leader must have its successor's entries, a replication task that has not heard of the \
            successor, and a follower that has not heard of it either. `schism sweep deposed-leader --bug \
            raft-unfenced` sets that up and finds the bug.";
    VoteIgnoresLog = "vote-ignores-log", Elections, Raft,
        "A voter does not check whether the candidate's log is as up to date as its own.",
        ("akka-raft #51", "https://github.com/ktoso/akka-raft/issues/51");
    MembershipNotSaved = "membership-not-saved", Membership, Raft,
        "The membership is not part of the saved state or of snapshots: a node that starts, or installs a \
            snapshot, uses the first configuration.",
        ("swarmkit #238", "https://github.com/moby/swarmkit/pull/238");
    SessionsExpireByClock = "sessions-expire-by-clock", Apply, Raft,
        "Each replica expires a session by its own clock, after it has been idle for a second.",
        ("databend #7325", "https://github.com/databendlabs/databend/pull/7325");
    RetryAppliedAgain = "retry-applied-again", Sessions, Raft,
        "A command that arrives a second time is applied a second time.",
        ("Jepsen: jetcd 0.8.2", "https://jepsen.io/analyses/jetcd-0.8.2");
    RefusedAfterAppend = "refused-after-append", Sessions, Raft,
        "A deposed leader reports a command as refused although it is already in its log, and maybe in others.",
        ("openraft #2095", "https://github.com/databendlabs/openraft/issues/2095"),
        hides "The client asks the next node under the same session number, which answers from the session. The \
            refusal is contradicted only if an entry commits although every attempt of its operation was \
            refused, for all of the 2.5 s that a client tries.";
    ReadWithoutReadIndex = "read-without-read-index", Reads, Raft,
        "A node that believes it is the leader answers reads without asking a majority.",
        ("etcd #741", "https://github.com/etcd-io/etcd/issues/741");
    LeaseRead = "lease-read", Reads, Raft,
        "A leader answers reads without asking a majority for as long as, by its own clock, no other node can \
            have been elected.",
        ("tikv #964", "https://github.com/tikv/tikv/issues/964");
    StaleLeaderCache = "stale-leader-cache", Reads, Raft,
        "A node looks up whether it leads at most once in two seconds, and answers reads by the cached result.",
        ("redpanda #3800", "https://github.com/redpanda-data/redpanda/pull/3800");
    CasOutsideLog = "cas-outside-log", Writes, Raft,
        "A compare-and-set compares with the leader's applied state, and then proposes a plain write.",
        ("nats-server #4320", "https://github.com/nats-io/nats-server/issues/4320");
    AcknowledgedBeforeCommit = "acknowledged-before-commit", Writes, Raft,
        "A leader acknowledges a write once it is in its own log.",
        ("Jepsen: MongoDB (2013)", "https://aphyr.com/posts/284-jepsen-mongodb");
    AcknowledgedBeforeBackup = "acknowledged-before-backup", Writes, PrimaryBackupSync,
        "A primary acknowledges a write before its backups, or its own disk, have confirmed it.",
        ("Jepsen: Redis (2013)", "https://aphyr.com/posts/283-jepsen-redis");
    LastWriterWins = "last-writer-wins", Apply, PrimaryBackupSync,
        "Of two writes to a key the one with the later wall-clock time wins, whichever came last.",
        ("Riak, 2013", "https://basho.com/clocks-are-bad-or-welcome-to-distributed-systems/");
    LateDuplicateApplied = "late-duplicate-applied", Apply, Lease,
        "A backup applies a late or duplicated update without checking its number.",
        ("cockroach #39064", "https://github.com/cockroachdb/cockroach/pull/39064");
    EarlyTakeover = "early-takeover", Elections, Lease,
        "A new primary takes over after half of the old one's lease.",
        ("kubernetes #114872", "https://github.com/kubernetes/kubernetes/pull/114872");
    // The untuned ones: see [`Bug::UNTUNED`].
    FlushTimeoutIgnored = "flush-timeout-ignored", Storage, Raft,
        "An append whose flush takes longer than 250 ms is reported durable.",
        ("viperblock #95", "https://github.com/mulgadc/viperblock/pull/95");
    VoteTimeoutIgnored = "vote-timeout-ignored", Storage, Raft,
        "A vote whose flush takes longer than 150 ms is answered before it is durable.",
        ("viperblock #63", "https://github.com/mulgadc/viperblock/pull/63");
    SessionsLostAtRestart = "sessions-lost-at-restart", Storage, Raft,
        "A process that starts finds the values of its state machine, and not the clients' sessions.",
        ("RaftKeeper #332", "https://github.com/JDRaftKeeper/RaftKeeper/issues/332");
    InstallNotSynced = "install-not-synced", Snapshots, Raft,
        "An installed snapshot is confirmed before it is durable.",
        ("nats-server #8425", "https://github.com/nats-io/nats-server/issues/8425");
    VoteComparesLength = "vote-compares-length", Elections, Raft,
        "A voter compares how long the logs are, and not the terms of their last entries.",
        ("noraft #22", "https://github.com/sile/noraft/pull/22");
    SessionsCapped = "sessions-capped", Sessions, Raft,
        "A replica keeps eight sessions, and forgets the oldest of more.",
        ("ArcadeDB #5023", "https://github.com/ArcadeData/arcadedb/issues/5023");
    ReadNotAwaited = "read-not-awaited", Reads, Raft,
        "A leader has a majority confirm that it leads, and reads without waiting until it has applied what was committed.",
        ("braft #315", "https://github.com/baidu/braft/pull/315");
    LeaseFromAnswer = "lease-from-answer", Reads, Raft,
        "A leader counts the lease by which it reads from the majority's answer instead of its own request.",
        ("sofa-jraft #26", "https://github.com/sofastack/sofa-jraft/pull/26");
    QuorumOffByOne = "quorum-off-by-one", Writes, Lease,
        "A primary acknowledges what one node fewer than a majority holds.",
        ("async-raft #143", "https://github.com/async-raft/async-raft/pull/143");
    ClosedSegmentNotSynced = "closed-segment-not-synced", Storage, Raft,
        "The log is a row of segments of 64 entries, and entries that end a segment are not synced.",
        ("yugabyte-db #3490", "https://github.com/yugabyte/yugabyte-db/issues/3490");
    VoteRewrittenInPlace = "vote-rewritten-in-place", Storage, Raft,
        "A vote is saved in two steps: the old one is deleted, and then the new one is written.",
        ("ClickHouse #111454", "https://github.com/ClickHouse/ClickHouse/issues/111454");
    InstallClearsFirst = "install-clears-first", Snapshots, Raft,
        "A node that installs a snapshot deletes what is on its disk, its vote too, before it writes the snapshot.",
        ("verdi-raft #51", "https://github.com/uwplse/verdi-raft/issues/51");
    ReadBeforeNoop = "read-before-noop", Reads, Raft,
        "A new leader reads at the commit index that it knows, before it has committed an entry of its own term.",
        ("etcd #7331", "https://github.com/etcd-io/etcd/issues/7331");
    GrantForgotten = "grant-forgotten", Elections, Lease,
        "A node that restarts grants a lease at once, although the one that it had granted may not be over.",
        ("tikv #15035", "https://github.com/tikv/tikv/issues/15035");
}

impl Bug {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.species().name
    }

    /// The bugs on which neither nemesis nor checks were tuned: planted after both, and to be left as they are found or
    /// missed. What is found of these says more about other bugs than what is found of the rest.
    pub const UNTUNED: &'static [Bug] = &[
        Bug::FlushTimeoutIgnored,
        Bug::VoteTimeoutIgnored,
        Bug::SessionsLostAtRestart,
        Bug::InstallNotSynced,
        Bug::VoteComparesLength,
        Bug::SessionsCapped,
        Bug::ReadNotAwaited,
        Bug::LeaseFromAnswer,
        Bug::QuorumOffByOne,
        Bug::ClosedSegmentNotSynced,
        Bug::VoteRewrittenInPlace,
        Bug::InstallClearsFirst,
        Bug::ReadBeforeNoop,
        Bug::GrantForgotten,
    ];

    /// The bugs on which nemesis and checks were tuned, by system and layer.
    pub fn tuned() -> impl Iterator<Item = Bug> {
        Bug::ALL.iter().copied().filter(|bug| !Bug::UNTUNED.contains(bug))
    }

    /// The bug of this name.
    pub fn named(name: &str) -> Option<Bug> {
        Bug::ALL.iter().copied().find(|bug| bug.name() == name)
    }
}

/// Another engine with the same store, in which some of the bugs are planted, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ground {
    /// The store on raft-rs.
    RaftRs,
    /// The store on openraft 0.10.
    Raft010,
}

/// A bug in the store on another engine: one that is no matter of the engine that it was first planted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Transplant {
    /// The bug.
    pub bug: Bug,
    /// The engine.
    pub ground: Ground,
    /// The name on the command line.
    pub name: &'static str,
}

/// The same bugs for each engine.
macro_rules! transplants {
    ($($bug:ident = $name:literal),* $(,)?) => {
        &[
            $(Transplant { bug: Bug::$bug, ground: Ground::RaftRs, name: concat!("raft-rs-", $name) },)*
            $(Transplant { bug: Bug::$bug, ground: Ground::Raft010, name: concat!("raft-0.10-", $name) },)*
        ]
    };
}

impl Transplant {
    /// All of them, by engine.
    pub const ALL: &'static [Transplant] = transplants! {
        RaftAmnesia = "amnesia",
        AcknowledgedBeforeSync = "acknowledged-before-sync",
        SyncErrorIgnored = "sync-error-ignored",
        BlankStart = "blank-start",
        SnapshotWithoutSessions = "snapshot-without-sessions",
        RetryAppliedAgain = "retry-applied-again",
        RefusedAfterAppend = "refused-after-append",
        ReadWithoutReadIndex = "read-without-read-index",
    };

    /// The one with this bug on this engine, if there is one.
    pub fn of(bug: Bug, ground: Ground) -> Option<Transplant> {
        Transplant::ALL.iter().copied().find(|transplant| (transplant.bug, transplant.ground) == (bug, ground))
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_bug_has_a_name_of_its_own_and_was_seen_somewhere() {
        let names: BTreeSet<&str> = Bug::ALL.iter().map(|bug| bug.name()).collect();
        assert_eq!(names.len(), Bug::ALL.len());
        for bug in Bug::ALL {
            assert_eq!(Bug::named(bug.name()), Some(*bug));
            let Species { does, seen: (place, address), .. } = bug.species();
            assert!(does.ends_with('.') && !place.is_empty() && address.starts_with("https://"), "{bug}");
        }
        let in_raft = Bug::ALL.iter().filter(|bug| bug.species().base == Base::Raft);
        assert!(Bug::ALL.len() >= 20 && in_raft.count() >= 12);
    }
}
