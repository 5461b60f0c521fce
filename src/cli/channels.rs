//! The connections to chat services: shown, started, stopped.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Call;
use super::client::{Client, Effect};
use super::print::{Field, Printer, Shade, Table};
use super::show;
use super::summary::span;
use crate::base::Wall;
use crate::base::text::Plain;
use crate::ops::exit::{Exit, Failure};

/// `barnacle channels status`.
pub(crate) fn status(call: &mut Call<'_>) -> Result<(), Failure> {
    let answer = asked(call, call.parsed.has("probe"))?;
    call.answer(&answer, |printer, answer| accounts(printer, answer, true))
}

/// `barnacle channels list`.
pub(crate) fn list(call: &mut Call<'_>) -> Result<(), Failure> {
    let answer = asked(call, false)?;
    call.answer(&answer, |printer, answer| accounts(printer, answer, false))
}

/// `channels.status`, of which only what was named is left.
fn asked(call: &Call<'_>, probe: bool) -> Result<Value, Failure> {
    let client = Client::new(call)?;
    let timeout = u64::try_from(client.timeout.as_millis()).unwrap_or(u64::MAX);
    let params = json!({ "probe": probe, "timeoutMs": timeout });
    let mut answer = client.ask("channels.status", &params, Effect::Same)?;
    let (channel, account) = named(call)?;
    if let Some(channels) = answer["channelAccounts"].as_object_mut() {
        channels.retain(|name, _| channel.as_ref().is_none_or(|wanted| wanted == name));
        for accounts in channels.values_mut().filter_map(Value::as_array_mut) {
            let is_wanted = |id: &Value| account.as_ref().is_none_or(|wanted| id == wanted);
            accounts.retain(|one| is_wanted(&one["accountId"]));
        }
        if channels.values().all(|accounts| accounts.as_array().is_none_or(Vec::is_empty))
            && (channel.is_some() || account.is_some())
        {
            let cure = "`barnacle channels list` names all";
            return Err(Failure::new(Exit::Refused, "there is no such account", cure));
        }
    }
    Ok(answer)
}

/// The channel and the account that were named, by flags or by a word.
pub(super) fn named(call: &Call<'_>) -> Result<(Option<String>, Option<String>), Failure> {
    let (word, flag) = (call.parsed.word(0).map(str::to_owned), call.parsed.text("channel"));
    if word.is_some() && flag.is_some() && word != flag {
        return Err(Failure::new(Exit::Usage, "two channels are named, and one is meant", ""));
    }
    Ok((word.or(flag), call.parsed.text("account")))
}

/// Each account in a line.
pub(super) fn accounts(printer: &Printer, answer: &Value, is_full: bool) -> String {
    let mut table = Table::new(&["ACCOUNT", "STATE"]);
    for (channel, accounts) in answer["channelAccounts"].as_object().into_iter().flatten() {
        for account in accounts.as_array().into_iter().flatten() {
            let name = format!("{channel} {}", account["accountId"].as_str().unwrap_or("?"));
            let state = if is_full { state(account) } else { Field::from(plan(account)) };
            table.row([name.into(), state]);
            if let Some(cure) = account["cure"].as_str().filter(|_| is_full) {
                table.note(cure);
            }
        }
    }
    if table.is_empty() {
        return "no account is configured (`barnacle channels add` adds one)".to_owned();
    }
    let mut out = table.show(printer);
    let channels = answer["channels"].as_object().into_iter().flatten();
    let issues = channels.filter_map(|(_, channel)| channel["issues"].as_array());
    for issue in issues.flatten().filter(|_| is_full) {
        let text = issue["message"].as_str().or(issue.as_str()).unwrap_or_default();
        if !text.is_empty() {
            let _ = writeln!(out, "{}", printer.shade(Some(Shade::Fair), text));
        }
    }
    out
}

fn plan(account: &Value) -> String {
    let is = |key: &str| account[key].as_bool().unwrap_or(false);
    let enabled = if is("enabled") { "enabled" } else { "disabled" };
    let configured = if is("configured") { "configured" } else { "without a token" };
    match account["tokenSource"].as_str() {
        Some(source) => format!("{enabled}, {configured} (token from {source})"),
        None => format!("{enabled}, {configured}"),
    }
}

fn state(account: &Value) -> Field {
    let word = account["state"].as_str().unwrap_or("?");
    let mut text = word.to_owned();
    if account["enabled"] == false {
        text.push_str(", disabled");
    }
    if let Some(age) = account["lastProofAgeMs"].as_f64() {
        let _ = write!(text, ", proof of life {} ago", span(Some(age / 1000.0)));
    }
    if let Some(at) = account["lastInboundAt"].as_u64() {
        let _ = write!(text, ", last message {}", Wall(at));
    }
    if let Some(error) = account["lastError"].as_str() {
        let _ = write!(text, ": {error}");
    }
    Field::of(show::shade(word), &text)
}

/// `barnacle channels history`.
pub(crate) fn history(call: &mut Call<'_>) -> Result<(), Failure> {
    let client = Client::new(call)?;
    let mut params = target(call)?;
    params.insert("limit".into(), call.parsed.number::<u32>("limit")?.unwrap_or(50).into());
    let answer = client.ask("channels.history", &params.into(), Effect::Same)?;
    call.answer(&answer, story)
}

