//! The files of `sims/stories/`: which story, its parameters, the one that breaks its claims, and what a class is asked.

use super::lesson::{Complaint, Lesson};
use super::{Arrival, STORIES, Setup, Story, StoryRun, Variant};
use crate::fault::model::Fault;
use crate::scenario::bounds::{VALUES, values};
use crate::scenario::suggest::allowed;
use crate::scenario::{Document, ScenarioError};
use crate::trace::digest::Digest;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

macro_rules! embed {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../sims/stories/", $name, ".toml")))),*]
    };
}

/// The embedded stories as (name, TOML text), in the order in which a class would meet them.
pub fn embedded() -> &'static [(&'static str, &'static str)] {
    embed![
        "split-brain",
        "consistency-or-availability",
        "five-data-centres",
        "latency-not-bandwidth",
        "retry-storm",
        "pool-exhaustion",
        "dns-failover",
        "dns-outage",
    ]
}

/// The embedded stories, read: what `schism lesson list` shows.
///
/// # Panics
/// Never in a build that passed its tests: each embedded file is read by one.
pub fn catalogue() -> Vec<StoryFile> {
    embedded().iter().map(|(name, _)| find(name).expect("an embedded story is found by its name")).collect()
}

/// The story embedded under this name.
///
/// # Panics
/// As [`catalogue`].
pub fn find(name: &str) -> Option<StoryFile> {
    let (name, text) = embedded().iter().find(|(known, _)| *known == name)?;
    Some(StoryFile::parse(&format!("sims/stories/{name}.toml"), text).expect("an embedded story is sound"))
}

/// Whether a TOML text is a story's and not a scenario's.
pub fn is_story(text: &str) -> bool {
    // What is too much to be read is told by whoever reads it.
    values(text) <= VALUES && DeTable::parse(text).is_ok_and(|root| root.get_ref().contains_key("model"))
}

/// A story with its parameters.
#[derive(Clone, Serialize)]
pub struct StoryFile {
    version: u32,
    /// The name on the command line.
    pub name: String,
    /// One line.
    pub title: String,
    /// The story's code.
    #[serde(serialize_with = "by_name")]
    pub(crate) model: &'static dyn Story,
    /// What may be changed, in units that the names end with.
    pub parameters: toml::Table,
    /// What is changed about them so that a claim made without knowing of it fails.
    pub perturbed: toml::Table,
    /// What a class is told and asked.
    pub lesson: Lesson,
    /// A run in explicit form, if the file carries one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explicit: Option<Explicit>,
}

/// A recorded run: what was drawn from the seed, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explicit {
    /// The seed, in quotes: TOML's integers end at 2^63 - 1.
    pub seed: String,
    /// The variant that ran.
    pub variant: String,
    /// The digest of the run.
    pub digest: Digest,
    /// The requests, as pairs of microseconds and sort.
    pub load: Vec<(u64, u32)>,
    /// What broke in the network.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

fn by_name<S: serde::Serializer>(model: &&'static dyn Story, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(model.name())
}

impl std::fmt::Debug for StoryFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoryFile({})", self.name)
    }
}

