//! Asks a gateway by the control protocol: over the Unix socket of this host's, else by the port.
//!
//! A gateway that restarts is away for a moment, and says so by how it refuses: such a refusal is
//! tried again a few times. A credential that was refused is not, and neither is a request with an
//! effect that may have been taken on, unless a key makes a second one the same as the first.

use std::cell::{OnceCell, RefCell};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_tungstenite::tungstenite::client::client_with_config;
use async_tungstenite::tungstenite::handshake::HandshakeError;
use async_tungstenite::tungstenite::protocol::{WebSocket, WebSocketConfig};
use async_tungstenite::tungstenite::{Error, Message};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde_json::{Value, json};

use super::Call;
use super::print::Spinner;
use crate::base::{Instant, Secret, limits};
use crate::ops::config::{self, Dirs, Env};
use crate::ops::exit::{Exit, Failure};
use crate::ops::state::{CONTROL_SOCKET, control_socket};
use crate::proto::control::{
    Auth, Connect, Fault, Frame, Hello, PROTOCOL, Request, close, code, detail, read, read_hello,
    write,
};
use crate::rt::clock;

/// Where the package keeps the state and the socket of the system's gateway.
const SYSTEM: [&str; 2] = ["/run/barnacle", "/var/lib/barnacle"];
/// How long a question to the gateway may take, unless `--timeout` says otherwise.
const PATIENCE_MS: u64 = 10_000;
/// The waits before the further tries.
const RETRIES: [Duration; 4] = [
    Duration::from_millis(150),
    Duration::from_millis(350),
    Duration::from_millis(750),
    Duration::from_millis(1500),
];
/// How long one try to connect may take, from the dial to the hello.
const CONNECT: Duration = Duration::from_secs(3);
/// How often a read that waits looks at the time.
const LOOK: Duration = Duration::from_millis(100);
/// What an answer may be. The largest are logs.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a request does to the gateway, should it be sent twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    /// Nothing, or the same as once: it only reads, or carries a key.
    Same,
    /// Something.
    Twice,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The gateway may be restarting: a further try may help, and nothing was done yet.
    Away(Failure),
    /// The same, but the request was sent: whether something was done is not known.
    Lost(Failure),
    /// It will not help.
    Final(Failure),
}

impl Trouble {
    /// The failure, to be told.
    pub(crate) fn failure(self) -> Failure {
        let (Trouble::Away(failure) | Trouble::Lost(failure) | Trouble::Final(failure)) = self;
        failure
    }

    /// The same after the request was sent.
    fn sent(self) -> Trouble {
        match self {
            Trouble::Away(failure) => Trouble::Lost(failure),
            trouble => trouble,
        }
    }
}

/// A gateway, as far as a caller must know it.
pub(crate) struct Client {
    env: Env,
    file: Option<PathBuf>,
    port: Option<u16>,
    url: Option<String>,
    given: Option<Secret>,
    known: OnceCell<Known>,
    /// Where it was found.
    settled: RefCell<Option<Place>>,
    /// How long an answer is waited for.
    pub(crate) timeout: Duration,
}

/// What is known once the configuration has been read, which only the port needs.
struct Known {
    port: u16,
    token: Option<Secret>,
    /// Why there is none.
    fault: String,
}

/// A place where a gateway may be asked.
#[derive(Clone)]
enum Place {
    Unix(PathBuf),
    Tcp(String),
}

/// A connection, in both its forms.
enum Wire {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// An open connection.
pub(crate) struct Connection {
    socket: WebSocket<Wire>,
    /// What the gateway said of itself.
    pub(crate) hello: Hello,
    place: String,
    count: u64,
}

impl Client {
    /// By the flags of the command, the environment, and what the gateway itself goes by.
    ///
    /// # Errors
    /// A flag makes no sense.
    pub(crate) fn new(call: &Call<'_>) -> Result<Client, Failure> {
        let timeout = call.parsed.number("timeout")?.unwrap_or(PATIENCE_MS);
        Ok(Client { timeout: Duration::from_millis(timeout), ..Client::patient(call)? })
    }

