//! How the sandbox is steered: by lines on standard input, and by its own HTTP below `/_sandbox`.
//! Both come to the same few commands.

use std::fmt::Write as _;
use std::rc::Rc;

use serde_json::{Map, Value, json};
use smol::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::faults::{ARGS, Args, FAULTS, Kick, Scope};
use super::files::{Attached, Upload};
use super::journal::{Event, Sockets, Tally, What};
use super::session::Session;
use super::world::{Channel, Kind, World};
use super::{Flood, Handle, Say, Shared, model, play, talk};
use crate::base::{Instant, limits};
use crate::rt::clock;
use crate::rt::executor::Tier;
use crate::rt::net::server::{Request, Response};

/// Messages of a flood, at most.
const FLOOD_MAX: u32 = 10_000_000;

/// The commands, for a person.
#[must_use]
pub fn help() -> String {
    let mut text = String::from(
        "NAME [KEY=VALUE ..]        play a fault\n\
         ask [KEY=VALUE ..] TEXT    a person says TEXT and mentions the bot\n\
         say [KEY=VALUE ..] TEXT    the same without mentioning it\n\
         dm [KEY=VALUE ..] TEXT     the same, to the bot directly\n\
         slash [KEY=VALUE ..] NAME  a person uses a slash command; an option may follow\n\
         react [KEY=VALUE ..] EMOJI a person puts it under message=ID; off=true takes it away\n\
         channel NAME               one more text channel\n\
         flood [KEY=VALUE ..]       a flood of messages: count, bytes, rate\n\
         state                      everything that is known, in JSON\n\
         clear                      disarm all faults\n\
         help                       this\n\n\
         of what is said: channel, thread, author, program, roles, bot, reference,\n\
         files (a list in JSON, without spaces, of objects: name, type, base64, seconds, size,\n\
         url, manners)\n\nof faults:\n",
    );
    for (name, what) in ARGS {
        let _ = writeln!(text, "  {name:<10} {what}");
    }
    text.push_str("\nfaults (kicks: open connections are ended first, so that it shows):\n");
    for fault in FAULTS {
        let scope = match fault.scope {
            Scope::Times(1) => "once".to_owned(),
            Scope::Times(count) => format!("{count} times"),
            Scope::Seconds(seconds) => format!("for {seconds} s"),
            Scope::Cleared => "until cleared".to_owned(),
        };
        let kick = if fault.kick == Kick::No { "" } else { "; kicks" };
        let _ = writeln!(text, "  {:<17} {} ({scope}{kick})", fault.name, fault.what);
    }
    text
}

/// Obeys the lines of standard input until it ends; each is answered by one line of JSON, or by
/// the text of `help`.
pub async fn stdin(handle: Handle, mut print: impl FnMut(&str)) {
    let mut input = BufReader::new(smol::Unblock::new(std::io::stdin()));
    loop {
        let mut line = Vec::new();
        let bytes_max = limits::SERVER_HEAD_BYTES_MAX as u64;
        match (&mut input).take(bytes_max).read_until(b'\n', &mut line).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        let line = String::from_utf8_lossy(&line);
        match line.trim() {
            "" => {}
            "help" => print(&help()),
            line => print(&command(&handle.shared, line).to_string()),
        }
    }
}

/// Obeys one line. What went wrong is under `error`.
fn command(shared: &Rc<Shared>, line: &str) -> Value {
    let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let (fields, text) = fields(rest);
    let done = match verb {
        "state" => Ok(state(shared)),
        "clear" => {
            shared.clear();
            Ok(json!({"ok": true}))
        }
        "flood" => flood(shared, &fields),
        "ask" | "say" | "dm" => {
            let mut all = fields;
            all.insert("text".into(), text.into());
            all.entry("mention").or_insert((verb == "ask").into());
            all.entry("direct").or_insert((verb == "dm").into());
            say(shared, &all)
        }
        "slash" => {
            let mut all = fields;
            all.insert("text".into(), text.into());
            slash(shared, &all)
        }
        "react" => {
            let mut all = fields;
            all.insert("text".into(), text.into());
            react(shared, &all)
        }
        "channel" => channel_new(shared, text),
        name if text.is_empty() => fault(shared, name, &fields),
        _ => Err(format!("what is {text:?}? arguments are written KEY=VALUE")),
    };
    done.unwrap_or_else(|error| json!({"error": error}))
}

