//! A small HTTP/1.1 server: hyper over smol, one task for each connection.
//!
//! What it adds to hyper is limits. A connection that says nothing, says it slowly, sends too
//! much or does not read is ended by a deadline, and the number of connections is bounded: at the
//! bound, the one that has waited longest for its client makes room for a new one, so that a crowd
//! of silent clients cannot keep out one that has something to say; if all are at work, new ones
//! wait.
//!
//! A stop lets requests that are being answered finish, and no longer than [`Limits::grace`]; who
//! has not asked by then is told 503. No connection that was accepted is dropped without a word;
//! those that were not stay in the listening socket, for whoever listens there next, unless nobody
//! will.

mod payload;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_rustls::TlsAcceptor;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use smol::channel::{Receiver, Sender, bounded};
use smol::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use smol::lock::{Semaphore, SemaphoreGuardArc};
use smol::net::TcpListener;
use smol::net::unix::UnixListener;
use smol::stream::Stream as Flow;
use smol_hyper::rt::{FuturesIo, SmolTimer};

use self::payload::{Payload, Pieces};
use crate::base::limits;
use crate::rt::executor::{Spawner, Tier};
use crate::rt::{clock, process};

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
    /// A Unix socket.
    Unix(UnixListener),
}

impl Door {
    /// The listening socket, once more.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn socket(&self) -> io::Result<OwnedFd> {
        match self {
            Door::Tcp(listener) | Door::Tls(listener, _) => listener.as_fd().try_clone_to_owned(),
            Door::Unix(listener) => listener.as_fd().try_clone_to_owned(),
        }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Door::Tcp(_) => "Tcp",
            Door::Tls(..) => "Tls",
            Door::Unix(_) => "Unix",
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
    /// Whose process the other side is, over a Unix socket.
    pub uid: Option<u32>,
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
    /// One piece after the other, until there are no more. It is dropped when the client goes.
    Pieces(Pin<Box<dyn Flow<Item = Vec<u8>>>>),
    /// No answer at all: the connection ends. Only a server that plays a broken one wants this.
    Cut,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Body::Pieces(_) => f.write_str("Pieces"),
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

/// What becomes of the connections that were made and not yet accepted when a server stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rest {
    /// They are accepted, and end like those that were: nobody listens there next.
    Serve,
    /// They wait for whoever listens there next.
    Leave,
}

/// A server that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Server {
    /// What [`Server::stop`] wants.
    rest: Rc<Cell<Rest>>,
    /// Closing it asks every task to end.
    stop: Sender<Infallible>,
    /// Ends when the last task has.
    ended: Receiver<Infallible>,
}

impl Server {
    /// Accepts no more, lets answers finish within [`Limits::grace`], and returns when the last
    /// connection is closed.
    pub async fn stop(self, rest: Rest) {
        self.rest.set(rest);
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
    waiting: Rc<Waiting>,
    spawner: Spawner,
    rest: Rc<Cell<Rest>>,
}

/// The connections that wait for their clients, the longest first.
#[derive(Default)]
struct Waiting {
    line: RefCell<VecDeque<(u64, Sender<Infallible>)>>,
    count: Cell<u64>,
}

/// A connection's place among those that wait.
struct Turn {
    waiting: Rc<Waiting>,
    number: u64,
    evict: Sender<Infallible>,
    evicted: Receiver<Infallible>,
    /// Whether a request has come, and whether one was answered, be it in part.
    asked: Cell<bool>,
    answered: Cell<bool>,
}

impl Waiting {
    fn turn(self: &Rc<Waiting>) -> Turn {
        let (evict, evicted) = bounded(1);
        self.count.set(self.count.get() + 1);
        let number = self.count.get();
        let waiting = self.clone();
        let (asked, answered) = Default::default();
        let turn = Turn { waiting, number, evict, evicted, asked, answered };
        turn.wait();
        turn
    }

    /// Ends the one that has waited longest.
    fn evict(&self) {
        if let Some((_, evict)) = self.line.borrow_mut().pop_front() {
            evict.close();
        }
    }
}

impl Turn {
    /// From now on it waits for its client.
    fn wait(&self) {
        self.work();
        self.waiting.line.borrow_mut().push_back((self.number, self.evict.clone()));
    }

    /// From now on its client waits for us.
    fn work(&self) {
        self.waiting.line.borrow_mut().retain(|(number, _)| *number != self.number);
    }

