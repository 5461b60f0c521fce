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
use crate::core::access::{Access, GuildRule, People, Place, Policy};
use crate::core::outbox::{self, ReplyTo};
use crate::proto::discord::intents;
use crate::rt::net::proxy::Proxy;

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
        accounts: vec![discord(read, env, token)],
        gateway: gateway(read, env),
        agents: vec![agent(read)],
        bindings: Vec::new(),
        log_level: log_level(read, env),
        log_file: None,
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
        id: "default".to_owned(),
        enabled: read.flag("channels.discord.enabled").unwrap_or(true),
        token,
        token_from,
        api_url: env.get("DISCORD_API_URL").map(|url| url.trim_end_matches('/').to_owned()),
        access: access(read),
        intents: intents(read),
        compress: compress(read),
        keepalive: keepalive(read),
        reconnect: reconnect(read),
        proxy: proxy(read, env),
        outbox: outbox::Policy::default(),
        reply_to: ReplyTo::default(),
        chunk_chars: limits::DISCORD_MESSAGE_CHARS_MAX,
        dedup: limits::DEDUP_WINDOW,
        catch_up: (limits::CATCH_UP_SPAN, limits::CATCH_UP_PER_CHAT_MAX),
        health_monitor: true,
        slash_commands: true,
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
        allow_from: People { everybody: false, ids: allow_from },
        guilds: servers(read, guilds),
        require_mention: read.flag("channels.discord.requireMention"),
        ..Access::default()
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
fn servers(read: &mut Reader<'_>, path: &'static str) -> Vec<GuildRule> {
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
    let plain = |id| {
        let (require_mention, who, channels) = (None, None, None);
        GuildRule { place: Place::Id(id), require_mention, who, channels }
    };
    ids.unwrap_or_default().into_iter().map(plain).collect()
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
        Node::Text(text) if spell::same(text.trim(), "agentRecommended") => {
            Some(Intents::AgentRecommended)
        }
        Node::Whole(_) | Node::Large(_) | Node::Text(_) => {
            id(value).and_then(|bits| u32::try_from(bits).ok()).map(Intents::Bits)
        }
        // A list of strangers alone would make the bot deaf.
        Node::List(names) => Some(Intents::Bits(sum(names, &mut strangers)))
            .filter(|&sum| sum != Intents::Bits(0) || names.is_empty()),
        Node::Map(switches) => {
            let mut all = intents::Intents::DEFAULT.0;
            for (name, value) in switches {
                match (named(name.as_str()), value) {
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
        let known = intents::INTENTS.iter().map(|intent| intent.name);
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
    written.unwrap_or(Intents::Bits(intents::Intents::DEFAULT.0))
}

/// The bits of one name; "presence" is OpenClaw's for what Discord writes in the plural.
fn named(name: &str) -> Option<u32> {
    let name = if spell::same(name, "presence") { "presences" } else { name };
    intents::Intents::parse([name]).ok().map(|set| set.0)
}

fn sum(names: &[Node<'_>], strangers: &mut Vec<String>) -> u32 {
    let mut all = 0;
    for name in names {
        let name = if let Node::Text(name) = name { name.trim() } else { "" };
        match named(name) {
            Some(bits) => all |= bits,
            None => strangers.push(name.to_owned()),
        }
    }
    all
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

/// The file's proxy beats the environment's, and its exceptions. One that cannot be used is done
/// without: whoever can reach Discord directly stays reachable.
fn proxy(read: &mut Reader<'_>, env: &Env) -> Option<Proxy> {
    const PATH: &str = "channels.discord.proxy";
    let written = read.text(PATH).map(|url| Proxy::parse(&Secret::new(&url), PATH));
    let found = match written {
        Some(parsed) => parsed.map(Some).map_err(|bad| (PATH, bad)),
        None => env.proxy(),
    };
    found.unwrap_or_else(|(path, bad)| {
        let text = format!("{}; Discord is dialled without a proxy", bad.text);
        read.note(Weight::Warning, path, &text, bad.cure);
        None
    })
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
    let port_of = |name: &str| env.get(name)?.trim().parse().ok();
    let ports = [port_of("BARNACLE_GATEWAY_PORT"), port, port_of("OPENCLAW_GATEWAY_PORT")];
    let token_of_env = || env.get("OPENCLAW_GATEWAY_TOKEN").map(str::to_owned);
    let token = read.text("gateway.auth.token").or_else(token_of_env);
    Gateway {
        port: first(ports).unwrap_or(limits::CONTROL_PORT),
        lan: read.word("gateway.bind") == Some("lan"),
        token: token.map(|token| Secret::new(&token)).filter(|token| !token.is_empty()),
    }
}

fn agent(read: &mut Reader<'_>) -> Agent {
    // There is one kind so far; reading it reports any other.
    let _ = read.word("agents.defaults.kind");
    let deadline = [read.span("agents.defaults.timeout"), read.span("agents.asyncToolTimeout")];
    let cpu = Duration::from_millis(read.whole("agents.defaults.cpuMs").unwrap_or(0));
    Agent {
        id: "main".to_owned(),
        kind: AgentKind::Echo { cpu },
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

#[cfg(test)]
mod tests {
    use super::super::keys::{self, Stand};
    use super::super::raw;
    use super::*;
    use proptest::prelude::*;

    fn checked(text: &str, variables: &[(&str, &str)]) -> (Config, Vec<Mistake>) {
        let root = raw::parse(text).expect("the syntax is right");
        check(text, root, &Env::of(variables), (None, "nowhere".into()))
    }

    fn clean(text: &str) -> Config {
        let (config, mistakes) = checked(text, &[]);
        assert_eq!(mistakes, [], "{text}");
        config
    }

    /// The one mistake in `text`, as a person reads it.
    fn mistake(text: &str) -> String {
        let (_, mistakes) = checked(text, &[]);
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        mistakes[0].to_string()
    }

    #[test]
    fn nothing_written_means_the_documented_defaults() {
        let config = clean("{}");
        assert_eq!(config.gateway, Gateway { port: 18_789, lan: false, token: None });
        assert_eq!(config.accounts[0].access, Access::default());
        assert_eq!(config.accounts[0].intents, Intents::Bits(intents::Intents::DEFAULT.0));
        assert!(config.accounts[0].enabled && config.accounts[0].compress);
        assert_eq!(config.log_level, "info");
        let said: Vec<_> = keys::KEYS
            .iter()
            .filter(|key| key.path.starts_with("connection.") && key.stand == Stand::Works)
            .map(|key| key.default)
            .collect();
        let Reconnect { backoff, auto, .. } = config.accounts[0].reconnect;
        let keepalive = config.accounts[0].keepalive.expect("on by default");
        let meant = [
            auto.to_string(),
            backoff.first.as_millis().to_string(),
            backoff.cap.as_millis().to_string(),
            (backoff.growth_percent / 100).to_string(),
            "true".into(),
            keepalive.idle.as_millis().to_string(),
            keepalive.interval.as_millis().to_string(),
        ];
        assert_eq!(said, meant);
    }

    #[test]
    fn every_key_of_the_table_is_read_and_no_other() {
        let env = Env::default();
        let mut read = Reader::new("", Node::Map(Vec::new()), &env);
        all(&mut read, &env, (None, String::new()));
        let listed = keys::KEYS.iter().filter(|key| key.stand == Stand::Works);
        assert_eq!(read.asked, listed.map(|key| key.path).collect());
    }

    #[test]
    fn the_settings_of_the_guides_mean_what_they_say() {
        let config = clean(
            "{channels: {discord: {enabled: true, token: 'abc.def', intents: 'agent_recommended',
              reconnect: {enabled: true, max_retries: 10, backoff_base: 1.5, backoff_max: 60,
                resume_session: true, session_cache_ttl: 300, resume_attempts: 5},
              tcp_keepalive: 45, compress: true}},
             agents: {asyncToolTimeout: 90, defaults: {kind: 'echo', cpuMs: 200}},
             logging: {level: 'CONNECTION_DEBUG'}}",
        );
        let Discord { token, token_from, intents, reconnect, keepalive, .. } =
            config.accounts[0].clone();
        assert_eq!(token.map(|t| t.expose().to_owned()).as_deref(), Some("abc.def"));
        assert_eq!(token_from, "channels.discord.token");
        assert_eq!(intents, Intents::AgentRecommended);
        assert_eq!((reconnect.slow_after, reconnect.strikes_max), (Some(10), 5));
        assert_eq!(reconnect.backoff.growth_percent, 150);
        assert_eq!(reconnect.session_ttl, Some(Duration::from_mins(5)));
        assert_eq!(keepalive.map(|k| k.idle.as_secs()), Some(45));
        assert_eq!(config.agents[0].deadline, Duration::from_secs(90));
        assert_eq!(config.agents[0].kind, AgentKind::Echo { cpu: Duration::from_millis(200) });
        assert_eq!(config.log_level, "connection-debug");
    }

    #[test]
    fn a_channels_key_beats_the_one_for_all() {
        let global = "connection: {autoReconnect: false, backoff: {initialDelay: 5000,
            maxDelay: 300000, multiplier: 3}, keepAlive: {enabled: false}}";
        let Discord { reconnect, keepalive, .. } =
            clean(&format!("{{{global}}}")).accounts[0].clone();
        assert!(!reconnect.auto && keepalive.is_none());
        let waits = reconnect.backoff;
        let seconds = [waits.first, waits.second, waits.cap].map(|wait| wait.as_secs());
        assert_eq!((seconds, waits.growth_percent), ([5, 15, 300], 300));

        let own = "channels: {discord: {autoReconnect: true, maxReconnectAttempts: 15,
            reconnectInterval: 10, tcpKeepalive: true, reconnect: {backoffMax: '2m'}}}";
        let Discord { reconnect, keepalive, .. } =
            clean(&format!("{{{global}, {own}}}")).accounts[0].clone();
        assert!(reconnect.auto && keepalive.is_some());
        assert_eq!(reconnect.slow_after, Some(15));
        assert_eq!(reconnect.backoff.second.as_secs(), 10);
        assert_eq!(reconnect.backoff.cap.as_secs(), 120);
    }

    #[test]
    fn unknown_and_unneeded_keys_are_told_with_line_and_cure() {
        let said = mistake("{\n  channels: {\n    discord: {\n      tokn: 'secret'\n}}}");
        assert!(said.starts_with("channels.discord.tokn (line 4): not known"), "{said}");
        assert!(said.ends_with("did you mean channels.discord.token?"), "{said}");
        assert!(mistake("{dmPolicy: 'open'}").ends_with("did you mean channels.discord.dmPolicy?"));
        assert!(mistake("{zzzzzzzz: 1}").contains("help config"));
        assert!(mistake("{cron: {jobs: []}}").contains("not yet applied"));
        let (_, notes) = checked("{channels: {discord: {heartbeatInterval: 41250}}}", &[]);
        assert_eq!(notes[0].weight, Weight::Note);
        assert!(mistake("{gateway: {port: 1, Port: 2}}").contains("written twice"));
        assert!(mistake("{channels: 5}").contains("an object with keys belongs"));
        assert!(mistake("{'a\\nb\\u202e': 1}").starts_with("a\\nb\\u{202e}:"));
    }

    #[test]
    fn wrong_values_leave_the_default_and_never_show_themselves() {
        for (text, cure) in [
            ("{gateway: {port: 'hunter2'}}", "a whole number from 0 to 65535"),
            ("{gateway: {port: 70000}}", "a whole number from 0 to 65535"),
            ("{gateway: {bind: 'lann'}}", "did you mean \"lan\"?"),
            ("{connection: {backoff: {multiplier: -1}}}", "a number from 1 to 10"),
            ("{connection: {backoff: {initialDelay: 1e300}}}", "milliseconds"),
            ("{channels: {discord: {compress: 'hunter2'}}}", "zlib-stream"),
            ("{channels: {discord: {token: 'YOUR_BOT_TOKEN'}}}", "Discord's portal"),
            ("{channels: {discord: {intents: {x: true}}}}", "GUILD_MESSAGES"),
            ("{channels: {discord: {accounts: 1}}}", "accounts by name"),
        ] {
            let said = mistake(text);
            assert!(said.contains(cure) && !said.contains("hunter2"), "{said}");
            let (config, _) = checked(text, &[]);
            assert_eq!(config, clean("{}"), "{text}");
        }
    }

    #[test]
    fn values_may_come_out_of_variables() {
        let text = "{gateway: {port: '${PORT}', auth: {token: 't-${PORT}'}}}";
        let (config, mistakes) = checked(text, &[("PORT", "4711")]);
        assert_eq!((config.gateway.port, mistakes.len()), (4711, 0));
        assert_eq!(config.gateway.token, Some(Secret::new("t-4711")));
        let (config, mistakes) = checked(text, &[]);
        assert_eq!((config.gateway.port, mistakes.len()), (18_789, 2));
        assert!(mistakes[0].text.contains("PORT is not set"));
    }

    #[test]
    fn the_environment_stands_in_where_the_file_is_silent() {
        let env = [
            ("OPENCLAW_GATEWAY_PORT", "19001"),
            ("OPENCLAW_GATEWAY_TOKEN", "t"),
            ("DISCORD_API_URL", "http://127.0.0.1:9/api/v10/"),
            ("RUST_LOG", "debug"),
        ];
        let (config, _) = checked("{}", &env);
        assert_eq!(config.gateway.port, 19_001);
        assert_eq!(config.gateway.token, Some(Secret::new("t")));
        assert_eq!(config.accounts[0].api_url.as_deref(), Some("http://127.0.0.1:9/api/v10"));
        assert_eq!(config.log_level, "debug");
        let (config, _) = checked("{gateway: {port: 1}}", &env);
        assert_eq!(config.gateway.port, 1);
        let (config, _) = checked("{gateway: {port: 1}}", &[("BARNACLE_GATEWAY_PORT", "2")]);
        assert_eq!(config.gateway.port, 2);
    }

    fn doors(discord: &str) -> (Policy, Policy, Vec<u64>) {
        let (config, _) = checked(&format!("{{channels: {{discord: {{{discord}}}}}}}"), &[]);
        let Access { dms, groups, allow_from, .. } = config.accounts[0].access.clone();
        (dms, groups, allow_from.ids)
    }

    #[test]
    fn doors_are_never_open_wider_than_written() {
        use Policy::{Allowlist, Default, Disabled, Open};
        for (written, dms, groups) in [
            ("", Default, Default),
            ("dmPolicy: null", Default, Default),
            ("dmPolicy: 'open', groupPolicy: 'open'", Open, Open),
            ("dmPolicy: 'open'", Open, Allowlist),
            ("groupPolicy: 'disabled'", Allowlist, Disabled),
            ("dmPolicy: 'opne', groupPolicy: 7", Allowlist, Allowlist),
            ("dmPolicy: 'pairing'", Allowlist, Allowlist),
            ("allowFrom: []", Allowlist, Allowlist),
            ("allowFrom: {}", Allowlist, Allowlist),
            ("allowFrom: ['*']", Open, Allowlist),
            ("dmPolicy: 'disabled', allowFrom: ['*']", Disabled, Allowlist),
            ("dm: {enabled: false}, dmPolicy: 'open'", Disabled, Allowlist),
            ("dm: {policy: 'open'}", Open, Allowlist),
            ("guilds: {}", Allowlist, Allowlist),
        ] {
            assert_eq!(doors(written), (dms, groups, vec![]), "{written}");
        }
    }

    #[test]
    fn users_are_known_by_their_numbers() {
        let written = "allowFrom: [1, '22', '<@!333>', 'discord:user:4', 18446744073709551615,
            'alice', -5, 1.5]";
        assert_eq!(doors(written).2, [1, 22, 333, 4, u64::MAX]);
        let said = mistake(&format!(
            "{{channels: {{discord: {{dmPolicy: 'open', groupPolicy: 'open', {written}}}}}}}"
        ));
        assert!(said.contains("3 of the entries"), "{said}");
        assert_eq!(doors("allowFrom: '77'").2, [77]);
    }

    #[test]
    fn a_server_that_narrows_is_left_out() {
        let text = "{channels: {discord: {groupPolicy: 'allowlist', dmPolicy: 'open', guilds: {
            '11': {}, '22': {channels: {'5': {allow: true}}}, '33': {requireMention: true}}}}}";
        let (config, mistakes) = checked(text, &[]);
        let guilds = &config.accounts[0].access.guilds;
        assert!(guilds.iter().map(|rule| &rule.place).eq(&[Place::Id(11), Place::Id(33)]));
        assert_eq!(mistakes.len(), 1);
        assert!(mistakes[0].text.contains("1 left out"), "{mistakes:?}");
    }

    #[test]
    fn one_account_is_used_and_the_others_are_named() {
        let text = "{channels: {discord: {token: 'a', compress: false,
            accounts: {work: {token: 'b'}, default: {token: 'c', enabled: false}}}}}";
        let (config, mistakes) = checked(text, &[]);
        let Discord { token, enabled, compress, .. } = config.accounts[0].clone();
        assert_eq!((token, enabled, compress), (Some(Secret::new("c")), false, false));
        assert!(mistakes[0].text.contains("only the account \"default\""), "{mistakes:?}");
        assert_eq!(mistakes.len(), 1);
    }

    #[test]
    fn intents_are_names_switches_or_a_number() {
        for (written, bits) in [
            ("['GUILDS', 'guildMessages', 'message_content']", 1 | 1 << 9 | 1 << 15),
            ("{presence: true, guilds: false}", intents::Intents::DEFAULT.0 - 1 + (1 << 8)),
            ("33281", 33281),
            ("'33281'", 33281),
        ] {
            let config = clean(&format!("{{channels: {{discord: {{intents: {written}}}}}}}"));
            assert_eq!(config.accounts[0].intents, Intents::Bits(bits), "{written}");
        }
        let said = mistake("{channels: {discord: {intents: ['messageContent', 32768]}}}");
        assert!(said.contains("1 of the entries"), "{said}");
        let said =
            mistake("{channels: {discord: {intents: ['MESAGE_CONTENT', 'MessageContent']}}}");
        assert!(said.ends_with("did you mean MESSAGE_CONTENT?"), "{said}");
    }

    #[test]
    fn a_flood_of_mistakes_is_counted_not_listed() {
        let keys: Vec<String> = (0..50_000).map(|n| format!("k{n}: 1")).collect();
        let text = format!("{{{}}}", keys.join(","));
        let (_, mistakes) = checked(&text, &[]);
        assert_eq!(mistakes.len(), limits::CONFIG_MISTAKES_MAX + 1);
        assert!(mistakes.iter().any(|mistake| mistake.text.contains("49900 more")));
    }

    fn value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|flag| flag.to_string()),
            any::<i64>().prop_map(|number| number.to_string()),
            any::<f64>()
                .prop_filter("JSON5 has its own words", |n| n.is_finite())
                .prop_map(|number| format!("{number:?}")),
            Just("NaN".to_owned()),
            "'[a-z0-9*$\\{\\}A<@:. -]{0,12}'",
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[{}]", items.join(","))),
                prop::collection::vec(("[a-zA-Z]{1,8}|'[0-9]{1,20}'", inner), 0..4).prop_map(
                    |entries| {
                        let entry = |(key, value): &(String, String)| format!("{key}:{value},");
                        format!("{{{}}}", entries.iter().map(entry).collect::<String>())
                    }
                ),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_value_at_any_key_is_survived(
            at in prop::sample::select(keys::KEYS.to_vec()),
            value in value(),
        ) {
            let segments: Vec<&str> = at.path.split('.').collect();
            let text = format!("{{'{}': {value}{}", segments.join("': {'"),
                "}".repeat(segments.len()));
            let (config, mistakes) = checked(&text, &[("A", "1")]);
            let Reconnect { backoff, .. } = config.accounts[0].reconnect;
            prop_assert!(backoff.cap >= backoff.first && backoff.cap.as_secs() <= 36_000);
            prop_assert!(mistakes.len() <= limits::CONFIG_MISTAKES_MAX + 1);
        }
    }
}
