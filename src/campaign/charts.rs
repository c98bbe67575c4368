//! What is drawn on a campaign's page, as SVG.

use crate::sweep::coverage::{self, Met};
use std::fmt::Write;

/// A horizontal bar; the share of its full length is from 0 to 1.
pub(super) fn bar(share: f64) -> String {
    let width = (share.clamp(0.0, 1.0) * 100.0).max(1.0);
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect width=\"{width:.1}\" height=\"8\"/></svg>"
    )
}

/// In which stretches of the seeds a situation was met: the darker, the more seeds of it met it.
pub(super) fn strip(stretches: &[(u64, u64)]) -> String {
    let mut svg = format!(
        "<svg class=\"strip\" viewBox=\"0 0 {} 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
        stretches.len().max(1)
    );
    for (at, (met, all)) in stretches.iter().enumerate() {
        // Even one seed of many is seen.
        let shade = if *met == 0 { 0.0 } else { 0.25 + 0.75 * *met as f64 / (*all).max(1) as f64 };
        write!(svg, "<rect x=\"{at}\" width=\"1.02\" height=\"10\" fill-opacity=\"{shade:.2}\"/>")
            .expect("a string takes all");
    }
    svg + "</svg>"
}

/// Inside the diagram: left, right, top, bottom.
const FRAME: (f64, f64, f64, f64) = (40.0, 620.0, 12.0, 130.0);

/// How many situations had been met after so many seeds; the axis of seeds is logarithmic.
pub(super) fn growth(met: &[Met], seeds: u64) -> String {
    let (left, right, top, bottom) = FRAME;
    let decades = (seeds.max(2) as f64).log10();
    let x = |seed: u64| left + (right - left) * (seed.max(1) as f64).log10() / decades;
    let y = |count: u64| bottom - (bottom - top) * count as f64 / met.len().max(1) as f64;
    let steps = coverage::growth(met);
    let mut line = format!("M{left:.1} {bottom:.1}");
    for (seed, count) in &steps {
        write!(line, " H{:.1} V{:.1}", x(*seed), y(*count)).expect("a string takes all");
    }
    write!(line, " H{right:.1}").expect("a string takes all");
    let mut svg = format!(
        "<svg class=\"growth\" viewBox=\"0 0 640 160\" role=\"img\" aria-label=\"Situations met after so many seeds: {} of {} at \
         the end\"><path class=\"axis\" d=\"M{left} {top} V{bottom} H{right}\"/>\
         <path class=\"axis all\" d=\"M{left} {top} H{right}\"/><path class=\"line\" d=\"{line}\"/>\
         <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><text x=\"{}\" y=\"{bottom}\" text-anchor=\"end\">0</text>",
        steps.len(),
        met.len(),
        left - 6.0,
        top + 4.0,
        met.len(),
        left - 6.0
    );
    let powers = std::iter::successors(Some(1_u64), |power| power.checked_mul(10)).take_while(|power| *power <= seeds);
    // A power close to the last seed would be written over it.
    for tick in powers.filter(|power| *power * 2 < seeds).chain([seeds]) {
        write!(svg, "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>", x(tick), bottom + 16.0)
            .expect("a string takes all");
    }
    let middle = (left + right) / 2.0;
    svg + &format!("<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">seeds run</text></svg>\n", bottom + 29.0)
}
