//! `schism check` and `schism export`: other people's histories in, other people's formats out.

use super::Desk;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::process::Stdio;

const VALID: &str = r#"{"id":0,"client":1,"key":7,"op":"put","val":17,"start":0,"end":5,"status":"ok"}
{"id":1,"client":2,"key":7,"op":"put","val":21,"start":6,"end":9,"status":"ok"}
{"id":2,"client":3,"key":7,"op":"get","out":21,"start":10,"end":20,"status":"ok"}
"#;

const STALE: &str = "client 3 read 17 at 10 ns, but 21 had replaced it at 9 ns, and both writes were acknowledged.";

fn stale() -> String {
    VALID.replace("\"out\":21", "\"out\":17")
}

#[test]
fn a_verdict_is_an_exit_code_and_a_line_of_json() {
    let desk = Desk::new();
    desk.write("valid.jsonl", VALID);
    desk.write("stale.jsonl", &stale());
    for (file, code, verdict) in [("valid.jsonl", 0, "linearizable"), ("stale.jsonl", 1, "violation")] {
        let ran = desk.run(&format!("check {file} --verify --format json"));
        assert_eq!(ran.code, code, "{}{}", ran.out, ran.err);
        let line = ran.last();
        assert_eq!((line["kind"].as_str(), line["verdict"].as_str()), (Some("check"), Some(verdict)));
        assert_eq!((line["file"].as_str(), line["operations"].as_u64()), (Some(file), Some(3)));
        assert!(line["read_s"].is_f64() && line["check_s"].is_f64() && line["verified"] == true, "{line}");
    }
    let both = desk.run("check valid.jsonl stale.jsonl --format json");
    assert_eq!((both.code, both.last()["violations"].as_u64()), (1, Some(1)));
}

#[test]
fn a_violation_is_told_drawn_and_put_into_proportion() {
    let desk = Desk::new();
    desk.write("stale.jsonl", &stale());
    let ran = desk.run("check stale.jsonl --ascii --svg stale.svg");
    assert!(ran.out.contains(STALE), "{}", ran.out);
    assert!(ran.out.contains("|--") && ran.out.contains("get k7 -> 17"), "{}", ran.out);
    assert!(ran.out.contains("still holds: sequential consistency of the key"), "{}", ran.out);
    assert!(ran.out.contains("reads were up to 1 value behind"), "{}", ran.out);
    assert!(ran.out.is_ascii(), "{}", ran.out);
    assert!(desk.read("stale.svg").contains("</svg>"));
}

#[test]
fn a_spent_budget_is_inconclusive() {
    let desk = Desk::new();
    desk.write("twice.jsonl", &VALID.replace("\"val\":21", "\"val\":17").replace("\"out\":21", "\"out\":17"));
    assert_eq!(desk.run("check twice.jsonl").code, 0);
    let ran = desk.run("check twice.jsonl --check-steps 1 --format json");
    assert_eq!((ran.code, ran.last()["verdict"].as_str()), (2, Some("unknown")));
}

#[test]
fn what_cannot_be_read_is_refused_with_file_line_and_reason() {
    let desk = Desk::new();
    desk.write("bad.jsonl", &VALID.replace("\"end\":9", "\"end\":3"));
    let ran = desk.run("check bad.jsonl");
    assert_eq!(ran.code, 65);
    let said = ran.err.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("bad.jsonl, line 2: `end` 3 is before `start` 6"), "{said}");
    assert_eq!(desk.run("check missing.jsonl").code, 65);
    assert_eq!(desk.run("check").code, 64);
}

#[test]
fn gzip_and_standard_input_are_read() {
    let desk = Desk::new();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(stale().as_bytes()).unwrap();
    std::fs::write(desk.path("stale.jsonl.gz"), packed.finish().unwrap()).unwrap();
    assert_eq!(desk.run("check stale.jsonl.gz").code, 1);
    let mut child =
        desk.command("check -").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stale().as_bytes()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_run_is_exported_and_others_find_the_same() {
    let desk = Desk::new();
    for (system, code) in [("raft", 0), ("dual-primary", 1)] {
        for form in ["jepsen", "json"] {
            let out = format!("{system}.{form}");
            let ran = desk.run(&format!("export brief.toml --system {system} --to {form} --out {out}"));
            assert_eq!(ran.code, 0, "{}", ran.err);
            assert_eq!(desk.run(&format!("check {out}")).code, code, "{out}");
        }
    }
    let ran = desk.run("export dual-primary.jepsen --to porcupine");
    assert!(serde_json::from_str::<Vec<serde_json::Value>>(&ran.out).unwrap().len() > 100);
}
