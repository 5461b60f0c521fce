//! `send`: words that no agent was asked for.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use smol::future::or;

use super::channels::{chosen, unknown_account};
use super::text_of;
use crate::app::house::House;
use crate::base::base64;
use crate::channels::discord::{Spoken, Target};
use crate::control::{Answer, at_once};
use crate::core::answer::{self, Act, File};
use crate::core::outbox::Fate;
use crate::proto::control::{Fault, code};
use crate::rt::{clock, os_seed};

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

/// Says `text` for whoever wished an answer to be told in a chat; a second time by the same key it
/// is not said again. What kept it from arriving, if something did.
pub(super) async fn deliver(
    house: Rc<House>,
    to: (Option<String>, Target),
    text: Box<str>,
    key: Box<str>,
) -> Result<(), String> {
    let (account, target) = to;
    let words = answer::Answer::text(text);
    let said = {
        let fleet = house.fleet.borrow();
        let running = fleet.running(account.as_deref());
        let (_, started) = running.ok_or("no such account runs now")?;
        started.account.speak(target, words, key)
    };
    match said.await? {
        Spoken::Before | Spoken::Settled(Fate::Delivered | Fate::Silent, _) => Ok(()),
        Spoken::Settled(Fate::Dropped(why), _) => Err(why.to_string()),
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
