//! The log of a sweep: a file of JSON lines, to which each seed is written as soon as it is done.
//!
//! The first line, of kind `log`, says what was swept and with which build. Then comes one line per seed, in any order:
//! its `outcome`, or `no_outcome` and why there is none. Each line is written in one piece, so a sweep that is killed
//! loses at most the line that it was writing; [`Log::read`] reports that and uses the rest. Several logs of the same
//! sweep, one after the other in one file or read one by one, count as one log.

use crate::rng::seeds::{Seeds, Shard};
use crate::run::Outcome;
use crate::trace::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::ops::Range;

/// The longest line in bytes. An outcome has a few thousand; a longer line is not from a log, and may have no end.
pub const LONGEST_LINE: u64 = 16 << 20;

/// What was swept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The scenario's name.
    pub scenario: String,
    /// The scenario as it was named on the command line.
    pub argument: String,
    /// Digest of the whole scenario, including faults, clients and expectations.
    pub scenario_digest: Digest,
    /// The system.
    pub system: String,
    /// The first seed.
    pub first_seed: u64,
    /// How many seeds there are, from that one on.
    pub seeds: u64,
    /// Budget of the search checker, in steps.
    pub check_steps: u64,
    /// The executable: version and hash.
    pub build: String,
    /// The part of a sweep that several machines share, and the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// Whether time ends this sweep: then `seeds` is no more than its upper limit, and no seed after the last one is missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_open: bool,
}

/// Which part of a sweep a log is, if several machines share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    /// Which of how many parts.
    pub shard: Shard,
    /// The first seed of the whole sweep.
    pub first_seed: u64,
    /// How many seeds the whole sweep has.
    pub seeds: u64,
}

impl Part {
    /// The seeds of this part; `None` if there are more parts than seeds and it has none.
    pub(super) fn seeds_of(&self) -> Option<Range<u64>> {
        let whole = Seeds::new(self.first_seed, self.first_seed.saturating_add(self.seeds))?;
        self.shard.part(whole).map(|seeds| seeds.iter())
    }
}

impl Header {
    /// Whether both are about the same runs, apart from the seeds and the place of the scenario's file.
    pub fn is_same_sweep(&self, other: &Header) -> bool {
        let runs = |header: &Header| Header {
            first_seed: 0,
            seeds: 0,
            argument: String::new(),
            part: None,
            is_open: false,
            ..header.clone()
        };
        runs(self) == runs(other)
    }

    /// The seed after the last.
    pub(super) fn end(&self) -> u64 {
        self.first_seed.saturating_add(self.seeds)
    }

    /// Whether a seed is one of this log's.
    pub(super) fn holds(&self, seed: u64) -> bool {
        (self.first_seed..self.end()).contains(&seed)
    }
}

/// A seed that has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoOutcome {
    /// The seed.
    pub seed: u64,
    /// The kind of reason.
    pub how: How,
    /// Why, in words.
    pub why: String,
}

/// Why a seed has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The harness panicked, or refused to run it.
    Refused,
    /// Its process died.
    Died,
    /// It overran the watchdog.
    Hung,
}

/// A line of the file.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Log(Header),
    Outcome(Box<Outcome>),
    NoOutcome(NoOutcome),
}

/// What became of a seed.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// It ran to its end.
    Outcome(Box<Outcome>),
    /// It did not.
    NoOutcome(NoOutcome),
}

/// A log as read: its seeds in order, whatever the order in which they were written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Log {
    /// What was swept, by the headers; more than one if several logs were read.
    pub headers: Vec<Header>,
    /// The seeds.
    pub entries: BTreeMap<u64, Entry>,
    /// Seeds with two outcomes that differ: the runs are not deterministic.
    pub contradictions: Vec<u64>,
    /// Lines, except for the last, that do not belong to a log: the disk was full, or another program wrote there.
    pub broken_lines: u64,
    /// Whether the last line broke off: the sweep was killed while it wrote.
    pub is_cut_off: bool,
}

/// Why a file cannot be read as a log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It cannot be read at all.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It has no header.
    #[error("no log of a sweep: its first line is not of kind `log`, as `schism sweep --out FILE` writes it")]
    NoHeader,
    /// A line is longer than any that a sweep writes.
    #[error("line {line} is longer than a line of a log may be ({} MiB)", LONGEST_LINE >> 20)]
    LongLine {
        /// Which line, from 1.
        line: u64,
    },
    /// It is about two different sweeps.
    #[error("line {line} begins the log of another sweep: another scenario, system, budget or build")]
    Another {
        /// Which line, from 1.
        line: u64,
    },
}

