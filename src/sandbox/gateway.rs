//! The gateway's listeners, and a connection's life: TCP, TLS, upgrade, HELLO, and then one loop
//! over what the client says, what its session has for it, and what faults are played to it.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_tungstenite::accept_hdr_async_with_config;
use async_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use async_tungstenite::tungstenite::protocol::WebSocketConfig;
use futures_rustls::TlsAcceptor;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};
use smol::channel::{Receiver, bounded};
use smol::future::{or, poll_once};
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};

use super::faults::{Deed, Stage};
use super::frames::{self, Deflater, Incoming, Reader};
use super::journal::What;
use super::session::{Dispatch, Next};
use super::{Peer, Poke, Shared};
use crate::base::limit::SlidingWindow;
use crate::base::{Instant, limits};
use crate::rt::clock;
use crate::rt::executor::{Pace, Tier};
use crate::rt::net::server::Stream;

/// A client that has not finished its handshake by then has no more to say.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(15);
/// A client that takes nothing for so long is gone.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);
/// How long the other side's FIN is awaited after ours.
const FIN_DEADLINE: Duration = Duration::from_secs(5);
/// Between op 7 and the end of the connection.
const RECONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Without a `seconds` of its own, a stall takes so long.
const STALL_SECONDS: u64 = 12;
/// What a client may have sent by the time that a stall is over.
const EARLY_BYTES_MAX: usize = 16 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// How long an old connection's end may take to be seen when a new one has come already.
const SETTLE: Duration = Duration::from_millis(20);

/// The ports of the gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entrance {
    /// Named by `GET /gateway/bot`.
    Main,
    /// Named by READY, for RESUME.
    Resume,
}

/// Accepts connections for ever; while a fault says so, nothing listens.
pub async fn listen(
    shared: Rc<Shared>,
    listener: TcpListener,
    entrance: Entrance,
    acceptor: Option<TlsAcceptor>,
) {
    let Ok(address) = listener.local_addr() else { return };
    let (sender, changed) = bounded(1);
    shared.changes.borrow_mut().push(sender);
    let mut door = Door::Open(listener);
    loop {
        door = match (closed_until(&shared, entrance), door) {
            (Some(until), Door::Shut(seat)) => {
                let _ = or(changed.recv(), async {
                    clock::sleep_until(until).await;
                    Ok(())
                })
                .await;
                Door::Shut(seat)
            }
            (Some(_), Door::Open(listener)) => {
                drop(listener);
                Door::Shut(seat(address).await)
            }
            (None, Door::Shut(seat)) => match reopened(seat) {
                Ok(listener) => Door::Open(listener),
                Err(_) => return,
            },
            (None, Door::Open(listener)) => {
                let accepted = or(async { listener.accept().await.ok() }, async {
                    let _ = changed.recv().await;
                    None
                });
                if let Some((tcp, _)) = accepted.await
                    && shared.has_room()
                {
                    let task = life(shared.clone(), tcp, entrance, acceptor.clone());
                    shared.spawner.spawn(Tier::Wire, "sandbox", task).detach();
                }
                Door::Open(listener)
            }
        };
    }
}

/// A port, whether or not somebody listens at it.
enum Door {
    Open(TcpListener),
    /// Bound, so that nobody else gets the port, but not listening, so that it refuses.
    Shut(OwnedFd),
}

async fn seat(address: SocketAddr) -> OwnedFd {
    let bound = || -> io::Result<OwnedFd> {
        let (family, stream) = (AddressFamily::INET, SocketType::STREAM);
        let socket = net::socket_with(family, stream, SocketFlags::CLOEXEC, None)?;
        net::sockopt::set_socket_reuseaddr(&socket, true)?;
        net::bind(&socket, &address)?;
        Ok(socket)
    };
    loop {
        match bound() {
            Ok(socket) => return socket,
            Err(_) => clock::sleep(limits::ACCEPT_PAUSE).await,
        }
    }
}

fn reopened(seat: OwnedFd) -> io::Result<TcpListener> {
    net::listen(&seat, BACKLOG)?;
    TcpListener::try_from(std::net::TcpListener::from(seat))
}

