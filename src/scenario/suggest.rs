//! The part of an error that says what is allowed.

/// "did you mean", if a name is close, and the whole list.
pub fn allowed(name: &str, names: Vec<&str>) -> String {
    if names.is_empty() {
        return "nothing is allowed here".to_string();
    }
    let list = names.join(", ");
    let distance = |candidate: &str| strsim::damerau_levenshtein(name, candidate);
    match names.iter().min_by_key(|candidate| distance(candidate)) {
        Some(nearest) if distance(nearest) <= (nearest.len().max(name.len()) / 3).max(1) => {
            format!("did you mean `{nearest}`? allowed: {list}")
        }
        _ => format!("allowed: {list}"),
    }
}