impl Log {
    /// Adds what a file holds.
    ///
    /// # Errors
    /// See [`LogError`].
    pub fn read(&mut self, file: impl BufRead) -> Result<(), LogError> {
        self.read_lines(file, |_, _, _| {})
    }

    /// As [`read`](Log::read), and hands on the line of every seed as it is written, with whether it is an outcome.
    pub(super) fn read_lines(
        &mut self,
        mut file: impl BufRead,
        mut each: impl FnMut(u64, bool, &str),
    ) -> Result<(), LogError> {
        let (mut bytes, mut number) = (Vec::new(), 0);
        loop {
            bytes.clear();
            let length = file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes)? as u64;
            if length == 0 {
                return if number == 0 { Err(LogError::NoHeader) } else { Ok(()) };
            }
            number += 1;
            if length == LONGEST_LINE {
                return Err(if number == 1 { LogError::NoHeader } else { LogError::LongLine { line: number } });
            }
            match serde_json::from_slice(&bytes) {
                Ok(Line::Log(header)) => {
                    if self.headers.first().is_some_and(|first| !first.is_same_sweep(&header)) {
                        return Err(LogError::Another { line: number });
                    }
                    self.headers.push(header);
                }
                _ if number == 1 => return Err(LogError::NoHeader),
                Ok(Line::Outcome(outcome)) => {
                    each(outcome.seed, true, text(&bytes));
                    self.add(outcome.seed, Entry::Outcome(outcome));
                }
                Ok(Line::NoOutcome(none)) => {
                    each(none.seed, false, text(&bytes));
                    self.add(none.seed, Entry::NoOutcome(none));
                }
                Err(_) if bytes.ends_with(b"\n") => self.broken_lines += u64::from(bytes != b"\n"),
                Err(_) => self.is_cut_off = true,
            }
        }
    }

    fn add(&mut self, seed: u64, entry: Entry) {
        let (before, now) = (self.entries.get(&seed), &entry);
        match (before, now) {
            (Some(Entry::Outcome(before)), Entry::Outcome(now)) => {
                if before.digest != now.digest {
                    self.contradictions.push(seed);
                }
            }
            // An outcome replaces an earlier hang or crash of the same seed.
            (Some(Entry::Outcome(_)), Entry::NoOutcome(_)) => {}
            _ => {
                self.entries.insert(seed, entry);
            }
        }
    }

    /// The seeds that the headers name and that are not there, as ranges in order.
    pub fn gaps(&self) -> Vec<Range<u64>> {
        let named = self.headers.iter().map(|header| {
            let last = |first| self.entries.range(first..header.end()).next_back().map_or(first, |(seed, _)| seed + 1);
            let end = if header.is_open { last(header.first_seed) } else { header.end() };
            (header.first_seed, end)
        });
        let mut named: Vec<(u64, u64)> = named.collect();
        named.sort_unstable();
        let (mut gaps, mut due) = (Vec::new(), 0);
        for (first, end) in named {
            due = due.max(first);
            if due >= end {
                continue;
            }
            for seed in self.entries.range(due..end).map(|(seed, _)| *seed) {
                if due < seed {
                    gaps.push(due..seed);
                }
                due = seed + 1;
            }
            if due < end {
                gaps.push(due..end);
                due = end;
            }
        }
        gaps
    }

    /// How many of the seeds that the headers name are missing.
    pub fn missing(&self) -> u64 {
        self.gaps().into_iter().map(|gap| gap.end - gap.start).sum()
    }
}

/// A line that is JSON, which is UTF-8, without its line break.
fn text(line: &[u8]) -> &str {
    std::str::from_utf8(line).unwrap_or_default().trim_end_matches('\n')
}

