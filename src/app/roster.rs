//! Changes of the configuration file by what they mean: an account more or less, an agent, who
//! answers where. Each is one change of the file, which keeps its comments.

use std::borrow::Cow;

use serde_json::Value;

use super::settings::{Edited, change, parsed, read};
use crate::base::{Secret, spell};
use crate::ops::config::{self, Env, Node, Step, edit, path};
use crate::ops::exit::{Exit, Failure};
use crate::ops::options::Common;

/// The account that needs no name.
const DEFAULT: &str = "default";
/// The agent that needs no name.
const MAIN: &str = "main";

/// Where an account's token is to come from.
pub(crate) enum Token {
    /// It is this.
    Written(Secret),
    /// It is in this file.
    File(String),
    /// The environment has it.
    Environment,
}

/// An agent that is added.
pub(crate) struct NewAgent {
    /// Its name.
    pub(crate) id: String,
    /// What else is set of it, such as its workspace.
    pub(crate) settings: Vec<(&'static str, Node<'static>)>,
    /// Where it answers.
    pub(crate) places: Vec<Place>,
}

/// Where an agent answers: `discord`, or `discord:ACCOUNT`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    channel: String,
    account: Option<String>,
}

impl Place {
    /// Reads one as it is written on the command line.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn parse(text: &str) -> Result<Place, Failure> {
        let (channel, account) = match text.split_once(':') {
            Some((channel, account)) => (channel, Some(account)),
            None => (text, None),
        };
        let is_word = |word: &str| !word.is_empty() && !word.contains(char::is_whitespace);
        if !is_word(channel) || account.is_some_and(|account| !is_word(account)) {
            let text = format!("\"{text}\" is no place to answer at");
            return Err(Failure::new(Exit::Usage, text, "write discord or discord:ACCOUNT"));
        }
        Ok(Place { channel: channel.to_lowercase(), account: account.map(str::to_owned) })
    }

    fn node(&self, agent: &str) -> Node<'static> {
        let mut place = vec![("channel", text(&self.channel))];
        place.extend(self.account.as_deref().map(|account| ("accountId", text(account))));
        map([("agentId", text(agent)), ("match", map(place))])
    }

    /// Whether `binding` is of this place, and says nothing narrower.
    fn is_of(&self, binding: &Value) -> bool {
        let place = &binding["match"];
        let wide = place.as_object().is_some_and(|place| {
            place.keys().all(|key| matches!(key.as_str(), "channel" | "accountId"))
        });
        let account = place["accountId"].as_str();
        wide && place["channel"].as_str() == Some(&self.channel)
            && account == self.account.as_deref()
    }
}

fn text(text: &str) -> Node<'static> {
    Node::Text(Cow::Owned(text.to_owned()))
}

fn map<'k>(entries: impl IntoIterator<Item = (&'k str, Node<'static>)>) -> Node<'static> {
    let entries = entries.into_iter().map(|(key, value)| (config::Name::of(key), value));
    Node::Map(entries.collect())
}

/// A text under change, and whether it was.
struct Draft {
    text: String,
    is_changed: bool,
}

impl Draft {
    fn of(text: &str) -> Draft {
        Draft { text: text.to_owned(), is_changed: false }
    }

    fn get(&self, at: &[Step<'_>]) -> Value {
        let root = config::parse_tree(&self.text).unwrap_or(Node::Null);
        edit::get(&root, at).map_or(Value::Null, Node::json)
    }

    fn set(&mut self, at: &[Step<'_>], value: &Node<'_>) -> Result<(), String> {
        let root = config::parse_tree(&self.text).unwrap_or(Node::Null);
        if edit::get(&root, at) == Some(value) {
            return Ok(());
        }
        drop(root);
        self.text = edit::set(&self.text, at, value)?;
        self.is_changed = true;
        Ok(())
    }

    fn unset(&mut self, at: &[Step<'_>]) -> Result<bool, String> {
        let Some(text) = edit::unset(&self.text, at)? else { return Ok(false) };
        (self.text, self.is_changed) = (text, true);
        Ok(true)
    }

    fn done(self) -> Option<String> {
        self.is_changed.then_some(self.text)
    }
}

fn at<'a>(steps: &[&'a str]) -> Vec<Step<'a>> {
    steps.iter().map(|name| Step::name(name)).collect()
}

/// The accounts that have an entry of their own.
fn named(draft: &Draft) -> Vec<String> {
    let accounts = draft.get(&path::plain("channels.discord.accounts"));
    accounts.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

/// Where the settings of `account` are.
fn place_of<'a>(draft: &Draft, account: &'a str) -> Vec<Step<'a>> {
    let has_entry = named(draft).iter().any(|name| spell::same(name, account));
    if account == DEFAULT && !has_entry {
        return at(&["channels", "discord"]);
    }
    at(&["channels", "discord", "accounts", account])
}

