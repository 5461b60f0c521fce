//! What a bot can do where it is, and what the numbers of chats and people are: asked of Discord,
//! with the bot's own token.

use serde_json::{Value, json};

use super::gather;
use crate::app::account;
use crate::base::Secret;
use crate::ops::config::{self, Env};
use crate::ops::exit::{Exit, Failure};
use crate::ops::options::Common;
use crate::proto::discord::intents::{PERMISSIONS, PERMISSIONS_RECOMMENDED};
use crate::rt::executor::{self, Tier};
use crate::rt::net::http::Client;

/// What we do with Discord, whatever a server allows.
const FEATURES: &[&str] = &[
    "direct messages",
    "servers",
    "threads",
    "replies",
    "files",
    "reactions",
    "slash commands",
    "resumed sessions",
    "catching up",
];
/// Overrides all other permissions.
const ADMINISTRATOR: u64 = 1 << 3;
/// Servers that names are looked for in: a large bot is asked by number.
const GUILDS_MAX: usize = 20;

/// What each account of Discord's can do.
pub(crate) fn capabilities(env: &Env, common: &Common, account: Option<&str>) -> Value {
    let (env, common) = (env.clone(), common.clone());
    let silence = Err("the gateway was not asked".to_owned());
    let patient = executor::run(|spawner| async move {
        let mut patient = gather::set_out(&env, &common, silence);
        gather::ask_discord(&spawner, &mut patient).await;
        patient
    });
    let accounts = patient.facts.accounts.iter();
    let accounts = accounts.filter(|found| account.is_none_or(|wanted| found.name == wanted));
    let told = accounts.map(|found| {
        let allowed = found.application.as_ref().map(|app| found.wanted.allowed_by(app.flags));
        let missing = allowed.map_or(Value::Null, |allowed| {
            let missing = found.wanted.without(allowed);
            missing.iter().map(|intent| intent.name).collect()
        });
        let guilds = found.guilds.as_deref().unwrap_or_default().iter().map(|guild| {
            let lacking = match guild.permissions & ADMINISTRATOR {
                0 => PERMISSIONS_RECOMMENDED & !guild.permissions,
                _ => 0,
            };
            let lacking = PERMISSIONS.iter().filter(|one| lacking >> one.bit & 1 == 1);
            json!({
                "name": guild.name,
                "missing": lacking.clone().map(|one| one.name).collect::<Vec<_>>(),
                "without": lacking.map(|one| one.purpose).collect::<Vec<_>>(),
            })
        });
        let trouble = found.application.as_ref().err().map(ToString::to_string);
        json!({
            "channel": "discord",
            "accountId": found.name,
            "enabled": found.enabled,
            "bot": found.application.as_ref().map(|app| app.name.clone()).ok(),
            "intents": found.wanted.iter().map(|intent| intent.name).collect::<Vec<_>>(),
            "intentsMissing": missing,
            "guilds": guilds.collect::<Vec<_>>(),
            "features": FEATURES,
            "trouble": trouble,
        })
    });
    json!({ "channels": told.collect::<Vec<_>>() })
}

/// What is looked for by a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Any,
    User,
    Channel,
}

/// The numbers behind `names`.
///
/// # Errors
/// Discord does not let us look.
pub(crate) fn resolve(
    env: &Env,
    common: &Common,
    account: Option<&str>,
    kind: &str,
    names: &[String],
) -> Result<Vec<Value>, Failure> {
    let loaded = config::load(env, common.config.as_deref())
        .map_err(|broken| Failure::new(Exit::Config, broken.to_string(), ""))?;
    let ca_file = loaded.config.ca_file.clone();
    let wanted = |id: &str| account.is_none_or(|account| account == id);
    let found = loaded.config.accounts.iter().find(|one| wanted(&one.id));
    let Some(discord) = found.cloned() else {
        let cure = "`barnacle channels list` names all";
        return Err(Failure::new(Exit::Refused, "there is no such account", cure));
    };
    let kind = match kind {
        "user" => Kind::User,
        "channel" | "group" => Kind::Channel,
        _ => Kind::Any,
    };
    // Numbers are numbers without anybody's help.
    let direct: Vec<Option<u64>> = names.iter().map(|name| number(name)).collect();
    if direct.iter().all(Option::is_some) {
        return Ok(names.iter().zip(direct).map(|(name, id)| told(name, id, "")).collect());
    }
    let Some(token) = discord.token.clone() else {
        let text = format!("there is no token to ask with ({})", discord.token_from);
        return Err(Failure::new(Exit::Config, text, "`barnacle doctor` looks for it"));
    };
    let names = names.to_vec();
    executor::run(|spawner| async move {
        let net = account::network(&spawner, &discord, ca_file.as_deref())
            .map_err(|refused| Failure::new(Exit::Unavailable, refused.text, ""))?;
        let (http, api) = (Client::new(&net, Tier::Wire), account::api(&discord));
        let mut search =
            Search { http, api, token, kind, guilds: Vec::new(), channels: Vec::new() };
        search.prepare().await?;
        let mut answers = Vec::new();
        for (name, id) in names.iter().zip(direct) {
            answers.push(match id {
                Some(id) => told(name, Some(id), ""),
                None => search.named(name).await,
            });
        }
        Ok(answers)
    })
}

