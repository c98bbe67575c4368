//! Circles between files: `a` imports `b`, which imports `a`.
//!
//! A folder and its `mod.rs` count as one: imports between a file and the `mod.rs` above it are no imports between two
//! files. A name that the `mod.rs` only re-exports counts for the file that defines it.

use super::imports::{internal, module, paths};
use super::{Tree, is_within, sources};
use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;
use std::collections::BTreeMap;

/// The file of each module.
type Files<'a> = BTreeMap<String, &'a str>;

/// The file that a path inside the crate leads to.
fn file_of<'a>(files: &Files<'a>, path: &str) -> Option<&'a str> {
    let mut prefix = path;
    loop {
        if let Some(file) = files.get(prefix) {
            return Some(file);
        }
        prefix = prefix.rsplit_once('/')?.0;
    }
}

/// The file that defines a name which a `mod.rs` only re-exports.
fn handed_on<'a>(tree: &Tree, files: &Files<'a>, folder: &str, name: &str) -> Option<&'a str> {
    let stands = |path: &Vec<String>| {
        let is_name = path.len() > 1 && path.last().is_some_and(|last| last == name);
        is_name.then(|| internal(folder, path)).flatten().and_then(|path| file_of(files, &path))
    };
    paths(&tree[folder]).iter().filter_map(stands).find(|file| *file != folder)
}

/// The circles, each as its files.
pub fn circles(tree: &Tree) -> Vec<String> {
    let files: Files = sources(tree).map(|(file, _)| (module(file), file.as_str())).collect();
    let mut graph: DiGraphMap<&str, ()> = DiGraphMap::new();
    for (file, code) in sources(tree) {
        for path in paths(code) {
            let Some(path) = internal(file, &path) else { continue };
            let Some(mut target) = file_of(&files, &path) else { continue };
            let name = path.rsplit('/').next().unwrap_or_default();
            if target.ends_with("/mod.rs") {
                target = handed_on(tree, &files, target, name).unwrap_or(target);
            }
            let (own, other) = (module(file), module(target));
            let is_one_room =
                |folder: &str, above: &str, below: &str| folder.ends_with("mod.rs") && is_within(below, above);
            if !is_one_room(target, &other, &own) && !is_one_room(file, &own, &other) {
                graph.add_edge(file.as_str(), target, ());
            }
        }
    }
    let named = |mut files: Vec<&str>| {
        files.sort_unstable();
        format!("these files import each other in a circle: {}", files.join(", "))
    };
    tarjan_scc(&graph).into_iter().filter(|files| files.len() > 1).map(named).collect()
}
