//! Reminders: jobs that say something to who asked for it, in the chat where they asked.

use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use jiff::civil::DateTime;
use serde_json::{Value, json};

use super::hands::{Hands, Reminder, Whose, Wish};
use super::{Ask, Failed, tool};
use crate::base::Wall;
use crate::base::limits::{REMINDER_CHARS_MAX, REMINDER_EVERY_MIN, REMINDERS_PER_PERSON_MAX};
use crate::base::text::{Plain, truncate};
use crate::core::chat::{ChannelKind, Request};
use crate::core::permit::is_operator;
use crate::core::schedule::job::Schedule;
use crate::proto::llm::Tool;
use crate::rt::zones;

/// What a list shows of each.
const SHOWN_BYTES_MAX: usize = 200;
/// Ten years.
const FAR: Duration = Duration::from_hours(87_660);

/// See the module.
pub struct Reminders {
    hands: Rc<dyn Hands>,
}

impl std::fmt::Debug for Reminders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reminders")
    }
}

impl Reminders {
    /// Reminders that `hands` keep.
    #[must_use]
    pub fn new(hands: Rc<dyn Hands>) -> Reminders {
        Reminders { hands }
    }

    /// Whether somebody can be reminded in the chat of `request`.
    pub(super) fn fits(request: &Request) -> bool {
        request.chat.channel == ChannelKind::Discord && request.author != 0
    }

    pub(super) fn tools() -> Vec<Tool> {
        vec![
            tool(
                "remind",
                "Reminds the person who asks, in this chat: once (in, or at) or again and again \
                 (every, or cron). Give exactly one of the four.",
                &json!({
                    "text": {
                        "type": "string", "minLength": 1, "maxLength": REMINDER_CHARS_MAX,
                        "description": "What to remind them of, in their language.",
                    },
                    "in": {
                        "type": "string", "maxLength": 40,
                        "description": "How long from the message on: 20m, 1h30m, 2 days.",
                    },
                    "at": {
                        "type": "string", "maxLength": 60,
                        "description": "ISO 8601 with its offset (2026-05-01T09:00:00+02:00), or \
                                        without one and with tz.",
                    },
                    "every": {
                        "type": "string", "maxLength": 40, "description": "How often: 1h, 2 days.",
                    },
                    "cron": {
                        "type": "string", "maxLength": 100,
                        "description": "A cron expression of five fields, such as 0 9 * * 1-5.",
                    },
                    "tz": {
                        "type": "string", "maxLength": 60,
                        "description": "The time zone of at and cron, such as Europe/Berlin.",
                    },
                }),
                &["text"],
            ),
            tool("reminders", "Lists the reminders of the person who asks.", &json!({}), &[]),
            tool(
                "forget_reminder",
                "Forgets a reminder of the person who asks.",
                &json!({
                    "id": {
                        "type": "string", "minLength": 1, "maxLength": 80,
                        "description": "Its id, as reminders lists it.",
                    },
                }),
                &["id"],
            ),
        ]
    }

    pub(super) async fn run(&self, ask: &Ask<'_>, arguments: &Value) -> Result<String, Failed> {
        let whose = Whose::of(ask.request);
        match ask.call.name.as_str() {
            "remind" => self.remind(ask, &whose, arguments).await,
            "reminders" => Ok(self.list(ask.request, &whose)),
            "forget_reminder" => {
                let id = arguments.get("id").and_then(Value::as_str).unwrap_or_default().trim();
                let own = self.hands.reminders(&whose);
                // That others have one of this id is not told.
                if !own.iter().any(|reminder| *reminder.id == *id) && !is_operator(ask.request) {
                    return Err("they have no reminder of that id".into());
                }
                self.hands.forget(id).await?;
                Ok("It is forgotten.".to_owned())
            }
            name => Err(format!("there is no tool called {name}").into()),
        }
    }

    async fn remind(
        &self,
        ask: &Ask<'_>,
        whose: &Whose,
        arguments: &Value,
    ) -> Result<String, Failed> {
        let Request { account, chat, id, at, .. } = ask.request;
        let text = arguments.get("text").and_then(Value::as_str).unwrap_or_default().trim();
        if text.is_empty() {
            return Err("there is nothing to remind of".into());
        }
        let schedule = schedule(arguments, *at)?;
        let key = format!("remind:{account}:{chat}:{id}:{}", ask.ordinal);
        let wish = Wish { text: text.to_owned(), schedule, key };
        let Reminder { id, next, when, .. } = self.hands.remind(whose, wish).await?;
        let next = next.map_or_else(|| "not any more".to_owned(), |next| next.to_string());
        Ok(format!("It is kept as {id} ({when}), due next: {next}."))
    }

    fn list(&self, request: &Request, whose: &Whose) -> String {
        // What somebody asked for elsewhere is nobody's business here.
        let is_shown =
            |reminder: &Reminder| request.guild.is_none() || reminder.chat == request.chat.id;
        let mut list = self.hands.reminders(whose);
        list.retain(is_shown);
        if list.is_empty() {
            return "They have no reminders here.".to_owned();
        }
        let mut told = format!("{} of at most {REMINDERS_PER_PERSON_MAX}:", list.len());
        for Reminder { id, text, next, when, chat, .. } in list {
            let next = next.map_or_else(|| "not any more".to_owned(), |next| next.to_string());
            let text = Plain(truncate(&text, SHOWN_BYTES_MAX)).to_string();
            let _ = write!(told, "\n{id}: due {next} ({when}), in channel:{chat}: {text}");
        }
        told
    }
}

