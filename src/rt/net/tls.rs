//! TLS by rustls with ring: one configuration for all connections, so that sessions resume.

use std::fmt;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use smol::Async;
use smol::io::{AsyncRead, AsyncWrite};

use super::tcp;
use crate::base::end::DialFault;
use crate::base::limits::TLS_SESSIONS_MAX;

/// A file of certificate authorities that cannot be used, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadCa(String);

impl fmt::Display for BadCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What we trust.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ClientConfig>,
}

impl Tls {
    /// Trusts the public authorities, and those in the PEM file `extra`.
    ///
    /// # Errors
    /// The file cannot be read, or there is no usable certificate in it.
    pub fn new(extra: Option<&Path>) -> Result<Tls, BadCa> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
        if let Some(path) = extra {
            trust_file(&mut roots, path)
                .map_err(|why| BadCa(format!("{}: {why}", path.display())))?;
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| BadCa(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(TLS_SESSIONS_MAX);
        Ok(Tls { config: Arc::new(config) })
    }

    /// Shakes hands with `host` over `stream`, which may be TLS to a proxy already.
    ///
    /// # Errors
    /// [`DialFault::Clock`], [`DialFault::Tls`], or [`DialFault::Lost`].
    pub async fn connect(&self, host: &str, stream: Stream) -> Result<Stream, DialFault> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| DialFault::Forbidden)?;
        let connector = TlsConnector::from(self.config.clone());
        let stream = match stream {
            Stream::Plain(tcp) => {
                connector.connect(name, tcp).await.map(|stream| Stream::Tls(Box::new(stream)))
            }
            Stream::Tls(outer) => {
                connector.connect(name, outer).await.map(|stream| Stream::Nested(Box::new(stream)))
            }
            Stream::Nested(_) => return Err(DialFault::Forbidden),
        };
        stream.map_err(|error| dial_fault(&error))
    }
}

/// Adds the certificates of a PEM file.
fn trust_file(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let pem = std::fs::read(path).map_err(|error| error.to_string())?;
    let mut certificates = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
        certificates += 1;
    }
    if certificates == 0 { Err("no certificate in it".into()) } else { Ok(()) }
}

/// What a failed handshake means.
fn dial_fault(error: &io::Error) -> DialFault {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        )) => DialFault::Clock,
        Some(_) => DialFault::Tls,
        None => DialFault::Lost,
    }
}

/// A connection, with or without TLS.
#[derive(Debug)]
pub enum Stream {
    /// Bare TCP.
    Plain(Async<TcpStream>),
    /// TLS over TCP; boxed, since its state is large.
    Tls(Box<TlsStream<Async<TcpStream>>>),
    /// TLS within the TLS to a proxy.
    Nested(Box<TlsStream<Box<TlsStream<Async<TcpStream>>>>>),
}

