//! Seeds and ranges of seeds as people write them: one grammar for flags, variables and tests.
//!
//! * A seed: decimal (`17`, `1_000`), hexadecimal (`0x11`), or a 40-digit git SHA, whose first 16 digits are the seed,
//!   so that a pipeline uses a new seed for every commit and can name it afterwards.
//! * Seeds: a range as in Rust (`0..500` excludes 500, `0..=499` does not), a count from 0 (`500`), or a count from a
//!   seed (`SHA+500`), as for a nightly sweep of a commit.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// The variable that names one seed.
pub const SEED: &str = "SCHISM_SEED";
/// The variable that names a range or a count of seeds.
pub const SEEDS: &str = "SCHISM_SEEDS";

/// Text that is not a seed, or not a range of seeds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// Not a number, and not a SHA.
    #[error("`{0}` is not a seed: give a decimal number below 2^64, 0x and up to 16 hex digits, or a 40-digit git SHA")]
    Seed(String),
    /// Neither a range nor a count.
    #[error(
        "`{0}` is not a range of seeds: give a range such as 0..500 (500 excluded), a count such as 500, or a seed and a count such as 17+500"
    )]
    Range(String),
    /// A range that holds no seed.
    #[error("`{0}` holds no seed: the end of a range must be above its start")]
    Empty(String),
}

/// Reads one seed.
///
/// # Errors
/// [`SeedError::Seed`] when the text is none of the three forms.
pub fn parse_seed(text: &str) -> Result<u64, SeedError> {
    let wrong = || SeedError::Seed(text.to_string());
    let trimmed = text.trim();
    // Length decides first: a SHA may happen to have decimal digits only, and no u64 has 40 digits.
    if trimmed.len() == 40 && trimmed.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return u64::from_str_radix(&trimmed[..16], 16).map_err(|_| wrong());
    }
    let (digits, radix) = match trimmed.strip_prefix("0x").or_else(|| trimmed.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (trimmed, 10),
    };
    // `from_str_radix` would accept a sign, and an underscore may separate digits but not come first.
    if !digits.starts_with(|first: char| first.is_digit(radix)) {
        return Err(wrong());
    }
    u64::from_str_radix(&digits.replace('_', ""), radix).map_err(|_| wrong())
}

/// A non-empty half-open range of seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeds {
    start: u64,
    end: u64,
}

impl Seeds {
    /// The seeds from `start` up to but excluding `end`; `None` if that is empty.
    pub fn new(start: u64, end: u64) -> Option<Seeds> {
        (start < end).then_some(Seeds { start, end })
    }

    /// The first `count` seeds, at least one.
    pub fn first(count: u64) -> Seeds {
        Seeds { start: 0, end: count.max(1) }
    }

    /// How many seeds there are.
    pub fn count(&self) -> u64 {
        self.end - self.start
    }

    /// The seeds, ascending.
    pub fn iter(&self) -> Range<u64> {
        self.start..self.end
    }

    /// The seeds a test should try: the one in `SCHISM_SEED`, else those in `SCHISM_SEEDS`, else the first
    /// `default` ones.
    ///
    /// # Errors
    /// When a variable is set to something that is not in the grammar: a typo must not narrow a test silently.
    pub fn from_environment(default: u64) -> Result<Seeds, SeedError> {
        Seeds::choose(std::env::var(SEED).ok().as_deref(), std::env::var(SEEDS).ok().as_deref(), default)
    }

    fn choose(one: Option<&str>, many: Option<&str>, default: u64) -> Result<Seeds, SeedError> {
        if let Some(text) = one {
            let start = parse_seed(text)?;
            // The largest seed has no half-open range of its own. It is not met by accident.
            return Seeds::new(start, start.saturating_add(1)).ok_or_else(|| SeedError::Empty(text.to_string()));
        }
        many.map_or(Ok(Seeds::first(default)), str::parse)
    }
}

/// One of several machines that share a range of seeds: the `index`-th of `of`, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    /// Which part, from 1 to `of`.
    pub index: u64,
    /// How many parts there are.
    pub of: u64,
}

/// Text that is not a shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a shard: give its number, from 1, and how many there are, such as 3/8")]
pub struct ShardError(String);

