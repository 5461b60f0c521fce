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

mod attempt;
mod fall;
mod link;
mod pulse;
mod saved;
mod say;
mod status;
mod tell;
#[cfg(test)]
mod tests;
mod url;

use std::fmt;
use std::time::Duration;

use heapless::Deque;

use super::close::Close;
use crate::base::backoff::{Backoff, Policy};
use crate::base::limits;
use crate::base::timer::{Name, Timers};
use crate::base::{End, Instant, Machine, Rng, Secret, Wall};

use link::Link;

pub use saved::{Budget, Saved, Session, SessionId, Url};
pub use status::{Beats, Closes, Counters, Me, Resumes, State, Status, cure};
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
    /// What stood in the way is gone: a try that is waited for is made now, and nothing else
    /// happens.
    Hurry,
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
            Ask::Hurry => "try at once",
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
    /// Wraps a JSON text; `None` if Discord would not take its length.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Payload> {
        (bytes.len() <= limits::GATEWAY_SEND_BYTES_MAX).then(|| Payload(bytes.into()))
    }

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
    config: Config,
    saved: Saved,
    rng: Rng,
    status: Status,
    stage: Stage,
    timers: Timers<WAKES>,
    out: Deque<Output, OUTPUTS_MAX>,
    /// An instant and what the clock on the wall said then.
    clock: (Instant, Wall),
    /// Waits after failures to reach the server; reset by HELLO.
    reach: Backoff,
    /// Waits after failures to stay; reset by proof.
    stay: Backoff,
    tries: Tries,
    /// The last sequence received in the session.
    received: u64,
    link: Link,
}

/// Where we are. Exactly those from `Dialing` to `Closing` have a socket.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Stage {
    /// Not started, or stopped.
    Off,
    /// A fatal code: only [`Ask::Resume`] leads out.
    Parked,
    /// Until the next try.
    Waiting,
    /// For the answer of `GET /gateway/bot`.
    Fetching,
    /// The port is connecting.
    Dialing(Plan),
    /// The WebSocket is up, HELLO is due.
    Greeting(Plan),
    /// RESUME is written.
    Resuming,
    /// IDENTIFY is written.
    Identifying,
    /// READY or RESUMED.
    Live,
    /// We asked for the close; the port will say when the socket is gone.
    Closing(After),
}

/// What a dial is for.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Plan {
    Resume { by_resume_url: bool },
    Identify,
}

