//! A bad scenario file gets an error that points at the line and says what is allowed.

use schism::fault::model::FaultKind;
use schism::scenario::{Scenario, load};

/// A sound file, to be spoilt one line at a time.
const GOOD: &str = r#"version = 1
name = "lesson"
title = "A lesson"

[[sites]]
name = "east"
nodes = 3
clients = 2

[[sites]]
name = "west"
nodes = 2
clients = 1

[latency]
local_ms = 2
wan_ms = 10

[timing]
tick_ms = 2
duration_ms = 20000
heartbeat_ms = 200
election_min_ms = 600
election_max_ms = 1200

[workload]
operations = 100
keys = 4
get = 1
put = 1
cas = 1

[[faults]]
at_ms = 5000
for_ms = 5000
fault = "partition"
groups = [["east"], ["west"]]

[[faults]]
at_ms = 6000
fault = "kill"
target = "n2"

[nemesis]
faults = 3
start_ms = 5000
until_ms = 15000
min_ms = 500
max_ms = 2000
kinds = ["kill", "hold"]

[expect.raft]
safety = "holds"
availability = [{ site = "east", at_least = 0.5 }]

[explicit]
seed = 7
system = "raft"
verdict = { verdict = "pass", digest = "00000000000000000000000000000001" }
schedule = [
  { at_ms = 100, for_ms = 50, fault = "pause", target = "n1" },
]
script = [
  [1, 0, 2000000, "put k1=1"],
  [2, 2, 2000100, "cas k1 ?->2"],
  [5, 1, 2000100, "cas k1 absent->3"],
]
acts = [
  ["n1", "n4", "vote", 0, "lose"],
  ["west.clients", "n4", "request", "2.1", "delay", 1500],
]
"#;

const SYSTEMS: [&str; 2] = ["raft", "dual-primary"];

/// The plain text of the error that the file gets once `from` is replaced by `to`.
fn spoilt(from: &str, to: &str) -> String {
    assert_eq!(GOOD.matches(from).count(), 1, "`{from}` must be in the file once");
    let text = GOOD.replacen(from, to, 1);
    match Scenario::parse_for("lesson.toml", &text, Some(&SYSTEMS)) {
        Ok(_) => panic!("`{to}` was accepted"),
        Err(error) => error.plain(),
    }
}

#[test]
fn the_sound_file_is_accepted() {
    Scenario::parse_for("lesson.toml", GOOD, Some(&SYSTEMS)).unwrap();
}

#[test]
fn an_unknown_field_is_told_its_nearest_neighbour() {
    assert_eq!(
        spoilt("tick_ms = 2\n", "tik_ms = 2\n"),
        "\
lesson.toml:20:1: unknown field `tik_ms`
20 | tik_ms = 2
   | ^^^^^^
help: did you mean `tick_ms`? allowed: tick_ms, duration_ms, heartbeat_ms, election_min_ms, election_max_ms, \
takeover_after_ms, attempt_timeout_ms, operation_timeout_ms"
    );
    assert_eq!(
        spoilt("for_ms = 5000\n", "for_s = 5\n"),
        "\
lesson.toml:35:1: unknown field `for_s`
35 | for_s = 5
   | ^^^^^
help: did you mean `for_ms`? allowed: at_ms, for_ms, when, fault, groups"
    );
}

#[test]
fn an_unknown_fault_is_told_the_kinds() {
    assert_eq!(
        spoilt("fault = \"partition\"", "fault = \"partiton\""),
        format!(
            "\
lesson.toml:36:9: unknown fault `partiton`
36 | fault = \"partiton\"
   |         ^^^^^^^^^^
help: did you mean `partition`? allowed: {}",
            FaultKind::NAMES.join(", ")
        )
    );
}