/// Until when nothing listens at `entrance`; `None` if it does.
fn closed_until(shared: &Shared, entrance: Entrance) -> Option<Instant> {
    let everywhere = shared.look(Stage::Listen);
    let here = || match entrance {
        Entrance::Resume => shared.look(Stage::ResumeUrl).filter(|order| order.deed == Deed::Drop),
        Entrance::Main => None,
    };
    let order = everywhere.or_else(here)?;
    Some(order.until.unwrap_or(Instant(u64::MAX)))
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Over {
    /// The client left: with this code, or 1006 without a close frame.
    Left(u16),
    /// We closed, and all that is left is to wait for the other side's FIN.
    Closed,
    /// We reset it.
    Reset,
}

/// One TCP connection, from accept to the other side's FIN.
async fn life(
    shared: Rc<Shared>,
    tcp: TcpStream,
    entrance: Entrance,
    acceptor: Option<TlsAcceptor>,
) {
    let id = shared.next_connection();
    let (sender, pokes) = bounded(64);
    shared.note(id, None, What::Connected);
    settle(&shared).await;
    shared.peers.borrow_mut().insert(id, Peer { pokes: sender, bot: None, live: false });
    shared.journal.borrow_mut().sockets.opened();
    let opening = open(&shared, id, tcp.clone(), entrance, acceptor);
    let bot = match opening.await {
        Some(upgraded) => {
            let mut connection = Connection::new(shared.clone(), id, tcp, upgraded);
            let over = connection.run(&pokes).await;
            connection.finish(over).await;
            connection.bot
        }
        None => None,
    };
    shared.peers.borrow_mut().remove(&id);
    shared.journal.borrow_mut().sockets.closed();
    if let Some(bot) = bot {
        shared.journal.borrow_mut().tally(bot).sockets.closed();
    }
}

/// Lets connections that ended before this one began be counted as ended: their FIN was here
/// first, but their tasks may not have run yet.
async fn settle(shared: &Shared) {
    let deadline = clock::now() + SETTLE;
    while shared.journal.borrow().sockets.open > 0 && clock::now() < deadline {
        clock::sleep(Duration::from_millis(1)).await;
    }
}

/// A connection that speaks WebSocket, and what its URL asked for.
pub(super) struct Upgraded {
    io: Stream,
    compress: bool,
    version: u8,
}

/// TCP, TLS and upgrade, with the faults of each. `None` if it did not come to a WebSocket.
async fn open(
    shared: &Rc<Shared>,
    id: u64,
    tcp: TcpStream,
    entrance: Entrance,
    acceptor: Option<TlsAcceptor>,
) -> Option<Upgraded> {
    tcp.set_nodelay(true).ok()?;
    let mut io = Early { early: Vec::new(), tcp };
    if let Some(order) = shared.take(id, Stage::Accept, None) {
        let seconds = order.args.seconds.unwrap_or(STALL_SECONDS);
        let stalled = || clock::now() + Duration::from_secs(seconds);
        if !io.hold(order.until.unwrap_or_else(stalled)).await {
            shared.note(id, None, What::Left(1006));
            return None;
        }
    }
    if entrance == Entrance::Resume
        && shared.look(Stage::ResumeUrl).is_some_and(|order| order.deed == Deed::Deaf)
    {
        io.hold(Instant(u64::MAX)).await;
        shared.note(id, None, What::Left(1006));
        return None;
    }
    let status = match shared.take(id, Stage::Upgrade, None).map(|order| order.deed) {
        Some(Deed::Status(status)) => Some(status),
        _ => None,
    };
    let deadline = clock::now() + HANDSHAKE_DEADLINE;
    let upgraded = clock::timeout(deadline, upgrade(io, acceptor, status)).await.flatten();
    if upgraded.is_none() {
        shared.note(id, None, What::Left(1006));
    }
    upgraded
}

async fn upgrade(
    io: Early,
    acceptor: Option<TlsAcceptor>,
    status: Option<u16>,
) -> Option<Upgraded> {
    let io: Stream = match acceptor {
        Some(acceptor) => Box::new(acceptor.accept(io).await.ok()?),
        None => Box::new(io),
    };
    let (mut compress, mut version) = (false, 10);
    #[allow(clippy::result_large_err, reason = "the library's own type")]
    let callback = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let query = request.uri().query().unwrap_or_default();
        let value = |key: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
        };
        compress = value("compress") == Some("zlib-stream");
        version = value("v").and_then(|v| v.parse().ok()).unwrap_or(version);
        match status.and_then(|status| hyper::StatusCode::from_u16(status).ok()) {
            Some(status) => {
                let mut refused = ErrorResponse::new(Some("the sandbox says no\n".to_owned()));
                *refused.status_mut() = status;
                refused.headers_mut().insert("retry-after", hyper::header::HeaderValue::from(2));
                Err(refused)
            }
            None => Ok(response),
        }
    };
    let config = WebSocketConfig::default().read_buffer_size(4096);
    let socket = accept_hdr_async_with_config(io, callback, Some(config)).await.ok()?;
    Some(Upgraded { io: socket.into_inner(), compress, version })
}

