//! What we call of Discord's REST API: methods, paths, and how their limits are counted.

use std::fmt;

/// A call, without its body and without what is secret or long in its path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// "Create Message": a reply, or a part of one.
    CreateMessage {
        /// The channel, thread or DM.
        channel: u64,
    },
    /// "Trigger Typing Indicator", which lasts 10 s.
    Typing {
        /// The channel, thread or DM.
        channel: u64,
    },
    /// "Get Gateway Bot": where the gateway is, and what is left of the IDENTIFY budget.
    GatewayBot,
    /// "Get Current Application": its id, and by its flags which privileged intents are on.
    ApplicationMe,
    /// "Edit Current Application": the limited intents can be switched on by it.
    EditApplicationMe,
    /// "Get Channel Messages": up to `limit` (at most 100) of them, the newest first.
    Messages {
        /// The channel, thread or DM.
        channel: u64,
        /// Which of them.
        page: Page,
        /// How many at most.
        limit: u8,
    },
    /// "Get Channel": its name, what is around it.
    Channel {
        /// The channel, thread or DM.
        channel: u64,
    },
    /// "Get Guild Member": somebody's roles.
    Member {
        /// The server.
        guild: u64,
        /// Who.
        user: u64,
    },
    /// "Edit Message", one of ours.
    EditMessage {
        /// The channel, thread or DM.
        channel: u64,
        /// The message.
        message: u64,
    },
    /// The same for an answer that is not complete: made at once, or not at all.
    EditDraft {
        /// The channel, thread or DM.
        channel: u64,
        /// The message.
        message: u64,
    },
    /// "Delete Message", one of ours. One that is gone already is as good as deleted.
    DeleteMessage {
        /// The channel, thread or DM.
        channel: u64,
        /// The message.
        message: u64,
    },
    /// "Start Thread from Message". The thread has the id of the message; one that exists already
    /// is as good as opened, and then the answer is not a channel.
    OpenThread {
        /// The channel.
        channel: u64,
        /// The message.
        message: u64,
    },
    /// "Create Reaction". The [`word`](Route::path_with) is the emoji.
    React {
        /// The channel, thread or DM.
        channel: u64,
        /// The message.
        message: u64,
    },
    /// "Create DM": opens the conversation with a person, or finds it.
    OpenDirect,
    /// "Bulk Overwrite Global Application Commands": our slash commands, all of them.
    PutCommands {
        /// The application.
        application: u64,
    },
    /// "Create Interaction Response", once and within 3 s. The [`word`](Route::path_with) is the
    /// interaction's token.
    AnswerInteraction {
        /// The interaction.
        interaction: u64,
    },
    /// "Edit Original Interaction Response", within 15 min. The [`word`](Route::path_with) is the
    /// interaction's token.
    EditAnswer {
        /// The application.
        application: u64,
        /// The interaction, whose limit it is.
        interaction: u64,
    },
}

/// Which messages of a channel are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page {
    /// The last ones.
    Latest,
    /// Those that follow this one directly.
    After(u64),
    /// Those directly before this one.
    Before(u64),
}

impl Route {
    /// How many kinds of calls there are.
    pub(super) const KINDS: usize = 16;

