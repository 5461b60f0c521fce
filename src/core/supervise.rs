//! What becomes of an account that ended: tried again, parked until a person acts, or stopped.
//!
//! A connection mends itself: its machine owns session, strikes and backoff. Only what that cannot
//! cure comes here. Accounts do not touch one another.

use std::time::Duration;

use crate::base::Instant;
use crate::base::limits::{
    MONITOR_LOOK, MONITOR_PATIENCE, MONITOR_WAIT, MONITOR_WAIT_MAX, PARKED_LOOK,
};

/// Why an account ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// We were told to stop it.
    Asked,
    /// It was told to start afresh (`channels restart`).
    Restart,
    /// There is no token.
    TokenMissing,
    /// The service refused the token (Discord: 4004, or a 401).
    TokenRefused,
    /// The service refused how we came, with this close code; only configuration can change it.
    Refused(u16),
    /// The service no longer speaks our version of its protocol (Discord: 4012): only another
    /// build of this program can change it.
    Outdated,
    /// Another process holds the token on this host.
    Locked {
        /// Its process id, if it could be found out.
        pid: Option<u32>,
    },
    /// Something on this host that it needs cannot be used: the disk, a file of authorities.
    Unusable,
}

/// What is next for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Start it again after this long.
    Retry(Duration),
    /// Leave it down. With a span: look that often whether its configuration or token file has
    /// changed, and start it then.
    Park(Option<Duration>),
    /// Leave it down until somebody starts it.
    Stop,
}

/// The one place that judges an end.
#[must_use]
pub fn judge(ended: Ended) -> Next {
    match ended {
        Ended::Asked => Next::Stop,
        Ended::Restart => Next::Retry(Duration::ZERO),
        Ended::Locked { .. } | Ended::Unusable => Next::Retry(PARKED_LOOK),
        Ended::TokenMissing | Ended::TokenRefused | Ended::Refused(_) => {
            Next::Park(Some(PARKED_LOOK))
        }
        Ended::Outdated => Next::Park(None),
    }
}

/// Where one account stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Account {
    /// It runs.
    #[default]
    Running,
    /// It ended; `why` says how, `due` when it is to be started or looked after.
    Down {
        /// How it ended.
        why: Ended,
        /// When something is to be done about it, if ever.
        due: Option<Instant>,
    },
}

/// What is to be done about an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Start it; it counts as running from here.
    Start,
    /// Look whether its configuration or token file has changed; if so, [`Account::start`].
    Look,
}

impl Account {
    /// It ended.
    pub fn ended(&mut self, now: Instant, why: Ended) {
        let due = match judge(why) {
            Next::Retry(wait) => Some(now + wait),
            Next::Park(look) => look.map(|span| now + span),
            Next::Stop => None,
        };
        *self = Account::Down { why, due };
    }

    /// What is due at `now`.
    pub fn poll(&mut self, now: Instant) -> Option<Act> {
        let Account::Down { why, due } = *self else { return None };
        due.filter(|&due| due <= now)?;
        if let Next::Park(look) = judge(why) {
            *self = Account::Down { why, due: look.map(|span| now + span) };
            return Some(Act::Look);
        }
        *self = Account::Running;
        Some(Act::Start)
    }

    /// When [`poll`](Account::poll) is wanted next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Account::Running => None,
            Account::Down { due, .. } => *due,
        }
    }

    /// It is started, whatever it was parked for: its files have changed, or a person said so.
    pub fn start(&mut self) {
        *self = Account::Running;
    }

    /// Whether another process runs it.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        matches!(self, Account::Down { why: Ended::Locked { .. }, .. })
    }
}

/// The health monitor of one account: when to restart it, since it no longer keeps its own
/// schedule. A connection mends itself, so this is for faults of ours that nobody has thought of.
/// Each further restart waits twice as long, so that a fault which a restart cannot cure costs
/// next to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Monitor {
    looked: Option<Instant>,
    ill_since: Option<Instant>,
    /// When it was last restarted, and how often in a row.
    last: Option<(Instant, u32)>,
}

impl Monitor {
    /// The account was started: what was before says nothing of it.
    pub fn begin(&mut self) {
        (self.looked, self.ill_since) = (None, None);
    }

