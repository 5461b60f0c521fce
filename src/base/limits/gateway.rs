//! The limits of a connection to Discord's gateway.

use std::time::Duration;

// ---- Discord gateway: what the service allows (its documentation, "Gateway") -------------------

/// The largest payload that Discord accepts from us; a larger one is closed with 4002.
pub const GATEWAY_SEND_BYTES_MAX: usize = 4096;
/// Gateway sends that Discord allows in [`GATEWAY_SENDS_PERIOD`] ("Rate Limiting").
pub const GATEWAY_SENDS_MAX: usize = 120;
/// See [`GATEWAY_SENDS_MAX`].
pub const GATEWAY_SENDS_PERIOD: Duration = Duration::from_secs(60);
/// What our window of sends is longer than theirs: the network may bunch up what we spaced.
pub const GATEWAY_SENDS_SLACK: Duration = Duration::from_secs(5);
/// Sends kept free for answers to op 1, besides those that the heartbeat's schedule needs, so that
/// presence updates or a burst of our own can never cost the connection.
pub const GATEWAY_SENDS_RESERVED: usize = 8;
/// The least time between two IDENTIFYs of one bucket: Discord says 5 s, and clocks differ.
pub const IDENTIFY_SPACING: Duration = Duration::from_millis(5_500);
/// At this many remaining IDENTIFYs of the day we hold: at 0 Discord resets the token.
pub const IDENTIFY_REMAINING_HOLD: u32 = 50;
/// IDENTIFYs of our own in [`IDENTIFY_PERIOD`] at which we hold, whatever the server says.
pub const IDENTIFY_OWN_MAX: usize = 200;
/// See [`IDENTIFY_OWN_MAX`].
pub const IDENTIFY_PERIOD: Duration = Duration::from_secs(24 * 3600);

// ---- Discord gateway: what we keep -----------------------------------------------------------

/// Bytes of a session id; Discord's are hexadecimal digits, 32 of them, and may grow.
pub const SESSION_ID_BYTES_MAX: usize = 128;
/// Bytes of the URL that a RESUME goes to.
pub const RESUME_URL_BYTES_MAX: usize = 256;
/// The least that a hold lasts, lest a server that says "0 left, resets now" be asked in a loop.
pub const IDENTIFY_HOLD_MIN: Duration = Duration::from_secs(60);
/// Bytes of a gateway URL; Discord's have about 40.
pub const GATEWAY_URL_BYTES_MAX: usize = 256;

// ---- Discord gateway: deadlines --------------------------------------------------------------

/// From a dial's start to an open WebSocket, on the first try.
pub const DIAL_DEADLINE_FIRST: Duration = Duration::from_secs(10);
/// Ceiling of that deadline: it grows on repeated timeouts, for links that are slow, not dead.
pub const DIAL_DEADLINE_MAX: Duration = Duration::from_secs(30);
/// From the upgrade to HELLO.
pub const HELLO_DEADLINE: Duration = Duration::from_secs(10);
/// From IDENTIFY to READY.
pub const READY_DEADLINE: Duration = Duration::from_secs(15);
/// From RESUME, or from the last replayed dispatch, to RESUMED.
pub const RESUMED_DEADLINE: Duration = Duration::from_secs(8);
/// From a heartbeat to its ACK; shorter intervals allow three quarters of an interval.
pub const ACK_DEADLINE_MAX: Duration = Duration::from_secs(10);
/// Heartbeat intervals that we believe; others are brought within.
pub const HEARTBEAT_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// See [`HEARTBEAT_INTERVAL_MIN`].
pub const HEARTBEAT_INTERVAL_MAX: Duration = Duration::from_secs(120);
/// This long without a fault proves a connection well, if no beat's ACK proves it earlier.
pub const LIVE_PROOF: Duration = Duration::from_secs(60);
/// From RESUME to RESUMED in all, however long the replay trickles on.
pub const REPLAY_MAX: Duration = Duration::from_secs(60);
/// From asking `GET /gateway/bot` to going on without its answer.
pub const GATEWAY_INFO_DEADLINE: Duration = Duration::from_secs(10);
/// An answer of `GET /gateway/bot` that is older is asked for anew before an IDENTIFY: others with
/// the same token may have spent the budget since. Less than the spacing of IDENTIFYs, so that each
/// is preceded by an answer.
pub const GATEWAY_INFO_AGE_MAX: Duration = Duration::from_secs(5);
/// How long the messages that a socket holds are read before something is judged overdue: a full
/// receive buffer, inflated on a slow processor. A server that never stops must not put it off.
pub const SOCKET_DRAIN: Duration = Duration::from_secs(1);
/// How long a closing socket waits for the server's FIN.
pub const CLOSE_WAIT: Duration = Duration::from_secs(1);

// ---- Waits between tries: ceilings, since the jitter is full ----------------------------------

/// The first wait: most losses are over at once.
pub const RETRY_FIRST: Duration = Duration::from_millis(300);
/// The second, from which later ones grow.
pub const RETRY_SECOND: Duration = Duration::from_secs(1);
/// By what they grow.
pub const RETRY_GROWTH_PERCENT: u32 = 200;
/// The longest: nobody should wait longer once the network is back.
pub const RETRY_CAP: Duration = Duration::from_secs(60);

/// How long the pre-flight's `GET /applications/@me` may take.
pub const PREFLIGHT_DEADLINE: Duration = Duration::from_secs(10);
/// How long `GET /gateway/bot` may take before we go on with what we know.
pub const GATEWAY_BOT_DEADLINE: Duration = Duration::from_secs(5);
/// What a proof of life may be older than the latest moment at which the next one was due.
pub const PROOF_SLACK: Duration = Duration::from_secs(5);
/// Our close code where the session is to live on: any but 1000 and 1001 does, and this one is in
/// the range that RFC 6455 7.4.2 leaves to applications.
pub const CLOSE_KEEPING_SESSION: u16 = 4000;

// ---- Discord gateway: judgement --------------------------------------------------------------

/// Strikes (a RESUME refused counts one, swallowed two) at which a session is given up.
pub const RESUME_STRIKES_MAX: u32 = 3;
/// Failures in a row of the resume URL after which RESUME is tried at the base URL.
pub const RESUME_URL_FAILURES_MAX: u32 = 2;
/// The wait after op 9, at random ("Gateway", Invalid Session).
pub const INVALID_SESSION_WAIT: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(5));
/// Connections in a row that were READY or RESUMED but lost before they were proven well, at which
/// (and at each doubling of which) the session is given up: the doubling keeps a flaky link, on
/// which the session is not to blame, from spending the day's IDENTIFYs.
pub const UNPROVEN_MIN: u32 = 4;
/// A wait that a server asks for (`Retry-After` on the upgrade) is believed up to this.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(15 * 60);
/// A restart that is asked for during a wait shortens it, but dials stay this far apart.
pub const RESTART_SPACING: Duration = Duration::from_secs(5);
/// How often a parked account looks whether its configuration or token file has changed.
pub const PARKED_LOOK: Duration = Duration::from_secs(5);
/// How often an account tries that a finite `max_retries` has slowed down.
pub const SLOW_RETRY: Duration = Duration::from_secs(300);
