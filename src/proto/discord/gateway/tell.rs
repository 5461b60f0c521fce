//! The story of a connection, as values; their `Display` is the log line.
//!
//! People grep for some of these lines, so their words are fixed: `WebSocket connection closed
//! with code N`, `Attempting resume with backoff: Nms`, and one line with `disconnect` per
//! connection lost, which ends with the channel's name.

use std::fmt;
use std::time::Duration;

use crate::base::end::{DialFault, Phase};
use crate::base::text::Plain;
use crate::base::{End, Wall};
use crate::proto::discord::close::{self, Close};

/// How much a line matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Somebody must act.
    Alert,
    /// Something went wrong and is being mended.
    Warn,
    /// The story in short.
    Info,
    /// Every heartbeat and every try (`connection-debug`).
    Debug,
}

/// Why a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// As the port saw it, or a deadline that went by.
    End(End),
    /// Op 7: the server wants us to come again.
    Reconnect,
    /// Op 9.
    Invalid {
        /// Whether the session may be resumed all the same.
        resumable: bool,
    },
}

impl Cause {
    /// The code that the connection was closed with: the server's, or ours where we closed it.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Cause::End(End::Silence(_) | End::Asked) | Cause::Reconnect | Cause::Invalid { .. } => {
                4000
            }
            Cause::End(end) => end.code(),
        }
    }

    /// Whether we ended it on purpose.
    #[must_use]
    pub fn is_asked(self) -> bool {
        self == Cause::End(End::Asked)
    }

    /// The word for counters and metrics: one of few, whatever a server sends.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Cause::Reconnect => "op7",
            Cause::Invalid { .. } => "op9",
            Cause::End(End::Asked) => "asked",
            Cause::End(End::Wire) => "cut",
            Cause::End(End::Silence(Phase::Live)) => "silence",
            Cause::End(End::Silence(_)) => "too_slow",
            Cause::End(End::Garbage(_)) => "garbage",
            Cause::End(End::Dial(fault)) => match fault {
                DialFault::Dns => "dial_dns",
                DialFault::NoRoute => "dial_no_route",
                DialFault::Refused => "dial_refused",
                DialFault::Clock => "dial_clock",
                DialFault::Tls => "dial_tls",
                DialFault::Status(..) => "dial_status",
                DialFault::Upgrade => "dial_upgrade",
                DialFault::Lost => "dial_lost",
                DialFault::Forbidden => "dial_forbidden",
                DialFault::Proxy(_) => "dial_proxy",
            },
            Cause::End(End::Server(code)) => {
                let words = CLOSES.iter().find(|(known, _)| *known == code);
                words.map_or("close_other", |(_, word)| word)
            }
        }
    }
}

/// Words for the closes that Discord documents, and those of every WebSocket.
const CLOSES: [(u16, &str); 19] = [
    (1000, "close_1000"),
    (1001, "close_1001"),
    (1005, "close_1005"),
    (1006, "close_1006"),
    (1012, "close_1012"),
    (4000, "close_4000"),
    (4001, "close_4001"),
    (4002, "close_4002"),
    (4003, "close_4003"),
    (4004, "close_4004"),
    (4005, "close_4005"),
    (4007, "close_4007"),
    (4008, "close_4008"),
    (4009, "close_4009"),
    (4010, "close_4010"),
    (4011, "close_4011"),
    (4012, "close_4012"),
    (4013, "close_4013"),
    (4014, "close_4014"),
];

/// What holds an IDENTIFY back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hold {
    /// The server says that few are left.
    Remaining(u32),
    /// We made many in the last 24 hours.
    Own(u32),
}

/// Why an [`Input::Send`](super::Input::Send) was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There is no session to send it in.
    NotConnected,
    /// It is larger than Discord takes.
    TooLong,
    /// The allowance of the minute is used up; there is room again after this long.
    TooMany(Duration),
}

