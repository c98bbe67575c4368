//! How text is set: colour, character set and width. Nothing here looks at the terminal; the caller decides.

use crate::history::visible::visible;
use std::borrow::Cow;

/// The width everything is set for, in columns.
pub const WIDTH: usize = 80;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours.
    pub colour: bool,
    /// Characters beyond ASCII.
    pub unicode: bool,
}

/// The meaning of a piece of text, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// A heading.
    Strong,
    /// As it should be.
    Good,
    /// As it should not be.
    Bad,
    /// To be noticed.
    Warn,
    /// Of less interest.
    Dim,
}

impl Tone {
    /// Ends a tone.
    const END: &str = "0";
    /// All that [`Style::paint`] writes.
    const CODES: [&str; 6] = [Tone::END, "1", "32", "31", "33", "2"];

    /// Its code in ECMA-48's SGR.
    fn code(self) -> &'static str {
        Tone::CODES[self as usize + 1]
    }
}

impl Style {
    /// ASCII without colour: what a file, a pipe or an old terminal gets.
    pub const PLAIN: Style = Style { colour: false, unicode: false };

    /// The text in the colour of its tone, or as it is.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_string();
        }
        format!("\x1b[{}m{text}\x1b[{}m", tone.code(), Tone::END)
    }

    /// Painted text with all other control characters written out: names in it may come from an untrusted file.
    pub fn shown<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !self.colour {
            return visible(text);
        }
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('\x1b') {
            let (before, escape) = rest.split_at(at);
            let ours = Tone::CODES.iter().map(|code| format!("\x1b[{code}m")).find(|ours| escape.starts_with(ours));
            let taken = ours.as_ref().map_or(1, String::len);
            shown += &visible(before);
            shown += &ours.unwrap_or_else(|| visible(&escape[..1]).into_owned());
            rest = &escape[taken..];
        }
        Cow::Owned(shown + &visible(rest))
    }

    /// The text with every character that the terminal cannot show replaced.
    pub fn plain_text(&self, text: &str) -> String {
        if self.unicode {
            return text.to_string();
        }
        text.chars().map(|character| if character.is_ascii() { character } else { '?' }).collect()
    }
}

/// Breaks text at spaces into lines of at most `width` columns, all but the first indented by `indent`.
/// A word longer than a line stays whole. The text begins at the left edge: [`hang`] is for one that follows a name.
pub fn wrap(text: &str, width: usize, indent: usize) -> String {
    wrap_from(0, text, width, indent)
}

/// `lead` as it is, and behind it the text, broken into lines of [`WIDTH`] columns, all but the first indented by
/// `indent`: an entry of a list.
pub fn hang(lead: &str, text: &str, indent: usize) -> String {
    format!("{lead}{}", wrap_from(lead.chars().count(), text, WIDTH, indent))
}

/// As [`wrap`], where the first line has its first word at column `from`.
fn wrap_from(from: usize, text: &str, width: usize, indent: usize) -> String {
    let mut lines = String::new();
    let mut column = from;
    for (number, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        if number == 0 {
            column += length;
        } else if column + 1 + length > width {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            column = indent + length;
        } else {
            lines.push(' ');
            column += 1 + length;
        }
        lines.push_str(word);
    }
    lines
}

/// Breaks a name at its hyphens into lines of at most `width` columns. A part longer than a line stays whole.
pub fn broken_name(name: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in name.split_inclusive('-') {
        match lines.last_mut() {
            Some(line) if line.len() + part.len() <= width => line.push_str(part),
            _ => lines.push(part.to_string()),
        }
    }
    lines
}

/// A count with its noun: `1 kill`, `2 kills`.
pub fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Simulated nanoseconds as seconds with milliseconds: `4.210 s`.
pub fn seconds(ns: u64) -> String {
    format!("{}.{:03} s", ns / 1_000_000_000, ns / 1_000_000 % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_colours_stay_and_a_strangers_escapes_are_written_out() {
        let colour = Style { colour: true, unicode: true };
        let painted = colour.paint(Tone::Bad, "k\x1b[2J");
        assert_eq!(colour.shown(&painted), "\x1b[31mk\\u001b[2J\x1b[0m");
        assert_eq!(Style::PLAIN.shown("k\x1b[31m"), "k\\u001b[31m");
        for tone in [Tone::Strong, Tone::Good, Tone::Bad, Tone::Warn, Tone::Dim] {
            let painted = colour.paint(tone, "text");
            assert_eq!(colour.shown(&painted), painted);
        }
    }

    #[test]
    fn a_name_is_broken_at_its_hyphens_only() {
        assert_eq!(broken_name("primary-backup-async", 16), ["primary-backup-", "async"]);
        assert_eq!(broken_name("raft", 2), ["raft"]);
        assert_eq!(broken_name("split-brain", 40), ["split-brain"]);
    }

    #[test]
    fn wrapped_lines_fit_and_lose_nothing() {
        let text = "a certificate names both operations and the nodes that acknowledged them ".repeat(4);
        let wrapped = wrap(&text, 40, 4);
        assert!(wrapped.lines().all(|line| line.chars().count() <= 40), "{wrapped}");
        assert!(wrapped.lines().skip(1).all(|line| line.starts_with("    ")));
        let words = |text: &str| text.split_whitespace().map(String::from).collect::<Vec<_>>();
        assert_eq!(words(&wrapped), words(&text));
    }

    #[test]
    fn every_line_behind_a_lead_is_as_wide_as_the_first() {
        let text = "one two three four five ".repeat(20);
        let hung = hang(&format!("{:30}", "name"), &text, 30);
        let lines: Vec<_> = hung.lines().collect();
        let (last, full) = lines.split_last().unwrap();
        // The longest word has five letters: a line with room for one more was broken too early.
        assert!(full.iter().all(|line| (WIDTH - 5..=WIDTH).contains(&line.len())), "{hung}");
        assert!(last.len() <= WIDTH && lines[1..].iter().all(|line| line.starts_with(&" ".repeat(30))), "{hung}");
        let joined = hung.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
        assert_eq!(joined, text.trim());
    }

    #[test]
    fn one_is_singular() {
        assert_eq!([0, 1, 2].map(|number| count(number, "cut")), ["0 cuts", "1 cut", "2 cuts"]);
    }

    #[test]
    fn plain_style_is_ascii_without_escapes() {
        assert_eq!(Style::PLAIN.paint(Tone::Bad, "x"), "x");
        assert_eq!(Style::PLAIN.plain_text("Zürich"), "Z?rich");
        let coloured = Style { colour: true, unicode: true };
        assert_eq!(coloured.paint(Tone::Bad, "x"), "\x1b[31mx\x1b[0m");
    }
}
