//! The conversations that there are.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Call;
use super::client::{Client, Effect};
use super::parse::usage;
use super::print::{Field, Printer, Shade, Table};
use crate::base::text::Plain;
use crate::ops::exit::Failure;
use crate::rt::clock;

/// Sessions that are shown, unless `--limit` says otherwise.
const SESSIONS: u64 = 100;

/// `barnacle sessions`.
pub(crate) fn list(call: &mut Call<'_>) -> Result<(), Failure> {
    let parsed = call.parsed;
    let minutes: Option<u64> = parsed.number("active")?;
    let limit = match parsed.text("limit").as_deref() {
        Some("all") => u64::MAX,
        _ => parsed.number("limit")?.unwrap_or(SESSIONS),
    };
    let mut params = json!({ "limit": limit });
    if let Some(minutes) = minutes {
        params["activeMinutes"] = minutes.into();
    }
    if let Some(agent) = parsed.text("agent") {
        params["agentId"] = agent.into();
    }
    let mut answer = Client::new(call)?.ask("sessions.list", &params, Effect::Same)?;
    answer["activeMinutes"] = minutes.into();
    call.answer(&answer, lines)
}

/// `barnacle sessions reset`.
pub(crate) fn reset(call: &mut Call<'_>) -> Result<(), Failure> {
    let key = call.parsed.word(0).unwrap_or_default().to_owned();
    let params = json!({ "key": key, "reason": "new" });
    let answer = Client::new(call)?.ask("sessions.reset", &params, Effect::Same)?;
    call.answer(&answer, |_, answer| format!("a new conversation begins in {}", key_of(answer)))
}

/// `barnacle sessions delete`.
pub(crate) fn delete(call: &mut Call<'_>) -> Result<(), Failure> {
    let keys: Vec<String> = (0..).map_while(|at| call.parsed.word(at).map(str::to_owned)).collect();
    if keys.is_empty() {
        return Err(usage("a session's key is needed", "`barnacle sessions` shows them"));
    }
    let client = Client::new(call)?;
    let mut answers = Vec::new();
    for key in &keys {
        answers.push(client.ask("sessions.delete", &json!({ "key": key }), Effect::Same)?);
    }
    let shown = |_: &Printer, answers: &Value| {
        let one = |answer: &Value| match answer["deleted"].as_bool() {
            Some(true) => format!("forgotten: {}\n", key_of(answer)),
            _ => format!("there is no session {}\n", key_of(answer)),
        };
        answers["results"].as_array().into_iter().flatten().map(one).collect::<String>()
    };
    let answer = json!({ "ok": true, "results": answers });
    call.answer(&answer, shown)
}

fn key_of(answer: &Value) -> String {
    Plain(answer["key"].as_str().unwrap_or("?")).to_string()
}

fn lines(printer: &Printer, answer: &Value) -> String {
    let mut table = Table::new(&["KEY", "KIND", "LAST", "NAME"]);
    let now = clock::wall().0;
    for row in answer["sessions"].as_array().into_iter().flatten() {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let ago = row["updatedAt"].as_u64().map_or(0, |at| now.saturating_sub(at)) / 1000;
        let last = if row["hasActiveRun"] == true {
            Field::of(Some(Shade::Fair), "at work")
        } else {
            Field::from(format!("{} ago", span(ago)))
        };
        table.row([text("key").into(), text("kind").into(), last, text("displayName").into()]);
    }
    if table.is_empty() {
        return "nobody has talked to an agent yet".to_owned();
    }
    let mut shown = table.show(printer);
    let (count, total) = (answer["count"].as_u64(), answer["totalCount"].as_u64());
    if let (Some(count), Some(total)) = (count, total)
        && count < total
    {
        let _ = writeln!(shown, "{count} of {total}; --limit all shows the others");
    }
    shown
}

/// A span of so many seconds, in its largest unit.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_listed_with_their_age_and_what_is_left_out_is_said() {
        let row = |key: &str, ago: u64, is_running: bool| {
            json!({
                "key": key, "kind": "direct", "displayName": "ann\n",
                "updatedAt": clock::wall().0.saturating_sub(ago * 1000), "hasActiveRun": is_running,
            })
        };
        let rows = [row("agent:main:main", 125, false), row("agent:main:x\u{1b}", 0, true)];
        let answer = json!({ "sessions": rows, "count": 2, "totalCount": 5 });
        let shown = lines(&Printer::plain(), &answer);
        let shown: Vec<&str> = shown.lines().collect();
        assert!(shown[0].starts_with("agent:main:main"), "{shown:?}");
        assert!(shown[0].contains("2 min ago") && shown[0].ends_with("ann\\n"), "{shown:?}");
        assert!(shown[1].contains("at work") && !shown[1].contains('\u{1b}'), "{shown:?}");
        assert_eq!(shown[2], "2 of 5; --limit all shows the others");
        assert!(lines(&Printer::plain(), &json!({})).contains("nobody"));
        assert_eq!([span(59), span(7200), span(200_000)], ["59 s", "2 h", "2 d"]);
    }
}
