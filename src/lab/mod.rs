//! The playground's engine: one JSON interface for all callers.
//!
//! [`answer`] takes a question and returns an answer, both JSON objects, and touches nothing else: no file, no clock, no
//! network. `schism lab` calls it for a browser on the same machine; built for WebAssembly it runs in the browser's tab.
//!
//! * [`setting`]: what the page requests to run, and the limits of that.
//! * [`fork`]: where two runs part.
//! * `lesson` (feature `stories`): a lesson before an answer, and after it. `case`: a case as far as it is solved.
//! * `serve` (feature `lab`): the server. `engine.rs` is the program for WebAssembly, `page/` is the page.

#[cfg(feature = "stories")]
pub mod case;
pub mod fork;
#[cfg(feature = "stories")]
pub mod lesson;
#[cfg(feature = "lab")]
pub mod serve;
pub mod setting;

use crate::fault::effect::Scene;
use crate::fault::kinds::{Entry, FaultKind};
use crate::fault::model::Fault;
use crate::fault::topology::Topology;
use crate::report::json;
use crate::report::page::page;
use crate::run::{Comparison, Options, Outcome, compare_while};
use crate::scenario::{self, Scenario, Site, materialise};
use crate::systems::System;
use crate::trace::HostId;
use fork::Parting;
use serde::{Deserialize, Serialize};
use setting::Setting;
use std::collections::BTreeSet;

/// The questions that the engine answers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// The scenarios, the systems and the kinds of fault.
    Catalogue,
    /// The hosts and the faults of a setting, before anything runs.
    Plan {
        /// The setting.
        setting: Setting,
    },
    /// Systems under one schedule.
    Run {
        /// The setting.
        setting: Setting,
        /// Which systems, in the order of the answer.
        systems: Vec<String>,
        /// The setting that this one was forked from: the answer says where each system's run parts from the original.
        #[serde(default)]
        fork_of: Option<Setting>,
    },
    /// The lessons, by name and title.
    #[cfg(feature = "stories")]
    Lessons,
    /// A lesson before an answer: its text, its evidence, its questions.
    #[cfg(feature = "stories")]
    Lesson {
        /// Which one, and whose run.
        #[serde(flatten)]
        run: lesson::Asked,
    },
    /// The lesson's runs, and how an answer was marked.
    #[cfg(feature = "stories")]
    Answer {
        /// Which one, and whose run.
        #[serde(flatten)]
        run: lesson::Asked,
        /// One answer a question.
        answer: Vec<String>,
    },
    /// A case, as far as it is solved.
    #[cfg(feature = "stories")]
    Case {
        /// Which one, what was asked for, and what was decided.
        #[serde(flatten)]
        run: case::Asked,
    },
}

impl Question {
    /// Whether something must run for an answer.
    pub fn is_run(&self) -> bool {
        match self {
            Question::Catalogue | Question::Plan { .. } => false,
            Question::Run { .. } => true,
            #[cfg(feature = "stories")]
            Question::Lessons => false,
            #[cfg(feature = "stories")]
            Question::Lesson { .. } | Question::Answer { .. } | Question::Case { .. } => true,
        }
    }
}

#[derive(Serialize)]
struct Refused<'a> {
    message: &'a str,
}

#[derive(Serialize)]
struct Catalogue {
    version: &'static str,
    target: &'static str,
    scenarios: Vec<Plan>,
    systems: Vec<&'static str>,
    kinds: Vec<Entry>,
}

/// A setting before it runs.
#[derive(Serialize)]
struct Plan {
    scenario: String,
    title: String,
    story: String,
    duration_ms: u64,
    operations: u32,
    sites: Vec<Site>,
    nodes: Vec<String>,
    faults: Vec<Planned>,
    systems: Vec<&'static str>,
}

/// A fault, its description, and where a picture of the nodes shows it.
#[derive(Serialize)]
struct Planned {
    #[serde(flatten)]
    fault: Fault,
    words: String,
    /// The links between nodes, each once, by the names of its ends. A role's are not known before the run.
    links: BTreeSet<[String; 2]>,
    /// The nodes.
    nodes: Vec<String>,
}

