//! What became of messages.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Call;
use super::client::{Client, Effect};
use super::print::{Printer, Shade};
use crate::base::text::Plain;
use crate::ops::exit::{Exit, Failure};

/// `barnacle why`.
pub(crate) fn why(call: &mut Call<'_>) -> Result<(), Failure> {
    let parsed = call.parsed;
    let message = parsed.word(0);
    let params = json!({
        "message": message,
        "last": parsed.number::<u32>("last")?,
        "dropped": parsed.has("dropped"),
        "channel": parsed.text("channel"),
        "accountId": parsed.text("account"),
    });
    let answer = Client::new(call)?.ask("why", &params, Effect::Same)?;
    let is_found = stories(&answer).next().is_some() || answer["job"].is_object();
    call.answer(&answer, |printer, answer| lines(printer, answer, message.is_some()))?;
    if message.is_some() && !is_found {
        return Err(Failure::new(Exit::Refused, "", ""));
    }
    Ok(())
}

fn stories(answer: &Value) -> impl Iterator<Item = &Value> {
    let list = answer["stories"].as_array().or_else(|| answer["messages"].as_array());
    list.into_iter().flatten()
}

/// Of one message the whole trail; of several a line or two each, the newest last.
pub(super) fn lines(printer: &Printer, answer: &Value, is_one: bool) -> String {
    let mut out = String::new();
    let mut all: Vec<&Value> = stories(answer).collect();
    all.reverse();
    for story in &all {
        head(&mut out, printer, story);
        if is_one {
            trail(&mut out, printer, story);
        }
    }
    if let Some(note) = answer["note"].as_str() {
        let _ = writeln!(out, "{}", Plain(note));
    }
    let drops = answer["drops"].as_array().into_iter().flatten().map(|drop| {
        let reason = drop["reason"].as_str().unwrap_or("?");
        format!("{} ×{}", Plain(reason), drop["count"])
    });
    let drops: Vec<String> = drops.collect();
    if !drops.is_empty() && !is_one {
        let _ = writeln!(out, "dropped in all: {}", drops.join(", "));
    }
    if out.is_empty() {
        out.push_str(if is_one {
            "that message is not known here: it never came, or it was too long ago"
        } else {
            "no message has come yet"
        });
    }
    out.truncate(out.trim_end().len());
    out
}

fn head(out: &mut String, printer: &Printer, story: &Value) {
    let text = |key: &str| story[key].as_str().unwrap_or_default();
    let shade = match text("outcome") {
        "answered" => Shade::Good,
        "dropped" => Shade::Bad,
        _ => Shade::Fair,
    };
    let chat = match (text("chatName"), text("guild")) {
        ("", "") => "a direct message".to_owned(),
        ("", _) => format!("chat {}", text("chat")),
        (name, _) => format!("#{name}"),
    };
    let author = if text("authorName").is_empty() { text("author") } else { text("authorName") };
    let _ = writeln!(
        out,
        "{}  {}  {} by {} in {}",
        Plain(text("at")),
        printer.shade(Some(shade), text("outcome")),
        Plain(text("id")),
        Plain(author),
        Plain(&chat),
    );
    if !text("reason").is_empty() {
        let _ = writeln!(out, "  {}", Plain(text("reason")));
    }
    if !text("cure").is_empty() {
        let _ = writeln!(out, "  to change it: {}", Plain(text("cure")));
    }
}

fn trail(out: &mut String, printer: &Printer, story: &Value) {
    if let Some(link) = story["link"].as_str() {
        let _ = writeln!(out, "  {}", Plain(link));
    }
    for step in story["steps"].as_array().into_iter().flatten() {
        let text = |key: &str| step[key].as_str().unwrap_or_default();
        let after = step["afterMs"].as_u64().unwrap_or(0);
        let door = printer.shade(Some(Shade::Faint), text("door"));
        let _ = writeln!(out, "  {after:>7} ms  {door}: {}", Plain(text("text")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story() -> Value {
        json!({"channel": "discord", "account": "default", "chat": "9", "chatName": "general",
            "guild": "8", "id": "7", "author": "5", "authorName": "a\u{1b}b",
            "at": "2026-01-01T00:00:00.000Z", "link": "https://discord.com/channels/8/9/7",
            "outcome": "dropped", "reason": "it does not mention the bot",
            "cure": "channels.discord.guilds.8.requireMention: false",
            "steps": [{"afterMs": 0, "door": "gate", "text": "no mention"}]})
    }

    #[test]
    fn a_message_is_told_with_its_trail_and_what_would_change_it() {
        let answer = json!({"stories": [story()], "drops": [], "note": null});
        let shown = lines(&Printer::plain(), &answer, true);
        let expected = [
            "2026-01-01T00:00:00.000Z  dropped  7 by a\\u{1b}b in #general",
            "  it does not mention the bot",
            "  to change it: channels.discord.guilds.8.requireMention: false",
            "  https://discord.com/channels/8/9/7",
            "        0 ms  gate: no mention",
        ];
        assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn several_are_told_briefly_the_newest_last() {
        let mut newer = story();
        newer["id"] = "8".into();
        let drops = json!([{"reason": "not_mentioned", "count": 4}]);
        let answer = json!({"stories": [newer, story()], "drops": drops});
        let shown = lines(&Printer::plain(), &answer, false);
        assert!(shown.find("  7 by") < shown.find("  8 by") && !shown.contains("gate:"), "{shown}");
        assert!(shown.ends_with("dropped in all: not_mentioned ×4"), "{shown}");
        for odd in [json!(null), json!({"stories": [3]})] {
            assert!(!lines(&Printer::plain(), &odd, true).is_empty());
        }
    }
}
