//! The doors that a message passes before it is answered, in the order in which they stand.

use std::cell::RefCell;
use std::rc::Rc;

use smol::channel::Sender;

use super::settings::Settings;
use crate::core::access::{self, Refusal};
use crate::core::chat::{ChannelKind, ChatId, Inbound, Request};
use crate::core::dedup::{Answered, Seen};
use crate::core::inflight::Inflight;
use crate::core::trace::{Line, Step, Trace};
use crate::proto::discord::model::Message;
use crate::rt::clock;

/// Message types that a person writes ("Message Types"): a plain one and a reply.
const WRITTEN: [u32; 2] = [0, 19];

/// What the account remembers of messages; shared with the side that answers.
pub(super) struct Ledger {
    pub(super) seen: Seen,
    pub(super) answered: Answered,
    pub(super) inflight: Inflight,
    pub(super) trace: Trace,
}

/// Who may come in.
pub(super) struct Doors {
    pub(super) account: Box<str>,
    pub(super) settings: Rc<RefCell<Settings>>,
    pub(super) me: u64,
    pub(super) ledger: Rc<RefCell<Ledger>>,
    pub(super) requests: Sender<Request>,
}

impl Doors {
    /// Judges `message`, which came at `seq`, and hands it on if it is to be answered.
    pub(super) fn knock(&self, message: &Message<'_>, seq: u64) {
        if !WRITTEN.contains(&message.kind) {
            return;
        }
        let inbound = Inbound {
            chat: ChatId { channel: ChannelKind::Discord, id: message.channel },
            id: message.id,
            seq,
            guild: message.guild,
            parent: None,
            author: message.author,
            author_name: message.author_name,
            roles: &[],
            from_bot: message.from_bot,
            from_self: message.author == self.me,
            mentions_us: message.mentions_us,
            text: without_mention(message.text, self.me),
            reply_to: message.reply_to,
            late: false,
            text_cut: message.text_cut,
            has_more: message.has_more,
        };
        let step = self.judge(&inbound);
        self.ledger.borrow_mut().note(inbound.chat, inbound.id, step);
    }

    fn judge(&self, inbound: &Inbound<'_>) -> Step {
        let mut ledger = self.ledger.borrow_mut();
        if !ledger.seen.is_new(inbound.id) {
            return Step::Duplicate;
        }
        if ledger.answered.already(inbound.chat, inbound.id) {
            return Step::AlreadyAnswered;
        }
        match access::judge(&self.settings.borrow().access, inbound) {
            // A picture without words is no sign that words are withheld.
            Err(Refusal::ContentHidden) if inbound.has_more => {
                return Step::Refused(Refusal::Empty);
            }
            Err(refusal) => return Step::Refused(refusal),
            Ok(()) => {}
        }
        if ledger.inflight.admit(inbound.seq, inbound.id).is_err() {
            return Step::Busy;
        }
        if self
            .requests
            .try_send(Request::of(inbound, &self.account, "main", clock::wall()))
            .is_err()
        {
            ledger.inflight.done(inbound.id);
            return Step::Busy;
        }
        Step::Admitted
    }
}

/// What is said to us, without the mention of us that it begins with: `<@7> hello` is `hello`
/// ("Message Formatting"; `<@!7>` is how older clients write it).
fn without_mention(text: &str, me: u64) -> &str {
    let mention = text.trim_start().strip_prefix("<@").and_then(|rest| {
        let (id, rest) = rest.split_once('>')?;
        let id: u64 = id.strip_prefix('!').unwrap_or(id).parse().ok()?;
        (id == me).then_some(rest)
    });
    mention.map_or(text, str::trim_start)
}

impl Ledger {
    /// Writes a decision down, and says the first drop of each kind aloud.
    pub(super) fn note(&mut self, chat: ChatId, id: u64, step: Step) {
        let is_first = self.trace.record(Line { at: clock::wall(), chat, id, step });
        // That we do not answer ourselves needs no telling.
        if is_first && step != Step::Refused(Refusal::Own) {
            log::info!(
                target: "discord",
                "message {id} in chat {} is not answered: {step} (said once for each reason)",
                chat.id
            );
        } else {
            log::debug!(target: "discord", "message {id}: {}: {step}", step.door());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_leading_mention_of_us_is_taken_off() {
        for (text, rest) in [
            ("<@7> hello", "hello"),
            (" <@!7>hello <@7>", "hello <@7>"),
            ("<@8> hello", "<@8> hello"),
            ("hello <@7>", "hello <@7>"),
            ("<@7", "<@7"),
            ("<@x> y", "<@x> y"),
            ("<@7>", ""),
            ("", ""),
        ] {
            assert_eq!(without_mention(text, 7), rest, "{text:?}");
        }
    }
}
