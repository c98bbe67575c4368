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

#[cfg(test)]
mod tests {
    use super::super::super::world::{Notes, World};
    use super::*;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// The lengths of the packets of these writes, each with whether it is flushed; and how much arrives.
    fn cut(writes: &'static [(usize, bool)]) -> (Vec<usize>, usize) {
        let log = Notes::new((Vec::new(), 0));
        let (sender, receiver) = (log.clone(), log.clone());
        let world = World::new(1, 1, 5.0, 2).host("from", move |host| {
            let log = sender.clone();
            async move {
                let stream = host.connect("to", 1).await.unwrap();
                let sent =
                    Arc::new(move |length| log.with(|(lengths, _): &mut (Vec<usize>, usize)| lengths.push(length)));
                let mut packets = Packets::new(stream, 1000, sent);
                for (length, is_flushed) in writes {
                    packets.write_all(&vec![7; *length]).await.unwrap();
                    if *is_flushed {
                        packets.flush().await.unwrap();
                    }
                }
                packets.shutdown().await.unwrap();
                std::future::pending().await
            }
        });
        let world = world.host("to", move |host| {
            let log = receiver.clone();
            async move {
                let mut all = Vec::new();
                host.listen(1).unwrap().accept().await.read_to_end(&mut all).await.unwrap();
                log.with(|(_, arrived)| *arrived = all.len());
                std::future::pending().await
            }
        });
        world.run().unwrap();
        log.take()
    }

    #[test]
    fn full_packets_leave_and_the_rest_when_it_is_flushed() {
        assert_eq!(cut(&[(10, false), (20, false), (5, true)]), (vec![35], 35));
        assert_eq!(cut(&[(2500, false), (10, true), (10, true)]), (vec![1000, 1000, 510, 10], 2520));
        assert_eq!(cut(&[(999, false), (1, false), (1, false)]), (vec![1000, 1], 1001), "a shutdown flushes");
    }

    #[test]
    fn all_arrives_when_the_window_is_full() {
        let (lengths, arrived) = cut(&[(200_000, true)]);
        assert_eq!((lengths.iter().sum::<usize>(), arrived), (200_000, 200_000));
        assert!(lengths.iter().all(|length| *length <= 1000));
    }
}
