//! `schism case`: a question to be solved from evidence that has a price.

use super::OneSeed;
use super::catalogue;
use super::exit::{Exit, Failure};
use super::lesson::{choice_text, usage};
use super::terminal::Terminal;
use clap::Args;
use schism::report::json;
use schism::report::story::case::{
    InquiryLine, Verdict, cause_verdict, cure_verdict, followed, inquiries, outcome, sentence,
};
use schism::report::style::{Style, Tone, WIDTH, hang, wrap};
use schism::run::life::Life;
use schism::scenario::suggest::allowed;
use schism::stories::case::{self, Case, Opened};
use schism::stories::question;
use schism::stories::trial::Tried;
use serde::Serialize;
use std::io::{BufRead, IsTerminal};

/// Arguments of `schism case`.
#[derive(Args)]
pub struct Cases {
    /// The name of a case; `list` shows them.
    name: String,
    #[command(flatten)]
    seed: OneSeed,
    /// Ask for evidence: numbers, separated by commas. Each takes minutes, and there is no time for all.
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    ask: Vec<usize>,
    /// Name the cause: a letter. You learn whether it is, and what can be done about the real one.
    #[arg(long, value_name = "LETTER")]
    cause: Option<String>,
    /// Choose a cure, and see it run: a letter.
    #[arg(long, value_name = "LETTER", requires = "cause")]
    cure: Option<String>,
}

#[derive(Serialize)]
struct CaseLine<'a> {
    name: &'a str,
    title: &'a str,
    seed: u64,
    minutes: u32,
    situation: &'a str,
    symptom: String,
    inquiries: Vec<InquiryLine<'a>>,
    /// The requests that tell most, if requests were followed.
    followed: Vec<&'a Life>,
    causes: Vec<&'a str>,
}

#[derive(Serialize)]
struct CauseLine<'a> {
    name: &'a str,
    seed: u64,
    minutes: u32,
    cause: Verdict<'a>,
    cure: &'a str,
    cures: Vec<&'a str>,
}

#[derive(Serialize)]
struct CureLine<'a> {
    name: &'a str,
    seed: u64,
    cure: Verdict<'a>,
    /// What its run measured; null if it was not run.
    tried: &'a Option<Vec<Tried>>,
    moral: &'a str,
    digest: String,
}

