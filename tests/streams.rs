//! Byte streams and datagrams between hosts behave to their programs as TCP and UDP do, whatever the faults.

use schism::host::Host;
use schism::host::task::Process;
use schism::run::plan;
use schism::scenario::Scenario;
use schism::sim::simulate;
use schism::trace::{HostId, What};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What a program saw, and at which millisecond.
type Log = Arc<Mutex<Vec<(u64, String)>>>;
type Program = fn(Host, Log) -> Process;

/// `n1` and `n2`, each with a program of its own.
fn two(programs: [Program; 2], log: &Log) -> impl Fn(Host) -> Process {
    move |host| {
        let (program, log) = (programs[usize::from(host.id().0) - 1], log.clone());
        Box::pin(async move {
            program(host, log).await;
            std::future::pending().await
        })
    }
}

fn scenario(faults: &str) -> Scenario {
    let text = format!(
        r#"
version = 1
name = "two"
title = "Two nodes and a stream between them"
sites = [{{ name = "a", nodes = 1, clients = 1 }}, {{ name = "b", nodes = 1 }}]
latency = {{ local_ms = 5, wan_ms = 10 }}
timing = {{ tick_ms = 1, duration_ms = 20000 }}
workload = {{ operations = 1, start_ms = 100 }}
{faults}
"#
    );
    Scenario::parse("two", &text).unwrap()
}

fn observe(faults: &str, server: Program, client: Program) -> Vec<(u64, String)> {
    let log = Log::default();
    simulate(&plan(&scenario(faults), 3).world, &two([server, client], &log)).unwrap();
    let log = log.lock().unwrap();
    log.clone()
}

fn note(host: &Host, log: &Log, text: impl Into<String>) {
    log.lock().unwrap().push((host.now_ns() / 1_000_000, text.into()));
}

/// Accepts connections and notes what arrives on them, until the end of each.
fn listener(host: Host, log: Log) -> Process {
    Box::pin(async move {
        let listener = host.listen(80).unwrap();
        loop {
            let mut stream = listener.accept().await;
            let (host, log) = (host.clone(), log.clone());
            host.clone().spawn(async move {
                let mut buffer = [0; 4096];
                loop {
                    match stream.read(&mut buffer).await.unwrap() {
                        0 => return note(&host, &log, "end"),
                        length => note(&host, &log, String::from_utf8_lossy(&buffer[..length])),
                    }
                }
            });
        }
    })
}

/// Sends a number every half second for five seconds.
fn counter(host: Host, log: Log) -> Process {
    Box::pin(async move {
        let mut stream = host.connect("n1", 80).await.unwrap();
        note(&host, &log, "connected");
        for number in 0..10 {
            stream.write_all(format!("{number}").as_bytes()).await.unwrap();
            host.sleep(Duration::from_millis(500)).await;
        }
    })
}

fn texts(log: &[(u64, String)]) -> String {
    log.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" ")
}

fn at(log: &[(u64, String)], text: &str) -> u64 {
    log.iter().find(|(_, seen)| seen == text).unwrap_or_else(|| panic!("no `{text}` in {log:?}")).0
}

#[test]
fn bytes_arrive_in_order_one_latency_later() {
    let log = observe("", listener, counter);
    assert_eq!(texts(&log), "connected 0 1 2 3 4 5 6 7 8 9 end");
    // The start of a run is not quite at zero; everything after is exact.
    let connected = at(&log, "connected");
    assert!((20..=24).contains(&connected), "a round trip: {log:?}");
    assert!(at(&log, "3").abs_diff(connected + 1500 + 10) <= 5, "{log:?}");
}

#[test]
fn what_is_sent_into_a_cut_arrives_after_it() {
    let cut = r#"faults = [{ fault = "partition", at_ms = 1200, for_ms = 2000, groups = [["n1"], ["n2"]] }]"#;
    let log = observe(cut, listener, counter);
    assert_eq!(texts(&log).replace(' ', ""), "connected0123456789end");
    assert!(at(&log, "2") < 1200, "{log:?}");
    // Number 3 was first sent at 1.52 s; its tries are at 200, 600, 1400 and 3000 ms after that.
    let three = log.iter().find(|(_, text)| text.starts_with('3')).unwrap();
    assert!((4_520..4_560).contains(&three.0), "after the cut, at the next try of its sender: {log:?}");
}

#[test]
fn a_hold_ends_without_a_retransmission() {
    let hold = r#"faults = [{ fault = "hold", at_ms = 1200, for_ms = 2000, a = ["n1"], b = ["n2"] }]"#;
    let log = observe(hold, listener, counter);
    let three = log.iter().find(|(_, text)| text.starts_with('3')).unwrap();
    assert!((3_200..3_230).contains(&three.0), "{log:?}");
}

