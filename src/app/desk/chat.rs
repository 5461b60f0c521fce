//! `chat.*` and `agent`: talking to the agents through no chat service, by the published schema
//! (`ChatSendParams` …), and reading what was said.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use smol::future::or;

use super::{handed_on, talk, text_of};
use crate::agent::store::Most;
use crate::app::house::House;
use crate::app::webchat::{Ask, Taken, WebChat};
use crate::base::limits;
use crate::base::text::{Plain, truncate};
use crate::channels::discord::Target;
use crate::channels::webchat::Doors;
use crate::control::{Answer, Call, at_once, unknown};
use crate::core::command::Command;
use crate::core::runs::{Done, End};
use crate::core::session::{BadKey, Key, Kind};
use crate::core::transcript::{Line, Role};
use crate::core::turn::Fault as TurnFault;
use crate::proto::control::{Fault, code};
use crate::rt::{clock, os_seed};

/// Bytes of a message: what a chat's could have at most, and some more.
const MESSAGE_BYTES_MAX: usize = limits::TRANSCRIPT_TEXT_BYTES_MAX;
/// Characters of one message of a history, if nobody says how many.
const CHARS: u64 = 8_000;
/// How long `agent.wait` waits, if nobody says.
const WAIT_MS: u64 = 30_000;
/// Of a foreign word in an error, this much is shown.
const SHOWN_BYTES_MAX: usize = 80;

/// `chat.send`, `chat.history` and `chat.abort`.
pub(super) fn chat(house: &Rc<House>, verb: &str, params: &Value) -> Answer {
    let answer = match verb {
        "send" => send(house, params),
        "history" => history(house, params),
        "abort" => abort(house, params),
        other => Err(unknown(&format!("chat.{other}"))),
    };
    answer.unwrap_or_else(|fault| at_once(Err(fault)))
}

/// The session that `params` mean, and the agent that answers in it.
pub(super) fn session(
    house: &House,
    params: &Value,
    keys: &[&str],
) -> Result<(Key, Box<str>), Fault> {
    let config = house.config();
    let ids = || config.agents.iter().map(|agent| agent.id.as_str());
    let named = text_of(params, &["agentId", "agent"]);
    let routes = super::super::account::webchat_routes(&config);
    let usual = Doors::agent(&routes);
    let bad = |bad: BadKey| Fault::invalid(bad.to_string());
    let key = Key::read(text_of(params, keys).unwrap_or_default(), named.unwrap_or(usual));
    let key = key.map_err(bad)?;
    if named.is_some_and(|named| !named.eq_ignore_ascii_case(key.agent())) {
        return Err(Fault::invalid("agentId does not match the agent of the session key"));
    }
    let known = ids().find(|id| id.eq_ignore_ascii_case(key.agent()));
    // Without any configuration there is one agent, whatever it is called.
    let known = known.or_else(|| Some(usual).filter(|id| id.eq_ignore_ascii_case(key.agent())));
    let Some(agent) = known else {
        let all: Vec<&str> = ids().collect();
        let shown = Plain(truncate(key.agent(), SHOWN_BYTES_MAX)).to_string();
        let text = format!("there is no agent \"{shown}\"; there is: {}", all.join(", "));
        return Err(Fault::invalid(text));
    };
    let agent = agent.into();
    Ok((key, agent))
}

/// A message as it may be asked: without what no keyboard writes.
fn message(params: &Value, of: &str) -> Result<Box<str>, Fault> {
    let message = params["message"].as_str().unwrap_or_default();
    if message.trim().is_empty() {
        return Err(Fault::invalid(format!("{of}: `message` is missing")));
    }
    if message.len() > MESSAGE_BYTES_MAX {
        let text = format!("{of}: the message is longer than {MESSAGE_BYTES_MAX} bytes");
        return Err(Fault::invalid(text));
    }
    if message.contains('\0') {
        return Err(Fault::invalid("message must not contain null bytes"));
    }
    if params["attachments"].as_array().is_some_and(|list| !list.is_empty()) {
        return Err(Fault::invalid(format!("{of}: attachments are not taken here yet")));
    }
    let is_written = |c: &char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    Ok(message.chars().filter(is_written).collect::<String>().into())
}