    /// The HTTP method.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Route::CreateMessage { .. }
            | Route::Typing { .. }
            | Route::OpenThread { .. }
            | Route::OpenDirect
            | Route::AnswerInteraction { .. } => "POST",
            Route::GatewayBot
            | Route::ApplicationMe
            | Route::Messages { .. }
            | Route::Channel { .. }
            | Route::Member { .. } => "GET",
            Route::EditApplicationMe
            | Route::EditMessage { .. }
            | Route::EditDraft { .. }
            | Route::EditAnswer { .. } => "PATCH",
            Route::DeleteMessage { .. } => "DELETE",
            Route::React { .. } | Route::PutCommands { .. } => "PUT",
        }
    }

    /// The path below the API's base, `/channels/7/messages` say, for people: what is secret or
    /// long in it is left out.
    #[must_use]
    pub fn path(self) -> impl fmt::Display {
        self.path_with("*")
    }

    /// The path below the API's base, with the emoji or the interaction's token that some have in
    /// it. It is percent-encoded here.
    #[must_use]
    pub fn path_with(self, word: &str) -> impl fmt::Display {
        fmt::from_fn(move |f| match self {
            Route::CreateMessage { channel } => write!(f, "/channels/{channel}/messages"),
            Route::Typing { channel } => write!(f, "/channels/{channel}/typing"),
            Route::GatewayBot => f.write_str("/gateway/bot"),
            Route::ApplicationMe | Route::EditApplicationMe => f.write_str("/applications/@me"),
            Route::Messages { channel, page, limit } => {
                write!(f, "/channels/{channel}/messages?limit={limit}")?;
                match page {
                    Page::Latest => Ok(()),
                    Page::After(id) => write!(f, "&after={id}"),
                    Page::Before(id) => write!(f, "&before={id}"),
                }
            }
            Route::Channel { channel } => write!(f, "/channels/{channel}"),
            Route::Member { guild, user } => write!(f, "/guilds/{guild}/members/{user}"),
            Route::EditMessage { channel, message }
            | Route::EditDraft { channel, message }
            | Route::DeleteMessage { channel, message } => {
                write!(f, "/channels/{channel}/messages/{message}")
            }
            Route::OpenThread { channel, message } => {
                write!(f, "/channels/{channel}/messages/{message}/threads")
            }
            Route::React { channel, message } => {
                let emoji = Encoded(bare_emoji(word));
                write!(f, "/channels/{channel}/messages/{message}/reactions/{emoji}/@me")
            }
            Route::OpenDirect => f.write_str("/users/@me/channels"),
            Route::PutCommands { application } => {
                write!(f, "/applications/{application}/commands")
            }
            Route::AnswerInteraction { interaction } => {
                write!(f, "/interactions/{interaction}/{}/callback", Encoded(word))
            }
            Route::EditAnswer { application, .. } => {
                write!(f, "/webhooks/{application}/{}/messages/@original", Encoded(word))
            }
        })
    }

    /// The resource that limits are counted for apart from others ("Rate Limits", top-level
    /// resources); 0 if the route has none.
    #[must_use]
    pub fn major(self) -> u64 {
        match self {
            Route::AnswerInteraction { interaction } | Route::EditAnswer { interaction, .. } => {
                interaction
            }
            Route::Member { guild, .. } => guild,
            _ => self.channel().unwrap_or(0),
        }
    }

    /// The channel, thread or DM that it concerns.
    #[must_use]
    pub fn channel(self) -> Option<u64> {
        match self {
            Route::CreateMessage { channel }
            | Route::Typing { channel }
            | Route::Messages { channel, .. }
            | Route::Channel { channel }
            | Route::EditMessage { channel, .. }
            | Route::EditDraft { channel, .. }
            | Route::DeleteMessage { channel, .. }
            | Route::OpenThread { channel, .. }
            | Route::React { channel, .. } => Some(channel),
            _ => None,
        }
    }

    /// Which call it is, whatever the resource; below [`KINDS`](Route::KINDS).
    pub(super) fn kind(self) -> usize {
        match self {
            Route::CreateMessage { .. } => 0,
            Route::Typing { .. } => 1,
            Route::GatewayBot => 2,
            Route::ApplicationMe => 3,
            Route::EditApplicationMe => 4,
            Route::Messages { .. } => 5,
            Route::Channel { .. } => 6,
            // One after another, whichever of them.
            Route::EditMessage { .. } | Route::EditDraft { .. } => 7,
            Route::DeleteMessage { .. } => 8,
            Route::OpenThread { .. } => 9,
            Route::React { .. } => 10,
            Route::OpenDirect => 11,
            Route::PutCommands { .. } => 12,
            Route::AnswerInteraction { .. } => 13,
            Route::EditAnswer { .. } => 14,
            Route::Member { .. } => 15,
        }
    }

    /// Whether it is worth making again after a failure. A message can be: its nonce is enforced,
    /// so the server itself recognises the second copy; the others set or ask for something, and
    /// what is done already says so. A sign of typing is stale by then.
    pub(super) fn is_repeatable(self) -> bool {
        !self.is_courtesy()
    }

    /// Whether it must never stand in the way of the others.
    pub(super) fn is_courtesy(self) -> bool {
        matches!(self, Route::Typing { .. } | Route::EditDraft { .. })
    }

    /// Whether it is made at once or not at all, and leaves the last call of its bucket to what
    /// matters.
    pub(super) fn is_spare(self) -> bool {
        matches!(self, Route::EditDraft { .. })
    }

    /// Whether it is spoken to a person who waits for a slash command: with a token of its own,
    /// not ours, and not under the global limit ("Rate Limits", Global Rate Limit).
    #[must_use]
    pub fn is_interaction(self) -> bool {
        matches!(self, Route::AnswerInteraction { .. } | Route::EditAnswer { .. })
    }

    /// Whether `code`, Discord's word for an error, says that what was asked for is the case.
    pub(super) fn is_done_already(self, code: u32) -> bool {
        match self {
            Route::OpenThread { .. } => code == super::failure::THREAD_EXISTS,
            Route::DeleteMessage { .. } => code == super::failure::UNKNOWN_MESSAGE,
            Route::AnswerInteraction { .. } => code == super::failure::ALREADY_ANSWERED,
            _ => false,
        }
    }
}

