//! What a name on the command line means: the same for every command.

use super::exit::Failure;
use schism::scenario::{self, Scenario, bounds};
use schism::stories::file::is_story;
use schism::stories::list::listed;
use schism::stories::{self, StoryFile};
use schism::systems::System;
use std::path::Path;

/// What a name or a path means.
pub enum Named {
    /// A story, and the scenario that stands for it where systems are run, if it has one.
    Story(Box<StoryFile>, Option<Box<Scenario>>),
    /// A scenario.
    Scenario(Box<Scenario>),
}

/// The meaning of a name, or the content of the file at this path.
pub fn named(name_or_path: &str) -> Result<Named, Failure> {
    if let Some((story, listed)) = stories::find(name_or_path).zip(listed(name_or_path)) {
        let scenario = listed.scenario.map(scenario).transpose()?;
        return Ok(Named::Story(Box::new(story), scenario));
    }
    // The reader of scenarios reports a file that cannot be read.
    let is_name = scenario::embedded().iter().any(|(name, _)| *name == name_or_path);
    let text = if is_name { String::new() } else { bounds::read(Path::new(name_or_path)).unwrap_or_default() };
    if is_story(&text) {
        let story = StoryFile::parse(name_or_path, &text).map_err(|error| Failure::Input(Box::new(error)))?;
        return Ok(Named::Story(Box::new(story), None));
    }
    Ok(Named::Scenario(scenario(name_or_path)?))
}

/// The scenario of a name or a path; it may only name systems that exist.
pub fn load(name_or_path: &str) -> Result<Scenario, Failure> {
    match named(name_or_path)? {
        Named::Story(_, Some(scenario)) | Named::Scenario(scenario) => Ok(*scenario),
        Named::Story(_, None) => {
            let help =
                format!("it has variants of its own: schism compare {name_or_path}, schism lesson {name_or_path}");
            Err(Failure::Usage(format!("`{name_or_path}` is a story and no scenario; {help}")))
        }
    }
}

fn scenario(name_or_path: &str) -> Result<Box<Scenario>, Failure> {
    let loaded = scenario::load_for(name_or_path, Some(&System::names()));
    loaded.map(Box::new).map_err(|error| Failure::Input(Box::new(error)))
}
