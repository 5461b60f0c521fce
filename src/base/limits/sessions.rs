//! The limits of sessions: what of them is read, kept in short, and known in memory.

use std::time::Duration;

/// People whose words are in one line: of a summary, those of a large channel. One of more is
/// forgotten with any of them.
pub const TRANSCRIPT_PEOPLE_MAX: usize = 64;
/// Sessions of which it is known in this process when they were last heard of; of the others only
/// the clock tells.
pub const SESSIONS_HEARD_MAX: usize = 1024;
/// Lines that a new thread takes over from the channel around it.
pub const THREAD_LINES_MAX: usize = 20;
/// The same in bytes: some thousand tokens.
pub const THREAD_BYTES_MAX: usize = 16 * 1024;
/// The longest silence that ends a conversation, if any does: a year.
pub const SESSION_IDLE_MAX: Duration = Duration::from_hours(24 * 366);
/// What is told at once of what is kept about a person: it fits an answer, as JSON too.
pub const PERSON_PAGE_BYTES: usize = 96 * 1024;
/// People who are being forgotten at once.
pub const FORGETTING_MAX: usize = 64;
/// The file that names them.
pub const FORGETTING_BYTES_MAX: u32 = 8 * 1024;
