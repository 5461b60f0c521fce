//! The faults that the sandbox can play: one table, from which the help, the commands on standard
//! input, the HTTP interface, the drills and the system tests are made.
//!
//! A fault is a deed and the stage at which it is done. At the stages of a handshake the deed
//! takes the place of the normal step; a live deed is done to the connections that are open and,
//! while it is still armed, to each one that becomes live.

mod table;

use std::time::Duration;

pub use self::table::FAULTS;
use crate::base::{Instant, limits};

/// When a deed is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The gateway's ports listen, or do not.
    Listen,
    /// A TCP connection was accepted; TLS has not begun.
    Accept,
    /// The WebSocket upgrade was asked for.
    Upgrade,
    /// HELLO is due.
    Hello,
    /// IDENTIFY came.
    Identify,
    /// RESUME came.
    Resume,
    /// The connection is live: READY or RESUMED was sent.
    Live,
    /// A client connects to the URL that READY named for RESUME.
    ResumeUrl,
    /// `GET /gateway/bot` is answered, and IDENTIFYs are counted.
    Budget,
    /// The switches of the developer portal are looked up.
    Portal,
    /// A message is posted by REST (any call, with `route=all`).
    Rest,
    /// Nothing to wait for: it is said at once in the first text channel.
    Chat,
}

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deed {
    /// The connection ends by FIN, without a close frame.
    Drop,
    /// The connection ends by RST.
    Reset,
    /// The connection ends by a close frame with this code; 1005 is one without a code.
    Close(u16),
    /// Op 7.
    Reconnect,
    /// Op 9, resumable or not.
    Invalid(bool),
    /// What was due is not said, or what came is passed over; all else goes on.
    Ignore,
    /// From here on nothing is said, whatever comes, until the other side leaves.
    Deaf,
    /// Heartbeats are no longer answered, with or without other events.
    NoAck {
        /// Whether messages go on meanwhile.
        chatter: bool,
    },
    /// Half of an event, then as [`Deed::Deaf`].
    HalfFrame,
    /// A frame's header that claims 2^40 bytes.
    HugeHeader,
    /// A guild of this many bytes.
    BigGuild(u64),
    /// Text that is not JSON.
    GarbageText,
    /// A binary frame of noise; under compression it breaks the stream.
    GarbageBinary,
    /// A text that is not UTF-8.
    InvalidUtf8,
    /// A frame with opcode 3.
    ReservedOpcode,
    /// A masked frame, which a server must not send.
    Masked,
    /// Every event comes in fragments, with pings between them.
    Fragments,
    /// Every event comes byte by byte.
    Drip,
    /// Events name their data first and their kind last.
    DataFirst,
    /// Every event comes twice.
    Duplicates,
    /// The sequence jumps ahead.
    Jump,
    /// Op 1: a heartbeat is asked for.
    AskBeat,
    /// A WebSocket ping.
    Ping,
    /// Messages as fast as asked.
    Flood,
    /// Nothing happens with the connection until the fault has run out, or for `seconds`.
    Stall,
    /// This HTTP status.
    Status(u16),
    /// 429 for all routes of the bot.
    Global429,
    /// 429 for a resource, whoever asks.
    Shared429,
    /// 429 whose wait stands in its body only.
    Bare429,
    /// This HTTP status as Cloudflare sends it: HTML, no JSON.
    Html(u16),
    /// A refusal with this HTTP status and Discord's code.
    Refuse(u16, u32),
    /// The call is never answered.
    Hang,
    /// The call is carried out; the connection ends without an answer.
    Cut,
    /// The same, so often of a hundred; the others are answered.
    CutSome(u32),
    /// This many IDENTIFYs remain, until the fault runs out.
    Remaining(u32),
    /// The privileged intents are switched off.
    NoIntents,
    /// Another instance answers with the same token.
    Twin,
}

/// How long a fault stays armed, unless told otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// For so many times.
    Times(u32),
    /// For so many seconds.
    Seconds(u64),
    /// Until `clear`.
    Cleared,
}

