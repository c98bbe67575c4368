//! Output for a terminal of 80 columns: no line is longer, and a line ends only where the next word has no room. And
//! the error about a name that does not exist.

use super::Desk;

/// The commands that print lists of entries.
const LISTS: [&str; 4] = ["list --ascii", "list --faults --ascii", "zoo --list --ascii", "lesson list --ascii"];
/// The longest entry's name, and some.
const NAME: usize = 40;

#[test]
fn no_line_of_a_list_or_a_help_is_longer_than_80_columns() {
    let desk = Desk::new();
    let commands =
        "list run compare ladder ledger lesson sweep replay regressions shrink hunt exhaust zoo check export";
    let helps = commands.split(' ').map(|command| format!("{command} --help"));
    let all = LISTS.map(String::from).into_iter().chain(["--help".into(), "lesson grade --help".into()]).chain(helps);
    for command in all {
        let ran = desk.run(&command);
        assert_eq!(ran.code, 0, "{command}: {}", ran.err);
        for line in ran.out.lines() {
            assert!(line.chars().count() <= 80, "{command}: `{line}`");
        }
    }
}

#[test]
fn an_entry_of_a_list_goes_on_as_long_as_the_next_word_has_room() {
    let desk = Desk::new();
    for command in LISTS {
        let out = desk.run(command).out;
        let lines: Vec<&str> = out.lines().collect();
        for pair in lines.windows(2) {
            let indent = pair[1].len() - pair[1].trim_start().len();
            if !(1..NAME).contains(&indent) {
                continue;
            }
            let next = pair[1].split_whitespace().next().unwrap();
            assert!(pair[0].len() + 1 + next.len() > 80, "{command}: `{next}` has room in\n{}\n{}", pair[0], pair[1]);
        }
    }
}

#[test]
fn a_name_that_is_nearly_one_is_told_the_one() {
    let desk = Desk::new();
    for (command, code, meant) in [
        ("compare split-brian", 65, "split-brain"),
        ("list split-brian", 65, "split-brain"),
        ("lesson retry-strom", 65, "retry-storm"),
        ("run brief.toml --system raff", 64, "raft"),
        ("compare brief.toml --systems raff", 64, "raft"),
        ("run brief.toml --bug read-after-restrat", 64, "read-after-restart"),
        ("compare retry-storm --systems immediat", 64, "immediate"),
    ] {
        let ran = desk.run(command);
        assert_eq!(ran.code, code, "{command}: {}", ran.err);
        // The frame of a diagnostic breaks lines.
        let said = ran.err.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        assert!(said.contains(&format!("did you mean `{meant}`?")), "{command}: {}", ran.err);
        assert!(!said.contains(":0:0"), "{command}: {}", ran.err);
        // The parser does not break its own sentences.
        for line in ran.err.lines().filter(|line| !line.starts_with("error: ")) {
            let room = line.chars().count() <= 80;
            assert!(room && !line.ends_with('-'), "{command}: `{line}` is too long, or ends within a name");
        }
    }
}

#[test]
fn a_broken_file_is_the_same_error_for_a_lesson_and_a_comparison() {
    let desk = Desk::new();
    desk.write("broken.toml", "version = 1\nname = \n");
    for command in ["lesson broken.toml", "compare broken.toml", "lesson brief.toml"] {
        assert_eq!(desk.run(command).code, 65, "{command}");
    }
    assert!(desk.run("lesson broken.toml").err.contains("broken.toml:2"));
}