/// The `KEY=VALUE`s that a line begins with, and what follows them.
fn fields(mut rest: &str) -> (Map<String, Value>, &str) {
    let mut fields = Map::new();
    loop {
        rest = rest.trim_start();
        let word = rest.split(char::is_whitespace).next().unwrap_or_default();
        let is_key = |key: &str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase());
        match word.split_once('=').filter(|(key, _)| is_key(key)) {
            Some((key, value)) => {
                fields.insert(key.to_owned(), value.into());
                rest = rest.get(word.len()..).unwrap_or_default();
            }
            None => return (fields, rest.trim_end()),
        }
    }
}

/// Answers what is below `/_sandbox`.
pub(super) fn answer(shared: &Rc<Shared>, name: &str, request: &Request) -> Response {
    let body = || -> Result<Map<String, Value>, String> {
        if request.body.is_empty() {
            return Ok(Map::new());
        }
        serde_json::from_slice(&request.body).map_err(|error| format!("not a JSON object: {error}"))
    };
    let done = match (request.method.as_str(), name) {
        ("GET", "state") => Ok(state(shared)),
        ("GET", "faults") => Ok(FAULTS.iter().map(|fault| fault.name).collect()),
        ("POST", "clear") => {
            shared.clear();
            Ok(json!({"ok": true}))
        }
        ("POST", "fault") => body().and_then(|mut fields| {
            let name = fields.remove("name").unwrap_or_default();
            fault(shared, name.as_str().unwrap_or_default(), &fields)
        }),
        ("POST", "say") => body().and_then(|fields| say(shared, &fields)),
        ("POST", "many") => body().and_then(|fields| many(shared, &fields)),
        ("POST", "slash") => body().and_then(|fields| slash(shared, &fields)),
        ("POST", "react") => body().and_then(|fields| react(shared, &fields)),
        ("POST", "channel") => body().and_then(|fields| {
            let name = fields.get("name").map(plain).unwrap_or_default();
            channel_new(shared, &name)
        }),
        ("POST", "flood") => body().and_then(|fields| flood(shared, &fields)),
        _ => return Response::text(404, "there is no such control\n"),
    };
    match done {
        Ok(value) => Response::json(200, value.to_string()),
        Err(error) => Response::json(400, json!({"error": error}).to_string()),
    }
}

/// A field's text, however it was written.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn fault(shared: &Rc<Shared>, name: &str, fields: &Map<String, Value>) -> Result<Value, String> {
    let mut args = Args::default();
    for (key, value) in fields {
        args.set(key, &plain(value))?;
    }
    let fault = shared.inject(name, args)?;
    Ok(json!({"ok": true, "fault": fault.name, "what": fault.what}))
}

fn said(fields: &Map<String, Value>) -> Result<Say, String> {
    let mut say = Say::default();
    for (key, value) in fields {
        let value = plain(value);
        match key.as_str() {
            "channel" => say.channel = value,
            "author" => say.author = value,
            "text" => say.text = value,
            "bot" => say.bot = value,
            "direct" | "dm" => say.direct = value == "true",
            "mention" => say.mention = value == "true",
            "reference" => say.reference = value.parse().ok(),
            "thread" => say.thread = value,
            "program" => say.program = value == "true",
            "roles" => {
                let roles = value.split(',').map(str::trim).filter(|role| !role.is_empty());
                let roles = roles.map(str::parse).collect::<Result<_, _>>();
                say.roles = Some(roles.map_err(|_| format!("roles are not ids: {value}"))?);
            }
            "files" => {
                let files: Vec<Value> = serde_json::from_str(&value)
                    .map_err(|error| format!("files are no list in JSON: {error}"))?;
                say.files = files.iter().map(Upload::read).collect::<Result<_, _>>()?;
            }
            _ => return Err(format!("no field {key}")),
        }
    }
    Ok(say)
}

