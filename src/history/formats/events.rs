//! Builds operations from a sequence of events, in each of which a process invokes or completes.

use super::{FormatError, Names, check_time, sorted};
use crate::history::Columns;
use crate::history::columns::{Call, Ending, NEVER_NS, Row};
use std::collections::BTreeMap;

/// What an event reports of its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Invoke,
    Ok,
    Fail,
    Info,
}

impl Kind {
    /// Reads `invoke`, `ok`, `fail` or `info`.
    pub fn parse(text: &str) -> Option<Kind> {
        match text {
            "invoke" => Some(Kind::Invoke),
            "ok" => Some(Kind::Ok),
            "fail" => Some(Kind::Fail),
            "info" => Some(Kind::Info),
            _ => None,
        }
    }
}

/// An operation under way.
struct Open {
    row: usize,
    line: usize,
}

/// Pairs invocations with completions. Events come in the order in which they happened, and get strictly increasing
/// times, so that this order is kept whatever the clock says.
pub(super) struct Pairing {
    pub names: Names,
    rows: Vec<Row>,
    open: BTreeMap<u32, Open>,
    last_ns: Option<u64>,
}

impl Pairing {
    pub fn new() -> Pairing {
        Pairing { names: Names::default(), rows: Vec::new(), open: BTreeMap::new(), last_ns: None }
    }

    /// Takes an event. `call` gives the key and the call: for an invocation the request, for a completion what it told.
    /// It is called only where that matters.
    pub fn event(
        &mut self,
        line: usize,
        process: u32,
        kind: Kind,
        time_ns: Option<u64>,
        call: impl FnOnce(&mut Names, Option<Row>) -> Result<(u32, Call, Ending), String>,
    ) -> Result<(), FormatError> {
        let after = self.last_ns.map_or(0, |last| last + 1);
        let now_ns = check_time(line, time_ns.map_or(after, |time| time.max(after)))?;
        self.last_ns = Some(now_ns);
        let wrong = |reason: String| FormatError::new(line, reason);
        if kind == Kind::Invoke {
            if let Some(open) = self.open.get(&process) {
                let since = open.line;
                return Err(wrong(format!(
                    "process {process} invokes while its operation of line {since} is under way"
                )));
            }
            let (key, call, _) = call(&mut self.names, None).map_err(wrong)?;
            let id = u32::try_from(self.rows.len()).map_err(|_| wrong("more than 2^32 operations".to_owned()))?;
            let ending = Ending::Info;
            self.rows.push(Row { id, client: process, key, call, start_ns: now_ns, end_ns: NEVER_NS, ending });
            self.open.insert(process, Open { row: self.rows.len() - 1, line });
            return Ok(());
        }
        let Some(open) = self.open.remove(&process) else {
            return Err(wrong(format!("process {process} completes an operation that it did not invoke")));
        };
        let row = &mut self.rows[open.row];
        if kind == Kind::Info {
            return Ok(());
        }
        let (key, call, ending) = call(&mut self.names, Some(*row)).map_err(wrong)?;
        if key != row.key {
            return Err(wrong(format!(
                "process {process} completes on another key than it invoked in line {}",
                open.line
            )));
        }
        *row = Row { call, ending, end_ns: if ending == Ending::Info { NEVER_NS } else { now_ns }, ..*row };
        Ok(())
    }

    /// All operations; those still under way have unknown outcomes.
    pub fn finish(self) -> Columns {
        let mut columns: Columns = self.rows.into_iter().collect();
        columns.labels = self.names.into_labels();
        sorted(columns)
    }
}