    /// The same, whose `--timeout` means something else.
    ///
    /// # Errors
    /// A flag makes no sense.
    pub(crate) fn patient(call: &Call<'_>) -> Result<Client, Failure> {
        Ok(Client {
            env: call.env.clone(),
            file: call.common.config.clone(),
            port: call.parsed.number("port")?,
            url: call.parsed.text("url"),
            given: call.parsed.text("token").map(|token| Secret::new(&token)),
            known: OnceCell::new(),
            settled: RefCell::default(),
            timeout: Duration::from_millis(PATIENCE_MS),
        })
    }

    /// The answer to one request, on a connection of its own.
    ///
    /// # Errors
    /// There is none in time, or it is a refusal.
    pub(crate) fn ask(
        &self,
        method: &str,
        params: &Value,
        effect: Effect,
    ) -> Result<Value, Failure> {
        let deadline = clock::now() + self.timeout;
        self.retry(deadline, |client| {
            let mut connection = client.try_connect(deadline)?;
            connection.call(method, params, deadline).map_err(|trouble| match trouble {
                Trouble::Lost(failure) if effect == Effect::Twice => Trouble::Final(Failure {
                    cure: "whether it was done is not known: look before you ask again".into(),
                    ..failure
                }),
                trouble => trouble,
            })
        })
    }

    /// A connection, tried for as often as it may help.
    ///
    /// # Errors
    /// There is none in time.
    pub(crate) fn connect(&self) -> Result<Connection, Failure> {
        let deadline = clock::now() + self.timeout;
        self.retry(deadline, |client| client.try_connect(deadline))
    }

    fn retry<T>(
        &self,
        deadline: Instant,
        mut attempt: impl FnMut(&Client) -> Result<T, Trouble>,
    ) -> Result<T, Failure> {
        let mut waits = RETRIES.into_iter();
        loop {
            let failure = match attempt(self) {
                Ok(done) => return Ok(done),
                Err(Trouble::Final(failure)) => return Err(failure),
                Err(Trouble::Away(failure) | Trouble::Lost(failure)) => failure,
            };
            match waits.next().filter(|&wait| clock::now() + wait < deadline) {
                Some(wait) => Spinner::pause(wait),
                None => return Err(failure),
            }
        }
    }

    /// One try.
    ///
    /// # Errors
    /// What is in the way.
    pub(crate) fn try_connect(&self, deadline: Instant) -> Result<Connection, Trouble> {
        let deadline = deadline.min(clock::now() + CONNECT);
        let mut trouble = None;
        // Once one has answered, none at another place is taken for the same.
        let settled = self.settled.borrow().clone();
        let places = settled.map_or_else(|| self.places(), |place| Ok(vec![place]));
        for place in places.map_err(Trouble::Final)? {
            match self.dial(&place, deadline) {
                Ok(wire) => {
                    let connection = self.shake_hands(wire, &place, deadline)?;
                    self.settled.replace(Some(place));
                    return Ok(connection);
                }
                // What is wrong with the last place is told: it is the one that was expected.
                Err(fault) => trouble = Some(fault),
            }
        }
        Err(trouble.unwrap_or_else(|| Trouble::Final(Failure::new(Exit::Usage, "nowhere", ""))))
    }

