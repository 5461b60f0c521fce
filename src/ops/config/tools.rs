//! Who may have which tools used, and who may ask which agent, as the file says it.
//!
//! What cannot be read never opens anything: an unreadable list of what is allowed allows nothing,
//! and an unreadable entry of what is denied denies everything.

use super::Weight;
use super::raw::Node;
use super::read::Reader;
use crate::core::permit::{Entry, Layer, OfAgent, Policy, Sender, Server};

/// Where the three lists stand in one place, and again for each sender.
struct Keys {
    all: [&'static str; 3],
    senders: &'static str,
    sender: &'static str,
    each: [&'static str; 3],
}

/// The keys below a place.
macro_rules! keys {
    ($tools:literal, $senders:literal) => {
        Keys {
            all: [
                concat!($tools, ".allow"),
                concat!($tools, ".alsoAllow"),
                concat!($tools, ".deny"),
            ],
            senders: $senders,
            sender: concat!($senders, ".*"),
            each: [
                concat!($senders, ".*.allow"),
                concat!($senders, ".*.alsoAllow"),
                concat!($senders, ".*.deny"),
            ],
        }
    };
}

const GENERAL: Keys = keys!("tools", "tools.toolsBySender");
const AGENT: Keys = keys!("agents.defaults.tools", "agents.defaults.tools.toolsBySender");
const GUILD: Keys =
    keys!("channels.discord.guilds.*.tools", "channels.discord.guilds.*.toolsBySender");
const CHANNEL: Keys = keys!(
    "channels.discord.guilds.*.channels.*.tools",
    "channels.discord.guilds.*.channels.*.toolsBySender"
);
const ALLOW_FROM: &str = "agents.defaults.allowFrom";
const GUILDS: &str = "channels.discord.guilds";
const CHANNELS: &str = "channels.discord.guilds.*.channels";

/// What holds where nothing more special is said.
pub(super) fn general(read: &mut Reader<'_, '_>) -> Layer {
    layer(read, &GENERAL)
}

/// What holds for the agent that is being read.
pub(super) fn of_agent(read: &mut Reader<'_, '_>, agent: &str) -> OfAgent {
    OfAgent { agent: agent.into(), layer: layer(read, &AGENT), askers: askers(read) }
}

/// What holds in the servers of the account that is being read.
pub(super) fn servers(read: &mut Reader<'_, '_>, account: &str) -> Vec<Server> {
    let mut servers = Vec::new();
    for entry in read.entries(GUILDS) {
        let guild = match place(entry.key()) {
            Some(guild) if matches!(entry.value, Node::Map(_)) => guild,
            // It is said elsewhere that this is no server.
            _ => continue,
        };
        let (layer, channels) = read.within("channels.discord.guilds.*", &entry, |read| {
            (layer(read, &GUILD), channels(read))
        });
        if layer != Layer::default() || !channels.is_empty() {
            servers.push(Server { account: account.into(), guild, layer, channels });
        }
    }
    servers
}

fn channels(read: &mut Reader<'_, '_>) -> Vec<(Option<u64>, Layer)> {
    let mut channels = Vec::new();
    for entry in read.entries(CHANNELS) {
        if !matches!(entry.value, Node::Map(_)) {
            continue;
        }
        let layer = read
            .within("channels.discord.guilds.*.channels.*", &entry, |read| layer(read, &CHANNEL));
        let is_said = layer != Layer::default();
        match place(entry.key()) {
            Some(channel) if is_said || channel.is_some() => channels.push((channel, layer)),
            None if is_said => {
                let text = "tools cannot be told apart by the name of a channel, so what is said \
                            of them here does not hold";
                read.note_at(Weight::Warning, &entry, text, "write the channel's number");
            }
            _ => {}
        }
    }
    // Entries without a word matter only beside others that have some.
    if channels.iter().all(|(_, layer)| *layer == Layer::default()) {
        channels.clear();
    }
    channels
}

/// The number in the key of a server or a channel; the inner nothing is `"*"`.
#[allow(clippy::option_option, reason = "all of them is no key that cannot be read")]
fn place(key: &str) -> Option<Option<u64>> {
    match key.trim() {
        "*" => Some(None),
        number => number.parse().ok().map(Some),
    }
}

fn layer(read: &mut Reader<'_, '_>, keys: &Keys) -> Layer {
    let mut layer = Layer { all: policy(read, &keys.all), by_sender: Vec::new() };
    for entry in read.entries(keys.senders) {
        if !matches!(entry.value, Node::Map(_)) {
            continue;
        }
        let policy = read.within(keys.sender, &entry, |read| policy(read, &keys.each));
        if let Some(sender) = Sender::parse(entry.key()) {
            layer.by_sender.push((sender, policy));
            continue;
        }
        let text = if policy.deny.is_empty() {
            "who is meant is not understood, so it holds for nobody"
        } else {
            "who is meant is not understood, so what is denied here is denied to everybody"
        };
        layer.all.deny.extend(policy.deny);
        read.note_at(Weight::Warning, &entry, text, "write id:USER, role:ROLE, operator, or \"*\"");
    }
    layer
}

fn policy(read: &mut Reader<'_, '_>, [allow, also, deny]: &[&'static str; 3]) -> Policy {
    let (allow, also) = (entries(read, allow), entries(read, also));
    let denied = entries(read, deny);
    let mut denied_all = denied.as_ref().map(|(entries, _)| entries.clone()).unwrap_or_default();
    if denied.is_some_and(|(_, strangers)| strangers > 0) {
        denied_all.extend(Entry::parse("*"));
    }
    Policy {
        allow: allow.map(|(entries, _)| entries),
        also: also.map(|(entries, _)| entries).unwrap_or_default(),
        deny: denied_all,
    }
}

/// The entries of a list of tools, and how many are not understood; `None` if there is none.
fn entries(read: &mut Reader<'_, '_>, path: &'static str) -> Option<(Vec<Entry>, usize)> {
    let mut strangers = 0;
    let listed = read.own(path, |value| {
        let read = texts(value)?.into_iter().map(|text| text.and_then(Entry::parse));
        let read: Vec<Option<Entry>> = read.collect();
        strangers = read.iter().filter(|entry| entry.is_none()).count();
        Some(read.into_iter().flatten().collect())
    });
    if strangers > 0 {
        let is_deny = path.rsplit('.').next() == Some("deny");
        let then = if is_deny { "so every tool is denied" } else { "and allow nothing" };
        let text = format!("{strangers} of the entries are not understood, {then}");
        read.note(Weight::Warning, path, &text, "write tools as react or send_message(channel:7)");
    }
    match listed {
        Some(listed) => Some((listed, strangers)),
        // What is no list was meant to say something.
        None => read.has(path).then_some((Vec::new(), 1)),
    }
}

fn askers(read: &mut Reader<'_, '_>) -> Option<Vec<Sender>> {
    let mut strangers = 0;
    let listed = read.own(ALLOW_FROM, |value| {
        let read = match value {
            Node::Whole(number) => vec![Sender::parse(&number.to_string())],
            other => texts(other)?.into_iter().map(|text| text.and_then(Sender::parse)).collect(),
        };
        strangers = read.iter().filter(|sender| sender.is_none()).count();
        Some(read.into_iter().flatten().collect::<Vec<Sender>>())
    });
    if strangers > 0 {
        let text = format!("{strangers} of the entries are not understood and admit nobody");
        read.note(
            Weight::Warning,
            ALLOW_FROM,
            &text,
            "write id:USER, role:ROLE, operator or \"*\"",
        );
    }
    listed.or_else(|| read.has(ALLOW_FROM).then(Vec::new))
}

/// The texts of a list, or a single one; `None` in it is no text.
fn texts<'n>(value: &'n Node<'_>) -> Option<Vec<Option<&'n str>>> {
    let text = |value: &'n Node<'_>| match value {
        Node::Text(text) => Some(&**text),
        _ => None,
    };
    match value {
        Node::List(list) => Some(list.iter().map(text).collect()),
        single @ Node::Text(_) => Some(vec![text(single)]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Env, Mistake, files};
    use crate::core::chat::{Request, sample};
    use crate::core::permit::{To, Verdict};

    fn read(text: &str) -> (Config, Vec<Mistake>) {
        files::parse(text, &Env::default()).expect("fine")
    }

    /// What is said of `tool` for user 7 with role 3 in channel 5 of server 9.
    fn judged(text: &str, tool: &str) -> Verdict {
        let asker =
            Request { guild: Some(9), author: 7, roles: [3].into(), ..sample::request(5, 100) };
        read(text).0.permits().judge(tool, To::Own, &asker)
    }

    #[test]
    fn every_place_of_the_file_counts_and_the_special_beats_the_general() {
        use Verdict::{Absent, Allowed, Denied};
        for (text, tool, verdict) in [
            ("{}", "react", Allowed),
            ("{}", "run", Absent),
            ("{tools: {allow: ['run']}}", "run", Allowed),
            ("{tools: {allow: ['run']}}", "react", Denied),
            ("{tools: {alsoAllow: ['exec']}}", "run", Allowed),
            ("{tools: {alsoAllow: 'run', deny: ['group:runtime']}}", "run", Denied),
            ("{tools: {toolsBySender: {'id:7': {alsoAllow: ['run']}}}}", "run", Allowed),
            ("{tools: {toolsBySender: {'id:8': {alsoAllow: ['run']}}}}", "run", Denied),
            ("{tools: {toolsBySender: {'role:3': {alsoAllow: ['run']}}}}", "run", Allowed),
            ("{agents: {defaults: {tools: {alsoAllow: ['run']}}}}", "run", Allowed),
            ("{agents: {entries: {main: {tools: {alsoAllow: ['run']}}}}}", "run", Allowed),
            ("{agents: {list: [{id: 'main', tools: {alsoAllow: ['run']}}]}}", "run", Allowed),
            (
                "{tools: {alsoAllow: ['run']}, channels: {discord: {guilds: {'9': {tools: \
                 {allow: []}}}}}}",
                "run",
                Denied,
            ),
            (
                "{channels: {discord: {guilds: {'9': {toolsBySender: {'*': {alsoAllow: \
                 ['run']}}}}}}}",
                "run",
                Allowed,
            ),
            (
                "{channels: {discord: {guilds: {'*': {channels: {'5': {tools: {alsoAllow: \
                 ['run']}}}}}}}}",
                "run",
                Allowed,
            ),
            (
                "{channels: {discord: {guilds: {'9': {channels: {'5': {}, '*': {tools: \
                 {alsoAllow: ['run']}}}}}}}}",
                "run",
                Denied,
            ),
        ] {
            assert_eq!(judged(text, tool), verdict, "{text} {tool}");
        }
    }

    #[test]
    fn what_cannot_be_read_opens_nothing_and_is_said() {
        for (text, tool) in [
            ("{tools: {allow: 7}}", "react"),
            ("{tools: {allow: ['a b']}}", "react"),
            ("{tools: {deny: ['a b']}}", "react"),
            ("{tools: {deny: {}}}", "react"),
            ("{tools: {deny: [7]}}", "react"),
            ("{tools: {toolsBySender: {'name:ann': {deny: ['react']}}}}", "react"),
            ("{tools: {toolsBySender: {'name:ann': {alsoAllow: ['run']}}}}", "run"),
            ("{tools: {alsoAllow: ['run(everywhere)']}}", "run"),
        ] {
            assert_ne!(judged(text, tool), Verdict::Allowed, "{text}");
            assert!(!read(text).1.is_empty(), "{text}");
        }
    }

    #[test]
    fn who_may_ask_an_agent_is_read_and_doubt_admits_nobody() {
        let may = |written: &str| {
            let text = format!("{{agents: {{entries: {{main: {{allowFrom: {written}}}}}}}}}");
            let request = Request { author: 7, ..sample::request(5, 100) };
            read(&text).0.permits().may_ask(&request)
        };
        assert!(may("['7']") && may("'id:7'") && may("7") && may("['*']"));
        assert!(!may("['8']") && !may("[]") && !may("{}") && !may("['ann']"));
    }
}
