//! Slash commands: which are deployed, who uses one, and what comes of it (Discord's
//! documentation, "Application Commands" and "Receiving and Responding").

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::model;
use super::world::{GUILD, Kind, World};
use crate::base::{Wall, limits};

/// The first answer must come within this span.
const FIRST_ANSWER: Duration = Duration::from_secs(3);
/// How long a token is good.
const TOKEN: Duration = Duration::from_secs(15 * 60);

/// Commands and their uses.
#[derive(Debug, Default)]
pub struct Slash {
    /// By application: the commands, and how often they were deployed.
    deployed: BTreeMap<u64, (Value, u32)>,
    used: VecDeque<Used>,
}

/// One use of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Used {
    id: u64,
    bot: u64,
    token: String,
    command: String,
    channel: u64,
    author: u64,
    at: Wall,
    /// When it was first answered, and by which type of answer.
    answered: Option<(Wall, u64)>,
    /// Whether only the one who asked sees it.
    ephemeral: bool,
    content: Option<String>,
    edits: u32,
}

/// Why an answer is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Late {
    /// There is no such interaction, or it is too late for it.
    Unknown,
    /// It was answered before.
    Answered,
    /// It was not answered yet, so there is nothing to change.
    NotYet,
}

/// A command that somebody uses.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Use {
    /// The bot whose command it is.
    pub bot: u64,
    /// Who uses it.
    pub author: u64,
    /// Where.
    pub channel: u64,
    /// Its name.
    pub command: String,
    /// Its first option; none if empty.
    pub option: String,
}

impl Slash {
    /// Takes the commands of an application in place of all before.
    pub fn deploy(&mut self, application: u64, commands: Value) {
        let count = self.deployed.get(&application).map_or(0, |(_, count)| *count);
        self.deployed.insert(application, (commands, count + 1));
    }

    /// The commands of an application.
    #[must_use]
    pub fn commands(&self, application: u64) -> Value {
        self.deployed.get(&application).map_or_else(|| json!([]), |(all, _)| all.clone())
    }

    /// The first answer to an interaction.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn answer(&mut self, now: Wall, id: u64, token: &str, body: &Value) -> Result<(), Late> {
        let mut used = self.used.iter_mut();
        let used = used.find(|used| used.id == id && used.token == token).ok_or(Late::Unknown)?;
        if used.answered.is_some() {
            return Err(Late::Answered);
        }
        if now.since(used.at) > FIRST_ANSWER {
            return Err(Late::Unknown);
        }
        let kind = body.get("type").and_then(Value::as_u64).unwrap_or(0);
        used.answered = Some((now, kind));
        let data = body.get("data");
        let flags = data.and_then(|data| data.get("flags")).and_then(Value::as_u64);
        used.ephemeral = flags.unwrap_or(0) & 64 != 0;
        let content = data.and_then(|data| data.get("content")).and_then(Value::as_str);
        used.content = content.map(str::to_owned);
        Ok(())
    }

    /// Changes the first answer; what it is then, as a message.
    ///
    /// # Errors
    /// Why it cannot be changed.
    pub fn edit(&mut self, now: Wall, token: &str, content: &str) -> Result<Value, Late> {
        let used = self.used.iter_mut().find(|used| used.token == token).ok_or(Late::Unknown)?;
        if now.since(used.at) > TOKEN {
            return Err(Late::Unknown);
        }
        if used.answered.is_none() {
            return Err(Late::NotYet);
        }
        used.content = Some(content.to_owned());
        used.edits += 1;
        Ok(json!({
            "id": (used.id + 1).to_string(), "channel_id": used.channel.to_string(), "type": 20,
            "content": content, "flags": if used.ephemeral { 64 } else { 0 },
        }))
    }

    /// All of it, for `state`.
    #[must_use]
    pub fn state(&self) -> Value {
        let deployed = self.deployed.iter().map(|(application, (commands, count))| {
            (application.to_string(), json!({"deployed": count, "commands": commands}))
        });
        let used = self.used.iter().map(|used| {
            let answered = used.answered;
            json!({
                "id": used.id.to_string(), "command": used.command,
                "author": used.author.to_string(), "channel": used.channel.to_string(),
                "answeredMs": answered.map(|(at, _)| at.since(used.at).as_millis()),
                "type": answered.map(|(_, kind)| kind), "ephemeral": used.ephemeral,
                "content": used.content, "edits": used.edits,
            })
        });
        let deployed: serde_json::Map<String, Value> = deployed.collect();
        json!({"commands": deployed, "interactions": used.collect::<Value>()})
    }
}

