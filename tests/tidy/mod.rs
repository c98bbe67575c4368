//! The code keeps to what `docs/ARCHITECTURE.md` states: the direction of imports, the deliberate absences,
//! no circle between files, no stray or dead files, no file or function too long to hold in the head, no path in the docs
//! that does not exist.
//!
//! Each check takes a tree of files, so that each can be fed a violation below.

mod circles;
mod imports;
mod lengths;

use circles::circles;
use imports::{internal, module, paths};
use lengths::long_functions;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Longest file, in lines.
const LINES: usize = 600;
/// Names that say nothing.
const EMPTY_WORDS: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "manager", "misc"];

/// The text files of a repository, by path with forward slashes.
type Tree = BTreeMap<String, String>;

/// What the architecture states, as far as a machine can hold code to it.
struct Rules {
    /// From the top; each floor's entries are groups of folders that see each other.
    floors: Vec<Vec<Vec<String>>>,
    /// (folders, whether they are the only ones that may, names).
    absences: Vec<(Vec<String>, bool, Vec<String>)>,
    toplevel: BTreeSet<String>,
}

fn fenced<'a>(doc: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let start = format!("```{name}");
    doc.lines().skip_while(move |line| *line != start).skip(1).take_while(|line| *line != "```")
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(String::from).collect()
}

impl Rules {
    fn read(doc: &str) -> Rules {
        let group = |entry: &str| entry.split('+').map(String::from).collect();
        let absence = |line: &str| {
            let (folders, names) = line.split_once(": ").unwrap_or_else(|| panic!("`folder: names` in `{line}`"));
            match folders.strip_prefix("only ") {
                Some(folders) => (words(folders), true, words(names)),
                None if folders == "nobody" => (Vec::new(), true, words(names)),
                None => (words(folders), false, words(names)),
            }
        };
        Rules {
            floors: fenced(doc, "floors").map(|line| line.split_whitespace().map(group).collect()).collect(),
            absences: fenced(doc, "absences").map(absence).collect(),
            toplevel: fenced(doc, "toplevel").flat_map(words).collect(),
        }
    }

    /// Floor and group of a module path such as `fault/generate`: those of its longest listed prefix.
    fn place(&self, module: &str) -> Option<(usize, usize)> {
        let mut best: Option<(usize, usize, usize)> = None;
        for (floor, groups) in self.floors.iter().enumerate() {
            for (group, folders) in groups.iter().enumerate() {
                for folder in folders.iter().filter(|folder| is_within(module, folder)) {
                    if best.is_none_or(|(length, ..)| folder.len() > length) {
                        best = Some((folder.len(), floor, group));
                    }
                }
            }
        }
        best.map(|(_, floor, group)| (floor, group))
    }
}

