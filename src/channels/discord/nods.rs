//! Reactions: what people think of our judging, by what they put under messages.

use super::doors::Doors;
use super::settings::Settings;
use crate::core::access::{self, Known};
use crate::core::chat::{ChannelKind, ChatId, Inbound};
use crate::core::intent::{Mark, Reaction};
use crate::proto::discord::model::{self, Change};
use crate::rt::clock;

impl Doors {
    /// Somebody has put something under a message, or taken it away: what they think of our
    /// judging, if they may talk to us there.
    pub(super) fn react(&self, reaction: &model::Reaction<'_>) {
        let settings = self.settings.borrow();
        let mark = reaction.emoji.map(Mark::of);
        let mut memory = self.memory.borrow_mut();
        let (Some(memory), true, false) = (
            memory.as_mut(),
            settings.intent.as_ref().is_some_and(|it| it.learns),
            mark == Some(None),
        ) else {
            return;
        };
        let chat = ChatId { channel: ChannelKind::Discord, id: reaction.channel };
        let message = reaction.message;
        let author = reaction.author.unwrap_or(0);
        let opinions = &mut memory.opinions;
        let heard = match (reaction.change, mark.flatten()) {
            (Change::Cleared, mark) => opinions.clear(chat, message, mark),
            (Change::Removed, Some(mark)) => {
                opinions.take_back(Reaction { chat, message, author, mark })
            }
            (Change::Added, Some(mark)) => {
                let may = self.may_judge(reaction, author, &settings);
                opinions.react(clock::wall(), Reaction { chat, message, author, mark }, may)
            }
            (Change::Added | Change::Removed, None) => return,
        };
        log::debug!(target: "discord", "a reaction to message {message}: {}", heard.name());
        let _ = self.stirred.try_send(());
    }

    /// Whether who reacts might have said something to us there.
    fn may_judge(&self, reaction: &model::Reaction<'_>, author: u64, settings: &Settings) -> bool {
        let nod = Inbound {
            chat: ChatId { channel: ChannelKind::Discord, id: reaction.channel },
            id: reaction.message,
            seq: 0,
            guild: reaction.guild,
            parent: reaction.parent,
            author,
            author_name: "",
            roles: reaction.roles,
            from_bot: reaction.from_bot,
            from_self: author == self.me,
            // Who reacts to what we said means us.
            mentions_us: true,
            mentions: &[],
            called: None,
            reply_author: None,
            reply_to: None,
            late: false,
            text: "+",
            text_cut: false,
            has_more: false,
            attachments: &[],
        };
        let known = Known { chat_name: reaction.channel_name, ..Known::default() };
        !reaction.from_bot && access::judge(&settings.access, &nod, known).is_ok()
    }
}
