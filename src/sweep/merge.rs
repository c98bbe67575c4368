//! Several logs of one sweep, of several machines or of several attempts, as one.
//!
//! The result depends on which lines there are, not on the order of the files nor on how often a line stands in them. So a
//! merged log can be merged again, with logs that it already holds.

use super::log::{Header, Log, LogError, Part};
use crate::rng::seeds::Shard;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::ops::Range;

/// Logs that are being merged.
#[derive(Default)]
pub struct Merge {
    /// What they say together.
    pub log: Log,
    /// For each seed its lines as they were written, those of outcomes apart from the others.
    lines: BTreeMap<u64, [BTreeSet<String>; 2]>,
}

/// A part of a sweep of which no log was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingShard {
    /// Which.
    pub shard: Shard,
    /// The first of its seeds.
    pub first_seed: u64,
    /// The seed after the last.
    pub end: u64,
}

impl Merge {
    /// Adds a log.
    ///
    /// # Errors
    /// See [`LogError`].
    pub fn read(&mut self, file: impl BufRead) -> Result<(), LogError> {
        let lines = &mut self.lines;
        self.log.read_lines(file, |seed, is_outcome, line| {
            lines.entry(seed).or_default()[usize::from(!is_outcome)].insert(line.into());
        })
    }

    /// The headers of the whole: one, if no shard is missing.
    pub fn headers(&self) -> Vec<Header> {
        let argument = self.log.headers.iter().map(|header| &header.argument).min();
        let mut headers = self.log.headers.clone();
        for header in &mut headers {
            header.argument.clone_from(argument.expect("there is a header"));
        }
        headers.extend(whole(&headers));
        headers.sort_by_key(|header| (header.is_open, header.first_seed, std::cmp::Reverse(header.seeds), header.part));
        headers.dedup();
        let mut kept: Vec<Header> = Vec::new();
        for header in headers {
            if !kept.iter().any(|wider| covers(wider, &header)) {
                kept.push(header);
            }
        }
        kept
    }

    /// The ranges of seeds that two parts have in common although neither holds the other.
    pub fn overlaps(&self) -> Vec<Range<u64>> {
        let headers = self.headers();
        let pairs =
            headers.iter().enumerate().flat_map(|(at, one)| headers[at + 1..].iter().map(move |two| (one, two)));
        let common = pairs.filter(|(one, two)| !one.is_open && !two.is_open);
        let common = common.map(|(one, two)| one.first_seed.max(two.first_seed)..one.end().min(two.end()));
        common.filter(|range| range.start < range.end).collect()
    }

    /// The shards of which no log was given, though there are logs of others of the same sweep.
    pub fn missing_shards(&self) -> Vec<MissingShard> {
        let headers = self.headers();
        let given: BTreeSet<Part> = headers.iter().filter_map(|header| header.part).collect();
        let sweeps: BTreeSet<(u64, u64, u64)> =
            given.iter().map(|part| (part.shard.of, part.first_seed, part.seeds)).collect();
        let shards = sweeps.into_iter().flat_map(|(of, first_seed, seeds)| {
            (1..=of).map(move |index| Part { shard: Shard { index, of }, first_seed, seeds })
        });
        let missing = shards.filter(|part| !given.contains(part)).filter_map(|part| {
            let seeds = part.seeds_of()?;
            Some(MissingShard { shard: part.shard, first_seed: seeds.start, end: seeds.end })
        });
        missing
            .filter(|shard| !headers.iter().any(|header| header.part.is_none() && header.holds(shard.first_seed)))
            .collect()
    }

    /// The lines of all seeds, in order, without line breaks. An outcome replaces what says that there is none; two outcomes
    /// that differ both stay, because that is the finding.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.values().flat_map(|[outcomes, none]| {
            // Of several reasons any will do, if it is always the same one.
            let reason = none.iter().take(usize::from(outcomes.is_empty()));
            outcomes.iter().chain(reason).map(String::as_str)
        })
    }
}

/// The header of each sweep whose shards are all there.
fn whole(headers: &[Header]) -> Vec<Header> {
    let mut shards: BTreeMap<(u64, u64, u64, bool), BTreeSet<u64>> = BTreeMap::new();
    for header in headers {
        let Some(Part { shard, first_seed, seeds }) = header.part else { continue };
        shards.entry((shard.of, first_seed, seeds, header.is_open)).or_default().insert(shard.index);
    }
    let complete = shards.into_iter().filter(|((of, first_seed, seeds, is_open), given)| {
        let is_there = |index: u64| {
            let part = Part { shard: Shard { index, of: *of }, first_seed: *first_seed, seeds: *seeds };
            given.contains(&index) || part.seeds_of().is_none()
        };
        // Where time ends the sweep, each shard has an end of its own, which its own header stands for.
        !is_open && (1..=*of).all(is_there)
    });
    let header = |((_, first_seed, seeds, _), _)| Header { first_seed, seeds, part: None, ..headers[0].clone() };
    complete.map(header).collect()
}

