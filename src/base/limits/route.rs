//! What several agents and accounts keep of each other, and of the bots that they answer.

use std::time::Duration;

use super::{ACCOUNTS_MAX, AGENTS_MAX};

// ---- Loops of bots ---------------------------------------------------------------------------

/// Channels in which bots are watched, some 100 bytes for each, and more where bots speak.
pub const LOOP_PLACES_MAX: usize = 128;
/// Pairs of bots watched in one channel: more than a few that answer each other is a loop already.
pub const LOOP_PAIRS_MAX: usize = 8;
/// The largest counts that can be configured: so many times are kept of a pair.
pub const LOOP_TURNS_MAX: u64 = 200;
/// A bot that speaks within this span behind another is taken to answer it.
pub const LOOP_GAP: Duration = Duration::from_secs(5 * 60);
/// Exchanges of a pair in `windowSeconds`, that span, and how long the pair rests afterwards: as in
/// OpenClaw's `botLoopProtection`.
pub const LOOP_WINDOW_TURNS: u32 = 20;
/// See [`LOOP_WINDOW_TURNS`].
pub const LOOP_WINDOW: Duration = Duration::from_secs(60);
/// See [`LOOP_WINDOW_TURNS`]. Each further stop without a person in between is
/// [`LOOP_COOLDOWN_GROWTH`] times longer …
pub const LOOP_COOLDOWN: Duration = Duration::from_secs(60);
/// … so that a loop that cannot be cured costs ever less …
pub const LOOP_COOLDOWN_GROWTH: u32 = 4;
/// … but never longer than this: who comes back tomorrow is tried once more.
pub const LOOP_COOLDOWN_MAX: Duration = Duration::from_hours(24);
/// Messages of bots, each an answer to the one before, without a person in between.
pub const LOOP_CHAIN: u32 = 10;
/// Answers to one bot without a person in between, however slowly they come: a loop of 42 turns
/// over three hours is what this is to find after half of that.
pub const LOOP_SLOW_TURNS: u32 = 20;
/// The span in which those are counted.
pub const LOOP_SLOW_WINDOW: Duration = Duration::from_hours(6);

// ---- Several agents --------------------------------------------------------------------------

/// Entries of `router.agents`: a few for each agent.
pub const ROUTER_SEATS_MAX: usize = 4 * AGENTS_MAX;
/// Channels of one of them.
pub const ROUTER_PLACES_MAX: usize = 64;
/// Triggers of one of them: each is looked for in every message of its channels.
pub const ROUTER_TRIGGERS_MAX: usize = 32;
/// Bytes of one.
pub const ROUTER_TRIGGER_BYTES_MAX: usize = 128;
/// So much of a text is looked through for triggers.
pub const ROUTER_TEXT_BYTES_MAX: usize = 4000;
/// Messages of which is remembered who answers them, 48 bytes for each: far more than are said
/// between two accounts' hearing the same one.
pub const ROUTER_RULINGS_MAX: usize = 2048;
/// Messages that an agent answered in the place of another that was away: kept on the disk, so
/// that the other does not answer them again when it is back.
pub const ROUTER_STAND_INS_MAX: usize = 256;
/// Messages of ours of which is remembered which agent said them, so that an answer to one finds
/// its agent.
pub const ROUTER_SPOKEN_MAX: usize = 2048;
/// So long an account may be away until another one stands in: longer than a RESUME takes.
pub const ROUTER_STAND_IN: Duration = Duration::from_secs(60);
/// So much later than others an account may hear a message, at least, and still be one that hears
/// its channel.
pub const ROUTER_HEARS_WITHIN: Duration = Duration::from_secs(20);
/// Servers that an account is known to be in; a bot of a home is in a few.
pub const ROUTER_GUILDS_MAX: usize = 128;
/// Channels that an account is known not to hear.
pub const ROUTER_MISSED_MAX: usize = 128;
/// Mentions of one message that are looked at; Discord allows a hundred, and few people think of
/// more than a handful.
pub const MENTIONS_MAX: usize = 16;

// ---- What an agent overheard -----------------------------------------------------------------

/// Chats of which is kept what was said there to others.
pub const OVERHEARD_CHATS_MAX: usize = 64;
/// Messages of each, at most; OpenClaw's `historyLimit` is 20.
pub const OVERHEARD_MESSAGES_MAX: usize = 50;
/// See [`OVERHEARD_MESSAGES_MAX`].
pub const OVERHEARD_MESSAGES: usize = 20;
/// Bytes of each: context, not a transcript.
pub const OVERHEARD_BYTES_MAX: usize = 500;

const _: () = assert!(ROUTER_STAND_INS_MAX < ROUTER_RULINGS_MAX);
const _: () = assert!(ACCOUNTS_MAX <= 255 && ROUTER_SEATS_MAX < 65_536);
// All that is overheard fits into a few megabytes, even if every chat is full.
const _: () =
    assert!(OVERHEARD_CHATS_MAX * OVERHEARD_MESSAGES_MAX * OVERHEARD_BYTES_MAX <= 2 * 1024 * 1024);
const _: () = assert!(LOOP_SLOW_TURNS as u64 <= LOOP_TURNS_MAX);
const _: () = assert!(LOOP_WINDOW_TURNS as u64 <= LOOP_TURNS_MAX);
