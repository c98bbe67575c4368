//! One life of a node that is written for Maelstrom: it has threads and timers of its own, goes by its own clock, and says
//! what it wants when it wants. The simulator carries its messages, and goes no faster than time does (`pace`).
//!
//! Such a run is no function of the seed: what a node says when depends on the machine.

use super::answer::{self, Action, Answer};
use super::child::{LINE_BYTES, LINES, short};
use super::family::Family;
use super::last_words::LastWords;
use super::outbox::{Outbox, members, names, quoted};
use super::post::Mailbox;
use super::{Broken, Service, Shared, lock, patience};
use crate::host::Host;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// After how much simulated time it is looked again whether a node has said something: in the simulator's next step.
const LOOK: Duration = Duration::from_millis(1);
/// How long a process whose output has ended may take to end.
const FAREWELL: Duration = Duration::from_secs(3);

/// A running process. It is killed when this is dropped.
pub struct Free {
    family: Arc<Mutex<Family>>,
    /// What it is told, on the way: a process that does not read stops nobody.
    told: Sender<String>,
    /// What it has said, line by line.
    said: Receiver<Result<String, String>>,
    last_words: LastWords,
    begun: Instant,
}

impl Free {
    /// Starts a process of this command line.
    ///
    /// # Errors
    /// When there is no such program, or it cannot be started.
    pub fn start(words: &[String], node: &str) -> Result<Free, Broken> {
        let (family, (stdin, stdout, stderr)) = Family::start(words, node)?;
        let (told, telling) = channel();
        thread::spawn(move || write(stdin, &telling));
        let (saying, said) = sync_channel(LINES);
        thread::spawn(move || read(stdout, &saying));
        let last_words = LastWords::of(stderr);
        Ok(Free { family: Arc::new(Mutex::new(family)), told, said, last_words, begun: Instant::now() })
    }

    fn tell(&self, line: String) {
        // One that reads no more is about to end, which is seen where it is read.
        let _ = self.told.send(line);
    }

    /// The next line that it has said; `None`: nothing more yet. An error says why it is of no use any more.
    fn next(&self, host: &Host) -> Result<Option<String>, String> {
        match self.said.try_recv() {
            Ok(line) => line.map(Some),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(self.ending(&format!("{} ms", host.now_ns() / 1_000_000))),
        }
    }

    /// How it ended.
    fn ending(&self, at: &str) -> String {
        let begun = Instant::now();
        while begun.elapsed() < FAREWELL && !lock(&self.family).has_ended() {
            thread::sleep(LOOK);
        }
        let ended = lock(&self.family).end();
        self.last_words.after(ended, at, FAREWELL)
    }
}

impl Drop for Free {
    fn drop(&mut self) {
        let _ = lock(&self.family).end();
    }
}