fn run_name(params: &Value) -> Result<Option<Box<str>>, Fault> {
    let Some(key) = text_of(params, &["idempotencyKey"]) else { return Ok(None) };
    if key.len() > limits::TRANSCRIPT_RUN_BYTES_MAX || key.chars().any(char::is_control) {
        let most = limits::TRANSCRIPT_RUN_BYTES_MAX;
        return Err(Fault::invalid(format!("idempotencyKey: at most {most} plain bytes")));
    }
    Ok(Some(key.into()))
}

fn leaving(house: &House) -> Result<(), Fault> {
    if house.draining.get() {
        return Err(Fault::later("the gateway is on its way down", 1000));
    }
    Ok(())
}

fn full() -> Fault {
    Fault::later("too many messages wait in this session already", 1000)
}

/// `chat.send`: answered at once; what becomes of it is told by `chat` events.
fn send(house: &Rc<House>, params: &Value) -> Result<Answer, Fault> {
    leaving(house)?;
    if text_of(params, &["sessionKey"]).is_none() {
        return Err(Fault::invalid("chat.send: `sessionKey` is missing"));
    }
    let (key, agent) = session(house, params, &["sessionKey"])?;
    let text = message(params, "chat.send")?;
    let run = run_name(params)?;
    let run = run.ok_or_else(|| Fault::invalid("chat.send: `idempotencyKey` is missing"))?;
    let is_plain = params["suppressCommandInterpretation"].as_bool().unwrap_or(false);
    let command = Command::said(&text).filter(|_| !is_plain);
    let order = command.map(|command| (command, house.line()));
    let patience = params["timeoutMs"].as_u64().filter(|&ms| ms > 0).map(Duration::from_millis);
    let ask = Ask { key: key.clone(), agent, text, run: run.clone(), patience, order };
    let webchat = house.webchat.clone();
    Ok(Box::pin(async move {
        let acked =
            |status: &str| json!({ "runId": run, "status": status, "sessionKey": key.as_str() });
        match hand_in(&webchat, ask).await {
            Taken::New => {
                let mut acked = acked("started");
                let before = webchat.under_way(&key).iter().position(|(name, _)| *name == run);
                if let Some(before) = before.filter(|&before| before > 0) {
                    acked["queuedBehind"] = before.into();
                }
                Ok(acked)
            }
            Taken::InFlight => Ok(acked("in_flight")),
            Taken::Before => Ok(acked("ok")),
            Taken::Full => Err(full()),
            Taken::Done(done) => {
                let (status, summary) = status(&done.end);
                let mut acked = acked(status);
                acked["summary"] = summary.into();
                Ok(acked)
            }
        }
    }))
}

/// Handed on before the first await: whoever asks may leave, and it is asked all the same.
fn hand_in(webchat: &Rc<WebChat>, ask: Ask) -> impl Future<Output = Taken> + use<> {
    let taking = webchat.hand_in(ask);
    async move { taking.recv().await.unwrap_or(Taken::Full) }
}

/// OpenClaw's words for how a run ended.
fn status(end: &End) -> (&'static str, String) {
    match end {
        End::Answered(_) => ("ok", "completed".to_owned()),
        End::Stopped => ("ok", "aborted".to_owned()),
        End::Failed(TurnFault::TooSlow) => ("timeout", TurnFault::TooSlow.to_string()),
        End::Failed(fault) => ("error", fault.to_string()),
        End::Refused(why) => ("error", why.to_string()),
    }
}

/// `chat.abort`: ends one run of a session, or all of them.
fn abort(house: &Rc<House>, params: &Value) -> Result<Answer, Fault> {
    if text_of(params, &["sessionKey"]).is_none() {
        return Err(Fault::invalid("chat.abort: `sessionKey` is missing"));
    }
    let (key, _) = session(house, params, &["sessionKey"])?;
    let run = text_of(params, &["runId"]);
    let of = house.webchat.session_of(run.unwrap_or_default());
    if of.is_some_and(|of| of != key) {
        return Err(Fault::invalid("runId does not match sessionKey"));
    }
    let ended = house.webchat.stop(&key, run, None);
    let aborted = !ended.is_empty();
    Ok(at_once(Ok(json!({ "ok": true, "aborted": aborted, "runIds": ended }))))
}