impl World {
    /// Somebody uses a command: the bot hears of it, whatever its intents are. The interaction's
    /// id; `None` if somebody or something in it is unknown.
    pub fn use_command(&mut self, now: Wall, wanted: &Use) -> Option<u64> {
        let id = self.next_id(now);
        let author = self.users.get(&wanted.author)?;
        let place = self.channels.get(&wanted.channel)?;
        let token = format!("interaction-{id}-{:016x}", id.rotate_left(29) ^ 0x5eed);
        let mut data = json!({
            "id": id.to_string(), "application_id": wanted.bot.to_string(), "type": 2,
            "token": token, "version": 1, "locale": "en-US", "entitlements": [], "context": 0,
            "channel_id": place.id.to_string(), "channel": model::channel(self, place),
            "app_permissions": "2251799813685247",
            "data": {"id": "1", "name": wanted.command, "type": 1},
        });
        if !wanted.option.is_empty() {
            data["data"]["options"] = json!([{"name": "id", "type": 3, "value": wanted.option}]);
        }
        if matches!(place.kind, Kind::Direct { .. }) {
            data["user"] = model::user(author);
        } else {
            data["guild_id"] = GUILD.to_string().into();
            data["member"] = model::member(author);
        }
        let used = Used {
            id,
            bot: wanted.bot,
            token,
            command: wanted.command.clone(),
            channel: wanted.channel,
            author: wanted.author,
            at: now,
            answered: None,
            ephemeral: false,
            content: None,
            edits: 0,
        };
        if self.slash.used.len() >= limits::SANDBOX_MESSAGES_MAX {
            self.slash.used.pop_front();
        }
        self.slash.used.push_back(used);
        let data: std::rc::Rc<str> = data.to_string().into();
        // To one session only, as Discord does.
        let mut is_told = false;
        self.sessions.dispatch("INTERACTION_CREATE", |session| {
            let is_meant = session.bot == wanted.bot && !is_told;
            is_told |= is_meant;
            is_meant.then(|| data.clone())
        });
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::world::GENERAL;

    #[test]
    fn an_interaction_is_answered_once_in_time_and_then_changed() {
        let mut world = World::default();
        let now = Wall(1_774_085_213_589);
        let (bot, author) = (world.bot("token").unwrap(), world.person("ann").unwrap());
        let wanted = Use { bot, author, channel: GENERAL, command: "why".into(), ..Use::default() };
        let id = world.use_command(now, &wanted).unwrap();
        let token = world.slash.used[0].token.clone();
        let deferred = json!({"type": 5, "data": {"flags": 64}});
        assert_eq!(world.slash.edit(now, &token, "early"), Err(Late::NotYet));
        assert_eq!(world.slash.answer(now, id, "wrong", &deferred), Err(Late::Unknown));
        assert_eq!(world.slash.answer(now, id, &token, &deferred), Ok(()));
        assert_eq!(world.slash.answer(now, id, &token, &deferred), Err(Late::Answered));
        assert!(world.slash.edit(now, &token, "because").is_ok());
        let state = world.slash.state();
        assert_eq!(state["interactions"][0]["content"], "because");
        assert_eq!(state["interactions"][0]["ephemeral"], true);
        let other = world.use_command(now, &wanted).unwrap();
        let token = world.slash.used[1].token.clone();
        let late = now + Duration::from_millis(3001);
        assert_eq!(world.slash.answer(late, other, &token, &deferred), Err(Late::Unknown));
    }
}
