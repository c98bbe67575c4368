//! Malicious input: it is refused, in little time and memory, with an error that says what it is.

use super::{Desk, Ran};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// One stale read, on a key whose name clears the screen.
const STALE: &str = r#"{"client":0,"key":"\u001b[2J","op":"put","val":1,"start":0,"end":1,"status":"ok"}
{"client":0,"key":"\u001b[2J","op":"put","val":2,"start":2,"end":3,"status":"ok"}
{"client":1,"key":"\u001b[2J","op":"get","out":1,"start":4,"end":5,"status":"ok"}
"#;

/// Runs a command whose memory may not exceed a gigabyte, and which is ended after a minute.
fn bounded(desk: &Desk, words: &str) -> Ran {
    let schism = env!("CARGO_BIN_EXE_schism");
    let script = format!("ulimit -v 1048576; exec timeout 60 {schism} {words}");
    let mut command = std::process::Command::new("sh");
    Ran::from(command.args(["-c", &script]).current_dir(desk.0.path()).env_remove("CI").output().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn what_has_no_end_or_unpacks_to_too_much_is_refused() {
    let desk = Desk::new();
    let gzip = |name: &str, piece: &[u8], times: usize| {
        let mut packed = GzEncoder::new(std::fs::File::create(desk.path(name)).unwrap(), Compression::fast());
        (0..times).for_each(|_| packed.write_all(piece).unwrap());
        packed.finish().unwrap();
    };
    gzip("zeros.gz", &[0; 1 << 20], 600);
    gzip("spaces.gz", &[b' '; 1 << 20], 600);
    gzip("lines.gz", STALE.as_bytes(), 10_000);
    desk.write("keys.toml", &super::BRIEF.replace("keys = 2", "keys = 4294967295"));
    assert_eq!(desk.run("sweep small.toml --seeds 1 --out log.jsonl").code, 0);
    let header = desk.read("log.jsonl").lines().next().unwrap().to_owned();
    desk.write("long.jsonl", &(header + "\n" + &" ".repeat(20 << 20)));
    for (words, part) in [
        ("check /dev/zero", "neither JSON lines"),
        ("check zeros.gz", "neither JSON lines"),
        ("check --input json zeros.gz", "more than 128 MiB of text; --input-limit"),
        ("check --input-limit 1 lines.gz", "more than 1 MiB of text; --input-limit"),
        ("run /dev/zero", "longer than a scenario may be (16 MiB)"),
        ("run keys.toml", "allowed: 1 to 100000"),
        ("outcomes /dev/zero", "no log of a sweep"),
        ("outcomes long.jsonl", "line 2 is longer than a line of a log may be (16 MiB)"),
        ("check --jobs 1 spaces.gz", "its first 4 MiB are blank"),
    ] {
        let ran = bounded(&desk, words);
        assert_eq!(ran.code, 65, "{words}: {}", ran.err);
        // The frame of an error breaks its lines.
        let err: String = ran.err.split_whitespace().filter(|word| *word != "\u{2502}").collect::<Vec<_>>().join(" ");
        assert!(err.contains(part), "{words}: {err}");
    }
}

/// The trace beside a recorded run may be malicious as well.
#[cfg(target_os = "linux")]
#[test]
fn a_trace_that_has_no_end_or_unpacks_to_too_much_is_refused() {
    let desk = Desk::new();
    assert_eq!(desk.run("run small.toml --system dual-primary --out kept.toml").code, 1);
    let replay = |why: &str| {
        let ran = bounded(&desk, "replay kept.toml");
        assert_eq!(ran.code, 65, "{}{}", ran.out, ran.err);
        assert!(ran.err.contains("kept.trace") && ran.err.replace("\n  \u{2502}", "").contains(why), "{}", ran.err);
    };
    let trace = |plain: &[u8], times: usize| {
        let mut bytes = b"schism-trace 3\n".to_vec();
        let mut packed = flate2::write::ZlibEncoder::new(&mut bytes, Compression::fast());
        packed.write_all(plain).unwrap();
        (0..times).for_each(|_| packed.write_all(&[0; 1 << 20]).unwrap());
        packed.finish().unwrap();
        std::fs::write(desk.path("kept.trace"), bytes).unwrap();
    };
    let endless = [0xff, 0xff, 0xff, 0xff, 0xf];
    // The build is "b"; then come hosts without a name, or none and no nodes, and events of no host at no time.
    trace(&[&[1, b'b'], &endless[..]].concat(), 2000);
    replay("longer than one may be");
    trace(&[&[1, b'b', 0, 0], &endless[..]].concat(), 2000);
    replay("longer than one may be");
    std::fs::remove_file(desk.path("kept.trace")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", desk.path("kept.trace")).unwrap();
    replay("it is no file");
}

#[cfg(target_os = "linux")]
#[test]
fn twenty_thousand_appends_fit_into_little_memory() {
    let desk = Desk::new();
    let append = |at: u64| {
        let (start, end) = (2 * at, 2 * at + 1);
        format!(
            "{{\"client\":0,\"key\":1,\"op\":\"append\",\"val\":\"piece {at},\",\"start\":{start},\"end\":{end},\"status\":\"ok\"}}\n"
        )
    };
    let mut text: String = (0..20_000).map(append).collect();
    text +=
        "{\"client\":1,\"key\":1,\"op\":\"get\",\"out\":\"nothing\",\"start\":50000,\"end\":50001,\"status\":\"ok\"}\n";
    desk.write("appends.jsonl", &text);
    let ran = bounded(&desk, "check appends.jsonl --jobs 1");
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    let ran = bounded(&desk, "check appends.jsonl --jobs 1 --check-memory 1");
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
}

#[test]
fn names_cannot_act_on_a_terminal_or_in_a_picture() {
    let desk = Desk::new();
    desk.write("stale.jsonl", STALE);
    let ran = desk.run("check stale.jsonl --svg stale.svg");
    assert_eq!(ran.code, 1, "{}", ran.err);
    let picture = desk.read("stale.svg");
    for text in [&ran.out, &ran.err, &picture] {
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
    assert!(ran.out.contains("[2J"), "{}", ran.out);
}

#[test]
fn titles_cannot_act_on_a_terminal_that_shows_a_page() {
    let desk = Desk::new();
    let titled =
        |line: &str| if line.starts_with("title = ") { r#"title = "a\u001b[2Jb\u202Ec""# } else { line }.to_owned();
    desk.write("titled.toml", &super::SMALL.lines().map(|line| titled(line) + "\n").collect::<String>());
    let ran = desk.run("compare titled.toml --html page.html");
    assert_eq!(ran.code, 0, "{}", ran.err);
    for text in [&ran.out, &ran.err, &desk.read("page.html")] {
        assert!(!text.contains(['\u{1b}', '\u{202e}']));
    }
    assert!(desk.read("page.html").contains(r"a\u001b[2Jb\u202ec"));
}

#[test]
fn a_picture_does_not_take_the_place_of_its_history() {
    let desk = Desk::new();
    desk.write("stale.jsonl", STALE);
    let ran = desk.run("check stale.jsonl --svg ./stale.jsonl");
    assert_eq!(ran.code, 64, "{}", ran.err);
    assert!(ran.err.contains("--svg would overwrite the history stale.jsonl"), "{}", ran.err);
    assert_eq!(desk.read("stale.jsonl"), STALE);
}

#[cfg(unix)]
#[test]
fn a_class_cannot_hang_the_grader_nor_write_formulas() {
    let desk = Desk::new();
    let ran = desk.run("lesson pool-exhaustion --student ada --out class --answer 44,c");
    assert_eq!(ran.code, 0, "{}", ran.err);
    for link in ["class/one", "class/two"] {
        std::os::unix::fs::symlink(".", desk.path(link)).unwrap();
    }
    std::os::unix::fs::symlink("/dev/zero", desk.path("class/zero.json")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(desk.path("class/pipe.json")).status().unwrap();
    assert!(made.success());
    desk.write("class/=1+1.json", "{}");
    desk.write("class/big.json", &" ".repeat(100_000));
    let ran = desk.run("lesson grade class --csv");
    assert_eq!(ran.code, 1, "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 6, "{}", ran.out);
    assert!(lines.iter().any(|line| line.ends_with(",'=1+1.json")), "{}", ran.out);
    assert!(lines.iter().any(|line| line.starts_with("ada,pool-exhaustion,2,2,")), "{}", ran.out);
    assert_eq!(ran.out.matches("it is no file").count(), 2, "{}", ran.out);
    assert!(ran.out.contains("longer than an answer may be (64 KiB)"), "{}", ran.out);
}
