//! How messages between hosts look on the wire, in every system here: postcard.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The wire form of a message.
pub(super) fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    postcard::to_stdvec(message).expect("every message of ours encodes")
}

/// A message from its wire form; `None` if it is none.
pub(super) fn decode<T: DeserializeOwned>(payload: &[u8]) -> Option<T> {
    postcard::from_bytes(payload).ok()
}