/// One line.
#[derive(Clone, PartialEq, Debug)]
pub enum Tell {
    /// A dial begins.
    Dialing {
        /// RESUME, or else IDENTIFY.
        resume: bool,
        /// How many failed since a connection was last well.
        failures: u32,
    },
    /// A dial failed.
    DialFailed(End),
    /// HELLO came.
    Hello {
        /// How often it wants a heartbeat.
        interval: Duration,
    },
    /// RESUME was written.
    Resuming {
        /// Its `seq`.
        seq: u64,
    },
    /// IDENTIFY was written.
    Identifying {
        /// How many of our own this makes in 24 hours.
        of_day: u32,
    },
    /// READY or RESUMED came.
    Live {
        /// RESUMED.
        resumed: bool,
        /// Events that the replay brought.
        replayed: u64,
        /// How long we were away.
        away: Duration,
    },
    /// The connection has shown that it is well: old failures are forgiven.
    Proven,
    /// A heartbeat was sent.
    Beat {
        /// Its `d`.
        seq: Option<u64>,
        /// By how much it was late.
        late: Duration,
    },
    /// Its ACK came.
    Ack {
        /// After this long.
        rtt: Duration,
    },
    /// A WebSocket ended, with this code.
    Closed {
        /// The server's, or ours.
        code: u16,
    },
    /// The same once more, with the reason: the line that is counted.
    Disconnected(Cause),
    /// The next try is set.
    Attempt {
        /// RESUME, or else IDENTIFY.
        resume: bool,
        /// When.
        wait: Duration,
    },
    /// A session was given up after strikes.
    Abandoned {
        /// RESUMEs that failed in a row.
        failed: u32,
    },
    /// A session was given up since no connection with it lasted.
    Unproven {
        /// So many in a row.
        connections: u32,
    },
    /// A session was given up since it is older than configured.
    Expired {
        /// How old.
        age: Duration,
    },
    /// No IDENTIFY before this time.
    Held {
        /// Until when.
        until: Wall,
        /// Why.
        why: Hold,
    },
    /// Nothing more is tried until somebody changes something.
    Parked(&'static Close),
    /// A close code that is a bug of ours.
    Alarm(&'static Close),
    /// Many tries failed; from now on they are rare.
    Slow {
        /// So many.
        failures: u32,
    },
    /// Somebody asked.
    Asked(super::Ask),
    /// A URL that we will not dial; only its beginning is kept.
    UrlRefused(Box<str>),
    /// A payload was not sent.
    SendRefused(Refusal),
    /// The first message of a connection that could not be read; the rest is only counted.
    Unreadable,
}

impl Tell {
    /// How much it matters.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Tell::Parked(_) | Tell::Slow { .. } | Tell::Alarm(_) => Level::Alert,
            Tell::Abandoned { .. }
            | Tell::Unproven { .. }
            | Tell::Held { .. }
            | Tell::UrlRefused(_)
            | Tell::Disconnected(_)
            | Tell::DialFailed(_)
            | Tell::SendRefused(_)
            | Tell::Unreadable => Level::Warn,
            Tell::Resuming { .. }
            | Tell::Identifying { .. }
            | Tell::Live { .. }
            | Tell::Closed { .. }
            | Tell::Attempt { .. }
            | Tell::Expired { .. }
            | Tell::Asked(_) => Level::Info,
            Tell::Dialing { .. }
            | Tell::Hello { .. }
            | Tell::Proven
            | Tell::Beat { .. }
            | Tell::Ack { .. } => Level::Debug,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Reconnect => f.write_str("op 7: the server asked us to reconnect"),
            Cause::Invalid { resumable: true } => f.write_str("op 9: invalid session, resumable"),
            Cause::Invalid { resumable: false } => f.write_str("op 9: invalid session"),
            Cause::End(End::Server(code)) => write!(f, "code {code}: {}", close::of(*code)),
            Cause::End(End::Wire) => write!(f, "code 1006: {}", close::of(1006)),
            Cause::End(end) => end.fmt(f),
        }
    }
}

impl fmt::Display for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = |resume: &bool| if *resume { "resume" } else { "identify" };
        match self {
            Tell::Dialing { resume, failures } => {
                write!(f, "connecting to {}, {failures} failed before", verb(resume))
            }
            Tell::DialFailed(end) => write!(f, "cannot connect: {end}"),
            Tell::Hello { interval } => write!(f, "HELLO, a heartbeat each {interval:?}"),
            Tell::Resuming { seq } => write!(f, "RESUME from sequence {seq}"),
            Tell::Identifying { of_day } => write!(f, "IDENTIFY, number {of_day} of 24 hours"),
            Tell::Live { resumed: true, replayed, away } => {
                write!(f, "connected: session resumed, {replayed} events replayed, away {away:.1?}")
            }
            Tell::Live { resumed: false, away, .. } => {
                write!(f, "connected: new session, away {away:.1?}")
            }
            Tell::Proven => f.write_str("the connection has proven itself well"),
            Tell::Beat { seq: Some(seq), late } => {
                write!(f, "heartbeat at sequence {seq}, {late:.1?} late")
            }
            Tell::Beat { seq: None, late } => write!(f, "heartbeat, {late:.1?} late"),
            Tell::Ack { rtt } => write!(f, "heartbeat acknowledged after {rtt:.1?}"),
            Tell::Closed { code } => write!(f, "WebSocket connection closed with code {code}"),
            Tell::Disconnected(cause) => write!(f, "disconnected ({cause}): discord"),
            Tell::Attempt { resume, wait } => {
                write!(f, "Attempting {} with backoff: {}ms", verb(resume), wait.as_millis())
            }
            Tell::Abandoned { failed } => {
                write!(
                    f,
                    "session abandoned after {failed} failed resumes, a fresh IDENTIFY follows"
                )
            }
            Tell::Unproven { connections } => write!(
                f,
                "session abandoned: {connections} connections in a row did not last, a fresh \
                 IDENTIFY follows"
            ),
            Tell::Expired { age } => write!(f, "session not resumed: {age:.0?} old"),
            Tell::Held { until, why: Hold::Remaining(left) } => {
                write!(f, "no IDENTIFY before {until}: Discord allows only {left} more today")
            }
            Tell::Held { until, why: Hold::Own(spent) } => {
                write!(f, "no IDENTIFY before {until}: {spent} were made in 24 hours")
            }
            Tell::Parked(close) => {
                write!(f, "parked (code {}: {close}). {}", close.code, close.advice)
            }
            Tell::Alarm(close) => write!(f, "code {}: {close}. {}", close.code, close.advice),
            Tell::Slow { failures } => {
                write!(f, "{failures} tries have failed, as many as configured: trying rarely now")
            }
            Tell::Asked(ask) => write!(f, "asked to {}", ask.name()),
            Tell::UrlRefused(url) => write!(f, "not a place to connect to: {}", Plain(url)),
            Tell::SendRefused(refusal) => write!(f, "not sent: {refusal}"),
            Tell::Unreadable => f.write_str("the server sent what cannot be read; ignored"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotConnected => f.write_str("there is no session"),
            Refusal::TooLong => f.write_str("the payload is too long"),
            Refusal::TooMany(wait) => write!(f, "too many sends, room in {wait:.0?}"),
        }
    }
}
