//! `schism check` and `schism export`: reads external histories and writes external formats.

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

/// The output without its line breaks.
fn said(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

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
    assert!(said(&ran.out).contains(STALE), "{}", ran.out);
    assert!(ran.out.contains("|--") && ran.out.contains("get k7 -> 17"), "{}", ran.out);
    assert!(
        said(&ran.out).contains("for this key alone: holds: sequential consistency, monotonic reads"),
        "{}",
        ran.out
    );
    assert!(said(&ran.out).contains("reads were up to 1 value behind"), "{}", ran.out);
    assert!(ran.out.is_ascii(), "{}", ran.out);
    assert!(desk.read("stale.svg").contains("</svg>"));
    assert!(ran.out.lines().all(|line| line.len() <= 80), "{}", ran.out);
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

/// Answers about models that imply each other never contradict: a read of a value that the client's own write had
/// replaced leaves only models without time between clients.
#[test]
fn weaker_models_do_not_contradict_each_other() {
    let desk = Desk::new();
    let line = |client: u32, rest: &str| format!("{{\"client\":{client},\"key\":0,{rest},\"status\":\"ok\"}}\n");
    let text = line(1, r#""op":"put","val":1,"start":0,"end":1"#)
        + &line(2, r#""op":"put","val":2,"start":2,"end":3"#)
        + &line(2, r#""op":"get","out":1,"start":4,"end":5"#);
    desk.write("three.jsonl", &text);
    let ran = desk.run("check three.jsonl --format json");
    let holds = &ran.last()["still_holds"];
    assert_eq!(ran.code, 1);
    for model in ["sequential", "monotonic_reads", "read_your_writes"] {
        assert_eq!(holds[model], true, "{holds}");
    }
    let told = said(&desk.run("check three.jsonl").out);
    assert!(told.contains("holds: sequential consistency, monotonic reads, read your writes;"), "{told}");
    assert!(!told.contains("broken"), "{told}");
}

#[test]
fn a_number_is_no_text_in_any_form() {
    let desk = Desk::new();
    desk.write("text.jsonl", &stale().replace("\"out\":17", "\"out\":\"21\""));
    let ran = desk.run("check text.jsonl");
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("client 3 read \"21\""), "{}", ran.out);
    assert!(said(&ran.out).contains("but nobody ever wrote \"21\" to k7"), "{}", ran.out);
    let edn = |seen: &str| {
        format!(
            "{{:type :invoke, :f :write, :value 5, :process 0}} {{:type :ok, :f :write, :value 5, :process 0}} \
             {{:type :invoke, :f :read, :value nil, :process 0}} {{:type :ok, :f :read, :value {seen}, :process 0}}"
        )
    };
    for (seen, code) in [("5", 0), ("5N", 0), ("\"5\"", 1), ("5.0", 1), (":5", 1)] {
        desk.write("one.edn", &edn(seen));
        assert_eq!(desk.run("check one.edn").code, code, "{seen}");
    }
}

#[test]
fn keys_begin_with_what_they_are_said_to_hold() {
    let desk = Desk::new();
    let line = |key: &str, out: &str, start: u32| {
        format!("{{\"key\":{key},\"op\":\"get\",\"out\":{out},\"start\":{start},\"end\":{start},\"status\":\"ok\"}}\n")
    };
    desk.write("zero.jsonl", &(line("1", "0", 0) + &line("2", "0", 5)));
    assert_eq!(desk.run("check zero.jsonl").code, 1);
    let ran = desk.run("check zero.jsonl --initial 0 --verify --format json");
    assert_eq!((ran.code, ran.last()["operations"].as_u64()), (0, Some(2)), "{}", ran.out);
    assert_eq!(desk.run("check zero.jsonl --initial 1=0 --initial 2=0").code, 0);
    // A value given for one key takes precedence over one for all keys.
    assert_eq!(desk.run("check zero.jsonl --initial 3 --initial 1=0 --initial 2=0").code, 0);
    assert_eq!(desk.run("check zero.jsonl --initial 0 --initial 2=7 --verify").code, 1);
    let put = "{\"key\":1,\"op\":\"put\",\"val\":5,\"start\":0,\"end\":1,\"status\":\"ok\"}\n";
    desk.write("replaced.jsonl", &(put.to_owned() + &line("1", "0", 3)));
    let ran = desk.run("check replaced.jsonl --initial 0 --verify");
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("at first") && ran.out.contains("k1 holds 0"), "{}", ran.out);
    assert!(ran.out.contains("5 had replaced 0") && ran.out.contains("every verdict was confirmed"), "{}", ran.out);
    // Texts must be quoted, or their type would be a guess.
    assert_eq!(desk.run("check zero.jsonl --initial zero").code, 64);
    assert!(desk.run("check zero.jsonl --initial zero").err.contains("double quotes"));
    let ran = desk.run("check zero.jsonl --initial 9=0");
    assert_eq!(ran.code, 65);
    assert!(ran.err.contains("no operation touches the key 9"), "{}", ran.err);
}

/// Sixty writes of two values at once: the search takes equal ones for one another, the verifier does not.
#[test]
fn a_proof_that_is_too_long_leaves_the_verdict_as_it_is() {
    let desk = Desk::new();
    let line = |client: u32, rest: &str, start: u32, end: u32| {
        format!("{{\"client\":{client},\"key\":0,{rest},\"start\":{start},\"end\":{end},\"status\":\"ok\"}}\n")
    };
    let mut text = line(0, r#""op":"put","val":3"#, 0, 1);
    text += &line(1, r#""op":"cas","old":9,"val":9,"ok":false"#, 2, 3);
    (2..62).for_each(|at| text += &line(at, &format!(r#""op":"put","val":{}"#, at % 2), 10, 100));
    text += &line(62, r#""op":"get","out":3"#, 200, 210);
    desk.write("wide.jsonl", &text);
    let ran = desk.run("check wide.jsonl --verify --format json");
    let line = ran.last();
    assert_eq!((ran.code, line["verification"].as_str()), (1, Some("budget")), "{line}");
    assert!(line["verified"].is_null(), "{line}");
    let ran = desk.run("check wide.jsonl --verify");
    assert_eq!(ran.code, 1);
    assert!(said(&ran.out).contains("not verified, which is no evidence against the verdict"), "{}", ran.out);
    assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "{}", ran.out);
    // A long argument says what it leaves out, and shows it on request.
    assert!(ran.out.contains("client 62") && ran.out.contains("--all shows what is left out"), "{}", ran.out);
    let all = desk.run("check wide.jsonl --all --svg all.svg").out;
    assert!(!all.contains("more operation") && all.matches("put k0=").count() >= 60, "{all}");
    assert!(desk.read("all.svg").matches("put k0=").count() >= 60);
}

/// The script that judges published histories can fail.
#[test]
fn the_judge_of_published_histories_notices_a_wrong_verdict() {
    let desk = Desk::new();
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/histories/judge");
    let judged = |folder: &std::path::Path| {
        let ran = std::process::Command::new(judge).arg(folder).arg(env!("CARGO_BIN_EXE_schism")).output().unwrap();
        (ran.status.code(), String::from_utf8_lossy(&ran.stdout).into_owned())
    };
    let folder = desk.path("published");
    for side in ["good", "bad"] {
        std::fs::create_dir_all(folder.join("data/cas-register").join(side)).unwrap();
    }
    assert_eq!(judged(&folder).0, Some(2));
    let stale = "{:process 0, :type :invoke, :f :write, :value 1} {:process 0, :type :ok, :f :write, :value 1} \
                 {:process 1, :type :invoke, :f :read, :value nil} {:process 1, :type :ok, :f :read, :value nil}";
    std::fs::write(folder.join("data/cas-register/bad/stale.edn"), stale).unwrap();
    assert_eq!(judged(&folder), (Some(0), "1 judged, 0 wrong, 0 of the right ones not verified\n".to_owned()));
    std::fs::write(folder.join("data/cas-register/good/stale.edn"), stale).unwrap();
    let (code, told) = judged(&folder);
    assert_eq!(code, Some(1));
    assert!(told.contains("good/stale.edn: exit code 1 instead of 0"), "{told}");
}
