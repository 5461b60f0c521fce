//! A message as REST tells it, for the few that are fetched: after a session was lost, and to see
//! whether something of ours arrived. Discord's "Message Object", as far as it is needed.

use serde::{Deserialize, Deserializer};

use super::model::whole_seconds;
use crate::base::{limits, text};

/// A message.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Said {
    /// Its number.
    #[serde(deserialize_with = "number")]
    pub id: u64,
    /// Who said it.
    pub author: Author,
    /// What was said.
    #[serde(default)]
    pub content: String,
    /// Its type ("Message Types").
    #[serde(rename = "type", default)]
    pub kind: u32,
    /// Set if a webhook said it.
    #[serde(default)]
    webhook_id: Option<String>,
    #[serde(default)]
    nonce: Option<serde_json::Value>,
    #[serde(default)]
    message_reference: Option<Reference>,
    #[serde(default)]
    referenced_message: Option<Referenced>,
    #[serde(default)]
    mentions: Vec<Author>,
    /// The files that came with it.
    #[serde(default)]
    pub attachments: Vec<Attached>,
    #[serde(default)]
    embeds: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    sticker_items: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    poll: Option<serde::de::IgnoredAny>,
}

/// A person or a program.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Author {
    /// Their number.
    #[serde(deserialize_with = "number")]
    pub id: u64,
    /// Their name.
    #[serde(default)]
    username: String,
    /// What they want to be called.
    #[serde(default)]
    global_name: Option<String>,
    /// Whether it is a program.
    #[serde(default)]
    pub bot: bool,
}

/// A file that came with a message ("Attachment Object").
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Attached {
    /// Its name.
    #[serde(default)]
    pub filename: String,
    /// Its type, if that is said.
    #[serde(default)]
    pub content_type: Option<String>,
    /// How long it is said to be.
    #[serde(default)]
    pub size: u64,
    /// Where it lies.
    #[serde(default)]
    pub url: String,
    /// How long it plays, if it is a voice note.
    #[serde(default)]
    duration_secs: Option<f64>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
struct Reference {
    #[serde(default, deserialize_with = "maybe_number")]
    message_id: Option<u64>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
struct Referenced {
    author: Author,
}

impl Author {
    /// What they are called.
    #[must_use]
    pub fn name(&self) -> &str {
        let name = self.global_name.as_deref().filter(|name| !name.is_empty());
        text::truncate(name.unwrap_or(&self.username), limits::NAME_BYTES_MAX)
    }
}

impl Attached {
    /// How long it plays, if it is a voice note; begun seconds count.
    #[must_use]
    pub fn seconds(&self) -> Option<u32> {
        self.duration_secs.map(whole_seconds)
    }
}

impl Said {
    /// The message that it answers.
    #[must_use]
    pub fn reference(&self) -> Option<u64> {
        self.message_reference.as_ref()?.message_id
    }

    /// By what its sender knows it, if they may see that.
    #[must_use]
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_ref()?.as_str()
    }

    /// Whether a program said it.
    #[must_use]
    pub fn from_bot(&self) -> bool {
        self.author.bot || self.webhook_id.is_some()
    }

    /// Whether it names `me`, or answers me.
    #[must_use]
    pub fn mentions(&self, me: u64) -> bool {
        let answered = self.referenced_message.as_ref().map(|message| message.author.id);
        self.mentions.iter().any(|author| author.id == me) || answered == Some(me)
    }

    /// Whom it mentions, as many as are kept.
    #[must_use]
    pub fn mentioned(&self) -> Vec<u64> {
        self.mentions.iter().take(limits::MENTIONS_MAX).map(|author| author.id).collect()
    }

    /// Who wrote the message that it answers.
    #[must_use]
    pub fn reply_author(&self) -> Option<u64> {
        Some(self.referenced_message.as_ref()?.author.id)
    }

    /// Whether there is more than text.
    #[must_use]
    pub fn has_more(&self) -> bool {
        let lists = [&self.embeds, &self.sticker_items];
        let has_files = !self.attachments.is_empty();
        has_files || self.poll.is_some() || lists.iter().any(|list| !list.is_empty())
    }
}

/// A number that is written as a text ("Snowflakes").
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

fn maybe_number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_rest_says_what_the_doors_ask() {
        let page = r#"[{"id":"11","channel_id":"3","type":19,"content":"well?","tts":false,
            "author":{"id":"5","username":"ann","global_name":"Ann","bot":false},
            "mentions":[{"id":"6","username":"ben","global_name":null}],
            "message_reference":{"type":0,"message_id":"10","channel_id":"3"},
            "referenced_message":{"id":"10","author":{"id":"7","username":"us","bot":true}},
            "attachments":[{"id":"1","filename":"a.ogg","size":7,"url":"https://c/a.ogg",
                "content_type":"audio/ogg","duration_secs":2.04,"waveform":"AA=="},{"id":"2"}],
            "embeds":[],"nonce":4,"poll":null}]"#;
        let said: Vec<Said> = serde_json::from_str(page).unwrap();
        let said = &said[0];
        assert_eq!((said.id, said.author.id, said.author.name()), (11, 5, "Ann"));
        assert_eq!((said.kind, said.reference(), said.nonce()), (19, Some(10), None));
        assert!(said.mentions(6) && said.mentions(7) && !said.mentions(8));
        assert!(said.has_more() && !said.from_bot());
        let voice = &said.attachments[0];
        assert_eq!((voice.filename.as_str(), voice.size, voice.seconds()), ("a.ogg", 7, Some(3)));
        assert_eq!(said.attachments[1].seconds(), None);
    }

    #[test]
    fn little_is_needed_and_nonsense_is_no_message() {
        let said: Said = serde_json::from_str(r#"{"id":"1","author":{"id":"2"}}"#).unwrap();
        assert!(!said.has_more() && said.reference().is_none());
        for odd in ["{}", r#"{"id":1,"author":{"id":"2"}}"#, r#"{"id":"x","author":{"id":"2"}}"#] {
            assert!(serde_json::from_str::<Said>(odd).is_err(), "{odd}");
        }
    }
}