impl Shard {
    /// This shard's part of a range: the parts are disjoint, in the order of the seeds, and differ by at most one seed.
    /// `None` if the range has fewer seeds than there are shards and nothing is left for this one.
    pub fn part(self, seeds: Seeds) -> Option<Seeds> {
        let at = |index: u64| {
            let before = u128::from(seeds.count()) * u128::from(index) / u128::from(self.of);
            seeds.start + u64::try_from(before).expect("a part is no larger than the whole")
        };
        Seeds::new(at(self.index - 1), at(self.index))
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Shard, ShardError> {
        let wrong = || ShardError(text.to_string());
        let (index, of) = text.split_once('/').ok_or_else(wrong)?;
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
        let (index, of) = (number(index)?, number(of)?);
        if index == 0 || index > of { Err(wrong()) } else { Ok(Shard { index, of }) }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl IntoIterator for Seeds {
    type Item = u64;
    type IntoIter = Range<u64>;

    fn into_iter(self) -> Range<u64> {
        self.iter()
    }
}

impl FromStr for Seeds {
    type Err = SeedError;

    fn from_str(text: &str) -> Result<Seeds, SeedError> {
        let seed = |part: &str| parse_seed(part).map_err(|_| SeedError::Range(text.to_string()));
        let empty = || SeedError::Empty(text.to_string());
        if let Some((start, count)) = text.split_once('+') {
            let (start, count) = (seed(start)?, seed(count)?);
            let end = start.checked_add(count).ok_or_else(|| SeedError::Range(text.to_string()))?;
            return Seeds::new(start, end).ok_or_else(empty);
        }
        match text.split_once("..") {
            Some((start, end)) => {
                let start = seed(start)?;
                let end = match end.strip_prefix('=') {
                    Some(last) => seed(last)?.checked_add(1).ok_or_else(|| SeedError::Range(text.to_string()))?,
                    None => seed(end)?,
                };
                Seeds::new(start, end).ok_or_else(empty)
            }
            // A SHA as a count would request 10^18 runs; it can only be a seed given to the wrong flag.
            None if text.trim().len() == 40 => Err(SeedError::Range(text.to_string())),
            None => Seeds::new(0, seed(text)?).ok_or_else(empty),
        }
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_decimal_hexadecimal_or_a_sha() {
        assert_eq!(parse_seed("17"), Ok(17));
        assert_eq!(parse_seed(" 1_000 "), Ok(1000));
        assert_eq!(parse_seed("0x11"), Ok(17));
        assert_eq!(parse_seed("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(parse_seed("0xffffffffffffffff"), Ok(u64::MAX));
        assert_eq!(parse_seed("00000000000000ff0123456789abcdef01234567"), Ok(255));
        assert_eq!(parse_seed("1234567890123456789012345678901234567890"), Ok(0x1234_5678_9012_3456));
    }

    #[test]
    fn what_is_not_a_seed_is_refused_and_named() {
        for text in ["", "x", "-1", "+1", "0x", "0x_1", "1.5", "18446744073709551616", "deadbeef", "é"] {
            assert_eq!(parse_seed(text), Err(SeedError::Seed(text.to_string())), "{text}");
        }
        let forty_multibyte = "é".repeat(20);
        assert!(parse_seed(&forty_multibyte).is_err(), "40 bytes, not 40 digits");
    }

    #[test]
    fn ranges_are_rusts_and_a_count_starts_at_zero() {
        let seeds = |text: &str| text.parse::<Seeds>().map(|seeds| seeds.iter());
        assert_eq!(seeds("0..500"), Ok(0..500));
        assert_eq!(seeds("7..=9"), Ok(7..10));
        assert_eq!(seeds("0x10..0x20"), Ok(16..32));
        assert_eq!(seeds("500"), Ok(0..500));
        assert_eq!(seeds("17+500"), Ok(17..517));
        assert_eq!(seeds("00000000000000ff0123456789abcdef01234567+5"), Ok(255..260));
        assert_eq!(Seeds::new(3, 5).unwrap().to_string().parse(), Ok(Seeds::new(3, 5).unwrap()));
    }

    #[test]
    fn a_range_without_a_seed_is_refused() {
        for text in ["0", "5..5", "9..3", "5+0"] {
            assert_eq!(text.parse::<Seeds>(), Err(SeedError::Empty(text.to_string())), "{text}");
        }
        for text in [
            "..",
            "1..",
            "..5",
            "1..x",
            "a",
            "1+",
            "+1",
            "0xffffffffffffffff+1",
            "00000000000000ff0123456789abcdef01234567",
        ] {
            assert_eq!(text.parse::<Seeds>(), Err(SeedError::Range(text.to_string())), "{text}");
        }
    }

    #[test]
    fn one_seed_wins_over_many_and_a_typo_is_an_error() {
        assert_eq!(Seeds::choose(Some("7"), Some("0..9"), 3).unwrap().iter(), 7..8);
        assert_eq!(Seeds::choose(None, Some("0..9"), 3).unwrap().iter(), 0..9);
        assert_eq!(Seeds::choose(None, None, 3).unwrap().iter(), 0..3);
        assert!(Seeds::choose(Some("seven"), None, 3).is_err());
        assert!(Seeds::choose(None, Some("many"), 3).is_err());
    }

    #[test]
    fn shards_are_disjoint_and_leave_no_seed_out() {
        for (whole, of) in [("0..10", 3), ("5..12", 7), ("0..18446744073709551615", 8), ("3..5", 4)] {
            let whole: Seeds = whole.parse().unwrap();
            let parts: Vec<Seeds> = (1..=of).filter_map(|index| Shard { index, of }.part(whole)).collect();
            assert_eq!((parts[0].start, parts.last().unwrap().end), (whole.start, whole.end));
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start), "{parts:?}");
            let sizes: Vec<u64> = parts.iter().map(Seeds::count).collect();
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        }
        assert_eq!("3/8".parse(), Ok(Shard { index: 3, of: 8 }));
        for text in ["0/8", "9/8", "3", "/8", "3/", "a/b", "-1/2"] {
            assert_eq!(text.parse::<Shard>(), Err(ShardError(text.to_string())), "{text}");
        }
    }
}
