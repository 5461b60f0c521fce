//! What agents have noted, and the servers of their tools.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Call;
use super::client::{Client, Effect};
use super::parse::usage;
use super::print::{Field, Printer, Shade, Table};
use crate::base::Wall;
use crate::ops::exit::Failure;

/// `barnacle memory list`.
pub(crate) fn list(call: &mut Call<'_>) -> Result<(), Failure> {
    let params = which(call)?;
    let answer = Client::new(call)?.ask("memory.list", &params, Effect::Same)?;
    call.answer(&answer, notes)
}

/// `barnacle memory forget`.
pub(crate) fn forget(call: &mut Call<'_>) -> Result<(), Failure> {
    let mut params = which(call)?;
    let ids: Vec<String> = (0..).map_while(|at| call.parsed.word(at).map(str::to_owned)).collect();
    let is_all = call.parsed.has("all");
    let named = params["user"].is_string() || params["chat"].is_string();
    if usize::from(is_all) + usize::from(named) + usize::from(!ids.is_empty()) != 1 {
        let cure = "give numbers of notes as `barnacle memory list` shows them, or --user, --chat \
                    or --all";
        return Err(usage("which notes are to be forgotten?", cure));
    }
    let client = Client::new(call)?;
    let mut count = 0;
    let mut ask = |params: &Value| {
        let answer = client.ask("memory.forget", params, Effect::Same)?;
        count += answer["forgotten"].as_u64().unwrap_or_default();
        Ok::<(), Failure>(())
    };
    if ids.is_empty() {
        params["all"] = is_all.into();
        ask(&params)?;
    }
    for id in ids {
        ask(&json!({ "id": id }))?;
    }
    call.answer(&json!({ "forgotten": count }), |_, answer| {
        format!("{} notes are forgotten", answer["forgotten"])
    })
}

fn which(call: &Call<'_>) -> Result<Value, Failure> {
    let mut params = json!({});
    for flag in ["user", "chat", "channel"] {
        if let Some(text) = call.parsed.text(flag) {
            params[flag] = text.into();
        }
    }
    if params["user"].is_string() && params["chat"].is_string() {
        return Err(usage("--user and --chat do not go together", ""));
    }
    Ok(params)
}

fn notes(printer: &Printer, answer: &Value) -> String {
    let mut table = Table::new(&["ID", "OF", "AGENT", "DAY", "NOTE"]);
    let rows = answer["notes"].as_array().map(Vec::as_slice).unwrap_or_default();
    for row in rows {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let day = Wall(row["at"].as_u64().unwrap_or_default()).to_string();
        let day = day.split('T').next().unwrap_or_default().to_owned();
        let id = row["id"].to_string();
        table.row([
            id.into(),
            text("of").into(),
            text("agentId").into(),
            day.into(),
            text("text").into(),
        ]);
    }
    if table.is_empty() {
        return "nothing is noted".to_owned();
    }
    let mut shown = table.show(printer);
    let total = answer["totalCount"].as_u64().unwrap_or_default();
    if total > rows.len() as u64 {
        let _ = writeln!(shown, "the newest {} of {total}", rows.len());
    }
    shown
}

/// `barnacle mcp list`.
pub(crate) fn servers(call: &mut Call<'_>) -> Result<(), Failure> {
    let answer = Client::new(call)?.ask("mcp.list", &json!({}), Effect::Same)?;
    call.answer(&answer, |printer, answer| {
        let mut table = Table::new(&["SERVER", "BY", "STATE", "TOOLS", "STARTS"]);
        for row in answer["servers"].as_array().into_iter().flatten() {
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            let shade = match row["state"].as_str() {
                Some("ready") => Shade::Good,
                Some("down") => Shade::Bad,
                _ => Shade::Fair,
            };
            let tools = row["tools"].as_array().map_or(0, Vec::len).to_string();
            table.row([
                text("name").into(),
                text("transport").into(),
                Field::of(Some(shade), text("state").as_str()),
                tools.into(),
                row["starts"].to_string().into(),
            ]);
            if let Some(why) = row["why"].as_str() {
                table.note(why.to_owned());
            }
            let names = row["tools"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let names: Vec<&str> = names.collect();
            if !names.is_empty() {
                table.note(names.join(" "));
            }
            let left_out = row["leftOut"].as_u64().unwrap_or_default();
            if left_out > 0 {
                table.note(format!("{left_out} more cannot be offered: too many, or too large"));
            }
        }
        if table.is_empty() {
            return "no servers of tools are configured (mcp.servers)".to_owned();
        }
        table.show(printer)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_listed_with_whose_they_are() {
        let row = json!({"id": 3, "of": "discord:user:7", "agentId": "main", "at": 0,
            "text": "likes\ntea\u{1b}"});
        let shown = notes(&Printer::plain(), &json!({ "notes": [row], "totalCount": 2 }));
        assert!(shown.contains("discord:user:7") && shown.contains("1970-01-01"), "{shown}");
        assert!(shown.contains("the newest 1 of 2") && !shown.contains('\u{1b}'), "{shown}");
        assert!(notes(&Printer::plain(), &json!({})).contains("nothing"));
    }
}
