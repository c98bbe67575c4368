//! Operations as porcupine's `[]porcupine.Operation` in JSON (github.com/anishathalye/porcupine).
//!
//! `Input` is `{"op","key","value","expected"}` with op 0 get, 1 put, 2 cas, 3 delete, 4 append; `Output` is
//! `{"value","ok","unknown"}`. Values and keys are text, or null for none. A text that could be mistaken for another
//! value, such as "5", is quoted once more. An unknown outcome returns at the greatest time (math.MaxInt64), as
//! porcupine recommends; operations that did not happen are left out.

use crate::history::Columns;
use crate::history::columns::{Call, Ending, Row};
use serde_json::json;
use std::fmt::Write;

/// Writes one JSON array, one operation a line.
pub fn write(columns: &Columns) -> String {
    let value = |value: Option<u64>| value.map(|value| columns.value_text(value));
    let mut text = String::from("[");
    let happened = columns.rows().filter(|row| row.ending != Ending::Fail);
    for (index, row) in happened.enumerate() {
        let (op, new, expected, mut output) = match row.call {
            Call::Get(out) => (0, None, None, json!({"value": value(out), "ok": true})),
            Call::Put(new) => (1, value(Some(new)), None, json!({"value": null, "ok": true})),
            Call::Cas { expected, new } => {
                (2, value(Some(new)), value(expected), json!({"value": value(expected), "ok": true}))
            }
            Call::CasMismatch { expected, new, found } => {
                (2, value(Some(new)), value(expected), json!({"value": found.map(value), "ok": false}))
            }
            Call::Delete => (3, None, None, json!({"value": null, "ok": true})),
            Call::DeleteTold { found } => (3, None, None, json!({"value": null, "ok": found})),
            Call::Append(new) => (4, value(Some(new)), None, json!({"value": null, "ok": true})),
        };
        output["unknown"] = json!(row.ending == Ending::Info);
        let Row { client, start_ns, end_ns, .. } = row;
        let operation = json!({
            "ClientId": client,
            "Input": {"op": op, "key": columns.key_text(row.key), "value": new, "expected": expected},
            "Call": start_ns,
            "Output": output,
            "Return": end_ns.min(i64::MAX as u64),
        });
        let _ = write!(text, "{}{operation}", if index == 0 { "\n" } else { ",\n" });
    }
    text.push_str("\n]\n");
    text
}
