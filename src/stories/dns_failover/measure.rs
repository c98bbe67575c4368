//! What the run measured, and what monitoring and caches show.

use super::super::claim::Measurement;
use super::super::evidence::{Table, percent, percentile};
use super::{AROUND_S, DEAD_BEHIND, DnsFailover, FAILED, FAILS_AFTER, LAST, Log, NAME, OLD, QUERIES, Request};

/// What was claimed, measured.
pub fn measure(p: &DnsFailover, variant: &str, log: &Log) -> Vec<Measurement> {
    let judged_s = p.move_at_min + p.old_s() / 2.0;
    let near: Vec<_> = log.requests.iter().filter(|request| (request.at_s - judged_s).abs() <= AROUND_S).collect();
    let old = near.iter().filter(|request| request.by_old).count();
    let after = || log.requests.iter().filter(|request| request.at_s >= p.move_at_min);
    let last_s = after().filter(|request| request.by_old).map(|request| request.at_s).fold(p.move_at_min, f64::max);
    // A dead machine says nothing; the balancer knows whom it asked.
    let passed_s = log.passed_old_s.iter().copied().fold(p.move_at_min, f64::max);
    let last_s = if variant == DEAD_BEHIND { passed_s } else { last_s } - p.move_at_min;
    let failed: Vec<&Request> = after().filter(|request| !request.ok).collect();
    let mut took: Vec<u64> = failed
        .iter()
        .filter(|request| request.by_old)
        .map(|request| ((request.ended_s - request.at_s) * 1e6) as u64)
        .collect();
    let first_s = p.move_at_min / 10.0;
    let queries = log.queries_s.iter().filter(|t_s| (first_s..p.move_at_min).contains(*t_s)).count();
    vec![
        Measurement::new(OLD, percent(old, near.len())),
        Measurement::new(LAST, last_s),
        Measurement::new(FAILED, failed.len() as f64),
        Measurement::new(FAILS_AFTER, percentile(&mut took, 0.5).map_or(f64::NAN, |us| us as f64 / 1e6)),
        Measurement::new(QUERIES, queries as f64 / (p.move_at_min - first_s)),
    ]
}

/// Answers around the move and what some caches held ten minutes after it. By the minute of the answer, as a server's log
/// has it: a request that is on its way when the service moves was begun before the move and is refused after it.
pub fn on_call(p: &DnsFailover, log: &Log) -> Vec<Table> {
    let header = ["minutes after the move", "answers", "200", "503 from the old address"];
    let mut errors = Table::new("the monitoring of both addresses", &header);
    let step_s = p.old_s() / 30.0;
    for step in -2_i32..5 {
        let from_s = f64::from(step) * step_s;
        let period = p.move_at_min + from_s..p.move_at_min + from_s + step_s;
        let answers: Vec<_> = log.requests.iter().filter(|request| period.contains(&request.ended_s)).collect();
        let ok = answers.iter().filter(|request| request.ok).count();
        errors.row([
            format!("{from_s:.0} to {:.0}", from_s + step_s),
            answers.len().to_string(),
            ok.to_string(),
            answers.iter().filter(|request| request.by_old && !request.ok).count().to_string(),
        ]);
    }
    let mut caches = Table::new(
        format!("dig {NAME} at six customers, {:.0} minutes after the move", p.old_s() / 6.0),
        &["customer", "address", "minutes left"],
    );
    for (number, held) in &log.looked {
        let (address, left) = match held {
            Some((true, left_s)) => ("the old one", format!("{left_s:.0}")),
            Some((false, left_s)) => ("the new one", format!("{left_s:.0}")),
            None => ("not cached", "-".into()),
        };
        caches.row([format!("{}", number + 1), address.into(), left]);
    }
    vec![errors, caches]
}