/// `chat.history`: the end of a session, the oldest line first.
fn history(house: &Rc<House>, params: &Value) -> Result<Answer, Fault> {
    if text_of(params, &["sessionKey"]).is_none() {
        return Err(Fault::invalid("chat.history: `sessionKey` is missing"));
    }
    let (key, _) = session(house, params, &["sessionKey"])?;
    let number = |name: &str, usual: u64| params[name].as_u64().unwrap_or(usual);
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let lines = size(number("limit", limits::CHAT_HISTORY_LINES as u64));
    let lines = lines.clamp(1, limits::CHAT_HISTORY_LINES_MAX);
    let chars = size(number("maxChars", CHARS)).max(1);
    let (webchat, desk) = (house.webchat.clone(), house.fleet.borrow().desk().clone());
    let store = house.fleet.borrow().store().clone();
    Ok(Box::pin(async move {
        let room = webchat.room(&key).await;
        let conversation = desk.conversation(&key, &room).await;
        let most = Most { conversation, lines, bytes: limits::CHAT_HISTORY_BYTES_MAX };
        let tail = store.tail(key.clone(), most).await;
        let (messages, all_fit) = messages(&tail.lines, chars);
        let runs = webchat.under_way(&key);
        let mut payload = json!({
            "sessionKey": key.as_str(),
            "sessionId": key.session_id(conversation),
            "messages": messages,
            "hasMore": tail.has_more || !all_fit,
            "pendingInputs": { "items": [], "total": 0 },
            "sessionInfo": {
                "key": key.as_str(),
                "sessionId": key.session_id(conversation),
                "kind": key.kind().name(),
                "hasActiveRun": !runs.is_empty(),
                "queued": runs.iter().filter(|(_, has_begun)| !has_begun).count(),
            },
        });
        if let Some((run, _)) = runs.first() {
            payload["inFlightRun"] = json!({ "runId": run, "text": webchat.said(run) });
        }
        Ok(payload)
    }))
}

/// The last of `lines` that one answer has room for, as messages; and whether these are all.
fn messages(lines: &[Line], chars: usize) -> (Vec<Value>, bool) {
    let (mut messages, mut bytes) = (Vec::new(), 0);
    for line in lines.iter().rev() {
        let message = shown(line, chars);
        bytes += message.to_string().len();
        if bytes > limits::CHAT_HISTORY_BYTES_MAX {
            break;
        }
        messages.push(message);
    }
    let all_fit = messages.len() == lines.len();
    messages.reverse();
    (messages, all_fit)
}

/// A line as OpenClaw's transcripts have it.
pub(super) fn shown(line: &Line, chars: usize) -> Value {
    let end = line.text.char_indices().nth(chars).map_or(line.text.len(), |(at, _)| at);
    let mut text = line.text.get(..end).unwrap_or_default().to_owned();
    if line.is_cut || end < line.text.len() {
        text.push_str("\n…(truncated)…");
    }
    let role = match line.role {
        Role::User => "user",
        Role::Summary => "system",
        Role::Assistant | Role::Failed | Role::Stopped => "assistant",
    };
    let is_said = matches!(line.role, Role::User | Role::Assistant | Role::Summary);
    let content = if is_said { json!([{ "type": "text", "text": text }]) } else { json!([]) };
    let mut message = json!({ "role": role, "content": content, "timestamp": line.at.0 });
    if !line.name.is_empty() {
        message["senderName"] = line.name.to_string().into();
    }
    match line.role {
        Role::User | Role::Summary => {}
        Role::Assistant => message["stopReason"] = "stop".into(),
        Role::Stopped => message["stopReason"] = "aborted".into(),
        Role::Failed => {
            message["stopReason"] = "error".into();
            message["errorMessage"] = text.into();
        }
    }
    if !line.run.is_empty() {
        message["runId"] = line.run.to_string().into();
    }
    message
}

/// `agent`: answered twice, when the turn is taken on and when it is over. Without a session it is
/// of the agent's main one.
pub(super) fn agent(house: &Rc<House>, call: Call) -> Answer {
    match agent_run(house, call) {
        Ok(answer) => answer,
        Err(fault) => at_once(Err(fault)),
    }
}

