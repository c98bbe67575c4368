//! Makes external text safe to show: a name, a key or a path may carry escape sequences that would move a terminal's
//! cursor, rename its window or reverse a line.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character acts on the screen instead of appearing on it: control characters, and characters that set the
/// direction of writing (Boucher and Anderson, "Trojan Source", USENIX Security 2023). Line feeds and tabs are text.
pub fn acts(character: char) -> bool {
    (character.is_control() && !matches!(character, '\n' | '\t'))
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with such characters escaped, as `\u001b`, which JSON and EDN understand as well.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if acts(character) {
            let _ = write!(shown, "\\u{:04x}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// The text with each such character replaced by as many question marks as it has bytes, so that positions do not
/// change.
pub fn masked(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if acts(character) {
            shown.extend(std::iter::repeat_n('?', character.len_utf8()));
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_written_out_and_the_rest_stays() {
        assert!(matches!(visible("Zoë\n\t→ k1"), Cow::Borrowed(_)));
        assert_eq!(visible("a\u{1b}]0;b\u{7}c\r\u{9b}d\u{202e}"), "a\\u001b]0;b\\u0007c\\u000d\\u009bd\\u202e");
        let masked = masked("a\u{1b}b\u{9b}c\u{202e}d");
        assert_eq!(masked, "a?b??c???d");
    }
}
