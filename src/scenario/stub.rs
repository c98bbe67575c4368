//! STUB, dropped when the loader is merged.
use super::Scenario;

/// STUB.
///
/// # Errors
/// When it is not a file in the format.
pub fn load(name_or_path: &str) -> Result<Scenario, miette::Report> {
    if name_or_path == "split-brain" {
        return Ok(crate::report::sample::scenario());
    }
    let text = std::fs::read_to_string(name_or_path).map_err(|e| miette::miette!("{name_or_path}: {e}"))?;
    toml::from_str(&text).map_err(|e| miette::miette!("{e}"))
}

/// STUB.
pub fn embedded() -> Vec<Scenario> {
    vec![crate::report::sample::scenario()]
}

impl Scenario {
    /// STUB.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap()
    }
}
