//! Every kind of fault that concerns links does what it says to frames, to segments and to datagrams.

use schism::fault::kind::Family;
use schism::fault::model::FaultKind;
use schism::host::Host;
use schism::host::task::Process;
use schism::host::transport::Incoming;
use schism::run::plan;
use schism::scenario::Scenario;
use schism::sim::simulate;
use schism::trace::{HostId, MessageKind};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const FRAME: usize = 0;
const SEGMENT: usize = 1;
const DATAGRAM: usize = 2;

/// When the fault begins and ends, in milliseconds, and a latency.
const WINDOW_MS: std::ops::Range<u64> = 1000..2000;
const LATENCY_MS: u64 = 10;
/// How often a message of each kind is sent, and until when.
const EVERY_MS: u64 = 50;
const UNTIL_MS: u64 = 4000;

/// The milliseconds at which each message arrived, by kind and number.
type Arrivals = Arc<Mutex<BTreeMap<(usize, u8), Vec<u64>>>>;

/// `n2` sends to `n1`; the others are there for faults that need more hosts.
async fn process(host: Host, arrivals: Arrivals) {
    match host.id() {
        HostId(1) => receive(host, arrivals).await,
        HostId(2) => send(host).await,
        _ => {}
    }
    std::future::pending().await
}

async fn receive(host: Host, arrivals: Arrivals) {
    let note = move |host: &Host, kind, number| {
        arrivals.lock().unwrap().entry((kind, number)).or_default().push(host.now_ns() / 1_000_000);
    };
    let (server, noted) = (host.clone(), note.clone());
    host.spawn(async move {
        let owner = server.clone();
        let handler = Rc::new(move |incoming: Incoming| {
            if incoming.kind == MessageKind::Other {
                noted(&owner, FRAME, incoming.payload[0]);
            }
            Box::pin(async { Some(Vec::new()) }) as Pin<Box<dyn Future<Output = Option<Vec<u8>>>>>
        });
        server.serve(handler).await.unwrap();
    });
    let (reader, noted) = (host.clone(), note.clone());
    host.spawn(async move {
        let mut stream = reader.listen(80).unwrap().accept().await;
        while let Ok(number) = stream.read_u8().await {
            noted(&reader, SEGMENT, number);
        }
    });
    let socket = host.datagrams(Some(53)).unwrap();
    loop {
        let number = socket.receive().await.bytes[0];
        note(&host, DATAGRAM, number);
    }
}

async fn send(host: Host) {
    host.sleep(Duration::from_millis(100)).await;
    let mut stream = host.connect("n1", 80).await.unwrap();
    let socket = host.datagrams(None).unwrap();
    for number in 0..(UNTIL_MS / EVERY_MS) as u8 {
        let at_ns = u64::from(number) * EVERY_MS * 1_000_000;
        let wait_ns = at_ns.saturating_sub(host.now_ns());
        host.sleep(Duration::from_nanos(wait_ns)).await;
        let transport = host.transport();
        host.spawn(async move {
            let deadline = Duration::from_millis(2 * LATENCY_MS + 80);
            let _ = transport.call(HostId(1), MessageKind::Other, vec![number], deadline, None).await;
        });
        stream.write_all(&[number]).await.unwrap();
        socket.send(&[number], (HostId(1), 53));
    }
    // The end of the stream is not part of the test.
    std::mem::forget(stream);
}

