//! The limits of the page: of logging in to it, and of the record that it shows.

use std::time::Duration;

/// How long a code for the page is good: a person opens a link.
pub const LOGIN_CODE_TTL: Duration = Duration::from_secs(120);
/// Codes that wait to be used; a person asks for one, and perhaps for another.
pub const LOGIN_CODES_MAX: usize = 4;
/// Browsers that are logged in: those of a few people.
pub const LOGIN_SESSIONS_MAX: usize = 16;
/// A browser that was not connected for so long has to log in again.
pub const LOGIN_SESSION_IDLE: Duration = Duration::from_secs(12 * 3600);
/// What is kept of them over a restart: a digest and a time of each.
pub const LOGIN_RECORD_BYTES_MAX: u32 = 8 * 1024;
/// The body of a login: one code.
pub const LOGIN_BODY_BYTES_MAX: usize = 1024;
/// The page, unpacked.
pub const PAGE_BYTES_MAX: usize = 512 * 1024;

// ---- Up and down ------------------------------------------------------------------------------

/// The record of up and down is kept for the last day in slots of this …
pub const UPTIME_SLOT: Duration = Duration::from_secs(300);
/// … so many, the one that is being filled and those of the 24 hours before it …
pub const UPTIME_SLOTS_MAX: usize = 289;
/// … and for so many days.
pub const UPTIME_DAYS_MAX: usize = 30;
/// Causes that are told apart in a day, the rest together being one of them …
pub const UPTIME_CAUSES_MAX: usize = 6;
/// … and how long each may be.
pub const UPTIME_CAUSE_BYTES_MAX: usize = 100;
/// What an account's record takes as it is kept, were every slot another story.
pub const UPTIME_BYTES_MAX: u32 = 128 * 1024;
/// How far the two clocks may differ over a stretch before one of them has jumped.
pub const UPTIME_CLOCK_SLACK: Duration = Duration::from_secs(2);
/// How long a clock that was set back is given to be set right.
pub const UPTIME_CLOCK_PATIENCE: Duration = Duration::from_secs(600);
/// How often the record is brought up to date, if nothing happens: a killed process loses as much.
pub const UPTIME_BEAT: Duration = Duration::from_secs(60);
/// How often it goes to the disk: a power cut loses as much of it.
pub const UPTIME_COLD_BEAT: Duration = Duration::from_secs(900);
/// Heartbeats whose way there and back is remembered: an hour and a half of them.
pub const HEARTBEATS_KEPT: usize = 128;
