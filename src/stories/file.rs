//! The files of `sims/stories/`: the story's name, its parameters, a change that breaks its claims, and its questions.

use super::claim::{Decides, claims, is_claimed};
use super::lesson::Lesson;
use super::list::{Listed, STORIES, listed, names};
use super::model::{Complaint, Model};
use super::recording::{Explicit, Recording};
use super::tell::StoryRun;
use crate::scenario::bounds::{VALUES, values};
use crate::scenario::suggest::allowed;
use crate::scenario::{Document, ScenarioError, VERSION};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The stories of the list, read: what `schism lesson list` shows.
///
/// # Panics
/// Never in a build that passed its tests: each file is read by one.
pub fn catalogue() -> Vec<StoryFile> {
    STORIES.iter().map(own).collect()
}

/// The story of this name in the list, read.
///
/// # Panics
/// As [`catalogue`].
pub fn find(name: &str) -> Option<StoryFile> {
    listed(name).map(own)
}

fn own(story: &Listed) -> StoryFile {
    StoryFile::parse(&format!("sims/stories/{}.toml", story.name), story.text).expect("a listed story is sound")
}

/// Whether a TOML text is a story's and not a scenario's.
pub fn is_story(text: &str) -> bool {
    // The reader reports a text that is too large.
    values(text) <= VALUES && DeTable::parse(text).is_ok_and(|root| root.get_ref().contains_key("model"))
}

/// A story's file after parsing, with typed fields.
#[derive(Clone)]
pub struct StoryFile {
    /// The name on the command line.
    pub name: String,
    /// One line.
    pub title: String,
    listed: &'static Listed,
    /// The story with its parameters.
    pub model: Arc<dyn Model>,
    /// The same with changed parameters, under which a claim that was made from the original ones fails.
    pub perturbed: Arc<dyn Model>,
    /// The measurement by which the naive variants do worse than the others.
    pub decides: Option<Decides>,
    /// The text and the questions for a class.
    pub lesson: Lesson,
    /// A recorded run, if the file carries one.
    pub recording: Option<Recording>,
}

impl std::fmt::Debug for StoryFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoryFile({})", self.name)
    }
}

/// The parts of a file that serde reads.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    #[serde(rename = "version")]
    _version: u32,
    name: String,
    title: String,
    model: String,
    decides: Option<Decides>,
    lesson: Lesson,
    explicit: Option<Explicit>,
    // Read separately; named here so that errors list them.
    #[serde(rename = "parameters")]
    _parameters: serde::de::IgnoredAny,
    #[serde(rename = "perturbed")]
    _perturbed: serde::de::IgnoredAny,
}

/// A file as it is written.
#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    name: &'a str,
    title: &'a str,
    model: &'a str,
    decides: &'a Option<Decides>,
    parameters: toml::Table,
    perturbed: toml::Table,
    lesson: &'a Lesson,
    explicit: Explicit,
}

impl StoryFile {
    /// Reads a story from TOML and checks it. `file` names the text in errors.
    ///
    /// # Errors
    /// If it is no TOML, has another version, or makes no sense.
    pub fn parse(file: &str, text: &str) -> Result<StoryFile, ScenarioError> {
        let document = Document { file, text };
        document.bounded()?;
        let root = DeTable::parse(text).map_err(|error| document.serde(&error, None, 0..0))?;
        let span = root.span();
        document.version(root.get_ref())?;
        let head: Head = document.value(&Spanned::new(span, DeValue::Table(root.get_ref().clone())))?;
        let place = |field: &str| root.get_ref().get(field).map_or(0..0, Spanned::span);
        let Some(listed) = listed(&head.model) else {
            let help = allowed(&head.model, names());
            return Err(document.error(place("model"), format!("there is no story `{}`", head.model), help));
        };
        let given = &root.get_ref()["parameters"];
        let model = (listed.read)(document, given)?;
        let perturbed = (listed.read)(document, &changed(document, given, &root.get_ref()["perturbed"])?)?;
        if perturbed.parameters() == model.parameters() {
            return Err(document.error(
                place("perturbed"),
                "it changes nothing",
                "give a parameter another value, with which a claim fails",
            ));
        }
        let predictions = model.predict();
        if let Some(decides) = head.decides.as_ref().filter(|decides| !is_claimed(&predictions, &decides.claim)) {
            let help = allowed(&decides.claim, claims(&predictions));
            return Err(document.error(place("decides"), format!("nothing measures `{}`", decides.claim), help));
        }
        let wrong = |part: &str, (problem, help): Complaint| document.error(place(part), problem, help);
        let mut lesson = head.lesson;
        lesson.check(&*model).map_err(|complaint| wrong("lesson", complaint))?;
        lesson.questions.iter_mut().for_each(|question| question.measure_by(&predictions));
        let recording = head.explicit.map(|explicit| explicit.read(&*model)).transpose();
        let recording = recording.map_err(|complaint| wrong("explicit", complaint))?;
        Ok(StoryFile {
            name: head.name,
            title: head.title,
            listed,
            model,
            perturbed,
            decides: head.decides,
            lesson,
            recording,
        })
    }

