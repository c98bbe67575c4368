//! What students hand in for a course: folders with a `nodes.toml`, which says how a node is started.

use super::exit::Failure;
use schism::course::problem;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The file in a folder that says how a node is started.
pub const FILE: &str = "nodes.toml";
/// The longest such file, in bytes.
const LONGEST: u64 = 64 << 10;

/// The command lines of a folder.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commands {
    /// For every step that has none of its own.
    node: Option<String>,
    /// By step.
    #[serde(default)]
    steps: BTreeMap<String, String>,
}

impl Commands {
    /// The command line of a step's nodes.
    pub fn of(&self, step: &str) -> Option<&str> {
        self.steps.get(step).or(self.node.as_ref()).map(String::as_str)
    }
}

/// A student's folder.
pub struct HandIn {
    /// The folder's name.
    pub student: String,
    /// The folder, from the root.
    pub folder: PathBuf,
    /// What it says; or the name of what is wrong with it, and why.
    pub commands: Result<Commands, (&'static str, String)>,
}

/// The folder, if it is one program's, or those in it, by name.
///
/// # Errors
/// When the folder cannot be read.
pub fn hand_ins(folder: &Path) -> Result<Vec<HandIn>, Failure> {
    let refused = |error| Failure::input(format!("{}: {error}", folder.display()));
    let root = std::path::absolute(folder).and_then(|path| path.canonicalize()).map_err(refused)?;
    let mut inside = Vec::new();
    for entry in std::fs::read_dir(&root).map_err(refused)? {
        let entry = entry.map_err(refused)?;
        let kind = entry.file_type().map_err(refused)?;
        // A link to a folder is somebody's folder, and is named; what else lies about is none.
        let is_folder = kind.is_dir() || kind.is_symlink() && entry.path().is_dir();
        if is_folder && !entry.file_name().to_string_lossy().starts_with('.') {
            inside.push(entry.path());
        }
    }
    inside.sort();
    let has_file = |folder: &Path| folder.join(FILE).symlink_metadata().is_ok();
    if has_file(&root) || !inside.iter().any(|folder| has_file(folder)) {
        return Ok(vec![read(root)]);
    }
    Ok(inside.into_iter().map(read).collect())
}

fn read(folder: PathBuf) -> HandIn {
    let student = folder.file_name().map_or_else(|| "/".to_owned(), |name| name.to_string_lossy().into_owned());
    let commands = if folder.is_symlink() {
        Err(("link", "the folder is a symbolic link, which may lead to somebody else's".to_owned()))
    } else {
        commands(&folder.join(FILE))
    };
    HandIn { student, folder, commands }
}

fn commands(path: &Path) -> Result<Commands, (&'static str, String)> {
    let Ok(metadata) = path.symlink_metadata() else {
        return Err((
            "missing",
            format!("there is no {FILE}, which says how a node is started: node = \"python3 node.py\""),
        ));
    };
    if metadata.is_symlink() {
        return Err(("link", format!("{FILE} is a symbolic link, which may lead to somebody else's")));
    }
    if !metadata.is_file() {
        return Err(("unreadable", format!("{FILE} is no regular file")));
    }
    let unreadable = |why: String| ("unreadable", format!("{FILE}: {why}"));
    let file = std::fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut text = String::new();
    let length = file.take(LONGEST + 1).read_to_string(&mut text).map_err(|error| unreadable(error.to_string()))?;
    if length as u64 > LONGEST {
        return Err(("too_large", format!("{FILE} has more than {} KiB; it holds command lines", LONGEST >> 10)));
    }
    toml::from_str(&text).map_err(|error| unreadable(problem(&text, &error)))
}
