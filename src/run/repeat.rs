//! The same run again, with everything different that must not matter.
//!
//! A run that depends on a hash map's order, the real clock, a process-wide counter or the thread it
//! runs on differs from itself in one of these circumstances. A fresh process is one more, which only
//! an executable can arrange.

/// How many other seeds run in between: enough to move every process-wide counter.
const OTHER_SEEDS: u64 = 2;

/// Repeats a run in every circumstance that one process can arrange; each result with the
/// circumstance's name, to be compared with the first run's.
///
/// # Errors
/// The first error of a run.
///
/// # Panics
/// If a run panics.
pub fn in_process<T: Send, E: Send>(
    seed: u64,
    run: impl Fn(u64) -> Result<T, E> + Sync,
) -> Result<[(&'static str, T); 3], E> {
    let at_once = run(seed)?;
    for other in (1..=OTHER_SEEDS).rev() {
        run(seed.wrapping_add(other))?;
    }
    let after_others = run(seed)?;
    let on_thread = std::thread::scope(|scope| {
        let beside = scope.spawn(|| run(seed.wrapping_add(1)));
        let again = scope.spawn(|| run(seed));
        beside.join().expect("a run beside the repeated one panicked")?;
        again.join().expect("the repeated run panicked")
    })?;
    Ok([("at once", at_once), ("after other seeds", after_others), ("on another thread", on_thread)])
}
