//! Output for people and scripts: text for a terminal, JSON lines, recorded runs.
//!
//! * [`comparison`]: what each system did under the same cut, side by side, in 80 columns.
//! * [`ladder`]: systems one idea apart, over scenarios one fault apart.
//! * `elections` (feature `engines`): how long there is no leader, over many seeds.
//! * `engines` (feature `engines`): the store on different engines: how soon it is back, and what an operation costs.
//! * [`ledger`]: what each kind of fault costs under each system.
//! * [`faults`]: the kinds of fault, as a list and as a table of the documentation.
//! * [`outcome`]: one run, for a terminal.
//! * [`timeline`]: a run as a picture.
//! * [`page`]: runs as one HTML file to look into.
//! * [`lives`]: for pages, what each request of a run was doing when.
//! * [`perfetto`], [`shiviz`]: a trace for external viewers.
//! * [`json`]: the same for scripts.
//! * [`recording`]: runs written to files, to be replayed. [`mod@file`]: how files are written.
//! * [`words`]: the wording of each kind of event. [`event`]: one event of a trace as a line of text.
//! * `story` (feature `stories`): a story's predictions beside its measurements.
//! * [`style`]: colour, character set and width.

pub mod comparison;
#[cfg(feature = "engines")]
pub mod elections;
#[cfg(feature = "engines")]
pub mod engines;
pub mod event;
pub mod faults;
pub mod file;
pub mod json;
pub mod ladder;
pub mod ledger;
pub mod lives;
pub mod outcome;
pub mod page;
pub mod perfetto;
pub mod recording;
#[cfg(test)]
pub mod sample;
pub mod shiviz;
#[cfg(feature = "stories")]
pub mod story;
pub mod style;
pub mod timeline;
pub mod words;

pub use style::Style;
