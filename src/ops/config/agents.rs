//! Who answers, and where.

use std::time::Duration;

use super::check::{Sources, first, id};
use super::models::Provider;
use super::raw::Node;
use super::read::Reader;
use super::{
    Agent, AgentKind, Binding, Discord, ModelRef, ModelSetup, Walls, Weight, models, reach, tools,
};
use crate::base::{Secret, limits, spell};
use crate::core::chat::ChannelKind;
use crate::core::route::PeerKind;

const ENTRIES: &str = "agents.entries";
const ENTRY: &str = "agents.entries.*";
const LIST: &str = "agents.list";
const ITEM: &str = "agents.list.#";
const COMMAND: &str = "agents.defaults.command";
const URL: &str = "agents.defaults.url";
const ENV: &str = "agents.defaults.env";
const HEADERS: &str = "agents.defaults.headers";
const MODEL: &str = "agents.defaults.model";
/// The agent that needs no name.
const MAIN: &str = "main";

/// Every agent: those of `entries` and `list`, or `main` with the defaults alone. The first is the
/// one that answers where no binding fits.
pub(super) fn agents(
    read: &mut Reader<'_, '_>,
    sources: &Sources<'_>,
    providers: &[Provider],
) -> Vec<Agent> {
    let mut agents: Vec<Agent> = Vec::new();
    let mut chosen = None;
    let agent = |read: &mut Reader<'_, '_>, id: &str| agent(read, sources, providers, id);
    let entries = read.entries(ENTRIES).into_iter().map(|entry| (ENTRY, entry));
    let list = read.entries(LIST).into_iter().map(|entry| (ITEM, entry));
    let mut all: Vec<_> = entries.chain(list).collect();
    if all.len() > limits::AGENTS_MAX {
        let text = format!("only the first {} agents answer", limits::AGENTS_MAX);
        let at = if read.has(ENTRIES) { ENTRIES } else { LIST };
        read.note(Weight::Warning, at, &text, "run a second gateway for the others");
        all.truncate(limits::AGENTS_MAX);
    }
    for (pattern, entry) in &all {
        if !matches!(entry.value, Node::Map(_)) {
            continue;
        }
        let (agent, is_default) = read.within(pattern, entry, |read| {
            if *pattern == ENTRY {
                let is_default = read.flag("agents.entries.*.default");
                return (Some(agent(read, entry.key().trim())), is_default);
            }
            let id = read.text("agents.list.#.id");
            let is_default = read.flag("agents.list.#.default");
            (id.map(|id| agent(read, &id)), is_default)
        });
        let Some(agent) = agent.filter(|agent| !agent.id.is_empty()) else {
            read.note_at(Weight::Warning, entry, "an agent without a name is left out", "add id");
            continue;
        };
        if agents.iter().any(|other| spell::same(&other.id, &agent.id)) {
            let text = "another agent has this name, so this one is left out";
            read.note_at(Weight::Warning, entry, text, "give it a name of its own");
            continue;
        }
        if is_default == Some(true) {
            chosen = chosen.or(Some(agents.len()));
        }
        agents.push(agent);
    }
    if agents.is_empty() {
        return vec![agent(read, MAIN)];
    }
    if let Some(chosen) = chosen {
        agents[..=chosen].rotate_right(1);
    }
    agents
}

fn agent(
    read: &mut Reader<'_, '_>,
    sources: &Sources<'_>,
    providers: &[Provider],
    id: &str,
) -> Agent {
    let deadline = [
        read.span("agents.defaults.timeout"),
        read.span("agents.defaults.timeoutSeconds"),
        read.span("agents.asyncToolTimeout"),
    ];
    Agent {
        id: id.to_owned(),
        kind: kind(read, sources, providers),
        deadline: first(deadline).unwrap_or(limits::TURN_DEADLINE),
        tools: tools::of_agent(read, id),
    }
}

