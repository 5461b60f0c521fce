//! Saying something of our own accord: to a chat, or to a person in direct messages.

use serde::Deserialize;
use smol::channel::{Sender, bounded};

use super::replies::Posting;
use super::rest::Calls;
use crate::base::limits;
use crate::core::answer::Answer;
use crate::core::outbox::Fate;
use crate::proto::discord::rest::{Failure, Route, direct_body};
use crate::rt::clock;

/// Whom it is said to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// A channel, a thread, or direct messages, by the number of the chat.
    Chat(u64),
    /// A person, by theirs.
    Person(u64),
}

impl Target {
    /// Reads `channel:7`, `user:7`, `discord:user:7`, `<#7>`, `<@7>` or a bare number, which is
    /// a chat's.
    pub(crate) fn parse(text: &str) -> Option<Target> {
        let text = text.trim();
        let text = text.strip_prefix("discord:").unwrap_or(text);
        let within = |open: &str| text.strip_prefix(open)?.strip_suffix('>');
        let (is_person, number) = if let Some(number) = text.strip_prefix("user:") {
            (true, number)
        } else if let Some(number) = within("<@") {
            (true, number.trim_start_matches('!'))
        } else {
            (false, text.strip_prefix("channel:").or_else(|| within("<#")).unwrap_or(text))
        };
        let number = number.parse().ok().filter(|&number| number != 0)?;
        Some(if is_person { Target::Person(number) } else { Target::Chat(number) })
    }
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Spoken {
    /// It is over: how, and as which message.
    Settled(Fate, u64),
    /// It was handed in before under the same key, and that is over.
    Before,
}

/// Hands `answer` in, by the key by which a second asking is known, and waits for its end. Once
/// handed in, it is kept and sent whether or not anybody waits.
pub(super) async fn speak(
    calls: Calls,
    post: Sender<Posting>,
    target: Target,
    answer: Answer,
    key: Box<str>,
) -> Result<Spoken, String> {
    let chat = match target {
        Target::Chat(chat) => chat,
        Target::Person(person) => direct(&calls, person).await?,
    };
    drop(calls);
    let (done, over) = bounded(1);
    let posting = Posting { chat, answer, key, done };
    if post.send(posting).await.is_err() {
        return Err("the account is leaving".to_owned());
    }
    Ok(match over.recv().await {
        Ok((fate, message)) => Spoken::Settled(fate, message),
        Err(_) => Spoken::Before,
    })
}

/// The chat of direct messages with `person` ("Create DM": the same one each time).
async fn direct(calls: &Calls, person: u64) -> Result<u64, String> {
    #[derive(Deserialize)]
    struct Channel {
        id: String,
    }
    let deadline = clock::now() + limits::PREFLIGHT_DEADLINE;
    let body = calls.call(Route::OpenDirect, direct_body(person), deadline).await;
    let unread = || "Discord's answer cannot be read".to_owned();
    match body {
        Ok(body) => {
            let channel: Channel = serde_json::from_slice(&body).map_err(|_| unread())?;
            channel.id.parse().map_err(|_| unread())
        }
        Err(Failure::Bad { .. } | Failure::Gone(_) | Failure::Forbidden(_)) => {
            Err(format!("there is no user {person} that we may write to"))
        }
        Err(failure) => Err(format!("the chat with user {person} cannot be opened: {failure:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_people_write_them() {
        for (text, target) in [
            ("7", Some(Target::Chat(7))),
            ("channel:7", Some(Target::Chat(7))),
            (" <#7> ", Some(Target::Chat(7))),
            ("user:7", Some(Target::Person(7))),
            ("discord:user:7", Some(Target::Person(7))),
            ("<@!7>", Some(Target::Person(7))),
            ("<@7>", Some(Target::Person(7))),
            ("#general", None),
            ("", None),
            ("0", None),
            ("user:", None),
            ("<@7", None),
        ] {
            assert_eq!(Target::parse(text), target, "{text:?}");
        }
    }
}