    /// Where to look, in this order.
    fn places(&self) -> Result<Vec<Place>, Failure> {
        if let Some(url) = &self.url {
            return Ok(vec![place_of(url)?]);
        }
        let mut places = Vec::new();
        if self.port.is_none() {
            let dirs = Dirs::of(&self.env);
            places.extend(dirs.iter().map(|dirs| control_socket(&self.env, dirs)));
            // A directory that was chosen by hand is the only one that is meant.
            if self.env.get("BARNACLE_STATE_DIR").is_none() {
                places.extend(dirs.map(|dirs| dirs.state.join(CONTROL_SOCKET)));
                // The package's gateway has no profile.
                let system = SYSTEM.iter().filter(|_| self.env.profile().is_none());
                places.extend(system.map(|dir| PathBuf::from(dir).join(CONTROL_SOCKET)));
            }
        }
        let mut places: Vec<Place> =
            places.into_iter().filter(|path| path.exists()).map(Place::Unix).collect();
        let port = self.port.unwrap_or_else(|| self.known().port);
        places.push(Place::Tcp(format!("127.0.0.1:{port}")));
        Ok(places)
    }

    fn known(&self) -> &Known {
        self.known.get_or_init(|| {
            let dirs = Dirs::of(&self.env);
            let last_good = || config::load_last_good(&dirs.as_ref()?.state, &self.env);
            let loaded = config::load(&self.env, self.file.as_deref()).ok().or_else(last_good);
            let gateway = loaded.map(|loaded| loaded.config.gateway);
            let port = gateway.as_ref().map_or(limits::CONTROL_PORT, |gateway| gateway.port);
            let written = gateway.and_then(|gateway| match gateway.mode {
                config::Mode::Password => gateway.password,
                config::Mode::Token | config::Mode::Open => gateway.token,
            });
            let (token, fault) = match written {
                Some(token) => (Some(token), String::new()),
                None => generated_token(dirs),
            };
            Known { port, token, fault }
        })
    }

    fn dial(&self, place: &Place, deadline: Instant) -> Result<Wire, Trouble> {
        let wire = match place {
            Place::Unix(path) => dial_unix(path, deadline).map(Wire::Unix),
            Place::Tcp(address) => dial_tcp(address, deadline).map(Wire::Tcp),
        };
        let prepared = wire.and_then(|wire| wire.look_often().map(|()| wire));
        prepared.map_err(|error| self.absent(place, &error))
    }

    fn absent(&self, place: &Place, error: &io::Error) -> Trouble {
        let place = place.name();
        if error.kind() == io::ErrorKind::InvalidInput {
            let text = format!("{place} is no address: {error}");
            return Trouble::Final(Failure::new(Exit::Usage, text, "write HOST:PORT"));
        }
        let text = match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                format!("no gateway runs on {place}")
            }
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => self.late(&place),
            _ => format!("{place} cannot be reached: {error}"),
        };
        let cure = "start one with `barnacle gateway`, or name its port with --port";
        Trouble::Away(Failure::new(Exit::Unavailable, text, cure))
    }

    fn late(&self, place: &str) -> String {
        format!("{place} did not answer within {:?}", self.timeout.min(CONNECT))
    }

    fn shake_hands(
        &self,
        wire: Wire,
        place: &Place,
        deadline: Instant,
    ) -> Result<Connection, Trouble> {
        let host = match place {
            Place::Unix(_) => "localhost",
            Place::Tcp(address) => address.as_str(),
        };
        // Over our own socket the user is enough; reading the configuration for the token takes
        // longer than all the rest.
        let token = match (place, &self.given) {
            (_, Some(given)) => Some(given),
            (Place::Unix(_), None) if wire.is_ours() => None,
            _ => self.known().token.as_ref(),
        };
        let place = place.name();
        let late = || {
            let cure = "see the gateway's log, or raise --timeout";
            Trouble::Away(Failure::new(Exit::Unavailable, self.late(&place), cure))
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(limits::READ_WINDOW_BYTES)
            .max_message_size(Some(ANSWER_BYTES_MAX))
            .max_frame_size(Some(ANSWER_BYTES_MAX));
        let mut shaken = client_with_config(format!("ws://{host}/"), wire, Some(config));
        let socket = loop {
            shaken = match shaken {
                Ok((socket, _)) => break socket,
                Err(HandshakeError::Interrupted(_)) if clock::now() >= deadline => {
                    return Err(late());
                }
                Err(HandshakeError::Interrupted(half)) => {
                    Spinner::turn();
                    half.handshake()
                }
                Err(HandshakeError::Failure(error)) => return Err(stranger(&place, &error)),
            };
        };
        let mut connection = Connection { socket, hello: empty_hello(), place, count: 0 };
        loop {
            match connection.frame(deadline, true)? {
                Frame::Event(event) if event.event == "connect.challenge" => break,
                // One that goes down says so before it closes.
                Frame::Event(_) => {}
                _ => {
                    let text = format!("{} does not speak our protocol", connection.place);
                    return Err(Trouble::Final(Failure::new(Exit::Unavailable, text, "")));
                }
            }
        }
        let params = serde_json::to_value(greeting(token)).unwrap_or_default();
        let hello = connection.begin("connect", &params, deadline, true);
        let hello = hello.map_err(|trouble| self.refused(trouble, token.is_some()))?;
        connection.hello = read_hello(hello).map_err(|error| {
            let text = format!("{} greets oddly: {error}", connection.place);
            Trouble::Final(Failure::new(Exit::Unavailable, text, ""))
        })?;
        Ok(connection)
    }

    /// The cure of a refusal depends on what we know.
    fn refused(&self, trouble: Trouble, had_token: bool) -> Trouble {
        let Trouble::Final(mut failure) = trouble else { return trouble };
        if failure.exit == Exit::Denied && failure.cure.is_empty() {
            failure.cure = if had_token {
                "was it started with another state directory or configuration? else --token".into()
            } else {
                let fault = &self.known().fault;
                format!("{fault}; ask as the user that the gateway runs as, or give --token")
            };
        }
        Trouble::Final(failure)
    }
}