#[test]
fn an_unknown_site_in_a_fault_is_told_the_hosts() {
    assert_eq!(
        spoilt("[[\"east\"], [\"west\"]]", "[[\"east\"], [\"wset\"]]"),
        "\
lesson.toml:37:1: `wset` names no node or site
37 | groups = [[\"east\"], [\"wset\"]]
   | ^^^^^^
help: allowed: n1, n2, n3, n4, n5, east, east.nodes, east.clients, west, west.nodes, west.clients"
    );
}

#[test]
fn a_tick_above_the_smallest_latency_is_refused() {
    assert_eq!(
        spoilt("tick_ms = 2\n", "tick_ms = 3\n"),
        "\
lesson.toml:20:11: a tick of 3 ms is above the smallest latency, 2 ms
20 | tick_ms = 3
   |           ^
help: allowed: 1 to 2; else messages would arrive before they were sent"
    );
}

#[test]
fn an_unknown_version_is_refused() {
    assert_eq!(
        spoilt("version = 1", "version = 2"),
        "\
lesson.toml:1:11: version 2 of the format is unknown
1 | version = 2
  |           ^
help: this build reads version 1; write `version = 1`, or use a newer schism"
    );
    assert!(spoilt("version = 1\n", "").starts_with("lesson.toml:1:1: the field `version` is missing"));
    assert!(spoilt("version = 1", "version = \"1\"").starts_with("lesson.toml:1:11: the version is no number"));
}

#[test]
fn an_unknown_system_is_told_the_systems() {
    assert_eq!(
        spoilt("[expect.raft]", "[expect.rafd]"),
        "\
lesson.toml:52:9: there is no system `rafd`
52 | [expect.rafd]
   |         ^^^^
help: did you mean `raft`? allowed: raft, dual-primary"
    );
    let text = GOOD.replace("[expect.raft]", "[expect.rafd]");
    assert!(Scenario::parse("lesson.toml", &text).is_ok(), "the format itself knows no system");
}

/// (what to replace, by what, where the error points, what it says)
type Case = (&'static str, &'static str, &'static str, &'static str);

const MISTAKES: &[Case] = &[
    ("title = \"A lesson\"\n", "title = \"A lesson\n", "3:", "invalid basic string"),
    ("title = \"A lesson\"\n", "", "1:1", "the field `title` is missing"),
    ("title = \"A lesson\"", "title = 3", "3:9", "invalid type: integer `3`, expected a string"),
    ("name = \"lesson\"", "name = \"My Lesson\"", "2:8", "lower-case letters, digits and hyphens"),
    ("name = \"east\"", "name = \"n4\"", "6:8", "`n4` is no name for a site"),
    ("name = \"west\"", "name = \"east\"", "11:8", "there are two sites `east`"),
    ("nodes = 2", "nodes = 0", "12:9", "a site without nodes"),
    ("nodes = 2", "nodes = 90", "5:", "hosts are too many"),
    ("nodes = 2", "nodes = 65535", "5:", "hosts are too many"),
    ("nodes = 2", "nodes = 65536", "12:9", "65536"),
    ("clients = 1", "clients = 1\nwitness = true", "13:11", "nobody's home"),
    ("local_ms = 2", "local_ms = 0", "16:12", "a latency of 0 ms is out of range"),
    ("local_ms = 2", "local_ms = 0.5", "16:12", "floating point `0.5`"),
    ("wan_ms = 10", "wan_ms = 1", "20:11", "above the smallest latency, 1 ms"),
    ("wan_ms = 10", "wan_ms = 10\nbetween = [{ a = \"east\", b = \"wets\", ms = 4 }]", "18:30", "no site `wets`"),
    ("wan_ms = 10", "wan_ms = 10\nbetween = [{ a = \"east\", b = \"east\", ms = 4 }]", "18:30", "itself"),
    ("heartbeat_ms = 200", "heartbeat_ms = 600", "22:16", "allowed: a heartbeat below `election_min_ms`"),
    ("election_max_ms = 1200", "election_max_ms = 600", "24:19", "not above the shortest"),
    ("duration_ms = 20000", "duration_ms = 0", "21:15", "allowed: 1 to 86400000 (a day)"),
    ("election_max_ms = 1200", "election_max_ms = 1200\nattempt_timeout_ms = 9000", "25:22", "outlasts"),
    ("keys = 4", "keys = 0", "28:8", "allowed: 1 to 100000"),
    ("operations = 100", "operations = 0", "27:14", "out of range"),
    ("operations = 100", "operations = 100\nstart_ms = 20000", "28:12", "after the run's end"),
    ("get = 1\nput = 1\ncas = 1", "get = 0\nput = 0\ncas = 0", "26:2", "the weights of all operations are zero"),
    ("keys = 4", "keys = -4", "28:8", "-4"),
    ("target = \"n2\"", "target = \"n9\"", "42:10", "`n9` names no node or site"),
    ("target = \"n2\"", "target = \"east\"", "42:10", "`east.clients`, which is no node"),
    ("target = \"n2\"\n", "", "39:", "the field `target` is missing"),
    (
        "[[\"east\"], [\"west\"]]",
        "[[\"east\"], [\"@leader\"]]",
        "37:1",
        "roles only in one_way, isolate, kill, pause, slow_disk, ",
    ),
    ("at_ms = 6000", "at_ms = 20000", "40:9", "after the run's end"),
    ("for_ms = 5000", "for_ms = 0", "35:10", "it ends as it begins"),
    ("for_ms = 5000", "for_ms = 15001", "35:10", "allowed: up to 15000;"),
    ("faults = 3", "faults = 0", "45:10", "allowed: 1 to 1000"),
    ("until_ms = 15000", "until_ms = 20001", "47:12", "outlast the run"),
    ("min_ms = 500", "min_ms = 2001", "48:10", "allowed: 1 to `max_ms`, which is 2000"),
    ("max_ms = 2000", "max_ms = 10001", "49:10", "which is 10000"),
    (
        "max_ms = 2000",
        "max_ms = 2000\nranges = { drift_ppm = 100, loss_ppm = [9, 8] }",
        "50:29",
        "least not above most",
    ),
    ("[\"kill\", \"hold\"]", "[\"kill\", \"hodl\"]", "50:18", "did you mean `hold`?"),
    ("safety = \"holds\"", "safety = \"hold\"", "53:10", "did you mean `holds`?"),
    ("site = \"east\"", "site = \"north\"", "54:26", "allowed: east, west"),
    ("at_least = 0.5", "at_least = 1.5", "54:45", "allowed: 0.0 to 1.0"),
    ("at_least = 0.5", "at_least = nan", "54:45", "it is no share"),
    (", at_least = 0.5", "", "54:26", "it bounds nothing"),
    ("at_least = 0.5", "at_least = 0.5, at_most = 0.4", "54:60", "allowed: 0.5"),
    ("seed = 7", "seed = -7", "57:8", "0 to 18446744073709551615"),
    ("seed = 7", "seed = \"many\"", "57:8", "0 to 18446744073709551615"),
    ("seed = 7\n", "sede = 7\n", "57:1", "did you mean `seed`?"),
    ("system = \"raft\"", "system = \"paxos\"", "58:10", "there is no system `paxos`"),
    ("verdict = \"pass\"", "verdict = \"passed\"", "59:23", "did you mean `pass`?"),
    ("digest = \"00000000000000000000000000000001\"", "digest = \"1\"", "59:40", "32 hexadecimal digits"),
    ("target = \"n1\"", "target = \"n0\"", "61:57", "`n0` names no node or site"),
    ("fault = \"pause\"", "fault = \"freeze\"", "61:39", "unknown fault `freeze`"),
    ("put k1=1", "put k1:1", "64:3", "`put k1:1` is no operation"),
    ("put k1=1", "put k1=0", "64:3", "the value 0 is out of range"),
    ("[2, 2, 2000100,", "[2, 3, 2000100,", "65:3", "there is no client 3"),
    ("[2, 2, 2000100,", "[1, 2, 2000100,", "65:3", "it is out of order"),
    ("[2, 2, 2000100,", "[2, 2, 1999999,", "65:3", "it is out of order"),
    ("[2, 2, 2000100,", "[2, 2, 20000000,", "65:3", "planned after the run's end"),
    ("[2, 2, 2000100,", "[2, 2,", "65:3", "a script row has four parts"),
    ("absent->3", "absent->1", "66:3", "the value 1 is written twice"),
    ("\"vote\"", "\"votes\"", "69:3", "did you mean `vote`?"),
    ("\"n1\", \"n4\"", "\"n1\", \"n7\"", "69:3", "`n7` is no host"),
    (", \"lose\"]", ", \"delay\"]", "69:3", "the delay is missing"),
    ("\"2.1\"", "\"2:1\"", "70:3", "is not `operation.attempt`"),
    ("seed = 7\n", "", "56:1", "the field `seed` is missing"),
    ("script = [", "scripts = [", "63:1", "did you mean `script`?"),
];

#[test]
fn every_mistake_points_at_its_line() {
    let missed: Vec<String> = MISTAKES
        .iter()
        .filter_map(|(from, to, place, says)| {
            let error = spoilt(from, to);
            let at = format!("lesson.toml:{place}");
            let hit = error.starts_with(&at) && error.contains(says);
            (!hit).then(|| format!("expected {at} and `{says}`, got:\n{error}"))
        })
        .collect();
    assert!(missed.is_empty(), "{}", missed.join("\n\n"));
}

#[test]
fn a_name_that_is_neither_scenario_nor_file_is_told_the_scenarios() {
    let error = load("split-brian").unwrap_err();
    assert_eq!(
        error.plain(),
        "split-brian: there is neither a scenario of this name nor such a file\n\
         help: did you mean `split-brain`? allowed: split-brain, split-brain-witness, minority-partition, \
         asymmetric-partition, flapping-link, lossy-wan, leader-isolation, deposed-leader, \
         five-data-centres, stale-reads, power-loss, failover, clock-drift, concurrent-cas, chaos, zoo, \
         swarm, reference"
    );
}

#[test]
fn a_file_is_loaded_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lesson.toml");
    std::fs::write(&path, GOOD).unwrap();
    assert_eq!(load(path.to_str().unwrap()).unwrap().name, "lesson");
    std::fs::write(&path, b"\xff").unwrap();
    assert!(load(path.to_str().unwrap()).unwrap_err().plain().contains("cannot be read"));
}

/// What a terminal shows.
#[cfg(feature = "cli")]
#[test]
fn a_terminal_shows_the_line() {
    let text = GOOD.replace("heartbeat_ms = 200", "heartbeat_ms = 900");
    let error = Scenario::parse("lesson.toml", &text).unwrap_err();
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor()).with_width(100);
    let mut shown = String::new();
    handler.render_report(&mut shown, &error).unwrap();
    assert!(shown.contains("heartbeats every 900 ms, but elections already after 600 ms of silence"), "{shown}");
    assert!(shown.contains("[lesson.toml:22:16]") && shown.contains("22 │ heartbeat_ms = 900"), "{shown}");
    assert!(shown.contains("help: allowed: a heartbeat below `election_min_ms`"), "{shown}");
}

