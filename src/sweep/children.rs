//! Seeds in child processes, so that a crash of a process costs the seed that it was running and no other.
//!
//! A child reads lines on its standard input: first a greeting that says what to run, then one seed per line. It
//! answers each seed with one line. Several seeds share a child, one after the other: a process for each would cost
//! more, and would reveal less about state that is kept from run to run. A child whose parent has died sees the end of
//! its input, and must end at once.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How many lines of a child's standard error are kept in case it dies.
const LAST_WORDS: usize = 12;

/// Starts children and keeps those that wait for a seed.
pub struct Children {
    /// Starts a child; standard input, output and error are set here.
    pub command: Box<dyn Fn() -> Command + Send + Sync>,
    /// What each is sent first: one line, without its line break.
    pub greeting: String,
    /// How many seeds a child runs before another takes its place; at least one.
    pub seeds_each: u64,
    /// Wall-clock time after which a seed counts as hung.
    pub watchdog: Duration,
    /// Receives each line that a child writes to its standard error.
    pub heard: Arc<dyn Fn(&str) + Send + Sync>,
    idle: Mutex<Vec<Running>>,
}

/// Why a child gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// Its process ended: how, and its last lines of output.
    Died(String),
    /// It overran the watchdog and was killed.
    Hung,
    /// No process could be started.
    NotStarted(String),
}

/// A running child.
struct Running {
    process: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
    words: Arc<Mutex<VecDeque<String>>>,
    listener: Option<JoinHandle<()>>,
    /// Seeds that it has answered.
    answered: u64,
}

impl Children {
    /// None yet.
    pub fn new(
        command: impl Fn() -> Command + Send + Sync + 'static,
        greeting: String,
        watchdog: Duration,
    ) -> Children {
        Children {
            command: Box::new(command),
            greeting,
            seeds_each: 1,
            watchdog,
            heard: Arc::new(|_| {}),
            idle: Mutex::default(),
        }
    }

    /// The answer of a child that may have run other seeds before, and will run others.
    ///
    /// # Errors
    /// When there is none.
    pub fn ask(&self, seed: u64) -> Result<String, NoAnswer> {
        let idle = lock(&self.idle).pop();
        let mut child = idle.map_or_else(|| self.start(), Ok)?;
        let answer = child.answer(seed, self.watchdog)?;
        if child.answered < self.seeds_each {
            lock(&self.idle).push(child);
        }
        Ok(answer)
    }

    /// The answer of a child that has run nothing before.
    ///
    /// # Errors
    /// When there is none.
    pub fn ask_fresh(&self, seed: u64) -> Result<String, NoAnswer> {
        self.start()?.answer(seed, self.watchdog)
    }

    /// The answer of a child that has run another seed before: that one, if none has.
    ///
    /// # Errors
    /// When there is none.
    pub fn ask_after(&self, before: u64, seed: u64) -> Result<String, NoAnswer> {
        let used = {
            let mut idle = lock(&self.idle);
            idle.iter().position(|child| child.answered > 0).map(|at| idle.swap_remove(at))
        };
        let mut child = used.map_or_else(|| self.start(), Ok)?;
        if child.answered == 0 {
            child.answer(before, self.watchdog)?;
        }
        let answer = child.answer(seed, self.watchdog)?;
        if child.answered < self.seeds_each {
            lock(&self.idle).push(child);
        }
        Ok(answer)
    }

    fn start(&self) -> Result<Running, NoAnswer> {
        let not_started = |error: std::io::Error| NoAnswer::NotStarted(format!("no process could be started: {error}"));
        let mut process = (self.command)()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(not_started)?;
        let (stdin, stdout, stderr) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            unreachable!("all three are pipes");
        };
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            lines.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
        });
        let words: Arc<Mutex<VecDeque<String>>> = Arc::default();
        let (last, heard) = (words.clone(), self.heard.clone());
        let listener = std::thread::spawn(move || {
            // Bytes that are not UTF-8 are kept all the same.
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                heard(&line);
                if is_of_a_backtrace(&line) {
                    continue;
                }
                let mut last = lock(&last);
                last.push_back(line);
                let over = last.len().saturating_sub(LAST_WORDS);
                last.drain(..over);
            }
        });
        // A child that does not even read this has died; its missing first answer will show that.
        let _ = writeln!(stdin, "{}", self.greeting);
        Ok(Running { process, stdin, answers, words, listener: Some(listener), answered: 0 })
    }
}