fn is_within(module: &str, folder: &str) -> bool {
    module.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a file holds tests only.
fn is_test(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.contains("/tests/")
}

fn sources(tree: &Tree) -> impl Iterator<Item = (&String, &String)> {
    tree.iter().filter(|(file, _)| file.starts_with("src/") && file.ends_with(".rs") && !is_test(file))
}

/// Imports that go up, or sideways.
fn wrong_imports(tree: &Tree, rules: &Rules) -> Vec<String> {
    let mut wrong = Vec::new();
    for (file, code) in sources(tree).filter(|(file, _)| !["src/lib.rs", "src/main.rs"].contains(&file.as_str())) {
        let Some(own) = rules.place(&module(file)) else {
            wrong.push(format!("{file} has no floor in docs/ARCHITECTURE.md"));
            continue;
        };
        for path in paths(code) {
            let Some(target) = internal(file, &path) else { continue };
            let stated = ["crate", "schism", "super"].contains(&path[0].as_str());
            match rules.place(&target) {
                Some(there) if there == own || there.0 > own.0 => {}
                Some(_) => wrong.push(format!("{file} imports {target}, which is not below it")),
                None if stated && target.contains('/') => {
                    wrong.push(format!("{file} imports {target}, which has no floor"))
                }
                None => {}
            }
        }
    }
    wrong
}

/// Names that a folder must not use.
fn wrong_names(tree: &Tree, rules: &Rules) -> Vec<String> {
    let mut wrong = Vec::new();
    for (file, code) in sources(tree) {
        let own = module(file);
        let named: BTreeSet<String> = paths(code)
            .into_iter()
            .flat_map(|path| {
                let inside = ["crate", "schism", "super"].contains(&path[0].as_str());
                let inside = inside.then(|| internal(file, &path)).flatten();
                [inside.map(|path| format!("crate::{}", path.replace('/', "::"))), Some(path.join("::"))]
            })
            .flatten()
            .collect();
        for (folders, only, names) in &rules.absences {
            if folders.iter().any(|folder| is_within(&own, folder)) == *only {
                continue;
            }
            for name in names {
                if let Some(found) =
                    named.iter().find(|path| is_within(&path.replace("::", "/"), &name.replace("::", "/")))
                {
                    wrong.push(format!("{file} names {found}"));
                }
            }
        }
    }
    wrong
}

/// Source files that no `mod` line reaches, so that the compiler never sees them.
fn dead_files(tree: &Tree) -> Vec<String> {
    let declares = |parent: &str, name: &str| {
        let code = tree.get(parent)?;
        let line = |line: &str| {
            let line = line.trim().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            line.strip_prefix("mod ")
                .is_some_and(|rest| rest.starts_with(name) && rest[name.len()..].starts_with([';', ' ']))
        };
        code.lines().any(line).then_some(())
    };
    let dead = |file: &&String| {
        let own = file.trim_end_matches(".rs").trim_end_matches("/mod");
        let (folder, name) = own.rsplit_once('/').unwrap_or(("", own));
        let parents = [
            format!("{folder}/mod.rs"),
            format!("{folder}.rs"),
            format!("{folder}/lib.rs"),
            format!("{folder}/main.rs"),
        ];
        !parents.iter().any(|parent| declares(parent, name).is_some())
    };
    let roots = ["src/lib.rs", "src/main.rs", "src/lab/engine.rs", "tests/main.rs"];
    tree.keys()
        .filter(|file| file.ends_with(".rs") && (file.starts_with("src/") || file.starts_with("tests/")))
        .filter(|file| !roots.contains(&file.as_str()))
        .filter(dead)
        .map(|file| format!("{file} is not declared by any `mod`"))
        .collect()
}

/// Files too long, and names that say nothing.
fn style(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    for (file, code) in tree.iter().filter(|(file, _)| file.ends_with(".rs")) {
        let lines = code.lines().count();
        if lines > LINES {
            wrong.push(format!("{file} has {lines} lines"));
        }
        let parts = file.trim_end_matches(".rs").split(['/', '_']).map(str::to_lowercase);
        let types =
            code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| word.starts_with(char::is_uppercase));
        let empty = |word: &str| EMPTY_WORDS.iter().find(|empty| word.to_lowercase().ends_with(*empty)).is_some();
        wrong.extend(
            parts.filter(|part| EMPTY_WORDS.contains(&part.as_str())).map(|part| format!("{file} is named `{part}`")),
        );
        let named: BTreeSet<&str> = types.filter(|word| empty(word) && word.chars().any(char::is_lowercase)).collect();
        let defined = |word: &&str| {
            ["struct", "enum", "trait", "type"].iter().any(|kind| code.contains(&format!("{kind} {word}")))
        };
        wrong.extend(
            named
                .into_iter()
                .filter(|_| file.starts_with("src/"))
                .filter(defined)
                .map(|word| format!("{file} defines `{word}`")),
        );
    }
    wrong
}

/// Paths that the docs name and that do not exist.
fn missing_paths(tree: &Tree, rules: &Rules) -> Vec<String> {
    let exists = |path: &str| tree.keys().any(|file| is_within(file, path.trim_end_matches('/')));
    let mut missing = Vec::new();
    for (doc, text) in tree.iter().filter(|(file, _)| file.ends_with(".md")) {
        let folder = doc.rsplit_once('/').map_or("", |(folder, _)| folder);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let mut target = link.split('#').next().unwrap_or("");
            let mut folder = folder;
            while let Some(above) = target.strip_prefix("../") {
                target = above;
                folder = folder.rsplit_once('/').map_or("", |(parent, _)| parent);
            }
            let path = if folder.is_empty() { target.to_string() } else { format!("{folder}/{target}") };
            if !target.is_empty() && !target.contains("://") && !exists(&path) {
                missing.push(format!("{doc} links to {link}"));
            }
        }
        for word in
            text.split('`').skip(1).step_by(2).filter(|word| word.contains('/') && !word.contains([' ', '*', '\n']))
        {
            let top = word.split('/').next().unwrap_or("");
            if rules.toplevel.contains(top) && top != "target" && !exists(word) {
                missing.push(format!("{doc} names {word}"));
            }
        }
    }
    missing
}

