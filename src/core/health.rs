//! One proof of life: a channel is as healthy as its last proof is young.
//!
//! The proof of a Discord connection is the ACK of a heartbeat. What a connection believes of
//! itself counts only while its proof is young; silence of the people who write never counts.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::chat::ChannelKind;
use crate::base::Instant;

/// The words for a channel's state, the same over HTTP and in the command line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Up, with a young proof.
    Connected,
    /// On its way up for the first time.
    Connecting,
    /// Lost, and on its way back: it retries, or holds for a while.
    Reconnecting,
    /// Stopped, or it takes itself for up without proof.
    Disconnected,
    /// Parked: the token is missing or refused.
    AuthRequired,
    /// Parked for another reason, which a person must cure.
    Error,
}

impl Status {
    /// The word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Status::Connected => "connected",
            Status::Connecting => "connecting",
            Status::Reconnecting => "reconnecting",
            Status::Disconnected => "disconnected",
            Status::AuthRequired => "auth_required",
            Status::Error => "error",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an account says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vital {
    /// What it believes.
    pub status: Status,
    /// When it last had proof that the other side lives.
    pub proof: Option<Instant>,
    /// How old that proof may be: a heartbeat interval, the time for its ACK, and some slack.
    pub proof_age_max: Duration,
}

impl Vital {
    /// An account that begins.
    #[must_use]
    pub fn new(proof_age_max: Duration) -> Vital {
        Vital { status: Status::Connecting, proof: None, proof_age_max }
    }

    /// The status that is shown.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        match self.status {
            Status::Connected if !self.is_proven(now) => Status::Disconnected,
            status => status,
        }
    }

    /// How well it is. While a lost connection's proof is young, it may well be back in time.
    #[must_use]
    pub fn overall(&self, now: Instant) -> Overall {
        match self.status(now) {
            Status::Connected => Overall::Ok,
            Status::Connecting | Status::Reconnecting if self.is_proven(now) => Overall::Degraded,
            _ => Overall::Down,
        }
    }

    fn is_proven(&self, now: Instant) -> bool {
        self.proof.is_some_and(|proof| now.since(proof) <= self.proof_age_max)
    }
}

/// How well the whole is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Overall {
    /// Every account is connected.
    Ok,
    /// Some are not, or not quite.
    Degraded,
    /// None is.
    Down,
}

impl fmt::Display for Overall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Overall::Ok => "ok",
            Overall::Degraded => "degraded",
            Overall::Down => "down",
        })
    }
}

/// The body of `/health/detail`: `.status`, `.uptime` in whole seconds, `.channels.<name>`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// How well the whole is.
    pub status: Overall,
    /// Seconds since the start.
    pub uptime: u64,
    /// Each channel's state; of several accounts of one channel, the worst.
    pub channels: BTreeMap<&'static str, Status>,
}

impl Report {
    /// The report about `accounts` at `now`, by a process that runs since `started`.
    #[must_use]
    pub fn of(
        accounts: impl IntoIterator<Item = (ChannelKind, Vital)>,
        started: Instant,
        now: Instant,
    ) -> Report {
        let mut channels = BTreeMap::new();
        let (mut best, mut worst) = (Overall::Down, Overall::Ok);
        for (channel, vital) in accounts {
            let status = vital.status(now);
            let shown = channels.entry(channel.name()).or_insert(status);
            *shown = status.max(*shown);
            best = best.min(vital.overall(now));
            worst = worst.max(vital.overall(now));
        }
        // With nothing to keep up, nothing is amiss.
        let status = match (best, worst) {
            (_, Overall::Ok) => Overall::Ok,
            (Overall::Down, _) => Overall::Down,
            _ => Overall::Degraded,
        };
        Report { status, uptime: now.since(started).as_secs(), channels }
    }

    /// The channels that are not connected, as `/readyz` names them.
    pub fn failing(&self) -> impl Iterator<Item = &'static str> {
        let is_failing = |&(_, &status): &(_, &Status)| status != Status::Connected;
        self.channels.iter().filter(is_failing).map(|(&name, _)| name)
    }

    /// The JSON document.
    #[must_use]
    pub fn json(&self) -> String {
        // Numbers and fixed words under fixed names: nothing in it can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(60);

    fn vital(status: Status, proof: u64) -> Vital {
        Vital { status, proof: Some(at(proof)), proof_age_max: MAX }
    }

    fn at(seconds: u64) -> Instant {
        Instant(0) + Duration::from_secs(seconds)
    }

    #[test]
    fn connected_rests_on_proof() {
        let connected = vital(Status::Connected, 100);
        assert_eq!(connected.status(at(160)), Status::Connected);
        assert_eq!(connected.status(at(161)), Status::Disconnected);
        let never = Vital { status: Status::Connected, ..Vital::new(MAX) };
        assert_eq!(never.status(at(0)), Status::Disconnected);
    }

    #[test]
    fn a_short_loss_degrades_and_a_long_one_is_down() {
        let lost = vital(Status::Reconnecting, 100);
        assert_eq!(lost.overall(at(101)), Overall::Degraded);
        assert_eq!(lost.overall(at(200)), Overall::Down);
        assert_eq!(lost.status(at(200)), Status::Reconnecting);
        assert_eq!(vital(Status::Error, 100).overall(at(101)), Overall::Down);
    }

    #[test]
    fn the_report_has_the_shape_that_scripts_know() {
        let discord = (ChannelKind::Discord, vital(Status::Connected, 100));
        let report = Report::of([discord], at(10), at(110));
        let expected = r#"{"status":"ok","uptime":100,"channels":{"discord":"connected"}}"#;
        assert_eq!(report.json(), expected);
        assert_eq!(report.failing().count(), 0);
    }

    #[test]
    fn of_several_accounts_the_worst_is_shown() {
        let account = |status| (ChannelKind::Discord, vital(status, 100));
        let accounts = [account(Status::Connected), account(Status::AuthRequired)];
        let report = Report::of(accounts, at(0), at(101));
        assert_eq!(report.status, Overall::Degraded);
        assert_eq!(report.channels["discord"], Status::AuthRequired);
        assert_eq!(report.failing().collect::<Vec<_>>(), ["discord"]);
        assert_eq!(Report::of([], at(0), at(1)).status, Overall::Ok);
        assert_eq!(Report::of([accounts[1]], at(0), at(1)).status, Overall::Down);
    }

    #[test]
    fn words_are_the_same_everywhere() {
        use Status::{AuthRequired, Connected, Connecting, Disconnected, Error, Reconnecting};
        for status in [Connected, Connecting, Reconnecting, Disconnected, AuthRequired, Error] {
            assert_eq!(serde_json::to_value(status).unwrap(), status.to_string());
        }
        for overall in [Overall::Ok, Overall::Degraded, Overall::Down] {
            assert_eq!(serde_json::to_value(overall).unwrap(), overall.to_string());
        }
    }
}
