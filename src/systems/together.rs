//! Several bugs at once in one system: `a+b`.

use super::bugs::{Base, Bug};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

/// Separates the names of bugs that are in a system together.
const AND: char = '+';

/// The bugs that a system has: at least one, all for the same system.
///
/// Where two replace the same step, the one that goes further acts: a node that reads without asking anybody needs no lease.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bugs(u64);

const _: () = assert!(Bug::ALL.len() <= u64::BITS as usize, "each bug is a bit");

impl From<Bug> for Bugs {
    fn from(bug: Bug) -> Bugs {
        Bugs(1 << bug as u64)
    }
}

/// Why some names are not bugs that a system can have together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTogether {
    /// There is no such bug.
    #[error("there is no bug `{0}`")]
    Unknown(String),
    /// They are planted in different systems.
    #[error("`{0}` is planted in {1} and `{2}` in {3}: one run has one system")]
    Apart(Bug, &'static str, Bug, &'static str),
}

impl Bugs {
    /// Whether this bug is one of them.
    pub fn has(self, bug: Bug) -> bool {
        self.0 & Bugs::from(bug).0 != 0
    }

    /// Each of them, in the order of [`Bug::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Bug> {
        Bug::ALL.iter().copied().filter(move |bug| self.has(*bug))
    }

    fn first(self) -> Bug {
        self.iter().next().expect("there is at least one")
    }

    /// The system that they are planted in.
    pub fn base(self) -> Base {
        self.first().species().base
    }

    /// Their names, joined, in the order of [`Bug::ALL`]: the name of the system that has them.
    pub fn name(self) -> &'static str {
        // Like the names of single bugs they live as long as the process; there are as many as anybody asks for by name.
        static NAMES: Mutex<BTreeMap<Bugs, &'static str>> = Mutex::new(BTreeMap::new());
        if self.iter().nth(1).is_none() {
            return self.first().name();
        }
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        names.entry(self).or_insert_with(|| {
            let each: Vec<&str> = self.iter().map(Bug::name).collect();
            each.join(&AND.to_string()).leak()
        })
    }
}

impl FromStr for Bugs {
    type Err = NotTogether;

    fn from_str(text: &str) -> Result<Bugs, NotTogether> {
        let named = |name: &str| Bug::named(name).ok_or_else(|| NotTogether::Unknown(name.to_owned()));
        let mut names = text.split(AND).map(named);
        let first = names.next().expect("a split has a first part")?;
        names.try_fold(Bugs::from(first), |all, bug| {
            let bug = bug?;
            let [one, other] = [first, bug].map(|bug| bug.species().base.system().name());
            let apart = NotTogether::Apart(first, one, bug, other);
            if one == other { Ok(Bugs(all.0 | Bugs::from(bug).0)) } else { Err(apart) }
        })
    }
}

impl fmt::Display for Bugs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Bugs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bugs({})", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::System;

    #[test]
    fn bugs_of_one_system_go_together_under_one_name() {
        let bugs: Bugs = "lease-read+raft-amnesia".parse().unwrap();
        assert_eq!(bugs.iter().collect::<Vec<_>>(), [Bug::RaftAmnesia, Bug::LeaseRead]);
        assert_eq!((bugs.name(), bugs.base()), ("raft-amnesia+lease-read", Base::Raft));
        assert!(!bugs.has(Bug::VoteNotSynced));
        // It is a system's name like any other, in whatever order.
        assert_eq!("lease-read+raft-amnesia".parse::<System>(), Ok(System::Bugged(bugs)));
        assert_eq!(System::Bugged(bugs).name().parse::<System>(), Ok(System::Bugged(bugs)));
        assert_eq!("raft-amnesia+raft-amnesia".parse::<Bugs>(), Ok(Bug::RaftAmnesia.into()));
        for bug in Bug::ALL {
            assert_eq!(Bugs::from(*bug).name(), bug.name());
        }
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        let error = "raft-amnesia+early-takeover".parse::<Bugs>().unwrap_err().to_string();
        assert_eq!(error, "`raft-amnesia` is planted in raft and `early-takeover` in lease: one run has one system");
        assert_eq!("raft-amnesia+".parse::<Bugs>().unwrap_err(), NotTogether::Unknown(String::new()));
        assert!("raft+raft-amnesia".parse::<System>().is_err());
    }
}
