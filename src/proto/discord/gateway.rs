//! The Discord gateway connection, as a machine: when to dial, what to say, when to give up.
//!
//! It owns the session, its strikes, the backoff, the heartbeat and the IDENTIFY budget, for one
//! shard. It has no socket: its port dials, reads and writes, and reports what happened.
//! Sources: Discord's documentation ("Gateway", "Opcodes and Status Codes") and, for what the
//! documentation leaves open, the constants of [`limits`].
//!
//! # What the port promises
//! * There is one socket. Each [`Output::Dial`] is answered by [`Input::Open`] or, within its
//!   deadline, by [`Input::Ended`]. Each [`Output::Close`] is answered by `Ended`, also when it
//!   cut a dial short; nothing is handed in between the two. After `Ended` the socket is gone.
//! * What an [`Input::Heard`] borrows from is kept until the outputs of that call were acted on,
//!   since [`Output::Deliver`] means the dispatch just handed in.
//! * [`Output::Drain`] is answered in bounded time: the messages that the socket held at that
//!   moment are handed in, then [`Input::Drained`] (or `Ended`).
//! * [`Input::Durable`] speaks of the session of the last READY; what is still on its way for an
//!   earlier one is not reported.
//!
//! # How it judges
//! A failure before RESUME was written says something of the network and nothing of the session.
//! From RESUME to RESUMED, every end is a strike against the session, and at
//! [`Config::strikes_max`] it is given up for a fresh IDENTIFY. There are two backoffs: one for
//! reaching the server, reset by HELLO; one for staying, reset only when a connection has proven
//! itself well, so that neither RESUMED-then-drop cycles nor storms of op 7 run at full speed.

mod saved;
mod status;
mod tell;

use std::fmt;
use std::time::Duration;

use crate::base::backoff::Policy;
use crate::base::limits;
use crate::base::{End, Instant, Machine, Rng, Secret, Wall};

pub use saved::{Budget, Saved, Session, SessionId, Url};
pub use status::{Beats, Closes, Counters, Me, Resumes, State, Status};
pub use tell::{Cause, Hold, Level, Refusal, Tell};

/// The gateway of Discord itself, when nobody has said otherwise.
pub const GATEWAY_URL: &str = "wss://gateway.discord.gg";

/// `GUILDS`, `GUILD_MESSAGES`, `DIRECT_MESSAGES` and `MESSAGE_CONTENT`.
pub const INTENTS_DEFAULT: u32 = 37_377;

/// What one account is told by its configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The bot's token, without `Bot `.
    pub token: Secret,
    /// What we want to hear of: Discord's bits ("Gateway Intents").
    pub intents: u32,
    /// Which shard of how many this connection is.
    pub shard: (u16, u16),
    /// Whether the server compresses the whole stream (`compress=zlib-stream`).
    pub compress: bool,
    /// Where to connect when no better address is known: `wss://host`, or `ws://` on loopback.
    /// Its host, and `*.discord.gg`, are the only ones that a server may send us to.
    pub base_url: Url,
    /// Strikes at which a session is given up.
    pub strikes_max: u32,
    /// Whether sessions are resumed at all.
    pub resume: bool,
    /// How long after its last sign of life a session is still resumed; `None`: the server decides.
    pub session_ttl: Option<Duration>,
    /// How waits between tries grow.
    pub backoff: Policy,
    /// Failures in a row after which tries become rare ([`limits::SLOW_RETRY`]) and an alert is
    /// told; never the end.
    pub retries_max: Option<u32>,
}

impl Config {
    /// What holds for `token` when nothing is configured.
    #[must_use]
    pub fn new(token: Secret) -> Config {
        Config {
            token,
            intents: INTENTS_DEFAULT,
            shard: (0, 1),
            compress: true,
            base_url: Url::try_from(GATEWAY_URL).unwrap_or_default(),
            strikes_max: limits::RESUME_STRIKES_MAX,
            resume: true,
            session_ttl: None,
            backoff: Policy {
                first: Duration::from_millis(200),
                second: Duration::from_secs(1),
                growth_percent: 200,
                cap: Duration::from_secs(60),
            },
            retries_max: None,
        }
    }
}

