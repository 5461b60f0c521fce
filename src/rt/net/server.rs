//! A small HTTP/1.1 server: hyper over smol, one task for each connection.
//!
//! What it adds to hyper is limits. A connection that says nothing, says it slowly, sends too
//! much or does not read is ended by a deadline, and the number of connections is bounded: at the
//! bound, new ones wait in the listening socket. A stop lets requests that are being answered
//! finish, and no longer than [`Limits::grace`].

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_rustls::TlsAcceptor;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use smol::channel::{Receiver, Sender, bounded};
use smol::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use smol::lock::{Semaphore, SemaphoreGuardArc};
use smol::net::TcpListener;
use smol_hyper::rt::{FuturesIo, SmolTimer};

use crate::base::limits;
use crate::rt::clock;
use crate::rt::executor::{Spawner, Tier};

/// A connection's bytes, whatever carries them.
pub trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// A boxed [`Io`].
pub type Stream = Box<dyn Io>;

/// Where connections come in.
#[derive(Clone)]
pub enum Door {
    /// Plain TCP.
    Tcp(TcpListener),
    /// TLS over TCP.
    Tls(TcpListener, TlsAcceptor),
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Door::Tcp(_) => "Tcp",
            Door::Tls(..) => "Tls",
        })
    }
}

/// What one server allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// From the accept, or the last answer, to the end of the next request's head; so it bounds
    /// TLS handshakes, slow heads and idle connections alike.
    pub idle: Duration,
    /// From a request's head to the end of its body.
    pub body: Duration,
    /// How long a stop waits for answers that are under way.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: limits::SERVER_CONNECTIONS_MAX,
            head_bytes: limits::SERVER_HEAD_BYTES_MAX,
            body_bytes: limits::SERVER_BODY_BYTES_MAX,
            idle: limits::SERVER_IDLE,
            body: limits::SERVER_BODY_DEADLINE,
            grace: limits::SERVER_GRACE,
        }
    }
}

/// One request, its body read.
#[derive(Debug)]
pub struct Request {
    /// `GET`, `POST` …, in capitals.
    pub method: String,
    /// The path, as it was sent: percent-encoded and without the query.
    pub path: String,
    /// What follows the question mark; empty if nothing does.
    pub query: String,
    /// The body, at most [`Limits::body_bytes`].
    pub body: Vec<u8>,
    /// The other side's address, if it is known.
    pub peer: Option<SocketAddr>,
    headers: HeaderMap,
}

impl Request {
    /// The value of the header `name` (in any case), if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The decoded value of the query parameter `key`.
    #[must_use]
    pub fn param(&self, key: &str) -> Option<String> {
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.filter(|(name, _)| decode(name) == key).map(|(_, value)| decode(value)).next()
    }
}

/// What an answer carries.
pub enum Body {
    /// All of it at once.
    Bytes(Vec<u8>),
    /// Piece by piece, each sent when it comes (chunked), until the stream ends.
    Stream(Pin<Box<dyn smol::stream::Stream<Item = Vec<u8>>>>),
    /// No answer at all: the connection ends. Only a server that plays a broken one wants this.
    Cut,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Body::Stream(_) => f.write_str("Stream"),
            Body::Cut => f.write_str("Cut"),
        }
    }
}

/// Takes over the connection after a 101.
pub type Upgrade = Box<dyn FnOnce(Stream) -> Pin<Box<dyn Future<Output = ()>>>>;

/// One answer.
pub struct Response {
    /// The status code; one that HTTP does not know becomes 500.
    pub status: u16,
    /// The content type; empty for none.
    pub content_type: &'static str,
    /// Further headers. Those whose name or value HTTP does not allow are left out.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
    /// With status 101: what the connection is handed to.
    pub upgrade: Option<Upgrade>,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({}, {:?})", self.status, self.body)
    }
}

impl Response {
    /// An answer without a body.
    #[must_use]
    pub fn empty(status: u16) -> Response {
        let body = Body::Bytes(Vec::new());
        Response { status, content_type: "", headers: Vec::new(), body, upgrade: None }
    }

