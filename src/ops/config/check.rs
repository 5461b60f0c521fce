//! What the keys mean together: which one beats which, what is safe where the file is unclear,
//! and what a person should hear about it.

use std::path::PathBuf;
use std::time::Duration;

use super::env::Env;
use super::keys::Unit;
use super::raw::Node;
use super::read::{Reader, span_of};
use super::{
    Agent, AgentKind, Config, Discord, Gateway, Intents, Keepalive, Mistake, Reconnect, Weight,
};
use crate::base::{Secret, backoff, limits, spell};
use crate::core::access::{Access, Policy};
use crate::proto::discord::intents;

/// What came from the environment in place of `channels.discord.token`.
pub(crate) type Token = (Option<Secret>, String);

/// Makes a [`Config`] of `root`, which was parsed from `text`. `token` is what the environment
/// offers for a file that has none.
pub(crate) fn check(text: &str, root: Node<'_>, env: &Env, token: Token) -> (Config, Vec<Mistake>) {
    let mut read = Reader::new(text, root, env);
    let config = all(&mut read, env, token);
    (config, read.finish())
}

fn all(read: &mut Reader<'_>, env: &Env, token: Token) -> Config {
    pick_account(read);
    Config {
        discord: discord(read, env, token),
        gateway: gateway(read, env),
        agent: agent(read),
        log_level: log_level(read, env),
        ca_file: read.text("net.caFile").map(PathBuf::from),
    }
}

/// Lays the keys of the one account that is used over those of the channel.
fn pick_account(read: &mut Reader<'_>) {
    const PATH: &str = "channels.discord.accounts";
    let Some((_, Node::Map(accounts))) = read.get(PATH) else {
        read.own(PATH, |_| None::<()>);
        return;
    };
    let default = accounts.iter().find(|(name, _)| spell::same(name.as_str(), "default"));
    let Some((name, Node::Map(account))) = default.or(accounts.first()) else { return };
    let text = format!("only the account \"{}\" is used for now", name.as_str());
    let (others, account) = (accounts.len() > 1, account.clone());
    if others {
        read.note(Weight::Warning, PATH, &text, "run one gateway for each of the others");
    }
    read.overlay("channels.discord", account);
}

fn discord(read: &mut Reader<'_>, env: &Env, (token, from): Token) -> Discord {
    const TOKEN: &str = "channels.discord.token";
    let written = read.text(TOKEN);
    let usable = written.as_deref().and_then(bot_token);
    if written.is_some() && usable.is_none() {
        read.note(Weight::Warning, TOKEN, "this is no token", "copy it from Discord's portal");
    }
    let (token, token_from) = match usable {
        Some(usable) => (Some(usable), TOKEN.to_owned()),
        None => (token, from),
    };
    Discord {
        enabled: read.flag("channels.discord.enabled").unwrap_or(true),
        token,
        token_from,
        api_url: env.get("DISCORD_API_URL").map(|url| url.trim_end_matches('/').to_owned()),
        access: access(read),
        intents: intents(read),
        compress: compress(read),
        keepalive: keepalive(read),
        reconnect: reconnect(read),
    }
}

/// A token as Discord gives it, without the `Bot ` that people copy along; `None` for what cannot
/// be one: placeholders of guides, and characters that no header carries.
pub(crate) fn bot_token(text: &str) -> Option<Secret> {
    let text = text.trim();
    let token = text.strip_prefix("Bot ").unwrap_or(text).trim();
    let is_plain = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    (is_plain && !token.starts_with("YOUR_")).then(|| Secret::new(token))
}

