//! `schism bench`.

use super::Desk;

#[test]
fn a_bench_measures_every_system_at_every_tick_and_always_the_same_runs() {
    let desk = Desk::new();
    let arguments = "bench small.toml --systems dual-primary,raft-memory --ticks 5,1 --seeds 2 --jobs 2 --format json";
    let (first, second) = (desk.run(arguments), desk.run(arguments));
    assert_eq!((first.code, second.code), (0, 0), "{}", first.err);
    let cells = |ran: &super::Ran| -> Vec<_> {
        let lines = ran.lines().into_iter().filter(|line| line["kind"] == "bench_figure");
        lines.map(|line| (line["system"].clone(), line["tick_ms"].clone(), line["digest"].clone())).collect()
    };
    assert_eq!(cells(&first), cells(&second));
    let names: Vec<String> = cells(&first).iter().map(|(system, tick, _)| format!("{system} {tick}")).collect();
    assert_eq!(names, [r#""dual-primary" 5"#, r#""raft-memory" 5"#, r#""dual-primary" 1"#, r#""raft-memory" 1"#]);
    let digests: std::collections::BTreeSet<String> =
        cells(&first).iter().map(|(_, _, digest)| digest.to_string()).collect();
    assert_eq!(digests.len(), 4, "another tick or system is another run");
    let stages = first.lines().into_iter().find(|line| line["kind"] == "bench_stages").unwrap();
    let share = |stage: &str| stages[stage].as_f64().unwrap();
    assert!((share("preparing") + share("simulating") + share("checking") - 1.0).abs() < 1e-9, "{stages}");
    assert!(share("simulating") > 0.0, "{stages}");
    let jobs: Vec<_> = first.lines().into_iter().filter(|line| line["kind"] == "bench_at_once").collect();
    assert_eq!(jobs.iter().map(|line| line["jobs"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_tick_above_the_smallest_latency_is_refused() {
    let ran = Desk::new().run("bench --ticks 50");
    assert_eq!(ran.code, 65);
    assert!(ran.err.contains("above the smallest"), "{}", ran.err);
}
