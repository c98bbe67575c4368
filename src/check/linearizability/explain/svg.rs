//! Draws the operations of a witness as intervals, for a page or a slide.

use super::picture::{Extent, Line, gap_text, lines};
use crate::check::linearizability::Witness;
use crate::history::Columns;
use crate::history::columns::Call;
use crate::history::visible::visible;
use std::fmt::Write;

/// Sizes in pixels.
const LABEL: usize = 250;
const STEP: usize = 48;
const ROW: usize = 30;
const MARGIN: usize = 16;

/// Draws a witness as a complete SVG document, with its sentence as the title. Colours carry no information that the
/// text lacks.
pub fn svg(columns: &Columns, witness: &Witness, extent: Extent) -> String {
    let (lines, steps) = lines(columns, witness, extent);
    let width = LABEL + STEP * steps.max(1) + 2 * MARGIN;
    let height = ROW * (lines.len() + 1) + 2 * MARGIN;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" role=\"img\">\n<title>{}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
        escape(&witness.sentence)
    );
    let place = |step: usize| LABEL + MARGIN + STEP * step + STEP / 2;
    for (at, line) in lines.iter().enumerate() {
        let top = MARGIN + ROW * at;
        let middle = top + ROW / 2 + 4;
        let bar = match line {
            Line::Bar(bar) => bar,
            Line::Gap(left_out) => {
                let gap = gap_text(*left_out);
                let _ = writeln!(text, "<text x=\"{MARGIN}\" y=\"{middle}\" fill=\"#555555\">{gap}</text>");
                continue;
            }
        };
        let (from, to) = (place(bar.from), bar.to.map_or(width - MARGIN, place));
        // Writes dark, reads light; both distinct without colour.
        let reads = matches!(bar.row.call, Call::Get(_) | Call::CasMismatch { .. });
        let fill = if reads { "#9ecae1" } else { "#08519c" };
        let dash = if bar.to.is_none() { " stroke-dasharray=\"4 3\" fill-opacity=\"0.35\"" } else { "" };
        let _ = writeln!(
            text,
            "<g><title>{}</title><text x=\"{MARGIN}\" y=\"{middle}\" fill=\"#111111\">{}: {}</text>\
             <rect x=\"{from}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"3\" fill=\"{fill}\" stroke=\"#08306b\"{dash}/></g>",
            escape(&bar.when),
            escape(&bar.who),
            escape(&bar.what),
            top + 6,
            (to - from).max(4),
            ROW - 12,
        );
    }
    let _ = writeln!(
        text,
        "<text x=\"{MARGIN}\" y=\"{}\" fill=\"#555555\">time flows to the right, not to scale</text>\n</svg>",
        MARGIN + ROW * lines.len() + ROW / 2 + 4
    );
    text
}

fn escape(text: &str) -> String {
    visible(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