fn below<'a>(place: &[Step<'a>], key: &'a str) -> Vec<Step<'a>> {
    place.iter().cloned().chain([Step::name(key)]).collect()
}

/// Adds an account of Discord's, or gives one another token.
///
/// # Errors
/// The file cannot be changed; it is then as it was.
pub(crate) fn add_account(
    env: &Env,
    common: &Common,
    account: &str,
    token: &Token,
    name: Option<&str>,
) -> Result<Edited, Failure> {
    change(env, common, false, |before| {
        let mut draft = Draft::of(before);
        let place = place_of(&draft, account);
        match token {
            Token::Written(token) => {
                draft.set(&below(&place, "token"), &text(token.expose()))?;
                draft.unset(&below(&place, "tokenFile"))?;
            }
            Token::File(file) => {
                draft.set(&below(&place, "tokenFile"), &text(file))?;
                draft.unset(&below(&place, "token"))?;
            }
            Token::Environment => {
                draft.unset(&below(&place, "token"))?;
                draft.unset(&below(&place, "tokenFile"))?;
            }
        }
        draft.set(&below(&place, "enabled"), &Node::Flag(true))?;
        if let Some(name) = name {
            draft.set(&below(&place, "name"), &text(name))?;
        }
        Ok(draft.done())
    })
}

/// Switches an account of Discord's off, or removes it.
///
/// # Errors
/// There is no such account, or the file cannot be changed.
pub(crate) fn remove_account(
    env: &Env,
    common: &Common,
    account: &str,
    delete: bool,
) -> Result<Edited, Failure> {
    change(env, common, false, |before| {
        let mut draft = Draft::of(before);
        let named = named(&draft);
        let has_entry = named.iter().any(|name| spell::same(name, account));
        let root = at(&["channels", "discord"]);
        let own = at(&["channels", "discord", "accounts", account]);
        if account != DEFAULT {
            if !has_entry {
                return Err(format!("there is no account \"{account}\""));
            }
            if delete {
                draft.unset(&own)?;
            } else {
                draft.set(&below(&own, "enabled"), &Node::Flag(false))?;
            }
            return Ok(draft.done());
        }
        if delete {
            draft.unset(&below(&root, "token"))?;
            draft.unset(&below(&root, "tokenFile"))?;
            draft.unset(&own)?;
        }
        // The variable may still name a token for it; the others are to go on.
        let others = named.iter().any(|name| !spell::same(name, DEFAULT));
        let place = if others { own } else { root };
        draft.set(&below(&place, "enabled"), &Node::Flag(false))?;
        Ok(draft.done())
    })
}

/// Who answers where, as the file says it.
///
/// # Errors
/// There is no usable file.
pub(crate) fn bindings(env: &Env, common: &Common) -> Result<Vec<Value>, Failure> {
    let (file, text) = match config::find_file(env, common.config.as_deref()) {
        Some(file) if file.exists() => read(env, common)?,
        _ => return Ok(Vec::new()),
    };
    let root = parsed(&file, &text)?;
    let list = edit::get(&root, &path::plain("bindings")).map_or(Value::Null, Node::json);
    Ok(list.as_array().cloned().unwrap_or_default())
}

/// The agents that the file names, the one that answers where nothing else fits first.
fn agents(draft: &Draft) -> Vec<String> {
    let entries = draft.get(&path::plain("agents.entries"));
    let list = draft.get(&path::plain("agents.list"));
    let entries = entries.as_object().into_iter().flatten();
    let entries = entries.map(|(name, agent)| (name.clone(), agent["default"] == true));
    let list = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|agent| Some((agent["id"].as_str()?.to_owned(), agent["default"] == true)));
    let mut all: Vec<(String, bool)> = entries.chain(list).collect();
    all.sort_by_key(|(_, is_default)| !is_default);
    let names: Vec<String> = all.into_iter().map(|(name, _)| name).collect();
    if names.is_empty() { vec![MAIN.to_owned()] } else { names }
}

fn known(draft: &Draft, agent: Option<&str>) -> Result<String, String> {
    let agents = agents(draft);
    match agent {
        None => Ok(agents.into_iter().next().unwrap_or_else(|| MAIN.to_owned())),
        Some(wanted) => {
            let same = agents.iter().find(|name| spell::same(name, wanted));
            same.cloned().ok_or_else(|| {
                let meant = spell::nearest(wanted, agents.iter().map(String::as_str));
                let names = meant.map_or_else(|| agents.join(", "), str::to_owned);
                format!("there is no agent \"{wanted}\" (there is {names})")
            })
        }
    }
}