/// Who is answered. Without any word about it: direct messages, and mentions in servers. With one,
/// what the file leaves open stays closed, as in OpenClaw: whoever closes one door must not find
/// the other wide open.
fn access(read: &mut Reader<'_>) -> Access {
    const KEYS: [&str; 8] = [
        "channels.discord.dmPolicy",
        "channels.discord.dm.policy",
        "channels.discord.dm.enabled",
        "channels.discord.groupPolicy",
        "channels.defaults.groupPolicy",
        "channels.discord.allowFrom",
        "channels.discord.dm.allowFrom",
        "channels.discord.guilds",
    ];
    let [dm, old_dm, old_enabled, group, all_groups, from, old_from, guilds] = KEYS;
    let is_configured = KEYS.iter().any(|key| read.has(key));
    let (older, newer) = (users(read, old_from), users(read, from));
    let (allow_from, everybody) = newer.or(older).unwrap_or_default();
    let mut dms = policy(read, &[dm, old_dm], is_configured);
    if read.flag(old_enabled) == Some(false) {
        dms = Policy::Disabled;
    }
    if dms == Policy::Allowlist && everybody {
        dms = Policy::Open;
    }
    Access {
        dms,
        groups: policy(read, &[group, all_groups], is_configured),
        allow_from,
        guilds: servers(read, guilds),
        require_mention: read.flag("channels.discord.requireMention"),
    }
}

fn policy(read: &mut Reader<'_>, keys: &[&'static str; 2], is_configured: bool) -> Policy {
    let words = keys.map(|key| read.word(key));
    let Some(at) = keys.iter().position(|key| read.has(key)) else {
        if !is_configured {
            return Policy::Default;
        }
        let text = "not set, so only who is listed is answered: other keys close doors";
        let cure = "write \"open\" here to answer everybody";
        read.note(Weight::Note, keys[0], text, cure);
        return Policy::Allowlist;
    };
    match words[at] {
        Some("open") => Policy::Open,
        Some("disabled") => Policy::Disabled,
        Some("pairing") => {
            let text = "pairing is not there yet: only who is listed is answered";
            read.note(Weight::Warning, keys[at], text, "list users in allowFrom");
            Policy::Allowlist
        }
        // What cannot be read was reported, and must not open a door.
        _ => Policy::Allowlist,
    }
}

/// The users that are listed, and whether everybody is ("*"); `None` if there is no list.
fn users(read: &mut Reader<'_>, path: &'static str) -> Option<(Vec<u64>, bool)> {
    let mut strangers = 0;
    let listed = read.own(path, |value| {
        let entries = match value {
            Node::List(entries) => entries.as_slice(),
            single @ (Node::Text(_) | Node::Whole(_) | Node::Large(_)) => {
                std::slice::from_ref(single)
            }
            _ => return None,
        };
        let everybody = entries.iter().any(|entry| matches!(entry, Node::Text(t) if t == "*"));
        let ids: Vec<u64> = entries.iter().filter_map(id).collect();
        strangers = entries.len() - ids.len() - usize::from(everybody);
        Some((ids, everybody))
    });
    if strangers > 0 {
        let text = format!("{strangers} of the entries are no user ids and admit nobody");
        let cure = "use the numbers that Discord's developer mode copies";
        read.note(Weight::Warning, path, &text, cure);
    }
    listed
}

/// The servers that are listed. One whose object narrows down who is answered is left out: it
/// must not be open wider than it says.
fn servers(read: &mut Reader<'_>, path: &'static str) -> Vec<u64> {
    let (mut strangers, mut narrowed) = (0, 0);
    let ids = read.own(path, |value| {
        let Node::Map(servers) = value else { return None };
        let mut ids = Vec::new();
        for (name, rules) in servers {
            let narrows = |key: &str| ["users", "roles", "channels"].contains(&key);
            match (name.as_str().parse().ok(), rules) {
                (None, _) => strangers += 1,
                (_, Node::Map(rules)) if rules.iter().any(|(key, _)| narrows(key.as_str())) => {
                    narrowed += 1;
                }
                (Some(id), _) => ids.push(id),
            }
        }
        Some(ids)
    });
    if narrowed > 0 {
        let text = format!("users, roles and channels are not yet applied: {narrowed} left out");
        read.note(Weight::Warning, path, &text, "list the server with {} to admit all of it");
    }
    if strangers > 0 {
        let text = format!("{strangers} of the entries are no server ids and admit nobody");
        read.note(Weight::Warning, path, &text, "use the numbers that developer mode copies");
    }
    ids.unwrap_or_default()
}

/// A user's number, as people write it: bare, quoted, as a mention, with OpenClaw's prefixes.
fn id(entry: &Node<'_>) -> Option<u64> {
    match entry {
        Node::Whole(number) => u64::try_from(*number).ok(),
        Node::Large(number) => Some(*number),
        Node::Text(text) => {
            let text = text.trim().trim_start_matches("discord:").trim_start_matches("user:");
            text.trim_start_matches("<@").trim_start_matches('!').trim_end_matches('>').parse().ok()
        }
        _ => None,
    }
}

