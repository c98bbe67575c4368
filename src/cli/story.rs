//! Stories on the command line: found by name or path, recorded, replayed.

use super::exit::{Exit, Failure};
use super::terminal::{Terminal, warn};
use schism::report;
use schism::report::file::write_whole;
use schism::scenario::suggest::allowed;
use schism::scenario::{self, bounds};
use schism::stories::file::is_story;
use schism::stories::{self, StoryFile, Telling, Variant};
use std::path::Path;

/// The story of this name, or in the file at this path; `None` if there is none, or the file holds a scenario.
pub fn named(name_or_path: &str) -> Result<Option<StoryFile>, Failure> {
    if let Some(story) = stories::find(name_or_path) {
        return Ok(Some(story));
    }
    // What cannot be read is told by whoever reads scenarios.
    let text = bounds::read(Path::new(name_or_path)).unwrap_or_default();
    if !is_story(&text) {
        return Ok(None);
    }
    StoryFile::parse(name_or_path, &text).map(Some).map_err(|error| Failure::Input(Box::new(error)))
}

/// Whether a story's name is that of the scenario that it is about, too.
pub fn is_also_a_scenario(name: &str) -> bool {
    scenario::embedded().iter().any(|(known, _)| *known == name)
}

/// All variants of a story.
pub fn all(story: &StoryFile) -> Vec<&'static Variant> {
    story.variants().iter().collect()
}

/// The variant of this name.
pub fn variant(story: &StoryFile, name: &str) -> Result<&'static Variant, Failure> {
    story.variant(name).ok_or_else(|| {
        let names = story.variants().iter().map(|variant| variant.name).collect();
        Failure::Usage(format!("{} has no variant `{name}`; {}", story.name, allowed(name, names)))
    })
}

/// Writes each run in explicit form into a folder.
pub fn write(story: &StoryFile, told: &Telling, folder: &Path) -> Result<(), Failure> {
    for run in &told.runs {
        let path = folder.join(format!("{}-{}-{}.toml", story.name, run.setup.variant, told.seed));
        write_whole(&path, story.record(run))?;
        warn(&format!("recorded: {}", super::recordings::replay_command(&path)));
    }
    Ok(())
}

/// Runs a recorded variant again: 0 if every event is as recorded, else 70.
pub fn replay(story: &StoryFile, file: &str, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let Some((setup, explicit)) = story.setup().zip(story.explicit.as_ref()) else {
        let help = "record one with: schism compare NAME --out FOLDER";
        return Err(Failure::input(format!("{file} carries no recorded run; {help}")));
    };
    let now = stories::run_setup(story, setup)?;
    let is_same = now.digest == explicit.digest;
    let result = if is_same { "identical" } else { "diverged" };
    if terminal.json {
        terminal.line(&report::story::variant(story, &now))?;
        terminal.line(&report::json::line(
            "replay",
            serde_json::json!({"file": file, "result": result, "first_diverging_event": null, "same_build": null}),
        ))?;
    } else {
        terminal.line(&format!("{}, {}, digest {}", story.name, now.setup.variant, now.digest))?;
        terminal.line(&match is_same {
            true => "identical: every event and measurement is as recorded".to_string(),
            false => format!("diverged: recorded was {}", explicit.digest),
        })?;
    }
    Ok(if is_same { Exit::Expected } else { Exit::Violation })
}