    /// Ends when it has to make room.
    async fn evicted(&self) {
        let _ = self.evicted.recv().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.work();
    }
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
    let rest = Rc::new(Cell::new(Rest::Serve));
    let shared = Shared {
        handler,
        limits,
        stop: stopped,
        places,
        waiting: Rc::default(),
        spawner: spawner.clone(),
        rest: rest.clone(),
    };
    spawner.spawn(Tier::Wire, "server", accept_all(door, Rc::new(shared), running)).detach();
    Server { rest, stop, ended }
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
    loop {
        let stopped = async {
            let _ = shared.stop.recv().await;
            None
        };
        match smol::future::or(stopped, async { Some(accept(&door).await) }).await {
            Some(Ok(accepted)) => take_in(&shared, accepted, &running).await,
            // Out of descriptors, or a client that left already: neither ends a server.
            Some(Err(_)) => clock::sleep(limits::ACCEPT_PAUSE).await,
            None => break,
        }
    }
    // As many as can wait there, and no more: they may keep coming.
    for _ in 0..limits::LISTEN_BACKLOG {
        if shared.rest.get() == Rest::Leave {
            break;
        }
        match smol::future::poll_once(accept(&door)).await {
            Some(Ok(accepted)) => take_in(&shared, accepted, &running).await,
            Some(Err(_)) => {}
            None => break,
        }
    }
}

/// Serves one more. It waits for a place even during a stop: then each connection gives up its own
/// soon.
async fn take_in<H, F>(
    shared: &Rc<Shared<H>>,
    (stream, peer): (Raw, Peer),
    running: &Sender<Infallible>,
) where
    H: Fn(Request) -> F + 'static,
    F: Future<Output = Response> + 'static,
{
    let place = if let Some(place) = shared.places.try_acquire_arc() {
        place
    } else {
        shared.waiting.evict();
        shared.places.acquire_arc().await
    };
    let held = Held { _place: place, _running: running.clone() };
    let task = connection(shared.clone(), stream, peer, held);
    shared.spawner.spawn(Tier::Wire, "server", task).detach();
}

/// A connection as it came in; its TLS handshake, if any, is still to do.
enum Raw {
    Ready(Stream),
    Tls(Box<futures_rustls::Accept<smol::net::TcpStream>>),
}

/// Who is at the other side.
#[derive(Clone, Copy, Default)]
struct Peer {
    address: Option<SocketAddr>,
    uid: Option<u32>,
}

async fn accept(door: &Door) -> io::Result<(Raw, Peer)> {
    let listener = match door {
        Door::Tcp(listener) | Door::Tls(listener, _) => listener,
        Door::Unix(listener) => {
            let (stream, _) = listener.accept().await?;
            let peer = rustix::net::sockopt::socket_peercred(&stream)?;
            // A program that we have put walls around must not get out by way of us, though it
            // runs as our own user.
            let is_stranger = process::is_confined(peer.pid.as_raw_nonzero().get());
            let uid = (!is_stranger).then(|| peer.uid.as_raw());
            return Ok((Raw::Ready(Box::new(stream)), Peer { address: None, uid }));
        }
    };
    let (stream, address) = listener.accept().await?;
    stream.set_nodelay(true)?;
    // A client that takes nothing of what we send must not hold its place for ever.
    let patience_ms = u32::try_from(limits::TCP_USER_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    rustix::net::sockopt::set_tcp_user_timeout(&stream, patience_ms)?;
    let raw = match door {
        Door::Tls(_, acceptor) => Raw::Tls(Box::new(acceptor.accept(stream))),
        _ => Raw::Ready(Box::new(stream)),
    };
    Ok((raw, Peer { address: Some(address), uid: None }))
}

/// The connection after its TLS handshake, if one is to do and succeeds.
async fn ready(raw: Raw, turn: &Turn, patience: Duration) -> Option<Stream> {
    let handshake = match raw {
        Raw::Ready(stream) => return Some(stream),
        Raw::Tls(handshake) => handshake,
    };
    let evicted = async {
        turn.evicted().await;
        None
    };
    match smol::future::or(clock::timeout(clock::now() + patience, *handshake), evicted).await {
        Some(Ok(stream)) => Some(Box::new(stream)),
        // A failed handshake has told the client why by itself.
        Some(Err(_)) | None => None,
    }
}

async fn connection<H, F>(shared: Rc<Shared<H>>, raw: Raw, peer: Peer, held: Held)
where
    H: Fn(Request) -> F + 'static,
    F: Future<Output = Response> + 'static,
{
    let turn = Rc::new(shared.waiting.turn());
    let Some(io) = ready(raw, &turn, shared.limits.idle).await else { return };
    let upgrade = Rc::new(RefCell::new(None));
    let service = service_fn(|request| {
        let (shared, turn, upgrade) = (shared.clone(), turn.clone(), upgrade.clone());
        Box::pin(answer(shared, request, peer, turn, upgrade))
    });
    let mut http = http1::Builder::new()
        .timer(SmolTimer::new())
        .header_read_timeout(shared.limits.idle)
        .max_buf_size(shared.limits.head_bytes)
        .serve_connection(FuturesIo::new(io), service);
    let mut stopped = pin!(shared.stop.recv());
    let mut evicted = pin!(turn.evicted());
    let (mut grace, mut is_told) = (None, false);
    let end = poll_fn(|cx| {
        if grace.is_none() && stopped.as_mut().poll(cx).is_ready() {
            grace = Some(smol::Timer::after(shared.limits.grace));
        }
        loop {
            // First of all: a request that has come by now is one that is answered.
            if let Poll::Ready(result) = http.poll_without_shutdown(cx) {
                return Poll::Ready(if result.is_ok() { End::Served } else { End::Cut });
            }
            // Hyper would close a connection on which nothing has come yet without a word.
            if is_told || grace.is_none() || !turn.asked.get() {
                break;
            }
            Pin::new(&mut http).graceful_shutdown();
            is_told = true;
        }
        if grace.as_mut().is_some_and(|grace| Pin::new(grace).poll(cx).is_ready()) {
            return Poll::Ready(End::Late);
        }
        evicted.as_mut().poll(cx).map(|()| End::Cut)
    })
    .await;
    let mut io = http.into_parts().io.into_inner();
    match end {
        End::Served => {}
        End::Late if !turn.answered.get() => return turn_away(io).await,
        End::Late | End::Cut => return,
    }
    let upgrade = upgrade.borrow_mut().take();
    match upgrade {
        Some(upgrade) => {
            turn.work();
            upgrade(io).await;
        }
        // The client may be gone, and then there is nothing to close.
        None => drop(io.close().await),
    }
    drop(held);
}

/// How serving a connection by HTTP ended.
enum End {
    /// By itself, or by an upgrade.
    Served,
    /// By an error, or to make room.
    Cut,
    /// The server stops, and its patience is over.
    Late,
}

/// What one is told who has connected, and has not been answered when the server stops.
const AWAY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\
    connection: close\r\ncontent-length: 0\r\n\r\n";

/// Tells the client to come again, and waits a moment for it to take that in: a connection that is
/// dropped with something unread takes back what was written.
async fn turn_away(mut io: Stream) {
    let told = async {
        io.write_all(AWAY).await?;
        io.close().await?;
        smol::io::copy(io, smol::io::sink()).await
    };
    let _ = clock::timeout(clock::now() + limits::TURN_AWAY, told).await;
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
    peer: Peer,
    turn: Rc<Turn>,
    upgrade: Rc<RefCell<Option<Upgrade>>>,
) -> Result<hyper::Response<Payload>, Cut>
where
    H: Fn(Request) -> F,
    F: Future<Output = Response>,
{
    turn.asked.set(true);
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
    turn.work();
    let mut response = (shared.handler)(Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        body,
        peer: peer.address,
        uid: peer.uid,
        headers: head.headers,
    })
    .await;
    turn.answered.set(true);
    *upgrade.borrow_mut() = response.upgrade.take();
    let is_streamed = matches!(response.body, Body::Pieces(_));
    if upgrade.borrow().is_none() && !is_streamed {
        turn.wait();
    }
    let mut converted = convert(response)?;
    if is_streamed {
        // Until the last piece its client waits for us.
        converted.body_mut().turn = Some(turn);
    }
    Ok(converted)
}

fn convert(response: Response) -> Result<hyper::Response<Payload>, Cut> {
    let content = match response.body {
        Body::Bytes(bytes) => Pieces::Whole(Some(bytes.into())),
        Body::Pieces(pieces) => Pieces::Each(pieces),
        Body::Cut => return Err(Cut),
    };
    let payload = Payload { content, turn: None };
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

#[cfg(test)]
mod tests {
    use smol::io::AsyncReadExt;
    use smol::net::TcpStream;

    use super::*;
    use crate::rt::executor::run;

    const SOON: Duration = Duration::from_millis(100);

    /// Runs `test` against a server with `limits`, given its address, that echoes bodies; `/slow`
    /// waits for its gate, `/up` upgrades, `/cut` does not answer.
    fn with<F>(limits: Limits, test: impl FnOnce(SocketAddr) -> F + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        with_server(limits, |address, server, _| async move {
            test(address).await;
            drop(server);
        });
    }

    fn with_server<F>(limits: Limits, test: impl FnOnce(SocketAddr, Server, Gate) -> F + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        run(|spawner| async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let ((entered, seen), (go, wait)) = (bounded(1), bounded(1));
            let server = serve(Door::Tcp(listener), &spawner, limits, move |request| {
                answer_all(request, entered.clone(), wait.clone())
            });
            let gate = Gate { seen, go };
            let patience = clock::now() + Duration::from_secs(10);
            clock::timeout(patience, test(address, server, gate)).await.expect("the test hangs");
        });
    }

    /// Where a request to `/slow` waits: it is seen to be there, and goes on when told.
    struct Gate {
        seen: Receiver<()>,
        go: Sender<()>,
    }

    async fn answer_all(request: Request, entered: Sender<()>, wait: Receiver<()>) -> Response {
        match request.path.as_str() {
            "/slow" => {
                let _ = entered.send(()).await;
                let _ = wait.recv().await;
                Response::text(200, "at last")
            }
            "/up" => {
                let shout = |mut io: Stream| async move {
                    let mut word = [0; 3];
                    io.read_exact(&mut word).await.unwrap();
                    io.write_all(&word.map(|byte| byte.to_ascii_uppercase())).await.unwrap();
                };
                let upgrade: Upgrade = Box::new(move |io| Box::pin(shout(io)));
                let response = Response { upgrade: Some(upgrade), ..Response::empty(101) };
                response.with("connection", "upgrade").with("upgrade", "shouting")
            }
            "/cut" => Response { body: Body::Cut, ..Response::empty(200) },
            _ => {
                let agent = request.header("User-Agent").unwrap_or("nobody").to_owned();
                let text = String::from_utf8_lossy(&request.body).into_owned();
                let q = request.param("q").unwrap_or_default();
                Response::text(200, &format!("{agent} {} {q} {text}", request.method))
            }
        }
    }

    async fn dial(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).await.unwrap()
    }

