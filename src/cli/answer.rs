//! The file with a student's answer: `schism lesson` writes it, `schism lesson grade` reads it.

use super::exit::Failure;
use schism::report::json;
use schism::stories::StoryFile;
use schism::trace::digest::{self, Digest};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::Path;

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
}

/// The name of the file with a student's answer to a lesson.
pub fn file_name(student: &str, lesson: &str) -> String {
    format!("{student}-{lesson}.json")
}

/// Writes an answer's file; one that is there already stays.
pub fn hand_in(answer: &HandedIn, path: &Path) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(answer).expect("an answer is plain data") + "\n";
    let refused = |error| Failure::Harness(format!("{}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(refused)?;
    }
    let mut file = std::fs::File::create_new(path).map_err(refused)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(refused)
}

/// The longest answer in bytes; what `schism lesson` writes has less than one thousand.
const LONGEST: u64 = 64 << 10;

/// Reads an answer's file; why it cannot be one, if so.
pub fn read(file: &Path) -> Result<HandedIn, String> {
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(|error| error.to_string())?;
    let length = opened.take(LONGEST + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if length as u64 > LONGEST {
        return Err(format!("it is longer than an answer may be ({} KiB)", LONGEST >> 10));
    }
    serde_json::from_str(&text).map_err(|error| format!("it is no answer: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use schism::stories;

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
