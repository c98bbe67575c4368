//! What the run measured, and what the balancer's log shows.

use super::super::claim::Measurement;
use super::super::evidence::{Table, percent, percentile};
use super::hosts::{Asked, Log, server};
use super::{
    AWAY_S, BALANCER, FAILED, FIRST, HIT, JUDGED_S, LoadBalancer, MOVED, RUSH, SENT, SLOW, SLOW_SERVER, UNTIL, ns,
};

/// What was claimed, measured.
pub fn measure(p: &LoadBalancer, log: &Log) -> Vec<Measurement> {
    let offered = |(from_s, until_s): (f64, f64)| {
        let period = ns(from_s)..ns(until_s);
        log.asked.iter().filter(move |asked| period.contains(&asked.at_ns))
    };
    let share = |period, of: &dyn Fn(&Asked) -> bool| {
        percent(offered(period).filter(|asked| of(asked)).count(), offered(period).count())
    };
    let (slow, failing) = (p.slow_judged_s(), p.failing_judged_s());
    let clients = |of: &dyn Fn(&Asked) -> bool| {
        let mut clients: Vec<_> = offered(slow).filter(|asked| of(asked)).map(|asked| asked.client).collect();
        clients.sort_unstable();
        clients.dedup();
        clients.len()
    };
    let whole = (p.fails_at_s(), p.fails_at_s() + p.failing_s + p.timeout_s);
    let errors = offered(whole).filter(|asked| asked.is_error).count();
    let rush = (p.rush_at_s(), p.rush_ends_s());
    let first = offered(rush).find(|asked| !asked.ok).map(|asked| asked.at_ns - ns(rush.0));
    vec![
        Measurement::new(SENT, share(slow, &|asked| asked.sent_to == Some(SLOW_SERVER))),
        Measurement::new(SLOW, share(slow, &|asked| asked.ok)),
        Measurement::new(HIT, percent(clients(&|asked| !asked.ok), p.clients as usize)),
        Measurement::new(FAILED, share(failing, &|asked| asked.is_error)),
        Measurement::new(UNTIL, errors as f64),
        Measurement::new(MOVED, moved(p, log)),
        Measurement::new(BALANCER, share(p.dead_judged_s(), &|asked| asked.ok)),
        Measurement::new(FIRST, first.map_or(f64::NAN, |after_ns| after_ns as f64 / 1e9)),
        Measurement::new(RUSH, share((rush.1 - JUDGED_S, rush.1), &|asked| asked.ok)),
    ]
}

/// The percentage of clients whose first answer after a server has left is of another server than their last before.
fn moved(p: &LoadBalancer, log: &Log) -> f64 {
    let (leaves_ns, back_ns) = (ns(p.leaves_at_s()), ns(p.leaves_at_s() + AWAY_S));
    let after_failing_ns = ns(p.fails_at_s() + p.failing_s + p.noticed_s());
    let (mut both, mut moved) = (0, 0);
    for client in 0..p.clients {
        let own = || log.asked.iter().filter(move |asked| asked.client == client && asked.ok);
        let before = own().rfind(|asked| (after_failing_ns..leaves_ns).contains(&asked.at_ns));
        let after = own().find(|asked| (leaves_ns..back_ns).contains(&asked.at_ns));
        if let (Some(before), Some(after)) = (before, after) {
            both += 1;
            moved += usize::from(before.sent_to != after.sent_to);
        }
    }
    percent(moved, both)
}

/// What the balancer's log says of each server while one is slow.
pub fn on_call(p: &LoadBalancer, log: &Log) -> Table {
    let (from_s, until_s) = p.slow_judged_s();
    let title = format!("the balancer's log, seconds {from_s:.0} to {until_s:.0}");
    let header = ["server", "checks", "requests", "answered in time", "given up by clients", "median ms"];
    let mut table = Table::new(title, &header);
    let period = ns(from_s)..ns(until_s);
    for number in 0..p.servers as usize {
        let sent: Vec<&Asked> =
            log.asked.iter().filter(|asked| period.contains(&asked.at_ns) && asked.sent_to == Some(number)).collect();
        let ok = sent.iter().filter(|asked| asked.ok);
        let mut took: Vec<u64> = ok.filter_map(|asked| Some((asked.ended_ns? - asked.at_ns) / 1_000_000)).collect();
        let served = took.len();
        let median = percentile(&mut took, 0.5).map_or("-".into(), |ms| ms.to_string());
        table.row([
            server(number),
            "passed".into(),
            sent.len().to_string(),
            served.to_string(),
            (sent.len() - served).to_string(),
            median,
        ]);
    }
    table
}
