//! The limits of turns: what waits for one, what goes together into one, and what is shown of an
//! answer before it is complete.

use std::time::Duration;

/// Messages of one chat that wait for a turn, if nobody says how many (OpenClaw's figure) …
pub const TURNS_QUEUED_PER_CHAT_MAX: usize = 20;
/// … and the most that may be said: one chat must leave others room among those in flight.
pub const TURN_QUEUE_CAP_MAX: u64 = 100;
/// How often in a row a turn may be broken off by the next message: then it comes to its end, or a
/// lively chat would pay for answers that nobody ever reads.
pub const TURN_INTERRUPTS_MAX: u8 = 5;
/// A burst is over after so many pauses' time, however fast its author goes on.
pub const TURN_BURST_PAUSES_MAX: u32 = 4;
/// The longest pause that may be waited for the next message of a burst.
pub const TURN_DEBOUNCE_MAX: Duration = Duration::from_secs(60);
/// What is left of a message that had to make room for others.
pub const TURN_SUMMARY_BYTES: usize = 160;
/// What of an unfinished answer is shown: as much as one message of Discord's holds.
pub const DRAFT_BYTES_MAX: usize = 4 * super::DISCORD_MESSAGE_CHARS_MAX;
/// When the beginning of an answer is shown: as soon as there is so much of it …
pub const DRAFT_FIRST_CHARS: usize = 30;
/// … but not before this, in which a fast answer is complete, …
pub const DRAFT_FIRST_MIN: Duration = Duration::from_millis(400);
/// … and with whatever there is after this.
pub const DRAFT_FIRST_MAX: Duration = Duration::from_secs(1);
/// How often it is brought up to date: less often than Discord's usual 5 calls in 5 s, so that
/// there is room for the last one.
pub const DRAFT_EDIT_EVERY: Duration = Duration::from_millis(1200);
/// How long the call may take that shows it first; the answer itself is sent by the outbox.
pub const DRAFT_POST_DEADLINE: Duration = Duration::from_secs(10);
/// How long an edit may take: what comes behind it in its bucket waits for it.
pub const DRAFT_EDIT_DEADLINE: Duration = Duration::from_secs(3);
/// For how long an answer that was begun is worth completing: a sentence that breaks off is worse
/// than one that is late.
pub const OUTBOX_DRAFT_TTL: Duration = Duration::from_secs(6 * 3600);

const _: () = assert!(DRAFT_EDIT_EVERY.as_millis() > 1000);
const _: () = assert!(DRAFT_POST_DEADLINE.as_secs() < super::OUTBOX_NONCE_SURE.as_secs());
const _: () = assert!(super::TURNS_RUNNING_MAX + TURNS_QUEUED_PER_CHAT_MAX < super::INFLIGHT_MAX);
const _: () = assert!(TURN_QUEUE_CAP_MAX < super::INFLIGHT_MAX as u64 / 2);