/// How the messages of each kind fared that were sent while the fault was active.
fn fare(fault: &str) -> [String; 3] {
    let text = format!(
        r#"
version = 1
name = "links"
title = "Messages from n2 to n1"
sites = [{{ name = "a", nodes = 1 }}, {{ name = "b", nodes = 1 }}, {{ name = "c", nodes = 3, clients = 1 }}]
latency = {{ local_ms = 5, wan_ms = {LATENCY_MS} }}
timing = {{ tick_ms = 1, duration_ms = {UNTIL_MS} }}
workload = {{ operations = 1, start_ms = 100 }}
faults = [{{ at_ms = {}, for_ms = {}, {fault} }}]
"#,
        WINDOW_MS.start,
        WINDOW_MS.end - WINDOW_MS.start,
    );
    let arrivals = Arrivals::default();
    let scenario = Scenario::parse("links", &text).unwrap_or_else(|error| panic!("{fault}: {error:?}"));
    let noted = arrivals.clone();
    let pair = move |host: Host| -> Process { Box::pin(process(host, noted.clone())) };
    simulate(&plan(&scenario, 3).world, &pair).unwrap();
    let arrivals = arrivals.lock().unwrap().clone();
    [FRAME, SEGMENT, DATAGRAM].map(|kind| {
        let mut fared = BTreeSet::new();
        for number in 0..(UNTIL_MS / EVERY_MS) as u8 {
            let sent_ms = u64::from(number) * EVERY_MS;
            let times = arrivals.get(&(kind, number)).map_or(&[][..], Vec::as_slice);
            let how = match times {
                [] => "gone",
                [_, _, ..] => "twice",
                [at_ms] if (LATENCY_MS..=LATENCY_MS + 2).contains(&(at_ms - sent_ms)) => "in time",
                [at_ms] if *at_ms < WINDOW_MS.end => "late",
                _ => "afterwards",
            };
            if WINDOW_MS.contains(&sent_ms) {
                fared.insert(how);
            } else if (500..WINDOW_MS.start - LATENCY_MS).contains(&sent_ms) {
                assert_eq!(how, "in time", "{fault}: number {number} of kind {kind} before the fault: {times:?}");
            } else if sent_ms > WINDOW_MS.end + 1500 {
                assert_eq!(how, "in time", "{fault}: number {number} of kind {kind} long after the fault: {times:?}");
            }
        }
        fared.into_iter().collect::<Vec<_>>().join(", ")
    })
}

/// Each kind of fault, and how frames, segments and datagrams fare under it.
const TABLE: [(&str, [&str; 3]); 13] = [
    (r#"fault = "partition", groups = [["n1"], ["n2"]]"#, ["gone", "afterwards", "gone"]),
    (r#"fault = "one_way", from = ["n2"], to = ["n1"]"#, ["gone", "afterwards", "gone"]),
    (r#"fault = "majorities_ring", order = ["n1", "n3", "n2", "n4", "n5"]"#, ["gone", "afterwards", "gone"]),
    (r#"fault = "bridge", left = ["n1", "n4"], middle = "n3", right = ["n2", "n5"]"#, ["gone", "afterwards", "gone"]),
    (r#"fault = "isolate", target = "n1""#, ["gone", "afterwards", "gone"]),
    (
        r#"fault = "flapping", groups = [["n1"], ["n2"]], down_ms = 100, up_ms = 400"#,
        // A connection that lost a frame is given up, and another takes its time.
        ["gone, in time, late", "in time, late", "gone, in time"],
    ),
    (r#"fault = "latency", a = ["n1"], b = ["n2"], extra_ms = 20"#, ["late"; 3]),
    (r#"fault = "hold", a = ["n1"], b = ["n2"]"#, ["afterwards"; 3]),
    (r#"fault = "messages", loss_ppm = 1000000"#, ["gone", "afterwards, late", "gone"]),
    (r#"fault = "messages", reorder_ppm = 1000000, reorder_ms = 900"#, ["afterwards, late"; 3]),
    (r#"fault = "messages", duplicate_ppm = 1000000, reorder_ms = 5"#, ["twice", "in time", "twice"]),
    (r#"fault = "messages", jitter_ms = 900"#, ["afterwards, late"; 3]),
    // Any other host's links.
    (r#"fault = "partition", groups = [["n1", "n2"], ["n3", "n4", "n5"]]"#, ["in time"; 3]),
];

#[test]
fn each_kind_of_fault_has_its_effect_on_each_kind_of_message() {
    let mut wrong = Vec::new();
    for (fault, expected) in TABLE {
        let fared = fare(fault);
        if fared != expected {
            wrong.push(format!("{fault}: {fared:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let covered = |name: &str| TABLE.iter().any(|(fault, _)| fault.contains(&format!("fault = \"{name}\"")));
    for sort in FaultKind::SORTS {
        let is_of_links = matches!(sort.family, Family::Cut | Family::Delay | Family::Messages);
        assert_eq!(covered(sort.name), is_of_links, "{} needs a row, or is no fault of links", sort.name);
    }
}
