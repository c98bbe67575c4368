//! In which libraries a sweep spends its time, by samples that Linux's `perf` takes.
//!
//! A sample belongs to the function in which it was taken. What the compiler put into a function (inlining) counts there,
//! and a generic function of the standard library counts for the first library that its name mentions.

use super::exit::Failure;
use super::recordings::FOLDER;
use schism::rng::seeds::Seeds;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

/// Samples a second: not a round number, so that nothing periodic keeps step with it.
const FREQUENCY: &str = "997";

/// How much of a system's time goes to one part.
#[derive(Debug, PartialEq, Serialize)]
pub struct Share {
    pub system: &'static str,
    pub part: &'static str,
    /// As a share of 1.
    pub share: f64,
}

/// Runs the seeds of a scenario under `perf`, and divides the samples.
///
/// # Errors
/// If there is no `perf`, or it is not allowed to look.
pub fn sampled(scenario: &str, system: &'static str, seeds: Seeds) -> Result<Vec<Share>, Failure> {
    std::fs::create_dir_all(FOLDER)?;
    let samples = Path::new(FOLDER).join(format!("bench-{}.perf", std::process::id()));
    let shares = sampled_into(&samples, scenario, system, seeds);
    // It may not be there.
    let _ = std::fs::remove_file(&samples);
    shares
}

fn sampled_into(samples: &Path, scenario: &str, system: &'static str, seeds: Seeds) -> Result<Vec<Share>, Failure> {
    let own = std::env::current_exe()?;
    let range = seeds.to_string();
    let mut record = Command::new("perf");
    record.args(["record", "-q", "-e", "cpu-clock", "-F", FREQUENCY, "-o"]).arg(samples).arg("--").arg(own);
    record.args(["sweep", scenario, "--system", system, "--seeds", &range, "--jobs", "1"]);
    record.args(["--in-process", "--sample", "0"]);
    let recorded = perf(&mut record)?;
    if !samples.exists() {
        return Err(refused(&recorded));
    }
    let mut report = Command::new("perf");
    report.args(["report", "--stdio", "--no-children", "-g", "none", "-t", ";", "-F", "overhead,dso,sym", "-i"]);
    let reported = perf(report.arg(samples))?;
    let shares = divided(system, &String::from_utf8_lossy(&reported.stdout));
    if shares.is_empty() { Err(refused(&reported)) } else { Ok(shares) }
}

fn perf(command: &mut Command) -> Result<Output, Failure> {
    command.output().map_err(|error| {
        Failure::Harness(format!("--profile needs Linux's perf (Debian: apt-get install linux-perf): perf: {error}"))
    })
}

fn refused(output: &Output) -> Failure {
    let said = String::from_utf8_lossy(&output.stderr);
    Failure::Harness(format!("perf took no samples (is kernel.perf_event_paranoid above 2?): {}", said.trim()))
}

/// The parts of perf's report, the largest first.
fn divided(system: &'static str, report: &str) -> Vec<Share> {
    let mut parts: BTreeMap<&'static str, f64> = BTreeMap::new();
    for line in report.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.splitn(3, ';').map(str::trim);
        let (Some(overhead), Some(object), Some(symbol)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let Ok(percent) = overhead.trim_end_matches('%').parse::<f64>() else { continue };
        // After `[.] ` or `[k] `.
        let symbol = symbol.split_once(' ').map_or(symbol, |(_, name)| name);
        *parts.entry(part(object, symbol)).or_default() += percent / 100.0;
    }
    let mut shares: Vec<Share> = parts.into_iter().map(|(part, share)| Share { system, part, share }).collect();
    shares.sort_by(|a, b| b.share.total_cmp(&a.share));
    shares
}

/// The part to which a function belongs.
fn part(object: &str, symbol: &str) -> &'static str {
    let mentions = |words: &[&str]| words.iter().any(|word| symbol.contains(word));
    if object.starts_with("[kernel") {
        "kernel"
    } else if mentions(&["clock_gettime", "tokio::time::clock", "time::Timespec", "time::Instant"]) {
        "clocks"
    } else if mentions(&["malloc", "free", "alloc_zeroed", "mem_cpy", "memcpy", "memmove", "memset", "memcmp", "mi_"])
        && !symbol.contains("::")
    {
        "allocating and copying"
    } else if mentions(&["core::hash", "BuildHasher", "xxh", "Xxh"]) {
        "hashing"
    } else {
        library(symbol)
    }
}

/// The first library but the standard one that a symbol mentions.
fn library(symbol: &str) -> &'static str {
    let path = |word: &str| word.split_once("::").map(|(first, _)| first.to_string());
    let words = symbol.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let named = words.filter_map(path).find(|first| !["core", "alloc", "std", ""].contains(&first.as_str()));
    match named.as_deref() {
        Some("schism") => "schism",
        Some("tokio" | "tokio_util") => "tokio",
        Some("openraft" | "validit" | "byte_unit") => "openraft",
        // Only turmoil uses that here in a run.
        Some("turmoil" | "indexmap") => "turmoil",
        Some("redb") => "redb",
        Some(_) => "other libraries",
        None => "standard library, unattributed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_divided_by_what_the_function_is() {
        let report = "# Overhead;Shared Object;Symbol\n\
                      30.00%;libc.so.6 ;[.] _int_malloc\n \
                      20.00%;schism    ;[.] <alloc::sync::Arc<tokio::runtime::Handle> as core::ops::drop::Drop>::drop\n\
                      15.00%;[vdso]    ;[.] __vdso_clock_gettime\n\
                      10.00%;schism    ;[.] schism::host::free_links\n\
                      8.00%;schism    ;[.] <core::hash::sip::Hasher<S> as core::hash::Hasher>::write\n\
                      7.00%;schism    ;[.] core::slice::sort::stable::quicksort::quicksort\n\
                      6.00%;[kernel.kallsyms];[k] copy_page\n\
                      4.00%;schism    ;[.] indexmap::inner::Core<K,V>::get_index_of\n";
        let shares = divided("raft", report);
        let found: Vec<(&str, u64)> =
            shares.iter().map(|share| (share.part, (share.share * 100.0).round() as u64)).collect();
        let expected = [
            ("allocating and copying", 30),
            ("tokio", 20),
            ("clocks", 15),
            ("schism", 10),
            ("hashing", 8),
            ("standard library, unattributed", 7),
            ("kernel", 6),
            ("turmoil", 4),
        ];
        assert_eq!(found, expected);
    }
}
