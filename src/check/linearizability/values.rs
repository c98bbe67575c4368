//! Maps a value to a small number: the write of the key that wrote it.

/// Marks a value that no operation wrote.
pub(super) const NOBODY: u32 = u32::MAX;

/// A map from values to small numbers. Values that lie close together, as counters do, index a
/// table directly, which keeps recent values in the cache; others go through open addressing.
#[derive(Debug)]
pub(super) enum ValueIndex {
    Dense { least: u64, table: Vec<u32> },
    Hashed { shift: u32, values: Vec<u64>, numbers: Vec<u32> },
}

impl ValueIndex {
    /// An empty map for up to `count` values between `least` and `greatest`.
    pub fn new(count: usize, least: u64, greatest: u64) -> ValueIndex {
        let spread = greatest.saturating_sub(least);
        if spread <= 4 * count as u64 + 64 {
            ValueIndex::Dense { least, table: vec![NOBODY; spread as usize + 1] }
        } else {
            let slots = (2 * count).next_power_of_two().max(4);
            ValueIndex::Hashed {
                shift: 64 - slots.trailing_zeros(),
                values: vec![0; slots],
                numbers: vec![NOBODY; slots],
            }
        }
    }

    /// Maps `value` to `number`, unless it is mapped already; then returns the number it has.
    pub fn insert(&mut self, value: u64, number: u32) -> Option<u32> {
        let place = match self {
            ValueIndex::Dense { least, table } => &mut table[(value - *least) as usize],
            ValueIndex::Hashed { shift, values, numbers } => {
                let slot = probe(*shift, values, numbers, value);
                values[slot] = value;
                &mut numbers[slot]
            }
        };
        if *place != NOBODY {
            return Some(*place);
        }
        *place = number;
        None
    }

    /// The number of `value`, or [`NOBODY`].
    pub fn get(&self, value: u64) -> u32 {
        match self {
            ValueIndex::Dense { least, table } => {
                let offset = value.wrapping_sub(*least);
                if offset < table.len() as u64 { table[offset as usize] } else { NOBODY }
            }
            ValueIndex::Hashed { shift, values, numbers } => numbers[probe(*shift, values, numbers, value)],
        }
    }
}

/// The slot that holds `value`, or the free slot where it belongs. Terminates because at most half of
/// the slots are ever used.
fn probe(shift: u32, values: &[u64], numbers: &[u32], value: u64) -> usize {
    // Fibonacci hashing (Knuth, TAOCP 3, 6.4): the high bits of a product with 2^64 / golden ratio.
    let mut slot = (value.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> shift) as usize;
    while numbers[slot] != NOBODY && values[slot] != value {
        slot = (slot + 1) & (values.len() - 1);
    }
    slot
}
