//! What the keys mean together: which one beats which, what is safe where the file is unclear,
//! and what a person should hear about it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::env::{Env, UNSET};
use super::prune::prune;
use super::raw::Node;
use super::read::{Reader, whole_of};
use super::{
    Config, LogFile, Mistake, accounts, agents, cron, gateway, media, models, reach, router,
    session, tools, turns,
};
use crate::base::{Secret, limits, spell};

/// What an account's token is in place of a written one, or where it was looked for.
pub(crate) type Token = (Option<Secret>, String);

/// What is known besides the file itself.
pub(crate) struct Sources<'a> {
    /// The environment.
    pub(crate) env: &'a Env,
    /// What it offers as the token of the account of this name.
    pub(crate) token: &'a dyn Fn(&str) -> Token,
    /// What the small file at this path holds.
    pub(crate) file: &'a dyn Fn(&Path) -> Result<String, String>,
}

impl<'a> Sources<'a> {
    /// The environment alone: no tokens, no files.
    pub(crate) fn bare(env: &'a Env) -> Sources<'a> {
        Sources {
            env,
            token: &|_| (None, "nowhere".to_owned()),
            file: &|_| Err("no files are read here".to_owned()),
        }
    }

    /// The path that `written` means: `~/` is the home directory.
    pub(crate) fn home(&self, written: &str) -> PathBuf {
        match (written.strip_prefix("~/"), self.env.path("HOME")) {
            (Some(below), Some(home)) => home.join(below),
            _ => PathBuf::from(written),
        }
    }
}

/// Makes a [`Config`] of `root`, which was parsed from `text`.
pub(crate) fn check(
    text: &str,
    mut root: Node<'_>,
    sources: &Sources<'_>,
) -> (Config, Vec<Mistake>) {
    let pruned = prune(text, &mut root);
    let mut read = Reader::new(text, &root, pruned, sources.env);
    let config = all(&mut read, sources);
    (config, read.finish())
}

fn all(read: &mut Reader<'_, '_>, sources: &Sources<'_>) -> Config {
    let accounts = accounts::accounts(read, sources);
    let providers = models::providers(read, sources);
    let agents = agents::agents(read, sources, &providers);
    let bindings = agents::bindings(read, &agents, &accounts);
    let router = router::rules(read, &agents, &accounts, &bindings);
    let session = session::session(read, &accounts);
    Config {
        accounts,
        gateway: gateway::gateway(read, sources),
        agents,
        bindings,
        router,
        media: media::media(read, sources, &providers),
        completions: read.flag("gateway.http.endpoints.chatCompletions.enabled").unwrap_or(false),
        outside: reach::outside(read, sources),
        tools: tools::general(read),
        cron: cron::cron(read),
        session,
        turns: turns::rules(read),
        log_level: log_level(read, sources.env),
        log_file: log_file(read, sources),
        ca_file: read.text("net.caFile").map(|path| sources.home(&path)),
    }
}

fn log_level(read: &mut Reader<'_, '_>, env: &Env) -> String {
    let written = read.word("logging.level").map(|word| match word {
        "silent" => "off",
        "fatal" => "error",
        word => word,
    });
    let level = first([env.get("BARNACLE_LOG"), env.get("RUST_LOG"), written]);
    level.unwrap_or("info").to_owned()
}

fn log_file(read: &mut Reader<'_, '_>, sources: &Sources<'_>) -> Option<LogFile> {
    let path = read.text("logging.file").map(|path| sources.home(&path));
    let bytes_max = read.whole("logging.maxFileBytes").unwrap_or(limits::LOG_FILE_BYTES);
    Some(LogFile { path: path?, bytes_max })
}

/// The first that is there: how one key beats another.
pub(super) fn first<T>(candidates: impl IntoIterator<Item = Option<T>>) -> Option<T> {
    candidates.into_iter().flatten().next()
}

/// A number that Discord gave somebody or something, as people write it: bare, quoted, as a
/// mention, with OpenClaw's prefixes.
pub(super) fn id(entry: &Node<'_>) -> Option<u64> {
    let Node::Text(text) = entry else { return whole_of(entry) };
    let mut text = text.trim();
    for prefix in ["discord:", "user:", "role:", "channel:", "guild:"] {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    let text = text.strip_prefix("<").and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    text.trim_start_matches(['@', '#', '!', '&']).parse().ok()
}

/// A secret as it is written: itself, or where it is.
pub(super) enum Written {
    /// The text.
    Text(String),
    /// OpenClaw's reference: `{source, id}`.
    Reference(String, String),
}

/// Reads a secret; for [`Reader::own`].
pub(super) fn secret(value: &Node<'_>) -> Option<Written> {
    match value {
        Node::Text(text) => Some(Written::Text(text.clone().into_owned())),
        Node::Map(map) => {
            let part = |wanted: &str| {
                let (_, value) = map.iter().find(|(name, _)| spell::same(name.as_str(), wanted))?;
                if let Node::Text(text) = value { Some(Cow::as_ref(text).to_owned()) } else { None }
            };
            Some(Written::Reference(part("source")?, part("id")?))
        }
        _ => None,
    }
}

/// The text of a secret.
///
/// # Errors
/// Why it cannot be had.
pub(super) fn secret_text(written: &Written, sources: &Sources<'_>) -> Result<String, String> {
    match written {
        Written::Text(text) => Ok(text.trim().to_owned()),
        Written::Reference(source, name) if source == "env" => {
            let value = sources.env.get(name).map(str::to_owned);
            value.ok_or_else(|| format!("the variable {name}{UNSET}"))
        }
        Written::Reference(source, name) if source == "file" && name.starts_with('/') => {
            (sources.file)(Path::new(name)).map_err(|why| format!("the file cannot be read: {why}"))
        }
        Written::Reference(..) => Err("this kind of reference cannot be followed".to_owned()),
    }
}

#[cfg(test)]
mod cost;
#[cfg(test)]
mod tests;