/// Method and path, as in `POST /channels/7/messages`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method(), self.path())
    }
}

/// An emoji as the path wants it: a server's own without the brackets that it has in a text,
/// `name:id` of `<:name:id>` and `<a:name:id>` ("Create Reaction").
fn bare_emoji(emoji: &str) -> &str {
    let inner = emoji.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    match inner {
        Some(inner) => inner.strip_prefix("a:").unwrap_or(inner).trim_start_matches(':'),
        None => emoji,
    }
}

/// A segment of a path, percent-encoded (RFC 3986 2.3).
struct Encoded<'a>(&'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~*".contains(&byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_print_as_discord_documents_them() {
        let channel = 41_771_983_423_143_937;
        let message = Route::CreateMessage { channel };
        assert_eq!(message.to_string(), "POST /channels/41771983423143937/messages");
        assert_eq!(message.major(), channel);
        let (channel, message) = (7, 9);
        let page = |page| Route::Messages { channel, page, limit: 100 };
        for (route, text) in [
            (Route::Typing { channel }, "POST /channels/7/typing"),
            (Route::GatewayBot, "GET /gateway/bot"),
            (Route::ApplicationMe, "GET /applications/@me"),
            (Route::EditApplicationMe, "PATCH /applications/@me"),
            (page(Page::Latest), "GET /channels/7/messages?limit=100"),
            (page(Page::After(5)), "GET /channels/7/messages?limit=100&after=5"),
            (page(Page::Before(5)), "GET /channels/7/messages?limit=100&before=5"),
            (Route::Channel { channel }, "GET /channels/7"),
            (Route::Member { guild: 8, user: 9 }, "GET /guilds/8/members/9"),
            (Route::EditMessage { channel, message }, "PATCH /channels/7/messages/9"),
            (Route::EditDraft { channel, message }, "PATCH /channels/7/messages/9"),
            (Route::DeleteMessage { channel, message }, "DELETE /channels/7/messages/9"),
            (Route::OpenThread { channel, message }, "POST /channels/7/messages/9/threads"),
            (Route::React { channel, message }, "PUT /channels/7/messages/9/reactions/*/@me"),
            (Route::OpenDirect, "POST /users/@me/channels"),
            (Route::PutCommands { application: 3 }, "PUT /applications/3/commands"),
            (Route::AnswerInteraction { interaction: 4 }, "POST /interactions/4/*/callback"),
            (
                Route::EditAnswer { application: 3, interaction: 4 },
                "PATCH /webhooks/3/*/messages/@original",
            ),
        ] {
            assert_eq!(route.to_string(), text);
            assert!(route.kind() < Route::KINDS);
            assert!(!route.is_courtesy() || !route.is_repeatable());
        }
    }

    #[test]
    fn an_emoji_and_a_token_cannot_leave_their_place_in_the_path() {
        let react = |emoji: &str| {
            let path = Route::React { channel: 1, message: 2 }.path_with(emoji).to_string();
            let path = path.strip_prefix("/channels/1/messages/2/reactions/").unwrap().to_owned();
            path.strip_suffix("/@me").unwrap().to_owned()
        };
        assert_eq!(react("\u{1f980}"), "%F0%9F%A6%80");
        assert_eq!(react("<a:party:41771983423143937>"), "party%3A41771983423143937");
        assert_eq!(react("<:party:41771983423143937>"), "party%3A41771983423143937");
        assert_eq!(react("party:41"), "party%3A41");
        assert_eq!(react("../../x?y#z\r\n"), "..%2F..%2Fx%3Fy%23z%0D%0A");
        let answer = Route::AnswerInteraction { interaction: 4 };
        assert_eq!(answer.path_with("a/b").to_string(), "/interactions/4/a%2Fb/callback");
    }
}
