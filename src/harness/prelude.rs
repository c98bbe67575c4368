//! What a test of a service needs, in one line: `use schism::prelude::*;`.
//!
//! The attribute is not among it: `test` would be ambiguous with Rust's own. Write `#[schism::test(...)]`.

pub use crate::check::linearizability::model::{Model, Times};
#[cfg(feature = "nodes")]
pub use crate::harness::Nodes;
pub use crate::harness::{Answer, Call, KeyValue, Object, Service};
pub use crate::host::Host;
pub use crate::host::stream::{Listener, Stream};
pub use crate::kv::{self, Op, Response, Tag};
pub use crate::trace::{Role, Scope};
