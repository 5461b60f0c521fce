//! A reaction to a message: a picture that somebody puts under it.

use super::{Decoder, Kind, Node};

/// What happened to a reaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Somebody put it there.
    Added,
    /// They took it away.
    Removed,
    /// A moderator took it away, whoever's it was.
    Cleared,
}

/// What somebody put under a message, or took away ("Message Reaction Add" and its like).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reaction<'a> {
    /// What happened.
    pub change: Change,
    /// The message.
    pub message: u64,
    /// Where it is.
    pub channel: u64,
    /// The server (guild) of that channel; `None` in a direct message.
    pub guild: Option<u64>,
    /// Of a thread, the channel around it, as far as that is known.
    pub parent: Option<u64>,
    /// The name of the channel, or of the one around the thread, as far as that is known.
    pub channel_name: Option<&'a str>,
    /// Whose it is; `None` if a moderator took away everybody's.
    pub author: Option<u64>,
    /// Their roles in the guild, as many as are kept; told only when one is added.
    pub roles: &'a [u64],
    /// Whether they are a program, as far as that is told.
    pub from_bot: bool,
    /// The picture; `None` if a moderator took away every one.
    pub emoji: Option<&'a str>,
}

impl Decoder {
    /// The reaction that came or went, if the event is one, was read to its end, and is about a
    /// picture that everybody has: what pictures of a server's own mean, nobody knows but they.
    #[must_use]
    pub fn reaction(&self) -> Option<Reaction<'_>> {
        let Kind::Reaction(change) = self.kind() else { return None };
        let fields = &self.fields;
        if self.fault.is_some() || fields.number(Node::EmojiId).is_some() || fields.emoji.is_cut() {
            return None;
        }
        let emoji = Some(fields.emoji.as_str()).filter(|emoji| !emoji.is_empty());
        let author = fields.number(Node::Reactor);
        if change != Change::Cleared && (emoji.is_none() || author.is_none()) {
            return None;
        }
        let channel = fields.number(Node::Channel)?;
        let (parent, channel_name) = fields.around(channel);
        Some(Reaction {
            change,
            message: fields.number(Node::Reacted)?,
            channel,
            guild: fields.number(Node::Guild),
            parent,
            channel_name,
            author: author.filter(|_| change != Change::Cleared),
            roles: &fields.roles,
            from_bot: fields.bot,
            emoji,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: &str, window: usize) -> Box<Decoder> {
        let mut decoder = Decoder::new();
        decoder.begin();
        document.as_bytes().chunks(window).for_each(|part| decoder.feed(part));
        decoder.end();
        decoder
    }

    fn event(name: &str, data: &str) -> String {
        format!(r#"{{"t":"MESSAGE_REACTION_{name}","s":7,"op":0,"d":{data}}}"#)
    }

    const ADDED: &str = r#"{"user_id":"7","type":0,"message_id":"9","message_author_id":"1",
        "member":{"user":{"username":"ann","id":"7","bot":false,"global_name":null},
        "roles":["3","4"],"nick":null,"joined_at":"2024-01-01T00:00:00Z","deaf":false},
        "emoji":{"name":"👎🏽","id":null},"channel_id":"5","burst":false,"guild_id":"2",
        "burst_colors":[]}"#;

    #[test]
    fn what_is_put_under_a_message_is_read_in_windows_of_any_size() {
        let document = event("ADD", ADDED);
        for window in [1, 7, 64, document.len()] {
            let decoder = read(&document, window);
            let expected = Reaction {
                change: Change::Added,
                message: 9,
                channel: 5,
                guild: Some(2),
                parent: None,
                channel_name: None,
                author: Some(7),
                roles: &[3, 4],
                from_bot: false,
                emoji: Some("👎🏽"),
            };
            assert_eq!(decoder.reaction(), Some(expected), "{window}");
            assert_eq!(decoder.message(), None);
        }
        let bot = event("ADD", &ADDED.replace("\"bot\":false", "\"bot\":true"));
        assert!(read(&bot, 64).reaction().unwrap().from_bot);
    }

    #[test]
    fn what_is_taken_away_is_read_by_whomever_it_was() {
        let own =
            r#"{"user_id":"7","channel_id":"5","message_id":"9","emoji":{"name":"👍","id":null}}"#;
        let decoder = read(&event("REMOVE", own), 64);
        let removed = decoder.reaction().unwrap();
        assert_eq!((removed.change, removed.author), (Change::Removed, Some(7)));
        assert_eq!((removed.emoji, removed.guild), (Some("👍"), None));
        let all = r#"{"channel_id":"5","message_id":"9","guild_id":"2"}"#;
        let decoder = read(&event("REMOVE_ALL", all), 64);
        let cleared = decoder.reaction().unwrap();
        assert_eq!((cleared.change, cleared.author), (Change::Cleared, None));
        assert_eq!(cleared.emoji, None);
        let one = r#"{"channel_id":"5","message_id":"9","emoji":{"name":"👍","id":null}}"#;
        assert_eq!(read(&event("REMOVE_EMOJI", one), 64).reaction().unwrap().emoji, Some("👍"));
    }

    #[test]
    fn what_says_too_little_or_nothing_to_us_is_no_reaction() {
        let own_picture = ADDED.replace("\"id\":null}", "\"id\":\"88\"}");
        let nameless = ADDED.replace("\"👎🏽\"", "null");
        let long = ADDED.replace("👎🏽", &"👎".repeat(99));
        let nobodys = ADDED.replace("\"user_id\":\"7\",", "");
        let nowhere = ADDED.replace("\"channel_id\":\"5\",", "");
        for data in [own_picture, nameless, long, nobodys, nowhere, "{}".into(), "null".into()] {
            assert_eq!(read(&event("ADD", &data), 64).reaction(), None, "{data}");
        }
        let half = event("ADD", ADDED);
        assert_eq!(read(&half[..half.len() - 3], 64).reaction(), None);
    }
}
