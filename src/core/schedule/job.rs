//! What a job is: when it is due, what it says to whom, and where the answer goes, in the words of
//! OpenClaw's protocol.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::roster::{Missed, Overlap};
use super::{Pattern, When};
use crate::base::Wall;
use crate::base::limits::{CRON_MESSAGE_BYTES_MAX, CRON_NAME_CHARS_MAX, CRON_TEXT_BYTES_MAX};
use crate::base::text::{Plain, truncate};

/// The shortest time between two runs: an agent takes longer than that.
const EVERY_MS_MIN: u64 = 1000;
/// Ten years, as OpenClaw has it.
const FAR: Duration = Duration::from_hours(87_660);
/// What may be past when a job is made, since people and clocks are slow.
const PAST: Duration = Duration::from_mins(1);
/// The latest moment that is understood, in milliseconds: OpenClaw's.
const MILLIS_MAX: u64 = 8_640_000_000_000_000;

/// What a person says about a job.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Job {
    /// What it is called.
    pub name: String,
    /// Who adds a job again under the same key means the one that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declaration_key: Option<String>,
    /// What it is called on a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The agent that is asked; else the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The conversation that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_key: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it runs when it is due.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Whether it is gone after a run that went well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_after_run: Option<bool>,
    /// When it is due.
    pub schedule: Schedule,
    /// `main`, `isolated`, `current` or `session:ID`.
    pub session_target: String,
    /// `now` or `next-heartbeat`; it is always now.
    pub wake_mode: WakeMode,
    /// What is said, to whom.
    pub payload: Payload,
    /// Where the answer goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// Who is told that it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_alert: Option<FailureAlert>,
    /// What OpenClaw has no word for.
    #[serde(default, skip_serializing_if = "Policy::is_usual")]
    pub policy: Policy,
}

/// Whose a job is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "OpenClaw's words, kept and handed back")]
pub struct Owner {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
}

/// When a job is due, as it is written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", rename_all_fields = "camelCase")]
#[serde(deny_unknown_fields)]
pub enum Schedule {
    /// Once.
    At {
        /// ISO 8601, in UTC if it says nothing else.
        at: String,
    },
    /// Every so often.
    Every {
        /// Milliseconds.
        every_ms: u64,
        /// From when on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        anchor_ms: Option<u64>,
    },
    /// As an expression says.
    Cron {
        /// Five or six fields.
        expr: String,
        /// The IANA name of a place; else this host's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tz: Option<String>,
        /// Kept; a job begins when it is due, exactly.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stagger_ms: Option<u64>,
    },
}

/// When the words of a job reach the agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WakeMode {
    /// At once.
    Now,
    /// Where there are heartbeats, with the next; here at once.
    NextHeartbeat,
}

/// What is said to whom.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "what is not described is OpenClaw's, kept and handed back")]
pub enum Payload {
    /// To an agent, in a conversation of its own.
    AgentTurn {
        /// What is said.
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fallbacks: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thinking: Option<String>,
        /// How long the agent may take; 0 is as long as it may take for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_seconds: Option<f64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        allow_unsafe_external_content: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        light_context: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tools_allow: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tools_allow_is_default: Option<bool>,
    },
    /// To the agent, in its main conversation.
    SystemEvent {
        /// What is said.
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tools_allow: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tools_allow_is_default: Option<bool>,
    },
}

/// Where an answer goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// To a chat.
    #[default]
    Announce,
    /// Nowhere.
    None,
    /// To an address on the network.
    Webhook,
}

/// Where an answer goes, and how.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delivery {
    /// To what kind of place.
    pub mode: Mode,
    /// The chat service, or `last`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The chat, or the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Telegram's topics; kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<Value>,
    /// The account that says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Whether a run is well although its answer could not be delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_effort: Option<bool>,
    /// Where failures are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_destination: Option<Place>,
    /// An address that is told too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_destination: Option<Completion>,
}

/// A place to tell something.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "as in Delivery")]
pub struct Place {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

/// An address that is told of each run besides.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Completion {
    /// A webhook, always.
    pub mode: Mode,
    /// Its address.
    pub to: String,
}

/// Who is told that a job fails.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FailureAlert {
    /// Nobody: `false`.
    Off(bool),
    /// Somebody; what is not said is as the configuration says.
    On(Alert),
}