/// The header of a sweep, for tests.
#[cfg(test)]
pub(super) fn header(first_seed: u64, seeds: u64) -> Header {
    Header {
        scenario: "split-brain".into(),
        argument: "split-brain".into(),
        scenario_digest: crate::trace::digest::of(&1),
        system: "raft".into(),
        first_seed,
        seeds,
        check_steps: 9,
        build: "build 1".into(),
        part: None,
        is_open: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{json, sample};
    use crate::trace::digest;

    fn outcome(seed: u64) -> Outcome {
        sample::run(&sample::scenario(), "raft", seed).outcome
    }

    fn log(header: &Header, seeds: &[u64]) -> String {
        let lines = seeds.iter().map(|seed| json::outcome(&outcome(*seed)) + "\n");
        json::line("log", header) + "\n" + &lines.collect::<String>()
    }

    fn read(texts: &[&str]) -> Result<Log, LogError> {
        let mut log = Log::default();
        texts.iter().try_for_each(|text| log.read(text.as_bytes()))?;
        Ok(log)
    }

    #[test]
    fn seeds_come_out_in_order_and_a_line_that_broke_off_costs_itself_only() {
        let text = log(&header(0, 4), &[2, 0, 3]);
        let whole = read(&[&text]).unwrap();
        assert_eq!(whole.entries.keys().copied().collect::<Vec<_>>(), [0, 2, 3]);
        assert_eq!(whole.entries[&2], Entry::Outcome(Box::new(outcome(2))));
        assert_eq!((whole.missing(), whole.is_cut_off, whole.broken_lines), (1, false, 0));
        // Killed at any byte of the last line.
        let last = text.trim_end().rfind('\n').unwrap() + 1;
        for end in [last + 1, last + 100, text.len() - 2] {
            let cut = read(&[&text[..end]]).unwrap();
            assert_eq!((cut.entries.len(), cut.missing(), cut.is_cut_off), (2, 2, true));
        }
        // A line that lacks only its line break is complete.
        let cut = read(&[text.trim_end()]).unwrap();
        assert_eq!((cut.entries.len(), cut.is_cut_off), (3, false));
    }

    #[test]
    fn a_line_in_the_middle_that_is_none_is_counted() {
        let text = log(&header(0, 2), &[0]) + "{\"schema\":1,\"kind\":\"outc\n\n" + &json::outcome(&outcome(1)) + "\n";
        let read = read(&[&text]).unwrap();
        assert_eq!((read.entries.len(), read.broken_lines, read.missing()), (2, 1, 0));
    }

    #[test]
    fn parts_of_one_sweep_are_one_log_and_parts_of_two_are_refused() {
        let (one, two) = (log(&header(0, 3), &[0, 1]), log(&header(2, 3), &[4, 2]));
        let both = read(&[&one, &two]).unwrap();
        assert_eq!((both.entries.len(), both.missing()), (4, 1));
        assert_eq!(read(&[&(one.clone() + &two)]).unwrap(), both);
        let other = log(&Header { build: "build 2".into(), ..header(5, 1) }, &[5]);
        assert!(matches!(read(&[&(one.clone() + &other)]), Err(LogError::Another { line: 4 })));
        assert!(matches!(read(&[&json::outcome(&outcome(1))]), Err(LogError::NoHeader)));
        assert!(matches!(read(&[""]), Err(LogError::NoHeader)));
        let endless = one + &" ".repeat(LONGEST_LINE as usize);
        assert!(matches!(read(&[&endless]), Err(LogError::LongLine { line: 4 })));
    }

    #[test]
    fn what_is_missing_is_named_and_a_sweep_that_time_ended_lacks_only_what_it_skipped() {
        let gaps = |headers: &[Header], seeds: &[u64]| {
            let texts: Vec<String> =
                headers.iter().map(|header| log(header, &[])).chain([log(&headers[0], seeds)]).collect();
            read(&texts.iter().map(String::as_str).collect::<Vec<_>>()).unwrap().gaps()
        };
        assert_eq!(gaps(&[header(0, 9)], &[0, 1, 4, 8]), [2..4, 5..8]);
        assert_eq!(gaps(&[header(5, 3), header(0, 6)], &[6]), [0..6, 7..8]);
        let open = Header { is_open: true, ..header(3, u64::MAX) };
        assert_eq!(gaps(std::slice::from_ref(&open), &[3, 4, 7]), vec![5..7; 1]);
        assert_eq!(gaps(&[open], &[]), []);
    }

    #[test]
    fn two_outcomes_of_one_seed_have_to_agree() {
        let mut text = log(&header(0, 2), &[0, 1, 0]);
        assert_eq!(read(&[&text]).unwrap().contradictions, Vec::<u64>::new());
        text += &(json::outcome(&Outcome { digest: digest::of(&2), ..outcome(1) }) + "\n");
        assert_eq!(read(&[&text]).unwrap().contradictions, [1]);
        text += &(json::line("no_outcome", NoOutcome { seed: 0, how: How::Hung, why: "hung".into() }) + "\n");
        assert_eq!(read(&[&text]).unwrap().entries[&0], Entry::Outcome(Box::new(outcome(0))));
    }
}