/// Adds an agent.
///
/// # Errors
/// There is one of that name, or the file cannot be changed.
pub(crate) fn add_agent(env: &Env, common: &Common, agent: &NewAgent) -> Result<Edited, Failure> {
    change(env, common, false, |before| {
        let mut draft = Draft::of(before);
        if known(&draft, Some(&agent.id)).is_ok() && is_written(&draft, &agent.id) {
            return Err(format!("there is an agent \"{}\" already", agent.id));
        }
        let list = draft.get(&path::plain("agents.list"));
        let count = list.as_array().map_or(0, Vec::len);
        if count > 0 {
            let id = [("id", text(&agent.id))];
            let entry = map(id.into_iter().chain(agent.settings.iter().cloned()));
            let mut place = path::plain("agents.list");
            place.push(Step::Index(count));
            draft.set(&place, &entry)?;
        } else {
            if !is_written(&draft, MAIN) && agents(&draft) == [MAIN] && agent.id != MAIN {
                // The first that is named would be the only one: who answered before goes on.
                let main = at(&["agents", "entries", MAIN]);
                draft.set(&main, &map([("default", Node::Flag(true))]))?;
            }
            let place = at(&["agents", "entries", &agent.id]);
            draft.set(&place, &map(agent.settings.iter().cloned()))?;
        }
        bind_all(&mut draft, &agent.id, &agent.places)?;
        Ok(draft.done())
    })
}

/// Whether an agent has an entry, and not only a name that is understood.
fn is_written(draft: &Draft, id: &str) -> bool {
    let entries = draft.get(&path::plain("agents.entries"));
    let list = draft.get(&path::plain("agents.list"));
    entries.as_object().is_some_and(|map| map.keys().any(|name| spell::same(name, id)))
        || list.as_array().into_iter().flatten().any(|agent| agent["id"] == id)
}

/// Removes an agent, and its bindings.
///
/// # Errors
/// There is none, or the file cannot be changed.
pub(crate) fn delete_agent(env: &Env, common: &Common, id: &str) -> Result<Edited, Failure> {
    change(env, common, false, |before| {
        let mut draft = Draft::of(before);
        if !is_written(&draft, id) {
            return Err(format!("there is no agent \"{id}\" in the file"));
        }
        unbind_all(&mut draft, |binding| binding["agentId"] == id)?;
        let list = draft.get(&path::plain("agents.list"));
        let mut places = list.as_array().into_iter().flatten();
        if let Some(index) = places.position(|agent| agent["id"] == id) {
            let mut place = path::plain("agents.list");
            place.push(Step::Index(index));
            draft.unset(&place)?;
        } else {
            draft.unset(&at(&["agents", "entries", id]))?;
        }
        Ok(draft.done())
    })
}

/// Lets `agent` (the first, if it is not named) answer at `places`; gives its name.
///
/// # Errors
/// There is no such agent, another answers there, or the file cannot be changed.
pub(crate) fn bind(
    env: &Env,
    common: &Common,
    agent: Option<&str>,
    places: &[Place],
) -> Result<Edited, Failure> {
    change(env, common, false, |before| {
        let mut draft = Draft::of(before);
        let agent = known(&draft, agent)?;
        bind_all(&mut draft, &agent, places)?;
        Ok(draft.done())
    })
}

/// Removes `agent`'s bindings to `places`, or all of them.
///
/// # Errors
/// There is none, or the file cannot be changed.
pub(crate) fn unbind(
    env: &Env,
    common: &Common,
    agent: Option<&str>,
    places: Option<&[Place]>,
) -> Result<Edited, Failure> {
    change(env, common, false, |before| {
        let mut draft = Draft::of(before);
        let agent = known(&draft, agent)?;
        unbind_all(&mut draft, |binding| {
            binding["agentId"] == agent.as_str()
                && places.is_none_or(|places| places.iter().any(|place| place.is_of(binding)))
        })?;
        Ok(draft.done())
    })
}

fn bind_all(draft: &mut Draft, agent: &str, places: &[Place]) -> Result<(), String> {
    for place in places {
        let list = draft.get(&path::plain("bindings"));
        let list = list.as_array().cloned().unwrap_or_default();
        match list.iter().find(|binding| place.is_of(binding)) {
            Some(binding) if binding["agentId"] == agent => continue,
            Some(binding) => {
                let other = binding["agentId"].as_str().unwrap_or("another").to_owned();
                return Err(format!("\"{other}\" answers there; unbind it first"));
            }
            None => {}
        }
        let mut next = path::plain("bindings");
        next.push(Step::Index(list.len()));
        draft.set(&next, &place.node(agent))?;
    }
    Ok(())
}

