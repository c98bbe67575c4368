//! Which seeds a sweep runs, and what ends it before the last one.

use super::exit::Failure;
use clap::Args;
use schism::report::style::count;
use schism::rng::seeds::{SEEDS, Seeds, Shard};
use schism::sweep::Next;
use schism::sweep::log::Part;
use std::time::{Duration, Instant};

/// The seeds of a sweep without a last one, for each machine that takes part: more than any can run.
const WITHOUT_END: u64 = 1_000_000_000_000;

/// The seeds of a sweep that is not told which.
const USUAL: u64 = 100;

/// Which seeds, and for how long.
#[derive(Args, Clone)]
pub struct Extent {
    /// The seeds: a range such as 0..500, or a count from 0 [default: 100; without end if --for or --max-failures ends the
    /// sweep].
    #[arg(long, env = SEEDS)]
    seeds: Option<Seeds>,
    /// Begin no seed after this time, such as 90s, 10m or 8h.
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    time: Option<Duration>,
    /// Begin no seed after so many that are not as expected; those that run then still end.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    max_failures: Option<u64>,
    /// Begin no seed after the first that is not as expected: the same as --max-failures 1.
    #[arg(long, conflicts_with = "max_failures")]
    until_failure: bool,
    /// Run one part of the seeds, the first of eight with 1/8: other machines run the others, and `schism sweep merge` joins
    /// the logs. `job/8` takes the number from the variable that Kubernetes (JOB_COMPLETION_INDEX) or Slurm
    /// (SLURM_ARRAY_TASK_ID) sets.
    #[arg(long, env = "SCHISM_SHARD", value_name = "PART/PARTS", value_parser = shard)]
    shard: Option<Shard>,
}

impl Extent {
    /// Whether time or failures end the sweep, instead of a last seed.
    pub fn is_open(&self) -> bool {
        self.seeds.is_none() && (self.time.is_some() || self.most_failures().is_some())
    }

    /// The seeds of the whole sweep.
    fn whole(&self) -> Seeds {
        let parts = self.shard.map_or(1, |shard| shard.of);
        let usual = if self.is_open() { WITHOUT_END.saturating_mul(parts) } else { USUAL };
        self.seeds.unwrap_or_else(|| Seeds::first(usual))
    }

    /// The seeds to run, on this machine.
    pub fn seeds(&self) -> Result<Seeds, Failure> {
        let whole = self.whole();
        let Some(shard) = self.shard else { return Ok(whole) };
        let none = || {
            Failure::Usage(format!("--shard {shard}: no seed is left for it of the {}", count(whole.count(), "seed")))
        };
        shard.part(whole).ok_or_else(none)
    }

    /// This machine's part, if it runs one.
    pub fn part(&self) -> Option<Part> {
        let whole = self.whole();
        self.shard.map(|shard| Part { shard, first_seed: whole.iter().start, seeds: whole.count() })
    }

    fn most_failures(&self) -> Option<u64> {
        self.max_failures.or(self.until_failure.then_some(1))
    }

    /// What ends the sweep now, if anything does.
    pub fn end(&self, started: Instant, failures: u64) -> Option<String> {
        let is_late = self.time.filter(|time| started.elapsed() >= *time);
        let is_enough = self.most_failures().filter(|most| failures >= *most);
        is_late
            .map(|time| format!("--for {}", humantime::format_duration(time).to_string().replace(' ', "")))
            .or(is_enough.map(|_| count(failures, "failure")))
    }

    /// What a sweep does next.
    pub fn next(&self, started: Instant, failures: u64) -> Next {
        if self.end(started, failures).is_some() { Next::Finish } else { Next::GoOn }
    }

    /// How many seeds the progress bar counts to; `None` if that is not known.
    pub fn progress(&self, seeds: Seeds) -> Option<u64> {
        (!self.is_open()).then(|| seeds.count())
    }
}

/// Reads a shard, whose number may be in a variable of the machine's scheduler.
fn shard(text: &str) -> Result<Shard, String> {
    let variable = |name: &str| std::env::var(name).ok();
    resolved(text, &variable)?.parse().map_err(|error: schism::rng::seeds::ShardError| error.to_string())
}

fn resolved(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let Some(parts) = text.strip_prefix("job/") else { return Ok(text.into()) };
    let number = |name: &str| -> Result<Option<u64>, String> {
        let Some(value) = variable(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| format!("{name}={value} is not the number of a job"))
    };
    // Kubernetes counts from 0, Slurm from what the array says.
    let kubernetes = number("JOB_COMPLETION_INDEX")?.map(|index| index + 1);
    let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(1);
    let slurm = number("SLURM_ARRAY_TASK_ID")?.map(|index| (index + 1).saturating_sub(first));
    match (kubernetes, slurm) {
        (Some(index), None) | (None, Some(index)) => Ok(format!("{index}/{parts}")),
        (None, None) => {
            Err("neither JOB_COMPLETION_INDEX nor SLURM_ARRAY_TASK_ID is set: give a number, such as 3/8".into())
        }
        (Some(_), Some(_)) => {
            Err("both JOB_COMPLETION_INDEX and SLURM_ARRAY_TASK_ID are set: give a number, such as 3/8".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheduler_names_the_part() {
        let with = |pairs: &'static [(&str, &str)]| {
            resolved("job/8", &move |name: &str| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string())
            })
        };
        assert_eq!(with(&[("JOB_COMPLETION_INDEX", "0")]), Ok("1/8".into()));
        assert_eq!(with(&[("SLURM_ARRAY_TASK_ID", "8")]), Ok("8/8".into()));
        assert_eq!(with(&[("SLURM_ARRAY_TASK_ID", "0"), ("SLURM_ARRAY_TASK_MIN", "0")]), Ok("1/8".into()));
        assert!(with(&[]).unwrap_err().contains("JOB_COMPLETION_INDEX"));
        assert!(with(&[("JOB_COMPLETION_INDEX", "0"), ("SLURM_ARRAY_TASK_ID", "8")]).is_err());
        assert!(with(&[("JOB_COMPLETION_INDEX", "x")]).unwrap_err().contains("JOB_COMPLETION_INDEX=x"));
        assert_eq!(resolved("3/8", &|_| None), Ok("3/8".into()));
    }
}