fn kind(read: &mut Reader<'_, '_>, sources: &Sources<'_>, providers: &[Provider]) -> AgentKind {
    let command = read.own(COMMAND, command).filter(|command| !command.is_empty());
    let url = web_address(read, URL);
    let workspace = read.text("agents.defaults.workspace").map(|path| sources.home(&path));
    let env = pairs(read, ENV, "agents.defaults.env.*", is_variable);
    let walls = Walls {
        confine: read.flag("agents.defaults.confine").unwrap_or(false),
        network: read.flag("agents.defaults.network").unwrap_or(true),
        readable: reach::paths(read, sources, "agents.defaults.readable"),
        writable: reach::paths(read, sources, "agents.defaults.writable"),
    };
    let headers = pairs(read, HEADERS, "agents.defaults.headers.*", is_header);
    let cpu = Duration::from_millis(read.whole("agents.defaults.cpuMs").unwrap_or(0));
    let models = models::models(read, sources, providers);
    let setup = setup(read, sources, models);
    let written = read.word("agents.defaults.kind");
    let kind = written.or(match (&command, &url, &setup) {
        (Some(_), ..) => Some("exec"),
        (None, Some(_), _) => Some("http"),
        (None, None, Some(_)) => Some("model"),
        (None, None, None) => None,
    });
    if let (Some("model"), Some(setup)) = (kind, setup) {
        return AgentKind::Model(Box::new(setup));
    }
    match (kind, command, url) {
        (Some("exec"), Some(command), _) => AgentKind::Exec { command, workspace, env, walls },
        (Some("http"), _, Some(url)) => AgentKind::Http { url, headers },
        (Some("exec"), None, _) => {
            let text = "there is no command, so the agent only says back what was said";
            read.note(Weight::Warning, COMMAND, text, "write command: [\"/path/to/program\"]");
            AgentKind::Echo { cpu }
        }
        (Some("http"), _, None) => {
            let text = "there is no url, so the agent only says back what was said";
            read.note(Weight::Warning, URL, text, "write url: \"http://…\"");
            AgentKind::Echo { cpu }
        }
        (Some("model"), ..) => {
            let text = "there is no model, so the agent only says back what was said";
            read.note(Weight::Warning, MODEL, text, "write model: \"provider/model\"");
            AgentKind::Echo { cpu }
        }
        _ => AgentKind::Echo { cpu },
    }
}

/// How the models of an agent are asked; nothing if there are none.
fn setup(
    read: &mut Reader<'_, '_>,
    sources: &Sources<'_>,
    models: Vec<ModelRef>,
) -> Option<ModelSetup> {
    const FILE: &str = "agents.defaults.systemPromptFile";
    let written = read.text("agents.defaults.systemPrompt");
    let file = read.text(FILE).and_then(|path| {
        let text = (sources.file)(&sources.home(&path));
        let tell = |why: &String| {
            let text = format!("the file cannot be read: {why}");
            read.note(Weight::Warning, FILE, &text, "");
        };
        text.inspect_err(tell).ok()
    });
    let tokens_max = read.whole("agents.defaults.maxTokens").unwrap_or(limits::LLM_TOKENS_MAX);
    let window = read.whole("agents.defaults.contextTokens");
    let temperature = read.number("agents.defaults.temperature");
    let budget = models::budget(read);
    let rounds_max = read.whole("agents.defaults.maxToolRounds");
    let rounds_max = rounds_max.and_then(|rounds| u32::try_from(rounds).ok());
    let silence = read.span("agents.defaults.llm.idleTimeoutSeconds");
    (!models.is_empty()).then(|| ModelSetup {
        models,
        system: written.or(file).unwrap_or_default(),
        tokens_max: u32::try_from(tokens_max).unwrap_or(u32::MAX),
        window,
        temperature,
        budget,
        rounds_max: rounds_max.unwrap_or(limits::LLM_ROUNDS_MAX),
        // OpenClaw's word for "as long as it likes".
        silence: silence.map(|span| if span.is_zero() { Duration::MAX } else { span }),
    })
}