/// A TCP connection, some bytes of which have been read already.
struct Early {
    early: Vec<u8>,
    tcp: TcpStream,
}

impl Early {
    /// Answers nothing until `until`. False if the client leaves before.
    async fn hold(&mut self, until: Instant) -> bool {
        let reading = async {
            let mut chunk = [0; 1024];
            loop {
                match self.tcp.read(&mut chunk).await {
                    Ok(count @ 1..) if self.early.len() < EARLY_BYTES_MAX => {
                        self.early.extend_from_slice(chunk.get(..count).unwrap_or(&[]));
                    }
                    _ => return,
                }
            }
        };
        clock::timeout(until, reading).await.is_none()
    }
}

impl AsyncRead for Early {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.tcp).poll_read(cx, buf);
        }
        let count = self.early.len().min(buf.len());
        for (to, from) in buf.iter_mut().zip(self.early.drain(..count)) {
            *to = from;
        }
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Early {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_close(cx)
    }
}

/// How events are put on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Style {
    /// A frame for each.
    #[default]
    Plain,
    /// Three frames for each, with pings between.
    Fragments,
    /// Byte by byte.
    Drip,
}

/// A WebSocket connection of the gateway.
pub(super) struct Connection {
    pub(super) shared: Rc<Shared>,
    pub(super) id: u64,
    pub(super) version: u8,
    io: Stream,
    /// The socket below, for what TLS and WebSocket know nothing of.
    tcp: TcpStream,
    reader: Reader,
    deflater: Option<Deflater>,
    pace: Pace,
    pub(super) bot: Option<u64>,
    pub(super) session: Option<u64>,
    pub(super) acks: bool,
    pub(super) style: Style,
    pub(super) data_first: bool,
    pub(super) twice: bool,
    pub(super) sends: SlidingWindow<{ limits::GATEWAY_SENDS_MAX }>,
    /// When the next heartbeat is due; never before HELLO has said how often.
    pub(super) beat_due: Instant,
    /// When the connection ends after an op 7.
    leave_at: Option<Instant>,
}

/// What ended a wait.
enum Wake {
    Frame(Incoming),
    Poke(Poke),
    Time,
}

impl Connection {
    fn new(shared: Rc<Shared>, id: u64, tcp: TcpStream, upgraded: Upgraded) -> Connection {
        let Upgraded { io, compress, version } = upgraded;
        Connection {
            pace: shared.spawner.pace(),
            beat_due: Instant(u64::MAX),
            shared,
            id,
            version,
            io,
            tcp,
            reader: Reader::default(),
            deflater: compress.then(Deflater::default),
            bot: None,
            session: None,
            acks: true,
            style: Style::Plain,
            data_first: false,
            twice: false,
            sends: SlidingWindow::new(limits::GATEWAY_SENDS_PERIOD),
            leave_at: None,
        }
    }

    /// Greets, and then serves until it is over.
    async fn run(&mut self, pokes: &Receiver<Poke>) -> Over {
        let mut going = self.greet().await;
        while going.is_ok() {
            going = self.turn(pokes).await;
        }
        going.err().unwrap_or(Over::Closed)
    }