fn write(mut stdin: ChildStdin, lines: &Receiver<String>) {
    while let Ok(line) = lines.recv() {
        if stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

/// Reads until the output ends, or a line is too long.
fn read(stdout: ChildStdout, lines: &SyncSender<Result<String, String>>) {
    let mut reader = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        let read = (&mut reader).take(LINE_BYTES as u64 + 1).read_until(b'\n', &mut line);
        let said = match read {
            _ if line.len() > LINE_BYTES => Err(format!("wrote a line of more than {} MiB", LINE_BYTES >> 20)),
            Ok(_) if line.last() == Some(&b'\n') => Ok(String::from_utf8_lossy(&line).trim().to_owned()),
            _ => return,
        };
        let is_over = said.is_err();
        if lines.send(said).is_err() || is_over {
            return;
        }
    }
}

/// Runs a node's process until it is killed, or ends by itself: then it starts again a second later.
pub async fn run(cluster: Arc<Shared>, host: Host, first: Result<Free, Broken>) {
    let mailbox = cluster.post.open(&host);
    let why = match first {
        Ok(process) => {
            cluster.pacer.watch(&host, process.family.clone());
            live(&cluster, &host, &process, &mailbox).await
        }
        Err(broken) => Err(broken),
    };
    match why {
        Ok(why) => host.fabric().panicked(host.id(), format!("`{}` {why}", cluster.program.words().join(" "))),
        Err(Broken(why)) => cluster.break_off(format!("{}: {why}", host.name())),
    }
    std::future::pending::<()>().await;
}

/// Returns why the process is of no use any more; an error says why the run is not.
async fn live(cluster: &Shared, host: &Host, process: &Free, mailbox: &Mailbox) -> Result<String, Broken> {
    let outbox = Outbox { cluster, host, mailbox, term: 0 };
    let (mut is_ready, mut told) = (false, 0);
    let mut tell = |envelope: &str| {
        process.tell(format!("{{\"id\":{told},{envelope}}}\n"));
        told += 1;
    };
    tell(&of_the_setting(
        host,
        1,
        &format!(r#""type":"init","node_id":{},"node_ids":{}"#, quoted(host.name()), names(host)),
    ));
    loop {
        for _ in 0..LINES {
            let line = match process.next(host) {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(why) => return Ok(why),
            };
            let (to, body, head) = match message(&line) {
                Ok(message) => message,
                Err(why) => return Ok(format!("wrote a line that {why}: `{}`", short(&line))),
            };
            if head.kind == "init_ok" && !is_ready {
                is_ready = true;
                if cluster.program.service() == Service::Broadcast {
                    tell(&of_the_setting(host, 2, &format!(r#""type":"topology","topology":{}"#, topology(host))));
                }
            }
            if let Err(why) = outbox.send(&to, body, head, None) {
                return Ok(why);
            }
        }
        if !is_ready && process.begun.elapsed() > patience() {
            return Err(Broken(format!(
                "sent no `init_ok` within {} s: is it written for Maelstrom? A slow machine needs more \
                 (SCHISM_NODES_PATIENCE, in seconds)",
                patience().as_secs()
            )));
        }
        // As in Maelstrom, nobody says anything to a node that is not ready.
        while let Some((letter, envelope)) = is_ready.then(|| mailbox.take()).flatten() {
            if let Some(letter) = letter {
                host.record(letter.delivered());
            }
            tell(&members(&envelope));
        }
        tokio::time::sleep(LOOK).await;
    }
}

type Message = (String, Box<serde_json::value::RawValue>, answer::Head);

/// What a line sends; an error says why it sends nothing, to be read after "a line that".
fn message(line: &str) -> Result<Message, String> {
    let mut answer = Answer::default();
    let is_done = answer::add(&mut answer, line)?;
    match answer.actions.pop() {
        Some(Action::Send { to, body, head }) if !is_done => Ok((to, body, head)),
        _ => Err("is no message: nodes in lockstep run without --real-time".to_owned()),
    }
}

/// A message to the node from who sets the scene.
fn of_the_setting(host: &Host, number: u64, body: &str) -> String {
    format!(r#""src":"schism","dest":{},"body":{{"msg_id":{number},{body}}}"#, quoted(host.name()))
}

/// Everybody is everybody's neighbour.
fn topology(host: &Host) -> String {
    let of = |node: &str| {
        let others: Vec<String> =
            host.nodes().iter().filter(|other| **other != node).map(|other| quoted(other)).collect();
        format!("{}:[{}]", quoted(node), others.join(","))
    };
    let all: Vec<String> = host.nodes().iter().map(|node| of(node)).collect();
    format!("{{{}}}", all.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_are_lines_of_such_a_node() {
        let (to, _, head) =
            message(r#"{"id":3,"src":"n1","dest":"c1","body":{"type":"echo_ok","in_reply_to":1}}"#).unwrap();
        assert_eq!((to.as_str(), head.in_reply_to), ("c1", Some(1)));
        assert!(message(r#"{"done":true}"#).unwrap_err().contains("--real-time"));
        assert!(message(r#"{"sync":true}"#).unwrap_err().contains("--real-time"));
        assert!(message("listening").unwrap_err().contains("is not JSON"));
    }
}
