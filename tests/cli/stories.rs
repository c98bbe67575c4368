//! The stories' claims hold: every seed meets the predictions; a parameter changed without the prediction's knowledge
//! breaks it; and two processes, one of them without any network, show the same.

use super::{Desk, Ran};
use schism::rng::seeds::Seeds;
use schism::run::life::{Life, Part};
use schism::stories::claim::{Claim, Decides, join};
use schism::stories::lesson::grade;
use schism::stories::list::{Listed, STORIES, listed};
use schism::stories::question::{Choice, Question};
use schism::stories::trial::play;
use schism::stories::{self, StoryFile, StoryRun, Telling, catalogue, find};
use serde_json::Value;

/// All variants under one seed.
fn tell(story: &StoryFile, seed: u64) -> Telling {
    stories::tell(&*story.model, story.model.variants(), seed).unwrap()
}

/// Runs a command that must end with this code.
fn run(desk: &Desk, words: &str, code: i32) -> Ran {
    let ran = desk.run(words);
    assert_eq!(ran.code, code, "{words}: {}{}", ran.out, ran.err);
    ran
}

fn broken(claims: &[Claim]) -> Vec<String> {
    let shown = |claim: &Claim| {
        format!("{}: {} {:?} instead of {}", claim.variant, claim.name, claim.measured, claim.predicted)
    };
    claims.iter().filter(|claim| !claim.holds).map(shown).collect()
}

/// What is wrong with the `answers` of a lesson: one that the run contradicts, or a number that comes with none.
fn wrong_answers(story: &StoryFile, told: &Telling) -> Vec<String> {
    let mut wrong = Vec::new();
    let questions = &story.lesson.questions;
    for (number, question) in questions.iter().enumerate().filter(|(_, question)| question.number().is_some()) {
        let Some(answers) = question.answers.as_ref().filter(|all| !all.right.is_empty() && !all.wrong.is_empty())
        else {
            wrong.push(format!("question {} says neither what is right nor what is wrong", number + 1));
            continue;
        };
        for (answer, is_right) in
            answers.right.iter().map(|answer| (answer, true)).chain(answers.wrong.iter().map(|answer| (answer, false)))
        {
            let mut given = vec![String::new(); questions.len()];
            given[number] = answer.to_string();
            if grade(&story.lesson, &given, &told.claims)[number].right != is_right {
                wrong.push(format!("question {}: {answer} is not {is_right}", number + 1));
            }
        }
    }
    wrong
}

/// Whatever a request did is accounted for: its spans follow each other from its beginning to its end, and their sum is the
/// latency that its story measured.
fn spans_add_up(story: &StoryFile, told: &Telling) {
    for run in &told.runs {
        let (name, variant) = (&story.name, run.setup.variant);
        let lives = &run.observed.lives;
        assert!(lives.len() > 1, "{name}, {variant}: no request is followed");
        for life in lives {
            let mut at_ns = life.at_ns;
            for span in &life.spans {
                assert_eq!(span.from_ns, at_ns, "{name}, {variant}: {life:?}");
                at_ns = span.until_ns;
            }
            assert!(life.ended_ns.is_none_or(|ended_ns| ended_ns == at_ns), "{name}, {variant}: {life:?}");
        }
        // What ends at once (a client without a free port) has no span.
        let ended = lives.iter().filter(|life| life.ended_ns.is_some_and(|ended_ns| ended_ns > life.at_ns));
        let spans: usize = ended.clone().map(|life| life.spans.len()).sum();
        assert!(spans >= ended.count(), "{name}, {variant}: {spans} spans");
    }
}

/// The naive variants fail where the fixed ones do not.
fn naive_ones_fail(story: &StoryFile, told: &Telling) {
    let Decides { claim, more_is_better } = story.decides.clone().unwrap_or_else(|| panic!("{}", story.name));
    let name = &story.name;
    let of = |naive: bool| {
        let variants = story.model.variants().iter().filter(move |variant| variant.naive == naive);
        variants.filter_map(|variant| {
            let found = told.claims.iter().find(|found| found.variant == variant.name && found.name == claim)?;
            found.measured
        })
    };
    let sign = if more_is_better { 1.0 } else { -1.0 };
    let best_naive = of(true).map(|value| sign * value).fold(f64::NEG_INFINITY, f64::max);
    let worst_fixed = of(false).map(|value| sign * value).fold(f64::INFINITY, f64::min);
    assert!(best_naive.is_finite() && worst_fixed.is_finite(), "{name}: both sorts measure `{claim}`");
    assert!(best_naive < worst_fixed, "{name}: {claim}, naive {best_naive}, fixed {worst_fixed}");
}