impl Place {
    fn name(&self) -> String {
        match self {
            Place::Unix(path) => path.display().to_string(),
            Place::Tcp(address) => address.clone(),
        }
    }
}

fn place_of(url: &str) -> Result<Place, Failure> {
    if let Some(path) = url.strip_prefix("unix:") {
        return Ok(Place::Unix(path.trim_start_matches("//").into()));
    }
    let rest = ["ws://", "http://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let authority = rest.map(|rest| rest.split('/').next().unwrap_or(rest));
    match authority.filter(|authority| !authority.is_empty()) {
        Some(authority)
            if authority.rsplit(':').next().is_some_and(|p| p.parse::<u16>().is_ok()) =>
        {
            Ok(Place::Tcp(authority.to_owned()))
        }
        Some(authority) => Ok(Place::Tcp(format!("{authority}:{}", limits::CONTROL_PORT))),
        None => {
            let cure = "write ws://HOST:PORT or unix:PATH; over a network, tunnel it with ssh -L";
            Err(Failure::new(Exit::Usage, "--url does not take that", cure))
        }
    }
}

/// Waits no longer than that for a gateway whose queue is full.
fn dial_unix(path: &Path, deadline: Instant) -> io::Result<UnixStream> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let patience = deadline.since(clock::now()).max(LOOK);
    set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(UnixStream::from(socket))
}

fn dial_tcp(address: &str, deadline: Instant) -> io::Result<TcpStream> {
    let mut fault = io::Error::from(io::ErrorKind::NotFound);
    for address in address.to_socket_addrs()? {
        let patience = deadline.since(clock::now()).max(LOOK);
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => fault = error,
        }
    }
    Err(fault)
}

impl Wire {
    /// Reads and writes that wait come back now and then.
    fn look_often(&self) -> io::Result<()> {
        match self {
            Wire::Unix(stream) => {
                stream.set_read_timeout(Some(LOOK))?;
                stream.set_write_timeout(Some(CONNECT))
            }
            Wire::Tcp(stream) => {
                stream.set_read_timeout(Some(LOOK))?;
                stream.set_write_timeout(Some(CONNECT))
            }
        }
    }