/// What is done to open connections when a fault is armed that waits for the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kick {
    /// They stay.
    No,
    /// They are dropped, so that their clients come back with RESUME.
    Drop,
    /// Their sessions end (4007), so that their clients come back with IDENTIFY.
    Renew,
    /// They fall silent for ever.
    Deafen,
}

/// What an onlooker is to see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sees {
    /// RESUMED.
    Resumed,
    /// READY, from a fresh IDENTIFY.
    Ready,
    /// RESUMED or READY, and no end of the connection after it.
    Back,
    /// At most two further connects, and then none.
    Parked,
    /// What a person says after the fault is answered, exactly once.
    Delivered,
    /// As [`Sees::Delivered`], and the connection never ends.
    StaysUp,
    /// The connection never ends, though what was to be said is not.
    Unmoved,
}

/// What a client that keeps its connection well does about a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promise {
    /// What is to be seen.
    pub sees: Sees,
    /// Within how long of the fault, at heartbeats of 4 s; for [`Sees::Parked`] and
    /// [`Sees::Unmoved`] how long to look.
    pub within: Duration,
}

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What it is called by.
    pub name: &'static str,
    /// What happens, in one line.
    pub what: &'static str,
    /// When the deed is done.
    pub stage: Stage,
    /// What is done.
    pub deed: Deed,
    /// How long it stays armed.
    pub scope: Scope,
    /// What happens to open connections first.
    pub kick: Kick,
    /// What should come of it.
    pub promise: Promise,
}

/// What a caller may change of a fault. The [`ARGS`] name the fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Args {
    /// Close code or HTTP status.
    pub code: Option<u16>,
    /// Armed for so many times.
    pub count: Option<u32>,
    /// Armed for so many seconds; how long a stall takes.
    pub seconds: Option<u64>,
    /// Armed until `clear`.
    pub cleared: bool,
    /// Whether open connections are kicked, if the fault kicks at all.
    pub kick: Option<bool>,
    /// IDENTIFYs that remain.
    pub remaining: Option<u32>,
    /// Bytes of a large guild, or of each message of a flood.
    pub bytes: Option<u64>,
    /// Messages per second of a flood; 0 is as fast as they are taken.
    pub rate: Option<u32>,
    /// Only the bot with this user id.
    pub bot: Option<u64>,
    /// REST faults hit every call, not only posted messages.
    pub all_routes: bool,
    /// REST faults hit only calls that concern this channel.
    pub channel: Option<u64>,
    /// How often of a hundred a call is hit, where chance decides.
    pub percent: Option<u32>,
}

/// The arguments by name, with what they mean.
pub const ARGS: &[(&str, &str)] = &[
    ("code", "close code, or HTTP status of rest- and upgrade- faults"),
    ("count", "so many times (messages, of a flood)"),
    ("seconds", "for so many seconds; how long each connect stalls"),
    ("cleared", "true: until `clear`"),
    ("kick", "false: leave the open connections alone, where a fault ends them"),
    ("remaining", "IDENTIFYs that remain"),
    ("bytes", "bytes of a large guild, or of each flooding message"),
    ("rate", "flooding messages per second; 0 is as fast as they are taken"),
    ("bot", "only the bot with this user id"),
    ("route", "all: REST faults hit every call, not only posted messages"),
    ("channel", "REST faults hit only calls that concern the channel with this id"),
    ("percent", "how often of a hundred answers are cut"),
];

