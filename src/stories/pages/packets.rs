//! A byte stream whose bytes leave in packets, as a kernel cuts them: full ones as soon as they are full, the rest when its
//! writer flushes. Without this, each write would be a segment of its own, however short or long.

use super::Sent;
use crate::host::stream::Stream;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream in packets.
pub struct Packets {
    stream: Stream,
    packet: usize,
    waiting: Vec<u8>,
    sent: Sent,
}

impl Packets {
    /// The stream in packets of this length at most; `sent` is told of each.
    pub fn new(stream: Stream, packet: u16, sent: Sent) -> Packets {
        Packets { stream, packet: usize::from(packet), waiting: Vec::new(), sent }
    }

    /// Sends what waits, until less than `least` bytes do.
    fn poll_send(&mut self, context: &mut Context<'_>, least: usize) -> Poll<io::Result<()>> {
        while self.waiting.len() >= least {
            let packet = &self.waiting[..self.waiting.len().min(self.packet)];
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, packet))?;
            (self.sent)(written);
            self.waiting.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Packets {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Packets {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let packet = self.packet;
        ready!(self.poll_send(context, packet))?;
        let room = packet - self.waiting.len();
        let taken = &bytes[..bytes.len().min(room)];
        self.waiting.extend_from_slice(taken);
        // A full packet that finds no room in the window waits here, and the next write waits for it.
        if let Poll::Ready(sent) = self.poll_send(context, packet) {
            sent?;
        }
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(context, 1))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
