//! What would happen without each remaining part.

use super::search::{Search, explicit};
use super::{Necessity, plain};
use crate::fault::words;

/// More acts than this share one row: a table of hundreds explains nothing.
const ACTS: usize = 24;

/// One row for each fault, each act, and the jitter.
pub(super) fn table(search: &mut Search<'_>) -> Vec<Necessity> {
    let base = search.best().clone();
    let form = explicit(&base);
    let mut rows = Vec::new();
    for (index, fault) in form.schedule.iter().enumerate() {
        rows.push((fault.to_string(), plain::without_faults(&base, index, index + 1)));
    }
    let topology = base.topology();
    match form.acts.as_deref().unwrap_or_default() {
        acts if acts.len() <= ACTS => {
            for (index, act) in acts.iter().enumerate() {
                rows.push((words::act(act, &topology), plain::without_some_acts(&base, index, index + 1)));
            }
        }
        acts => rows.push((format!("all {} acts on single messages", acts.len()), plain::without_acts(&base))),
    }
    if base.messages.jitter_ms > 0 {
        let what = format!("jitter of up to {} ms on every message", base.messages.jitter_ms);
        rows.push((what, plain::without_jitter(&base)));
    }
    let (whats, candidates): (Vec<String>, Vec<_>) = rows.into_iter().unzip();
    let verdicts = search.verdicts(candidates);
    let row = |(what, (without, fails)): (String, (String, bool))| Necessity { what, without, needed: !fails };
    whats.into_iter().zip(verdicts).map(row).collect()
}