/// How somebody is told that a job fails.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs, reason = "as in Delivery")]
pub struct Alert {
    /// After how many failures in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How long until they are told again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown_ms: Option<u64>,
    /// Whether what was left out counts as a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_skipped: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
}

/// What OpenClaw has no word for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// What becomes of what was missed; else as `cron.skipMissedJobs` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<MissedWord>,
    /// With `window`, how old it may be, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u64>,
    /// What becomes of what is due during a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
    /// If it reminds somebody: then its words are said as they are, and no agent is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminder: Option<Reminder>,
}

/// Whose reminder it is. Numbers are texts, since programs in JavaScript read them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reminder {
    /// The person.
    pub author: String,
    /// What they were called.
    pub author_name: String,
    /// The account that heard them.
    pub account: String,
    /// The chat in which they asked.
    pub chat: String,
    /// What they want to be told.
    pub text: String,
}

/// What becomes of what was missed, in a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "see Missed")]
pub enum MissedWord {
    Run,
    Skip,
    Window,
}

impl Policy {
    fn is_usual(&self) -> bool {
        *self == Policy::default()
    }

    /// What becomes of what was missed, if the configuration says `usual`.
    #[must_use]
    pub fn missed(&self, usual: Missed) -> Missed {
        match self.missed {
            None => usual,
            Some(MissedWord::Run) => Missed::Run,
            Some(MissedWord::Skip) => Missed::Skip,
            Some(MissedWord::Window) => {
                Missed::Window(Duration::from_millis(self.window_ms.unwrap_or_default()))
            }
        }
    }
}

fn yes() -> bool {
    true
}

/// Finds the place of a name; nothing named is this host's.
pub type Zones<'a> = &'a dyn Fn(Option<&str>) -> Result<TimeZone, String>;