/// When it is due, as a job has it; spans count from `said`, so that a turn which is run again
/// means the same.
fn schedule(arguments: &Value, said: Wall) -> Result<Value, String> {
    let text = |name: &str| {
        let text = arguments.get(name).and_then(Value::as_str).map(str::trim);
        text.filter(|text| !text.is_empty())
    };
    let given = ["in", "at", "every", "cron"].map(|name| text(name).map(|value| (name, value)));
    let mut given = given.into_iter().flatten();
    let (Some((kind, value)), None) = (given.next(), given.next()) else {
        return Err("give exactly one of in, at, every and cron".to_owned());
    };
    let zone = text("tz");
    match kind {
        "in" => {
            let at = said + span(value)?;
            Ok(json!({ "kind": "at", "at": at.to_string() }))
        }
        "at" => Ok(json!({ "kind": "at", "at": at(value, zone)?.to_string() })),
        "every" => {
            let every = span(value)?;
            if every < REMINDER_EVERY_MIN {
                let least = REMINDER_EVERY_MIN.as_secs() / 60;
                return Err(format!("every has to be at least {least} minutes"));
            }
            let every_ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
            Ok(json!({ "kind": "every", "everyMs": every_ms, "anchorMs": said.0 }))
        }
        _ => {
            let mut schedule = Schedule::Cron {
                expr: value.to_owned(),
                tz: zone.map(str::to_owned),
                stagger_ms: None,
            };
            let when = schedule.settle(said, &zones::find)?;
            let first = when.next(said).ok_or("the expression is never due")?;
            let second = when.next(first);
            if second.is_some_and(|second| second.since(first) < REMINDER_EVERY_MIN) {
                let least = REMINDER_EVERY_MIN.as_secs() / 60;
                return Err(format!("reminders are at least {least} minutes apart"));
            }
            serde_json::to_value(schedule).map_err(|error| error.to_string())
        }
    }
}

/// A moment: with its offset, or in the zone that is named.
fn at(text: &str, zone: Option<&str>) -> Result<Wall, String> {
    let wrong = || format!("at is no time: {}; write 2026-05-01T09:00:00+02:00", Plain(text));
    let millis = |timestamp: jiff::Timestamp| {
        u64::try_from(timestamp.as_millisecond()).map(Wall).map_err(|_| wrong())
    };
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return millis(timestamp);
    }
    let civil: DateTime = text.parse().map_err(|_| wrong())?;
    let Some(zone) = zone else {
        return Err("at says no offset: add one (Z, +02:00), or give tz".to_owned());
    };
    let zone = zones::find(Some(zone)).map_err(|why| format!("tz {why}"))?;
    millis(civil.to_zoned(zone).map_err(|_| wrong())?.timestamp())
}

/// A span as people write it: `20m`, `1h 30m`, `2 days`.
fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{} is no span: write 20m, 1h30m or 2 days", Plain(text));
    let (mut total, mut rest) = (Duration::ZERO, text.trim());
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let seconds = match unit.to_ascii_lowercase().as_str() {
            "s" | "sec" | "secs" | "second" | "seconds" => 1,
            "m" | "min" | "mins" | "minute" | "minutes" => 60,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3600,
            "d" | "day" | "days" => 24 * 3600,
            "w" | "week" | "weeks" => 7 * 24 * 3600,
            _ => return Err(wrong()),
        };
        let more = number.checked_mul(seconds).map(Duration::from_secs);
        total = more.and_then(|more| total.checked_add(more)).ok_or_else(wrong)?;
        rest = next.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
    }
    if total.is_zero() || total > FAR {
        return Err("a span is at least a second, and at most ten years".to_owned());
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("20m", Some(1200)),
            ("1h30m", Some(5400)),
            ("1h 30 min", Some(5400)),
            ("2 days", Some(172_800)),
            ("1w, 1d", Some(691_200)),
            ("90s", Some(90)),
            ("0m", None),
            ("20", None),
            ("m", None),
            ("-5m", None),
            ("5 parsecs", None),
            ("99999999999999999999d", None),
            ("18446744073709551615w", None),
            ("11 years", None),
            ("", None),
        ] {
            assert_eq!(span(text).ok(), seconds.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn exactly_one_time_is_wanted_and_a_zone_where_it_is_needed() {
        let said = Wall(1_800_000_000_000);
        let of = |arguments: Value| schedule(&arguments, said);
        let at = |text: &str| Ok(json!({ "kind": "at", "at": text }));
        assert_eq!(of(json!({"in": "20m"})), at("2027-01-15T08:20:00.000Z"));
        assert_eq!(of(json!({"at": "2027-06-01T09:00:00+02:00"})), at("2027-06-01T07:00:00.000Z"));
        let berlin = json!({"at": "2027-06-01T09:00:00", "tz": "Europe/Berlin"});
        assert_eq!(of(berlin), at("2027-06-01T07:00:00.000Z"));
        assert!(of(json!({"at": "2027-06-01T09:00:00"})).unwrap_err().contains("tz"));
        assert!(of(json!({"at": "tomorrow"})).unwrap_err().contains("no time"));
        assert!(of(json!({"at": "2027-06-01T09:00:00", "tz": "Mars/One"})).is_err());
        assert!(of(json!({})).is_err() && of(json!({"in": "1h", "every": "1h"})).is_err());
        assert!(of(json!({"every": "10s"})).unwrap_err().contains("5 minutes"));
        assert_eq!(of(json!({"every": "1h"})).unwrap()["everyMs"], 3_600_000);
        assert!(of(json!({"cron": "* * * * *"})).unwrap_err().contains("5 minutes"));
        assert!(of(json!({"cron": "every day"})).is_err());
        let cron = of(json!({"cron": "0 9 * * 1-5", "tz": "Europe/Berlin"})).unwrap();
        assert_eq!((&cron["kind"], &cron["tz"]), (&json!("cron"), &json!("Europe/Berlin")));
    }
}
