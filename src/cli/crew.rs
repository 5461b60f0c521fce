//! Agents as the configuration has them: who there is, and who answers where.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::parse::usage;
use super::print::Table;
use super::{Call, settings};
use crate::app::roster::{self, NewAgent, Place};
use crate::ops::config::{self, Node};
use crate::ops::exit::Failure;

/// See the table.
pub(crate) fn add(call: &mut Call<'_>) -> Result<(), Failure> {
    let id = call.parsed.word(0).unwrap_or_default().to_owned();
    if !config::is_profile(&id) {
        return Err(usage("an agent's name has letters, digits, - and _", ""));
    }
    let text = |flag: &str, key: &'static str| {
        let value = call.parsed.text(flag)?;
        Some((key, Node::Text(Cow::Owned(value))))
    };
    let mut settings: Vec<(&'static str, Node<'static>)> = Vec::new();
    settings.extend(text("workspace", "workspace"));
    settings.extend(text("url", "url"));
    settings.extend(text("model", "model"));
    if let Some(command) = call.parsed.text("command") {
        let words = command.split_whitespace();
        let words = words.map(|word| Node::Text(Cow::Owned(word.to_owned())));
        settings.push(("command", Node::List(words.collect())));
    }
    let agent = NewAgent { id, settings, places: places(call)? };
    let edited = roster::add_agent(call.env, &call.common, &agent)?;
    settings::tell(call, &edited)
}

fn places(call: &Call<'_>) -> Result<Vec<Place>, Failure> {
    call.parsed.texts("bind").iter().map(|text| Place::parse(text)).collect()
}

/// See the table.
pub(crate) fn delete(call: &mut Call<'_>) -> Result<(), Failure> {
    let id = call.parsed.word(0).unwrap_or_default();
    let edited = roster::delete_agent(call.env, &call.common, id)?;
    settings::tell(call, &edited)
}

/// See the table.
pub(crate) fn bind(call: &mut Call<'_>) -> Result<(), Failure> {
    let (agent, places) = (call.parsed.text("agent"), places(call)?);
    if places.is_empty() {
        return Err(usage("--bind is needed: discord, or discord:ACCOUNT", ""));
    }
    let edited = roster::bind(call.env, &call.common, agent.as_deref(), &places)?;
    settings::tell(call, &edited)
}

/// See the table.
pub(crate) fn unbind(call: &mut Call<'_>) -> Result<(), Failure> {
    let (agent, places) = (call.parsed.text("agent"), places(call)?);
    let places = match (call.parsed.has("all"), places.is_empty()) {
        (true, true) => None,
        (false, false) => Some(places.as_slice()),
        _ => return Err(usage("either --bind or --all is needed", "")),
    };
    let edited = roster::unbind(call.env, &call.common, agent.as_deref(), places)?;
    settings::tell(call, &edited)
}

/// See the table.
pub(crate) fn bindings(call: &mut Call<'_>) -> Result<(), Failure> {
    let wanted = call.parsed.text("agent");
    let all = roster::bindings(call.env, &call.common)?;
    let is_wanted =
        |one: &Value| wanted.as_ref().is_none_or(|agent| one["agentId"] == agent.as_str());
    let all: Vec<Value> = all.into_iter().filter(is_wanted).collect();
    call.answer(&json!(all), |printer, all| {
        let mut table = Table::new(&["AGENT", "ANSWERS"]);
        for one in all.as_array().into_iter().flatten() {
            table.row([one["agentId"].as_str().unwrap_or("?").into(), place(&one["match"]).into()]);
        }
        if table.is_empty() {
            return "nothing is bound: the first agent answers everywhere".to_owned();
        }
        table.show(printer)
    })
}

/// A binding's place in words.
fn place(place: &Value) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut words = vec![place["channel"].as_str().unwrap_or("everywhere").to_owned()];
    for (key, what) in [("accountId", "account"), ("guildId", "server"), ("roles", "roles")] {
        if !place[key].is_null() {
            words.push(format!("{what} {}", word(&place[key])));
        }
    }
    if !place["peer"].is_null() {
        let peer = &place["peer"];
        words.push(format!("{} {}", peer["kind"].as_str().unwrap_or("chat"), word(&peer["id"])));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_by_what_it_names() {
        let place = |value: Value| place(&value);
        assert_eq!(place(json!({})), "everywhere");
        assert_eq!(
            place(json!({"channel": "discord", "accountId": "work"})),
            "discord, account work"
        );
        let peer = json!({"channel": "discord", "peer": {"kind": "channel", "id": "7"}});
        assert_eq!(place(peer), "discord, channel 7");
    }
}
