//! The `schism` command.
fn main() {}