impl Args {
    /// Sets one argument from its text.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<Option<T>, String> {
            value.parse().map(Some).map_err(|_| format!("{key} is not a number that fits: {value}"))
        }
        match key {
            "code" => self.code = number(key, value)?,
            "count" => self.count = number(key, value)?,
            "seconds" => self.seconds = number(key, value)?,
            "cleared" => self.cleared = value == "true",
            "kick" => self.kick = Some(value == "true"),
            "remaining" => self.remaining = number(key, value)?,
            "bytes" => self.bytes = number(key, value)?,
            "rate" => self.rate = number(key, value)?,
            "bot" => self.bot = number(key, value)?,
            "route" => self.all_routes = value == "all",
            "channel" => self.channel = number(key, value)?,
            "percent" => self.percent = number(key, value)?,
            _ => {
                let known: Vec<_> = ARGS.iter().map(|(name, _)| *name).collect();
                return Err(format!("no argument {key}; there are {}", known.join(", ")));
            }
        }
        Ok(())
    }
}

/// The fault called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Fault> {
    FAULTS.iter().find(|fault| fault.name == name)
}

/// A fault that waits to be played.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order {
    /// Its row.
    pub fault: &'static Fault,
    /// What is done, the arguments heeded.
    pub deed: Deed,
    /// The arguments themselves.
    pub args: Args,
    /// How many times are left; none that count otherwise.
    left: Option<u32>,
    /// When it runs out, if time does that.
    pub until: Option<Instant>,
}

impl Order {
    /// The order for `fault`, given at `now`.
    #[must_use]
    pub fn new(now: Instant, fault: &'static Fault, args: Args) -> Order {
        let deed = match (fault.deed, args) {
            (Deed::Close(_), Args { code: Some(code), .. }) => Deed::Close(code),
            (Deed::Status(_), Args { code: Some(status), .. }) => Deed::Status(status),
            (Deed::Html(_), Args { code: Some(status), .. }) => Deed::Html(status),
            (Deed::CutSome(_), Args { percent: Some(percent), .. }) => Deed::CutSome(percent),
            (Deed::Remaining(_), Args { remaining: Some(left), .. }) => Deed::Remaining(left),
            (Deed::BigGuild(_), Args { bytes: Some(bytes), .. }) => Deed::BigGuild(bytes),
            (deed, _) => deed,
        };
        // A stall's seconds are its own length, and a flood's count its own size.
        let timed = fault.name != "stall";
        let counted = deed != Deed::Flood;
        let scope = match args {
            Args { cleared: true, .. } => Scope::Cleared,
            Args { count: Some(count), .. } if counted => Scope::Times(count),
            Args { seconds: Some(seconds), .. } if timed => Scope::Seconds(seconds),
            _ if !counted => Scope::Times(1),
            _ => fault.scope,
        };
        let (left, until) = match scope {
            Scope::Times(count) => (Some(count), None),
            Scope::Seconds(seconds) => (None, Some(now + Duration::from_secs(seconds))),
            Scope::Cleared => (None, None),
        };
        Order { fault, deed, args, left, until }
    }

    /// The same order with another deed.
    #[must_use]
    pub fn doing(self, deed: Deed) -> Order {
        Order { deed, ..self }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.left == Some(0) || self.until.is_some_and(|until| until <= now)
    }
}

/// The faults that are armed, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Orders(Vec<Order>);

impl Orders {
    /// Arms one more.
    ///
    /// # Errors
    /// There are too many.
    pub fn arm(&mut self, now: Instant, order: Order) -> Result<(), String> {
        self.0.retain(|order| !order.is_over(now));
        if self.0.len() >= limits::SANDBOX_FAULTS_MAX {
            return Err("too many faults are armed; `clear` disarms them".into());
        }
        self.0.push(order);
        Ok(())
    }

    /// The first that is armed for `stage` and `bot`; it has one time less from now on.
    pub fn take(
        &mut self,
        now: Instant,
        stage: Stage,
        bot: Option<u64>,
        channel: Option<u64>,
    ) -> Option<Order> {
        let fits = |order: &&mut Order| {
            let is_meant = order.args.bot.is_none() || order.args.bot == bot;
            let is_here = order.args.channel.is_none() || order.args.channel == channel;
            order.fault.stage == stage && is_meant && is_here && !order.is_over(now)
        };
        let order = self.0.iter_mut().find(fits)?;
        order.left = order.left.map(|left| left.saturating_sub(1));
        Some(*order)
    }