fn stray_files(names: impl Iterator<Item = String>, rules: &Rules) -> Vec<String> {
    names.filter(|name| !rules.toplevel.contains(name)).map(|name| format!("{name} is not in the code map")).collect()
}

/// The repository's text files, and the names at its top level.
fn repository() -> (Tree, Vec<String>) {
    fn walk(folder: &Path, root: &Path, tree: &mut Tree) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                if ![".git", "target", "node_modules"].contains(&entry.file_name().to_str().unwrap()) {
                    walk(&path, root, tree);
                }
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                tree.insert(name, std::fs::read_to_string(&path).unwrap_or_default());
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tree = Tree::new();
    walk(root, root, &mut tree);
    let top = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    (tree, top)
}

fn rules(tree: &Tree) -> Rules {
    Rules::read(&tree["docs/ARCHITECTURE.md"])
}

#[test]
fn the_repository_is_as_the_architecture_says() {
    let (tree, top) = repository();
    let rules = rules(&tree);
    let mut wrong = wrong_imports(&tree, &rules);
    wrong.extend(wrong_names(&tree, &rules));
    wrong.extend(dead_files(&tree));
    wrong.extend(circles(&tree));
    wrong.extend(long_functions(&tree));
    wrong.extend(style(&tree));
    wrong.extend(missing_paths(&tree, &rules));
    wrong.extend(stray_files(top.into_iter(), &rules));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the checks make of one extra file.
fn with(file: &str, code: &str) -> Vec<String> {
    let rules = rules(&repository().0);
    let tree = Tree::from([(file.to_string(), code.to_string())]);
    [wrong_imports(&tree, &rules), wrong_names(&tree, &rules), style(&tree)].concat()
}

#[test]
fn an_import_that_goes_up_or_sideways_is_found() {
    for (file, code) in [
        ("src/kv/store.rs", "use crate::history::History;"),
        ("src/kv/store.rs", "use crate::trace::HostId;"),
        ("src/report/json.rs", "fn f() { crate::cli::main() }"),
        ("src/report/json.rs", "use crate::sweep::Summary;"),
        ("src/check/mod.rs", "use crate::{kv::Key, run::{Options, run}};"),
        ("src/fault/model.rs", "use super::generate::nemesis;"),
        ("src/fault/mod.rs", "pub use generate::nemesis;"),
        ("src/host/mod.rs", "fn f() { println(crate::sim::world()) }"),
        ("src/scenario/mod.rs", "fn f() { assert!(crate::check::x()) }"),
        ("src/attic/mod.rs", "fn f() {}"),
    ] {
        assert!(!with(file, code).is_empty(), "{file}: {code}");
    }
}

#[test]
fn an_import_that_goes_down_or_stands_in_a_test_is_fine() {
    for (file, code) in [
        ("src/check/mod.rs", "use crate::{kv::Key, history::History};"),
        ("src/trace/event.rs", "use crate::kv::Key;"),
        ("src/fault/generate.rs", "use super::model::Fault;"),
        ("src/kv/store.rs", "#[cfg(test)]\nmod tests { use crate::run::run; }"),
        ("src/kv/store.rs", "#[cfg(test)]\nuse crate::run::run;\nfn f() {}"),
        ("src/kv/store.rs", "//! See crate::run::run.\nfn f() { \"crate::run::run\"; }"),
        ("src/check/lost_write/tests.rs", "use crate::run::run;"),
        ("src/cli/run.rs", "use schism::run::run; use super::exit::Exit;"),
    ] {
        assert_eq!(with(file, code), Vec::<String>::new(), "{file}: {code}");
    }
}

#[test]
fn a_name_that_must_be_absent_is_found() {
    for (file, code) in [
        ("src/check/mod.rs", "use crate::systems::System;"),
        ("src/check/mod.rs", "use openraft::Vote;"),
        ("src/history/mod.rs", "use crate::fault::model::Fault;"),
        ("src/systems/dual_primary/mod.rs", "use tokio::{net::TcpStream, time::sleep};"),
        ("src/systems/dual_primary/mod.rs", "use openraft::Raft;"),
        ("src/sim/mod.rs", "fn f() { std::time::SystemTime::now(); }"),
        ("src/run/mod.rs", "use std::collections::{BTreeMap, HashMap};"),
        ("src/host/task.rs", "fn f() { tokio::spawn(async {}); }"),
        ("src/run/mod.rs", "fn f() { println!(\"x\"); }"),
        ("src/sim/boot.rs", "use crate::kv::Key;"),
        ("src/clients/client.rs", "fn f() { std::env::var(\"X\"); }"),
    ] {
        assert!(!with(file, code).is_empty(), "{file}: {code}");
    }
    assert_eq!(with("src/systems/raft/mod.rs", "use openraft::Raft;"), Vec::<String>::new());
}

#[test]
fn long_files_and_empty_names_are_found() {
    assert!(!with("src/kv/store.rs", &"\n".repeat(LINES + 1)).is_empty());
    assert!(!with("src/kv/key_utils.rs", "").is_empty());
    assert!(!with("src/kv/store.rs", "struct SessionManager;").is_empty());
    assert_eq!(with("src/kv/store.rs", "struct Session;"), Vec::<String>::new());
}

#[test]
fn circles_between_files_are_found() {
    let tree = |files: &[(&str, &str)]| files.iter().map(|(file, code)| (file.to_string(), code.to_string())).collect();
    let circle: Tree = tree(&[
        ("src/a/mod.rs", "pub mod one; pub mod two; mod three; pub use three::Three;"),
        ("src/a/one.rs", "use super::two::Two;"),
        ("src/a/two.rs", "use super::Three;"),
        ("src/a/three.rs", "fn f() { crate::a::one::g() }"),
        ("src/a/four.rs", "use super::one; use super::F;"),
    ]);
    let found = circles(&circle);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(["one", "two", "three"].iter().all(|name| found[0].contains(&format!("src/a/{name}.rs"))), "{found:?}");
    assert!(!found[0].contains("four"), "{found:?}");
    let line: Tree = tree(&[
        ("src/a/mod.rs", "pub mod one; pub struct A; fn f() { one::g() }"),
        ("src/a/one.rs", "use super::A; use super::super::b::B;"),
        ("src/b.rs", "#[cfg(test)]\nmod tests { use crate::a::one::g; }"),
    ]);
    assert_eq!(circles(&line), Vec::<String>::new(), "a folder is its mod.rs, and tests may import anything");
}

#[test]
fn long_functions_are_found() {
    let of = |lines: usize| format!("impl A {{\n    fn long(&self) -> u8 {{\n{}    }}\n}}\n", "\n".repeat(lines - 2));
    let found = |lines| long_functions(&Tree::from([("src/kv/store.rs".to_string(), of(lines))]));
    assert_eq!(found(lengths::LINES), Vec::<String>::new());
    assert_eq!(found(lengths::LINES + 1), ["src/kv/store.rs:2: `long` has 71 lines"]);
}

#[test]
fn dead_files_stray_files_and_broken_paths_are_found() {
    let (mut tree, _) = repository();
    let rules = rules(&tree);
    assert_eq!(dead_files(&tree), Vec::<String>::new());
    tree.insert("src/kv/orphan.rs".into(), String::new());
    tree.insert("tests/orphan.rs".into(), String::new());
    assert_eq!(dead_files(&tree).len(), 2);
    let before = missing_paths(&tree, &rules).len();
    tree.insert("docs/extra.md".into(), "See `src/kv/nothing.rs`, [this](missing.md) and `src/kv/store.rs`.".into());
    assert_eq!(missing_paths(&tree, &rules).len(), before + 2);
    let names = ["src", "notes.txt"].map(String::from);
    assert_eq!(stray_files(names.into_iter(), &rules), ["notes.txt is not in the code map"]);
}
