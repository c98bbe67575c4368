//! All entropy of a run: named, seeded streams, and pure hashes for decisions that must not shift.
//!
//! A *stream* ([`stream`]) serves a consumer that draws in a fixed order (a generator, a node's
//! election timer). A *hash* ([`hash`]) serves decisions that must be independent of each other:
//! whether frame 17 of one link is lost may not depend on how many frames another link carried.
//! Both are pinned algorithms (ChaCha8, XXH3-64), equal on every platform.

pub mod seeds;

/// The crate whose traits [`Stream`] implements.
pub use rand;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use xxhash_rust::xxh3;

/// A seeded stream of random numbers: ChaCha with 8 rounds, value-stable across platforms.
pub type Stream = ChaCha8Rng;

/// The stream called `name` of the run with this seed. Streams of different names are independent.
pub fn stream(seed: u64, name: &str) -> Stream {
    ChaCha8Rng::seed_from_u64(xxh3::xxh3_64_with_seed(name.as_bytes(), seed))
}

/// A pure hash of `parts` under `seed`, uniform over `u64`.
pub fn hash(seed: u64, parts: &[u64]) -> u64 {
    // Fixed-size buffer: no caller hashes more than eight words, and the hot path must not allocate.
    let mut bytes = [0u8; 64];
    assert!(parts.len() <= 8, "rng::hash takes at most 8 words");
    for (chunk, part) in bytes.chunks_exact_mut(8).zip(parts) {
        chunk.copy_from_slice(&part.to_le_bytes());
    }
    xxh3::xxh3_64_with_seed(&bytes[..parts.len() * 8], seed)
}

/// A pure hash of raw bytes (payloads, labels).
pub fn hash_bytes(seed: u64, bytes: &[u8]) -> u64 {
    xxh3::xxh3_64_with_seed(bytes, seed)
}

/// Whether a uniform 64-bit `draw` falls within a probability given in parts per million.
pub fn happens(draw: u64, ppm: u32) -> bool {
    // High 32 bits scaled to a million: integer arithmetic, so equal on 32- and 64-bit targets.
    (((draw >> 32) * 1_000_000) >> 32) < u64::from(ppm)
}

/// A uniform `draw` scaled to `0..bound`, 0 when `bound` is 0.
pub fn below(draw: u64, bound: u64) -> u64 {
    ((u128::from(draw) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngCore;

    #[test]
    fn streams_and_hashes_are_pinned() {
        // A change here breaks every recorded seed: it needs a new format version, not a new number.
        assert_eq!(stream(7, "nemesis").next_u64(), 16_923_693_788_528_769_446);
        assert_eq!(hash(7, &[1, 2, 3]), 2_849_320_961_553_870_457);
    }

    #[test]
    fn chance_matches_its_probability() {
        let hits = (0..100_000u64).filter(|n| happens(hash(1, &[*n]), 10_000)).count();
        assert!((800..1200).contains(&hits), "1 % of 100,000 draws, got {hits}");
        assert!((0..1000u64).all(|n| !happens(hash(1, &[n]), 0)));
        assert!((0..1000u64).all(|n| happens(hash(1, &[n]), 1_000_000)));
    }

    #[test]
    fn below_stays_in_range() {
        assert_eq!(below(u64::MAX, 10), 9);
        assert_eq!(below(123, 0), 0);
    }
}
