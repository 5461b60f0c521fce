//! One client's connection: challenge, connect, hello; then requests, answers and events.
//!
//! Who has not yet said who it is may send little and has little time. Afterwards the bounds are
//! those of [`Out`]: a client that does not read is asked no more and told no more, and one that
//! takes nothing at all is let go.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use async_tungstenite::tungstenite::{Error, Message};
use async_tungstenite::{WebSocketReceiver, WebSocketSender, WebSocketStream};
use serde_json::{Value, json};
use smol::Task;
use smol::future::or;
use smol::io::{AsyncRead, AsyncWrite};
use smol::stream::StreamExt as _;

use super::answered::{Turn, key};
use super::desk::{Answer, Call, EVENTS, METHODS, SCOPES, at_once, is_reading, permit};
use super::hub::{Caller, Close, Out, Seat};
use super::{Control, Door, Gate, Refusal, presence};
use crate::base::limits;
use crate::proto::control::{
    Auth, Connect, Event, Fault, Features, Frame, Garbled, Granted, Hello, PROTOCOL,
    PROTOCOL_PROBE_MIN, ROLE, Request, Response, Server, close, code, detail, read, read_connect,
};
use crate::rt::clock;
use crate::rt::executor::Tier;
use crate::rt::net::server::Stream;

/// Room in the first bytes for the headers of frames.
const FRAME_HEADERS_BYTES: usize = 64;
/// What a close frame's reason may be (RFC 6455 5.5, less the code).
const REASON_BYTES_MAX: usize = 123;

/// Serves one client to its end.
pub(crate) async fn serve(control: Rc<Control>, stream: Stream, door: Door) {
    let budget = Rc::new(Cell::new(limits::CONTROL_STRANGER_BYTES_MAX + FRAME_HEADERS_BYTES));
    let stream = Metered { stream, budget: budget.clone() };
    let config = WebSocketConfig::default()
        .read_buffer_size(limits::CONTROL_READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(limits::CLIENT_FRAME_BYTES_MAX))
        .max_frame_size(Some(limits::CLIENT_FRAME_BYTES_MAX));
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let (mut sender, mut receiver) = socket.split();
    let seat = control.hub.enter();
    let session = Session { control, door, seat: &seat, budget, running: RefCell::default() };
    let why = or(seat.out.ended(), session.run(&mut sender, &mut receiver)).await;
    if why.code == close::RESTART {
        session.finish().await;
    }
    let _ = clock::timeout(
        clock::now() + limits::CLOSE_WAIT,
        part(&seat.out, &why, &mut sender, &mut receiver),
    )
    .await;
}

/// Says what is still to be said, then the close frame, and waits for the other side's.
async fn part(
    out: &Out,
    why: &Close,
    sender: &mut WebSocketSender<Metered>,
    receiver: &mut WebSocketReceiver<Metered>,
) {
    for text in out.rest() {
        if sender.send(Message::text(text)).await.is_err() {
            return;
        }
    }
    let reason = crate::base::text::truncate(&why.reason, REASON_BYTES_MAX).to_owned();
    let frame = CloseFrame { code: CloseCode::from(why.code), reason: reason.into() };
    if sender.close(Some(frame)).await.is_ok() {
        while let Some(Ok(_)) = receiver.next().await {}
    }
}

struct Session<'a> {
    control: Rc<Control>,
    door: Door,
    seat: &'a Seat,
    budget: Rc<Cell<usize>>,
    /// The requests that are being answered.
    running: RefCell<Vec<Task<()>>>,
}

