//! How a frame looks on a connection: a 4-byte little-endian length, a postcard [`Header`], the payload.

use crate::trace::{MessageId, MessageKind};
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest frame accepted, in bytes: a snapshot chunk is 3 MiB at most.
pub const MAX_FRAME: usize = 16 << 20;

/// What precedes a frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Matches a reply to its request; unique per caller process.
    pub call: u64,
    /// Whether this is the reply.
    pub is_reply: bool,
    /// What the payload is.
    pub kind: MessageKind,
    /// The frame's identity in the trace; both copies of a duplicate carry the same.
    pub message: MessageId,
    /// On client links: the operation and attempt that name this frame to the chaos layer.
    pub place: Option<u64>,
}

/// A frame ready to be written.
pub fn encode(header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 4];
    frame = postcard::to_extend(header, frame).expect("a header always encodes");
    frame.extend_from_slice(payload);
    let length = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame
}

/// Reads frames from a connection.
pub struct FrameReader<R> {
    from: R,
    buffer: Vec<u8>,
    /// Start of the unread part of `buffer`.
    start: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads frames from `from`.
    pub fn new(from: R) -> Self {
        FrameReader { from, buffer: Vec::new(), start: 0 }
    }

    /// The next frame; `None` at the orderly end of the connection.
    ///
    /// # Errors
    /// When the connection breaks, ends within a frame, or carries something that is no frame.
    pub async fn next(&mut self) -> io::Result<Option<(Header, Vec<u8>)>> {
        loop {
            let unread = &self.buffer[self.start..];
            if let Some((length, rest)) = unread.split_first_chunk::<4>() {
                let length = u32::from_le_bytes(*length) as usize;
                if length > MAX_FRAME {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "frame too long"));
                }
                if rest.len() >= length {
                    let (header, payload) = postcard::take_from_bytes::<Header>(&rest[..length])
                        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                    let frame = (header, payload.to_vec());
                    self.start += 4 + length;
                    return Ok(Some(frame));
                }
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            if self.from.read_buf(&mut self.buffer).await? == 0 {
                let whole = self.buffer.is_empty();
                return if whole { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::HostId;

    fn header(call: u64) -> Header {
        let message = MessageId { host: HostId(3), number: 9 };
        Header { call, is_reply: false, kind: MessageKind::Vote, message, place: Some(4) }
    }

    #[tokio::test]
    async fn frames_survive_any_fragmentation() {
        let mut bytes = encode(&header(1), b"first");
        bytes.extend(encode(&header(2), b""));
        for cut in 0..bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            let mut reader = FrameReader::new(tokio::io::AsyncReadExt::chain(head, tail));
            assert_eq!(reader.next().await.unwrap(), Some((header(1), b"first".to_vec())));
            assert_eq!(reader.next().await.unwrap(), Some((header(2), Vec::new())));
            assert_eq!(reader.next().await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_truncated_frame_is_an_error_and_not_an_end() {
        let bytes = encode(&header(1), b"first");
        let mut reader = FrameReader::new(&bytes[..bytes.len() - 1]);
        assert_eq!(reader.next().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn garbage_is_refused() {
        let mut reader = FrameReader::new(&[0xff; 64][..]);
        assert_eq!(reader.next().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