    /// A run of this story as a file that replays it.
    ///
    /// # Panics
    /// Never: a story is plain data.
    pub fn record(&self, run: &StoryRun) -> String {
        let parameters = self.model.parameters();
        let is_changed = |(name, value): &(String, toml::Value)| parameters.get(name) != Some(value);
        let perturbed = self.perturbed.parameters().into_iter().filter(is_changed).collect();
        let explicit = Explicit::write(&Recording { setup: run.setup.clone(), digest: run.digest });
        let (name, title) = (&self.name, &self.title);
        let (model, decides, lesson) = (self.listed.name, &self.decides, &self.lesson);
        let written =
            Written { version: VERSION, name, title, model, decides, parameters, perturbed, lesson, explicit };
        toml::to_string(&written).expect("a story is plain data")
    }
}

/// A table of parameters with some replaced.
fn changed<'i>(
    document: Document<'_>,
    parameters: &Spanned<DeValue<'i>>,
    changes: &Spanned<DeValue<'i>>,
) -> Result<Spanned<DeValue<'i>>, ScenarioError> {
    let no_table = |span: Range<usize>| document.error(span, "it is no table", "write `[parameters]`, `[perturbed]`");
    let mut merged = parameters.get_ref().as_table().ok_or_else(|| no_table(parameters.span()))?.clone();
    for (key, value) in changes.get_ref().as_table().ok_or_else(|| no_table(changes.span()))?.iter() {
        merged.insert(key.clone(), value.clone());
    }
    Ok(Spanned::new(changes.span(), DeValue::Table(merged)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(from: &str, to: &str) -> String {
        let text = listed("retry-storm").unwrap().text;
        assert!(text.contains(from), "`{from}` is in the story");
        StoryFile::parse("own.toml", &text.replacen(from, to, 1)).unwrap_err().plain()
    }

    #[test]
    fn every_listed_story_is_sound_and_named_like_its_file() {
        for story in STORIES {
            let file = find(story.name).unwrap();
            assert_eq!((file.name.as_str(), file.listed.name), (story.name, story.name));
        }
        assert!(find("no-such-story").is_none());
    }

    #[test]
    fn a_file_that_is_wrong_is_told_where_and_what_is_allowed() {
        for (from, to, part) in [
            ("stall_s = ", "stal_s = ", "did you mean `stall_s`?"),
            ("stall_s = 2.0", "stall_s = \"two\"", "expected f64"),
            ("stall_s = 2.0", "stall_s = -1.0", "`stall_s` is -1\n"),
            ("model = \"retry-storm\"", "model = \"retry-strom\"", "did you mean `retry-storm`?"),
            ("version = 1", "version = 2", "version 2 of the format is unknown"),
            ("stall_s = 0.5", "stall_s = 2.0", "it changes nothing"),
            ("right = true\n", "", "must be right"),
        ] {
            let said = broken(from, to);
            assert!(said.starts_with("own.toml:") && said.contains(part), "{part} in:\n{said}");
        }
    }
}