    /// Takes in whether the account is well. For how long it has not been, if it is to be
    /// restarted now.
    pub fn look(&mut self, now: Instant, is_well: bool) -> Option<Duration> {
        self.looked = Some(now);
        if is_well {
            self.ill_since = None;
            if self.last.is_some_and(|(last, _)| now.since(last) > MONITOR_WAIT_MAX) {
                self.last = None;
            }
            return None;
        }
        let ill = now.since(*self.ill_since.get_or_insert(now));
        let (waited, times) =
            self.last.map_or((Duration::MAX, 0), |(last, times)| (now.since(last), times));
        let wait = (MONITOR_WAIT * 2_u32.saturating_pow(times.saturating_sub(1).min(16)))
            .min(MONITOR_WAIT_MAX);
        if ill < MONITOR_PATIENCE || waited < wait {
            return None;
        }
        self.last = Some((now, times.saturating_add(1)));
        Some(ill)
    }

    /// When to look next; at once if nobody has looked since the start.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.looked.map(|looked| looked + MONITOR_LOOK).or(Some(Instant(0)))
    }
}

/// Whether the whole process has nothing to do here: there are accounts, and other processes run
/// them all.
#[must_use]
pub fn is_superfluous(accounts: &[Account]) -> bool {
    !accounts.is_empty() && accounts.iter().all(Account::is_locked)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant(1_000);

    fn down(why: Ended) -> Account {
        let mut account = Account::default();
        account.ended(NOW, why);
        account
    }

    #[test]
    fn a_lock_is_tried_again_and_a_refusal_only_looked_after() {
        let mut locked = down(Ended::Locked { pid: Some(7) });
        assert_eq!(locked.poll(NOW), None);
        assert_eq!(locked.poll(NOW + PARKED_LOOK), Some(Act::Start));
        assert_eq!(locked, Account::Running);
        let mut unusable = down(Ended::Unusable);
        assert_eq!(unusable.poll(NOW), None, "a disk that refused is not asked without pause");
        assert_eq!(unusable.poll(NOW + PARKED_LOOK), Some(Act::Start));
        for why in [Ended::TokenMissing, Ended::TokenRefused, Ended::Refused(4014)] {
            let mut parked = down(why);
            let mut now = NOW;
            for _ in 0..1000 {
                now = parked.deadline().unwrap();
                assert_eq!(parked.poll(now), Some(Act::Look), "{why:?}");
                assert_eq!(parked.poll(now), None, "one look at a time");
            }
            parked.start();
            assert_eq!((parked, parked.poll(now)), (Account::Running, None));
        }
    }

    #[test]
    fn what_a_file_cannot_cure_is_left_alone() {
        for why in [Ended::Asked, Ended::Outdated] {
            let mut account = down(why);
            assert_eq!((account.deadline(), account.poll(Instant(u64::MAX))), (None, None));
        }
        assert_eq!(down(Ended::Restart).poll(NOW), Some(Act::Start));
    }

    #[test]
    fn the_monitor_restarts_what_stays_ill_and_ever_more_rarely() {
        let (mut monitor, mut now) = (Monitor::default(), NOW);
        monitor.begin();
        assert_eq!(monitor.look(now, false), None, "one look is no proof");
        let mut restarts = Vec::new();
        let day = NOW + Duration::from_hours(24);
        while now < day {
            now += MONITOR_LOOK;
            if monitor.look(now, false).is_some() {
                restarts.push(now);
                monitor.begin();
            }
        }
        let waits: Vec<_> = restarts.windows(2).map(|pair| pair[1].since(pair[0])).collect();
        assert!(waits.iter().all(|&wait| wait >= MONITOR_WAIT));
        assert!(waits.is_sorted() && waits.last().is_some_and(|&wait| wait >= MONITOR_WAIT_MAX));
        assert!(restarts.len() <= 30, "{} in a day", restarts.len());
    }

    #[test]
    fn the_monitor_leaves_alone_what_is_well_or_ill_for_a_moment_only() {
        let mut monitor = Monitor::default();
        for look in 0_u32..100_000 {
            let now = NOW + MONITOR_LOOK * look;
            assert_eq!(monitor.look(now, !look.is_multiple_of(2)), None);
        }
        let healed = NOW + MONITOR_LOOK * 100_000;
        assert_eq!(monitor.look(healed, true), None);
        assert_eq!(monitor.look(healed + MONITOR_PATIENCE, false), None);
        assert!(monitor.look(healed + MONITOR_PATIENCE * 2, false).is_some());
    }

    #[test]
    fn the_process_leaves_only_when_others_run_all_its_accounts() {
        let locked = down(Ended::Locked { pid: None });
        assert!(is_superfluous(&[locked, locked]));
        assert!(!is_superfluous(&[locked, Account::Running]));
        assert!(!is_superfluous(&[locked, down(Ended::TokenRefused)]));
        assert!(!is_superfluous(&[]));
    }
}
