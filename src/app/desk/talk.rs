//! `agent`: a turn that goes through no chat.

use std::rc::Rc;

use serde_json::json;

use super::text_of;
use crate::app::house::House;
use crate::base::hash::fnv1a;
use crate::control::{Answer, Call, at_once};
use crate::core::answer::Act;
use crate::core::chat::{ChannelKind, ChatId, Request};
use crate::core::turn::Fault as TurnFault;
use crate::proto::control::{Fault, code};
use crate::rt::{clock, os_seed};

/// The account that such turns are counted for: no configured one can be called so.
const ACCOUNT: &str = "(control)";
/// Bytes of a message: what a chat's could have at most, and some more.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

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