impl Cases {
    /// Tells the case, answers what is asked for, and judges.
    pub fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        if self.name == "list" {
            return catalogue::cases(terminal);
        }
        let unknown = || {
            let allowed = allowed(&self.name, case::names());
            Failure::input(format!("there is no case `{}`; {allowed}", self.name))
        };
        let case = case::case(&self.name).ok_or_else(unknown)?;
        case.minutes_for(&self.ask).map_err(usage)?;
        let letter = |text: &Option<String>, of: usize| {
            text.as_deref().map(|text| question::chosen(text, of)).transpose().map_err(usage)
        };
        let cause = letter(&self.cause, case.causes.len())?;
        let cure = letter(&self.cure, case.cure.choices.len())?;
        let opened = case.open(self.seed.seed)?;
        self.tell(&case, &opened, terminal)?;
        let is_silent = self.ask.is_empty() && cause.is_none() && !terminal.json;
        if is_silent && std::io::stdin().is_terminal() {
            return self.converse(&case, &opened, terminal);
        }
        if let Some(cause) = cause {
            self.judge_cause(&case, &self.ask, cause, terminal)?;
        }
        match (cause, cure) {
            (Some(_), Some(cure)) => self.judge_cure(&case, &opened, cure, terminal)?,
            _ if terminal.json => {}
            _ => {
                let numbers: Vec<String> = self.ask.iter().map(usize::to_string).collect();
                let asked = if numbers.is_empty() { "1,2".into() } else { numbers.join(",") };
                let next = match (&self.cause, self.ask.is_empty()) {
                    (Some(cause), _) => {
                        format!("Decide with: {} --ask {asked} --cause {cause} --cure a", self.command(&case))
                    }
                    (None, true) => format!("Ask with: {} --ask {asked}", self.command(&case)),
                    (None, false) => format!("Name the cause with: {} --ask {asked} --cause a", self.command(&case)),
                };
                terminal.line(&format!("\n{next}"))?;
            }
        }
        Ok(Exit::Expected)
    }

    fn command(&self, case: &Case) -> String {
        format!("schism case {} --seed {}", case.name, self.seed.seed)
    }

    /// What is known, and what is asked; gives nothing away.
    fn tell(&self, case: &Case, opened: &Opened, terminal: &mut Terminal) -> Result<(), Failure> {
        if terminal.json {
            let follows = self.ask.iter().any(|number| case.inquiries[number - 1].follow);
            return terminal.line(&json::line(
                "case",
                CaseLine {
                    name: &case.name,
                    title: &case.title,
                    seed: self.seed.seed,
                    minutes: case.minutes,
                    situation: &case.situation,
                    symptom: sentence(&opened.symptom),
                    inquiries: inquiries(case, opened, &self.ask),
                    followed: if follows { opened.telling() } else { Vec::new() },
                    causes: case.causes.iter().map(|cause| cause.text.as_str()).collect(),
                },
            ));
        }
        let style = terminal.style;
        let title = style.paint(Tone::Strong, &wrap(&format!("{}: {}", case.name, case.title), WIDTH, 2));
        let known = [&case.situation, &sentence(&opened.symptom)].map(|text| wrap(text, WIDTH, 0)).join("\n\n");
        let mut text = format!("{title}\n\n{known}\n\nYou have {} minutes, and may ask:\n", case.minutes);
        for (number, inquiry) in (1..).zip(&case.inquiries) {
            let asked = format!("{} ({} minutes)", inquiry.ask, inquiry.minutes);
            text.push_str(&format!("{}\n", hang(&format!("{number:>4}. "), &asked, 6)));
            if self.ask.contains(&number) {
                text.push_str(&format!("{}\n", found(case, opened, number)));
            }
        }
        text.push_str("\nWhat is the matter?\n");
        text.push_str(&choices(case.causes.iter().map(|cause| cause.text.as_str())));
        terminal.print(&style.plain_text(&text))
    }

    /// Says whether that is the cause, and asks what to do about the real one.
    fn judge_cause(&self, case: &Case, asked: &[usize], cause: usize, terminal: &mut Terminal) -> Result<(), Failure> {
        let minutes = case.minutes_for(asked).map_err(usage)?;
        let verdict = cause_verdict(case, cause);
        let cures = case.cure.choices.iter().map(|choice| choice.text.as_str());
        if terminal.json {
            let (name, seed, cure) = (case.name.as_str(), self.seed.seed, case.cure.ask.as_str());
            let line = CauseLine { name, seed, minutes, cause: verdict, cure, cures: cures.collect() };
            return terminal.line(&json::line("cause", line));
        }
        let used = format!("{minutes} of {} minutes used.", case.minutes);
        let judged = judged("The cause", &verdict, terminal.style);
        let text = format!("\n{judged}\n{used}\n\n{}\n{}", wrap(&case.cure.ask, WIDTH, 0), choices(cures));
        terminal.print(&terminal.style.plain_text(&text))
    }

    /// Runs a cure, and says what came of it.
    fn judge_cure(&self, case: &Case, opened: &Opened, cure: usize, terminal: &mut Terminal) -> Result<(), Failure> {
        let verdict = cure_verdict(case, cure);
        let tried = case.try_cure(cure, self.seed.seed)?;
        let digest = opened.digest.to_string();
        if terminal.json {
            let (name, seed, moral) = (case.name.as_str(), self.seed.seed, case.moral.as_str());
            return terminal
                .line(&json::line("cure", CureLine { name, seed, cure: verdict, tried: &tried, moral, digest }));
        }
        let style = terminal.style;
        let again = style.paint(Tone::Dim, &format!("seed {}, digest {digest}", self.seed.seed));
        let ran = outcome(case, cure, tried.as_deref());
        let (judged, ran) = (judged("The cure", &verdict, style), hang("   ", &ran, 3));
        let text = format!("\n{judged}{ran}\n\n{}\n\n{again}\n", wrap(&case.moral, WIDTH, 0));
        terminal.print(&style.plain_text(&text))
    }

    /// Lets the user at the terminal ask for evidence, then decide.
    fn converse(&self, case: &Case, opened: &Opened, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let mut asked: Vec<usize> = Vec::new();
        terminal.line("")?;
        loop {
            let left = case.minutes - case.minutes_for(&asked).map_err(usage)?;
            let text = prompted(&format!("{left} minutes left. Ask for (a number; nothing to decide): "), terminal)?;
            if text.is_empty() {
                break;
            }
            let Ok(number) = text.parse::<usize>() else {
                terminal.line(&format!("`{text}` is no number"))?;
                continue;
            };
            let mut further = asked.clone();
            if !further.contains(&number) {
                further.push(number);
            }
            match case.minutes_for(&further) {
                Ok(_) => {
                    asked = further;
                    terminal.line(&terminal.style.plain_text(&found(case, opened, number)))?;
                }
                Err((problem, help)) => terminal.line(&format!("{problem}; {help}"))?,
            }
        }
        let cause = chosen("The cause: ", case.causes.len(), terminal)?;
        self.judge_cause(case, &asked, cause, terminal)?;
        let cure = chosen("The cure: ", case.cure.choices.len(), terminal)?;
        self.judge_cure(case, opened, cure, terminal)?;
        Ok(Exit::Expected)
    }
}

/// A line of the user's.
fn prompted(prompt: &str, terminal: &mut Terminal) -> Result<String, Failure> {
    terminal.print(prompt)?;
    terminal.flush()?;
    let mut line = String::new();
    if std::io::stdin().lock().read_line(&mut line)? == 0 {
        return Err(Failure::Usage("the answers ended before the case was solved".into()));
    }
    Ok(line.trim().to_string())
}

/// A choice of the user's.
fn chosen(prompt: &str, of: usize, terminal: &mut Terminal) -> Result<usize, Failure> {
    loop {
        match question::chosen(&prompted(prompt, terminal)?, of) {
            Ok(choice) => return Ok(choice),
            Err((problem, help)) => terminal.line(&format!("{problem}; {help}"))?,
        }
    }
}

/// A verdict in words.
fn judged(what: &str, verdict: &Verdict<'_>, style: Style) -> String {
    let (tone, word) = if verdict.right { (Tone::Good, "right") } else { (Tone::Bad, "not so") };
    let said = format!("{what}: {}, {}: it is {}.", verdict.chosen, style.paint(tone, word), verdict.solution);
    format!("{said}\n{}\n", hang("   ", verdict.because, 3))
}

/// What was asked for and found; of one that follows requests, the life of the followed.
fn found(case: &Case, opened: &Opened, number: usize) -> String {
    let text = hang("      > ", &sentence(&opened.finds[number - 1]), 8);
    if case.inquiries[number - 1].follow { text + &followed(opened, 8) } else { text }
}

fn choices<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts.enumerate().map(|(index, text)| choice_text(question::letter(index), text) + "\n").collect()
}