/// Whether a header says all that another says.
fn covers(wider: &Header, header: &Header) -> bool {
    !wider.is_open
        && !header.is_open
        && wider.part.is_none()
        && wider.first_seed <= header.first_seed
        && header.end() <= wider.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{json, sample};
    use crate::run::Outcome;
    use crate::sweep::log::{How, NoOutcome, header};
    use crate::trace::digest;

    fn shard(index: u64, of: u64, whole: u64) -> Header {
        let part = Part { shard: Shard { index, of }, first_seed: 0, seeds: whole };
        let seeds = part.seeds_of().unwrap();
        Header { part: Some(part), ..header(seeds.start, seeds.end - seeds.start) }
    }

    fn outcome(seed: u64) -> Outcome {
        sample::run(&sample::scenario(), "raft", seed).outcome
    }

    fn log(header: &Header, lines: &[String]) -> String {
        lines.iter().fold(json::line("log", header) + "\n", |text, line| text + line + "\n")
    }

    fn outcomes(header: &Header) -> String {
        let seeds = header.first_seed..header.end();
        log(header, &seeds.map(|seed| json::outcome(&outcome(seed))).collect::<Vec<_>>())
    }

    fn merged(texts: &[&str]) -> (Merge, String) {
        let mut merge = Merge::default();
        texts.iter().for_each(|text| merge.read(text.as_bytes()).unwrap());
        let headers = merge.headers();
        let headers = headers.iter().map(|header| json::line("log", header) + "\n");
        let text = headers.chain(merge.lines().map(|line| line.to_string() + "\n")).collect();
        (merge, text)
    }

    #[test]
    fn all_shards_give_what_one_machine_would_have_written_in_whatever_order_they_come() {
        let whole = outcomes(&header(0, 7));
        let shards: Vec<String> = (1..=3).map(|index| outcomes(&shard(index, 3, 7))).collect();
        let [one, two, three] = [0, 1, 2].map(|index: usize| shards[index].as_str());
        for order in [[one, two, three], [three, one, two], [two, three, one]] {
            assert_eq!(merged(&order).1, whole);
        }
        let (partial, text) = merged(&[three, one]);
        assert_eq!(
            partial.missing_shards(),
            [MissingShard { shard: Shard { index: 2, of: 3 }, first_seed: 2, end: 4 }]
        );
        assert_eq!(merged(&[two, &text]).1, whole, "what was merged can be merged again");
        assert_eq!(merged(&[&text, one]).1, text, "and nothing counts twice");
        assert_eq!(merged(&[&whole, two]).1, whole);
        assert_eq!(merged(&[&whole, two]).0.missing_shards(), []);
        // More machines than seeds: those without a seed have no log.
        let pair: Vec<String> = [2, 4].map(|index| outcomes(&shard(index, 4, 2))).into();
        assert_eq!(merged(&[&pair[1], &pair[0]]).1, outcomes(&header(0, 2)));
    }

    #[test]
    fn parts_that_overlap_are_named() {
        let overlaps = |headers: &[Header]| {
            let texts: Vec<String> = headers.iter().map(outcomes).collect();
            merged(&texts.iter().map(String::as_str).collect::<Vec<_>>()).0.overlaps()
        };
        assert_eq!(overlaps(&[header(0, 5), header(3, 4)]), vec![3..5; 1]);
        assert_eq!(overlaps(&[shard(1, 2, 8), shard(2, 3, 8)]), vec![2..4; 1]);
        assert_eq!(overlaps(&[shard(1, 2, 8), shard(2, 2, 8), shard(1, 2, 8)]), []);
        assert_eq!(overlaps(&[header(0, 9), header(3, 2)]), [], "one holds the other");
    }

    #[test]
    fn an_outcome_replaces_what_says_that_there_is_none_and_two_that_differ_stay() {
        let header = header(0, 2);
        let none = |why: &str| json::line("no_outcome", NoOutcome { seed: 0, how: How::Hung, why: why.into() });
        let first = log(&header, &[none("b"), json::outcome(&outcome(1))]);
        let second = log(&header, &[none("a")]);
        assert_eq!(merged(&[&first, &second]).1, log(&header, &[none("a"), json::outcome(&outcome(1))]));
        assert_eq!(merged(&[&second, &first]).1, merged(&[&first, &second]).1);
        let ran = log(&header, &[json::outcome(&outcome(0))]);
        assert_eq!(merged(&[&ran, &first]).1, outcomes(&header));
        let other = log(&header, &[json::outcome(&Outcome { digest: digest::of(&2), ..outcome(0) })]);
        let (merge, text) = merged(&[&other, &ran]);
        assert_eq!((merge.log.contradictions.as_slice(), text.lines().count()), ([0].as_slice(), 3));
        assert_eq!(merged(&[&text]).0.log.contradictions, [0]);
    }
}