#[test]
fn loss_and_reordering_delay_a_stream_and_change_nothing_else() {
    let messages = r#"messages = { loss_ppm = 300000, reorder_ppm = 300000, reorder_ms = 900 }"#;
    let log = observe(messages, listener, counter);
    assert_eq!(texts(&log).replace(' ', ""), "connected0123456789end");
    let late = (0..10).filter(|number| {
        log.iter().any(|(t, text)| text.contains(&number.to_string()) && *t > at(&log, "connected") + 500 * number + 50)
    });
    assert!(late.count() > 2, "{log:?}");
}

#[test]
fn connecting_is_refused_without_a_listener_and_hangs_through_a_cut() {
    fn client(host: Host, log: Log) -> Process {
        Box::pin(async move {
            let refused = host.connect("n1", 81).await.unwrap_err();
            note(&host, &log, format!("{:?}", refused.kind()));
            let unknown = host.connect("n7", 80).await.unwrap_err();
            note(&host, &log, format!("{:?}", unknown.kind()));
            host.sleep(Duration::from_millis(1000)).await;
            let impatient = tokio::time::timeout(Duration::from_millis(300), host.connect("n1", 80)).await;
            note(&host, &log, if impatient.is_err() { "hangs" } else { "answers" });
            host.connect("n1", 80).await.unwrap();
            note(&host, &log, "connected");
        })
    }
    let cut = r#"faults = [{ fault = "partition", at_ms = 500, for_ms = 2500, groups = [["n1"], ["n2"]] }]"#;
    let log = observe(cut, listener, client);
    assert!(texts(&log).starts_with("ConnectionRefused NotFound hangs connected"), "{log:?}");
    // Tried at 1.32 s, 2.32 s and 4.32 s.
    assert!((4_320..4_360).contains(&at(&log, "connected")), "{log:?}");
}

#[test]
fn a_killed_process_closes_its_streams_and_can_be_reached_again() {
    fn client(host: Host, log: Log) -> Process {
        Box::pin(async move {
            let mut stream = host.connect("n1", 80).await.unwrap();
            let ended = stream.read(&mut [0; 8]).await.unwrap();
            note(&host, &log, format!("read {ended}"));
            host.sleep(Duration::from_millis(100)).await;
            let broken = stream.write_all(b"anyone there?").await.unwrap_err();
            note(&host, &log, format!("{:?}", broken.kind()));
            let refused = host.connect("n1", 80).await.unwrap_err();
            note(&host, &log, format!("{:?}", refused.kind()));
            host.sleep(Duration::from_millis(2000)).await;
            host.connect("n1", 80).await.unwrap().write_all(b"again").await.unwrap();
        })
    }
    let kill = r#"faults = [{ fault = "kill", at_ms = 1000, for_ms = 1000, target = "n1" }]"#;
    let log = observe(kill, listener, client);
    assert!(texts(&log).starts_with("read 0 BrokenPipe ConnectionRefused again"), "{log:?}");
    assert!((1_005..1_030).contains(&at(&log, "read 0")), "{log:?}");
}

#[test]
fn a_writer_waits_for_a_reader_that_does_not_read() {
    fn idle(host: Host, log: Log) -> Process {
        Box::pin(async move {
            let listener = host.listen(80).unwrap();
            let mut stream = listener.accept().await;
            host.sleep(Duration::from_secs(3)).await;
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            note(&host, &log, format!("{} bytes", all.len()));
        })
    }
    fn client(host: Host, log: Log) -> Process {
        Box::pin(async move {
            let mut stream = host.connect("n1", 80).await.unwrap();
            let written: io::Result<()> = stream.write_all(&[7; 100_000]).await;
            written.unwrap();
            note(&host, &log, "written");
        })
    }
    let log = observe("", idle, client);
    assert!(at(&log, "written") > 3_000, "{log:?}");
    at(&log, "100000 bytes");
}

#[test]
fn a_fault_that_duplicates_says_that_it_cannot_act_on_a_stream() {
    let scenario = scenario("messages = { duplicate_ppm = 500000, reorder_ms = 5 }");
    let (evidence, ()) = simulate(&plan(&scenario, 3).world, &two([listener, counter], &Log::default())).unwrap();
    assert_eq!(evidence.powerless.len(), 1, "{:?}", evidence.powerless);
    assert!(evidence.powerless[0].contains("duplication cannot act"));
}