    /// An answer in plain text.
    #[must_use]
    pub fn text(status: u16, text: &str) -> Response {
        let body = Body::Bytes(text.as_bytes().to_vec());
        let content_type = "text/plain; charset=utf-8";
        Response { content_type, body, ..Response::empty(status) }
    }

    /// An answer in JSON, already written.
    #[must_use]
    pub fn json(status: u16, json: impl Into<Vec<u8>>) -> Response {
        let body = Body::Bytes(json.into());
        Response { content_type: "application/json", body, ..Response::empty(status) }
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Response {
        self.headers.push((name, value.into()));
        self
    }
}

/// A server that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Server {
    /// Closing it asks every task to end.
    stop: Sender<Infallible>,
    /// Ends when the last task has.
    ended: Receiver<Infallible>,
}

impl Server {
    /// Accepts no more, lets answers finish within [`Limits::grace`], and returns when the last
    /// connection is closed.
    pub async fn stop(self) {
        self.stop.close();
        let _ = self.ended.recv().await;
    }
}

/// What all connections of a server share.
struct Shared<H> {
    handler: H,
    limits: Limits,
    stop: Receiver<Infallible>,
    places: Arc<Semaphore>,
    spawner: Spawner,
}

/// Serves what comes in at `door` by `handler`, which may take its time: other connections are
/// served meanwhile.
pub fn serve<H, F>(door: Door, spawner: &Spawner, limits: Limits, handler: H) -> Server
where
    H: Fn(Request) -> F + 'static,
    F: Future<Output = Response> + 'static,
{
    let (stop, stopped) = bounded(1);
    let (running, ended) = bounded(1);
    let places = Arc::new(Semaphore::new(limits.connections));
    let shared = Shared { handler, limits, stop: stopped, places, spawner: spawner.clone() };
    spawner.spawn(Tier::Wire, "server", accept_all(door, Rc::new(shared), running)).detach();
    Server { stop, ended }
}

/// What a connection holds while it lives: its place, and the sign that a task still runs.
struct Held {
    _place: SemaphoreGuardArc,
    _running: Sender<Infallible>,
}

async fn accept_all<H, F>(door: Door, shared: Rc<Shared<H>>, running: Sender<Infallible>)
where
    H: Fn(Request) -> F + 'static,
    F: Future<Output = Response> + 'static,
{
    let stopped = async {
        let _ = shared.stop.recv().await;
    };
    let accepting = async {
        loop {
            let place = shared.places.acquire_arc().await;
            match accept(&door).await {
                Ok((stream, peer)) => {
                    let held = Held { _place: place, _running: running.clone() };
                    let task = connection(shared.clone(), stream, peer, held);
                    shared.spawner.spawn(Tier::Wire, "server", task).detach();
                }
                // Out of descriptors, or a client that left already: neither ends a server.
                Err(_) => clock::sleep(limits::ACCEPT_PAUSE).await,
            }
        }
    };
    smol::future::or(stopped, accepting).await;
}

/// A connection as it came in; its TLS handshake, if any, is still to do.
enum Raw {
    Ready(Stream),
    Tls(Box<futures_rustls::Accept<smol::net::TcpStream>>),
}

