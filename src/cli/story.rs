//! Variants of stories on the command line, and the files that they are recorded in.

use super::exit::Failure;
use super::warn::warn;
use schism::report::file::write_whole;
use schism::report::recording::save_scenario;
use schism::scenario::Scenario;
use schism::scenario::suggest::allowed;
use schism::stories::{StoryFile, Telling, Variant};
use std::path::Path;

/// The variant of this name.
pub fn variant(story: &StoryFile, name: &str) -> Result<&'static Variant, Failure> {
    story.model.variant(name).ok_or_else(|| {
        let allowed = allowed(name, story.model.variant_names());
        Failure::Usage(format!("{} has no variant `{name}`; {allowed}", story.name))
    })
}

/// Writes each run into a folder: a run of a system as a scenario file, a run of the story's own world as the story's
/// file with what was drawn.
pub fn write(story: &StoryFile, told: &Telling, folder: &Path) -> Result<(), Failure> {
    for run in &told.runs {
        let path = folder.join(format!("{}-{}-{}.toml", story.name, run.setup.variant, told.seed));
        match &run.observed.scenario {
            Some(scenario) => {
                let (name, title) = (story.name.clone(), format!("{}: {}", run.setup.variant, story.title));
                save_scenario(&Scenario { name, title, story: String::new(), ..(**scenario).clone() }, &path)?;
            }
            None => write_whole(&path, story.record(run))?,
        }
        warn(&format!("recorded: {}", super::recordings::replay_command(&path)));
    }
    Ok(())
}