impl Planned {
    fn of(fault: Fault, topology: &Topology) -> Planned {
        let effect = fault.kind.effect(&Scene { topology, resolved: None });
        let name = |host: HostId| topology.name(host).to_owned();
        let is_node = |host: HostId| topology.all_nodes().contains(host);
        let links = effect.links().into_iter().filter(|(from, to)| is_node(*from) && is_node(*to));
        let links = links.map(|(from, to)| [name(from.min(to)), name(from.max(to))]).collect();
        let nodes = effect.nodes().iter().map(name).collect();
        Planned { words: fault.to_string(), fault, links, nodes }
    }
}

/// The result of a run.
#[derive(Serialize)]
struct Ran<'a> {
    /// The engine that ran it: the digests of two engines may differ.
    target: &'static str,
    outcomes: Vec<&'a Outcome>,
    as_expected: bool,
    unexpected: &'a [String],
    /// The setting as a scenario file, its name, and the command that runs it.
    file: String,
    toml: String,
    command: String,
    partings: Vec<Parting>,
    html: String,
}

/// The answer to a question, one JSON object: `catalogue`, `plan`, `ran` or, if it cannot be answered, `refused` with a
/// `message` for people.
pub fn answer(question: &str) -> String {
    match asked(question) {
        Ok(question) => answer_while(&question, &|| true),
        Err(message) => refusal(&message),
    }
}

/// What is asked.
///
/// # Errors
/// If it is not understood, in words for people.
pub fn asked(question: &str) -> Result<Question, String> {
    serde_json::from_str(question).map_err(|error| format!("the question is not understood: {error}"))
}

/// As [`answer`], as long as `is_wanted` says so: a run calls it before each of its steps, and ends in a refusal if
/// not.
pub fn answer_while(question: &Question, is_wanted: &dyn Fn() -> bool) -> String {
    reply(question, is_wanted).unwrap_or_else(|message| refusal(&message))
}

/// The answer to a question that cannot be answered.
pub fn refusal(message: &str) -> String {
    json::line("refused", Refused { message })
}

fn reply(question: &Question, is_wanted: &dyn Fn() -> bool) -> Result<String, String> {
    match question {
        Question::Catalogue => Ok(json::line("catalogue", catalogue())),
        Question::Plan { setting } => Ok(json::line("plan", plan(&setting.scenario()?, setting.seed()?))),
        Question::Run { setting, systems, fork_of } => ran(setting, systems, fork_of.as_ref(), is_wanted),
        #[cfg(feature = "stories")]
        Question::Lessons => Ok(json::line("lessons", lesson::list())),
        #[cfg(feature = "stories")]
        Question::Lesson { run } => Ok(json::line("lesson", lesson::told(run, is_wanted)?)),
        #[cfg(feature = "stories")]
        Question::Case { run } => case::told(run),
        #[cfg(feature = "stories")]
        Question::Answer { run, answer } => Ok(json::line("answered", lesson::answered(run, answer, is_wanted)?)),
    }
}

/// What the engine was built as.
fn target() -> &'static str {
    if cfg!(target_family = "wasm") { "WebAssembly" } else { "native code" }
}

fn catalogue() -> Catalogue {
    Catalogue {
        version: env!("CARGO_PKG_VERSION"),
        target: target(),
        scenarios: scenario::catalogue().iter().map(|scenario| plan(scenario, 0)).collect(),
        systems: System::SOUND.iter().filter(|system| system.is_built()).map(|system| system.name()).collect(),
        kinds: FaultKind::catalogue(),
    }
}

fn plan(scenario: &Scenario, seed: u64) -> Plan {
    let scenario = &scenario.drawn(seed);
    let topology = scenario.topology();
    let named = System::SOUND.iter().map(|system| system.name()).filter(|name| scenario.expect.contains_key(*name));
    let faults = materialise(scenario, seed).schedule.faults;
    Plan {
        scenario: scenario.name.clone(),
        title: scenario.title.clone(),
        story: scenario.story.clone(),
        duration_ms: scenario.timing.duration_ms,
        operations: scenario.workload.operations,
        sites: scenario.sites.clone(),
        nodes: topology.node_ids().map(|node| topology.name(node).to_owned()).collect(),
        faults: faults.into_iter().map(|fault| Planned::of(fault, &topology)).collect(),
        systems: named.collect(),
    }
}

