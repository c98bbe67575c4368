//! `schism real bench`: the puts that stores acknowledge in a second, and how soon, in alternating rounds.

use super::exit::{Exit, Failure};
use super::real_run::{named, roles};
use super::terminal::Terminal;
use clap::Args;
use schism::real::What;
use schism::real::bench::{Load, Round, bench, fresh};
use schism::report::json;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Arguments of `schism real bench`.
#[derive(Args)]
pub struct Bench {
    /// What to measure, separated by commas: names or paths, as with `schism real --subject`.
    #[arg(long, value_delimiter = ',', value_name = "NAME|FILE,...", default_value = "raft,etcd")]
    subjects: Vec<String>,
    /// How many clients send at once, separated by commas: each count is measured by itself.
    #[arg(long, value_delimiter = ',', default_value = "1,16", value_parser = clap::value_parser!(u32).range(1..=256))]
    clients: Vec<u32>,
    /// How many times each is measured, in turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// For how many seconds each time, after one second that does not count.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// A folder on the disk that is to be measured; the nodes' data is written into a new folder in it, and removed.
    #[arg(long, value_name = "FOLDER", default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    /// Print a table in Markdown.
    #[arg(long)]
    markdown: bool,
}

/// What was measured of one store.
#[derive(Serialize)]
struct Line<'a> {
    subject: &'a str,
    clients: u32,
    /// Acknowledged puts a second, in each round.
    puts_per_s: Vec<f64>,
    puts: usize,
    failed: u64,
    median_ms: f64,
    p99_ms: f64,
}

/// A folder that is removed at the end, whatever happens before.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed stays, as the user could not remove it either.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Bench {
    /// Measures every store in turn, and prints what each can do.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let program = std::env::current_exe()?;
        let whats = self.subjects.iter().map(|name| named(name)).collect::<Result<Vec<What>, _>>()?;
        let folder = Temporary(self.folder.join(format!("schism-bench-{}", std::process::id())));
        if !terminal.json {
            terminal.print(&self.conditions()?)?;
            terminal.print(if self.markdown { HEAD } else { "" })?;
        }
        for clients in &self.clients {
            let load = Load { clients: *clients, seconds: self.seconds, folder: folder.0.clone() };
            let mut rounds: Vec<Vec<Round>> = whats.iter().map(|_| Vec::new()).collect();
            for number in 1..=self.rounds {
                for (what, rounds) in whats.iter().zip(&mut rounds) {
                    let title = format!("{}: round {number} of {}, {clients} clients", what.name(), self.rounds);
                    let bar = terminal.progress(None, &title);
                    bar.enable_steady_tick(std::time::Duration::from_millis(500));
                    fresh(&load.folder)?;
                    let made = bench(what, &load, roles(&program));
                    bar.finish_and_clear();
                    rounds.push(made.map_err(|error| Failure::Harness(error.to_string()))?);
                }
            }
            for (what, rounds) in whats.iter().zip(&rounds) {
                let line = Line::of(what.name(), *clients, rounds);
                if terminal.json {
                    terminal.line(&json::line("real_bench", &line))?;
                } else {
                    terminal.line(&if self.markdown { line.markdown() } else { line.text() })?;
                }
            }
        }
        Ok(Exit::Expected)
    }

    /// What was measured where, in a paragraph.
    fn conditions(&self) -> Result<String, Failure> {
        let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = about.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let model = model.map_or("an unknown processor", |(_, model)| model.trim());
        let threads = std::thread::available_parallelism()?;
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let busy = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let busy = busy.split(' ').next().unwrap_or("unknown");
        let text = format!(
            "{threads} threads of {model}, Linux {}, load {busy} before; data on {}. Three nodes and one host with all \
             clients; packets go through the router, without added latency. Each client sends a put of eight bytes to \
             the leader, and the next once it is answered. A put is acknowledged once a majority has synced it \
             (`fdatasync`). Heartbeat 100 ms, election time-out 1 s to 2 s. {} rounds of {} s for each store, in turn.",
            kernel.trim(),
            file_system(&self.folder),
            self.rounds,
            self.seconds
        );
        Ok(format!("{}\n\n", textwrap::fill(&text, if self.markdown { 120 } else { 80 })))
    }
}

/// The type of the file system on which a folder lies.
fn file_system(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((PathBuf::from(words.next()?), words.next()?.to_owned()))
    });
    let under = mounts.filter(|(place, _)| folder.starts_with(place));
    under.max_by_key(|(place, _)| place.as_os_str().len()).map_or("an unknown file system".to_owned(), |(_, kind)| kind)
}

const HEAD: &str = "\
| clients | store | puts/s: each round | median, ms | 99 of 100 within, ms | puts | failed |
|---|---|---|---|---|---|---|
";

impl Line<'_> {
    fn of<'a>(subject: &'a str, clients: u32, rounds: &[Round]) -> Line<'a> {
        let all = Round::all(rounds.iter());
        Line {
            subject,
            clients,
            puts_per_s: rounds.iter().map(Round::puts_per_s).collect(),
            puts: all.latencies_ns.len(),
            failed: all.failed,
            median_ms: all.latency_ms(50),
            p99_ms: all.latency_ms(99),
        }
    }

    fn each_round(&self) -> String {
        self.puts_per_s.iter().map(|puts| format!("{puts:.0}")).collect::<Vec<_>>().join(", ")
    }

    fn markdown(&self) -> String {
        let Line { subject, clients, puts, failed, median_ms, p99_ms, .. } = self;
        let rounds = self.each_round();
        format!("| {clients} | {subject} | {rounds} | {median_ms:.2} | {p99_ms:.2} | {puts} | {failed} |")
    }

    fn text(&self) -> String {
        let Line { subject, clients, failed, median_ms, p99_ms, .. } = self;
        let rounds = self.each_round();
        format!(
            "{subject}, {clients} at once: {rounds} puts/s; {median_ms:.2} ms in the median, {p99_ms:.2} ms at most for \
             99 of 100; {failed} failed"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_every_round_and_the_latency_of_all() {
        let round = |ms: u64| Round { latencies_ns: vec![ms * 1_000_000; 10], failed: 1, seconds: 2.0 };
        let line = Line::of("raft", 16, &[round(4), round(6), round(6)]);
        assert_eq!(line.markdown(), "| 16 | raft | 5, 5, 5 | 6.00 | 6.00 | 30 | 3 |");
        assert!(line.text().starts_with("raft, 16 at once: 5, 5, 5 puts/s; 6.00 ms in the median"));
    }
}