impl Session<'_> {
    /// Gives the requests that were taken on the time to be answered.
    async fn finish(&self) {
        let running = self.running.take();
        let finished = async {
            for task in running {
                task.await;
            }
        };
        let _ = clock::timeout(clock::now() + limits::SERVER_GRACE, finished).await;
    }

    async fn run(
        &self,
        sender: &mut WebSocketSender<Metered>,
        receiver: &mut WebSocketReceiver<Metered>,
    ) -> Close {
        or(self.write(sender), async {
            let deadline = clock::now() + limits::CONTROL_HANDSHAKE_DEADLINE;
            let caller = match clock::timeout(deadline, self.shake_hands(receiver)).await {
                Some(Ok(caller)) => caller,
                Some(Err(close)) => return close,
                None => return Close::new(close::NORMAL, ""),
            };
            self.budget.set(usize::MAX);
            self.read(receiver, &caller).await
        })
        .await
    }

    /// Writes what is queued, as it comes, and a tick now and then. A client that takes nothing of
    /// it for long is gone.
    async fn write(&self, sender: &mut WebSocketSender<Metered>) -> Close {
        let mut tick = clock::now() + limits::CONTROL_TICK;
        loop {
            let next = async { Some(self.seat.out.next().await) };
            let ticked = async {
                clock::sleep_until(tick).await;
                None
            };
            let Some(text) = or(next, ticked).await else {
                tick = clock::now() + limits::CONTROL_TICK;
                if self.budget.get() == usize::MAX {
                    self.seat.out.tell("tick", &json!({ "ts": clock::wall().0 }));
                }
                continue;
            };
            let deadline = clock::now() + limits::TCP_USER_TIMEOUT;
            match clock::timeout(deadline, sender.send(Message::text(text))).await {
                Some(Ok(())) => {}
                _ => return Close::new(close::POLICY, "slow consumer"),
            }
        }
    }

    /// From the challenge to the hello.
    async fn shake_hands(
        &self,
        receiver: &mut WebSocketReceiver<Metered>,
    ) -> Result<Rc<Caller>, Close> {
        let nonce = format!("{:016x}", crate::rt::os_seed());
        let payload = Some(json!({ "nonce": nonce, "ts": clock::wall().0 }));
        // Told without a number: those begin after the hello.
        let event = "connect.challenge".into();
        self.seat.out.challenge(Event { event, payload, seq: None, state: None });
        let text = match receiver.next().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Err(error)) => return Err(self.broken(&error)),
            _ => return Err(Close::new(close::NORMAL, "")),
        };
        let Ok(Frame::Req(request)) = read(&text) else {
            return Err(Close::new(close::NORMAL, ""));
        };
        let caller = self.judge(&request).map_err(|refusal| {
            let (fault, close) = *refusal;
            self.seat.out.answer(Response::refused(&request.id, fault));
            close
        })?;
        // Its own coming is in the hello, and told to the others.
        let (out, id) = (&self.seat.out, &request.id);
        self.seat.is(caller.clone(), || out.answer(Response::done(id, self.hello(&caller))));
        Ok(caller)
    }

    /// Whether the first request lets its client in.
    fn judge(&self, request: &Request) -> Result<Rc<Caller>, Box<(Fault, Close)>> {
        let policy = |fault: Fault| {
            let reason = fault.message.clone();
            Box::new((fault, Close::new(close::POLICY, reason)))
        };
        if request.method != "connect" {
            let text = "invalid handshake: first request must be connect";
            return Err(policy(Fault::invalid(text)));
        }
        let connect = read_connect(request.params.clone())
            .map_err(|error| policy(Fault::invalid(format!("invalid connect params: {error}"))))?;
        if connect.min_protocol > PROTOCOL || connect.max_protocol < PROTOCOL {
            let details = json!({
                "code": detail::PROTOCOL_MISMATCH,
                "expectedProtocol": PROTOCOL,
                "minimumProbeProtocol": PROTOCOL_PROBE_MIN,
                "clientMinProtocol": connect.min_protocol,
                "clientMaxProtocol": connect.max_protocol,
            });
            let close = Close::new(close::PROTOCOL, "protocol mismatch");
            return Err(Box::new((Fault::invalid("protocol mismatch").with(details), close)));
        }
        if connect.role.as_deref().is_some_and(|role| role != ROLE) {
            return Err(policy(Fault::invalid("invalid role")));
        }
        self.let_in(&connect).map_err(policy)?;
        if self.control.hub.members() >= limits::CONTROL_CLIENTS_MAX {
            let fault = Fault::later("too many clients are connected", LATER_MS);
            let reason = fault.message.clone();
            return Err(Box::new((fault, Close::new(close::LATER, reason))));
        }
        let scopes = granted(&connect);
        Ok(Rc::new(Caller {
            connection: self.seat.connection(),
            presence: presence::client(&connect, self.door.peer, &scopes),
            scopes,
            id: connect.client.id,
            mode: connect.client.mode,
        }))
    }

    /// Whether the client may come in: by the door that it came through, or by what it brings.
    fn let_in(&self, connect: &Connect) -> Result<(), Fault> {
        if self.door.is_trusted {
            return Ok(());
        }
        let gate = &self.control.gate;
        let Auth { token, password } = connect.auth.clone().unwrap_or_default();
        let given = if gate.wants_password() { password.or(token) } else { token.or(password) };
        let refusal = gate.judge(self.door.peer, given.as_deref());
        refusal.map_err(|refusal| refused(refusal, gate, connect.device.is_some()))
    }

    fn hello(&self, caller: &Caller) -> Value {
        let facts = (self.control.facts)();
        let hello = Hello {
            r#type: "hello-ok".into(),
            protocol: PROTOCOL,
            server: Server {
                version: env!("CARGO_PKG_VERSION").into(),
                conn_id: caller.connection.clone(),
                boot_id: self.control.hub.boot_id().into(),
                // Told by our own presence: the published form has no place for it here.
                pid: std::process::id(),
            },
            features: Features {
                methods: METHODS.iter().map(|(name, _)| (*name).to_owned()).collect(),
                events: EVENTS.iter().map(|&name| name.to_owned()).collect(),
            },
            snapshot: json!({
                "presence": self.control.hub.presence(),
                "health": facts.health,
                "stateVersion": self.control.hub.state(),
                "uptimeMs": super::millis(facts.uptime),
                "authMode": self.control.gate.mode(),
            }),
            auth: Granted { role: ROLE.into(), scopes: caller.scopes.clone() },
            policy: json!({
                "maxPayload": limits::CLIENT_FRAME_BYTES_MAX,
                "maxBufferedBytes": limits::CONTROL_BUFFER_BYTES,
                "tickIntervalMs": super::millis(limits::CONTROL_TICK),
            }),
        };
        serde_json::to_value(hello).unwrap_or_default()
    }

    /// Takes requests on until the client leaves.
    async fn read(&self, receiver: &mut WebSocketReceiver<Metered>, caller: &Rc<Caller>) -> Close {
        let running = &self.running;
        let mut pace = self.control.spawner.pace();
        loop {
            let text = match receiver.next().await {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Close(_))) | None => return Close::new(close::NORMAL, ""),
                Some(Ok(_)) => continue,
                Some(Err(error)) => return self.broken(&error),
            };
            // What a client is owed is bounded: it is asked for more only when it has taken that.
            loop {
                running.borrow_mut().retain(|task| !task.is_finished());
                if running.borrow().len() < limits::CONTROL_CALLS_MAX && !self.seat.out.is_full() {
                    break;
                }
                self.seat.out.room().await;
            }
            match read(&text) {
                Ok(Frame::Req(request)) => {
                    let task = self.take_on(request, caller);
                    running.borrow_mut().extend(task);
                }
                Err(Garbled::NotJson) => {}
                Err(Garbled::NotFrame(why)) => self.refuse_frame(&why),
                Ok(_) => self.refuse_frame("only requests are for us"),
            }
            pace.breathe().await;
        }
    }

    fn refuse_frame(&self, why: &str) {
        let fault = Fault::invalid(format!("invalid request frame: {why}"));
        self.seat.out.answer(Response::refused("invalid", fault));
    }

    /// Begins to answer a request.
    fn take_on(&self, request: Request, caller: &Rc<Caller>) -> Option<Task<()>> {
        let Request { id, method, params } = request;
        let refusal = match method.as_str() {
            "connect" => Err(Fault::invalid("connect is only valid as the first request")),
            method => permit(method, &caller.scopes),
        };
        if let Err(fault) = refusal {
            self.seat.out.answer(Response::refused(&id, fault));
            return None;
        }
        if !is_reading(&method) {
            let Caller { connection, id, mode, .. } = &**caller;
            log::info!(target: "control", "{id} ({mode}, {connection}) asks for {method}");
        }
        let (out, first_id) = (self.seat.out.clone(), id.clone());
        let first = move |payload| out.answer(Response::done(&first_id, payload));
        let answer = match key(&method, &params) {
            Some(key) => self.once(key, Call { method, params, first: Box::new(first) }),
            None => self.control.desk.call(Call { method, params, first: Box::new(first) }),
        };
        let out = self.seat.out.clone();
        Some(self.control.spawner.spawn(Tier::Wire, "call", async move {
            out.answer(match answer.await {
                Ok(payload) => Response::done(&id, payload),
                Err(fault) => Response::refused(&id, fault),
            });
            out.make_room();
        }))
    }

    /// The answer to a call with a key: the same to everybody who asks with it. The call goes on
    /// when its client leaves.
    fn once(&self, key: String, call: Call) -> Answer {
        let story = match self.control.hub.answered.begin(clock::now(), &key) {
            Turn::Known(story) => story,
            Turn::Full => return at_once(Err(Fault::later("too much is under way", LATER_MS))),
            Turn::New(story) => {
                let answer = self.control.desk.call(call);
                let hub = self.control.hub.clone();
                let work = async move { hub.answered.done(clock::now(), &key, answer.await) };
                self.control.spawner.spawn(Tier::Wire, "keyed call", work).detach();
                story
            }
        };
        Box::pin(async move { story.follow().await })
    }

    /// How a connection is closed whose frames cannot be read.
    fn broken(&self, error: &Error) -> Close {
        match error {
            Error::Capacity(_) => Close::new(close::TOO_LARGE, "too large"),
            _ if self.budget.get() == 0 => Close::new(close::TOO_LARGE, "too large"),
            Error::Protocol(_) | Error::Utf8(_) => Close::new(close::PROTOCOL, "no WebSocket"),
            _ => Close::new(close::NORMAL, ""),
        }
    }
}