    async fn greet(&mut self) -> Result<(), Over> {
        if let Some(order) = self.shared.take(self.id, Stage::Hello, None) {
            return self.play(order).await;
        }
        let millis = self.shared.options.heartbeat.as_millis();
        let data = format!(r#"{{"heartbeat_interval":{millis},"_trace":["sandbox"]}}"#);
        self.send(&format!(r#"{{"t":null,"s":null,"op":10,"d":{data}}}"#)).await?;
        self.beat_due = clock::now() + self.shared.options.heartbeat;
        self.shared.note(self.id, None, What::Hello);
        Ok(())
    }

    /// Sends what there is, then deals with one thing that happens.
    async fn turn(&mut self, pokes: &Receiver<Poke>) -> Result<(), Over> {
        let is_more = self.deliver().await?;
        let now = clock::now();
        // Half an interval, and a second for slow machines, is the patience with heartbeats.
        let silent_at = self.beat_due + self.shared.options.heartbeat / 2 + Duration::from_secs(1);
        if silent_at <= now {
            self.violation("heartbeats are missing");
            return Err(self.close(4000).await);
        }
        if self.leave_at.is_some_and(|at| at <= now) {
            return Err(self.cut());
        }
        let deadline = self.leave_at.map_or(silent_at, |at| at.min(silent_at));
        // The client is heard in every turn, however many events there are to send.
        let wake = match poll_once(self.reader.next(&mut self.io)).await {
            Some(incoming) => Wake::Frame(incoming),
            None if is_more => Wake::Time,
            None => self.wait(pokes, deadline).await,
        };
        match wake {
            Wake::Frame(incoming) => {
                // A fault that was armed before comes before.
                while let Ok(poke) = pokes.try_recv() {
                    self.poked(poke).await?;
                }
                self.incoming(incoming).await
            }
            Wake::Poke(poke) => self.poked(poke).await,
            Wake::Time => Ok(()),
        }
    }

    async fn wait(&mut self, pokes: &Receiver<Poke>, deadline: Instant) -> Wake {
        let poke = async { pokes.recv().await.map_or(Wake::Time, Wake::Poke) };
        let frame = async { Wake::Frame(self.reader.next(&mut self.io).await) };
        let time = async {
            clock::sleep_until(deadline).await;
            Wake::Time
        };
        or(poke, or(frame, time)).await
    }

    async fn poked(&mut self, poke: Poke) -> Result<(), Over> {
        match poke {
            Poke::Play(order) => self.play(order).await,
            // The next turn looks at the session anyway.
            Poke::Events => Ok(()),
        }
    }

    /// Sends events of the session. True if there may be more.
    async fn deliver(&mut self) -> Result<bool, Over> {
        for _ in 0..limits::YIELD_EVENTS {
            let Some(session) = self.session else { return Ok(false) };
            let next = self.shared.world.borrow_mut().sessions.next(session, self.id);
            match next {
                Next::Send(seq, event) => self.event(seq, &event).await?,
                Next::Wait => return Ok(false),
                Next::Gone => return Err(self.close(4000).await),
            }
            self.pace.breathe().await;
        }
        Ok(true)
    }

    async fn event(&mut self, seq: u64, event: &Dispatch) -> Result<(), Over> {
        let Dispatch { kind, data } = event;
        let text = if self.data_first {
            format!(r#"{{"d":{data},"op":0,"s":{seq},"t":"{kind}"}}"#)
        } else {
            format!(r#"{{"t":"{kind}","s":{seq},"op":0,"d":{data}}}"#)
        };
        for _ in 0..=u8::from(self.twice) {
            self.send(&text).await?;
        }
        let what = match *kind {
            "READY" => What::Ready,
            "RESUMED" => What::Resumed,
            _ => return Ok(()),
        };
        self.shared.note(self.id, self.bot, what);
        self.set_live(true);
        match self.shared.take(self.id, Stage::Live, self.bot) {
            Some(order) => self.play(order).await,
            None => Ok(()),
        }
    }

    async fn incoming(&mut self, incoming: Incoming) -> Result<(), Over> {
        match incoming {
            Incoming::Message(text) => self.heard(&text).await,
            Incoming::Ping(payload) => {
                let mut out = Vec::new();
                frames::frame(&mut out, true, frames::PONG, &payload);
                self.write(&out).await
            }
            Incoming::Pong => Ok(()),
            Incoming::Close(code) => {
                let mut out = Vec::new();
                frames::frame(&mut out, true, frames::CLOSE, &frames::close_payload(code, ""));
                let _ = self.write(&out).await;
                Err(Over::Left(code))
            }
            Incoming::End => Err(Over::Left(1006)),
        }
    }

    /// Sends one gateway payload, compressed if the client asked for it.
    pub(super) async fn send(&mut self, text: &str) -> Result<(), Over> {
        self.send_bytes(text.as_bytes()).await
    }

    /// The same for bytes that need not be text.
    pub(super) async fn send_bytes(&mut self, text: &[u8]) -> Result<(), Over> {
        let out = self.encode(text);
        if self.style != Style::Drip {
            return self.write(&out).await;
        }
        for byte in &out {
            self.write(std::slice::from_ref(byte)).await?;
            self.pace.breathe().await;
        }
        Ok(())
    }

    /// The frames of one payload.
    pub(super) fn encode(&mut self, text: &[u8]) -> Vec<u8> {
        let (mut out, mut packed) = (Vec::with_capacity(text.len() + 16), Vec::new());
        let (opcode, payload) = match &mut self.deflater {
            Some(deflater) => {
                deflater.message(text, &mut packed);
                (frames::BINARY, &*packed)
            }
            None => (frames::TEXT, text),
        };
        if self.style != Style::Fragments {
            frames::frame(&mut out, true, opcode, payload);
            return out;
        }
        let (first, rest) = payload.split_at(payload.len() / 3);
        let (second, third) = rest.split_at(rest.len() / 2);
        frames::frame(&mut out, false, opcode, first);
        frames::frame(&mut out, true, frames::PING, b"between");
        frames::frame(&mut out, false, frames::CONTINUATION, second);
        frames::frame(&mut out, true, frames::CONTINUATION, third);
        out
    }

    /// Writes bytes as they are.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Over> {
        let writing = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        match clock::timeout(clock::now() + WRITE_DEADLINE, writing).await {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(Over::Left(1006)),
        }
    }

    /// Closes with `code`; codes that end sessions end this one.
    pub(super) async fn close(&mut self, code: u16) -> Over {
        if matches!(code, 1000 | 1001 | 4003..=4007 | 4009..=4014) {
            self.end_session();
        }
        let mut out = Vec::new();
        frames::frame(&mut out, true, frames::CLOSE, &frames::close_payload(code, "sandbox"));
        self.shared.note(self.id, self.bot, What::Closed(code));
        let _ = self.write(&out).await;
        let _ = self.io.close().await;
        Over::Closed
    }

    /// Ends the connection by FIN, without a close frame.
    pub(super) fn cut(&mut self) -> Over {
        self.shared.note(self.id, self.bot, What::Closed(1006));
        let _ = self.tcp.shutdown(Shutdown::Write);
        Over::Closed
    }

    /// Ends the connection by RST.
    pub(super) fn reset(&mut self) -> Over {
        self.shared.note(self.id, self.bot, What::Closed(1006));
        let _ = net::sockopt::set_socket_linger(&self.tcp, Some(Duration::ZERO));
        Over::Reset
    }

    /// Says nothing more, whatever comes, until the other side leaves.
    pub(super) async fn deaf(&mut self) -> Over {
        self.set_live(false);
        self.discard().await;
        Over::Left(1006)
    }

    /// The client is given time to come back by itself.
    pub(super) fn leave_soon(&mut self) {
        self.leave_at = Some(clock::now() + RECONNECT_PATIENCE);
    }

    /// Ends the session; it cannot be resumed.
    pub(super) fn end_session(&mut self) {
        if let Some(session) = self.session.take() {
            self.shared.world(|world| world.sessions.end(session));
        }
    }

    pub(super) fn violation(&self, what: &'static str) {
        self.shared.note(self.id, self.bot, What::Violation(what));
    }

    /// Whether live faults are played to this connection.
    fn set_live(&self, live: bool) {
        if let Some(peer) = self.shared.peers.borrow_mut().get_mut(&self.id) {
            peer.live = live;
        }
    }

    /// Reads until the other side closes.
    async fn discard(&mut self) {
        let mut chunk = [0; 1024];
        while self.tcp.read(&mut chunk).await.is_ok_and(|count| count > 0) {}
    }

    async fn finish(&mut self, over: Over) {
        self.set_live(false);
        if let Over::Left(code) = over {
            // Discord's rule: 1000 and 1001 from the client end the session.
            if matches!(code, 1000 | 1001) {
                self.end_session();
            }
            self.shared.note(self.id, self.bot, What::Left(code));
            let _ = clock::timeout(clock::now() + FIN_DEADLINE, self.io.close()).await;
        }
        self.shared.world(|world| world.sessions.detach(clock::now(), self.id));
        if over != Over::Reset {
            let _ = clock::timeout(clock::now() + FIN_DEADLINE, self.discard()).await;
        }
    }
}