async fn accept(door: &Door) -> io::Result<(Raw, Option<SocketAddr>)> {
    let (Door::Tcp(listener) | Door::Tls(listener, _)) = door;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    // A client that takes nothing of what we send must not hold its place for ever.
    let patience_ms = u32::try_from(limits::TCP_USER_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    rustix::net::sockopt::set_tcp_user_timeout(&stream, patience_ms)?;
    let raw = match door {
        Door::Tls(_, acceptor) => Raw::Tls(Box::new(acceptor.accept(stream))),
        Door::Tcp(_) => Raw::Ready(Box::new(stream)),
    };
    Ok((raw, Some(peer)))
}

async fn connection<H, F>(shared: Rc<Shared<H>>, raw: Raw, peer: Option<SocketAddr>, held: Held)
where
    H: Fn(Request) -> F + 'static,
    F: Future<Output = Response> + 'static,
{
    let io = match raw {
        Raw::Ready(stream) => stream,
        Raw::Tls(handshake) => {
            let deadline = clock::now() + shared.limits.idle;
            match clock::timeout(deadline, *handshake).await {
                Some(Ok(stream)) => Box::new(stream) as Stream,
                // A failed handshake has told the client why by itself.
                Some(Err(_)) | None => return,
            }
        }
    };
    let upgrade = Rc::new(RefCell::new(None));
    let service =
        service_fn(|request| Box::pin(answer(shared.clone(), request, peer, upgrade.clone())));
    let mut http = http1::Builder::new()
        .timer(SmolTimer::new())
        .header_read_timeout(shared.limits.idle)
        .max_buf_size(shared.limits.head_bytes)
        .serve_connection(FuturesIo::new(io), service);
    let mut stopped = pin!(shared.stop.recv());
    let mut grace = None;
    let served = poll_fn(|cx| {
        if grace.is_none() && stopped.as_mut().poll(cx).is_ready() {
            Pin::new(&mut http).graceful_shutdown();
            grace = Some(smol::Timer::after(shared.limits.grace));
        }
        if grace.as_mut().is_some_and(|grace| Pin::new(grace).poll(cx).is_ready()) {
            return Poll::Ready(false);
        }
        http.poll_without_shutdown(cx).map(|result| result.is_ok())
    });
    if !served.await {
        return;
    }
    let mut io = http.into_parts().io.into_inner();
    let upgrade = upgrade.borrow_mut().take();
    match upgrade {
        Some(upgrade) => upgrade(io).await,
        // The client may be gone, and then there is nothing to close.
        None => drop(io.close().await),
    }
    drop(held);
}

/// The answer was to be none.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut off on purpose")
    }
}

impl std::error::Error for Cut {}

async fn answer<H, F>(
    shared: Rc<Shared<H>>,
    request: hyper::Request<Incoming>,
    peer: Option<SocketAddr>,
    upgrade: Rc<RefCell<Option<Upgrade>>>,
) -> Result<hyper::Response<Payload>, Cut>
where
    H: Fn(Request) -> F,
    F: Future<Output = Response>,
{
    let (head, body) = request.into_parts();
    let deadline = clock::now() + shared.limits.body;
    let body = Limited::new(body, shared.limits.body_bytes).collect();
    let refused = |status| convert(Response::text(status, "the request's body was not taken\n"));
    let body = match clock::timeout(deadline, body).await {
        Some(Ok(body)) => body.to_bytes().into(),
        Some(Err(fault)) if fault.is::<http_body_util::LengthLimitError>() => return refused(413),
        Some(Err(_)) => return refused(400),
        None => return refused(408),
    };
    let mut response = (shared.handler)(Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        body,
        peer,
        headers: head.headers,
    })
    .await;
    *upgrade.borrow_mut() = response.upgrade.take();
    convert(response)
}

fn convert(response: Response) -> Result<hyper::Response<Payload>, Cut> {
    let payload = match response.body {
        Body::Bytes(bytes) => Payload::Whole(Some(bytes.into())),
        Body::Stream(stream) => Payload::Pieces(stream),
        Body::Cut => return Err(Cut),
    };
    let mut converted = hyper::Response::new(payload);
    *converted.status_mut() = hyper::StatusCode::from_u16(response.status)
        .unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = converted.headers_mut();
    if !response.content_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(response.content_type));
    }
    for (name, value) in response.headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::try_from(value))
        {
            headers.append(name, value);
        }
    }
    Ok(converted)
}

/// [`Body`] as hyper takes it.
enum Payload {
    Whole(Option<Bytes>),
    Pieces(Pin<Box<dyn smol::stream::Stream<Item = Vec<u8>>>>),
}

impl HttpBody for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut *self {
            Payload::Whole(bytes) => Poll::Ready(bytes.take()),
            Payload::Pieces(stream) => {
                stream.as_mut().poll_next(cx).map(|piece| piece.map(Bytes::from))
            }
        };
        piece.map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Payload::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Payload::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Payload::Pieces(_) => SizeHint::default(),
        }
    }
}

/// `%41+b` as `A b`; what is not an escape stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escape = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let escaped = escape.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
