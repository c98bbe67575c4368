//! Every format is read, written, refused with line and reason, and fed with garbage.

use super::*;
use crate::check::linearizability::generate::{Mix, Shape, generate};
use crate::check::linearizability::{Options, check_columns};
use crate::history::columns::{Call, Ending, NEVER_NS, Row};
use proptest::prelude::*;

const SHAPE: Shape =
    Shape { operations: 300, clients: 6, keys: 4, unknown_ppm: 100_000, mix: Mix::Deletes, values: None, stale: false };

fn verdict(columns: &Columns) -> Option<bool> {
    check_columns(columns, Options::default()).linearizable()
}

fn refused(text: &str, line: usize, reason: &str) {
    let error = read(text.as_bytes(), None).expect_err(text);
    assert!(error.line == line && error.reason.contains(reason), "{text:?} is refused with: {error}");
}

#[test]
fn json_lines_survive_a_round_trip() {
    for (seed, mix) in [Mix::ReadWrite, Mix::Cas, Mix::Deletes].into_iter().enumerate() {
        let columns = generate(Shape { mix, ..SHAPE }, seed as u64);
        let text = write_json(&columns);
        assert_eq!(detect(text.as_bytes()), Some(Format::Json));
        assert!(read(text.as_bytes(), None).unwrap() == columns, "seed {seed}");
    }
}

#[test]
fn json_lines_may_have_strings_unknown_fields_and_any_order() {
    let text = r#"
        {"status":"ok","key":"x y","op":"put","val":"seventeen","start":5,"end":9,"note":{"deep":[1,"}"]},"client":3}
        {"key":"x y","op":"get","out":"seventeen","start":10,"end":12,"status":"ok","client":4}
        {"key":"x y","op":"append","val":"!","start":13,"end":14,"status":"ok","client":4}
        {"key":"x y","op":"get","out":"seventeen!","start":15,"end":16,"status":"ok","client":4}
    "#;
    let columns = read(text.as_bytes(), None).unwrap();
    assert_eq!(columns.key_text(columns.keys[0]), "x y");
    assert_eq!(verdict(&columns), Some(true));
}

