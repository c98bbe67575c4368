//! Starts a run: the conductor, in namespaces of its own, as an ordinary user.
//!
//! `unshare` makes the namespaces: of users (in which this user is root), processes, mounts and networks. Whatever dies
//! first, the kernel ends the rest: `setpriv` has `unshare` killed when this process dies, `--kill-child` has the
//! conductor killed when `unshare` dies, and the conductor is the first process of a process namespace, with which all
//! others end.

use super::conductor::{Findings, Job, Order, What};
use super::error::RealError;
use super::measure::Speed;
use super::router::Punctuality;
use crate::fault::chaos::Act;
use crate::run::judge::judge;
use crate::run::{self, Options, Run, plan};
use crate::scenario::Scenario;
use crate::sim::Evidence;
use crate::systems::{Answering, Attempt, Cluster, Process};
use crate::trace::Trace;
use serde::de::DeserializeOwned;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// What `unshare` is to make, and how its child ends.
const NAMESPACES: [&str; 8] =
    ["--user", "--map-root-user", "--pid", "--fork", "--kill-child=KILL", "--mount", "--mount-proc", "--net"];

/// A run on real processes.
pub struct Real {
    /// The run, as any other.
    pub run: Run,
    /// How the router kept time.
    pub punctuality: Punctuality,
}

/// This program in its other roles.
#[derive(Debug, Clone, Copy)]
pub struct Roles<'a> {
    /// This program.
    pub program: &'a Path,
    /// The argument that makes it the conductor of a run ([`super::conductor::serve`]).
    pub conductor: &'a str,
    /// The argument that makes it a node of our own systems ([`super::own::serve`]).
    pub node: &'a str,
}

/// Runs a scenario with a seed on real processes, for as long as the scenario lasts, and checks the run.
///
/// # Errors
/// See [`RealError`].
pub fn run(
    scenario: &Scenario,
    what: &What,
    seed: u64,
    options: &Options,
    roles: Roles<'_>,
) -> Result<Real, RealError> {
    let scenario = what.expected_of(scenario);
    let node = roles.node.to_owned();
    let job = Job { scenario: scenario.to_toml(), seed, what: what.clone(), node };
    let found: Findings = conduct(&Order::Run(Box::new(job)), roles).map_err(|error| explained(error, what))?;
    let plan = plan(&scenario, seed);
    let topology = &plan.world.topology;
    let (names, nodes) = (topology.names.clone(), topology.nodes);
    let mut trace = Trace { names, nodes, events: found.events, ..Trace::default() };
    trace.sort();
    let acts: Vec<Act> = serde_json::from_str(&found.acts).map_err(|error| RealError::Harness(error.to_string()))?;
    let evidence = Evidence {
        trace,
        schedule: plan.world.schedule.clone(),
        acts,
        powerless: found.powerless,
        panics: found.panics,
        ended_ns: found.ended_ns,
        bytes_between_nodes: found.bytes_between_nodes,
    };
    let judged = run::Subject { name: what.name().to_owned(), cluster: Arc::new(Gone), object: None };
    let run = judge(&scenario, &judged, plan, evidence, found.history, options);
    Ok(Real { run, punctuality: found.punctuality })
}

/// The cluster of a run that is over.
struct Gone;

impl Cluster for Gone {
    fn process(&self, _host: crate::host::Host) -> Process {
        unreachable!("the run is over")
    }

    fn attempt<'a>(&'a self, _attempt: Attempt<'a>) -> Answering<'a> {
        unreachable!("the run is over")
    }
}

/// An error with what the user can do about it.
pub(super) fn explained(error: RealError, what: &What) -> RealError {
    match (error, what) {
        (RealError::Node(why), _) if why.contains("/dev/net/tun: Permission denied") => RealError::Forbidden(format!(
            "{why}. Most distributions let every user open it, since a device made there reaches only the user's own \
             networks: sudo chmod 666 /dev/net/tun"
        )),
        (RealError::Node(why), What::Foreign(subject)) if why.starts_with("there is no program") => {
            RealError::Node(format!("{why}, which {} needs: {}", subject.name, subject.install))
        }
        (error, _) => error,
    }
}

/// Measures the router of this machine, which takes some seconds.
///
/// # Errors
/// See [`RealError`].
pub fn measure(roles: Roles<'_>) -> Result<Speed, RealError> {
    conduct(&Order::Measure, roles)
}

/// Has a conductor carry out an order.
pub(super) fn conduct<T: DeserializeOwned>(order: &Order, roles: Roles<'_>) -> Result<T, RealError> {
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare"])
        .args(NAMESPACES)
        .arg(roles.program)
        .arg(roles.conductor)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| RealError::Harness(format!("`setpriv` (of util-linux) cannot be started: {error}")))?;
    let talked = talk(&mut child, order);
    // Also when the talk broke off: it must not outlive this call.
    let _ = child.kill();
    let _ = child.wait();
    let (answer, complaint) = talked.map_err(|error| RealError::Harness(error.to_string()))?;
    match postcard::from_bytes::<Result<T, String>>(&answer) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(why)) => Err(RealError::Node(why)),
        Err(_) => Err(refused(&complaint)),
    }
}

/// Gives the conductor its order, and waits for the answer; beside it, what was written to standard error.
fn talk(child: &mut Child, order: &Order) -> io::Result<(Vec<u8>, String)> {
    let missing = || io::Error::other("a pipe is missing");
    // It stays open: its end tells the conductor that this process is gone.
    let mut input = child.stdin.take().ok_or_else(missing)?;
    let mut errors = child.stderr.take().ok_or_else(missing)?;
    let complaint = std::thread::spawn(move || {
        let mut text = Vec::new();
        // What cannot be read any more is not said.
        let _ = errors.read_to_end(&mut text);
        String::from_utf8_lossy(&text).trim().to_owned()
    });
    // `unshare` may have been refused already; then its complaint says why.
    let _ = writeln!(input, "{}", serde_json::to_string(order)?).and_then(|()| input.flush());
    let mut answer = Vec::new();
    child.stdout.take().ok_or_else(missing)?.read_to_end(&mut answer)?;
    Ok((answer, complaint.join().unwrap_or_default()))
}

/// What to say when there is no conductor.
fn refused(complaint: &str) -> RealError {
    match complaint.contains("unshare") || complaint.contains("setpriv") {
        true => RealError::Forbidden(format!(
            "this user may not make namespaces ({complaint}). Some distributions restrict them: allow them with\n  \
             sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0   (Ubuntu 23.10 and later)\n  \
             sudo sysctl kernel.unprivileged_userns_clone=1               (older Debian)\n\
             or run the command with sudo"
        )),
        false if complaint.is_empty() => RealError::Harness("the process that holds the run was killed".to_owned()),
        false => RealError::Harness(format!("the process that holds the run has died: {complaint}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_helps() {
        let forbidden = refused("unshare: unshare failed: Operation not permitted").to_string();
        assert!(forbidden.contains("Operation not permitted") && forbidden.contains("sudo sysctl"), "{forbidden}");
        assert!(matches!(refused(""), RealError::Harness(_)));
    }
}
