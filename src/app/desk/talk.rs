//! `agent`: a turn that goes through no chat; `send`: words that no agent was asked for.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use smol::future::or;

use super::channels::{chosen, unknown_account};
use super::text_of;
use crate::app::house::House;
use crate::base::base64;
use crate::base::hash::fnv1a;
use crate::channels::discord::{Spoken, Target};
use crate::control::{Answer, Call, at_once};
use crate::core::answer::{self, Act, File};
use crate::core::chat::{ChannelKind, ChatId, Request};
use crate::core::outbox::Fate;
use crate::core::turn::Fault as TurnFault;
use crate::proto::control::{Fault, code};
use crate::rt::{clock, os_seed};

/// The account that such turns are counted for: no configured one can be called so.
const ACCOUNT: &str = "(control)";
/// How long the answer to `send` waits for the message to arrive.
const SEND_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a message: what a chat's could have at most, and some more.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// `send`: handed to the outbox of an account, which keeps it before it is sent, and answered when
/// it has arrived or will not; after a while, that it waits. It is sent once for each key.
pub(super) fn send(house: &Rc<House>, params: &Value) -> Answer {
    match sending(house, params) {
        Ok(sending) => sending,
        Err(fault) => at_once(Err(fault)),
    }
}

fn sending(house: &Rc<House>, params: &Value) -> Result<Answer, Fault> {
    let account = chosen(params)?;
    let to = text_of(params, &["to", "target"]).unwrap_or_default();
    let target = Target::parse(to).ok_or_else(|| {
        Fault::invalid(
            "send: `to` names no chat: write channel:ID or user:ID, with the number that Discord's \
             developer mode copies",
        )
    })?;
    let text = params["message"].as_str().or(params["text"].as_str()).unwrap_or_default();
    let files = files(&params["files"])?;
    if text.trim().is_empty() && files.is_empty() {
        return Err(Fault::invalid("send: there is nothing to send"));
    }
    if text.len() > MESSAGE_BYTES_MAX {
        return Err(Fault::invalid("send: the message is too long"));
    }
    let key = text_of(params, &["idempotencyKey"])
        .map_or_else(|| format!("{:016x}", os_seed()), |key| key.chars().take(128).collect());
    let words = answer::Answer { acts: vec![Act::Say { text: text.into(), files }] };
    let (name, said) = {
        let fleet = house.fleet.borrow();
        let is_known = |name: &str| fleet.seats().any(|seat| seat.name == name);
        match (fleet.running(account.as_deref()), account.as_deref()) {
            (Some((name, started)), _) => {
                (name.to_owned(), started.account.speak(target, words, key.as_str().into()))
            }
            (None, Some(name)) if !is_known(name) => {
                return Err(unknown_account(house, Some(name)));
            }
            (None, _) => {
                let text = "no such account runs now; see `barnacle channels status`";
                return Err(Fault::later(text, 1000));
            }
        }
    };
    // Whoever asked may leave; what was handed in is sent all the same.
    let (tell, told) = smol::channel::bounded(1);
    house.work("send", async move {
        let _ = tell.try_send(said.await);
    });
    let patience = clock::now() + SEND_PATIENCE;
    Ok(Box::pin(async move {
        let waits = async {
            clock::sleep_until(patience).await;
            None
        };
        let said = or(async { told.recv().await.ok() }, waits).await;
        let id = |message: u64| (message != 0).then(|| message.to_string());
        let queued = |queued: bool, message: Option<String>| {
            json!({
                "ok": true, "channel": "discord", "accountId": name, "runId": key,
                "queued": queued, "messageId": message,
            })
        };
        match said {
            None => Ok(queued(true, None)),
            Some(Ok(Spoken::Before)) => Ok(queued(false, None)),
            Some(Ok(Spoken::Settled(Fate::Delivered | Fate::Silent, message))) => {
                Ok(queued(false, id(message)))
            }
            Some(Ok(Spoken::Settled(Fate::Dropped(why), _))) => {
                Err(Fault::new(code::UNAVAILABLE, format!("it was not sent: {why}")))
            }
            Some(Err(text)) => Err(Fault::new(code::UNAVAILABLE, text)),
        }
    }))
}

/// Files as they come in a frame: names and base64.
fn files(list: &Value) -> Result<Vec<File>, Fault> {
    let one = |file: &Value| {
        let name = text_of(file, &["name"])?;
        let bytes = base64::decode(text_of(file, &["base64"])?)?;
        Some(File { name: name.rsplit('/').next()?.into(), bytes })
    };
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let files: Option<Vec<File>> = list.iter().map(one).collect();
    files.ok_or_else(|| Fault::invalid("send: a file needs a `name` and its bytes as `base64`"))
}

/// `agent`: answered twice, when the turn is taken on and when it is over. Turns of one session
/// follow one another; without a session key each is a conversation of its own.
pub(super) fn agent(house: &Rc<House>, call: &Call) -> Answer {
    let Some(message) = text_of(&call.params, &["message"]) else {
        return at_once(Err(Fault::invalid("agent: `message` is missing")));
    };
    if message.len() > MESSAGE_BYTES_MAX {
        return at_once(Err(Fault::invalid("agent: the message is too long")));
    }
    let agent = text_of(&call.params, &["agentId", "agent"]);
    if let Some(agent) = agent
        && !house.config().agents.iter().any(|known| known.id == agent)
    {
        let names: Vec<String> = house.config().agents.iter().map(|a| a.id.clone()).collect();
        let text = format!("there is no such agent; there is: {}", names.join(", "));
        return at_once(Err(Fault::invalid(text)));
    }
    let session = text_of(&call.params, &["sessionKey", "sessionId"]);
    let id = os_seed();
    let request = Request {
        account: ACCOUNT.into(),
        agent: agent.unwrap_or_default().into(),
        chat: ChatId {
            channel: ChannelKind::Discord,
            id: session.map_or(id, |session| fnv1a(session.bytes())),
        },
        id,
        seq: 0,
        guild: None,
        author: 0,
        author_name: "operator".into(),
        text: message.into(),
        reply_to: None,
        at: clock::wall(),
        late: false,
        attempt: 0,
        session: 0,
        session_key: None,
    };
    let run = text_of(&call.params, &["idempotencyKey"])
        .map_or_else(|| format!("{id:016x}"), |key| key.chars().take(128).collect());
    let desk = house.fleet.borrow().desk().clone();
    (call.first)(json!({ "runId": run, "status": "accepted", "acceptedAt": clock::wall().0 }));
    let begun = clock::now();
    Box::pin(async move {
        let answer = desk.ask(request).await.map_err(|fault| {
            let code = match fault {
                TurnFault::TooSlow => code::AGENT_TIMEOUT,
                _ => code::UNAVAILABLE,
            };
            Fault::new(code, fault.to_string())
        })?;
        let says = answer.acts.iter().filter_map(|act| match act {
            Act::Say { text, files } => {
                let names: Vec<&str> = files.iter().map(|file| &*file.name).collect();
                Some(json!({ "text": text, "files": names }))
            }
            Act::React { .. } | Act::Thread { .. } => None,
        });
        let took = clock::now().since(begun).as_millis();
        Ok(json!({
            "runId": run,
            "status": "ok",
            "summary": "completed",
            "result": {
                "payloads": says.collect::<Vec<_>>(),
                "meta": { "durationMs": u64::try_from(took).unwrap_or(u64::MAX) },
            },
        }))
    })
}