#[test]
fn a_pause_says_that_it_cannot_stop_tasks_of_the_runtime() {
    fn escaping(host: Host, log: Log) -> Process {
        Box::pin(async move {
            tokio::spawn(std::future::pending::<()>());
            listener(host, log).await;
        })
    }
    let pause = r#"faults = [{ fault = "pause", at_ms = 1000, for_ms = 1000, target = "n1" }]"#;
    let powerless = |server: Program| {
        let world = plan(&scenario(pause), 3).world;
        let (evidence, ()) = simulate(&world, &two([server, counter], &Log::default())).unwrap();
        assert!(evidence.trace.events.iter().any(|event| event.what == What::Pause));
        evidence.powerless
    };
    assert_eq!(powerless(listener), Vec::<String>::new());
    assert!(powerless(escaping)[0].contains("tokio::spawn"));
}

/// Notes what arrives on its socket.
fn mailbox(host: Host, log: Log) -> Process {
    Box::pin(async move {
        let socket = host.datagrams(Some(53)).unwrap();
        assert!(host.datagrams(Some(53)).is_err(), "a port has one socket");
        loop {
            let letter = socket.receive().await;
            note(&host, &log, String::from_utf8_lossy(&letter.bytes));
            socket.send(b"answer", letter.from);
        }
    })
}

/// Sends a number every half second for five seconds and notes the answers.
fn sender(host: Host, log: Log) -> Process {
    Box::pin(async move {
        let socket = host.datagrams(None).unwrap();
        socket.send(b"nobody listens there", (HostId(1), 99));
        for number in 0..10 {
            socket.send(format!("{number}").as_bytes(), (HostId(1), 53));
            let next = tokio::time::Instant::now() + Duration::from_millis(500);
            while let Ok(letter) = tokio::time::timeout_at(next, socket.receive()).await {
                assert_eq!((letter.from, &letter.bytes[..]), ((HostId(1), 53), &b"answer"[..]));
                note(&host, &log, "answered");
            }
        }
    })
}

fn count(seen: &[(u64, String)], text: &str) -> usize {
    seen.iter().filter(|(_, found)| found == text).count()
}

#[test]
fn a_datagram_arrives_once_after_its_latency() {
    let seen = observe("", mailbox, sender);
    let numbers: Vec<&(u64, String)> = seen.iter().filter(|(_, text)| text != "answered").collect();
    assert_eq!(numbers.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>().concat(), "0123456789");
    for (number, (at_ms, _)) in numbers.iter().enumerate() {
        let expected = 500 * number as u64 + 10;
        assert!((expected..=expected + 2).contains(at_ms), "{number} at {at_ms} ms");
    }
    assert_eq!(count(&seen, "answered"), 10);
}

#[test]
fn a_datagram_that_is_sent_into_a_cut_is_gone_for_good() {
    let cut = r#"faults = [{ at_ms = 1900, for_ms = 1200, fault = "partition", groups = [["n1"], ["n2"]] }]"#;
    let seen = observe(cut, mailbox, sender);
    // Those of 2.0, 2.5 and 3.0 s.
    for (number, times) in [("3", 1), ("4", 0), ("5", 0), ("6", 0), ("7", 1)] {
        assert_eq!(count(&seen, number), times, "{number}: {seen:?}");
    }
    assert_eq!(count(&seen, "answered"), 7);
}

#[test]
fn a_datagram_that_is_under_way_when_the_cut_begins_is_gone_too() {
    let cut = r#"faults = [{ at_ms = 2005, for_ms = 100, fault = "one_way", from = ["n2"], to = ["n1"] }]"#;
    let seen = observe(cut, mailbox, sender);
    assert_eq!((count(&seen, "4"), count(&seen, "answered")), (0, 9), "{seen:?}");
}

#[test]
fn a_datagram_that_is_held_arrives_when_its_link_is_released() {
    let hold = r#"faults = [{ at_ms = 1900, for_ms = 1200, fault = "hold", a = ["n1"], b = ["n2"] }]"#;
    let seen = observe(hold, mailbox, sender);
    for number in ["4", "5", "6"] {
        let at_ms = seen.iter().find(|(_, text)| text == number).map(|(at_ms, _)| *at_ms);
        assert!(at_ms.is_some_and(|at_ms| (3110..3115).contains(&at_ms)), "{number}: {seen:?}");
    }
    assert_eq!(count(&seen, "answered"), 10);
}

#[test]
fn datagrams_are_lost_and_doubled_as_the_schedule_says() {
    let messages =
        |what: &str| format!(r#"faults = [{{ at_ms = 0, fault = "messages", from = ["n2"], to = ["n1"], {what} }}]"#);
    assert_eq!(observe(&messages("loss_ppm = 1000000"), mailbox, sender), []);
    let doubled = observe(&messages("duplicate_ppm = 1000000, reorder_ms = 50"), mailbox, sender);
    assert_eq!((count(&doubled, "0"), count(&doubled, "9"), count(&doubled, "answered")), (2, 2, 20));
}
