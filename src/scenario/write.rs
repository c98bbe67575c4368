//! Writes canonical TOML: `--save` uses it, students share it, and reviewers read it as a diff.

use super::{Explicit, Scenario, compact};
use serde::Serialize;
use std::fmt::Write;

impl Scenario {
    /// This scenario as TOML. [`Scenario::parse`] returns the same scenario.
    ///
    /// # Panics
    /// If it holds numbers that TOML cannot (above 2^63 - 1), which no checked scenario does.
    pub fn to_toml(&self) -> String {
        let plain = Scenario { explicit: None, ..self.clone() };
        let mut text = toml::to_string(&plain).expect("a checked scenario is TOML");
        if let Some(explicit) = &self.explicit {
            self.write_explicit(explicit, &mut text).expect("a string takes all");
        }
        text
    }

    fn write_explicit(&self, explicit: &Explicit, out: &mut String) -> std::fmt::Result {
        out.push_str("\n[explicit]\n");
        match i64::try_from(explicit.seed) {
            Ok(seed) => writeln!(out, "seed = {seed}")?,
            Err(_) => writeln!(out, "seed = \"{}\"", explicit.seed)?,
        }
        writeln!(out, "system = {}", inline(&explicit.system))?;
        writeln!(out, "verdict = {}", inline(&explicit.verdict))?;
        out.push_str("schedule = [\n");
        for fault in &explicit.schedule {
            writeln!(out, "  {},", inline(fault))?;
        }
        out.push_str(
            "]\n# [id, client, planned time in microseconds, operation]; `?`: whatever the client saw last.\n",
        );
        out.push_str("script = [\n");
        explicit.script.iter().for_each(|op| compact::write_op(op, out));
        out.push_str("]\n");
        if let Some(acts) = &explicit.acts {
            let topology = self.topology();
            out.push_str("# [from, to, kind, n-th of its kind or \"operation.attempt\", act, microseconds]\n");
            out.push_str("acts = [\n");
            acts.iter().for_each(|act| compact::write_act(act, &topology, out));
            out.push_str("]\n");
        }
        Ok(())
    }
}

fn inline<T: Serialize>(value: &T) -> String {
    let mut text = String::new();
    value.serialize(toml::ser::ValueSerializer::new(&mut text)).expect("a checked scenario is TOML");
    text
}