/// The answer of `GET /gateway/bot`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GatewayInfo<'a> {
    /// Where to connect.
    pub url: &'a str,
    /// IDENTIFYs that are left.
    pub remaining: u32,
    /// IDENTIFYs of a full day.
    pub total: u32,
    /// When `remaining` becomes `total` again.
    pub reset_after: Duration,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Input<'a> {
    /// Begin. The first input; after [`Ask::Stop`] or [`Ask::Leave`] it begins again.
    Start {
        /// What the clock on the wall says.
        wall: Wall,
    },
    /// The clock on the wall was set, or the host slept: this is what it says now.
    Wall(Wall),
    /// `GET /gateway/bot` was answered.
    Gateway(GatewayInfo<'a>),
    /// `GET /gateway/bot` failed; we go on with what we know.
    GatewayUnknown,
    /// A REST call was answered 401: the token is wrong, and dialling would not help.
    Unauthorized,
    /// The WebSocket is up.
    Open,
    /// The server said something.
    Heard(Signal<'a>),
    /// The dial failed, or the socket is gone.
    Ended(End),
    /// What came up to and including this sequence will survive a crash.
    Durable(u64),
    /// All that the socket held was handed in.
    Drained,
    /// Please send this payload (a presence, say): one JSON object. It is sent at once or refused
    /// by a [`Tell::SendRefused`].
    Send(&'a [u8]),
    /// Somebody wants something.
    Ask(Ask),
}

/// What the server said. What nobody needs was left out by the decoder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal<'a> {
    /// Op 10.
    Hello {
        /// How often it wants a heartbeat.
        interval: Duration,
    },
    /// Op 11.
    Ack,
    /// Op 1: it wants a heartbeat now.
    Beat,
    /// Op 7.
    Reconnect,
    /// Op 9.
    InvalidSession {
        /// Its `d`.
        resumable: bool,
    },
    /// Op 0.
    Dispatch {
        /// Its `s`.
        seq: u64,
        /// Its `t` and `d`, as far as they concern the connection.
        event: Dispatch<'a>,
    },
    /// An op that we do not know.
    Unknown {
        /// Which.
        op: u64,
    },
    /// Not JSON, or not what a payload looks like.
    Unreadable,
}

/// A dispatch, as far as it concerns the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dispatch<'a> {
    /// The session has begun.
    Ready {
        /// What RESUME names.
        session_id: &'a str,
        /// Where RESUME goes.
        resume_url: &'a str,
        /// Who we are.
        user: u64,
        /// Our application's id …
        application: u64,
        /// … and its flags.
        flags: u64,
    },
    /// The replay is over.
    Resumed,
    /// Anything else.
    Other,
}

/// What a person, or the program for one, can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ask {
    /// Close with 1000 and stay away: the bot goes offline, the session ends. Logout too.
    Stop,
    /// Close with 4000 and stay away: the program is about to end, and the next one RESUMEs.
    Leave,
    /// Close with 4000 and connect again, at the pace of the backoff.
    Restart {
        /// IDENTIFY instead of RESUME.
        fresh: bool,
    },
    /// The configuration or token was changed: a parked or stopped account tries again.
    Resume,
}

impl Ask {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Ask::Stop => "stop",
            Ask::Leave => "leave",
            Ask::Restart { fresh: false } => "restart",
            Ask::Restart { fresh: true } => "restart with a fresh session",
            Ask::Resume => "try again",
        }
    }
}

/// What is to be done.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Ask `GET /gateway/bot`; answer with [`Input::Gateway`], [`Input::GatewayUnknown`] or
    /// [`Input::Unauthorized`].
    Fetch,
    /// Connect.
    Dial {
        /// Where to, with its query.
        url: Box<str>,
        /// How long it may take up to the open WebSocket.
        deadline: Duration,
    },
    /// Write this message.
    Send(Payload),
    /// Close the socket, or cut the dial short.
    Close {
        /// The code of the close frame.
        code: u16,
    },
    /// Hand in what the socket holds by now, then [`Input::Drained`].
    Drain,
    /// The dispatch just handed in is new: pass it on. (One that is a duplicate, or that came
    /// outside of a session, gets no `Deliver`.)
    Deliver,
    /// Keep this.
    Save(Urgency, Box<Saved>),
    /// A line of the story.
    Tell(Tell),
    /// The state has changed to this.
    State(State),
}

/// How soon something must be on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Urgency {
    /// Before the next output is acted on: an IDENTIFY is about to be spent, or a session has
    /// begun or ended.
    Now,
    /// A cursor moved. Where a crash of the program leaves it is enough; the disk can wait.
    Soon,
}

/// The text of a gateway message, at most [`limits::GATEWAY_SEND_BYTES_MAX`] bytes of JSON. It may
/// hold the token, so it does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(Box<[u8]>);

impl Payload {
    /// The JSON text.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

/// The machine.
#[derive(Debug)]
pub struct Gateway {
    saved: Saved,
    status: Status,
}

impl Gateway {
    /// A machine at rest, which waits for [`Input::Start`]. `saved` is what the last [`Output::Save`]
    /// carried, or the default.
    #[must_use]
    pub fn new(_config: Config, saved: Saved, _rng: Rng) -> Gateway {
        Gateway { saved, status: Status::default() }
    }

    /// What there is to know about the connection.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// What would be kept if it were kept now.
    #[must_use]
    pub fn saved(&self) -> &Saved {
        &self.saved
    }
}

impl Machine for Gateway {
    type Input<'a> = Input<'a>;
    type Output = Output;

    fn handle(&mut self, _now: Instant, _input: Input<'_>) {}

    fn expire(&mut self, _now: Instant) {}

    fn poll(&mut self) -> Option<Output> {
        None
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }
}
