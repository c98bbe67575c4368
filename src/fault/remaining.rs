//! The names in a fault once some hosts are removed from a scenario: shrinking takes nodes and sites away.

use super::topology::Target;

/// The hosts that remain: the new name of each target that is still there, `None` for the others.
pub struct Remaining<'a>(pub &'a dyn Fn(&Target) -> Option<Target>);

impl Remaining<'_> {
    /// The new name of a target, if it is still there.
    pub fn target(&self, target: &Target) -> Option<Target> {
        (self.0)(target)
    }

    /// The targets that are still there; `None` if none is.
    pub fn targets(&self, targets: &[Target]) -> Option<Vec<Target>> {
        let left: Vec<Target> = targets.iter().filter_map(|target| self.target(target)).collect();
        (!left.is_empty()).then_some(left)
    }

    /// As [`Remaining::targets`], where an empty list stands for every host.
    pub fn targets_or_all(&self, targets: &[Target]) -> Option<Vec<Target>> {
        if targets.is_empty() { Some(Vec::new()) } else { self.targets(targets) }
    }

    /// The groups of which some host is still there; `None` if fewer than two groups remain.
    pub fn groups(&self, groups: &[Vec<Target>]) -> Option<Vec<Vec<Target>>> {
        let left: Vec<Vec<Target>> = groups.iter().filter_map(|group| self.targets(group)).collect();
        (left.len() > 1).then_some(left)
    }
}
