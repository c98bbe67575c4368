//! `docs/LADDER.md` shows what the command finds.

use super::Desk;
use super::contract::missing;
use std::collections::BTreeMap;

/// Verdict by system and scenario, as the file has it.
fn documented() -> BTreeMap<(String, String), String> {
    let doc = include_str!("../../docs/LADDER.md");
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect::<Vec<_>>();
    let names = cells(doc.lines().find(|line| line.starts_with("| system")).unwrap());
    let mut documented = BTreeMap::new();
    for row in doc.lines().filter(|line| line.starts_with("| `")).map(cells) {
        for (name, cell) in names.iter().zip(&row).filter(|(name, _)| name.starts_with('`')) {
            let plain = |text: &str| text.replace(['`', '*'], "");
            let verdict = cell.split(',').next().unwrap();
            documented.insert((plain(&row[0]), plain(name)), plain(verdict));
        }
    }
    documented
}

#[test]
fn the_first_seed_finds_what_the_file_says_in_lines_as_promised() {
    let ran = Desk::new().run("ladder --seeds 1 --format json");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let lines = ran.lines();
    let documented = documented();
    assert_eq!(lines.last().unwrap()["kind"], "ladder");
    assert_eq!(lines.len(), documented.len() + 1);
    for line in &lines {
        assert_eq!(missing(line), Vec::<String>::new(), "{line}");
    }
    for line in &lines[..documented.len()] {
        let name = |field: &str| line[field].as_str().unwrap().to_string();
        let verdict = &documented[&(name("system"), name("scenario"))];
        let is_safe = line["findings"].get("safe").is_some();
        match verdict.split_once(' ') {
            None => assert!(is_safe, "{verdict}: {line}"),
            Some((_, seeds)) => {
                let (bad, all) = seeds.split_once('/').unwrap();
                assert!(bad != all || !is_safe, "{verdict}: {line}");
            }
        }
    }
}