    /// Whether a process of our own user listens at the other end, or we are root.
    fn is_ours(&self) -> bool {
        let uid = rustix::process::geteuid();
        let Wire::Unix(stream) = self else { return false };
        let peer = rustix::net::sockopt::socket_peercred(stream);
        uid.is_root() || peer.is_ok_and(|peer| peer.uid == uid)
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Unix(stream) => stream.read(into),
            Wire::Tcp(stream) => stream.read(into),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Unix(stream) => stream.write(bytes),
            Wire::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Unix(stream) => stream.flush(),
            Wire::Tcp(stream) => stream.flush(),
        }
    }
}

fn greeting(token: Option<&Secret>) -> Connect {
    let auth = token.map(|token| Auth { token: Some(token.expose().into()), password: None });
    Connect {
        min_protocol: PROTOCOL,
        max_protocol: PROTOCOL,
        client: crate::proto::control::Client {
            id: "cli".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            platform: "linux".into(),
            mode: "cli".into(),
            instance_id: Some(format!("{:016x}", crate::rt::os_seed())),
            display_name: None,
            device_family: None,
        },
        caps: Vec::new(),
        auth,
        device: None,
        role: Some("operator".into()),
        scopes: ["admin", "read", "write", "approvals", "pairing"]
            .map(|scope| format!("operator.{scope}"))
            .into(),
    }
}

fn empty_hello() -> Hello {
    let server = crate::proto::control::Server {
        version: String::new(),
        conn_id: String::new(),
        boot_id: String::new(),
        pid: 0,
    };
    let auth = crate::proto::control::Granted { role: String::new(), scopes: Vec::new() };
    Hello {
        r#type: String::new(),
        protocol: 0,
        server,
        features: crate::proto::control::Features::default(),
        snapshot: Value::Null,
        auth,
        policy: json!({}),
    }
}

/// Something answers there, and not as a gateway does.
fn stranger(place: &str, error: &Error) -> Trouble {
    let status = match error {
        Error::Http(answer) => Some(answer.status().as_u16()),
        _ => None,
    };
    let text = match status {
        Some(status) => format!("{place} answered HTTP {status}"),
        None => format!("{place} broke the handshake: {error}"),
    };
    let cure = "is it a barnacle gateway, and as new as this command?";
    let failure = Failure::new(Exit::Unavailable, text, cure);
    // One that drains, or is cut while it begins, will be back.
    match error {
        Error::Http(_) if status != Some(503) => Trouble::Final(failure),
        Error::Http(_) | Error::Io(_) | Error::ConnectionClosed => Trouble::Away(failure),
        Error::Protocol(fault) if fault.to_string().contains("without closing") => {
            Trouble::Away(failure)
        }
        Error::Protocol(fault) if fault.to_string().contains("andshake not finished") => {
            Trouble::Away(failure)
        }
        _ => Trouble::Final(failure),
    }
}

impl Connection {
    /// The answer to a request; of two answers the last.
    ///
    /// # Errors
    /// There is none in time, or it is a refusal.
    pub(crate) fn call(
        &mut self,
        method: &str,
        params: &Value,
        deadline: Instant,
    ) -> Result<Value, Trouble> {
        self.begin(method, params, deadline, false)
    }

    fn begin(
        &mut self,
        method: &str,
        params: &Value,
        deadline: Instant,
        is_connecting: bool,
    ) -> Result<Value, Trouble> {
        self.count += 1;
        let id = self.count.to_string();
        let request = Request { id: id.clone(), method: method.into(), params: params.clone() };
        let text = write(&Frame::Req(request));
        let sent = |trouble: Trouble| if is_connecting { trouble } else { trouble.sent() };
        self.socket.send(Message::text(text)).map_err(|error| sent(self.lost(&error)))?;
        loop {
            let frame = self.frame(deadline, is_connecting).map_err(sent)?;
            let Frame::Res(response) = frame else { continue };
            if response.id != id {
                continue;
            }
            if let Some(fault) = response.error.filter(|_| !response.ok) {
                return Err(refusal(&fault));
            }
            let payload = response.payload.unwrap_or_default();
            if !is_taken_on(&payload) {
                return Ok(payload);
            }
        }
    }