/// The parts of a file that are read as they stand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    #[serde(rename = "version")]
    _version: u32,
    name: String,
    title: String,
    model: String,
    lesson: Lesson,
    explicit: Option<Explicit>,
    // Read apart; named here so that errors list them.
    #[serde(rename = "parameters")]
    _parameters: serde::de::IgnoredAny,
    #[serde(rename = "perturbed")]
    _perturbed: serde::de::IgnoredAny,
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
        let Some(model) = STORIES.into_iter().find(|story| story.name() == head.model) else {
            let names = STORIES.into_iter().map(|story| story.name()).collect();
            return Err(document.error(
                place("model"),
                format!("there is no story `{}`", head.model),
                allowed(&head.model, names),
            ));
        };
        let given = &root.get_ref()["parameters"];
        let parameters = model.parameters(document, given)?;
        let perturbed = changed(document, given, &root.get_ref()["perturbed"])?;
        let perturbed = model.parameters(document, &perturbed)?;
        if perturbed == parameters {
            return Err(document.error(
                place("perturbed"),
                "it changes nothing",
                "give a parameter another value, with which a claim fails",
            ));
        }
        let perturbed = perturbed.into_iter().filter(|(name, value)| parameters.get(name) != Some(value)).collect();
        let mut story = StoryFile {
            version: crate::scenario::VERSION,
            name: head.name,
            title: head.title,
            model,
            parameters,
            perturbed,
            lesson: head.lesson,
            explicit: head.explicit,
        };
        let wrong = |part: &str, (problem, help): Complaint| document.error(place(part), problem, help);
        story.lesson.check(&story).map_err(|complaint| wrong("lesson", complaint))?;
        let predictions = story.predict();
        story.lesson.questions.iter_mut().for_each(|question| question.measure_by(&predictions));
        story.check_explicit().map_err(|complaint| wrong("explicit", complaint))?;
        Ok(story)
    }

    fn check_explicit(&self) -> Result<(), Complaint> {
        let Some(explicit) = &self.explicit else { return Ok(()) };
        if self.variant(&explicit.variant).is_none() {
            let names = self.variants().iter().map(|variant| variant.name).collect();
            return Err((format!("there is no variant `{}`", explicit.variant), allowed(&explicit.variant, names)));
        }
        if explicit.seed.parse::<u64>().is_err() {
            return Err(("the seed is no number".into(), "allowed: 0 to 18446744073709551615, in quotes".into()));
        }
        Ok(())
    }

    /// The variants, the naive one first.
    pub fn variants(&self) -> &'static [Variant] {
        self.model.variants()
    }

    /// The variant of this name.
    pub fn variant(&self, name: &str) -> Option<&'static Variant> {
        self.variants().iter().find(|variant| variant.name == name)
    }

    /// One line about a variant, with what the parameters make of it.
    pub fn what(&self, variant: &Variant) -> String {
        self.model.what(&self.parameters, variant)
    }

    /// The same story with some parameters replaced.
    ///
    /// # Errors
    /// If the story cannot be run with them: the problem, and what is allowed.
    pub fn with(&self, changes: &toml::Table) -> Result<StoryFile, Complaint> {
        Ok(StoryFile { parameters: self.model.changed(&self.parameters, changes)?, ..self.clone() })
    }

    /// What is expected, from the parameters alone.
    pub fn predict(&self) -> Vec<super::claim::Prediction> {
        self.model.predict(&self.parameters)
    }

    /// What must be true for the predictions to be about a run, in units.
    pub fn assumptions(&self) -> Vec<String> {
        self.model.assumptions(&self.parameters)
    }

    /// What is modelled by a constant, not run.
    pub fn modelled(&self) -> &'static [&'static str] {
        self.model.modelled()
    }

    /// The requests of a seed and the faults.
    pub fn materialise(&self, seed: u64) -> (Vec<Arrival>, Vec<Fault>) {
        self.model.materialise(&self.parameters, seed)
    }

    /// The same story with the parameter changed for which its claims fail.
    pub fn with_perturbation(&self) -> StoryFile {
        let mut parameters = self.parameters.clone();
        parameters.extend(self.perturbed.clone());
        StoryFile { parameters, ..self.clone() }
    }

    /// The recorded run's setup, if the file carries one.
    pub fn setup(&self) -> Option<Setup> {
        let explicit = self.explicit.as_ref()?;
        Some(Setup {
            variant: self.variant(&explicit.variant)?.name,
            seed: explicit.seed.parse().ok()?,
            load: explicit.load.iter().map(|(at_us, sort)| Arrival { at_us: *at_us, sort: *sort }).collect(),
            faults: explicit.faults.clone(),
        })
    }

    /// A run of this story as a file that replays it.
    ///
    /// # Panics
    /// Never: a story is plain data.
    pub fn record(&self, run: &StoryRun) -> String {
        let explicit = Explicit {
            seed: run.setup.seed.to_string(),
            variant: run.setup.variant.into(),
            digest: run.digest,
            load: run.setup.load.iter().map(|arrival| (arrival.at_us, arrival.sort)).collect(),
            faults: run.setup.faults.clone(),
        };
        toml::to_string(&StoryFile { explicit: Some(explicit), ..self.clone() }).expect("a story is plain data")
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
        let (_, text) = embedded().iter().find(|(name, _)| *name == "retry-storm").unwrap();
        assert!(text.contains(from), "`{from}` is in the story");
        StoryFile::parse("own.toml", &text.replacen(from, to, 1)).unwrap_err().plain()
    }

    #[test]
    fn every_embedded_story_is_sound_and_named_like_its_file() {
        for (name, _) in embedded() {
            assert_eq!(find(name).unwrap().name, *name);
        }
        assert!(find("no-such-story").is_none());
        assert_eq!(STORIES.len(), embedded().len(), "each story's code has a file");
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