impl Job {
    /// Reads what is to be a job, at `now`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(params: &Value, now: Wall, zones: Zones<'_>) -> Result<(Job, When), String> {
        refuse_strangers(params)?;
        let mut job = Job::deserialize(params).map_err(|error| said(&error))?;
        job.tidy();
        job.check()?;
        let when = job.schedule.settle(now, zones)?;
        Schedule::check_time(&when, now)?;
        if job.schedule.is_once() {
            job.delete_after_run.get_or_insert(true);
        }
        if job.delivery.is_none() && matches!(job.payload, Payload::AgentTurn { .. }) {
            // OpenClaw's default, too: what a job finds out is told where people last wrote.
            let delivery = Delivery { channel: Some("last".into()), ..Delivery::default() };
            job.delivery = Some(delivery);
        }
        Ok((job, when))
    }

    /// This job with `patch`, and when it is due if that has changed.
    ///
    /// # Errors
    /// What is wrong with it; nothing is changed then.
    pub fn patched(
        &self,
        patch: &Value,
        now: Wall,
        zones: Zones<'_>,
    ) -> Result<(Job, Option<When>), String> {
        let Some(patch) = patch.as_object() else {
            return Err("patch must be an object".to_owned());
        };
        let mut patch = patch.clone();
        // What a run has left is not for others to say.
        patch.remove("state");
        let mut merged = serde_json::to_value(self).map_err(|error| said(&error))?;
        merge(&mut merged, &patch);
        refuse_strangers(&merged)?;
        let mut job = Job::deserialize(&merged).map_err(|error| said(&error))?;
        job.tidy();
        job.check()?;
        if job.schedule == self.schedule {
            return Ok((job, None));
        }
        let when = job.schedule.settle(now, zones)?;
        Schedule::check_time(&when, now)?;
        Ok((job, Some(when)))
    }

    fn tidy(&mut self) {
        self.name = self.name.trim().to_owned();
        if let Some(target) = self.session_target.strip_prefix("session:") {
            self.session_target = format!("session:{}", target.trim());
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.name.is_empty() || self.name.chars().count() > CRON_NAME_CHARS_MAX {
            return Err(format!("name must have 1 to {CRON_NAME_CHARS_MAX} characters"));
        }
        let is_isolated = match self.session_target.as_str() {
            "main" => false,
            "isolated" | "current" => true,
            target if target.len() > "session:".len() && target.starts_with("session:") => true,
            _ => return Err("sessionTarget must be main, isolated, current or session:ID".into()),
        };
        match (&self.payload, is_isolated) {
            (Payload::AgentTurn { .. }, false) => {
                return Err("main cron jobs require payload.kind=\"systemEvent\"".to_owned());
            }
            (Payload::SystemEvent { .. }, true) => {
                return Err("isolated cron jobs require payload.kind=\"agentTurn\"".to_owned());
            }
            _ => {}
        }
        if self.payload.text().trim().is_empty() {
            return Err("the payload says nothing".to_owned());
        }
        if let Payload::AgentTurn { timeout_seconds: Some(seconds), .. } = &self.payload
            && !(0.0..=86_400.0).contains(seconds)
        {
            return Err("payload.timeoutSeconds must be from 0 to 86400".to_owned());
        }
        self.check_places()?;
        self.check_texts()?;
        self.check_policy()
    }

    fn check_places(&self) -> Result<(), String> {
        if let Some(FailureAlert::Off(true)) = self.failure_alert {
            return Err("failureAlert must be false or an object".to_owned());
        }
        if let Some(FailureAlert::On(alert)) = &self.failure_alert
            && alert.after == Some(0)
        {
            return Err("failureAlert.after must be at least 1".to_owned());
        }
        let Some(delivery) = &self.delivery else { return Ok(()) };
        if delivery.mode == Mode::Webhook && delivery.to.is_none() {
            return Err("delivery.to must be the webhook's address".to_owned());
        }
        if let Some(done) = &delivery.completion_destination
            && done.mode != Mode::Webhook
        {
            return Err("delivery.completionDestination.mode must be webhook".to_owned());
        }
        match &delivery.thread_id {
            None | Some(Value::String(_) | Value::Number(_)) => Ok(()),
            Some(_) => Err("delivery.threadId must be a text or a number".to_owned()),
        }
    }

    fn check_policy(&self) -> Result<(), String> {
        match (self.policy.missed, self.policy.window_ms) {
            (Some(MissedWord::Window), None | Some(0)) => {
                Err("policy.windowMs must say how old a missed run may be".to_owned())
            }
            (Some(MissedWord::Window), _) | (_, None) => Ok(()),
            (_, Some(_)) => Err("policy.windowMs goes with policy.missed=\"window\"".to_owned()),
        }
    }

    /// Whatever is written somewhere must be short, and fit a line where it is one.
    fn check_texts(&self) -> Result<(), String> {
        let value = serde_json::to_value(self).map_err(|error| said(&error))?;
        check_text(&value, "job")
    }

    /// The conversation that it belongs to.
    #[must_use]
    pub fn session(&self, id: &str) -> String {
        let agent = self.agent_id.as_deref().unwrap_or("main");
        match (self.session_target.as_str(), &self.session_key) {
            ("main" | "current", Some(key)) => key.clone(),
            ("main", None) => format!("agent:{agent}:main"),
            (target, _) => match target.strip_prefix("session:") {
                Some(session) => session.to_owned(),
                None => format!("cron:{id}"),
            },
        }
    }
}

impl Payload {
    /// What is said.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Payload::AgentTurn { message, .. } => message,
            Payload::SystemEvent { text, .. } => text,
        }
    }

    /// How long the agent may take, if that is said.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        match self {
            Payload::AgentTurn { timeout_seconds: Some(seconds), .. } if *seconds > 0.0 => {
                Duration::try_from_secs_f64(*seconds).ok()
            }
            _ => None,
        }
    }
}

impl Schedule {
    /// Whether it is due once only.
    #[must_use]
    pub fn is_once(&self) -> bool {
        matches!(self, Schedule::At { .. })
    }

