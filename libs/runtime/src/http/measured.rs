//! A socket that hands over little at a time, so that a client can't have more worked on than it may.
//!
//! The server decodes all requests that it has read before it looks at how many there are, and each takes some
//! kilobytes: 128 KiB of the shortest become 12 MB.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connections::{Appetite, Connection};

/// A socket, and what its connection is about.
#[derive(Debug)]
pub(super) struct Measured {
    stream: TcpStream,
    /// `None` where the connection runs without limits.
    connection: Option<Arc<Connection>>,
    /// Whether something was handed over since the server last looked at what it has.
    was_fed: bool,
}

impl Measured {
    pub(super) const fn new(stream: TcpStream, connection: Option<Arc<Connection>>) -> Self {
        Self { stream, connection, was_fed: false }
    }

    pub(super) const fn connection(&self) -> Option<&Arc<Connection>> {
        self.connection.as_ref()
    }

    /// Hands over at most so many bytes.
    fn feed(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>, most: usize) -> Poll<io::Result<()>> {
        let most = most.min(into.remaining());
        let mut part = ReadBuf::new(into.initialize_unfilled_to(most));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        into.advance(read);
        self.was_fed = read > 0;
        Poll::Ready(Ok(()))
    }

    /// Hands over nothing but the end: a client that went away is noticed while its request is worked on.
    fn watch_for_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut byte = [0];
        match ready!(self.stream.poll_peek(cx, &mut ReadBuf::new(&mut byte))) {
            Ok(0) => Poll::Ready(Ok(())),
            // Its next request waits.
            Ok(_) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncRead for Measured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(connection) = &this.connection else {
            return Pin::new(&mut this.stream).poll_read(cx, into);
        };
        if std::mem::take(&mut this.was_fed) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match connection.appetite(cx.waker()) {
            Appetite::Bytes(most) => this.feed(cx, into, most),
            Appetite::Nothing => this.watch_for_end(cx),
        }
    }
}

impl AsyncWrite for Measured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