fn story(printer: &Printer, answer: &Value) -> String {
    let mut table = Table::new(&["TIME", "ACCOUNT", "STATE"]);
    for entry in answer["entries"].as_array().into_iter().flatten() {
        let text = |key: &str| entry[key].as_str().unwrap_or("?");
        let at = entry["atMs"].as_u64().map_or_else(|| "?".into(), |at| Wall(at).to_string());
        let name = format!("{} {}", text("channel"), text("accountId"));
        let mut state = text("state").to_owned();
        if let Some(down) = entry["downMs"].as_f64() {
            let _ = write!(state, " after {}", span(Some(down / 1000.0)));
        }
        if let Some(cause) = entry["cause"].as_str() {
            let _ = write!(state, ": {cause}");
        }
        match entry["code"].as_u64() {
            Some(code) if !text("cause").contains(&code.to_string()) => {
                let _ = write!(state, " (code {code})");
            }
            _ => {}
        }
        table.row([at.into(), name.into(), Field::of(show::shade(text("state")), &state)]);
    }
    let mut out = table.show(printer);
    for (account, codes) in answer["disconnects"].as_object().into_iter().flatten() {
        let codes = super::summary::counts(codes);
        if !codes.is_empty() {
            let _ = writeln!(out, "disconnects of {}: {codes}", Plain(account));
        }
    }
    if out.is_empty() {
        out.push_str("nothing has happened yet");
    }
    out
}

/// `barnacle channels start`.
pub(crate) fn start(call: &mut Call<'_>) -> Result<(), Failure> {
    command(call, "channels.start")
}

/// `barnacle channels stop`.
pub(crate) fn stop(call: &mut Call<'_>) -> Result<(), Failure> {
    command(call, "channels.stop")
}

/// `barnacle channels restart`.
pub(crate) fn restart(call: &mut Call<'_>) -> Result<(), Failure> {
    command(call, "channels.restart")
}

fn command(call: &mut Call<'_>, method: &str) -> Result<(), Failure> {
    // To start what runs, or to stop what is stopped, is nothing; to restart twice is something.
    let effect = if method == "channels.restart" { Effect::Twice } else { Effect::Same };
    let answer = Client::new(call)?.ask(method, &target(call)?.into(), effect)?;
    call.answer(&answer, |printer, answer| {
        let accounts = answer["accounts"].as_array().into_iter().flatten();
        let lines: Vec<String> = accounts
            .map(|account| {
                let text = |key: &str| account[key].as_str().unwrap_or("?");
                let name = format!("{} {}", text("channel"), text("accountId"));
                let state = printer.shade(show::shade(text("state")), text("state"));
                format!("{}  {state}", Plain(&name))
            })
            .collect();
        if lines.is_empty() { "there is no account to act on".into() } else { lines.join("\n") }
    })
}

/// The channel and the account that were named, as parameters.
fn target(call: &Call<'_>) -> Result<Map<String, Value>, Failure> {
    let (channel, account) = named(call)?;
    let pairs = [("channel", channel), ("accountId", account)];
    Ok(pairs.into_iter().filter_map(|(key, value)| Some((key.into(), value?.into()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_shown_with_cause_and_cure_and_nothing_raw() {
        let answer = json!({"channelAccounts": {"discord": [
            {"accountId": "default", "enabled": true, "configured": true, "state": "connected",
             "tokenSource": "DISCORD_BOT_TOKEN", "lastProofAgeMs": 2100,
             "lastInboundAt": 1_774_085_213_589_u64},
            {"accountId": "w\u{1b}k", "enabled": true, "state": "error", "lastError": "4014: no",
             "cure": "switch it on"},
        ]}, "channels": {"discord": {"issues": [{"message": "an issue"}]}}});
        let shown = accounts(&Printer::plain(), &answer, true);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].starts_with("discord default"), "{shown}");
        assert!(lines[0].contains("connected, proof of life 2.1 s ago, last message 2026-"));
        assert!(lines[1].contains("w\\u{1b}k") && lines[1].contains("error: 4014: no"), "{shown}");
        assert_eq!(lines[2..], ["  switch it on", "an issue"]);
        let listed = accounts(&Printer::plain(), &answer, false);
        assert!(listed.contains("enabled, without a token"), "{listed}");
        let source = "enabled, configured (token from DISCORD_BOT_TOKEN)";
        assert!(listed.contains(source), "{listed}");
    }

    #[test]
    fn a_story_is_told_entry_by_entry() {
        let answer = json!({"entries": [
            {"atMs": 1_774_085_213_589_u64, "channel": "discord", "accountId": "default",
             "state": "connected", "downMs": 250},
            {"atMs": 1_774_085_213_000_u64, "channel": "discord", "accountId": "default",
             "state": "reconnecting", "cause": "cut", "code": 1006},
        ], "disconnects": {"default": {"1006": 3}}});
        let shown = story(&Printer::plain(), &answer);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].ends_with("discord default  connected after 0.2 s"), "{shown}");
        assert!(lines[1].ends_with("reconnecting: cut (code 1006)"), "{shown}");
        assert_eq!(lines[2], "disconnects of default: 1006 ×3");
        for odd in [json!(null), json!([]), json!({"entries": [1, {}]})] {
            assert!(!story(&Printer::plain(), &odd).is_empty());
            assert!(!accounts(&Printer::plain(), &odd, true).is_empty());
        }
    }
}