fn ran(
    setting: &Setting,
    systems: &[String],
    fork_of: Option<&Setting>,
    is_wanted: &dyn Fn() -> bool,
) -> Result<String, String> {
    let (scenario, seed) = (setting.scenario()?, setting.seed()?);
    let systems = setting::systems(systems)?;
    let compared = compared(&scenario, &systems, seed, is_wanted)?;
    let partings = match fork_of {
        Some(base) => fork::partings(&compared_to(base, &systems, seed, is_wanted)?.runs, &compared.runs),
        None => Vec::new(),
    };
    let names: Vec<&str> = systems.iter().map(|system| system.name()).collect();
    let file = format!("{}.toml", scenario.name);
    // A built-in scenario needs no file.
    let subject = if setting.is_changed() { file.as_str() } else { scenario.name.as_str() };
    let command = format!("schism compare {subject} --seed {seed} --systems {}", names.join(","));
    let answer = Ran {
        target: target(),
        outcomes: compared.runs.iter().map(|run| &run.outcome).collect(),
        as_expected: compared.as_expected,
        unexpected: &compared.unexpected,
        toml: format!("# {command}\n{}", scenario.to_toml()),
        html: page(&compared.runs, Some(&compared), &command),
        file,
        command,
        partings,
    };
    Ok(json::line("ran", answer))
}

fn compared(
    scenario: &Scenario,
    systems: &[System],
    seed: u64,
    is_wanted: &dyn Fn() -> bool,
) -> Result<Comparison, String> {
    compare_while(scenario, systems, seed, &Options::default(), is_wanted).map_err(|error| error.to_string())
}

