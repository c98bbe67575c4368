//! Words that a system has of its own for its messages and roles.

use super::{Event, HostId};
use std::collections::BTreeMap;

/// The most words that are kept, and the longest of them in characters: they are for people.
const WORDS: usize = 200;
const LENGTH: usize = 40;

/// What hosts call some of their events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Labels {
    words: Vec<String>,
    /// By host and its count of events.
    of: BTreeMap<(HostId, u32), u16>,
}

impl Labels {
    /// Labels the event of this host and count.
    pub fn add(&mut self, event: (HostId, u32), word: &str) {
        let word: String = word.chars().take(LENGTH).collect();
        let known = self.words.iter().position(|known| *known == word);
        let at = known.unwrap_or_else(|| {
            if self.words.len() < WORDS {
                self.words.push(word);
            }
            self.words.len() - 1
        });
        self.of.insert(event, at as u16);
    }

    /// What its host calls this event, if it has a word of its own.
    pub fn of(&self, event: &Event) -> Option<&str> {
        self.of.get(&(event.host, event.seq)).map(|at| self.words[usize::from(*at)].as_str())
    }
}
