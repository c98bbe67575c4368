//! The streams of a connection, as h3 asks for them.

use super::code;
use super::driver::{Connection, Wait};
use bytes::{Buf, Bytes};
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, WriteBuf};
use quinn_proto::{ConnectionError, Dir, ReadError, ReadableError, StreamId, WriteError};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The half of a stream that is written.
pub struct Writing<B: Buf> {
    connection: Connection,
    id: StreamId,
    /// What the stream has not taken yet.
    rest: Option<WriteBuf<B>>,
}

/// The half of a stream that is read.
pub struct Reading {
    connection: Connection,
    id: StreamId,
    has_ended: bool,
}

/// A stream in both directions.
pub struct Both<B: Buf> {
    writing: Writing<B>,
    reading: Reading,
}

fn writing<B: Buf>(connection: &Connection, id: StreamId) -> Writing<B> {
    Writing { connection: connection.clone(), id, rest: None }
}

fn reading(connection: &Connection, id: StreamId) -> Reading {
    Reading { connection: connection.clone(), id, has_ended: false }
}

fn both<B: Buf>(connection: &Connection, id: StreamId) -> Both<B> {
    Both { writing: writing(connection, id), reading: reading(connection, id) }
}

/// Why a connection ended, in h3's words.
fn ended(error: ConnectionError) -> ConnectionErrorIncoming {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            ConnectionErrorIncoming::ApplicationClose { error_code: close.error_code.into() }
        }
        ConnectionError::TimedOut => ConnectionErrorIncoming::Timeout,
        other => ConnectionErrorIncoming::Undefined(Arc::new(other)),
    }
}

fn lost(error: ConnectionError) -> StreamErrorIncoming {
    StreamErrorIncoming::ConnectionErrorIncoming { connection_error: ended(error) }
}

impl Connection {
    fn poll_accept(&self, context: &Context<'_>, dir: Dir) -> Poll<Result<StreamId, ConnectionErrorIncoming>> {
        self.poll(context, Wait::Accept(dir), |machine| machine.streams().accept(dir)).map_err(ended)
    }

    fn poll_open(&self, context: &Context<'_>, dir: Dir) -> Poll<Result<StreamId, StreamErrorIncoming>> {
        self.poll(context, Wait::Open(dir), |machine| machine.streams().open(dir)).map_err(lost)
    }
}

impl<B: Buf> quic::OpenStreams<B> for Connection {
    type BidiStream = Both<B>;
    type SendStream = Writing<B>;

    fn poll_open_bidi(&mut self, context: &mut Context<'_>) -> Poll<Result<Both<B>, StreamErrorIncoming>> {
        self.poll_open(context, Dir::Bi).map_ok(|id| both(self, id))
    }

    fn poll_open_send(&mut self, context: &mut Context<'_>) -> Poll<Result<Writing<B>, StreamErrorIncoming>> {
        self.poll_open(context, Dir::Uni).map_ok(|id| writing(self, id))
    }

    fn close(&mut self, code: h3::error::Code, reason: &[u8]) {
        Connection::close(self, code.value(), reason);
    }
}

impl<B: Buf> quic::Connection<B> for Connection {
    type RecvStream = Reading;
    type OpenStreams = Connection;

    fn poll_accept_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<Reading, ConnectionErrorIncoming>> {
        self.poll_accept(context, Dir::Uni).map_ok(|id| reading(self, id))
    }

    fn poll_accept_bidi(&mut self, context: &mut Context<'_>) -> Poll<Result<Both<B>, ConnectionErrorIncoming>> {
        self.poll_accept(context, Dir::Bi).map_ok(|id| both(self, id))
    }

    fn opener(&self) -> Connection {
        self.clone()
    }
}