    /// What it is called.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Schedule::At { .. } => "at",
            Schedule::Every { .. } => "every",
            Schedule::Cron { .. } => "cron",
        }
    }

    /// Reads it, and writes down what was left open: the moment in UTC, the anchor.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn settle(&mut self, now: Wall, zones: Zones<'_>) -> Result<When, String> {
        match self {
            Schedule::At { at } => {
                let wall = moment(at).ok_or_else(|| {
                    let shown = Plain(truncate(at, 40)).to_string();
                    format!("schedule.at \"{shown}\" is no time: write 2026-12-24T18:00:00Z")
                })?;
                *at = wall.to_string();
                Ok(When::At(wall))
            }
            Schedule::Every { every_ms, anchor_ms } => {
                if !(EVERY_MS_MIN..=MILLIS_MAX).contains(every_ms) {
                    return Err(format!("schedule.everyMs must be at least {EVERY_MS_MIN}"));
                }
                let anchor = *anchor_ms.get_or_insert(now.0);
                if anchor > MILLIS_MAX {
                    return Err("schedule.anchorMs is too far away".to_owned());
                }
                Ok(When::Every { every_ms: *every_ms, anchor: Wall(anchor) })
            }
            Schedule::Cron { expr, tz, .. } => {
                *expr = expr.trim().to_owned();
                if tz.as_ref().is_some_and(|tz| tz.trim().is_empty()) {
                    *tz = None;
                }
                let zone = zones(tz.as_deref()).map_err(|why| format!("schedule.tz {why}"))?;
                let pattern = Pattern::parse(expr, zone).map_err(|bad| {
                    let shown = Plain(truncate(expr, 60)).to_string();
                    format!("schedule.expr \"{shown}\": {bad}")
                })?;
                Ok(When::Cron(Box::new(pattern)))
            }
        }
    }

    fn check_time(when: &When, now: Wall) -> Result<(), String> {
        let When::At(at) = when else { return Ok(()) };
        if *at + PAST < now {
            return Err(format!("schedule.at is in the past: {at}, and it is {now}"));
        }
        if now + FAR < *at {
            return Err(format!("schedule.at is too far in the future: {at}; at most 10 years"));
        }
        Ok(())
    }
}

/// A moment as people and programs write it: ISO 8601, in UTC if it says nothing else, or
/// milliseconds since 1970.
#[must_use]
pub fn moment(text: &str) -> Option<Wall> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: u64 = text.parse().ok().filter(|&number| number <= MILLIS_MAX)?;
        // Ten digits are seconds, of this century.
        return Some(Wall(if text.len() <= 10 { number * 1000 } else { number }));
    }
    let with_offset = text.parse::<jiff::Timestamp>().ok();
    let timestamp = with_offset.or_else(|| {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })?;
    u64::try_from(timestamp.as_millisecond()).ok().map(Wall)
}

/// What the real program can do and this one will not, by its name rather than as a riddle.
fn refuse_strangers(params: &Value) -> Result<(), String> {
    for key in ["trigger", "pacing"] {
        if !params[key].is_null() {
            return Err(format!("{key} is not supported: jobs run when they are due"));
        }
    }
    match params["payload"]["kind"].as_str() {
        Some("command" | "script") => {
            return Err("programs are named in the configuration only, as agents, and never over \
                        the wire: use payload.kind=\"agentTurn\""
                .to_owned());
        }
        Some("agentTurn" | "systemEvent") | None => {}
        Some(_) => return Err("payload.kind must be agentTurn or systemEvent".to_owned()),
    }
    match params["schedule"]["kind"].as_str() {
        Some("at" | "every" | "cron") | None => Ok(()),
        Some(_) => Err("schedule.kind must be at, every or cron".to_owned()),
    }
}

fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // It may quote what was written.
    let text: String = text.chars().take(200).collect();
    Plain(&text).to_string()
}

/// Lets `patch` hold: `null` takes away, an object of the same kind is merged, all else replaces.
fn merge(into: &mut Value, patch: &Map<String, Value>) {
    for (key, value) in patch {
        let old = &mut into[key.as_str()];
        let is_other_kind = !value["kind"].is_null() && value["kind"] != old["kind"];
        match value {
            Value::Object(inner) if old.is_object() && !is_other_kind && key != "schedule" => {
                merge(old, inner);
            }
            _ => *old = value.clone(),
        }
    }
    if let Some(map) = into.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
}

fn check_text(value: &Value, at: &str) -> Result<(), String> {
    match value {
        Value::String(text) => {
            let is_long = matches!(at, "message" | "text");
            let bytes_max = if is_long { CRON_MESSAGE_BYTES_MAX } else { CRON_TEXT_BYTES_MAX };
            if text.len() > bytes_max {
                return Err(format!("{at} is longer than {bytes_max} bytes"));
            }
            let is_line = !is_long && at != "description";
            let is_bad = |c: char| c.is_control() && (is_line || !matches!(c, '\n' | '\r' | '\t'));
            if text.chars().any(is_bad) {
                return Err(format!("{at} has control characters"));
            }
            Ok(())
        }
        Value::Array(items) if items.len() > 64 => Err(format!("{at} has more than 64 items")),
        Value::Array(items) => items.iter().try_for_each(|item| check_text(item, at)),
        Value::Object(map) => map.iter().try_for_each(|(key, value)| check_text(value, key)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