/// Where the answer is to be told besides: where `replyTo` says, or in the session's own chat.
fn delivery(params: &Value, key: &Key) -> Result<Option<(Option<String>, Target)>, Fault> {
    if params["deliver"] != true {
        return Ok(None);
    }
    let named = text_of(params, &["replyTo", "to"]);
    let account = text_of(params, &["replyAccountId", "accountId"]).map(str::to_owned);
    let own = match key.kind() {
        Kind::Group { account, id, .. } | Kind::Member { account, id, .. } => {
            Some((account, Target::Chat(id)))
        }
        Kind::Direct { account, user, .. } => Some((account, Target::Person(user))),
        Kind::Main | Kind::Peer { .. } | Kind::Cron { .. } | Kind::Other => None,
    };
    match (named, own) {
        (Some(named), _) => {
            let target = Target::parse(named).ok_or_else(|| {
                Fault::invalid("agent: `replyTo` names no chat: write channel:ID or user:ID")
            })?;
            Ok(Some((account, target)))
        }
        (None, Some((own, target))) => Ok(Some((account.or(Some(own.to_owned())), target))),
        (None, None) => Err(Fault::invalid(
            "agent: `deliver` needs to know where: give `replyTo`, or the session of a chat",
        )),
    }
}

fn agent_run(house: &Rc<House>, call: Call) -> Result<Answer, Fault> {
    let Call { params, first, .. } = call;
    leaving(house)?;
    let (key, agent) = session(house, &params, &["sessionKey", "sessionId"])?;
    let delivery = delivery(&params, &key)?;
    let text = message(&params, "agent")?;
    let run = run_name(&params)?.unwrap_or_else(|| format!("{:016x}", os_seed()).into());
    let patience = params["timeout"].as_u64().filter(|&s| s > 0).map(Duration::from_secs);
    let ask = Ask { key: key.clone(), agent, text, run: run.clone(), patience, order: None };
    let webchat = house.webchat.clone();
    let taking = hand_in(&webchat, ask);
    let there = house.clone();
    Ok(handed_on(house, async move {
        let accepted = |status: &str| {
            first(json!({
                "runId": run, "status": status, "sessionKey": key.as_str(),
                "acceptedAt": clock::wall().0,
            }));
        };
        let done = match taking.await {
            Taken::Full => return Err(full()),
            Taken::Before => return Ok(json!({ "runId": run, "status": "ok" })),
            Taken::Done(done) => Some(*done),
            Taken::New => {
                accepted("accepted");
                webchat.wait(&run).await
            }
            Taken::InFlight => {
                accepted("in_flight");
                webchat.wait(&run).await
            }
        };
        let done = done.ok_or_else(|| Fault::new(code::UNAVAILABLE, "the run is not known"))?;
        let mut outcome = outcome(&run, &done)?;
        if let (Some(to), End::Answered(text)) = (delivery, done.end) {
            let said = talk::deliver(there, to, text, run).await;
            if let Err(why) = &said {
                log::warn!(target: "agent", "an answer is not delivered: {}", Plain(why));
            }
            outcome["delivery"] = json!({ "ok": said.is_ok(), "error": said.err() });
        }
        Ok(outcome)
    }))
}

fn outcome(run: &str, done: &Done) -> Result<Value, Fault> {
    let (status, summary) = status(&done.end);
    let text = match &done.end {
        End::Answered(text) => text,
        End::Stopped => "",
        End::Failed(TurnFault::TooSlow) => return Err(Fault::new(code::AGENT_TIMEOUT, summary)),
        End::Failed(_) => return Err(Fault::new(code::UNAVAILABLE, summary)),
        End::Refused(_) => return Err(Fault::invalid(summary)),
    };
    let payloads = if text.is_empty() { json!([]) } else { json!([{ "text": text }]) };
    let took = done.begun.map_or(0, |begun| done.at.0.saturating_sub(begun.0));
    Ok(json!({
        "runId": run,
        "status": status,
        "summary": summary,
        "result": { "payloads": payloads, "meta": { "durationMs": took } },
    }))
}