/// A program and its arguments: a list, or one text, which is cut at its spaces as no shell reads
/// it.
pub(super) fn command(value: &Node<'_>) -> Option<Vec<String>> {
    match value {
        Node::Text(text) => Some(text.split_whitespace().map(str::to_owned).collect()),
        Node::List(list) => {
            let words = list.iter().map(|item| match item {
                Node::Text(text) if !text.contains('\0') => Some(text.clone().into_owned()),
                Node::Whole(number) => Some(number.to_string()),
                _ => None,
            });
            words
                .collect::<Option<Vec<String>>>()
                .filter(|words| words.first().is_some_and(|program| !program.trim().is_empty()))
        }
        _ => None,
    }
}

/// The web address at `path`.
pub(super) fn web_address(read: &mut Reader<'_, '_>, path: &'static str) -> Option<String> {
    let url = read.text(path)?;
    let is_http = ["http://", "https://"].iter().any(|scheme| {
        let rest = url.get(..scheme.len()).filter(|head| head.eq_ignore_ascii_case(scheme));
        rest.is_some()
            && url.get(scheme.len()..).is_some_and(|rest| {
                rest.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '[' | '_'))
            })
    });
    if !is_http || url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        read.note(Weight::Warning, path, "this is no web address", "write http://… or https://…");
        return None;
    }
    Some(url)
}

/// The names and secret values below `path`; what cannot be used is said and left out.
pub(super) fn pairs(
    read: &mut Reader<'_, '_>,
    path: &'static str,
    pattern: &'static str,
    is_good: fn(&str, &str) -> bool,
) -> Vec<(String, Secret)> {
    let mut pairs = Vec::new();
    let entries = read.entries(path);
    for entry in &entries {
        let value = read.within(pattern, entry, |read| read.text(pattern));
        let Some(value) = value else { continue };
        let name = entry.key();
        if is_good(name, &value) {
            pairs.push((name.to_owned(), Secret::new(&value)));
        } else {
            let text = "the name or the value holds characters that cannot be passed on";
            read.note_at(Weight::Warning, entry, text, "");
        }
    }
    pairs
}

pub(super) fn is_variable(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
}

pub(super) fn is_header(name: &str, value: &str) -> bool {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let is_text = |b: u8| b == b'\t' || (b' '..=b'~').contains(&b);
    !name.is_empty() && name.bytes().all(is_token) && value.bytes().all(is_text)
}

/// Reads true, false and OpenClaw's `auto`, which is true where commands are no burden: here.
pub(super) fn switch(value: &Node<'_>) -> Option<bool> {
    match value {
        Node::Flag(flag) => Some(*flag),
        Node::Text(word) if word.trim() == "auto" => Some(true),
        Node::Text(word) => word.trim().parse().ok(),
        _ => None,
    }
}

/// The bindings that can be understood: one that is not must not send messages to an agent that
/// they are not for.
pub(super) fn bindings(
    read: &mut Reader<'_, '_>,
    agents: &[Agent],
    accounts: &[Discord],
) -> Vec<Binding> {
    let mut bindings = Vec::new();
    let entries = read.entries("bindings");
    for entry in &entries {
        if !matches!(entry.value, Node::Map(_)) {
            continue;
        }
        match read.within("bindings.#", entry, |read| binding(read, agents, accounts)) {
            Ok(binding) => bindings.extend(binding),
            Err((text, cure)) => read.note_at(Weight::Warning, entry, &text, &cure),
        }
    }
    bindings
}

