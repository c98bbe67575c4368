//! The file with a student's answer: `schism lesson` writes it and the lesson in a browser offers it, the same text;
//! `schism lesson grade` reads it.

use crate::report::json;
use crate::stories::StoryFile;
use crate::trace::digest::{self, Digest};
use serde::{Deserialize, Serialize};

/// An answer as a student hands it in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandedIn {
    schema: u32,
    kind: String,
    /// The lesson's name.
    pub lesson: String,
    /// Its version.
    pub lesson_version: u32,
    /// Who answered.
    pub student: String,
    /// The seed that the ID leads to.
    pub seed: u64,
    /// One answer a question.
    pub answer: Vec<String>,
    /// The digest of the runs.
    pub digest: Digest,
    /// A digest of all of this: shows what was changed by hand. It is no signature.
    pub seal: Digest,
}

impl HandedIn {
    /// The answer of a student, sealed.
    pub fn new(story: &StoryFile, student: &str, seed: u64, answer: Vec<String>, digest: Digest) -> HandedIn {
        let mut handed_in = HandedIn {
            schema: json::SCHEMA,
            kind: "answer".into(),
            lesson: story.name.clone(),
            lesson_version: story.lesson.version,
            student: student.into(),
            seed,
            answer,
            digest,
            seal: digest::of(""),
        };
        handed_in.seal = handed_in.sealed();
        handed_in
    }

    /// The seal that belongs to what it says.
    pub fn sealed(&self) -> Digest {
        let content = (&self.lesson, self.lesson_version, &self.student, self.seed, &self.answer, self.digest);
        digest::of(&("schism answer", self.schema, &self.kind, content))
    }

    /// The name of its file.
    pub fn file_name(&self) -> String {
        file_name(&self.student, &self.lesson)
    }

    /// The content of its file.
    ///
    /// # Panics
    /// Never: an answer is plain data.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("an answer is plain data") + "\n"
    }
}

/// Reads a student's ID: it becomes part of a file's name.
///
/// # Errors
/// If it cannot, with what is allowed.
pub fn student(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_fine = (1..=64).contains(&text.len()) && text.chars().all(is_plain) && !text.starts_with(['.', '-']);
    let allowed =
        "an ID is up to 64 of the characters A to Z, a to z, 0 to 9, `.`, `_` and `-`, a letter or digit first";
    if is_fine { Ok(text.to_string()) } else { Err(allowed.into()) }
}

/// The name of the file with a student's answer to a lesson.
pub fn file_name(student: &str, lesson: &str) -> String {
    format!("{student}-{lesson}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_part_of_a_file_name() {
        for id in ["ada", "s.1234_5-6", "7"] {
            assert_eq!(student(id).as_deref(), Ok(id));
        }
        for id in ["", "../ada", "a/b", "ada lovelace", "-x", ".ada", &"x".repeat(65)] {
            assert!(student(id).is_err(), "{id}");
        }
    }
    use crate::stories;

    #[test]
    fn the_seal_covers_everything() {
        let story = stories::find("retry-storm").unwrap();
        let answer = HandedIn::new(&story, "ada", 7, vec!["0".into(), "c".into()], digest::of("runs"));
        assert_eq!(answer.seal, answer.sealed());
        let changes: [fn(&mut HandedIn); 6] = [
            |a| a.lesson.push('x'),
            |a| a.lesson_version += 1,
            |a| a.student.push('x'),
            |a| a.seed += 1,
            |a| a.answer[1] = "b".into(),
            |a| a.digest = digest::of("other runs"),
        ];
        for change in changes {
            let mut edited = answer.clone();
            change(&mut edited);
            assert_ne!(edited.sealed(), answer.seal);
        }
    }
}