/// A look through the servers that the bot is in.
struct Search {
    http: Client,
    api: String,
    token: Secret,
    kind: Kind,
    guilds: Vec<String>,
    channels: Vec<Value>,
}

impl Search {
    async fn get(&self, path: &str) -> Result<Value, Failure> {
        let url = format!("{}{path}", self.api);
        gather::get(&self.http, &self.token, url).await.map_err(|refusal| {
            let text = format!("Discord does not say: {refusal}");
            Failure::new(Exit::Unavailable, text, "`barnacle doctor` examines the way there")
        })
    }

    async fn prepare(&mut self) -> Result<(), Failure> {
        let guilds = self.get("/users/@me/guilds?limit=200").await?;
        let ids = guilds.as_array().into_iter().flatten().filter_map(|guild| guild["id"].as_str());
        self.guilds = ids.take(GUILDS_MAX).map(str::to_owned).collect();
        if self.kind != Kind::User {
            for id in self.guilds.clone() {
                let list = self.get(&format!("/guilds/{id}/channels")).await?;
                self.channels.extend(list.as_array().cloned().unwrap_or_default());
            }
        }
        Ok(())
    }

    async fn named(&self, name: &str) -> Value {
        let mut matches: Vec<Value> = Vec::new();
        if self.kind != Kind::User && !name.starts_with('@') {
            let word = name.trim_start_matches('#');
            let is_it = |channel: &&Value| same(&channel["name"], word);
            matches.extend(self.channels.iter().filter(is_it).cloned());
        }
        if matches.is_empty() && self.kind != Kind::Channel && !name.starts_with('#') {
            let word = name.trim_start_matches('@');
            let query = word.bytes().fold(String::new(), |text, b| format!("{text}%{b:02X}"));
            for guild in &self.guilds {
                let path = format!("/guilds/{guild}/members/search?limit=10&query={query}");
                // Where the bot may not search nobody is found.
                let found = self.get(&path).await.unwrap_or_default();
                let found = found.as_array().cloned().unwrap_or_default();
                matches.extend(found.into_iter().filter(|one| is_called(one, word)));
            }
        }
        let Some(first) = matches.first() else {
            return told(name, None, "not found where the bot is");
        };
        let id = first["id"].as_str().or(first["user"]["id"].as_str());
        let is_one = matches.iter().all(|one| one == first);
        let note = if is_one { "" } else { "the first of several" };
        told(name, id.and_then(|id| id.parse().ok()), note)
    }
}

fn is_called(member: &Value, name: &str) -> bool {
    let user = &member["user"];
    [&member["nick"], &user["username"], &user["global_name"]].iter().any(|one| same(one, name))
}

fn same(value: &Value, name: &str) -> bool {
    value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(name))
}

/// `<#1>`, `<@1>`, `user:1` and `1` are what they say.
fn number(name: &str) -> Option<u64> {
    let inside = name.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(name);
    let word = ["user:", "channel:", "discord:"].iter().find_map(|p| inside.strip_prefix(p));
    word.unwrap_or(inside).trim_start_matches(['#', '@', '!', '&']).parse().ok()
}

fn told(input: &str, id: Option<u64>, note: &str) -> Value {
    json!({
        "input": input,
        "resolved": id.is_some(),
        "id": id.map(|id| id.to_string()),
        "note": Some(note).filter(|note| !note.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_every_form_that_people_copy() {
        for name in ["7", "<#7>", "<@7>", "<@!7>", "<@&7>", "user:7", "channel:7", "#7"] {
            assert_eq!(number(name), Some(7), "{name}");
        }
        for name in ["general", "#general", "@ann", "", "<>", "7a"] {
            assert_eq!(number(name), None, "{name}");
        }
    }
}
