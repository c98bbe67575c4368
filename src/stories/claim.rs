//! What a story predicts, what its run measured, and whether the two agree.
//!
//! A prediction is a function of the parameters alone; it sees no run. A measurement is joined to it by name.
//! Every prediction must be measured, so that a claim cannot hold merely because nothing checked it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How far a measurement may be from its prediction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// This share of the prediction: 0.15 is 15 %.
    Share(f64),
    /// This much, in the claim's unit.
    Within(f64),
}

/// What a story predicts of one variant before anything runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// What is predicted, the same for all variants.
    pub claim: &'static str,
    /// The variant it is about.
    pub variant: &'static str,
    /// The predicted value.
    pub value: f64,
    /// Its unit, `%` for shares.
    pub unit: &'static str,
    /// How far the measurement may be off.
    pub tolerance: Tolerance,
    /// The formula or the reason, for people.
    pub because: String,
}

/// A measurement, to be joined to the prediction of the same claim and variant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measurement {
    /// What was measured.
    pub claim: &'static str,
    /// Its value, in the unit of the prediction.
    pub value: f64,
}

impl Measurement {
    /// A value of what is claimed.
    pub fn new(claim: &'static str, value: f64) -> Measurement {
        Measurement { claim, value }
    }
}

/// A prediction beside its measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Claim {
    /// What is claimed.
    pub name: String,
    /// The variant it is about.
    pub variant: String,
    /// What the parameters predict.
    pub predicted: f64,
    /// What the run measured; `None`: nothing, and the claim does not hold.
    pub measured: Option<f64>,
    /// The unit of both, `%` for shares.
    pub unit: String,
    /// How far they may differ, in the unit.
    pub tolerance: f64,
    /// Whether they agree.
    pub holds: bool,
    /// The formula or the reason.
    pub because: String,
}

/// The claim that tells the naive variants of a story from the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decides {
    /// Its name. Every naive variant measures worse than any other that measures it.
    pub claim: String,
    /// Whether more of it is better.
    pub more_is_better: bool,
}

/// Joins what was predicted of a variant to what its run measured.
pub fn join(predictions: &[Prediction], variant: &str, measured: &[Measurement]) -> Vec<Claim> {
    let of_variant = predictions.iter().filter(|prediction| prediction.variant == variant);
    let found = |claim| measured.iter().find(|measured| measured.claim == claim).map(|measured| measured.value);
    of_variant.map(|prediction| prediction.against(found(prediction.claim))).collect()
}

/// Whether something of this name is predicted, of any variant.
pub fn is_claimed(predictions: &[Prediction], claim: &str) -> bool {
    predictions.iter().any(|known| known.claim == claim)
}

/// The names of all that is predicted.
pub fn claims(predictions: &[Prediction]) -> Vec<&'static str> {
    let names: BTreeSet<_> = predictions.iter().map(|known| known.claim).collect();
    names.into_iter().collect()
}

impl Prediction {
    /// A prediction: the claim, the variant, the value with its unit, and why.
    pub fn new(
        claim: &'static str,
        variant: &'static str,
        (value, unit): (f64, &'static str),
        tolerance: Tolerance,
        because: impl Into<String>,
    ) -> Prediction {
        Prediction { claim, variant, value, unit, tolerance, because: because.into() }
    }

    /// How far a measurement may be off, in the prediction's unit.
    pub fn half_width(&self) -> f64 {
        match self.tolerance {
            Tolerance::Share(share) => share * self.value.abs(),
            Tolerance::Within(width) => width,
        }
    }

    fn against(&self, measured: Option<f64>) -> Claim {
        let tolerance = self.half_width();
        Claim {
            name: self.claim.to_string(),
            variant: self.variant.to_string(),
            predicted: self.value,
            measured,
            unit: self.unit.to_string(),
            tolerance,
            // A comparison with NaN is false, so that a mean of nothing cannot hold.
            holds: measured.is_some_and(|measured| (measured - self.value).abs() <= tolerance),
            because: self.because.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(value: f64, tolerance: Tolerance) -> Prediction {
        Prediction::new("served", "naive", (value, "%"), tolerance, "")
    }

    fn holds(prediction: &Prediction, measured: f64) -> bool {
        join(std::slice::from_ref(prediction), "naive", &[Measurement::new("served", measured)])[0].holds
    }

    #[test]
    fn a_tolerance_is_a_share_or_a_width() {
        let share = prediction(200.0, Tolerance::Share(0.15));
        assert!(holds(&share, 230.0) && holds(&share, 170.0) && !holds(&share, 231.0) && !holds(&share, 169.0));
        let width = prediction(0.0, Tolerance::Within(5.0));
        assert!(holds(&width, 5.0) && !holds(&width, 5.1));
        assert!(!holds(&width, f64::NAN), "a mean of nothing");
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        let claims = join(&[prediction(1.0, Tolerance::Within(9.0))], "naive", &[]);
        assert_eq!((claims.len(), claims[0].holds, claims[0].measured), (1, false, None));
    }

    #[test]
    fn a_claim_is_about_its_variant_only() {
        let fixed = Prediction { variant: "fixed", ..prediction(1.0, Tolerance::Within(1.0)) };
        assert!(join(&[fixed], "naive", &[Measurement::new("served", 1.0)]).is_empty());
    }
}