    /// The first that is armed for `stage`, its times untouched.
    #[must_use]
    pub fn look(&self, now: Instant, stage: Stage) -> Option<Order> {
        self.0.iter().find(|order| order.fault.stage == stage && !order.is_over(now)).copied()
    }

    /// The names of all that are armed.
    pub fn names(&self, now: Instant) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter(move |order| !order.is_over(now)).map(|order| order.fault.name)
    }

    /// Disarms all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Disarms those of one stage.
    pub fn disarm(&mut self, stage: Stage) {
        self.0.retain(|order| order.fault.stage != stage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(name: &str, args: Args) -> Order {
        Order::new(Instant(0), find(name).unwrap(), args)
    }

    #[test]
    fn names_are_unique_and_plain() {
        for (index, fault) in FAULTS.iter().enumerate() {
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(fault.name.chars().all(is_plain), "{}", fault.name);
            assert!(FAULTS[..index].iter().all(|other| other.name != fault.name), "{}", fault.name);
            assert!(!fault.what.is_empty() && fault.what.len() < 60, "{}", fault.what);
        }
    }

    #[test]
    fn every_argument_that_help_names_is_known() {
        for (name, _) in ARGS {
            assert!(Args::default().set(name, "1").is_ok(), "{name}");
        }
        assert!(Args::default().set("colour", "1").unwrap_err().contains("there are code"));
        assert!(Args::default().set("code", "70000").is_err());
    }

    #[test]
    fn times_run_out_and_the_next_order_follows() {
        let (mut orders, now) = (Orders::default(), Instant(0));
        orders.arm(now, order("drop", Args::default())).unwrap();
        orders.arm(now, order("op7", Args { count: Some(2), ..Args::default() })).unwrap();
        let mut deeds = Vec::new();
        while let Some(order) = orders.take(now, Stage::Live, None, None) {
            deeds.push(order.deed);
        }
        assert_eq!(deeds, [Deed::Drop, Deed::Reconnect, Deed::Reconnect]);
    }

    #[test]
    fn seconds_run_out_and_cleared_does_not() {
        let mut orders = Orders::default();
        orders.arm(Instant(0), order("refuse", Args::default())).unwrap();
        orders.arm(Instant(0), order("no-resumed", Args::default())).unwrap();
        let later = Instant(0) + Duration::from_secs(15);
        assert!(orders.look(Instant(0), Stage::Listen).is_some());
        assert!(orders.look(later, Stage::Listen).is_none());
        assert!(orders.take(later, Stage::Resume, None, None).is_some());
        assert_eq!(orders.names(later).collect::<Vec<_>>(), ["no-resumed"]);
        orders.clear();
        assert!(orders.take(later, Stage::Resume, None, None).is_none());
    }

    #[test]
    fn a_fault_for_one_bot_spares_the_others() {
        let mut orders = Orders::default();
        orders.arm(Instant(0), order("drop", Args { bot: Some(7), ..Args::default() })).unwrap();
        assert!(orders.take(Instant(0), Stage::Live, Some(8), None).is_none());
        assert!(orders.take(Instant(0), Stage::Live, Some(7), None).is_some());
    }

    #[test]
    fn arguments_change_the_deed() {
        let close = order("close", Args { code: Some(4009), ..Args::default() });
        assert_eq!(close.deed, Deed::Close(4009));
        let stall = order("stall", Args { seconds: Some(3), ..Args::default() });
        assert_eq!((stall.until, stall.args.seconds), (None, Some(3)));
    }

    #[test]
    fn orders_are_bounded() {
        let mut orders = Orders::default();
        for _ in 0..limits::SANDBOX_FAULTS_MAX {
            orders.arm(Instant(0), order("drop", Args::default())).unwrap();
        }
        assert!(orders.arm(Instant(0), order("drop", Args::default())).is_err());
    }
}
