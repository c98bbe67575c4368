//! Faults as plain data, how overlapping faults compose, and a nemesis that makes schedules.
//!
//! * [`model`]: what a fault is. A schedule is materialised before a run and never drawn during it.
//! * [`fold`]: the state of every link and process as a fold over the set of active faults.
//! * [`topology`]: what the names of nodes, sites and roles mean.
//! * [`validate`]: whether a schedule makes sense there.
//! * [`timeline`]: a schedule as the ordered beginnings and ends of its faults.
//! * [`chaos`]: what happens to one message, as a pure hash.
//! * [`words`]: faults and acts as people read them.
//! * [`generate`]: the nemesis. [`ranges`]: what it draws from.

pub mod chaos;
pub mod fold;
pub mod generate;
pub mod model;
pub mod ranges;
pub mod timeline;
pub mod topology;
pub mod validate;
pub mod words;