/// Several messages, one behind the other, some of them changes to older ones.
fn many(shared: &Shared, fields: &Map<String, Value>) -> Result<Value, String> {
    let messages = fields.get("messages").and_then(Value::as_array);
    let messages = messages.ok_or_else(|| "messages is no list".to_owned())?;
    let one = |message: &Value| {
        let fields = message.as_object().ok_or_else(|| "a message is no object".to_owned())?;
        if fields.contains_key("edit") {
            return edit(shared, fields).map(|()| Value::Null);
        }
        shared.say(&said(fields)?).map(|(_, id)| id.to_string().into())
    };
    let ids: Vec<Value> = messages.iter().map(one).collect::<Result<_, _>>()?;
    Ok(json!({"ok": true, "ids": ids}))
}

/// Somebody changes what they said.
fn edit(shared: &Shared, fields: &Map<String, Value>) -> Result<(), String> {
    let field = |key: &str| fields.get(key).map(plain).unwrap_or_default();
    let none = || "they have said no such message there".to_owned();
    let id = field("edit").parse().map_err(|_| none())?;
    let changed = shared.world(|world| {
        let author = world.person(&field("author"))?;
        let channel = world.channel_called(&field("channel"))?;
        world.edit(clock::wall(), author, channel, id, &field("text"))
    });
    changed.ok_or_else(none)
}

fn say(shared: &Shared, fields: &Map<String, Value>) -> Result<Value, String> {
    let (channel, id) = shared.say(&said(fields)?)?;
    Ok(json!({"ok": true, "channel": channel.to_string(), "id": id.to_string()}))
}

fn slash(shared: &Shared, fields: &Map<String, Value>) -> Result<Value, String> {
    let id = shared.slash(&said(fields)?)?;
    Ok(json!({"ok": true, "id": id.to_string()}))
}

/// Somebody puts a reaction under a message, or takes it away.
fn react(shared: &Shared, fields: &Map<String, Value>) -> Result<Value, String> {
    let mut fields = fields.clone();
    let number = |value: Value| plain(&value).parse::<u64>().ok();
    let message = fields.remove("message").and_then(number).ok_or("message is no id")?;
    let off = fields.remove("off").is_some_and(|value| plain(&value) == "true");
    shared.react(&said(&fields)?, message, !off)?;
    Ok(json!({"ok": true}))
}

fn channel_new(shared: &Shared, name: &str) -> Result<Value, String> {
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err("a channel has a name without spaces".to_owned());
    }
    let made = shared.world(|world| world.text_channel(clock::wall(), name));
    let id = made.ok_or_else(|| "there are too many channels".to_owned())?;
    Ok(json!({"ok": true, "channel": id.to_string()}))
}

fn flood(shared: &Rc<Shared>, fields: &Map<String, Value>) -> Result<Value, String> {
    let field = |key: &str, default: u32| match fields.get(key).map(plain) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| format!("{key} is not a number: {text}")),
    };
    let flood = Flood {
        count: field("count", 1000)?.min(FLOOD_MAX),
        bytes: field("bytes", 200)?.into(),
        rate: field("rate", 0)?,
    };
    let task = play::flood(shared.clone(), flood);
    shared.spawner.spawn(Tier::Wire, "sandbox", task).detach();
    Ok(json!({"ok": true}))
}

/// Everything that is known.
pub(super) fn state(shared: &Shared) -> Value {
    let journal = shared.journal.borrow();
    let world = shared.world.borrow();
    let bots: Vec<_> = journal.tallies().map(|(id, tally)| (id, tally.clone())).collect();
    let start = shared.started;
    let violations = journal.events().filter_map(|event| match event.what {
        What::Violation(what) => Some(what),
        _ => None,
    });
    let value = json!({
        "ms": clock::now().since(start).as_millis(),
        "api": shared.urls.api, "gateway": shared.urls.gateway, "resume": shared.urls.resume,
        "heartbeat_ms": shared.options.heartbeat.as_millis(),
        "armed": shared.orders.borrow().names(clock::now()).collect::<Vec<_>>(),
        "sockets": sockets(&journal.sockets),
        "rest": journal.rest.iter().map(counted).collect::<Map<_, _>>(),
        "slash": world.slash.state(),
        "violations": violations.collect::<Vec<_>>(),
        "channels": world.channels.values().map(|place| channel(&world, place)).collect::<Value>(),
        "events": journal.events().map(|happened| event(start, happened)).collect::<Value>(),
    });
    // What a bot has left looks into the journal again.
    drop(journal);
    let bots = bots.iter().map(|(id, tally)| bot(shared, &world, *id, tally)).collect();
    let mut value = value;
    value["bots"] = bots;
    value
}

