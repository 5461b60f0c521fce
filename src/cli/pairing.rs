//! Who may write to the bot directly.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::client::{Client, Effect};
use super::print::{Printer, Shade};
use super::{Call, channels};
use crate::base::Wall;
use crate::base::text::Plain;
use crate::ops::exit::{Exit, Failure};

/// The channel that is meant if none is named.
const USUAL: &str = "discord";

/// `barnacle pairing list`.
pub(crate) fn list(call: &mut Call<'_>) -> Result<(), Failure> {
    let (channel, account) = channels::named(call)?;
    let params = json!({ "channel": channel, "accountId": account });
    let answer = Client::new(call)?.ask("pairing.list", &params, Effect::Same)?;
    call.answer(&answer, lines)
}

/// `barnacle pairing approve`.
pub(crate) fn approve(call: &mut Call<'_>) -> Result<(), Failure> {
    let (channel, code) = pair(call)?;
    let account = call.parsed.text("account");
    let params = json!({ "channel": channel, "code": code, "accountId": account });
    // A code is used up by the first approval; a second one is told so, and does nothing.
    let answer = Client::new(call)?.ask("pairing.approve", &params, Effect::Twice)?;
    call.answer(&answer, |_, answer| format!("{} may write to the bot now", user(&answer["user"])))
}

/// `barnacle pairing revoke`.
pub(crate) fn revoke(call: &mut Call<'_>) -> Result<(), Failure> {
    let (channel, id) = pair(call)?;
    let account = call.parsed.text("account");
    let params = json!({ "channel": channel, "user": id, "accountId": account });
    let answer = Client::new(call)?.ask("pairing.revoke", &params, Effect::Same)?;
    call.answer(&answer, |_, _| format!("{} may write to the bot no more", Plain(&id)))
}

/// `[CHANNEL] WORD`: with one word it is the second.
fn pair(call: &Call<'_>) -> Result<(String, String), Failure> {
    let words = (call.parsed.word(0), call.parsed.word(1));
    let flag = call.parsed.text("channel");
    let (channel, word) = match words {
        (Some(channel), Some(word)) => (Some(channel.to_owned()), word),
        (word, _) => (None, word.unwrap_or_default()),
    };
    if channel.is_some() && flag.is_some() && channel != flag {
        return Err(Failure::new(Exit::Usage, "two channels are named, and one is meant", ""));
    }
    Ok((channel.or(flag).unwrap_or_else(|| USUAL.into()), word.to_owned()))
}

fn lines(printer: &Printer, answer: &Value) -> String {
    let mut out = String::new();
    let place = |entry: &Value| {
        let text = |key: &str| entry[key].as_str().unwrap_or("?");
        Plain(&format!("{} {}", text("channel"), text("accountId"))).to_string()
    };
    for request in answer["requests"].as_array().into_iter().flatten() {
        let code = printer.shade(Some(Shade::Fair), request["code"].as_str().unwrap_or("?"));
        let _ = write!(out, "{code}  {}  asks: {}", place(request), user(&request["user"]));
        if let Some(until) = request["expiresAtMs"].as_u64() {
            let _ = write!(out, ", until {}", Wall(until));
        }
        out.push('\n');
    }
    for approved in answer["approved"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "approved  {}  {}", place(approved), user(&approved["user"]));
    }
    if out.is_empty() {
        out.push_str("nobody asks, and nobody has been let in by a code");
    }
    out
}

fn user(user: &Value) -> String {
    let id = user["id"].as_str().map_or_else(|| user.to_string(), str::to_owned);
    let id = id.trim_matches('"');
    match user["name"].as_str().filter(|name| !name.is_empty()) {
        Some(name) => format!("{} ({})", Plain(name), Plain(id)),
        None => Plain(id).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_and_who_may_are_listed() {
        let answer = json!({
            "requests": [{"channel": "discord", "accountId": "default", "code": "ABCD2345",
                "user": {"id": "5", "name": "ann\n"}, "expiresAtMs": 1_774_085_213_589_u64}],
            "approved": [{"channel": "discord", "accountId": "default", "user": "6"}],
        });
        let shown = lines(&Printer::plain(), &answer);
        let rows: Vec<&str> = shown.lines().collect();
        assert!(rows[0].starts_with("ABCD2345  discord default  asks: ann\\n (5), until 2026-"));
        assert_eq!(rows[1], "approved  discord default  6");
        assert!(lines(&Printer::plain(), &json!({})).contains("nobody asks"));
    }
}