/// `SCHISM_SEEDS=20` is what the project's figures are from; a few are enough to see that nothing has moved.
#[test]
fn every_seed_meets_every_prediction() {
    let seeds = Seeds::from_environment(3).unwrap();
    for story in catalogue() {
        for seed in seeds.iter() {
            let told = tell(&story, seed);
            naive_ones_fail(&story, &told);
            spans_add_up(&story, &told);
            assert!(told.holds(), "{}, seed {seed}: {:?}", story.name, broken(&told.claims));
            assert_eq!(wrong_answers(&story, &told), Vec::<String>::new(), "{}, seed {seed}", story.name);
            // A formula for the least latency that distance allows must not be above the measurement.
            for claim in told.claims.iter().filter(|claim| story.name == "five-data-centres" && claim.unit == "ms") {
                assert!(claim.measured >= Some(claim.predicted), "seed {seed}: {claim:?}");
            }
        }
    }
}

/// What is wrong with the marks of a lesson's choices: one that its run contradicts, or that nothing tries.
fn wrong_marks(story: &StoryFile, seed: u64) -> Vec<String> {
    let questions = story.lesson.questions.iter().filter(|question| !question.choices.is_empty());
    let choices = questions.flat_map(|question| question.choices.iter().map(move |choice| (question, choice)));
    let mark = |(question, choice): (&Question, &Choice)| {
        let wrong = |why: &str| Some(format!("{}: `{}`, marked {}: {why}", story.name, choice.text, choice.right));
        if question.trials.is_empty() {
            return wrong("its question has no trials");
        }
        // A choice that cannot be run says why; otherwise the file is refused.
        let tried = play(&*story.model, question, choice, seed).unwrap()?;
        let cures = tried.iter().all(|tried| tried.met);
        if cures == choice.right { None } else { wrong(&format!("{tried:?}")) }
    };
    std::thread::scope(|scope| {
        let started: Vec<_> = choices.map(|choice| scope.spawn(move || mark(choice))).collect();
        started.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn each_choice_is_marked_as_its_run_shows() {
    for story in catalogue() {
        for seed in Seeds::from_environment(1).unwrap().iter() {
            let wrong = wrong_marks(&story, seed);
            assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
        }
    }
}

/// The proof that it can fail: in a world in which a wrong choice is a cure, or the right one is none, it is noticed.
#[test]
fn a_choice_that_is_marked_wrongly_is_noticed() {
    for (name, from, to, noticed) in [
        // A sixth vote beside three and two does not help the west.
        ("split-brain", "east_beside_witness = 2, west", "east_beside_witness = 3, west", "one in the third place"),
        // A database that can do all audit records at once: then a bigger pool is what is missing.
        ("pool-exhaustion", "slow_at_once = 100", "slow_at_once = 250", "Give the pool more connections"),
        // Half a second of backlog is served before any client gives up, whatever the clients do.
        ("retry-storm", "stall_s = 2.0", "stall_s = 0.4", "Exponential back-off"),
    ] {
        let text = listed(name).unwrap().text;
        assert!(text.contains(from), "`{from}` is in {name}");
        let story = StoryFile::parse("own.toml", &text.replace(from, to)).unwrap();
        let wrong = wrong_marks(&story, 11);
        assert!(wrong.iter().any(|wrong| wrong.contains(noticed)), "{name}: {noticed} in {wrong:#?}");
    }
}

/// A request that is on its way at the moment of the move is refused after it, not before.
#[test]
fn nothing_is_refused_before_the_move() {
    let story = stories::find("dns-failover").unwrap();
    for seed in 0..3 {
        let told = stories::tell(&*story.model, story.model.variant("ttl-hour"), seed).unwrap();
        let rows = &told.runs[0].observed.evidence[0].rows;
        let refused = |row: &Vec<String>| row[3].parse::<u32>().unwrap();
        let (before, after): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row[0].starts_with('-'));
        assert!(before.len() == 2 && before.iter().all(|row| refused(row) == 0), "seed {seed}: {rows:?}");
        assert!(after.iter().all(|row| refused(row) > 100), "seed {seed}: {rows:?}");
    }
}

/// The proof that the claims can fail: the runs use another parameter than the prediction.
#[test]
fn a_parameter_changed_behind_its_back_breaks_the_prediction() {
    for story in catalogue() {
        let told = stories::tell(&*story.perturbed, story.perturbed.variants(), 11).unwrap();
        assert!(told.holds(), "{}: a prediction that is told of it holds: {:?}", story.name, broken(&told.claims));
        let unaware = story.model.predict();
        let claims = told.runs.iter().flat_map(|run| join(&unaware, run.setup.variant, &run.observed.measured));
        let broken = broken(&claims.collect::<Vec<_>>());
        assert!(!broken.is_empty(), "{}: {:?} changes nothing", story.name, story.perturbed.parameters());
    }
}

#[test]
fn a_recorded_variant_replays_and_an_edited_one_is_noticed() {
    let desk = Desk::new();
    run(&desk, "compare retry-storm --seed 18446744073709551615 --out kept", 0);
    let file = "kept/retry-storm-immediate-18446744073709551615.toml";
    let again = run(&desk, &format!("replay {file}"), 0);
    assert!(again.out.contains("identical"), "{}", again.out);
    let text = std::fs::read_to_string(desk.path(file)).unwrap();
    desk.write("edited.toml", &text.replace("stall_s = 2.0", "stall_s = 1.5"));
    let other = run(&desk, "replay edited.toml --format json", 1);
    assert_eq!(other.last()["result"], "diverged");
}

/// It is a run of that system under a scenario, so all that reads such a run reads it: here replay, with its exit codes.
#[test]
fn a_variant_that_is_a_system_is_recorded_as_any_run_of_it() {
    let desk = Desk::new();
    run(&desk, "compare consistency-or-availability --systems lease,dual-primary --seed 5 --out kept", 0);
    for (variant, code) in [("lease", 0), ("dual-primary", 1)] {
        let file = format!("kept/consistency-or-availability-{variant}-5.toml");
        let again = run(&desk, &format!("replay {file} --format json"), code);
        assert_eq!(again.last()["result"], "identical", "{variant}");
    }
}

/// Any parameter, however absurd, gives a clear error or a run, never a panic.
#[test]
fn no_parameter_makes_it_panic() {
    for Listed { name, text, .. } in STORIES {
        let story = stories::find(name).unwrap();
        for (field, value) in story.model.parameters() {
            let extremes: &[&str] =
                if value.is_integer() { &["0", "4294967295", "-1"] } else { &["0.0", "-1.0", "1e300", "nan", "inf"] };
            for extreme in extremes {
                let from = text.lines().find(|line| line.starts_with(&format!("{field} = "))).unwrap();
                let own = text.replacen(from, &format!("{field} = {extreme}"), 1);
                if let Err(error) = StoryFile::parse("own.toml", &own) {
                    let said = error.plain();
                    assert!(said.starts_with("own.toml:") && said.contains("help: "), "{name}, {field}: {said}");
                }
            }
        }
    }
}

fn lesson(desk: &Desk, story: &StoryFile) -> Value {
    let answer = story.lesson.example();
    let ran = run(desk, &format!("lesson {} --seed 5 --answer {answer} --format json", story.name), 0);
    ran.last()
}

#[test]
fn another_process_without_a_network_shows_the_same() {
    let desk = Desk::new();
    // Where user namespaces are switched off, the lessons run with the network that there is.
    let cut_off =
        std::process::Command::new("unshare").args(["-rn", "true"]).status().is_ok_and(|status| status.success());
    for story in catalogue() {
        let here = tell(&story, 5).digest().to_string();
        let there = if cut_off {
            let answer = story.lesson.example();
            let words = format!("lesson {} --seed 5 --answer {answer} --format json", story.name);
            let mut command = std::process::Command::new("unshare");
            let schism = desk.command(&words);
            command.arg("-rn").arg(schism.get_program()).args(schism.get_args());
            command.current_dir(schism.get_current_dir().unwrap());
            let ran = Ran::from(command.output().unwrap());
            assert_eq!(ran.code, 0, "{}", ran.err);
            ran.last()
        } else {
            lesson(&desk, &story)
        };
        assert_eq!(there["digest"], here.as_str(), "{}", story.name);
    }
}

#[test]
fn a_lesson_gives_nothing_away_before_an_answer() {
    let desk = Desk::new();
    for story in catalogue() {
        for form in ["text", "json"] {
            let asked = run(&desk, &format!("lesson {} --seed 5 --format {form}", story.name), 0);
            let hidden = story.lesson.questions.iter().flat_map(|question| &question.choices);
            for text in hidden.map(|choice| choice.because.as_str()).chain([story.lesson.moral.as_str()]) {
                let start: String = text.chars().take(30).collect();
                assert!(!asked.out.contains(&start), "{} {form} tells `{start}`", story.name);
            }
            assert!(!asked.out.contains("claims hold") && !asked.out.contains("\"claims\""), "{}", asked.out);
            assert!(!asked.out.contains("\"right\""), "{}", asked.out);
        }
    }
    let revealed = run(&desk, "lesson retry-storm --seed 5 --reveal", 0);
    assert!(revealed.out.contains("claims hold"), "{}", revealed.out);
}

#[test]
fn a_class_is_graded_and_what_was_tampered_with_is_listed() {
    let desk = Desk::new();
    for (student, answer) in [("ada", "44,c"), ("bob", "44,a"), ("eve", "99,c"), ("old", "44,c"), ("two", "44,c")] {
        run(&desk, &format!("lesson pool-exhaustion --student {student} --out class --answer {answer}"), 0);
    }
    let again = run(&desk, "lesson pool-exhaustion --student ada --out class --answer 44,c", 64);
    assert!(again.err.contains("the first one counts"), "{}", again.err);
    let file = |student: &str| format!("class/{student}-pool-exhaustion.json");
    let read = |student: &str| std::fs::read_to_string(desk.path(&file(student))).unwrap();
    desk.write(&file("eve"), &read("eve").replace("\"99\"", "\"44\""));
    desk.write(&file("old"), &read("old").replace("\"lesson_version\": 2", "\"lesson_version\": 0"));
    std::fs::create_dir(desk.path("class/late")).unwrap();
    desk.write("class/late/two-pool-exhaustion.json", &read("two"));
    desk.write(&file("mal"), &read("ada"));
    desk.write("class/notes.json", "{}");

    let ran = run(&desk, "lesson grade class --format json", 1);
    let summary = ran.last();
    for (state, count) in
        [("files", 8), ("ok", 3), ("edited", 1), ("duplicate", 2), ("wrong_version", 1), ("unreadable", 1)]
    {
        assert_eq!(summary[state], count, "{state} in {}", ran.out);
    }
    let csv = run(&desk, "lesson grade class --csv", 1);
    assert!(csv.out.starts_with("student,lesson,score,of,answer,state,why,file\n"), "{}", csv.out);
    assert!(csv.out.contains("ada,pool-exhaustion,2,2,\"44,c\",ok,,ada-pool-exhaustion.json"), "{}", csv.out);
    assert!(csv.out.contains("bob,pool-exhaustion,1,2,\"44,a\",ok,"), "{}", csv.out);
    run(&desk, "lesson grade nowhere", 65);
}

#[test]
fn what_cannot_be_asked_is_told_what_can() {
    let desk = Desk::new();
    for (words, code, part) in [
        ("lesson retry-strom", 65, "neither a lesson `retry-strom`"),
        ("lesson retry-storm --answer 1", 64, "2 questions and 1 answers"),
        ("lesson retry-storm --answer 1,z", 64, "allowed: a, b, c, d"),
        ("lesson retry-storm --answer 150,a", 64, "`150` is a percentage that cannot be; allowed: 0 to 100"),
        ("lesson dns-outage --answer=-27,a", 64, "allowed: 0 or more queries"),
        ("lesson retry-storm --student ../x --answer 1,a", 64, "an ID is up to 64"),
        ("lesson", 64, "Usage"),
        ("sweep retry-storm", 64, "schism compare retry-storm"),
        ("compare retry-storm --systems raft", 64, "allowed: immediate, "),
    ] {
        let ran = run(&desk, words, code);
        assert!(ran.err.contains(part), "{words}: {}", ran.err);
    }
    let own = listed("retry-storm").unwrap().text.replace("stall_s = 2.0", "stall_s = \"2 s\"");
    let line = own.lines().position(|line| line == "stall_s = \"2 s\"").unwrap() + 1;
    desk.write("own.toml", &own);
    let ran = run(&desk, "compare own.toml", 65);
    assert!(ran.err.contains(&format!("own.toml:{line}:")), "{}", ran.err);
}

mod chapters {
    //! Each story's chapter shows what its lesson prints.

    use super::*;
    use schism::stories::case::cases;
    use std::path::{Path, PathBuf};

    /// The seed of every transcript.
    const SEED: u64 = 7;

    fn command(story: &StoryFile) -> String {
        format!("lesson {} --seed {SEED} --answer {}", story.name, story.lesson.example())
    }

    fn chapter(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lessons").join(name)
    }

    /// Compares what a chapter shows after a command with what that prints, and takes it over where that is asked for.
    fn shown(page: &str, command: &str, desk: &Desk) {
        let path = chapter(page);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let start = format!("```console\n$ cargo run -- {command}\n");
        let at = text.find(&start).unwrap_or_else(|| panic!("{} shows `{command}`", path.display())) + start.len();
        let end = at + text[at..].find("```").unwrap();
        let printed = desk.run(&format!("{command} --ascii")).out;
        assert!(!printed.contains(" ."), "a quantity without its unit in:\n{printed}");
        assert!(printed.lines().all(|line| line.chars().count() <= 80), "a line is too long in:\n{printed}");
        if text[at..end] == printed {
            return;
        }
        let may_write = std::env::var_os("BLESS").is_some() && std::env::var_os("CI").is_none();
        assert!(
            may_write,
            "{} shows\n{}\nbut the command prints\n{printed}\nto take it over: BLESS=1 cargo test stories",
            path.display(),
            &text[at..end]
        );
        std::fs::write(&path, format!("{}{printed}{}", &text[..at], &text[end..])).unwrap();
    }

    #[test]
    fn show_what_the_lesson_prints() {
        let desk = Desk::new();
        catalogue().iter().for_each(|story| shown(&format!("{}.md", story.name), &command(story), &desk));
    }

    #[test]
    fn show_what_the_case_prints() {
        let desk = Desk::new();
        for case in cases() {
            let (cause, letter) = case.causes.iter().zip('a'..).find(|(cause, _)| cause.right).unwrap();
            let asked: Vec<String> = cause.seen_by.iter().map(usize::to_string).collect();
            let asked = asked.join(",");
            let command = format!("case {} --seed {SEED} --ask {asked} --cause {letter} --cure a", case.name);
            shown("cases.md", &command, &desk);
        }
    }

    #[test]
    fn are_all_named_by_the_teachers_page() {
        let page = std::fs::read_to_string(chapter("README.md")).unwrap();
        for story in catalogue() {
            assert!(page.contains(&format!("({}.md)", story.name)), "docs/lessons/README.md names {}", story.name);
        }
    }
}

/// What the spans are called agrees with what stories measure by other means.
#[test]
fn the_parts_of_requests_are_what_their_stories_measure() {
    let mean_ms = |lives: &[Life], part: Part| {
        let of = lives.iter().flat_map(|life| &life.spans).filter(|span| span.part == part);
        let sum: u64 = of.map(|span| span.until_ns - span.from_ns).sum();
        sum as f64 / lives.len() as f64 / 1e6
    };
    let measured = |run: &StoryRun, claim: &str| {
        run.observed.measured.iter().find(|found| found.claim == claim).map(|found| found.value).unwrap()
    };
    for run in tell(&find("latency-not-bandwidth").unwrap(), 7).runs {
        let lives = &run.observed.lives;
        let (distance, queue) = (mean_ms(lives, Part::Distance), mean_ms(lives, Part::Queueing));
        let expected = [measured(&run, "of it, distance"), measured(&run, "of it, waiting for the server")];
        // The story counts as distance what is left: also the rest of a step with which each of 30 answers ends.
        assert!((0.0..=31.0).contains(&(expected[0] - distance)), "{distance} and {expected:?}");
        assert!((queue - expected[1]).abs() < 0.1, "{queue} and {expected:?}");
    }
    // In a storm, requests stand in a queue for nothing; before it they hardly wait.
    let told = tell(&find("retry-storm").unwrap(), 7);
    let storm = &told.runs.iter().find(|run| run.setup.variant == "immediate").unwrap().observed.lives;
    let (before, after): (Vec<Life>, Vec<Life>) =
        storm.iter().filter(|life| life.ended_ns.is_some()).cloned().partition(|life| life.at_ns < 10_000_000_000);
    assert!(mean_ms(&before, Part::Queueing) < 10.0 && mean_ms(&after, Part::Queueing) > 1000.0);
    assert!(before.iter().all(|life| life.served == Some(true)), "each was served before");
}