    /// The next frame.
    fn frame(&mut self, deadline: Instant, is_connecting: bool) -> Result<Frame, Trouble> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    if let Ok(frame) = read(&text) {
                        return Ok(frame);
                    }
                }
                Ok(Message::Close(frame)) => {
                    let (number, reason) = frame.map_or((1005, String::new()), |frame| {
                        (u16::from(frame.code), frame.reason.to_string())
                    });
                    return Err(self.closed(number, &reason, is_connecting));
                }
                Ok(_) => {}
                Err(Error::Io(error))
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock
                            | io::ErrorKind::TimedOut
                            | io::ErrorKind::Interrupted
                    ) =>
                {
                    if clock::now() >= deadline {
                        let text = format!("{} did not answer in time", self.place);
                        let cure = "see the gateway's log, or raise --timeout";
                        let failure = Failure::new(Exit::Unavailable, text, cure);
                        let wrap = if is_connecting { Trouble::Away } else { Trouble::Final };
                        return Err(wrap(failure));
                    }
                    Spinner::turn();
                }
                Err(error) => return Err(self.lost(&error)),
            }
        }
    }

    fn lost(&self, error: &Error) -> Trouble {
        let text = format!("{} broke the connection: {error}", self.place);
        Trouble::Away(Failure::new(Exit::Unavailable, text, "is the gateway stopping?"))
    }

    fn closed(&self, number: u16, reason: &str, is_connecting: bool) -> Trouble {
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        let text = format!("{} closed the connection ({number}{reason})", self.place);
        let failure = Failure::new(Exit::Unavailable, text, "see the gateway's log");
        match number {
            close::RESTART | close::LATER => Trouble::Away(failure),
            close::NORMAL | 1005 | 1006 if is_connecting => Trouble::Away(failure),
            _ => Trouble::Final(failure),
        }
    }
}

/// Whether this is the first of two answers: the run has begun, or is under way already.
fn is_taken_on(payload: &Value) -> bool {
    let is_first = matches!(payload["status"].as_str(), Some("accepted" | "in_flight"));
    is_first && !payload["runId"].is_null()
}

/// What a refusal means for the one who asked.
fn refusal(fault: &Fault) -> Trouble {
    let reason = fault.details.as_ref().and_then(|details| details["code"].as_str());
    let is_credential =
        reason.is_some_and(|code| code.starts_with("AUTH_") || code == detail::IDENTITY_REQUIRED);
    let text = format!("the gateway refuses: {}", fault.message);
    if is_credential || matches!(fault.code.as_str(), code::NOT_PAIRED | code::FORBIDDEN) {
        return Trouble::Final(Failure::new(Exit::Denied, text, ""));
    }
    if fault.retryable == Some(true) {
        return Trouble::Away(Failure::new(Exit::Unavailable, text, "try again"));
    }
    let exit = match fault.code.as_str() {
        code::INVALID_REQUEST => Exit::Refused,
        _ => Exit::Unavailable,
    };
    Trouble::Final(Failure::new(exit, text, ""))
}

/// The token that the gateway made at its first start: in our own state directory, or in that of
/// the system's service; and why there is none.
fn generated_token(dirs: Option<Dirs>) -> (Option<Secret>, String) {
    let system = Dirs { state: SYSTEM[1].into(), hot: None };
    let mut fault = String::from("no state directory is known: set HOME or BARNACLE_STATE_DIR");
    for file in dirs.into_iter().chain([system]).map(|dirs| dirs.gateway_token()) {
        match std::fs::read_to_string(&file) {
            Ok(token) => return (Some(Secret::new(&token)), String::new()),
            Err(error) => fault = format!("{} cannot be read: {error}", file.display()),
        }
    }
    (None, fault)
}

#[cfg(test)]
mod tests;
