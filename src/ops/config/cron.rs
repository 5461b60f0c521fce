//! `cron`: how scheduled jobs run, and who is told that one fails.

use std::time::Duration;

use super::read::Reader;
use crate::base::limits;

/// How scheduled jobs run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Cron {
    /// Whether they run when they are due.
    pub(crate) enabled: bool,
    /// Whether runs that were missed are left out where a job says nothing itself.
    pub(crate) skip_missed: bool,
    /// How many run at once.
    pub(crate) running_max: usize,
    /// Who is told that one fails.
    pub(crate) alert: CronAlert,
}

/// Who is told that a scheduled job fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CronAlert {
    /// Whether anybody is.
    pub(crate) enabled: bool,
    /// After so many failures in a row.
    pub(crate) after: u32,
    /// How long until they are told again.
    pub(crate) cooldown: Duration,
    /// The chat service.
    pub(crate) channel: Option<String>,
    /// The chat; else where the job's answers go.
    pub(crate) to: Option<String>,
    /// The account that says it.
    pub(crate) account: Option<String>,
    /// Whether what was left out counts.
    pub(crate) include_skipped: bool,
}

/// What the file says of it.
pub(super) fn cron(read: &mut Reader<'_, '_>) -> Cron {
    let running = read.whole("cron.maxConcurrentRuns").and_then(|most| usize::try_from(most).ok());
    let after = read.whole("cron.failureAlert.after").and_then(|after| u32::try_from(after).ok());
    let cooldown = read.span("cron.failureAlert.cooldownMs");
    Cron {
        enabled: read.flag("cron.enabled").unwrap_or(true),
        skip_missed: read.flag("cron.skipMissedJobs").unwrap_or(false),
        running_max: running.unwrap_or(limits::CRON_RUNNING),
        alert: CronAlert {
            enabled: read.flag("cron.failureAlert.enabled").unwrap_or(true),
            after: after.unwrap_or(limits::CRON_ALERT_AFTER),
            cooldown: cooldown.unwrap_or(limits::CRON_ALERT_COOLDOWN),
            channel: read.text("cron.failureAlert.channel"),
            to: read.text("cron.failureAlert.to"),
            account: read.text("cron.failureAlert.accountId"),
            include_skipped: read.flag("cron.failureAlert.includeSkipped").unwrap_or(false),
        },
    }
}
