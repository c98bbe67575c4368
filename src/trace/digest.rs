//! A pinned hash over a pinned encoding.
//!
//! Encoding: postcard 1.x wire format. Hash: XXH3-128. Both are specified and stable, so a digest
//! recorded today compares with one made by another build. `Debug` output, pointers and wall-clock
//! times never enter.

use serde::{Serialize, de};
use std::fmt;
use xxhash_rust::xxh3::Xxh3;

/// The digest of something, shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub u128);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> de::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        if text.len() != 32 {
            return Err(de::Error::custom("a digest has 32 hexadecimal digits"));
        }
        u128::from_str_radix(&text, 16).map(Digest).map_err(de::Error::custom)
    }
}

/// Accumulates values into a [`Digest`].
pub struct Hasher {
    hash: Xxh3,
    buffer: Vec<u8>,
}

impl Default for Hasher {
    fn default() -> Self {
        Hasher { hash: Xxh3::new(), buffer: Vec::with_capacity(256) }
    }
}

impl Hasher {
    /// Adds a value in its postcard encoding, framed by its length so that sequences cannot collide.
    pub fn add<T: Serialize + ?Sized>(&mut self, value: &T) {
        self.buffer.clear();
        let buffer = std::mem::take(&mut self.buffer);
        self.buffer = postcard::to_extend(value, buffer).expect("postcard encodes every value we digest");
        self.hash.update(&(self.buffer.len() as u64).to_le_bytes());
        self.hash.update(&self.buffer);
    }

    /// The digest of everything added so far.
    pub fn finish(&self) -> Digest {
        Digest(self.hash.digest128())
    }
}

/// The digest of a single value.
pub fn of<T: Serialize + ?Sized>(value: &T) -> Digest {
    let mut hasher = Hasher::default();
    hasher.add(value);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_pinned_and_framed() {
        assert_eq!(of(&(1u32, "a")).to_string(), "3790961cd1b9fbc05fe57858c0cebe95");
        let mut split = Hasher::default();
        split.add("ab");
        split.add("c");
        let mut other = Hasher::default();
        other.add("a");
        other.add("bc");
        assert_ne!(split.finish(), other.finish());
    }

    #[test]
    fn a_digest_round_trips_through_text() {
        let digest = of("x");
        let text = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&text).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>("\"12\"").is_err());
    }
}
