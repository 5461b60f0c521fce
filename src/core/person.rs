//! A person, as a chat service knows them: what is kept about them is found by this.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::chat::ChannelKind;

/// Somebody, by the number that a service gives them; written `discord:123`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Person {
    /// The service.
    pub channel: ChannelKind,
    /// Its number for them.
    pub id: u64,
}

/// What was written names nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nobody;

impl fmt::Display for Nobody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a person is written as the service and their id there: discord:123456789")
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.channel, self.id)
    }
}

impl FromStr for Person {
    type Err = Nobody;

    /// Also `discord:user:123` and a mention, `discord:<@123>`.
    fn from_str(text: &str) -> Result<Person, Nobody> {
        let (service, id) = text.trim().split_once(':').ok_or(Nobody)?;
        let service = service.trim().to_ascii_lowercase();
        let of = |channel: &ChannelKind| channel.name() == service;
        let channel = ChannelKind::ALL.into_iter().find(of).ok_or(Nobody)?;
        let id = id.trim();
        let id = id.strip_prefix("user:").or(id.strip_prefix("direct:")).unwrap_or(id);
        let mention = id.strip_prefix("<@").and_then(|id| id.strip_suffix('>'));
        let id = mention.map_or(id, |id| id.strip_prefix('!').unwrap_or(id));
        match id.parse() {
            Ok(0) | Err(_) => Err(Nobody),
            Ok(id) => Ok(Person { channel, id }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_named_by_service_and_number_and_nothing_else_names_anybody() {
        let ann = Person { channel: ChannelKind::Discord, id: 12 };
        for text in ["discord:12", " Discord: 12 ", "discord:user:12", "discord:<@!12>"] {
            assert_eq!(text.parse(), Ok(ann), "{text:?}");
        }
        assert_eq!(ann.to_string().parse(), Ok(ann));
        for text in ["", "12", "discord", "discord:", "discord:ann", "discord:0", "irc:12"] {
            assert_eq!(text.parse::<Person>(), Err(Nobody), "{text:?}");
        }
    }
}
