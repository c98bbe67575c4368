//! `--html` and the exports of whole runs: files for other programs to show.

use super::Desk;

#[test]
fn a_page_is_written_named_and_the_same_each_time() {
    let desk = Desk::new();
    let plain = desk.run("compare brief.toml");
    for name in ["one.html", "pages/two.html"] {
        let ran = desk.run(&format!("compare brief.toml --html {name}"));
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        assert_eq!(ran.out, format!("{}page: {name}\n", plain.out));
    }
    let page = desk.read("one.html");
    assert_eq!(page, desk.read("pages/two.html"), "nothing but the runs is in it");
    for part in ["<title>brief, seed 0: raft and dual-primary", "schism compare brief.toml --seed 0", "</html>"] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_page_of_one_run_keeps_json_on_stdout() {
    let desk = Desk::new();
    let ran = desk.run("run brief.toml --system dual-primary --no-record --format json --html run.html");
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert_eq!((ran.out.lines().count(), ran.last()["kind"].as_str()), (1, Some("outcome")));
    assert_eq!(ran.err, "page: run.html\n");
    assert!(desk.read("run.html").contains("schism run brief.toml --system dual-primary --seed 0"));
}

#[test]
fn a_page_that_cannot_be_written_is_a_fault_of_the_harness() {
    let ran = Desk::new().run("run small.toml --html small.toml/page.html");
    assert_eq!(ran.code, 70, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("small.toml/page.html"), "{}", ran.err);
}

#[test]
fn a_whole_run_goes_to_the_viewers_of_others() {
    let desk = Desk::new();
    let ran = desk.run("export small.toml --system raft --to perfetto --out trace.json");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let trace: serde_json::Value = serde_json::from_str(&desk.read("trace.json")).unwrap();
    assert!(trace["traceEvents"].as_array().unwrap().len() > 1000);
    let ran = desk.run("export small.toml --system raft --to shiviz");
    let mut lines = ran.out.lines();
    while let (Some(clock), Some(event)) = (lines.next(), lines.next()) {
        let (host, clock) = clock.split_once(" {").unwrap_or_else(|| panic!("{clock}"));
        assert!(clock.contains(&format!("\"{host}\":")) && event.contains(host), "{clock}\n{event}");
    }
    let refused = desk.run("export history.jsonl --to shiviz");
    assert_eq!(refused.code, 64, "{}", refused.err);
}
