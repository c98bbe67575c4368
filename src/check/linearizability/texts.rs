//! The states of a key with appends: texts, numbered as they come up.
//!
//! A text that grew out of another one is stored as that one's number and the appended piece, so a thousand appends
//! take a thousand pieces and not half a million. Two texts are the same if their bytes are, however they came about: a
//! hash finds the candidate, and the bytes decide.

use crate::history::Columns;
use crate::history::columns::Label;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A text: the text of another state, if any, followed by a piece.
struct Text {
    before: Option<u32>,
    piece: Rc<str>,
    /// In bytes, all of it.
    length: usize,
    hash: u64,
}

/// The content of a state.
enum State {
    /// Absence, or a value that is no text.
    Plain(Option<Label>),
    Text(Text),
}

/// All states of one key.
pub(super) struct Texts<'a> {
    columns: &'a Columns,
    states: Vec<State>,
    plain: BTreeMap<Option<Label>, u32>,
    /// Texts by length and hash.
    texts: BTreeMap<(usize, u64), Vec<u32>>,
    /// By state and label of the appended text, the state after it.
    appended: BTreeMap<(u32, u64), u32>,
    /// Bytes of all pieces.
    piece_bytes: usize,
}

/// About what one state takes beyond its piece, in bytes: itself, and an entry in two maps.
const STATE_BYTES: usize = 200;

/// Arithmetic of the hash is modulo this prime, 2^61 - 1: the hash of a text follows from those of its parts (Karp and
/// Rabin, "Efficient randomized pattern-matching algorithms", IBM J. Res. Dev. 31(2), 1987).
const PRIME: u64 = (1 << 61) - 1;
const BASE: u64 = 0x01c8_0f3b_9e2d_7a45;

fn times(one: u64, other: u64) -> u64 {
    (u128::from(one) * u128::from(other) % u128::from(PRIME)) as u64
}

/// The hash of a text with this hash after `piece` was appended.
fn extend(hash: u64, piece: &str) -> u64 {
    // No byte counts as zero: leading zeros would vanish.
    piece.bytes().fold(hash, |hash, byte| (times(hash, BASE) + u64::from(byte) + 1) % PRIME)
}

impl<'a> Texts<'a> {
    pub(super) fn new(columns: &'a Columns) -> Texts<'a> {
        let (states, plain, texts, appended) = (Vec::new(), BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Texts { columns, states, plain, texts, appended, piece_bytes: 0 }
    }

    /// The number of the state in which the key holds this value, or nothing.
    pub(super) fn number(&mut self, value: Option<u64>) -> u32 {
        match value.map(|value| self.label(value)) {
            Some(Label::Text(text)) => self.text(None, text.into()),
            plain => {
                if let Some(known) = self.plain.get(&plain) {
                    return *known;
                }
                let number = self.push(State::Plain(plain.clone()));
                self.plain.insert(plain, number);
                number
            }
        }
    }

    /// The state after the text with this label was appended to `state`.
    pub(super) fn append(&mut self, state: u32, label: u64) -> u32 {
        if let Some(known) = self.appended.get(&(state, label)) {
            return *known;
        }
        let piece = self.label(label);
        let after = match &self.states[state as usize] {
            State::Text(_) => self.text(Some(state), piece.spelling().into()),
            State::Plain(held) => {
                let held = held.as_ref().map_or("", Label::spelling);
                let whole = format!("{held}{}", piece.spelling());
                self.text(None, whole.into())
            }
        };
        self.appended.insert((state, label), after);
        after
    }

    /// About how much memory all of it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.states.len() * STATE_BYTES + self.piece_bytes
    }

    fn label(&self, value: u64) -> Label {
        self.columns.labels.values.get(&value).cloned().unwrap_or_else(|| Label::Other(value.to_string()))
    }

    fn push(&mut self, state: State) -> u32 {
        self.states.push(state);
        self.states.len() as u32 - 1
    }

    fn text(&mut self, before: Option<u32>, piece: Rc<str>) -> u32 {
        let (held, hash) = before.and_then(|state| self.at(state)).map_or((0, 0), |text| (text.length, text.hash));
        let text = Text { before, length: held + piece.len(), hash: extend(hash, &piece), piece };
        let key = (text.length, text.hash);
        let same = self.texts.get(&key).into_iter().flatten().find(|known| self.is_same(**known, &text));
        if let Some(known) = same {
            return *known;
        }
        self.piece_bytes += text.piece.len();
        let number = self.push(State::Text(text));
        self.texts.entry(key).or_default().push(number);
        number
    }

    fn at(&self, state: u32) -> Option<&Text> {
        match &self.states[state as usize] {
            State::Text(text) => Some(text),
            State::Plain(_) => None,
        }
    }

    /// Whether a state holds these bytes. Compared from the end, where the pieces are at hand.
    fn is_same(&self, state: u32, text: &Text) -> bool {
        self.backwards(self.at(state)).eq(self.backwards(Some(text)))
    }

    fn backwards<'t>(&'t self, text: Option<&'t Text>) -> impl Iterator<Item = u8> + 't {
        let pieces = std::iter::successors(text, |text| text.before.and_then(|state| self.at(state)));
        pieces.flat_map(|text| text.piece.bytes().rev())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(texts: &[&str]) -> Columns {
        let mut columns = Columns::default();
        columns.labels.values = (0..).zip(texts).map(|(at, text)| (at, Label::Text((*text).to_owned()))).collect();
        columns
    }

    #[test]
    fn a_text_is_its_bytes_however_it_came_about() {
        let columns = columns(&["a", "b", "ab", "", "ba"]);
        let mut texts = Texts::new(&columns);
        let absent = texts.number(None);
        let (a, ab, empty) = (texts.number(Some(0)), texts.number(Some(2)), texts.number(Some(3)));
        assert_eq!(texts.append(a, 1), ab);
        let from_nothing = texts.append(absent, 0);
        assert_eq!(from_nothing, a);
        assert_eq!(texts.append(empty, 2), ab);
        assert_eq!(texts.append(ab, 3), ab);
        assert_ne!(texts.number(Some(4)), ab);
        assert_ne!(absent, empty, "nothing is not the empty text");
    }

    #[test]
    fn texts_of_one_hash_are_told_apart_by_their_bytes() {
        let columns = columns(&["x", "y"]);
        let mut texts = Texts::new(&columns);
        let x = texts.number(Some(0));
        let same_key = texts.at(x).map(|text| (text.length, text.hash)).unwrap();
        let other = Text { before: None, piece: "y".into(), length: same_key.0, hash: same_key.1 };
        assert!(!texts.is_same(x, &other));
    }

    #[test]
    fn many_appends_take_memory_by_their_number() {
        let columns = columns(&["0123456789"]);
        let mut texts = Texts::new(&columns);
        let mut state = texts.number(None);
        for _ in 0..20_000 {
            state = texts.append(state, 0);
        }
        assert_eq!(texts.at(state).unwrap().length, 200_000);
        assert!(texts.bytes() < 20_000 * 250, "{}", texts.bytes());
    }
}
