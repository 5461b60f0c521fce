//! `barnacle status` for the eye: the few lines that a person looks for. `--json` has everything.

use std::fmt::Write as _;

use serde_json::Value;

use super::print::{Printer, Shade};
use super::show;
use crate::base::text::Plain;

/// The answer of `/api/status` in lines. Of a gateway of another version, what is missing in the
/// answer is missing in the lines.
pub(crate) fn lines(printer: &Printer, status: &Value) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "barnacle {}, process {}, up {}: {}",
        Plain(status["version"].as_str().unwrap_or("?")),
        status["pid"],
        span(status["uptime"].as_f64()),
        word(printer, &status["status"]),
    );
    if status["config"]["usingLastGood"] == true {
        let why = status["config"]["why"].as_str().unwrap_or("it cannot be used");
        let text = format!("an earlier configuration holds: {why}");
        let _ = writeln!(out, "config  {}", printer.shade(Some(Shade::Bad), &text));
    }
    if let Some(lack) = status["lacks"].as_str() {
        let lack = Plain(lack).to_string();
        let _ = writeln!(out, "host  {}", printer.shade(Some(Shade::Bad), &lack));
    }
    for (name, channel) in status["channels"].as_object().into_iter().flatten() {
        let accounts: Vec<_> = channel["accounts"].as_object().into_iter().flatten().collect();
        for (id, account) in &accounts {
            let name = if accounts.len() > 1 { &format!("{name}/{id}") } else { name };
            self::channel(&mut out, printer, name, account);
        }
    }
    thread(&mut out, &status["thread"]);
    out.truncate(out.trim_end().len());
    out
}

fn channel(out: &mut String, printer: &Printer, name: &str, channel: &Value) {
    let number = |path: &str| channel.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let seconds = |path: &str| channel.pointer(path).and_then(Value::as_f64);
    let _ = write!(out, "{}  {}", Plain(name), word(printer, &channel["status"]));
    if let Some(why) = channel["why"].as_str() {
        let _ = writeln!(out, ": {}", Plain(why));
        return;
    }
    let _ = write!(out, " for {}", span(seconds("/since")));
    if let Some(age) = seconds("/lastProofAge") {
        let _ = write!(out, ", proof of life {} ago", span(Some(age)));
    }
    if let Some(rtt) = seconds("/heartbeat/rttMs") {
        let _ = write!(out, ", beats answered in {rtt:.0} ms");
    }
    out.push('\n');
    if let Some(wait) = seconds("/nextTryIn") {
        let _ = writeln!(out, "  next try     in {}", span(Some(wait)));
    }
    let _ = writeln!(
        out,
        "  sessions     {} new ({} of {} left today), {} of {} resumed",
        number("/identifies"),
        channel["identifyBudget"]["remaining"],
        channel["identifyBudget"]["total"],
        number("/resumes/accepted"),
        number("/resumes/asked"),
    );
    disconnects(out, channel);
    let _ = write!(
        out,
        "  messages     {} parts sent, {} in work, {} waiting",
        number("/messages/delivered"),
        number("/messages/inFlight"),
        number("/messages/queued"),
    );
    let drops = counts(&channel["messages"]["notAnswered"]);
    if !drops.is_empty() {
        let _ = write!(out, "; not answered: {drops}");
    }
    out.push('\n');
}

fn disconnects(out: &mut String, channel: &Value) {
    let total = channel["disconnects"]["total"].as_u64().unwrap_or(0);
    let _ = write!(out, "  disconnects  {total}");
    if total > 0 {
        let _ = write!(out, " (by code: {})", counts(&channel["disconnects"]["byCode"]));
    }
    if let Some(end) = channel["lastEnd"].as_str() {
        let _ = write!(out, "; the last: {}", Plain(end));
        if let Some(away) = channel["recoveredIn"].as_f64() {
            let _ = write!(out, ", back after {}", span(Some(away)));
        }
    }
    out.push('\n');
}