/// A text is never what it spells, in any format, and is written so that it cannot be mistaken for it.
#[test]
fn values_of_different_types_are_different_values_in_every_form() {
    let spelt = [
        "5",
        "\"5\"",
        ":5",
        "5.0",
        "-5",
        "\"-5\"",
        "true",
        "\"true\"",
        "18446744073709551615",
        "five",
        "\"fi\\\"ve\"",
        "[5]",
        "#{5}",
        "\"\"",
    ];
    let events = spelt.iter().map(|value| {
        format!("{{:type :invoke, :f :write, :value {value}, :process 0}} {{:type :ok, :f :write, :value {value}, :process 0}}")
    });
    let columns = read(events.collect::<Vec<_>>().join("\n").as_bytes(), None).unwrap();
    let distinct = |columns: &Columns| {
        let texts = columns.second.iter().map(|value| columns.value_text(*value));
        texts.collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!(distinct(&columns), spelt.len());
    let json = read(write_json(&columns).as_bytes(), Some(Format::Json)).unwrap();
    let edn = read(write_jepsen(&columns).as_bytes(), Some(Format::Edn)).unwrap();
    assert_eq!((distinct(&json), distinct(&edn)), (spelt.len(), spelt.len()), "{}", write_json(&columns));
    let text = |value: &str| format!(r#"{{"key":{value},"op":"put","val":{value},"start":5,"end":9,"status":"ok"}}"#);
    let two = read(format!("{}\n{}", text("5"), text("\"5\"")).as_bytes(), None).unwrap();
    assert!(two.keys[0] != two.keys[1] && two.second[0] != two.second[1]);
    assert_eq!((two.key_text(two.keys[0]).as_str(), two.key_text(two.keys[1]).as_str()), ("k5", "\"5\""));
    refused(r#"{"key":1,"op":"append","val":5,"start":5,"end":9,"status":"ok"}"#, 1, "what is appended is a string");
}

#[test]
fn malformed_json_lines_are_refused_with_line_and_reason() {
    let good = r#"{"id":0,"client":2,"key":12,"op":"put","val":1,"start":0,"end":9,"status":"ok"}"#;
    let with = |from: &str, to: &str| format!("{good}\n\n{}\n", good.replace("\"id\":0", "\"id\":1").replace(from, to));
    read(with("", "").as_bytes(), None).unwrap();
    refused(&with("\"id\":1", "\"id\":0"), 3, "the id 0 is used twice");
    refused(&with("\"val\":1,", ""), 3, "`val` is missing");
    refused(&with("\"key\":12,", ""), 3, "`key` is missing");
    refused(&with("\"end\":9", "\"end\":null"), 3, "needs an `end`");
    refused(&with("\"start\":0,\"end\":9", "\"start\":10,\"end\":9"), 3, "`end` 9 is before `start` 10");
    refused(&with("\"put\"", "\"shove\""), 3, "`op` is \"shove\"");
    refused(&with("\"ok\"", "\"fine\""), 3, "`status` is \"fine\"");
    refused(&with("\"start\":0", "\"start\":-1"), 3, "expected a whole number");
    refused(&with("\"start\":0", "\"start\":0.5"), 3, "a whole number");
    refused(&with("\"end\":9", "\"end\":99999999999999999999"), 3, "2^64");
    refused(&with("\"end\":9", "\"end\":9999999999999999999"), 3, "146 years");
    refused(&with("}", ""), 3, "expected `,` or `}`");
    refused(&with("}", "} x"), 3, "the end of the line");
    refused("", 1, "empty");
    refused("hello", 1, "neither JSON lines");
}

#[test]
fn jepsen_events_with_and_without_independent_keys() {
    let plain = "
        {:type :invoke, :f :write, :value 1, :process 0, :time 10, :index 0}
        {:type :info, :f :start-partition, :value nil, :process :nemesis, :time 11}
        {:type :ok, :f :write, :value 1, :process 0, :time 20, :index 1}
        {:type :invoke, :f :cas, :value [1 2], :process 1, :time 30}
        {:type :ok, :f :cas, :value [1 2], :process 1, :time 40}
        {:type :invoke, :f :cas, :value [1 3], :process 2, :time 41}
        {:type :fail, :f :cas, :value [1 3], :process 2, :time 42}
        {:type :invoke, :f :write, :value 9, :process 3, :time 43}
        {:type :info, :f :write, :value 9, :process 3, :time 44, :error :timeout}
        {:type :invoke, :f :read, :value nil, :process 0, :time 50}
        {:type :ok, :f :read, :value 2, :process 0, :time 60}";
    let columns = read(plain.as_bytes(), None).unwrap();
    let calls: Vec<(Call, Ending)> = columns.rows().map(|row| (row.call, row.ending)).collect();
    let expected = [
        (Call::Put(1), Ending::Ok),
        (Call::Cas { expected: Some(1), new: 2 }, Ending::Ok),
        (Call::Cas { expected: Some(1), new: 3 }, Ending::Fail),
        (Call::Put(9), Ending::Info),
        (Call::Get(Some(2)), Ending::Ok),
    ];
    assert_eq!(calls, expected);
    assert_eq!((columns.starts[1], columns.ends[1]), (30, 40));
    assert_eq!(verdict(&columns), Some(true));

    let keyed = "[{:type :invoke, :f :write, :value [3 1], :process 0}
        {:type :ok, :f :write, :value [3 1], :process 0}
        {:type :invoke, :f :cas, :value #jepsen.independent/tuple [4 [1 2]], :process 0}
        {:type :fail, :f :cas, :value [4 [1 2]], :process 0}
        {:type :invoke, :f :read, :value [3 nil], :process 0}
        {:type :ok, :f :read, :value [3 nil], :process 0}]";
    let columns = read(keyed.as_bytes(), None).unwrap();
    assert_eq!(columns.keys, [3, 4, 3]);
    // Key 3 was written, and then read as absent.
    assert_eq!(verdict(&columns), Some(false));
}

#[test]
fn malformed_events_are_refused_with_line_and_reason() {
    let invoke = "{:type :invoke, :f :read, :value nil, :process 0}";
    refused(&format!("{invoke}\n{invoke}"), 2, "of line 1 is under way");
    refused("{:type :ok, :f :read, :value 1, :process 0}", 1, "did not invoke");
    refused("{:type :invoke, :f :read, :value nil}", 1, ":process is missing");
    refused("{:type :begin, :f :read, :process 0}", 1, ":type is not");
    refused(&format!("{invoke}\n{{:type :ok, :f :scan, :value 1, :process 0}}"), 2, ":f :scan");
    refused(&format!("{invoke}\n{{:type"), 2, "never closed");
    refused("[17]", 1, "an event is a map");
    refused(&format!("[{invoke}] 3"), 1, "something follows");
    refused(&"[".repeat(1_000), 1, "nested too deeply");
    refused("INFO jepsen.util - 1\t:ok\t:read\t3", 1, "did not invoke");
    refused("INFO jepsen.util - 1\t:invoke\t:scan\t3", 1, ":scan");
}

#[test]
fn etcd_logs_tell_mismatches_and_time_outs() {
    let log = "\
INFO  jepsen.core - Run complete, writing
INFO  jepsen.util - 0\t:invoke\t:write\t1
INFO  jepsen.util - :nemesis\t:info\t:start\tnil
INFO  jepsen.util - 0\t:ok\t:write\t1
INFO  jepsen.util - 1\t:invoke\t:cas\t[4 1]
INFO  jepsen.util - 1\t:fail\t:cas\t[4 1]
INFO  jepsen.util - 2\t:invoke\t:cas\t[1 3]
INFO  jepsen.util - 2\t:info\t:cas\t:timed-out
INFO  jepsen.util - 3\t:invoke\t:read\tnil
INFO  jepsen.util - 3\t:fail\t:read\t:timed-out
INFO  jepsen.util - 4\t:invoke\t:read\tnil
INFO  jepsen.util - 4\t:ok\t:read\t3
";
    assert_eq!(detect(log.as_bytes()), Some(Format::EtcdLog));
    let columns = read(log.as_bytes(), None).unwrap();
    assert_eq!(columns.row(1).call, Call::CasMismatch { expected: Some(4), new: 1, found: None });
    assert_eq!(columns.row(2).ending, Ending::Info);
    assert_eq!(columns.row(3).ending, Ending::Fail);
    assert_eq!(verdict(&columns), Some(true));
    // A cas that did not match 1 cannot have found 1.
    let wrong = log.replace("[4 1]", "[1 4]");
    assert_eq!(verdict(&read(wrong.as_bytes(), None).unwrap()), Some(false));
}

#[test]
fn porcupine_text_appends() {
    let text = r#"
{:process 0, :type :invoke, :f :get, :key "0", :value nil}
{:process 0, :type :ok, :f :get, :key "0", :value ""}
{:process 1, :type :invoke, :f :append, :key "0", :value "x 1 0 y"}
{:process 2, :type :invoke, :f :append, :key "0", :value "x 2 0 y"}
{:process 1, :type :ok, :f :append, :key "0", :value "x 1 0 y"}
{:process 2, :type :ok, :f :append, :key "0", :value "x 2 0 y"}
{:process 0, :type :invoke, :f :get, :key "0", :value nil}
{:process 0, :type :ok, :f :get, :key "0", :value "x 2 0 yx 1 0 y"}
{:process 0, :type :invoke, :f :put, :key "1", :value "7"}
{:process 0, :type :ok, :f :put, :key "1", :value "7"}
"#;
    let columns = read(text.as_bytes(), None).unwrap();
    assert_eq!(verdict(&columns), Some(true));
    let wrong = text.replace("x 2 0 yx 1 0 y", "x 2 0 y");
    assert_eq!(verdict(&read(wrong.as_bytes(), None).unwrap()), Some(false));
}

#[test]
fn jepsen_text_keeps_the_verdict() {
    for seed in 0..8 {
        let columns = generate(Shape { stale: seed % 2 == 1, ..SHAPE }, seed);
        let text = write_jepsen(&columns);
        assert_eq!(detect(text.as_bytes()), Some(Format::Edn));
        let again = read(text.as_bytes(), None).unwrap();
        assert_eq!(again.len(), columns.len());
        assert_eq!(verdict(&again), verdict(&columns), "seed {seed}");
        assert_eq!(verdict(&columns), Some(seed % 2 == 0), "seed {seed}");
    }
}

#[test]
fn porcupine_operations_are_json() {
    let mut columns = generate(SHAPE, 1);
    let failed =
        Row { id: 300, client: 0, key: 0, call: Call::Put(999), start_ns: 9_000, end_ns: 9_001, ending: Ending::Fail };
    columns.push(failed);
    let operations: Vec<serde_json::Value> = serde_json::from_str(&write_porcupine(&columns)).unwrap();
    assert_eq!(operations.len(), 300);
    let unknown = columns.ends[..300].iter().filter(|end| **end == NEVER_NS).count();
    let last = operations.iter().filter(|operation| operation["Return"] == i64::MAX).count();
    assert!(unknown > 0 && last == unknown);
    assert!(operations.iter().all(|operation| operation["Call"].as_i64() < operation["Return"].as_i64()));
}

/// Text that resembles a history in places.
fn nearly_a_history() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "#",
        "#_",
        "#{",
        "\"",
        "\\",
        ":type ",
        ":invoke ",
        ":ok ",
        ":fail ",
        ":info ",
        ":f ",
        ":read ",
        ":write ",
        ":cas ",
        ":append ",
        ":value ",
        ":process ",
        ":key ",
        ":time ",
        "nil ",
        "0 ",
        "1 ",
        "-1 ",
        "99999999999999999999 ",
        "[1 2] ",
        "[3 [1 2]] ",
        "\n",
        "\t",
        ",",
        ";",
        "\"id\":",
        "\"key\":",
        "\"op\":",
        "\"get\"",
        "\"put\"",
        "\"cas\"",
        "\"del\"",
        "\"out\":",
        "\"val\":",
        "\"old\":",
        "\"start\":",
        "\"end\":",
        "\"status\":",
        "\"ok\"",
        "\"info\"",
        "null",
        "true",
        "1.5",
        "INFO jepsen.util - ",
        ":timed-out",
        "é",
        "{\"client\":1,\"key\":1,\"op\":\"put\",\"val\":1,\"start\":0,\"end\":9,\"status\":\"ok\"}\n",
        "{:type :invoke, :f :read, :value nil, :process 0}\n",
        "{:type :ok, :f :read, :value 3, :process 0}\n",
        "{:type :invoke, :f :cas, :value [1 2], :process 1}\n",
        "{:type :info, :f :cas, :value nil, :process 1}\n",
    ]);
    let raw = prop::collection::vec(any::<u8>(), 0..4);
    let piece = prop_oneof![9 => pieces.prop_map(|text| text.as_bytes().to_vec()), 1 => raw];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Readers answer on any bytes; what they accept can be checked, written and read again.
    #[test]
    fn no_input_makes_a_reader_panic(text in nearly_a_history()) {
        for format in [None, Some(Format::Json), Some(Format::Edn), Some(Format::EtcdLog)] {
            if let Ok(columns) = read(&text, format) {
                let again = read(write_json(&columns).as_bytes(), Some(Format::Json));
                prop_assert!(again.is_ok_and(|again| verdict(&again) == verdict(&columns)));
                write_jepsen(&columns);
                write_porcupine(&columns);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_make_a_reader_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in [None, Some(Format::Json), Some(Format::Edn), Some(Format::EtcdLog)] {
            let _ = read(&text, format);
        }
    }
}
