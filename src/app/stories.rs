//! What became of messages, and who may write to us: the questions about all accounts.

use serde_json::{Value, json};

use super::cron;
use super::house::House;
use crate::channels::discord::View;
use crate::control::{Answer, at_once, unknown};
use crate::core::pairing::Wrong;
use crate::core::session::OWN_ACCOUNT;
use crate::core::why::{self, Params};
use crate::proto::control::Fault;
use crate::rt::clock;

/// `why`: the stories of messages.
pub(super) fn why(house: &House, params: Value) -> Result<Value, Fault> {
    let invalid = |error: &dyn std::fmt::Display| Fault::invalid(error.to_string());
    let params: Params = if params.is_null() {
        Params::default()
    } else {
        serde_json::from_value(params).map_err(|error| invalid(&error))?
    };
    let job = params.message.as_deref().and_then(|message| cron::tell::story(house, message));
    let query = match (params.query(), &job) {
        (Ok(query), _) => query,
        // A run has a name of its own.
        (Err(_), Some((note, entry))) => {
            return Ok(json!({ "stories": [], "drops": [], "note": note, "job": entry }));
        }
        (Err(error), None) => return Err(invalid(&error)),
    };
    let (mut stories, mut drops) = (Vec::new(), Vec::new());
    let account = params.account.as_deref();
    let own = &house.webchat.doors;
    let is_ours = account.is_none_or(|account| account == OWN_ACCOUNT);
    if is_ours {
        stories.extend(own.why(query));
        drops.extend(own.drops());
    }
    match views(house, account) {
        Ok(views) => {
            for (_, view) in views {
                stories.extend(view.why(query));
                drops.extend(view.drops());
            }
        }
        Err(fault) if stories.is_empty() => return Err(fault),
        Err(_) => {}
    }
    let reply = why::reply(query, clock::wall(), stories, drops);
    let mut reply = serde_json::to_value(reply).map_err(|error| invalid(&error))?;
    if let Some((note, entry)) = job {
        (reply["note"], reply["job"]) = (note.into(), entry);
    }
    Ok(reply)
}

/// `pairing.list`, `pairing.approve` and `pairing.revoke`.
pub(super) fn pairing(house: &House, verb: &str, params: &Value) -> Answer {
    if let Some(other) = params["channel"].as_str().filter(|channel| *channel != "discord") {
        return at_once(Err(Fault::invalid(format!("there is no channel {other:?}"))));
    }
    let views = match views(house, params["accountId"].as_str().or(params["account"].as_str())) {
        Ok(views) => views,
        Err(fault) => return at_once(Err(fault)),
    };
    let text = |key: &str| match &params[key] {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    match verb {
        "list" => at_once(Ok(list(&views))),
        "approve" => Box::pin(approve(views, text("code"))),
        "revoke" => {
            let Ok(user) = text("user").parse() else {
                let text = "a user's id is needed, as `pairing list` shows it";
                return at_once(Err(Fault::invalid(text)));
            };
            Box::pin(revoke(views, user))
        }
        other => at_once(Err(unknown(&format!("pairing.{other}")))),
    }
}

type Views = Vec<(String, View)>;

/// The accounts that run, or the one that is meant.
fn views(house: &House, account: Option<&str>) -> Result<Views, Fault> {
    let fleet = house.fleet.borrow();
    let is_meant = |name: &str| account.is_none_or(|account| account == name);
    let seats = fleet.seats().filter(|seat| is_meant(seat.name));
    let views: Views = seats.filter_map(|seat| Some((seat.name.to_owned(), seat.view?))).collect();
    if !views.is_empty() {
        return Ok(views);
    }
    let known = fleet.seats().find(|seat| is_meant(seat.name));
    Err(Fault::invalid(match (account, known) {
        (Some(account), None) => format!("there is no account {account:?}"),
        (_, Some(seat)) => {
            format!("account {:?} does not run: {}", seat.name, seat.why.unwrap_or("it starts"))
        }
        (None, None) => "there is no account".to_owned(),
    }))
}

fn list(views: &Views) -> Value {
    let (mut pending, mut paired) = (Vec::new(), Vec::new());
    for (_, view) in views {
        let mut list = view.pairing();
        let mut take = |key: &str, into: &mut Vec<Value>| {
            if let Some(entries) = list[key].as_array_mut() {
                into.append(entries);
            }
        };
        take("requests", &mut pending);
        take("approved", &mut paired);
    }
    json!({ "requests": pending, "approved": paired })
}

/// A code is one account's; which, the code tells.
async fn approve(views: Views, code: String) -> Result<Value, Fault> {
    let mut reason = Wrong::Unknown;
    for (account, view) in views {
        match view.approve(&code).await {
            Ok(paired) => {
                return Ok(json!({
                    "channel": "discord",
                    "ok": true,
                    "accountId": account,
                    "user": { "id": paired.author.to_string(), "name": paired.name },
                }));
            }
            Err(Wrong::Unknown) => {}
            Err(wrong) => reason = wrong,
        }
    }
    Err(Fault::invalid(reason.to_string()))
}

async fn revoke(views: Views, user: u64) -> Result<Value, Fault> {
    let mut accounts = Vec::new();
    for (account, view) in views {
        if view.revoke(user).await {
            accounts.push(account);
        }
    }
    if accounts.is_empty() {
        let text = format!("user {user} is neither paired nor waiting");
        return Err(Fault::invalid(text));
    }
    let user = json!({ "id": user.to_string() });
    Ok(json!({ "ok": true, "channel": "discord", "accounts": accounts, "user": user }))
}
