//! The limits of the tools that agents use.

use std::time::Duration;

/// What a tool tells the model: some four thousand tokens, which a small model can still read
/// several of.
pub const TOOL_OUTPUT_BYTES_MAX: usize = 16 * 1024;
/// How long a tool may take that does not say otherwise.
pub const TOOL_PATIENCE: Duration = Duration::from_secs(30);
/// What is left of a turn when its tools have to be done: enough for the model's last words.
pub const TOOL_TURN_RESERVE: Duration = Duration::from_secs(5);
/// Tools of one turn that are at work at the same time; more wait.
pub const TOOLS_RUNNING_MAX: usize = 8;
/// Calls of one turn: further ones fail, since the model runs in circles.
pub const TOOL_CALLS_MAX: u32 = 48;
/// Mistakes in the arguments of a call that are told at once.
pub const TOOL_MISTAKES_MAX: usize = 5;
/// How deep arguments are looked into; what is nested deeper is the tool's own matter.
pub const TOOL_SCHEMA_DEPTH_MAX: usize = 16;
/// Messages of a history that are read for one call: five pages of Discord's.
pub const TOOL_HISTORY_MESSAGES_MAX: usize = 500;
/// Messages that are read if the model says no number.
pub const TOOL_HISTORY_MESSAGES: usize = 50;
/// Of a history, so much is told as it was said: what is newest. Less than a tool may say, so that
/// what was condensed has room before it.
pub const TOOL_HISTORY_BYTES_MAX: usize = 10 * 1024;
/// Of one message in it, so much is told.
pub const TOOL_HISTORY_MESSAGE_BYTES_MAX: usize = 1500;
/// Of what is older, so much is condensed by the model: some ten thousand tokens.
pub const TOOL_CONDENSED_FROM_BYTES_MAX: usize = 40 * 1024;
/// What comes of that.
pub const TOOL_CONDENSED_BYTES_MAX: usize = 4 * 1024;
/// How long the answer of a model that condenses may become, in its tokens.
pub const TOOL_CONDENSED_TOKENS_MAX: u32 = 800;
/// How long a tool may take that asks a model.
pub const TOOL_PATIENCE_OF_HISTORY: Duration = Duration::from_secs(60);
/// What is said in another chat by one call: as much as is read of a message.
pub const TOOL_MESSAGE_CHARS_MAX: usize = 8000;
/// How long it is waited for that a message arrives in another chat; it is sent in any case.
pub const TOOL_POST_PATIENCE: Duration = Duration::from_secs(20);
/// Reminders of one person: more than a person keeps in mind.
pub const REMINDERS_PER_PERSON_MAX: usize = 20;
/// Reminders of everybody: half of all jobs, so that people cannot take those of who runs us.
pub const REMINDERS_MAX: usize = super::CRON_JOBS_MAX / 2;
/// What a reminder says.
pub const REMINDER_CHARS_MAX: usize = 1000;
/// The shortest time between two runs of a reminder that repeats: what comes more often is noise.
pub const REMINDER_EVERY_MIN: Duration = Duration::from_secs(300);
