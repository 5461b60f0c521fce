//! The doors that a message passes before it is answered, in the order in which they stand.

use std::cell::RefCell;
use std::rc::Rc;

use smol::channel::{Receiver, Sender, bounded};

use super::pairing::Desk;
use super::settings::Settings;
use crate::core::access::{self, Known, Refusal};
use crate::core::chat::{ChannelKind, ChatId, Inbound, Request};
use crate::core::dedup::{Answered, Seen, Spoken};
use crate::core::inflight::Inflight;
use crate::core::pairing::Told;
use crate::core::trace::{Knock, Line, Step, Trace};
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
    /// Told, without a word, when something was taken into the trace.
    changed: Sender<()>,
}

/// Who may come in.
pub(super) struct Doors {
    pub(super) account: Box<str>,
    pub(super) settings: Rc<RefCell<Settings>>,
    pub(super) me: u64,
    pub(super) ledger: Rc<RefCell<Ledger>>,
    pub(super) requests: Sender<Request>,
    pub(super) desk: Rc<Desk>,
    pub(super) spoken: RefCell<Spoken>,
}

impl Doors {
    /// Judges `message`, which came at `seq`, and hands it on if it is to be answered.
    pub(super) fn knock(&self, message: &Message<'_>, seq: u64) {
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
        if WRITTEN.contains(&message.kind) || inbound.from_self {
            self.hear(&inbound);
        } else {
            let knock = Knock::of(&inbound, clock::wall(), Step::Unwritten);
            self.ledger.borrow_mut().knock(knock, None);
        }
    }

    /// The same for a message that is known to be written by somebody.
    pub(super) fn hear(&self, inbound: &Inbound<'_>) {
        let settings = self.settings.borrow();
        let agent = settings.routes.agent(&self.account, inbound);
        let step = self.judge(inbound, &settings, agent);
        let knock = Knock::of(inbound, clock::wall(), step);
        self.ledger.borrow_mut().knock(knock, Some(agent));
        if step == Step::Refused(Refusal::NotPaired) {
            let told = self.desk.knock(inbound.author, inbound.author_name, inbound.chat);
            let step = match told {
                Told::Code { .. } => Step::CodeSent,
                Told::Full => Step::CodesFull,
                Told::Nothing => return,
            };
            self.ledger.borrow_mut().note(inbound.chat, inbound.id, step);
        }
    }

    fn judge(&self, inbound: &Inbound<'_>, settings: &Settings, agent: &str) -> Step {
        let mut ledger = self.ledger.borrow_mut();
        if !ledger.seen.is_new(inbound.id) {
            return Step::Duplicate;
        }
        if ledger.answered.already(inbound.chat, inbound.id) {
            return Step::AlreadyAnswered;
        }
        let is_approved = inbound.guild.is_none() && self.desk.is_paired(inbound.author);
        let known = Known { chat_name: None, is_approved };
        if let Err(refusal) = access::judge(&settings.access, inbound, known) {
            return Step::Refused(refusal);
        }
        // Of what is not for us nothing is remembered, and so nothing need be compared.
        if self.spoken.borrow_mut().is_repeated(settings.dedup, inbound) {
            return Step::Repeated;
        }
        if ledger.inflight.admit(inbound.seq, inbound.id).is_err() {
            return Step::Busy;
        }
        let request = Request::of(inbound, &self.account, agent, clock::wall());
        if self.requests.try_send(request).is_err() {
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
    /// A ledger that goes on from what was answered before and from an older trail; and the end
    /// where its changes are heard of.
    pub(super) fn new(answered: Answered, trace: Trace) -> (Ledger, Receiver<()>) {
        let (changed, hears) = bounded(1);
        let (seen, inflight) = (Seen::default(), Inflight::default());
        (Ledger { seen, answered, inflight, trace, changed }, hears)
    }

    /// Writes down what was decided about a message that came, and says the first drop of each
    /// kind aloud.
    fn knock(&mut self, knock: Knock, agent: Option<&str>) {
        let Line { chat, id, step, .. } = knock.line;
        let cure = match step {
            Step::Refused(refusal) => refusal
                .cure(&knock.about(self.trace.path(), None))
                .map(|cure| format!("; to change that: {cure}")),
            _ => None,
        };
        let author = knock.author;
        let is_first = self.trace.knock(knock, agent);
        self.told();
        if is_first {
            log::info!(
                target: "discord",
                "message {id} of user {author} in chat {} is not answered: {step}{} (said once for \
                 each reason; `barnacle why {id}` tells more)",
                chat.id,
                cure.unwrap_or_default(),
            );
        } else {
            log::debug!(target: "discord", "message {id}: {}: {step}", step.door());
        }
    }

    /// Writes a later decision down, and says the first drop of each kind aloud.
    pub(super) fn note(&mut self, chat: ChatId, id: u64, step: Step) {
        let is_first = self.trace.record(Line { at: clock::wall(), chat, id, step });
        self.told();
        if is_first {
            log::info!(
                target: "discord",
                "message {id} in chat {} is not answered: {step} (said once for each reason; \
                 `barnacle why {id}` tells more)",
                chat.id
            );
        } else {
            log::debug!(target: "discord", "message {id}: {}: {step}", step.door());
        }
    }

    fn told(&self) {
        // One word that waits says it all; and whoever has stopped listening keeps no trail.
        let _ = self.changed.try_send(());
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
