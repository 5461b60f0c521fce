//! `barnacle channels uptime`: how long each account was up, as bars and in words.

use std::fmt::Write as _;

use serde_json::Value;

use super::client::{Client, Effect};
use super::print::{Printer, Shade};
use super::summary::span;
use super::{Call, channels};
use crate::base::text::Plain;
use crate::ops::exit::Failure;

/// Parts of the last day that a bar shows.
const PARTS: u64 = 48;
const DAY_MS: u64 = 24 * 3600 * 1000;
/// Days that a bar shows.
const DAYS: u64 = 30;
/// What a bar is made of, the emptiest first.
const HEIGHTS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Milliseconds of a stretch.
#[derive(Clone, Copy, Default)]
struct Sum {
    up: u64,
    down: u64,
    off: u64,
}

impl Sum {
    fn of(value: &Value) -> Sum {
        let ms = |key: &str| value[key].as_u64().unwrap_or(0);
        Sum { up: ms("upMs"), down: ms("downMs"), off: ms("offMs") }
    }

    fn plus(self, other: Sum) -> Sum {
        Sum {
            up: self.up.saturating_add(other.up),
            down: self.down.saturating_add(other.down),
            off: self.off.saturating_add(other.off),
        }
    }

    /// Of the time in which it should have been up.
    fn share(self) -> Option<f64> {
        let wanted = self.up.saturating_add(self.down);
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of a month are exact")]
        (wanted > 0).then(|| self.up as f64 / wanted as f64)
    }

    fn block(self, printer: &Printer) -> String {
        let Some(share) = self.share() else {
            return printer.shade(Some(Shade::Faint), if self.off > 0 { "-" } else { "·" });
        };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share is between 0 and 1"
        )]
        let height = ((share * 7.0).floor() as usize).min(7);
        let colour = match self.down {
            0 => Shade::Good,
            _ if share >= 0.95 => Shade::Fair,
            _ => Shade::Bad,
        };
        // What was down at all is never shown as whole.
        let height = if self.down > 0 { height.min(6) } else { height };
        printer.shade(Some(colour), HEIGHTS[height])
    }

    fn words(self) -> String {
        let seconds = |ms: u64| span(Some(Value::from(ms).as_f64().unwrap_or(0.0) / 1000.0));
        let mut text = match self.share() {
            // Rounded so that only what was never down is called whole.
            Some(share) if self.down > 0 => {
                format!("{:.2} % up", ((share * 1e4).floor() / 100.0).min(99.99))
            }
            Some(_) => "100 % up".to_owned(),
            None => "nothing is known".to_owned(),
        };
        if self.down > 0 {
            let _ = write!(text, ", {} down", seconds(self.down));
        }
        if self.off > 0 {
            let _ = write!(text, ", {} stopped or not running", seconds(self.off));
        }
        text
    }
}

/// `barnacle channels uptime`.
pub(crate) fn uptime(call: &mut Call<'_>) -> Result<(), Failure> {
    let client = Client::new(call)?;
    let (channel, account) = channels::named(call)?;
    let params = serde_json::json!({ "channel": channel, "accountId": account });
    let answer = client.ask("channels.uptime", &params, Effect::Same)?;
    call.answer(&answer, bars)
}

fn bars(printer: &Printer, answer: &Value) -> String {
    let now = answer["ts"].as_u64().unwrap_or(0);
    let mut out = String::new();
    for account in answer["accounts"].as_array().into_iter().flatten() {
        let text = |key: &str| account[key].as_str().unwrap_or("?");
        let _ = writeln!(out, "{}", Plain(&format!("{} {}", text("channel"), text("accountId"))));
        for (title, parts) in [("24 h", day(account, now)), ("30 d", month(account, now))] {
            let blocks: String = parts.iter().map(|part| part.block(printer)).collect();
            let all = parts.iter().fold(Sum::default(), |sum, part| sum.plus(*part));
            let _ = writeln!(out, "  {title}  {blocks}  {}", all.words());
        }
        for (cause, ms) in causes(account).into_iter().take(5) {
            let seconds = Value::from(ms).as_f64().unwrap_or(0.0) / 1000.0;
            let _ = writeln!(out, "        {}  {}", span(Some(seconds)), Plain(&cause));
        }
    }
    if out.is_empty() {
        out.push_str("no account is configured");
    }
    out
}

