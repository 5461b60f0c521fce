//! The limits of scheduled jobs.

use std::time::Duration;

use super::{TEXT_BYTES_MAX, TURNS_RUNNING_MAX};

/// A due instant that is run within this of its time is in time: a busy thread, or a clock that
/// was put forward a little, is no reason to call it missed.
pub const SCHEDULE_LATE: Duration = Duration::from_secs(60);
/// How often the clock on the wall is looked at between due instants: it may have jumped, or the
/// host may have slept.
pub const SCHEDULE_LOOK: Duration = Duration::from_secs(30);
/// The same while that clock is not to be believed.
pub const SCHEDULE_INSANE_LOOK: Duration = Duration::from_secs(5);
/// A clock that goes back by more than this had been wrong; by less, it is corrected.
pub const SCHEDULE_BACK_MAX: Duration = Duration::from_secs(3600);
/// Spans of a clock that was put back which are remembered for each job.
pub const SCHEDULE_SPENT_MAX: usize = 16;
/// Due instants that are counted one by one when they were missed; more are "so many or more".
pub const SCHEDULE_COUNT_MAX: u32 = 100;
/// After a boot, a clock that nobody has set by the network is not believed for so long: a board
/// without a battery shows the time of its last shutdown until then.
pub const SCHEDULE_BOOT_PATIENCE: Duration = Duration::from_secs(180);
/// Jobs of one gateway: far above what people have, and few enough to look at all of them.
pub const CRON_JOBS_MAX: usize = 256;
/// Characters of a job's name; OpenClaw's labels have as many.
pub const CRON_NAME_CHARS_MAX: usize = 200;
/// Bytes of what a job says to its agent, as much as a person could say in a message.
pub const CRON_MESSAGE_BYTES_MAX: usize = TEXT_BYTES_MAX;
/// Bytes of all else about a job that is kept, in each of its fields.
pub const CRON_TEXT_BYTES_MAX: usize = 2048;
/// Runs kept for each job …
pub const CRON_RUNS_PER_JOB_MAX: usize = 50;
/// … and of all jobs, those that are gone included.
pub const CRON_RUNS_MAX: usize = 2000;
/// What is kept of an answer or an error, in bytes.
pub const CRON_SUMMARY_BYTES_MAX: usize = 1024;
/// Runs at once, unless `cron.maxConcurrentRuns` says otherwise: half of all turns …
pub const CRON_RUNNING: usize = TURNS_RUNNING_MAX / 2;
/// … so that people are still answered.
pub const CRON_RUNNING_MAX: usize = TURNS_RUNNING_MAX;
/// The length at which the file of jobs is made short.
pub const CRON_SHORT_BYTES: u64 = 1024 * 1024;
/// A record in it: a job.
pub const CRON_RECORD_BYTES_MAX: u32 = 64 * 1024;
/// All of it: every job at its largest, and every run.
pub const CRON_LOG_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Failures in a row before somebody is told, unless `cron.failureAlert` says otherwise …
pub const CRON_ALERT_AFTER: u32 = 2;
/// … and the wait before they are told again.
pub const CRON_ALERT_COOLDOWN: Duration = Duration::from_secs(3600);
/// How long a delivery to a chat or an endpoint may take.
pub const CRON_DELIVERY_DEADLINE: Duration = Duration::from_secs(120);
/// Tries of a delivery to an endpoint …
pub const CRON_WEBHOOK_TRIES: u32 = 4;
/// … and the wait before the second, doubling.
pub const CRON_WEBHOOK_RETRY: Duration = Duration::from_secs(2);

const _: () = assert!(CRON_RUNNING < CRON_RUNNING_MAX && CRON_RUNNING_MAX <= TURNS_RUNNING_MAX);
const _: () = assert!(CRON_RUNS_PER_JOB_MAX < CRON_RUNS_MAX);
const _: () = assert!(SCHEDULE_LATE.as_secs() >= 2 * SCHEDULE_LOOK.as_secs());
const _: () = assert!(CRON_MESSAGE_BYTES_MAX * 2 < CRON_RECORD_BYTES_MAX as usize);
const _: () = assert!(CRON_SHORT_BYTES < CRON_LOG_BYTES_MAX);