/// The agent called `name`, however it is spelt.
///
/// # Errors
/// There is none; what to do about it.
pub(super) fn called<'a>(
    read: &Reader<'_, '_>,
    agents: &'a [Agent],
    name: &str,
) -> Result<&'a str, String> {
    let mut names = agents.iter().map(|agent| agent.id.as_str());
    if let Some(known) = names.clone().find(|known| spell::same(known, name)) {
        return Ok(known);
    }
    // Where nobody will read it, nothing is guessed.
    let cure = (!read.is_full()).then(|| spell::nearest(name, &mut names)).flatten();
    Err(cure.map_or_else(
        || "add it to agents.entries".to_owned(),
        |name| format!("did you mean \"{name}\"?"),
    ))
}

/// The kind of chat, the chat, and whether both could be read.
fn peer(read: &mut Reader<'_, '_>) -> (Option<PeerKind>, Option<u64>, bool) {
    const PEER: &str = "bindings.#.match.peer.id";
    const KIND: &str = "bindings.#.match.peer.kind";
    let kind = match read.word(KIND) {
        Some("direct" | "dm") => Some(PeerKind::Direct),
        Some(_) => Some(PeerKind::Group),
        None => None,
    };
    // A star is every chat of its kind.
    let peer = read.own(PEER, |value| match value {
        Node::Text(text) if text.trim() == "*" => Some(None),
        value => id(value).map(Some),
    });
    let is_whole = [(PEER, peer.is_some()), (KIND, kind.is_some())];
    let is_whole = is_whole.into_iter().all(|(path, is_read)| is_read || !read.has(path));
    (kind, peer.flatten(), is_whole)
}

/// One binding; `None` if it is for another channel.
fn binding(
    read: &mut Reader<'_, '_>,
    agents: &[Agent],
    accounts: &[Discord],
) -> Result<Option<Binding>, (String, String)> {
    const GUILD: &str = "bindings.#.match.guildId";
    const ROLES: &str = "bindings.#.match.roles";
    let agent = read.text("bindings.#.agentId");
    let channel = read.text("bindings.#.match.channel");
    let channel = channel.filter(|name| name != "*");
    let kind = |name: &String| ChannelKind::ALL.into_iter().find(|k| spell::same(name, k.name()));
    let channel = match channel.as_ref().map(kind) {
        Some(None) => return Ok(None),
        other => other.flatten(),
    };
    let account = read.text("bindings.#.match.accountId");
    let (kind, peer, is_peer_whole) = peer(read);
    let guild = read.own(GUILD, id);
    let roles = read.own(ROLES, |value| match value {
        Node::List(list) => list.iter().map(id).collect::<Option<Vec<u64>>>(),
        single => id(single).map(|id| vec![id]),
    });
    let left_out = |what: &str| {
        (format!("{what}, so the binding is left out"), "correct it, or remove it".to_owned())
    };
    let agent = agent.ok_or_else(|| left_out("it names no agent"))?;
    let known = called(read, agents, &agent).map_err(|cure| {
        ("there is no agent of that name, so the binding is left out".to_owned(), cure)
    })?;
    let is_whole = [(GUILD, guild.is_some()), (ROLES, roles.is_some())];
    let is_whole = is_whole.into_iter().all(|(path, is_read)| is_read || !read.has(path));
    if !is_peer_whole || !is_whole || roles.as_ref().is_some_and(Vec::is_empty) {
        return Err(left_out("an id in it cannot be read"));
    }
    let account = match account.as_deref() {
        Some("*") => None,
        // As in OpenClaw: who names no account means the one that needs no name.
        None => accounts.iter().find(|account| account.id == "default").map(|a| a.id.clone()),
        Some(name) => match accounts.iter().find(|account| spell::same(&account.id, name)) {
            Some(account) => Some(account.id.clone()),
            None => return Err(left_out("there is no account of that name")),
        },
    };
    // Our own chat has no accounts.
    let has_accounts = channel != Some(ChannelKind::WebChat) && accounts.len() > 1;
    let account = account.filter(|_| has_accounts);
    Ok(Some(Binding {
        agent: known.to_owned(),
        channel,
        account,
        peer,
        kind,
        guild,
        roles: roles.unwrap_or_default(),
    }))
}
