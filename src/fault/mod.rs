//! Faults as plain data, how overlapping faults compose, and a nemesis that makes schedules.
//!
//! * [`kinds`]: the kinds of fault, one file each. [`kind`]: what such a file declares.
//! * [`model`]: what a fault is. A schedule is made before a run and never drawn during it.
//! * [`fold`]: the state of every link and process as a fold over the set of active faults; [`effect`] is one fault's
//!   contribution, [`state`] the result.
//! * [`topology`]: which hosts the names of nodes, sites and roles stand for.
//! * [`validate`]: whether a schedule makes sense in a topology; [`check`]: the checks that kinds share.
//! * [`timeline`]: a schedule as the ordered beginnings and ends of its faults.
//! * [`chaos`]: what happens to one message, as a pure hash.
//! * [`aim`]: faults that begin when something happens; [`acted`]: what is recorded of them.
//! * [`words`]: parts of faults, and acts, as people read them. [`field`]: the types of a kind's fields.
//! * [`generate`]: the nemesis. [`draw`]: how it draws the parts of a fault; [`ranges`]: from which ranges.
//! * [`remaining`]: the names in a fault once some hosts are removed, for shrinking.

pub mod acted;
pub mod aim;
pub mod chaos;
pub mod check;
pub mod draw;
pub mod effect;
pub mod field;
pub mod fold;
pub mod generate;
pub mod kind;
pub mod kinds;
pub mod model;
pub mod ranges;
pub mod remaining;
pub mod state;
pub mod timeline;
pub mod topology;
pub mod validate;
pub mod words;