/// `agent.wait`: waits for the end of a run.
pub(super) fn wait(house: &Rc<House>, params: &Value) -> Answer {
    let Some(run) = text_of(params, &["runId"]).map(str::to_owned) else {
        return at_once(Err(Fault::invalid("agent.wait: `runId` is missing")));
    };
    let patience = Duration::from_millis(params["timeoutMs"].as_u64().unwrap_or(WAIT_MS));
    let webchat = house.webchat.clone();
    Box::pin(async move {
        let patience = patience.min(limits::TURN_DEADLINE * 30);
        let over = async {
            clock::sleep(patience).await;
            None
        };
        let done = or(webchat.wait(&run), over).await;
        Ok(match done {
            None => json!({ "runId": run, "status": "timeout" }),
            Some(done) => {
                let (status, summary) = status(&done.end);
                let mut answer = json!({ "runId": run, "status": status, "endedAt": done.at.0 });
                if let Some(begun) = done.begun {
                    answer["startedAt"] = begun.0.into();
                }
                if status != "ok" {
                    answer["error"] = summary.into();
                }
                answer
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Wall;

    fn line(role: Role, text: &str) -> Line {
        Line::new(Wall(5), role, 0, text).of_run("run")
    }

    #[test]
    fn of_a_long_history_the_end_is_told_within_its_bound() {
        // Six bytes of JSON for each of these.
        let odd = line(Role::User, &"\u{1}".repeat(20_000));
        let lines = vec![odd; 20];
        let (told, all_fit) = messages(&lines, usize::MAX);
        assert!(!all_fit && (1..20).contains(&told.len()));
        assert!(Value::from(told).to_string().len() <= limits::CHAT_HISTORY_BYTES_MAX + 100);
        let (told, all_fit) = messages(&lines, 10);
        assert!(all_fit && told.len() == 20);
    }

    #[test]
    fn a_line_is_told_as_openclaw_tells_it_and_cut_where_that_is_asked_for() {
        let told = shown(&line(Role::Assistant, "h\u{1f980}llo"), 2);
        assert_eq!(told["content"][0]["text"], "h\u{1f980}\n…(truncated)…");
        assert_eq!((&told["role"], &told["timestamp"]), (&json!("assistant"), &json!(5)));
        assert_eq!((&told["stopReason"], &told["runId"]), (&json!("stop"), &json!("run")));
        let failed = shown(&line(Role::Failed, "no"), 9);
        assert_eq!((&failed["errorMessage"], &failed["content"]), (&json!("no"), &json!([])));
        assert_eq!(shown(&line(Role::Stopped, ""), 9)["stopReason"], "aborted");
        assert!(shown(&line(Role::User, "hi"), 9).get("stopReason").is_none());
    }

    #[test]
    fn of_a_message_what_no_keyboard_writes_is_left_out() {
        let said = |text: &str| message(&json!({ "message": text }), "x");
        let plain = said("one\n\ttwo\u{7}\u{1b}[2J").expect("it is well");
        assert_eq!(&*plain, "one\n\ttwo[2J");
        for odd in ["", "  ", "a\0b"] {
            assert!(said(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn an_answer_is_told_in_the_chat_that_is_meant() {
        let key = |text: &str| Key::read(text, "main").expect("a key");
        let to = |more: Value, key_text: &str| {
            let mut params = json!({ "deliver": true });
            if let (Some(params), Value::Object(more)) = (params.as_object_mut(), more) {
                params.extend(more);
            }
            delivery(&params, &key(key_text))
        };
        let chat = |account: &str, target| Ok(Some((Some(account.to_owned()), target)));
        let channel = "discord:work:channel:7";
        assert_eq!(to(json!({}), channel), chat("work", Target::Chat(7)));
        assert_eq!(to(json!({}), "discord:direct:8"), chat("default", Target::Person(8)));
        let named = json!({ "replyTo": "user:9" });
        assert_eq!(to(named, channel), Ok(Some((None, Target::Person(9)))));
        assert!(to(json!({}), "main").is_err() && to(json!({ "to": "#x" }), channel).is_err());
        assert_eq!(delivery(&json!({}), &key("main")), Ok(None));
    }
}
