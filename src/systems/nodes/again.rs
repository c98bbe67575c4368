//! Whether a node answers the same events alike: what one process of a run was told is told to a fresh one.

use super::answer::Answer;
use super::child::{Child, short};
use super::{Broken, Wrong};
use crate::host::Host;
use crate::trace::HostId;

/// The most bytes of events and answers that are kept.
const BYTES: usize = 24 << 20;

/// What the first process of one node was told and answered, from its start.
pub struct Transcript {
    host: HostId,
    node: String,
    said: Vec<(String, String)>,
    bytes: usize,
    is_over: bool,
}

impl Transcript {
    /// An empty one, if this node is the one of its run that is asked again: over all seeds each is.
    pub fn of(host: &Host) -> Option<Transcript> {
        let nodes = host.nodes().len() as u64;
        let chosen = HostId((host.fabric().seed() % nodes) as u16 + 1);
        let transcript = || {
            let (node, said) = (host.name().to_owned(), Vec::new());
            Transcript { host: chosen, node, said, bytes: 0, is_over: false }
        };
        (host.id() == chosen).then(transcript)
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// A process of a node starts: if it is not the first of this one, nothing more is written down.
    pub fn starts(&mut self, host: &Host) {
        self.is_over |= self.host == host.id();
    }

    /// Writes down what a node said, if it is this one.
    pub fn note(&mut self, host: &Host, event: &str, answer: &Result<Answer, Wrong>) {
        if self.host != host.id() || self.is_over {
            return;
        }
        let Some(said) = in_words(answer) else { return };
        self.bytes += event.len() + said.len();
        self.is_over = self.bytes > BYTES;
        self.said.push((event.to_owned(), said));
    }

    /// Asks a fresh process, and says in a sentence where it first answers otherwise; `None`: nowhere.
    ///
    /// # Errors
    /// When it gives no answer in time.
    pub fn differs(&self, words: &[String]) -> Result<Option<String>, Broken> {
        let mut child = Child::start(words, &self.node)?;
        for (number, (event, before)) in self.said.iter().enumerate() {
            let answer = child.ask(event);
            let now = match (in_words(&answer), answer) {
                (Some(now), _) => now,
                (None, Err(Wrong::Broken(broken))) => return Err(broken),
                (None, _) => unreachable!("only what is broken has no words"),
            };
            if now != *before {
                let (one, other) = parts(before, &now);
                return Ok(Some(format!(
                    "{} answers the same events differently: event {} ({}) was answered with {one} and, by another \
                     process, with {other}; look for random numbers of its own, the real clock, threads, and the order of \
                     a hash map",
                    self.node,
                    number + 1,
                    short(event)
                )));
            }
        }
        Ok(None)
    }
}

/// An answer as text, to be compared; `None` if there was none.
fn in_words(answer: &Result<Answer, Wrong>) -> Option<String> {
    match answer {
        Ok(answer) => Some(format!("{answer:?}")),
        Err(Wrong::Failed(why)) => Some(why.clone()),
        Err(Wrong::Broken(_)) => None,
    }
}

/// Where two texts part, with a little of what is before it.
fn parts(one: &str, other: &str) -> (String, String) {
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(30);
    let cut = |text: &str| format!("`...{}`", short(&text.chars().skip(from).collect::<String>()));
    (cut(one), cut(other))
}