fn unbind_all(draft: &mut Draft, is_meant: impl Fn(&Value) -> bool) -> Result<(), String> {
    loop {
        let list = draft.get(&path::plain("bindings"));
        let Some(index) = list.as_array().and_then(|list| list.iter().position(&is_meant)) else {
            return Ok(());
        };
        let mut place = path::plain("bindings");
        place.push(Step::Index(index));
        draft.unset(&place)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    struct Desk(PathBuf, Env, Common);

    impl Desk {
        fn new(name: &str, text: &str) -> Desk {
            let dir =
                std::env::temp_dir().join(format!("barnacle-roster-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&dir);
            std::fs::create_dir_all(&dir).unwrap();
            let file = dir.join("b.json5");
            std::fs::write(&file, text).unwrap();
            let env = Env::of(&[("HOME", dir.to_str().unwrap())]);
            Desk(dir, env, Common { config: Some(file), ..Common::default() })
        }

        fn text(&self) -> String {
            std::fs::read_to_string(self.0.join("b.json5")).unwrap()
        }

        fn says(&self, parts: &[&str]) {
            let text = self.text();
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
    }

    impl Drop for Desk {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const TOKEN: &str = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GaBcDe.abcdefghijklmnopqrstuvwxyz0123456789AB";

    #[test]
    fn accounts_come_and_go_and_comments_stay() {
        let desk = Desk::new("accounts", "{\n  // mine\n  channels: { discord: {} },\n}\n");
        let Desk(_, env, common) = &desk;
        let token = Token::Written(Secret::new(TOKEN));
        assert!(add_account(env, common, "default", &token, None).unwrap().is_changed);
        desk.says(&["// mine", &format!("token: \"{TOKEN}\""), "enabled: true"]);
        let path = desk.0.join("token").display().to_string();
        std::fs::write(&path, "MTIzNDU2Nzg5MDEyMzQ1Njc5.GaBcDe.of-another-bot").unwrap();
        let file = Token::File(path.clone());
        add_account(env, common, "work", &file, Some("Work")).unwrap();
        desk.says(&["work: {", &format!("tokenFile: \"{path}\""), "name: \"Work\""]);
        add_account(env, common, "work", &Token::Environment, None).unwrap();
        assert!(!desk.text().contains("tokenFile"), "{}", desk.text());
        remove_account(env, common, "default", false).unwrap();
        desk.says(&[TOKEN, "default: {", "enabled: false"]);
        remove_account(env, common, "default", true).unwrap();
        assert!(!desk.text().contains(TOKEN), "{}", desk.text());
        remove_account(env, common, "work", true).unwrap();
        assert!(!desk.text().contains("work"), "{}", desk.text());
        assert!(remove_account(env, common, "nobody", true).is_err());
        desk.says(&["// mine"]);
    }

    #[test]
    fn the_first_agent_that_is_named_does_not_replace_the_one_that_answered() {
        let desk = Desk::new("agents", "{ agents: { defaults: { kind: \"echo\" } } } // mine\n");
        let Desk(_, env, common) = &desk;
        let agent = NewAgent {
            id: "ops".to_owned(),
            settings: vec![("workspace", text("/srv/ops"))],
            places: vec![Place::parse("discord").unwrap()],
        };
        add_agent(env, common, &agent).unwrap();
        desk.says(&["main: {", "default: true", "ops: {", "workspace: \"/srv/ops\"", "// mine"]);
        assert!(add_agent(env, common, &agent).unwrap_err().text.contains("already"));
        let place = [Place::parse("Discord:default").unwrap()];
        bind(env, common, Some("ops"), &place).unwrap();
        assert!(!bind(env, common, Some("ops"), &place).unwrap().is_changed, "it is there");
        let refused = bind(env, common, None, &place).unwrap_err();
        assert!(refused.text.contains("\"ops\" answers there"), "{refused}");
        assert_eq!(bindings(env, common).unwrap().len(), 2);
        unbind(env, common, Some("ops"), Some(&place)).unwrap();
        assert_eq!(bindings(env, common).unwrap().len(), 1);
        assert!(bind(env, common, Some("opps"), &place).unwrap_err().text.contains("is ops"));
        delete_agent(env, common, "ops").unwrap();
        assert!(bindings(env, common).unwrap().is_empty() && !desk.text().contains("ops"));
        assert!(delete_agent(env, common, "ops").is_err());
    }

    #[test]
    fn agents_of_a_list_stay_in_their_list() {
        let desk = Desk::new("list", "{ agents: { list: [ { id: \"a\" } ] } }");
        let Desk(_, env, common) = &desk;
        let agent = NewAgent { id: "b".to_owned(), settings: Vec::new(), places: Vec::new() };
        add_agent(env, common, &agent).unwrap();
        desk.says(&["{ id: \"a\" }"]);
        assert!(!desk.text().contains("entries"), "{}", desk.text());
        delete_agent(env, common, "a").unwrap();
        assert!(!desk.text().contains("\"a\"") && desk.text().contains("\"b\""));
    }
}