impl<B: Buf> quic::SendStream<B> for Writing<B> {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        while let Some(rest) = self.rest.as_mut().filter(|rest| rest.has_remaining()) {
            let taken = self.connection.poll(context, Wait::Write(self.id), |machine| {
                match machine.send_stream(self.id).write(rest.chunk()) {
                    Err(WriteError::Blocked) => None,
                    written => Some(written),
                }
            });
            rest.advance(ready!(taken).map_err(lost)?.map_err(|error| match error {
                WriteError::Stopped(code) => StreamErrorIncoming::StreamTerminated { error_code: code.into() },
                other => StreamErrorIncoming::Unknown(Box::new(other)),
            })?);
        }
        self.rest = None;
        Poll::Ready(Ok(()))
    }

    fn send_data<T: Into<WriteBuf<B>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        let before = self.rest.replace(data.into());
        assert!(before.is_none(), "h3 waits until a stream is ready");
        Ok(())
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        let finished = self.connection.machine().send_stream(self.id).finish();
        Poll::Ready(finished.map_err(|error| StreamErrorIncoming::Unknown(Box::new(error))))
    }

    fn reset(&mut self, reset_code: u64) {
        // A stream that has ended needs no reset.
        let _ = self.connection.machine().send_stream(self.id).reset(code(reset_code));
    }

    fn send_id(&self) -> quic::StreamId {
        number(self.id)
    }
}

/// What is written is sent, and then the stream ends.
impl<B: Buf> Drop for Writing<B> {
    fn drop(&mut self) {
        // A stream that has ended cannot end again.
        let _ = self.connection.machine().send_stream(self.id).finish();
    }
}

impl quic::RecvStream for Reading {
    type Buf = Bytes;

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        if self.has_ended {
            return Poll::Ready(Ok(None));
        }
        let id = self.id;
        let read = self.connection.poll(context, Wait::Read(id), |machine| {
            let mut stream = machine.recv_stream(id);
            let mut chunks = match stream.read(true) {
                Ok(chunks) => chunks,
                Err(ReadableError::ClosedStream) => return Some(Ok(None)),
                Err(ReadableError::IllegalOrderedRead) => unreachable!("every read is ordered"),
            };
            let next = chunks.next(usize::MAX);
            // Whatever the reading gives leave to send is sent: the connection has changed.
            let _ = chunks.finalize();
            match next {
                Err(ReadError::Blocked) => None,
                Err(ReadError::Reset(code)) => {
                    Some(Err(StreamErrorIncoming::StreamTerminated { error_code: code.into() }))
                }
                Ok(chunk) => Some(Ok(chunk.map(|chunk| chunk.bytes))),
            }
        });
        let read = ready!(read).map_err(lost)?;
        self.has_ended = !matches!(read, Ok(Some(_)));
        Poll::Ready(read)
    }

    fn stop_sending(&mut self, error_code: u64) {
        self.has_ended = true;
        // A stream that has ended needs no stop.
        let _ = self.connection.machine().recv_stream(self.id).stop(code(error_code));
    }

    fn recv_id(&self) -> quic::StreamId {
        number(self.id)
    }
}

/// Nobody will read the rest.
impl Drop for Reading {
    fn drop(&mut self) {
        if !self.has_ended {
            quic::RecvStream::stop_sending(self, 0);
        }
    }
}

impl<B: Buf> quic::SendStream<B> for Both<B> {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.writing.poll_ready(context)
    }

    fn send_data<T: Into<WriteBuf<B>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.writing.send_data(data)
    }

    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.writing.poll_finish(context)
    }

    fn reset(&mut self, reset_code: u64) {
        self.writing.reset(reset_code);
    }

    fn send_id(&self) -> quic::StreamId {
        self.writing.send_id()
    }
}

impl<B: Buf> quic::RecvStream for Both<B> {
    type Buf = Bytes;

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        self.reading.poll_data(context)
    }

    fn stop_sending(&mut self, error_code: u64) {
        self.reading.stop_sending(error_code);
    }

    fn recv_id(&self) -> quic::StreamId {
        self.reading.recv_id()
    }
}

impl<B: Buf> quic::BidiStream<B> for Both<B> {
    type SendStream = Writing<B>;
    type RecvStream = Reading;

    fn split(self) -> (Writing<B>, Reading) {
        (self.writing, self.reading)
    }
}

/// A stream's number, as h3 has it.
fn number(id: StreamId) -> quic::StreamId {
    u64::from(id).try_into().expect("both count streams as RFC 9000 does")
}