impl Running {
    fn answer(&mut self, seed: u64, watchdog: Duration) -> Result<String, NoAnswer> {
        // As above: a child that cannot be asked does not answer.
        let _ = writeln!(self.stdin, "{seed}").and_then(|()| self.stdin.flush());
        match self.answers.recv_timeout(watchdog) {
            Ok(line) => {
                self.answered += 1;
                Ok(line)
            }
            Err(RecvTimeoutError::Timeout) => Err(NoAnswer::Hung),
            Err(RecvTimeoutError::Disconnected) => Err(NoAnswer::Died(self.last_words())),
        }
    }

    /// How the process ended, and what it said last.
    fn last_words(&mut self) -> String {
        // It may have closed its output and still be running.
        let _ = self.process.kill();
        let how = self.process.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        // Its last lines may still be in the pipe, which a process that it started may hold open for ever.
        for _ in 0..100 {
            if self.listener.as_ref().is_none_or(JoinHandle::is_finished) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let words = lock(&self.words);
        let words: Vec<&str> = words.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
        if words.is_empty() {
            format!("its process ended with {how}")
        } else {
            format!("its process ended with {how}: {}", words.join("; "))
        }
    }
}

/// Whether a line says only where something happened, and not what.
fn is_of_a_backtrace(line: &str) -> bool {
    line.starts_with(' ') || line.starts_with("stack backtrace:") || line.starts_with("note: ")
}

impl Drop for Running {
    fn drop(&mut self) {
        // It waits for a seed, or hangs: neither is worth waiting for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A lock whose holder cannot leave broken state behind, so poisoning means nothing.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Children that run a shell's loop over seeds; `$n` counts the seeds of a process.
    fn children(body: &str, seeds_each: u64) -> Children {
        let script = format!("read greeting; n=0; while read seed; do n=$((n+1)); {body}; done");
        let command = move || {
            let mut command = Command::new("sh");
            command.args(["-c", &script]);
            command
        };
        let watchdog = Duration::from_secs(60);
        Children { seeds_each, ..Children::new(command, "hello".into(), watchdog) }
    }

    #[test]
    fn so_many_seeds_share_a_process() {
        let children = children("echo $greeting $seed $n", 2);
        let answers: Vec<_> = (5..9).map(|seed| children.ask(seed).unwrap()).collect();
        assert_eq!(answers, ["hello 5 1", "hello 6 2", "hello 7 1", "hello 8 2"]);
    }

    #[test]
    fn a_child_that_dies_is_its_own_seeds_alone_and_says_how() {
        let children = children(
            "[ $seed = 1 ] && { echo out of luck >&2; echo '  7: main' >&2; kill -ABRT $$; }; echo $seed",
            100,
        );
        assert_eq!(children.ask(0), Ok("0".into()));
        let Err(NoAnswer::Died(why)) = children.ask(1) else { panic!("it died") };
        assert!(why.contains("SIGABRT") && why.ends_with(": out of luck"), "{why}");
        assert_eq!(children.ask(2), Ok("2".into()));
    }

    #[test]
    fn a_child_that_hangs_is_killed_and_replaced() {
        let patient = children("[ $seed = 1 ] && exec sleep 3600; echo $seed", 100);
        let children = Children { watchdog: Duration::from_millis(300), ..patient };
        assert_eq!(children.ask(1), Err(NoAnswer::Hung));
        // A child that is slow to start does not hang: the machine may be busy.
        assert!((0..50).any(|_| children.ask(2) == Ok("2".into())));
    }

    #[test]
    fn what_is_kept_from_run_to_run_shows() {
        let leaky = children("echo $n", 100);
        assert_eq!(leaky.ask_fresh(7), Ok("1".into()));
        assert_eq!(leaky.ask_after(6, 7), Ok("2".into()), "nobody was used: one is, first");
        assert_eq!(leaky.ask_after(6, 7), Ok("3".into()));
        assert_eq!(leaky.ask_fresh(7), Ok("1".into()));
    }

    #[test]
    fn a_program_that_is_not_there_is_said() {
        let none = Children::new(|| Command::new("/nowhere/at/all"), String::new(), Duration::from_secs(60));
        assert!(matches!(none.ask(0), Err(NoAnswer::NotStarted(why)) if why.contains("No such file")));
    }
}