/// What follows when the socket is gone.
#[derive(Clone, Copy, PartialEq, Debug)]
enum After {
    Off,
    Park(&'static Close),
    Retry(Duration),
}

/// The timers.
#[derive(Clone, Copy)]
enum Wake {
    /// The next try is due.
    Try,
    /// `GET /gateway/bot` has not been answered.
    Fetch,
    /// HELLO, READY or RESUMED has not come.
    Answer,
    /// A heartbeat is due.
    Beat,
    /// An ACK has not come.
    Ack,
    /// It has been long enough to call the connection well.
    Proof,
    /// The cursor is worth keeping.
    Save,
}

const WAKES: usize = 7;

impl Name for Wake {
    fn index(self) -> usize {
        self as usize
    }
}

/// More than any one call leads to.
const OUTPUTS_MAX: usize = 24;

/// What earlier tries have taught.
#[derive(Debug, Default)]
struct Tries {
    /// Dials in a row that ran out of time.
    timeouts: u32,
    /// Failures in a row of the resume URL.
    resume_url_failures: u32,
    /// RESUMEs in a row that failed.
    failed_resumes: u32,
    /// Connections in a row that were live and ended before they had proven themselves.
    unproven: u32,
    /// When we last dialled.
    dialed_at: Option<Instant>,
    /// When we last wrote an IDENTIFY.
    identified_at: Option<Instant>,
    /// When `GET /gateway/bot` was last answered.
    informed_at: Option<Instant>,
    /// Whether we wait for the budget.
    held: bool,
}

impl Gateway {
    /// A machine at rest, which waits for [`Input::Start`]. `saved` is what the last
    /// [`Output::Save`] carried, or the default.
    #[must_use]
    pub fn new(config: Config, mut saved: Saved, rng: Rng) -> Gateway {
        let is_allowed = |url: &Url| url::allowed(url, &config.base_url).is_some();
        saved.url = saved.url.filter(is_allowed);
        if let Some(session) = &mut saved.session {
            session.resume_url = session.resume_url.take().filter(is_allowed);
        }
        Gateway {
            received: saved.session.as_ref().map_or(0, |session| session.seq),
            reach: Backoff::new(config.backoff),
            stay: Backoff::new(config.backoff),
            status: Status { budget: saved.budget, ..Status::default() },
            config,
            saved,
            rng,
            stage: Stage::Off,
            timers: Timers::default(),
            out: Deque::new(),
            clock: (Instant(0), Wall(0)),
            tries: Tries::default(),
            link: Link::new(Instant(0)),
        }
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

    /// What the clock on the wall says at `now`.
    fn wall(&self, now: Instant) -> Wall {
        self.clock.1 + now.since(self.clock.0)
    }

    fn put(&mut self, output: Output) {
        if self.out.push_back(output).is_err() {
            self.status.counters.outputs_lost += 1;
        }
    }

    fn tell(&mut self, tell: Tell) {
        self.put(Output::Tell(tell));
    }

    fn save(&mut self, urgency: Urgency) {
        self.timers.stop(Wake::Save);
        self.put(Output::Save(urgency, Box::new(self.saved.clone())));
    }

    fn set_state(&mut self, now: Instant, state: State) {
        if self.status.state != state {
            self.status.state = state;
            self.status.since = now;
            self.put(Output::State(state));
        }
    }

    /// Gives the session up; what the server remembers of it is of no more use.
    fn forget_session(&mut self) {
        self.set_strikes(0);
        self.tries.failed_resumes = 0;
        self.received = 0;
        if self.saved.session.take().is_some() {
            self.save(Urgency::Now);
        }
    }

    fn set_strikes(&mut self, strikes: u32) {
        self.saved.strikes = strikes;
        self.status.strikes = strikes;
    }

    fn durable(&mut self, now: Instant, seq: u64) {
        let received = self.received;
        let Some(session) = &mut self.saved.session else { return };
        if seq > session.seq && seq <= received {
            session.seq = seq;
            if self.timers.get(Wake::Save).is_none() {
                self.timers.set(Wake::Save, now + limits::HOT_SAVE);
            }
        }
    }
}

impl Machine for Gateway {
    type Input<'a> = Input<'a>;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Start { wall } => self.start(now, wall),
            Input::Wall(wall) => self.set_clock(now, wall),
            Input::Gateway(info) => self.informed(now, info),
            Input::GatewayUnknown => self.uninformed(now),
            Input::Unauthorized => self.unauthorized(now),
            Input::Open => self.opened(now),
            Input::Heard(signal) => self.heard(now, signal),
            Input::Ended(end) => self.ended(now, end),
            Input::Durable(seq) => self.durable(now, seq),
            Input::Drained => self.drained(now),
            Input::Send(bytes) => self.send_for_others(now, bytes),
            Input::Ask(ask) => self.asked(now, ask),
        }
        // Whoever is kept busy with inputs must not have to call us for the time as well.
        self.expire(now);
    }

    fn expire(&mut self, now: Instant) {
        if self.timers.take(Wake::Try, now) {
            self.attempt(now);
        }
        if self.timers.take(Wake::Fetch, now) {
            self.uninformed(now);
        }
        if self.timers.take(Wake::Answer, now) {
            self.link.overdue.answer = true;
            self.drain();
        }
        if self.timers.take(Wake::Ack, now) {
            self.link.overdue.ack = true;
            self.drain();
        }
        if self.timers.take(Wake::Beat, now) {
            self.beat_on_schedule(now);
        }
        // After a late wake-up the minute may have passed in sleep: then the ACK decides.
        if self.timers.take(Wake::Proof, now) && !self.link.overdue.ack {
            self.prove();
        }
        if self.timers.take(Wake::Save, now) {
            self.save(Urgency::Soon);
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        self.timers.earliest()
    }
}