fn compared_to(
    base: &Setting,
    systems: &[System],
    seed: u64,
    is_wanted: &dyn Fn() -> bool,
) -> Result<Comparison, String> {
    if base.seed()? != seed {
        return Err("a fork has the seed of the run that it is forked from".into());
    }
    compared(&base.scenario()?, systems, seed, is_wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::compare;
    use serde_json::{Value, json};

    fn ask(question: &Value) -> Value {
        serde_json::from_str(&answer(&question.to_string())).expect("an answer is JSON")
    }

    fn run(setting: Value, fork_of: Option<Value>) -> Value {
        ask(&json!({"ask": "run", "setting": setting, "systems": ["raft", "dual-primary"], "fork_of": fork_of}))
    }

    #[test]
    fn the_catalogue_holds_every_scenario_with_its_faults() {
        let catalogue = ask(&json!({"ask": "catalogue"}));
        assert_eq!(catalogue["kind"], "catalogue");
        let scenarios = catalogue["scenarios"].as_array().unwrap();
        assert_eq!(scenarios.len(), scenario::embedded().len());
        assert_eq!(scenarios[0]["faults"][0]["fault"], "partition");
        assert!(scenarios[0]["faults"][0]["words"].as_str().unwrap().starts_with("partition east | west"));
        assert!(catalogue["systems"].as_array().unwrap().contains(&json!("raft")));
    }

    /// A run that was clicked together, saved and run again as a file is the same run, to the bit.
    #[test]
    fn what_is_saved_replays() {
        let faults = json!([{"at_ms": 5000, "for_ms": 4000, "fault": "kill", "target": "n1"}]);
        let ran = run(json!({"scenario": "split-brain", "seed": "7", "faults": faults}), None);
        assert_eq!(ran["kind"], "ran", "{ran}");
        let saved = Scenario::parse("saved.toml", ran["toml"].as_str().unwrap()).unwrap();
        assert_eq!(saved.faults.len(), 1);
        let again = compare(&saved, &[System::Raft, System::DualPrimary], 7, &Options::default()).unwrap();
        for (run, outcome) in again.runs.iter().zip(ran["outcomes"].as_array().unwrap()) {
            assert_eq!(outcome["digest"], json!(run.outcome.digest), "{}", run.outcome.system);
        }
        assert!(ran["html"].as_str().unwrap().starts_with("<!doctype html>"));
        assert_eq!(ran["command"], "schism compare split-brain-changed.toml --seed 7 --systems raft,dual-primary");
    }

    #[test]
    fn a_plan_says_which_links_and_nodes_its_faults_break() {
        let faults = json!([
            {"at_ms": 1, "fault": "isolate", "target": "n5", "from_clients": true},
            {"at_ms": 2, "fault": "full_disk", "target": "west.nodes"},
            {"at_ms": 3, "fault": "kill", "target": "@leader"},
        ]);
        let plan = ask(&json!({"ask": "plan", "setting": {"scenario": "split-brain", "seed": 1, "faults": faults}}));
        let of = |fault: usize, what: &str| plan["faults"][fault][what].clone();
        assert_eq!(of(0, "links"), json!([["n1", "n5"], ["n2", "n5"], ["n3", "n5"], ["n4", "n5"]]));
        assert_eq!((of(0, "nodes"), of(1, "links")), (json!([]), json!([])));
        assert_eq!(of(1, "nodes"), json!(["n4", "n5"]));
        assert_eq!((of(2, "nodes"), of(2, "links")), (json!([]), json!([])), "who leads is not known yet");
    }

    /// The page offers the clicks of the kinds, and has no list of its own.
    #[test]
    fn the_catalogue_holds_every_kind_of_fault_with_its_fields_and_clicks() {
        let catalogue = ask(&json!({"ask": "catalogue"}));
        let kinds = catalogue["kinds"].as_array().unwrap();
        let names: Vec<&str> = kinds.iter().map(|kind| kind["name"].as_str().unwrap()).collect();
        assert_eq!(names, FaultKind::NAMES);
        let latency = &kinds[names.iter().position(|name| *name == "latency").unwrap()];
        let words = "extra one-way delay of each message, in milliseconds";
        let extra = json!({"name": "extra_ms", "type": "number", "least": 1, "most": 86_400_000, "required": true, "words": words});
        assert_eq!(latency["fields"][2], extra);
        let fault = json!({"fault": "latency", "a": ["{a}"], "b": ["{b}"], "extra_ms": 100});
        assert_eq!(latency["clicks"], json!([{"on": "link", "words": "slow it by 100 ms", "fault": fault}]));
        let page = [include_str!("page/setting.mjs"), include_str!("page/main.mjs"), include_str!("page/network.mjs")];
        for name in FaultKind::NAMES.iter().filter(|name| **name != "messages") {
            assert!(page.iter().all(|module| !module.contains(&format!("\"{name}\""))), "the page knows {name}");
        }
    }

    /// The past of a fork is the past of its origin: nothing before the changed fault may differ.
    #[test]
    fn a_fork_shares_its_past_with_its_origin() {
        let cut = json!({"at_ms": 6000, "for_ms": 5000, "fault": "isolate", "target": "n2"});
        let kill = json!({"at_ms": 9000, "for_ms": 3000, "fault": "kill", "target": "n1"});
        let base = json!({"scenario": "split-brain", "seed": 3, "faults": [cut]});
        let fork = json!({"scenario": "split-brain", "seed": 3, "faults": [cut, kill]});
        let ran = run(fork, Some(base.clone()));
        for parting in ran["partings"].as_array().unwrap() {
            assert_eq!(parting["at_ns"], 9_000_000_000_u64, "{parting}");
            assert!(parting["shared_events"].as_u64().unwrap() > 1000);
        }
        let same = run(base.clone(), Some(base));
        assert_eq!(same["partings"][0]["at_ns"], Value::Null);
    }

    #[test]
    fn what_cannot_be_answered_says_why() {
        let refused = |question: Value| {
            let answer = ask(&question);
            assert_eq!(answer["kind"], "refused", "{answer}");
            answer["message"].as_str().unwrap().to_owned()
        };
        assert!(refused(json!({"ask": "what"})).contains("catalogue"));
        let setting = |scenario: &str| json!({"scenario": scenario, "seed": 1});
        let asked = |setting: Value, systems: Value| json!({"ask": "run", "setting": setting, "systems": systems});
        assert!(refused(asked(setting("split-brian"), json!(["raft"]))).contains("split-brain"));
        assert!(refused(asked(setting("split-brain"), json!(["paxos"]))).contains("dual-primary"));
        assert!(refused(asked(setting("split-brain"), json!([]))).contains("at least one system"));
        let mut one = setting("split-brain");
        one["faults"] = json!([{"at_ms": 1, "fault": "kill", "target": "n9"}]);
        assert!(refused(asked(one.clone(), json!(["raft"]))).contains("n9"));
        one["faults"] = json!([{"at_ms": 1, "fault": "kill", "target": "n1", "ponies": 1}]);
        assert!(refused(asked(one, json!(["raft"]))).contains("ponies"));
        let text = "version = 1\nname = \"x\"\n";
        assert!(refused(json!({"ask": "plan", "setting": {"toml": text, "seed": 1}})).contains("title"));
    }

    /// Title, story and expectations are those of the faults that they were written for.
    #[test]
    fn what_an_edited_setting_is_called_is_said_anew() {
        let faults = json!([{"at_ms": 5000, "for_ms": 4000, "fault": "kill", "target": "n1"}]);
        let setting = json!({"scenario": "split-brain", "seed": 7, "faults": faults});
        let plan = ask(&json!({"ask": "plan", "setting": setting}));
        assert_eq!((&plan["title"], &plan["story"]), (&json!("split-brain with other faults"), &json!("")));
        let page = run(setting, None)["html"].as_str().unwrap().to_owned();
        assert!(!page.contains("twelve seconds") && !page.contains("as expected"), "of the scenario as it was");
        assert!(!page.contains("Not as expected"));
        // Saved, opened and edited again, it is not called changed twice.
        let sites = json!([{"name": "east", "nodes": 3, "clients": 1}]);
        let first = Setting::deserialize(json!({"scenario": "split-brain", "seed": 7, "faults": []})).unwrap();
        let toml = first.scenario().unwrap().to_toml();
        let plan = ask(&json!({"ask": "plan", "setting": {"toml": toml, "seed": 7, "sites": sites, "faults": []}}));
        assert_eq!(plan["scenario"], "split-brain-changed");
        assert_eq!(plan["title"], "split-brain with another cluster and other faults");
    }

    #[test]
    fn a_run_that_nobody_wants_any_more_ends_at_its_next_step() {
        let question = json!({"ask": "run", "setting": {"scenario": "split-brain", "seed": 1}, "systems": ["raft"]});
        let steps = std::cell::Cell::new(0);
        let is_wanted = || {
            steps.set(steps.get() + 1);
            steps.get() < 100
        };
        let answer = answer_while(&asked(&question.to_string()).unwrap(), &is_wanted);
        assert!(answer.contains("\"refused\"") && answer.contains("stopped"), "{answer}");
        assert_eq!(steps.get(), 100);
    }

    #[test]
    fn what_ships_with_the_program_is_within_the_bounds() {
        for (name, text) in scenario::embedded() {
            for setting in [json!({"scenario": name, "seed": 1}), json!({"toml": text, "seed": 1})] {
                let plan = ask(&json!({"ask": "plan", "setting": setting}));
                assert_eq!(plan["kind"], "plan", "{name}: {plan}");
            }
        }
    }

    #[test]
    fn more_than_a_tab_can_bear_is_refused() {
        let split_brain = scenario::embedded()[0].1;
        let long = split_brain.replacen("duration_ms = ", "duration_ms = 9", 1);
        assert_ne!(long, split_brain);
        let answer = ask(&json!({"ask": "plan", "setting": {"toml": long, "seed": 1}}));
        assert!(answer["message"].as_str().unwrap().contains("seconds"), "{answer}");
        let with = |line: &str, more: &str| {
            let name = line.split('=').next().unwrap();
            let kept: String =
                split_brain.lines().filter(|kept| !kept.starts_with(name)).map(|kept| format!("{kept}\n")).collect();
            let (top, rest) = kept.split_once(more).unwrap();
            ask(&json!({"ask": "plan", "setting": {"toml": format!("{top}{more}\n{line}\n{rest}"), "seed": 1}}))
        };
        for (line, table, word) in [
            ("keys = 4294967295", "[workload]", "keys"),
            ("operations = 4294967295", "[workload]", "operations"),
            ("election_max_ms = 86400000", "[timing]", "election time-out"),
            ("nemesis = { faults = 4000000000 }", "version = 1", "faults"),
        ] {
            let answer = with(line, table);
            assert!(answer["message"].as_str().unwrap_or("").contains(word), "{line}: {answer}");
        }
        let flapping =
            json!([{"at_ms": 0, "fault": "flapping", "groups": [["east"], ["west"]], "down_ms": 1, "up_ms": 1}]);
        let answer =
            ask(&json!({"ask": "plan", "setting": {"scenario": "split-brain", "seed": 1, "faults": flapping}}));
        assert!(answer["message"].as_str().unwrap().contains("up or down"), "{answer}");
        let sites = json!([{"name": "east", "nodes": 12, "clients": 2}, {"name": "west", "nodes": 2, "clients": 2}]);
        let answer = ask(&json!({"ask": "plan", "setting": {"scenario": "split-brain", "seed": 1, "sites": sites}}));
        assert!(answer["message"].as_str().unwrap().contains("nodes"), "{answer}");
    }
}