fn intents(read: &mut Reader<'_>) -> Intents {
    const PATH: &str = "channels.discord.intents";
    let mut strangers = Vec::new();
    let written = read.own(PATH, |value| match value {
        Node::Text(text) if spell::same(text, "agentRecommended") => {
            Some(Intents::AgentRecommended)
        }
        Node::Text(text) if spell::same(text, "default") => Some(Intents::Default),
        Node::Whole(_) | Node::Large(_) | Node::Text(_) => {
            id(value).and_then(|bits| u32::try_from(bits).ok()).map(Intents::Bits)
        }
        Node::List(names) => Some(Intents::Bits(sum(names, &mut strangers)?)),
        Node::Map(switches) => {
            let mut all = intents::DEFAULT;
            for (name, value) in switches {
                match (intents::bits(name.as_str()), value) {
                    (Some(bits), Node::Flag(true)) => all |= bits,
                    (Some(bits), Node::Flag(false)) => all &= !bits,
                    _ => strangers.push(name.as_str().to_owned()),
                }
            }
            Some(Intents::Bits(all))
        }
        _ => None,
    });
    if !strangers.is_empty() {
        let text = format!("{} of the entries are not understood", strangers.len());
        let known = intents::TABLE.iter().map(|(name, ..)| *name);
        let meant = strangers.iter().find_map(|name| spell::nearest(name, known.clone()));
        let cure = meant.map_or_else(
            || "write names such as \"GUILD_MESSAGES\"".to_owned(),
            |name| format!("did you mean {name}?"),
        );
        read.note(Weight::Warning, PATH, &text, &cure);
    }
    if let Some(Intents::Bits(bits)) = written
        && bits & intents::MESSAGE_CONTENT == 0
    {
        let text = "without MESSAGE_CONTENT, only messages that mention the bot carry their text";
        read.note(Weight::Note, PATH, text, "");
    }
    written.unwrap_or(Intents::Default)
}

