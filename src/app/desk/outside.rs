//! `memory.*` and `mcp.list`: what agents have noted, and how the servers of their tools are.

use std::rc::Rc;

use serde_json::{Value, json};

use super::{handed_on, text_of};
use crate::agent::tools::mcp::{State, Status};
use crate::app::house::House;
use crate::base::limits;
use crate::control::{Answer, at_once, unknown};
use crate::core::chat::{ChannelKind, ChatId};
use crate::core::notes::{self, Note, Owner};
use crate::proto::control::Fault;

/// `memory.*`.
pub(super) fn memory(house: &Rc<House>, verb: &str, params: &Value) -> Answer {
    match verb {
        "list" => at_once(list(house, params)),
        "forget" => forget(house, params).unwrap_or_else(|fault| at_once(Err(fault))),
        other => at_once(Err(unknown(&format!("memory.{other}")))),
    }
}

/// Which notes are meant.
#[derive(Clone, Copy)]
enum Which {
    All,
    One(u64),
    Person(ChannelKind, u64),
    Chat(ChatId),
}

impl Which {
    fn of(params: &Value) -> Result<Which, Fault> {
        let kind = match text_of(params, &["channel"]) {
            None => ChannelKind::Discord,
            Some(name) => ChannelKind::ALL
                .into_iter()
                .find(|kind| kind.name() == name)
                .ok_or_else(|| Fault::invalid(format!("there is no chat service {name}")))?,
        };
        let number = |key: &str| match &params[key] {
            Value::Null => Ok(None),
            Value::String(text) => match text.trim().parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(Fault::invalid(format!("{key} is no number"))),
            },
            value => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(Fault::invalid(format!("{key} is no number"))),
            },
        };
        Ok(match (number("id")?, number("user")?, number("chat")?) {
            (None, None, None) => Which::All,
            (Some(id), None, None) => Which::One(id),
            (None, Some(user), None) => Which::Person(kind, user),
            (None, None, Some(id)) => Which::Chat(ChatId { channel: kind, id }),
            _ => return Err(Fault::invalid("name one of id, user and chat".to_owned())),
        })
    }

    fn is(self, note: &Note) -> bool {
        match self {
            Which::All => true,
            Which::One(id) => note.id == id,
            Which::Person(channel, user) => notes::is_of_person(note, channel, user),
            Which::Chat(chat) => note.owner == Owner::Chat(chat),
        }
    }
}

fn list(house: &House, params: &Value) -> Result<Value, Fault> {
    let which = Which::of(params)?;
    let notes = house.fleet.borrow().outside().notes().all();
    let meant: Vec<&Note> = notes.iter().filter(|note| which.is(note)).collect();
    let (total, mut bytes, mut rows) = (meant.len(), 0, Vec::new());
    for note in meant.iter().rev() {
        bytes += note.text.len() + 200;
        if bytes > limits::CHAT_HISTORY_BYTES_MAX {
            break;
        }
        let user = Some(note.by).filter(|&by| by != 0).map(|by| by.to_string());
        rows.push(json!({
            "id": note.id, "agentId": note.agent, "of": note.owner.to_string(), "user": user,
            "at": note.at.0, "text": note.text,
        }));
    }
    rows.reverse();
    Ok(json!({ "notes": rows, "totalCount": total }))
}

fn forget(house: &Rc<House>, params: &Value) -> Result<Answer, Fault> {
    let which = Which::of(params)?;
    if matches!(which, Which::All) && params["all"] != true {
        let text = "name a note, a user or a chat; or all: true for every note";
        return Err(Fault::invalid(text.to_owned()));
    }
    let notes = house.fleet.borrow().outside().notes().clone();
    Ok(handed_on(house, async move {
        match notes.forget_all(|note| which.is(note)).await {
            Ok(count) => Ok(json!({ "forgotten": count })),
            Err(error) => {
                let text = format!("they are forgotten until the next start only: {error}");
                Err(Fault::later(&text, 1000))
            }
        }
    }))
}

/// `mcp.list`.
pub(super) fn servers(house: &House) -> Value {
    let all = house.fleet.borrow().outside().servers().status();
    let row = |status: Status| {
        let Status { name, is_program, state, tools, left_out, starts } = status;
        let (word, why) = match state {
            State::Starting => ("starting", None),
            State::Ready => ("ready", None),
            State::Down(why) => ("down", Some(why)),
        };
        json!({
            "name": name, "transport": if is_program { "stdio" } else { "streamable-http" },
            "state": word, "why": why.map(|why| house.lines.blot(why)), "tools": tools,
            "leftOut": left_out, "starts": starts,
        })
    };
    json!({ "servers": all.into_iter().map(row).collect::<Vec<_>>() })
}
