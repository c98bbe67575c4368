//! What a story predicts, what its run measured, and whether the two agree.
//!
//! A prediction is made by a function of the parameters alone; it is given no run. A measurement is joined to it
//! by name. Nothing that was predicted may go unmeasured, so that a claim cannot hold by never being looked at.

use serde::Serialize;

/// How far a measurement may be from its prediction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// This share of the prediction: 0.15 is 15 %.
    Share(f64),
    /// This much, in the claim's unit.
    Within(f64),
}

/// What a story says of one variant before anything runs.
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
    /// A condition that the parameters do not decide (who is leader); without it in the run there is nothing to compare.
    pub given: Option<String>,
}

/// A measurement, to be joined to the prediction of the same claim, variant and condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measurement {
    /// What was measured.
    pub claim: &'static str,
    /// Its value, in the unit of the prediction.
    pub value: f64,
    /// The condition under which it was measured.
    pub given: Option<String>,
}

impl Measurement {
    /// A measurement that depends on no condition.
    pub fn new(claim: &'static str, value: f64) -> Measurement {
        Measurement { claim, value, given: None }
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
    /// What the run showed; `None`: nothing, and the claim does not hold.
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

/// Joins what was predicted to what a run of `variant` measured.
///
/// A prediction with a condition is left out where the run did not meet it, unless no prediction of that claim was met:
/// then the claim stands unmeasured.
pub fn join(predictions: &[Prediction], variant: &str, measured: &[Measurement]) -> Vec<Claim> {
    let mut claims: Vec<Claim> = Vec::new();
    let mut unmet: Vec<&Prediction> = Vec::new();
    for prediction in predictions.iter().filter(|prediction| prediction.variant == variant) {
        let found = measured
            .iter()
            .find(|measured| measured.claim == prediction.claim && measured.given == prediction.given)
            .map(|measured| measured.value);
        if found.is_none() && prediction.given.is_some() {
            unmet.push(prediction);
        } else {
            claims.push(prediction.against(found));
        }
    }
    for prediction in unmet {
        let name = |given: &Option<String>| given.as_ref().map(|given| format!("{}, {given}", prediction.claim));
        let is_met = predictions
            .iter()
            .filter(|other| other.claim == prediction.claim && other.variant == variant)
            .any(|other| claims.iter().any(|claim| name(&other.given).as_ref() == Some(&claim.name)));
        if !is_met {
            claims.push(prediction.against(None));
        }
    }
    claims
}

impl Prediction {
    /// A prediction without a condition.
    pub fn new(
        claim: &'static str,
        variant: &'static str,
        (value, unit): (f64, &'static str),
        tolerance: Tolerance,
        because: impl Into<String>,
    ) -> Prediction {
        Prediction { claim, variant, value, unit, tolerance, because: because.into(), given: None }
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
        let name = self.given.as_ref().map_or(self.claim.to_string(), |given| format!("{}, {given}", self.claim));
        Claim {
            name,
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

    fn prediction(value: f64, tolerance: Tolerance, given: Option<&str>) -> Prediction {
        let given = given.map(String::from);
        Prediction { given, ..Prediction::new("served", "naive", (value, "%"), tolerance, "") }
    }

    fn holds(prediction: &Prediction, measured: f64) -> bool {
        join(std::slice::from_ref(prediction), "naive", &[Measurement::new("served", measured)])[0].holds
    }

    #[test]
    fn a_tolerance_is_a_share_or_a_width() {
        let share = prediction(200.0, Tolerance::Share(0.15), None);
        assert!(holds(&share, 230.0) && holds(&share, 170.0) && !holds(&share, 231.0) && !holds(&share, 169.0));
        let width = prediction(0.0, Tolerance::Within(5.0), None);
        assert!(holds(&width, 5.0) && !holds(&width, 5.1));
        assert!(!holds(&width, f64::NAN), "a mean of nothing");
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        let claims = join(&[prediction(1.0, Tolerance::Within(9.0), None)], "naive", &[]);
        assert_eq!((claims.len(), claims[0].holds, claims[0].measured), (1, false, None));
    }

    #[test]
    fn a_condition_picks_its_prediction_and_some_condition_must_be_met() {
        let by_leader = ["east", "west"].map(|leader| prediction(1.0, Tolerance::Within(1.0), Some(leader)));
        let measured = |given: Option<&str>| {
            vec![Measurement { given: given.map(String::from), ..Measurement::new("served", 1.5) }]
        };
        let claims = join(&by_leader, "naive", &measured(Some("west")));
        assert_eq!(claims.iter().map(|claim| (claim.name.as_str(), claim.holds)).collect::<Vec<_>>(), [(
            "served, west",
            true
        )]);
        assert!(join(&by_leader, "naive", &[]).iter().all(|claim| !claim.holds));
        assert_eq!(join(&by_leader, "naive", &[]).len(), 2);
    }
}