impl Stream {
    /// The TCP socket underneath.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Plain(stream) => stream.get_ref(),
            Stream::Tls(stream) => stream.get_ref().0.get_ref(),
            Stream::Nested(stream) => stream.get_ref().0.get_ref().0.get_ref(),
        }
    }

    /// Closes with a reset; what was not yet sent is thrown away.
    pub fn abort(self) {
        tcp::reset_on_drop(self.tcp());
    }
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
            Stream::Nested(stream) => Pin::new(stream).poll_read(cx, buf),
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
            Stream::Nested(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Nested(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Shuts down our half; the other side's is still read. (The streams underneath only flush.)
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(match &mut *self {
            Stream::Plain(stream) => Pin::new(stream).poll_close(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_close(cx),
            Stream::Nested(stream) => Pin::new(stream).poll_close(cx),
        })?;
        Poll::Ready(self.tcp().shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use futures_rustls::TlsAcceptor;
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd,
    };
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use smol::io::{AsyncReadExt, AsyncWriteExt};

    /// An authority of the test's own, and servers with certificates of it.
    pub(in crate::rt::net) struct Authority(CertifiedIssuer<'static, KeyPair>);

    impl Authority {
        pub(in crate::rt::net) fn new() -> Authority {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
        }

        /// What a client must be given to trust it.
        pub(in crate::rt::net) fn pem(&self) -> String {
            self.0.pem()
        }

        /// A server called `host`, with a certificate that is valid until the end of `year`.
        pub(in crate::rt::net) fn server(&self, host: &str, year: i32) -> TlsAcceptor {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new([host.to_owned()]).unwrap();
            params.not_after = date_time_ymd(year, 12, 31);
            let certificate = params.signed_by(&key, &self.0).unwrap();
            let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(
                    vec![certificate.der().clone()],
                    PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
                )
                .unwrap();
            TlsAcceptor::from(Arc::new(config))
        }

        /// A client that trusts it.
        pub(in crate::rt::net) fn client(&self) -> Tls {
            let file = crate::rt::store::tests::Scratch::new();
            let path = file.path().join("ca.pem");
            std::fs::write(&path, self.pem()).unwrap();
            Tls::new(Some(&path)).unwrap()
        }
    }

    /// Both ends of a TCP connection over loopback.
    pub(in crate::rt::net) fn pair() -> (Async<TcpStream>, Async<TcpStream>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        (Async::new(near).unwrap(), Async::new(far).unwrap())
    }

    /// Shakes hands; what the client says of it.
    fn handshake(tls: &Tls, acceptor: &TlsAcceptor) -> Result<Stream, DialFault> {
        let (near, far) = pair();
        smol::block_on(async {
            let server = async {
                if let Ok(mut stream) = acceptor.accept(far).await {
                    stream.write_all(b"hello").await.unwrap();
                    stream.close().await.unwrap();
                }
            };
            let client = async {
                let mut stream = tls.connect("bot.example", Stream::Plain(near)).await?;
                let mut heard = Vec::new();
                stream.read_to_end(&mut heard).await.unwrap();
                assert_eq!(heard, b"hello");
                Ok(stream)
            };
            smol::future::zip(server, client).await.1
        })
    }

    #[test]
    fn a_known_authority_is_trusted_and_sessions_resume() {
        let authority = Authority::new();
        let (tls, acceptor) = (authority.client(), authority.server("bot.example", 2999));
        let kinds = [(); 2].map(|()| match handshake(&tls, &acceptor).unwrap() {
            Stream::Tls(stream) => stream.get_ref().1.handshake_kind().unwrap(),
            Stream::Plain(_) | Stream::Nested(_) => panic!("no TLS"),
        });
        assert_eq!(kinds, [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed]);
    }

    #[test]
    fn certificates_fail_for_the_reason_that_they_have() {
        let authority = Authority::new();
        let fault = |tls: &Tls, acceptor| handshake(tls, &acceptor).unwrap_err();
        let tls = authority.client();
        assert_eq!(fault(&tls, authority.server("bot.example", 2001)), DialFault::Clock);
        assert_eq!(fault(&tls, authority.server("other.example", 2999)), DialFault::Tls);
        let stranger = Tls::new(None).unwrap();
        assert_eq!(fault(&stranger, authority.server("bot.example", 2999)), DialFault::Tls);
    }

    #[test]
    fn a_cut_and_a_stranger_are_told_apart() {
        let tls = Tls::new(None).unwrap();
        smol::block_on(async {
            let (near, far) = pair();
            drop(far);
            assert_eq!(
                tls.connect("bot.example", Stream::Plain(near)).await.unwrap_err(),
                DialFault::Lost
            );
            let (near, mut far) = pair();
            far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            assert_eq!(
                tls.connect("bot.example", Stream::Plain(near)).await.unwrap_err(),
                DialFault::Tls
            );
        });
    }

    #[test]
    fn a_bad_authority_file_is_named() {
        let scratch = crate::rt::store::tests::Scratch::new();
        let path = scratch.path().join("ca.pem");
        let complaint = || Tls::new(Some(&path)).unwrap_err().to_string();
        assert!(complaint().contains("ca.pem"), "{}", complaint());
        std::fs::write(&path, "nothing of use").unwrap();
        assert!(complaint().contains("no certificate"), "{}", complaint());
    }
}