fn day(account: &Value, now: u64) -> Vec<Sum> {
    let slot = account["slotMs"].as_u64().unwrap_or(300_000).max(1);
    let begin = now.saturating_sub(DAY_MS);
    let mut parts = vec![Sum::default(); usize::try_from(PARTS).unwrap_or(0)];
    for run in account["slots"].as_array().into_iter().flatten() {
        let (at, sum) = (run["atMs"].as_u64().unwrap_or(0), Sum::of(run));
        for n in 0..run["count"].as_u64().unwrap_or(0).min(DAY_MS / slot + 1) {
            let middle = at.saturating_add(n.saturating_mul(slot)).saturating_add(slot / 2);
            let part = middle.saturating_sub(begin) / (DAY_MS / PARTS);
            let last = parts.len() - 1;
            let part = usize::try_from(part).unwrap_or(usize::MAX).min(last);
            parts[part] = parts[part].plus(sum);
        }
    }
    parts
}

fn month(account: &Value, now: u64) -> Vec<Sum> {
    let today = now / DAY_MS;
    let days = account["days"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |number: u64| {
        let is_meant = |day: &&Value| day["atMs"].as_u64().is_some_and(|at| at / DAY_MS == number);
        days.iter().find(is_meant).map(Sum::of).unwrap_or_default()
    };
    (0..DAYS).rev().map(|ago| of(today.saturating_sub(ago))).collect()
}

/// What kept it from being up in these days, the longest first.
fn causes(account: &Value) -> Vec<(String, u64)> {
    let mut sums: Vec<(String, u64)> = Vec::new();
    let days = account["days"].as_array().into_iter().flatten();
    for cause in days.flat_map(|day| day["causes"].as_array().into_iter().flatten()) {
        let (text, ms) = (cause["text"].as_str().unwrap_or("?"), cause["ms"].as_u64().unwrap_or(0));
        match sums.iter_mut().find(|(known, _)| known == text) {
            Some((_, sum)) => *sum = sum.saturating_add(ms),
            None => sums.push((text.to_owned(), ms)),
        }
    }
    sums.sort_by_key(|(_, ms)| std::cmp::Reverse(*ms));
    sums
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_day_and_a_month_are_shown_with_what_they_cost() {
        let now = 20_600 * DAY_MS + DAY_MS / 2;
        let answer = json!({ "ts": now, "accounts": [{
            "channel": "discord", "accountId": "default", "slotMs": 300_000,
            "slots": [
                { "atMs": now - 7_200_000, "count": 12, "upMs": 300_000 },
                { "atMs": now - 3_600_000, "count": 1, "upMs": 240_000, "downMs": 60_000 },
            ],
            "days": [
                { "atMs": now - DAY_MS / 2 - DAY_MS, "upMs": 80_000_000, "offMs": 6_400_000,
                  "causes": [{ "text": "the gateway was not running", "ms": 6_400_000 }] },
                { "atMs": now - DAY_MS / 2, "upMs": 3_840_000, "downMs": 60_000,
                  "causes": [{ "text": "the w\u{1b}ire was cut", "ms": 60_000 }] },
            ],
        }]});
        let shown = bars(&Printer::plain(), &answer);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "discord default");
        assert_eq!(lines[1].matches('·').count(), 45, "{shown}");
        assert!(
            lines[1].contains("██▆") && lines[1].contains("98.46 % up, 1 min 0 s down"),
            "{shown}"
        );
        assert_eq!(lines[2].matches('·').count(), 28, "{shown}");
        assert!(lines[2].contains("█▇") && lines[2].contains("99.92 % up"), "{shown}");
        assert!(lines[3].ends_with("the gateway was not running"), "{shown}");
        assert!(lines[4].ends_with("the w\\u{1b}ire was cut"), "{shown}");
        for odd in [json!(null), json!({"accounts": [1, {"slots": [{}], "days": [{}]}]})] {
            assert!(!bars(&Printer::plain(), &odd).is_empty());
        }
    }
}