fn sum(names: &[Node<'_>], strangers: &mut Vec<String>) -> Option<u32> {
    let mut all = 0;
    for name in names {
        let Node::Text(name) = name else { return None };
        match intents::bits(name.trim()) {
            Some(bits) => all |= bits,
            None => strangers.push(name.to_string()),
        }
    }
    Some(all)
}

fn compress(read: &mut Reader<'_>) -> bool {
    const PATH: &str = "channels.discord.compress";
    let mut is_zstd = false;
    let compress = read.own(PATH, |value| match value {
        Node::Flag(flag) => Some(*flag),
        Node::Text(text) if spell::same(text.trim(), "zstd-stream") => {
            is_zstd = true;
            Some(true)
        }
        Node::Text(text) if spell::same(text.trim(), "zlib-stream") => Some(true),
        Node::Text(text) => text.trim().parse().ok(),
        _ => None,
    });
    if is_zstd {
        let text = "served as zlib-stream, which takes a fraction of the memory";
        read.note(Weight::Note, PATH, text, "");
    }
    compress.unwrap_or(true)
}

/// The channel's own word beats `connection.keepAlive`.
fn keepalive(read: &mut Reader<'_>) -> Option<Keepalive> {
    const PATH: &str = "channels.discord.tcpKeepalive";
    let enabled = read.flag("connection.keepAlive.enabled").unwrap_or(true);
    let idle = read.span("connection.keepAlive.interval").unwrap_or(limits::KEEPALIVE_IDLE);
    let interval = read.span("connection.keepAlive.timeout").unwrap_or(limits::KEEPALIVE_INTERVAL);
    let own = read.own(PATH, |value| match value {
        Node::Flag(flag) => Some((*flag, None)),
        value => span_of(value, Unit::Seconds)
            .filter(|idle| (1..=3600).contains(&idle.as_secs()))
            .map(|idle| (true, Some(idle))),
    });
    let (enabled, idle) = match own {
        Some((enabled, own_idle)) => (enabled, own_idle.unwrap_or(idle)),
        None => (enabled, idle),
    };
    enabled.then_some(Keepalive { idle, interval, probes: limits::KEEPALIVE_PROBES })
}

fn reconnect(read: &mut Reader<'_>) -> Reconnect {
    let auto = [
        read.flag("channels.discord.reconnect.enabled"),
        read.flag("channels.discord.autoReconnect"),
        read.flag("connection.autoReconnect"),
    ];
    let tries = [
        read.whole("channels.discord.reconnect.maxRetries"),
        read.whole("channels.discord.maxReconnectAttempts"),
    ];
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let strikes = read.whole("channels.discord.reconnect.resumeAttempts");
    Reconnect {
        auto: first(auto).unwrap_or(true),
        slow_after: first(tries).map(small),
        backoff: backoff(read),
        resume: read.flag("channels.discord.reconnect.resumeSession").unwrap_or(true),
        strikes_max: strikes.map_or(limits::RESUME_STRIKES_MAX, small),
        session_ttl: read.span("channels.discord.reconnect.sessionCacheTtl"),
    }
}

fn backoff(read: &mut Reader<'_>) -> backoff::Policy {
    let growth = [
        read.number("channels.discord.reconnect.backoffBase"),
        read.number("connection.backoff.multiplier"),
    ];
    let cap = [
        read.span("channels.discord.reconnect.backoffMax"),
        read.span("connection.backoff.maxDelay"),
    ];
    let initial = read.span("connection.backoff.initialDelay");
    let interval = read.span("channels.discord.reconnectInterval");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the table bounds the factor to 1..=10"
    )]
    let growth_percent =
        first(growth).map_or(limits::RETRY_GROWTH_PERCENT, |factor| (factor * 100.0) as u32);
    let grown = initial.map(|initial| initial * growth_percent / 100);
    let waits = backoff::Policy {
        first: initial.unwrap_or(limits::RETRY_FIRST),
        second: first([interval, grown]).unwrap_or(limits::RETRY_SECOND),
        growth_percent,
        cap: first(cap).unwrap_or(limits::RETRY_CAP),
    };
    let longest = waits.first.max(waits.second);
    // Asked for longer waits than the cap allows: the person's own number counts.
    backoff::Policy { cap: waits.cap.max(longest), ..waits }
}

fn gateway(read: &mut Reader<'_>, env: &Env) -> Gateway {
    // That is the only mode there is, so reading it is all: another one is a mistake.
    let _ = read.word("gateway.auth.mode");
    let port = read.whole("gateway.port").and_then(|port| u16::try_from(port).ok());
    let port_of_env = || env.get("OPENCLAW_GATEWAY_PORT")?.trim().parse().ok();
    let token_of_env = || env.get("OPENCLAW_GATEWAY_TOKEN").map(str::to_owned);
    let token = read.text("gateway.auth.token").or_else(token_of_env);
    Gateway {
        port: port.or_else(port_of_env).unwrap_or(limits::CONTROL_PORT),
        lan: read.word("gateway.bind") == Some("lan"),
        token: token.map(|token| Secret::new(&token)).filter(|token| !token.is_empty()),
    }
}

fn agent(read: &mut Reader<'_>) -> Agent {
    // There is one kind so far; reading it reports any other.
    let _ = read.word("agents.defaults.kind");
    let deadline = [read.span("agents.defaults.timeout"), read.span("agents.asyncToolTimeout")];
    Agent {
        kind: AgentKind::Echo,
        cpu: Duration::from_millis(read.whole("agents.defaults.cpuMs").unwrap_or(0)),
        deadline: first(deadline).unwrap_or(limits::TURN_DEADLINE),
    }
}

fn log_level(read: &mut Reader<'_>, env: &Env) -> String {
    let written = read.word("logging.level").map(|word| match word {
        "silent" => "off",
        "fatal" => "error",
        word => word,
    });
    let level = first([env.get("BARNACLE_LOG"), env.get("RUST_LOG"), written]);
    level.unwrap_or("info").to_owned()
}

/// The first that is there: how one key beats another.
fn first<T>(candidates: impl IntoIterator<Item = Option<T>>) -> Option<T> {
    candidates.into_iter().flatten().next()
}
