//! A command line as a system: its name, and what its nodes are asked.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;

/// The prefix of the names of such systems.
const PREFIX: &str = "nodes";
/// The prefix if they run in real time.
const IN_REAL_TIME: &str = "maelstrom";
/// The longest name of a system, in bytes.
const LONGEST: usize = 1000;

/// What the nodes are asked, and how their answers are judged. The names are Maelstrom's, and so are the messages
/// (its `doc/workloads.md`).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Service {
    /// A register for each key: `read`, `write`, `cas`. Judged as the store is.
    #[default]
    LinKv,
    /// Every `echo` comes back as it was sent.
    Echo,
    /// Every `generate` gets an id that no other got.
    UniqueIds,
    /// What was `broadcast` is, in the end, in every node's answer to `read`, and nothing else ever is.
    Broadcast,
    /// The sum of what was `add`ed: every `read` lies within what may have been added, and in the end at every node's.
    GCounter,
    /// A `txn` reads lists and appends to lists, in one step: as isolated as the scenario's workload has it.
    TxnListAppend,
    /// A leader says in which term it leads, and no two nodes lead in one. Not one of Maelstrom's.
    Leader,
}

impl Service {
    /// The name in files and commands.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// All names.
    pub fn names() -> Vec<&'static str> {
        <Service as strum::VariantNames>::VARIANTS.to_vec()
    }
}

/// Whose clock a program's processes go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Pace {
    /// The simulator's: they do nothing between two events, and a run is a function of the seed.
    #[default]
    Lockstep,
    /// Their own, as Maelstrom's nodes do: simulated time waits for the machine's, and two runs of a seed may differ.
    RealTime,
}

/// A program that is every node of a cluster: a system like any other, whose name is its command line.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Program {
    name: String,
    words: Vec<String>,
    service: Service,
    pace: Pace,
}

/// Why a text is not a program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoProgram {
    /// Not of the form of such a name at all.
    #[error("the name of a program's system begins with `nodes:` or `maelstrom:`, as in `nodes:python3 raft.py`")]
    NotOne,
    /// There is no such service.
    #[error("there is no service `{0}`; the services are {names}", names = Service::names().join(", "))]
    Service(String),
    /// Quotes do not match.
    #[error("the quotes in `{0}` do not match")]
    Quotes(String),
    /// No word in it.
    #[error("there is no command in it: name a program, as in `python3 raft.py`")]
    Empty,
    /// Too long, or with characters that no file can hold on one line.
    #[error("a command has no line breaks and at most {LONGEST} bytes: put it into a script of its own")]
    Odd,
}

impl Program {
    /// The program of this command line, in words as a shell reads them; nothing else of a shell is understood.
    ///
    /// # Errors
    /// When it has no words, or quotes do not match.
    pub fn new(command: &str, service: Service) -> Result<&'static Program, NoProgram> {
        Program::paced(command, service, Pace::Lockstep)
    }

    /// The same, by the clock that it goes by.
    ///
    /// # Errors
    /// As [`Program::new`].
    pub fn paced(command: &str, service: Service, pace: Pace) -> Result<&'static Program, NoProgram> {
        let command = command.trim();
        if command.len() > LONGEST || command.chars().any(char::is_control) {
            return Err(NoProgram::Odd);
        }
        let words = shlex::split(command).ok_or_else(|| NoProgram::Quotes(command.to_owned()))?;
        if words.first().is_none_or(String::is_empty) {
            return Err(NoProgram::Empty);
        }
        let prefix = match pace {
            Pace::Lockstep => PREFIX,
            Pace::RealTime => IN_REAL_TIME,
        };
        let of = match service {
            Service::LinKv => String::new(),
            other => format!("/{}", other.name()),
        };
        Ok(kept(Program { name: format!("{prefix}{of}:{command}"), words, service, pace }))
    }

    /// The program whose system has this name.
    ///
    /// # Errors
    /// When it is no such name.
    pub fn named(name: &str) -> Result<&'static Program, NoProgram> {
        let (kind, command) = name.split_once(':').ok_or(NoProgram::NotOne)?;
        let (prefix, service) = kind.split_once('/').map_or((kind, None), |(prefix, service)| (prefix, Some(service)));
        let pace = match prefix {
            PREFIX => Pace::Lockstep,
            IN_REAL_TIME => Pace::RealTime,
            _ => return Err(NoProgram::NotOne),
        };
        let unknown = |service: &str| NoProgram::Service(service.to_owned());
        let service = service.map(|name| name.parse().map_err(|_| unknown(name))).transpose()?;
        Program::paced(command, service.unwrap_or_default(), pace)
    }

    /// The name of the system.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The command line, in words; the first is the program.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Whose clock its processes go by.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// What its nodes are asked.
    pub fn service(&self) -> Service {
        self.service
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// One value for each program, for as long as this process lives: systems are small, and copied everywhere.
fn kept(program: Program) -> &'static Program {
    static KEPT: Mutex<BTreeSet<&'static Program>> = Mutex::new(BTreeSet::new());
    let mut kept = KEPT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match kept.get(&program) {
        Some(known) => known,
        None => {
            let program: &'static Program = Box::leak(Box::new(program));
            kept.insert(program);
            program
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_again_by_its_name() {
        for service in [Service::LinKv, Service::UniqueIds] {
            let program = Program::new(" python3 'my raft.py' -v ", service).unwrap();
            assert_eq!(program.words(), ["python3", "my raft.py", "-v"]);
            assert!(std::ptr::eq(program, Program::named(program.name()).unwrap()), "{program}");
        }
        assert_eq!(Program::new("echo", Service::Echo).unwrap().name(), "nodes/echo:echo");
        let own = Program::paced("./node", Service::Echo, Pace::RealTime).unwrap();
        assert_eq!(own.name(), "maelstrom/echo:./node");
        assert!(std::ptr::eq(own, Program::named(own.name()).unwrap()));
    }

    #[test]
    fn what_is_no_program_is_told_why() {
        let told = |name| Program::named(name).unwrap_err().to_string();
        assert!(told("raft").contains("begins with `nodes:`"));
        assert!(told("node:x").contains("begins with `nodes:`"));
        assert!(told("nodes/list:x").contains("`list`; the services are lin-kv, echo, unique-ids"));
        assert!(told("nodes:python3 'raft.py").contains("quotes"));
        assert!(told("nodes:  ").contains("no command"));
        assert!(told("nodes:a\nb").contains("line breaks"));
    }
}
