//! The wire format of messages between hosts, the same in every system here: postcard.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The wire form of a message.
pub(super) fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    postcard::to_stdvec(message).expect("every message of ours encodes")
}

/// Decodes a message; `None` if the bytes are not one.
pub(super) fn decode<T: DeserializeOwned>(payload: &[u8]) -> Option<T> {
    postcard::from_bytes(payload).ok()
}