fn thread(out: &mut String, thread: &Value) {
    let longest = thread["tasks"].as_array().into_iter().flatten().max_by(|a, b| {
        let of = |task: &Value| task["longestMs"].as_f64().unwrap_or(0.0);
        of(a).total_cmp(&of(b))
    });
    let Some(longest) = longest else { return };
    let _ = writeln!(
        out,
        "thread  heartbeats at most {:.1} ms late; longest poll {:.1} ms ({})",
        thread["heartbeatLateness"]["maxMs"].as_f64().unwrap_or(0.0),
        longest["longestMs"].as_f64().unwrap_or(0.0),
        Plain(longest["name"].as_str().unwrap_or("?")),
    );
}

/// `4000 ×2, 1006 ×1`.
pub(super) fn counts(map: &Value) -> String {
    let pairs = map.as_object().into_iter().flatten();
    let each: Vec<String> = pairs.map(|(name, n)| format!("{} ×{n}", Plain(name))).collect();
    each.join(", ")
}

fn word(printer: &Printer, status: &Value) -> String {
    let word = status.as_str().unwrap_or("?");
    printer.shade(show::shade(word), word)
}

/// A span in the two units that matter: `3 d 4 h`, `12 min 5 s`, `0.3 s`.
pub(super) fn span(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else { return "?".to_owned() };
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    let whole = std::time::Duration::try_from_secs_f64(seconds).map_or(0, |span| span.as_secs());
    let units = [(86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")];
    match units.into_iter().find(|(size, ..)| whole >= *size) {
        Some((size, unit, part, part_unit)) => {
            format!("{} {unit} {} {part_unit}", whole / size, whole % size / part)
        }
        None => format!("{whole} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn spans_have_two_units() {
        let spans = [0.25, 12.0, 725.0, 11_040.0, 273_600.0].map(|s| span(Some(s)));
        assert_eq!(spans, ["0.2 s", "12 s", "12 min 5 s", "3 h 4 min", "3 d 4 h"]);
        assert_eq!(span(Some(f64::NAN)), "0 s");
    }

    #[test]
    fn the_lines_name_what_a_person_looks_for() {
        let status = json!({
            "version": "1.2.3 (abc)", "pid": 7, "uptime": 60, "status": "ok",
            "channels": { "discord": { "accounts": { "default": {
                "status": "connected", "since": 5.0, "lastProofAge": 1.0,
                "heartbeat": { "rttMs": 31.4 },
                "identifies": 1, "identifyBudget": { "remaining": 999, "total": 1000 },
                "resumes": { "asked": 3, "accepted": 2 },
                "disconnects": { "total": 3, "byCode": { "1006": 3 } },
                "lastEnd": "code 1006: cut", "recoveredIn": 0.25,
                "messages": { "delivered": 4, "inFlight": 0, "queued": 0,
                    "notAnswered": { "not_mentioned": 9 } },
            } } } },
            "thread": { "heartbeatLateness": { "maxMs": 0.5 },
                "tasks": [{ "name": "turn", "longestMs": 0.9 }] },
        });
        let lines = lines(&Printer::plain(), &status);
        assert_eq!(
            lines.lines().collect::<Vec<_>>(),
            [
                "barnacle 1.2.3 (abc), process 7, up 1 min 0 s: ok",
                "discord  connected for 5.0 s, proof of life 1.0 s ago, beats answered in 31 ms",
                "  sessions     1 new (999 of 1000 left today), 2 of 3 resumed",
                "  disconnects  3 (by code: 1006 ×3); the last: code 1006: cut, back after 0.2 s",
                "  messages     4 parts sent, 0 in work, 0 waiting; not answered: not_mentioned ×9",
                "thread  heartbeats at most 0.5 ms late; longest poll 0.9 ms (turn)",
            ]
        );
    }

    #[test]
    fn an_answer_of_anything_is_survived() {
        for odd in [json!(null), json!([]), json!({"channels": 3}), json!({"channels": {"x": 1}})] {
            assert!(lines(&Printer::plain(), &odd).starts_with("barnacle ?"));
        }
    }
}