    async fn write(tcp: &mut TcpStream, text: &str) {
        tcp.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until `end` has come, or the stream's end.
    async fn read_to(tcp: &mut TcpStream, end: &str) -> String {
        let (mut text, mut byte) = (String::new(), [0]);
        while !text.ends_with(end) || end.is_empty() {
            match tcp.read(&mut byte).await {
                Ok(1) => text.push(char::from(byte[0])),
                _ => break,
            }
        }
        text
    }

    #[test]
    fn a_connection_serves_one_request_after_another() {
        with(Limits::default(), |address| async move {
            let mut tcp = dial(address).await;
            for text in ["first", "other"] {
                let head = "POST /x?a=b&q=1%2B1+%C3%BC HTTP/1.1\r\nhost: x\r\nuser-agent: me\r\n";
                write(&mut tcp, &format!("{head}content-length: 5\r\n\r\n{text}")).await;
                let answer = read_to(&mut tcp, text).await;
                assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
                assert!(answer.contains("me POST 1+1 "), "{answer}");
            }
        });
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let limits = Limits { body_bytes: 10, head_bytes: 8192, ..Limits::default() };
        with(limits, |address| async move {
            let mut tcp = dial(address).await;
            write(&mut tcp, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\n01234567890")
                .await;
            assert!(read_to(&mut tcp, "\r\n").await.contains(" 413 "));
            let mut tcp = dial(address).await;
            let long = "x".repeat(10_000);
            // The server may have closed before all of it is written.
            let _ =
                tcp.write_all(format!("GET / HTTP/1.1\r\nlong: {long}\r\n\r\n").as_bytes()).await;
            assert!(read_to(&mut tcp, "\r\n").await.contains(" 431 "));
        });
    }

    #[test]
    fn what_is_too_slow_is_ended() {
        let limits = Limits { idle: SOON, body: SOON, ..Limits::default() };
        with(limits, |address| async move {
            let mut silent = dial(address).await;
            assert_eq!(read_to(&mut silent, "").await, "");
            let mut slow_head = dial(address).await;
            write(&mut slow_head, "GET / HT").await;
            assert!(!read_to(&mut slow_head, "").await.contains("200"));
            let mut slow_body = dial(address).await;
            write(&mut slow_body, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n12")
                .await;
            assert!(read_to(&mut slow_body, "\r\n").await.contains(" 408 "));
        });
    }

    #[test]
    fn an_upgrade_hands_the_connection_over() {
        with(Limits::default(), |address| async move {
            let mut tcp = dial(address).await;
            write(
                &mut tcp,
                "GET /up HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: shouting\r\n\r\n",
            )
            .await;
            assert!(read_to(&mut tcp, "\r\n\r\n").await.starts_with("HTTP/1.1 101 "));
            write(&mut tcp, "hey").await;
            assert_eq!(read_to(&mut tcp, "HEY").await, "HEY");
        });
    }

    #[test]
    fn a_cut_is_no_answer() {
        with(Limits::default(), |address| async move {
            let mut tcp = dial(address).await;
            write(&mut tcp, "GET /cut HTTP/1.1\r\nhost: x\r\n\r\n").await;
            assert_eq!(read_to(&mut tcp, "").await, "");
        });
    }

    #[test]
    fn a_stop_lets_answers_finish_and_closes_the_rest() {
        with_server(Limits::default(), |address, server, gate| async move {
            let mut idle = dial(address).await;
            write(&mut idle, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
            read_to(&mut idle, "GET  ").await;
            let mut busy = dial(address).await;
            write(&mut busy, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
            gate.seen.recv().await.unwrap();
            smol::future::zip(server.stop(Rest::Serve), async { gate.go.close() }).await;
            assert!(read_to(&mut busy, "").await.ends_with("at last"));
            assert_eq!(read_to(&mut idle, "").await, "");
            assert!(TcpStream::connect(address).await.is_err(), "nothing listens any more");
        });
    }

    #[test]
    fn a_stop_does_not_wait_for_ever() {
        let limits = Limits { grace: Duration::from_millis(10), ..Limits::default() };
        with_server(limits, |address, server, gate| async move {
            let mut busy = dial(address).await;
            write(&mut busy, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
            let Gate { seen, go: _shut } = gate;
            seen.recv().await.unwrap();
            let silent = dial(address).await;
            let mut half = dial(address).await;
            write(&mut half, "GET / HT").await;
            server.stop(Rest::Serve).await;
            for (name, waiting) in [("busy", busy), ("silent", silent), ("half", half)] {
                let mut waiting = waiting;
                let answer = read_to(&mut waiting, "").await;
                assert!(answer.starts_with("HTTP/1.1 503 "), "{name}: {answer}");
            }
        });
    }

    #[test]
    fn what_waits_in_the_socket_at_a_stop_is_left_or_served_as_is_meant() {
        for rest in [Rest::Serve, Rest::Leave] {
            run(move |spawner| async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let door = Door::Tcp(listener);
                let next = std::net::TcpListener::from(door.socket().unwrap());
                let server = serve(door, &spawner, Limits::default(), |_| async {
                    Response::text(200, "served")
                });
                // The server has not had its turn yet: nothing is accepted.
                let mut early = std::net::TcpStream::connect(address).unwrap();
                io::Write::write_all(&mut early, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
                server.stop(rest).await;
                let is_left = next.accept().is_ok();
                assert_eq!(is_left, rest == Rest::Leave);
                if rest == Rest::Serve {
                    let mut answer = String::new();
                    io::Read::read_to_string(&mut early, &mut answer).unwrap();
                    assert!(answer.ends_with("served"), "{answer}");
                }
            });
        }
    }

    #[test]
    fn connections_beyond_the_bound_wait_for_those_that_are_at_work() {
        let limits = Limits { connections: 1, ..Limits::default() };
        with_server(limits, |address, server, gate| async move {
            let mut first = dial(address).await;
            write(&mut first, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
            gate.seen.recv().await.unwrap();
            let mut second = dial(address).await;
            write(&mut second, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
            let soon = clock::now() + SOON;
            assert!(clock::timeout(soon, read_to(&mut second, "GET  ")).await.is_none());
            gate.go.close();
            assert!(read_to(&mut first, "at last").await.contains("200 OK"));
            drop(first);
            assert!(read_to(&mut second, "GET  ").await.contains("200 OK"));
            drop(server);
        });
    }

    #[test]
    fn a_crowd_that_says_nothing_makes_room_the_longest_silent_first() {
        let limits = Limits { connections: 2, ..Limits::default() };
        with(limits, |address| async move {
            let mut silent = Vec::new();
            for _ in 0..8 {
                silent.push(dial(address).await);
            }
            let mut good = dial(address).await;
            write(&mut good, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
            assert!(read_to(&mut good, "GET  ").await.contains("200 OK"));
            assert_eq!(read_to(&mut silent[0], "").await, "", "ended, without a word");
            // The last of them still has its place.
            write(&mut silent[7], "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
            assert!(read_to(&mut silent[7], "GET  ").await.contains("200 OK"));
        });
    }

    #[test]
    fn escapes_are_decoded_and_rubbish_stays() {
        assert_eq!(decode("a%20b+c"), "a b c");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%4"), "%zz%4");
    }
}