#[test]
fn every_count_has_a_bound_and_says_which() {
    for (from, to, part) in [
        ("keys = 4\n", "keys = 4294967295\n", "4294967295 keys are out of range"),
        ("keys = 4\n", "keys = 0\n", "allowed: 1 to 100000"),
        ("operations = 100\n", "operations = 100001\n", "100001 operations are out of range"),
        ("clients = 2\n", "clients = 65535\n", "65536 clients are too many"),
        ("nodes = 3\n", "nodes = 65535\n", "hosts are too many"),
        ("name = \"east\"\n", &format!("name = \"{}\"\n", "e".repeat(65)), "is no name for a site"),
        ("title = \"A lesson\"", &format!("title = \"{}\"", "a".repeat(201)), "a title of 201 characters"),
        (
            "fault = \"kill\"\ntarget = \"n2\"",
            &format!("fault = \"hold\"\na = [{}]\nb = [\"n2\"]", "\"n1\",".repeat(100)),
            "100 names for 7 hosts",
        ),
        (
            "fault = \"kill\"\ntarget = \"n2\"",
            &format!("fault = \"messages\"\nloss_ppm = 1\nkinds = [{}]", "\"vote\",".repeat(100)),
            "100 kinds of message",
        ),
    ] {
        let error = spoilt(from, to);
        assert!(error.contains(part), "{error}");
    }
    let fault = "[[faults]]\nat_ms = 6000\nfault = \"kill\"\ntarget = \"n2\"\n";
    let error = spoilt(fault, &fault.repeat(2_000));
    assert!(error.contains("2001 faults are too many") && error.contains("allowed: 2000"), "{error}");
    // Fourteen seconds of flapping at every millisecond may be run, two minutes may not.
    let flapping = "fault = \"flapping\"\ngroups = [[\"n1\"], [\"n2\"]]\ndown_ms = 1\nup_ms = 1";
    let text = GOOD.replacen("fault = \"kill\"\ntarget = \"n2\"", flapping, 1);
    Scenario::parse("lesson.toml", &text).unwrap();
    let longer = text.replacen("duration_ms = 20000\n", "duration_ms = 120000\n", 1);
    let error = Scenario::parse("lesson.toml", &longer).unwrap_err().plain();
    assert!(error.contains("links go up or down 120002 times") && error.contains("allowed: 100000"), "{error}");
}

#[test]
fn a_file_with_too_much_in_it_is_refused_before_it_is_read() {
    let text = format!("{GOOD}\nstory = [{}]", "1,".repeat(1_500_000));
    let error = Scenario::parse("lesson.toml", &text).unwrap_err().plain();
    assert!(error.contains("allowed: 16777216 bytes, 1500000 values"), "{error}");
}

#[test]
fn a_line_that_nobody_could_read_is_not_shown() {
    let error = spoilt("title = \"A lesson\"", &format!("title = \"{}\"", "a".repeat(1_000_000)));
    assert_eq!(error, "lesson.toml:3:9: a title of 1000000 characters\nhelp: allowed: 200; `story` may be long");
}

#[test]
fn what_would_act_on_a_terminal_is_not_shown_as_it_is() {
    let error = spoilt("name = \"east\"\n", "name = \"e\\u001b]0;st\"\n # \u{1b}[2J\n");
    assert!(!error.contains('\u{1b}'), "{error:?}");
}