fn sockets(sockets: &Sockets) -> Value {
    let Sockets { accepted, open, open_max } = sockets;
    json!({"accepted": accepted, "open": open, "open_max": open_max})
}

fn counted((code, count): (&u16, &u64)) -> (String, Value) {
    (code.to_string(), (*count).into())
}

fn bot(shared: &Shared, world: &World, id: u64, tally: &Tally) -> Value {
    let session = |(session, of): (u64, &Session)| {
        json!({
            "id": model::session_id(session), "seq": of.seq, "online": of.connection.is_some(),
            "intents": of.intents, "shard": [of.shard.0, of.shard.1],
        })
    };
    let sessions = world.sessions.iter().filter(|(_, session)| session.bot == id).map(session);
    json!({
        "id": id.to_string(), "name": world.users.get(&id).map(|user| &*user.name),
        "sockets": sockets(&tally.sockets), "identifies": tally.identifies,
        "ready": tally.readies, "resumes": tally.resumes, "resumed": tally.resumeds,
        "op9": tally.invalids, "remaining": talk::remaining(shared, id),
        "closed": tally.closed.iter().map(counted).collect::<Map<_, _>>(),
        "left": tally.left.iter().map(counted).collect::<Map<_, _>>(),
        "heartbeats": {
            "count": tally.beats, "late_ms_max": tally.late_ms_max,
            "late_ms_p50": tally.late_ms(50), "late_ms_p99": tally.late_ms(99),
        },
        "sessions": sessions.collect::<Vec<_>>(),
    })
}

fn channel(world: &World, channel: &Channel) -> Value {
    let (kind, with) = match channel.kind {
        Kind::Text => ("text", None),
        Kind::Thread { parent } => ("thread", Some(parent)),
        Kind::Direct { with, .. } => ("direct", Some(with)),
    };
    let messages = channel.messages.iter().map(|message| {
        let author = world.users.get(&message.author);
        json!({
            "id": message.id.to_string(), "author": author.map(|author| &*author.name),
            "author_id": message.author.to_string(), "bot": author.is_some_and(|user| user.bot),
            "content": message.content, "nonce": message.nonce,
            "reference": message.reference.map(|id| id.to_string()),
            "files": message.files.len(),
            "attachments": message.files.iter().map(Attached::json).collect::<Value>(),
            "reactions": message.reactions.iter().map(|(emoji, _)| &**emoji).collect::<Vec<_>>(),
        })
    });
    json!({
        "id": channel.id.to_string(), "name": channel.name, "kind": kind,
        "with": with.map(|id| id.to_string()), "messages": messages.collect::<Vec<_>>(),
    })
}

fn event(start: Instant, event: &Event) -> Value {
    let mut value = json!({
        "ms": event.at.since(start).as_millis(), "connection": event.connection,
        "what": event.what.name(),
    });
    if let Some(bot) = event.bot {
        value["bot"] = bot.to_string().into();
    }
    match &event.what {
        What::Closed(code) | What::Left(code) => value["code"] = (*code).into(),
        What::Invalid(resumable) => value["resumable"] = (*resumable).into(),
        What::Armed(name) | What::Played(name) => value["fault"] = (*name).into(),
        What::Violation(what) => value["rule"] = (*what).into(),
        What::Deduplicated { id } => value["id"] = id.to_string().into(),
        What::Posted { channel, id, .. } => {
            value["channel"] = channel.to_string().into();
            value["id"] = id.to_string().into();
        }
        _ => {}
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_its_fields() {
        let (found, text) = fields("channel=random  author=zoe a=b? no: 1 + 1 = 2");
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "author", "channel"]);
        assert_eq!(text, "no: 1 + 1 = 2");
        assert_eq!(fields("just text").1, "just text");
        assert_eq!(fields("").1, "");
    }

    #[test]
    fn help_names_every_fault_and_argument() {
        let help = help();
        assert!(FAULTS.iter().all(|fault| help.contains(fault.name)));
        assert!(ARGS.iter().all(|(name, _)| help.contains(name)));
        let widest = help.lines().max_by_key(|line| line.len()).unwrap();
        assert!(widest.len() <= 100, "{widest}");
    }
}
