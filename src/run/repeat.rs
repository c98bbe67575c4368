//! The same run again under circumstances that must not matter.
//!
//! A run that depends on a hash map's order, the real clock, a process-wide counter or its thread gives
//! another result under one of these circumstances. A fresh process is one more, which only an
//! executable can arrange.

/// How many other seeds run in between: enough to advance every process-wide counter.
const OTHER_SEEDS: u64 = 2;

/// Repeats a run under every circumstance that one process can arrange. Returns each result with the
/// circumstance's name; the caller compares them with the first run.
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
