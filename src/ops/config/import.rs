//! Taking over a file of OpenClaw's: what works here stays as it is written, with its comments;
//! what does not is taken out and named; and where its defaults differ from ours, they are
//! written down.

use super::edit;
use super::index::Spot;
use super::keys::Stand;
use super::path::{self, Step};
use super::raw::{self, Fault, Node};
use crate::base::limits;

/// A file that was taken over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Imported {
    /// Our file.
    pub(crate) text: String,
    /// The settings that were taken over.
    pub(crate) taken: Vec<String>,
    /// Those that were not, each with its reason.
    pub(crate) left: Vec<(String, &'static str)>,
    /// Those that were added, since OpenClaw's default is another: path and value.
    pub(crate) added: Vec<(String, &'static str)>,
    /// The variables that the file names.
    pub(crate) variables: Vec<String>,
}

/// Where OpenClaw's defaults are others than ours.
const DEFAULTS: [(&str, &str); 3] = [
    ("channels.discord.dmPolicy", "pairing"),
    ("channels.discord.groupPolicy", "allowlist"),
    ("channels.discord.replyToMode", "off"),
];

/// Takes over `text`.
///
/// # Errors
/// The first fault of its syntax.
pub(crate) fn import(text: &str) -> Result<Imported, Fault> {
    let root = raw::parse(text)?;
    let mut sorted = Sorted::default();
    sorted.walk(&mut Vec::new(), &root);
    let Sorted { taken, left, variables } = sorted;
    let mut out = text.to_owned();
    let mut named = Vec::new();
    // From behind, so that places in lists stay what they are.
    for (at, reason) in left.iter().rev() {
        // Each removal reads the whole file: of very many, the rest stays and does nothing.
        if named.len() < limits::CONFIG_MISTAKES_MAX
            && let Ok(Some(fresh)) = edit::unset(&out, at)
        {
            out = fresh;
        }
        named.push((path::show(at), *reason));
    }
    named.reverse();
    let mut added = Vec::new();
    let has_discord = edit::get(&root, &path::plain("channels.discord")).is_some();
    for (key, default) in DEFAULTS.iter().filter(|_| has_discord) {
        let steps = path::plain(key);
        let old = edit::get(&root, &path::plain("channels.discord.dm.policy"));
        let is_said = edit::get(&root, &steps).is_some_and(|value| *value != Node::Null)
            || key.ends_with("dmPolicy") && old.is_some()
            || key.ends_with("groupPolicy")
                && edit::get(&root, &path::plain("channels.defaults.groupPolicy")).is_some();
        if is_said {
            continue;
        }
        if let Ok(fresh) = edit::set(&out, &steps, &Node::Text((*default).into())) {
            out = fresh;
            added.push(((*key).to_owned(), *default));
        }
    }
    Ok(Imported { text: out, taken, left: named, added, variables })
}

/// What is in a file, by what becomes of it.
#[derive(Default)]
struct Sorted {
    taken: Vec<String>,
    left: Vec<(Vec<Step<'static>>, &'static str)>,
    variables: Vec<String>,
}

impl Sorted {
    fn walk(&mut self, at: &mut Vec<Step<'static>>, node: &Node<'_>) {
        let below: Vec<(Step<'static>, &Node<'_>)> = match node {
            Node::Map(map) => {
                map.iter().map(|(name, value)| (Step::name(name.as_str()).owned(), value)).collect()
            }
            Node::List(list) => list.iter().enumerate().map(|(n, v)| (Step::Index(n), v)).collect(),
            _ => return,
        };
        for (step, value) in below {
            at.push(step);
            let spot = Spot::at(at);
            match spot.key() {
                Some(key) if key.stand == Stand::Works => {
                    self.taken.push(path::show(at));
                    self.references(value);
                }
                Some(key) => self.left.push((at.clone(), key.doc)),
                None if spot.is_section() => self.walk(at, value),
                None => self.left.push((at.clone(), "not known here")),
            }
            at.pop();
        }
    }

    /// The variables that a value names.
    fn references(&mut self, value: &Node<'_>) {
        match value {
            Node::Text(text) => {
                for part in text.split("${").skip(1) {
                    if let Some((name, _)) = part.split_once('}')
                        && !self.variables.iter().any(|known| known == name)
                    {
                        self.variables.push(name.to_owned());
                    }
                }
            }
            Node::List(list) => list.iter().for_each(|item| self.references(item)),
            Node::Map(map) => {
                let part = |wanted: &str| {
                    let found = map.iter().find(|(name, _)| name.as_str() == wanted)?;
                    if let Node::Text(text) = &found.1 { Some(text.as_ref()) } else { None }
                };
                match (part("source"), part("id")) {
                    (Some("env"), Some(name)) => self.variables.push(name.to_owned()),
                    _ => map.iter().for_each(|(_, item)| self.references(item)),
                }
            }
            _ => {}
        }
    }
}

/// The names that a `.env` file sets; its values are nobody's business here.
pub(crate) fn names_in_env_file(text: &str) -> Vec<&str> {
    let name = |line: &'_ str| -> Option<usize> { line.find('=') };
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
            let name = line.get(..name(line)?)?.trim();
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            (!name.is_empty() && name.chars().all(is_name)).then_some(name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Env, files};
    use super::*;

    const OPENCLAW: &str = r#"{
  // written by the wizard
  "meta": { "lastTouchedVersion": "2026.9.6" },
  "agents": { "defaults": { "model": { "primary": "ollama/y" }, "workspace": "~/w" } },
  "channels": {
    "telegram": { "botToken": "${TELEGRAM_BOT_TOKEN}" },
    "discord": {
      "enabled": true,
      "token": "${DISCORD_BOT_TOKEN}", // from the environment
      "groupPolicy": "open",
      "dmHistoryLimit": 20,
      "guilds": { "81384788765712384": { "slug": "club", "requireMention": false } }
    }
  },
  "gateway": { "port": 18789, "mode": "local", "auth": { "token": "abc" } },
  "bindings": [
    { "agentId": "main", "match": { "channel": "discord", "teamId": "x" } }
  ],
  "vendor": 1
}
"#;

    #[test]
    fn what_works_stays_as_written_and_the_rest_is_named() {
        let imported = import(OPENCLAW).expect("it can be read");
        let left: Vec<&str> = imported.left.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            left,
            [
                "meta",
                "channels.telegram",
                "channels.discord.dmHistoryLimit",
                "channels.discord.guilds.81384788765712384.slug",
                "gateway.mode",
                "bindings[0].match.teamId",
                "vendor",
            ]
        );
        assert!(imported.taken.contains(&"channels.discord.token".to_owned()));
        assert_eq!(imported.variables, ["DISCORD_BOT_TOKEN"]);
        let added: Vec<&str> = imported.added.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(added, ["channels.discord.dmPolicy", "channels.discord.replyToMode"]);
        let text = &imported.text;
        assert!(text.contains("  // written by the wizard\n"), "{text}");
        assert!(
            text.contains("\"token\": \"${DISCORD_BOT_TOKEN}\", // from the environment"),
            "{text}"
        );
        assert!(!text.contains("wizard\n  \"meta\"") && !text.contains("dmHistoryLimit"), "{text}");
        // Strict JSON stays as strict as it was, comments aside.
        assert!(!text.contains(",\n  }") && !text.contains(", }"), "{text}");
        let env = Env::of(&[("DISCORD_BOT_TOKEN", "t")]);
        let (_, mistakes) = files::parse(text, &env).expect("it can be read");
        assert_eq!(mistakes, []);
    }

    #[test]
    fn what_is_taken_over_means_the_same() {
        let env = Env::of(&[("DISCORD_BOT_TOKEN", "t")]);
        let (before, _) = files::parse(OPENCLAW, &env).expect("it can be read");
        let imported = import(OPENCLAW).expect("it can be read");
        let (after, _) = files::parse(&imported.text, &env).expect("it can be read");
        assert_eq!(before.gateway, after.gateway);
        assert_eq!(before.accounts[0].access, after.accounts[0].access);
        assert_eq!(before.accounts[0].token, after.accounts[0].token);
    }

    #[test]
    fn a_file_of_strangers_costs_a_bounded_time() {
        let keys: Vec<String> = (0..3000).map(|n| format!("k{n}: 1")).collect();
        let imported = import(&format!("{{{}}}", keys.join(","))).expect("it can be read");
        assert_eq!(imported.left.len(), 3000);
        assert!(imported.text.contains("k5: 1") && !imported.text.contains("k2999: 1"));
    }

    #[test]
    fn only_the_names_of_an_env_file_are_read() {
        let text = "# X=1\nexport A=b=c\n B = 'd'\n=e\nnot a line\nC-D=1\n";
        assert_eq!(names_in_env_file(text), ["A", "B"]);
    }
}