/// The answer to one who is not let in, with the codes and reasons that OpenClaw's clients know.
fn refused(refusal: Refusal, gate: &Gate, has_device: bool) -> Fault {
    let (missing, mismatch) = if gate.wants_password() {
        (detail::PASSWORD_MISSING, detail::PASSWORD_MISMATCH)
    } else {
        (detail::TOKEN_MISSING, detail::TOKEN_MISMATCH)
    };
    let details = |code: &str, reason: String, next: &str| {
        json!({ "code": code, "authReason": reason, "canRetryWithDeviceToken": false,
            "recommendedNextStep": next })
    };
    match refusal {
        Refusal::Locked(left) => {
            let text = "unauthorized: too many failed authentication attempts (retry later)";
            let details = details(detail::RATE_LIMITED, "rate_limited".into(), "wait_then_retry");
            let (retryable, retry_after_ms) = (Some(true), Some(super::millis(left)));
            Fault { retryable, retry_after_ms, ..Fault::invalid(text).with(details) }
        }
        Refusal::Mismatch => {
            let details = details(mismatch, format!("{gate}_mismatch"), "update_auth_credentials");
            let cure = format!("use this gateway's gateway.auth.{gate}");
            Fault::invalid(format!("unauthorized: gateway {gate} mismatch ({cure})")).with(details)
        }
        Refusal::Missing if has_device => {
            let details = details(missing, format!("{gate}_missing"), "update_auth_configuration");
            let text =
                format!("unauthorized: gateway {gate} missing (provide gateway auth {gate})");
            Fault::invalid(text).with(details)
        }
        Refusal::Missing => {
            let place = if gate.wants_password() {
                "it is gateway.auth.password of the configuration"
            } else {
                "it is in gateway.token in the state directory"
            };
            let details = json!({ "code": detail::IDENTITY_REQUIRED });
            Fault::new(code::NOT_PAIRED, format!("a {gate} is needed: {place}")).with(details)
        }
    }
}

/// When a client that found no place may try again.
const LATER_MS: u64 = 500;

/// What the client asked for of what there is. Clients that only look or test get what goes with
/// that, as from the real gateway.
fn granted(connect: &Connect) -> Vec<String> {
    let asked = connect.scopes.iter().filter(|scope| SCOPES.contains(&scope.as_str()));
    match connect.client.mode.as_str() {
        "test" => Vec::new(),
        "probe" => asked.filter(|scope| *scope == super::desk::READ).cloned().collect(),
        _ => asked.cloned().collect(),
    }
}

/// A stream of which only so much is read.
struct Metered {
    stream: Stream,
    budget: Rc<Cell<usize>>,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let budget = self.budget.get();
        if budget == 0 {
            return Poll::Ready(Err(io::Error::other("more than a stranger may say")));
        }
        let room = into.len().min(budget);
        let read = std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut into[..room]))?;
        if budget != usize::MAX {
            self.budget.set(budget - read);
        }
        Poll::Ready(Ok(read))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
