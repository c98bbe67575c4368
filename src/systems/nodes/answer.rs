//! What a node answers to an event: lines of JSON.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The most milliseconds for which a timer may be set: about a month.
const LONGEST_MS: f64 = 3e9;

/// A node's answer: what it does, in order.
#[derive(Debug, Default)]
pub struct Answer {
    /// What it does.
    pub actions: Vec<Action>,
}

/// One thing that a node does.
#[derive(Debug)]
pub enum Action {
    /// Sends a message.
    Send {
        /// To whom: the name of a node or a client.
        to: String,
        /// Its body as the node wrote it: a JSON object.
        body: Box<RawValue>,
        /// What the body says about itself.
        head: Head,
    },
    /// Sets the timer of this name, or stops it.
    Timer {
        /// Its name.
        name: String,
        /// After how many milliseconds of the node's clock it is due; `None` stops it.
        after_ms: Option<f64>,
    },
    /// Writes a value under a key, or removes it.
    Save {
        /// The key.
        key: String,
        /// The value, JSON; `None` removes it.
        value: Option<Box<RawValue>>,
    },
    /// Makes durable what was saved.
    Sync,
    /// Says what the node is now.
    Role {
        /// In its own word.
        word: String,
        /// The term or epoch.
        term: u64,
    },
    /// Says something for people.
    Log(String),
}

/// What every body says about itself (Maelstrom's `doc/protocol.md`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Head {
    /// What kind of message it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The sender's number of it.
    pub msg_id: Option<u64>,
    /// The number of the message that it answers.
    pub in_reply_to: Option<u64>,
}

/// A line, before its fields are told apart.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// Every message has its sender's name, whatever it says.
    #[serde(rename = "src")]
    _src: Option<String>,
    dest: Option<String>,
    body: Option<Box<RawValue>>,
    /// Maelstrom's own envelope may have a number.
    #[serde(rename = "id")]
    _id: Option<u64>,
    timer: Option<String>,
    after: Option<f64>,
    save: Option<String>,
    value: Option<Box<RawValue>>,
    sync: Option<bool>,
    role: Option<String>,
    term: Option<u64>,
    log: Option<String>,
    done: Option<bool>,
}

/// Adds a line to an answer; `true` if the answer is complete with it.
///
/// # Errors
/// Why the line is not one, to be read after "a line that".
pub fn add(answer: &mut Answer, text: &str) -> Result<bool, String> {
    if text == r#"{"done":true}"# {
        return Ok(true);
    }
    let line: Line = serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => format!("does not fit the protocol ({})", plain(&error)),
        _ => "is not JSON (what is printed for people goes to standard error, or into a log line)".to_owned(),
    })?;
    let does = [
        line.dest.is_some(),
        line.timer.is_some(),
        line.save.is_some(),
        line.sync.is_some(),
        line.role.is_some(),
        line.log.is_some(),
        line.done.is_some(),
    ];
    if does.iter().filter(|does| **does).count() != 1 {
        return Err("does not do exactly one of: dest, timer, save, sync, role, log, done".into());
    }
    let action = match line {
        Line { done: Some(done), .. } => {
            return if done { Ok(true) } else { Err("says that it is not done".into()) };
        }
        Line { dest: Some(to), body, .. } => {
            let body = body.ok_or("has no `body`")?;
            let head: Head = serde_json::from_str(body.get())
                .map_err(|error| format!("has a `body` without a `type`, or with odd ids ({})", plain(&error)))?;
            Action::Send { to, body, head }
        }
        Line { timer: Some(name), after, .. } => {
            if let Some(after) = after.filter(|after| !(0.0..=LONGEST_MS).contains(after)) {
                return Err(format!("sets a timer for {after} ms: allowed are 0 to {LONGEST_MS:e}"));
            }
            Action::Timer { name, after_ms: after }
        }
        Line { save: Some(key), value, .. } => Action::Save { key, value: value.filter(|value| value.get() != "null") },
        Line { role: Some(word), term, .. } => Action::Role { word, term: term.unwrap_or(0) },
        Line { log: Some(text), .. } => Action::Log(text),
        _ => Action::Sync,
    };
    answer.actions.push(action);
    Ok(false)
}

/// The message of an error without its place, which is always line 1.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(problem, _)| problem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        add(&mut Answer::default(), text).expect_err(text)
    }

    #[test]
    fn each_line_does_one_thing() {
        let mut answer = Answer::default();
        let lines = [
            r#"{"src": "n1", "dest": "n2", "body": {"type": "ping", "msg_id": 3, "x": [1, 2]}}"#,
            r#"{"timer": "tick", "after": 12.5}"#,
            r#"{"timer": "tick"}"#,
            r#"{"save": "vote", "value": {"term": 1}}"#,
            r#"{"save": "vote"}"#,
            r#"{"sync": true}"#,
            r#"{"role": "leader", "term": 4}"#,
            r#"{"log": "hello"}"#,
        ];
        assert!(lines.iter().all(|line| add(&mut answer, line) == Ok(false)));
        assert_eq!(add(&mut answer, r#"{"done": true}"#), Ok(true));
        assert_eq!(answer.actions.len(), lines.len());
        let Action::Send { to, body, head } = &answer.actions[0] else { panic!("{answer:?}") };
        assert_eq!((to.as_str(), body.get()), ("n2", r#"{"type": "ping", "msg_id": 3, "x": [1, 2]}"#));
        assert_eq!(*head, Head { kind: "ping".into(), msg_id: Some(3), in_reply_to: None });
        assert!(matches!(&answer.actions[2], Action::Timer { after_ms: None, .. }));
        assert!(matches!(&answer.actions[4], Action::Save { value: None, .. }));
    }

    #[test]
    fn a_line_that_is_none_is_told_why() {
        assert!(told("elected!").contains("is not JSON"));
        assert!(told(r#"{"dest": "n2""#).contains("is not JSON"));
        assert!(told(r#"{"dset": "n2", "body": {}}"#).contains("unknown field `dset`"));
        assert!(told(r#"{"dest": "n2"}"#).contains("no `body`"));
        assert!(told(r#"{"dest": "n2", "body": {"x": 1}}"#).contains("without a `type`"));
        assert!(told(r#"{"dest": "n2", "sync": true, "body": {"type": "x"}}"#).contains("exactly one"));
        assert!(told("{}").contains("exactly one"));
        assert!(told(r#"{"timer": "t", "after": -1}"#).contains("allowed are 0"));
        assert!(told(r#"{"done": false}"#).contains("not done"));
    }
}
