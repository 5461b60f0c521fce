//! The opening handshake (RFC 6455 4.1), by async-tungstenite.
//!
//! The library reads ahead and keeps what it has read, and takes an answer that drips in byte by
//! byte for an attack. So the answer's head is collected here, up to its blank line, and handed
//! over in one piece; what came behind it is ours.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_tungstenite::client_async_with_config;
use async_tungstenite::tungstenite::Error;
use async_tungstenite::tungstenite::handshake::client::Response;
use async_tungstenite::tungstenite::protocol::WebSocketConfig;
use hyper::Uri;
use smol::io::{AsyncRead, AsyncWrite};

use crate::base::end::DialFault;
use crate::base::limits::UPGRADE_HEAD_BYTES_MAX;
use crate::rt::net::tls::Stream;

/// Bytes read at once while the head is collected.
const GULP_BYTES: usize = 512;

/// Asks for the upgrade. Returns the stream and what the server has already sent over it.
///
/// # Errors
/// [`DialFault::Status`], [`DialFault::Upgrade`] or [`DialFault::Lost`].
pub(super) async fn shake_hands(url: Uri, stream: Stream) -> Result<(Stream, Vec<u8>), DialFault> {
    let collector = Collector { stream, head: Vec::new(), early: Vec::new(), at: None };
    // The library allocates its buffer at once, and we do not use it after the handshake.
    let config = WebSocketConfig::default().read_buffer_size(UPGRADE_HEAD_BYTES_MAX);
    match client_async_with_config(url, collector, Some(config)).await {
        Ok((socket, _)) => {
            let Collector { stream, early, .. } = socket.into_inner();
            Ok((stream, early))
        }
        Err(error) => Err(dial_fault(&error)),
    }
}

fn dial_fault(error: &Error) -> DialFault {
    match error {
        Error::Http(answer) => DialFault::Status(answer.status().as_u16(), retry_after(answer)),
        Error::Io(error) if error.kind() != io::ErrorKind::InvalidData => DialFault::Lost,
        _ => DialFault::Upgrade,
    }
}

/// Seconds to wait (RFC 9110 10.2.3); 0 if there are none, or a date in their place.
fn retry_after(answer: &Response) -> u32 {
    let header = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
    header.and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(0)
}

/// A stream of which only the first answer's head is read.
struct Collector {
    stream: Stream,
    head: Vec<u8>,
    /// What came behind the head.
    early: Vec<u8>,
    /// How much of the head was handed over, once it is complete.
    at: Option<usize>,
}

impl Collector {
    /// Reads on until the blank line.
    fn poll_collect(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.at.is_none() {
            let mut gulp = [0; GULP_BYTES];
            let count = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut gulp))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            // The blank line may begin in what was there before.
            let from = self.head.len().saturating_sub(3);
            self.head.extend_from_slice(&gulp[..count]);
            let blank = self.head[from..].windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(place) = blank {
                self.early = self.head.split_off(from + place + 4);
                self.at = Some(0);
            } else if self.head.len() > UPGRADE_HEAD_BYTES_MAX - GULP_BYTES {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Collector {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_collect(cx))?;
        let rest = this.head.get(this.at.unwrap_or(0)..).unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        this.at = this.at.map(|at| at + count);
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Collector {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
