//! A recorded run of a variant in a world of the story's own: what was drawn from the seed, and the result.
//!
//! It is not the explicit form of a scenario, whose script is operations of clients on keys, and whose verdict comes
//! from the checks. A story's hosts know no keys: its load is instants and sorts, and its verdict is its claims, which
//! follow from the measurements. A variant that *is* a system under a scenario is recorded as such
//! ([`Observed::scenario`](super::model::Observed)).

use super::model::{Arrival, Complaint, Model, Setup};
use crate::fault::model::Fault;
use crate::scenario::suggest::allowed;
use crate::trace::digest::Digest;
use serde::{Deserialize, Serialize};

/// A recorded run.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The input of the run.
    pub setup: Setup,
    /// Its digest.
    pub digest: Digest,
}

/// A recorded run as in a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Explicit {
    /// The seed, in quotes: TOML's integers end at 2^63 - 1.
    seed: String,
    /// The variant that ran.
    variant: String,
    /// The digest of the run.
    digest: Digest,
    /// The requests, as pairs of microseconds and sort.
    load: Vec<(u64, u32)>,
    /// What broke in the network.
    #[serde(default)]
    faults: Vec<Fault>,
}

impl Explicit {
    pub(super) fn write(recording: &Recording) -> Explicit {
        let Setup { variant, seed, load, faults } = &recording.setup;
        Explicit {
            seed: seed.to_string(),
            variant: variant.to_string(),
            digest: recording.digest,
            load: load.iter().map(|arrival| (arrival.at_us, arrival.sort)).collect(),
            faults: faults.clone(),
        }
    }

    pub(super) fn read(self, model: &dyn Model) -> Result<Recording, Complaint> {
        let Some(variant) = model.variant(&self.variant) else {
            let help = allowed(&self.variant, model.variant_names());
            return Err((format!("there is no variant `{}`", self.variant), help));
        };
        let Ok(seed) = self.seed.parse() else {
            return Err(("the seed is no number".into(), "allowed: 0 to 18446744073709551615, in quotes".into()));
        };
        let load = self.load.into_iter().map(|(at_us, sort)| Arrival { at_us, sort }).collect();
        let setup = Setup { variant: variant.name, seed, load, faults: self.faults };
        Ok(Recording { setup, digest: self.digest })
    }
}
