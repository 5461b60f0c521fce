//! The accounts of a channel: `channels.discord`, once for each bot.

use std::time::Duration;

use super::agents::switch;
use super::check::{Sources, first, id, secret, secret_text};
use super::doors;
use super::env::Env;
use super::keys::Unit;
use super::raw::Node;
use super::read::{Entry, Reader, span_of};
use super::{Discord, Intents, Keepalive, Reconnect, Weight, router, tools};
use crate::base::{Secret, backoff, limits, spell};
use crate::core::outbox::{self, ReplyTo};
use crate::proto::discord::intents;
use crate::rt::net::proxy::Proxy;

const ACCOUNTS: &str = "channels.discord.accounts";
const ENTRY: &str = "channels.discord.accounts.*";
const TOKEN: &str = "channels.discord.token";
const TOKEN_FILE: &str = "channels.discord.tokenFile";
/// Of so many names that are not understood, what was meant is looked for.
const GUESSES_MAX: usize = 4;
/// The account that needs no name: the channel's own token is its, and `DISCORD_BOT_TOKEN`.
pub(crate) const DEFAULT: &str = "default";

/// Every account: those of `accounts`, and `default` if the channel has a token for it or names
/// no other.
pub(super) fn accounts(read: &mut Reader<'_, '_>, sources: &Sources<'_>) -> Vec<Discord> {
    let is_on = read.flag("channels.discord.enabled").unwrap_or(true);
    let mut named = read.entries(ACCOUNTS);
    if named.len() > limits::ACCOUNTS_MAX {
        let text = format!("only the first {} run", limits::ACCOUNTS_MAX);
        read.note(Weight::Warning, ACCOUNTS, &text, "run a second gateway for the others");
        named.truncate(limits::ACCOUNTS_MAX);
    }
    // Whatever is no object is found by the reader when it looks at every key.
    named.retain(|entry| matches!(entry.value, Node::Map(_)) && !entry.key().trim().is_empty());
    let has_default = named.iter().any(|entry| spell::same(entry.key(), DEFAULT));
    let channels_token = || read.has(TOKEN) || read.has(TOKEN_FILE);
    let mut accounts = Vec::new();
    if named.is_empty()
        || !has_default && (channels_token() || (sources.token)(DEFAULT).0.is_some())
    {
        accounts.push(discord(read, sources, DEFAULT));
    }
    for entry in &named {
        let name = if spell::same(entry.key(), DEFAULT) { DEFAULT } else { entry.key().trim() };
        accounts.push(read.within(ENTRY, entry, |read| {
            let account = discord(read, sources, name);
            if is_on && account.enabled && account.token.is_none() {
                let text = format!("no token is found for it ({})", account.token_from);
                read.note(Weight::Note, ENTRY, &text, "give it a token, or enabled: false");
            }
            account
        }));
    }
    for account in &mut accounts {
        account.enabled &= is_on;
    }
    part_twins(read, &mut accounts, &named);
    accounts
}

/// Two connections with one token throw each other out, so the later account of two rests.
fn part_twins(read: &mut Reader<'_, '_>, accounts: &mut [Discord], named: &[Entry<'_, '_>]) {
    let mut seen: Vec<(Secret, String)> = Vec::new();
    let mut twins = Vec::new();
    for account in accounts.iter_mut().filter(|account| account.enabled) {
        let Some(token) = &account.token else { continue };
        match seen.iter().find(|(other, _)| other == token) {
            Some((_, first)) => {
                account.enabled = false;
                twins.push((account.id.clone(), first.clone()));
            }
            None => seen.push((token.clone(), account.id.clone())),
        }
    }
    for (id, first) in twins {
        let Some(entry) = named.iter().find(|entry| entry.key().trim() == id) else { continue };
        let text = format!("it has the token of the account \"{first}\", so it does not run");
        let cure = "give it a token of its own, or remove one of the two";
        read.note_at(Weight::Warning, entry, &text, cure);
    }
}

fn discord(read: &mut Reader<'_, '_>, sources: &Sources<'_>, id: &str) -> Discord {
    let (token, token_from) = token(read, sources, id);
    let api_url =
        sources.env.get("DISCORD_API_URL").map(|url| url.trim_end_matches('/').to_owned());
    let (access, intent) = (doors::access(read), doors::intent(read, id));
    let mut intents = intents(read);
    if let Intents::Bits(bits) = &mut intents
        && doors::wants_reactions(read, intent.as_ref())
    {
        *bits |= intents::REACTIONS;
    }
    Discord {
        id: id.to_owned(),
        enabled: read.flag("channels.discord.enabled").unwrap_or(true),
        token,
        token_from,
        access,
        intent,
        intents,
        compress: compress(read),
        keepalive: keepalive(read),
        reconnect: reconnect(read),
        proxy: proxy(read, sources.env),
        api_url,
        outbox: outbox(read),
        reply_to: match read.word("channels.discord.replyToMode") {
            Some("off") => ReplyTo::Off,
            Some("all") => ReplyTo::All,
            _ => ReplyTo::First,
        },
        chunk_chars: read
            .whole("channels.discord.textChunkLimit")
            .and_then(|chars| usize::try_from(chars).ok())
            .unwrap_or(limits::DISCORD_MESSAGE_CHARS_MAX),
        dedup: read.span("channels.discord.dedupWindow").unwrap_or(limits::DEDUP_WINDOW),
        loops: router::loops(read),
        overhears: read
            .whole("channels.discord.historyLimit")
            .and_then(|count| usize::try_from(count).ok()),
        catch_up: catch_up(read),
        health_monitor: read.flag("channels.discord.healthMonitor.enabled").unwrap_or(true),
        slash_commands: slash_commands(read),
        inherits_threads: read.flag("channels.discord.thread.inheritParent").unwrap_or(false),
        tools: tools::servers(read, id),
        streaming: streaming(read),
    }
}

/// An account's token, and where it was found or looked for. The channel's own token and
/// `DISCORD_BOT_TOKEN` are the default account's: another one that took them would be its twin.
fn token(read: &mut Reader<'_, '_>, sources: &Sources<'_>, id: &str) -> (Option<Secret>, String) {
    let is_ours = |read: &Reader<'_, '_>, key| id == DEFAULT || read.has_itself(key);
    let shown = |key: &str| match id {
        DEFAULT => key.to_owned(),
        id => key.replacen("discord", &format!("discord.accounts.{id}"), 1),
    };
    if is_ours(read, TOKEN)
        && let Some(written) = read.own(TOKEN, secret)
    {
        match secret_text(&written, sources).map(|text| bot_token(&text)) {
            Ok(Some(token)) => return (Some(token), shown(TOKEN)),
            Ok(None) => {
                let cure = "copy it from Discord's portal";
                read.note(Weight::Warning, TOKEN, "this is no token", cure);
            }
            Err(why) => read.note(Weight::Warning, TOKEN, &why, "write the token itself"),
        }
    }
    if is_ours(read, TOKEN_FILE)
        && let Some(file) = read.text(TOKEN_FILE)
    {
        let file = sources.home(&file);
        match (sources.file)(&file).map(|text| bot_token(&text)) {
            Ok(Some(token)) => return (Some(token), shown(TOKEN_FILE)),
            Ok(None) => {
                read.note(Weight::Warning, TOKEN_FILE, "the file holds no token", "");
            }
            Err(why) => {
                let text = format!("the file cannot be read: {why}");
                read.note(Weight::Warning, TOKEN_FILE, &text, "");
            }
        }
    }
    (sources.token)(id)
}

/// A token as Discord gives it, without the `Bot ` that people copy along; `None` for what cannot
/// be one: placeholders of guides, and characters that no header carries.
pub(crate) fn bot_token(text: &str) -> Option<Secret> {
    let text = text.trim();
    let token = text.strip_prefix("Bot ").unwrap_or(text).trim();
    let is_plain = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    (is_plain && !token.starts_with("YOUR_")).then(|| Secret::new(token))
}

fn outbox(read: &mut Reader<'_, '_>) -> outbox::Policy {
    let usual = outbox::Policy::default();
    let is_on = read.flag("channels.discord.rateLimit.enabled").unwrap_or(true);
    let strategy = read.word("channels.discord.rateLimit.strategy");
    let queue_max = read.whole("channels.discord.rateLimit.maxQueueSize");
    let burst_protection = read.flag("channels.discord.rateLimit.burstProtection");
    outbox::Policy {
        queues: is_on && strategy != Some("drop"),
        queue_max: queue_max.and_then(|n| usize::try_from(n).ok()).unwrap_or(usual.queue_max),
        burst_protection: burst_protection.unwrap_or(usual.burst_protection),
        ttl: read.span("channels.discord.outbox.ttl").unwrap_or(usual.ttl),
    }
}

fn catch_up(read: &mut Reader<'_, '_>) -> (Duration, usize) {
    let is_on = read.flag("channels.discord.catchUp.enabled").unwrap_or(true);
    let span = read.span("channels.discord.catchUp.maxAge").unwrap_or(limits::CATCH_UP_SPAN);
    let per_chat = read.whole("channels.discord.catchUp.perChat");
    let per_chat = per_chat.and_then(|n| usize::try_from(n).ok());
    let span = if is_on { span } else { Duration::ZERO };
    (span, per_chat.unwrap_or(limits::CATCH_UP_PER_CHAT_MAX))
}

/// Whether answers are shown before they are complete; a mode that is served in another way than
/// it says is told.
fn streaming(read: &mut Reader<'_, '_>) -> bool {
    const KEYS: [&str; 2] = ["channels.discord.streaming", "channels.discord.streamMode"];
    for key in KEYS {
        let Some(mode) = read.own(key, stream_mode) else { continue };
        if matches!(mode, "block" | "progress") {
            let text = format!("{mode} is served as partial: one message, edited as words come");
            read.note(Weight::Note, key, &text, "");
        }
        return mode != "off";
    }
    true
}

/// OpenClaw's word for how answers are shown: itself, a switch, or an object with `mode`.
fn stream_mode(value: &Node<'_>) -> Option<&'static str> {
    const MODES: [&str; 4] = ["off", "partial", "block", "progress"];
    match value {
        Node::Flag(is_on) => Some(if *is_on { "partial" } else { "off" }),
        Node::Text(word) => match word.trim() {
            "true" => Some("partial"),
            "false" => Some("off"),
            word => MODES.into_iter().find(|mode| spell::same(mode, word)),
        },
        Node::Map(map) => {
            let mode = map.iter().find(|(name, _)| spell::same(name.as_str(), "mode"));
            match mode {
                Some((_, mode @ (Node::Text(_) | Node::Flag(_)))) => stream_mode(mode),
                Some(_) => None,
                // Its other keys are about the looks of what is shown.
                None => Some("partial"),
            }
        }
        _ => None,
    }
}

fn slash_commands(read: &mut Reader<'_, '_>) -> bool {
    let own =
        [read.own("channels.discord.commands.native", switch), read.own("commands.native", switch)];
    first(own).unwrap_or(true)
}

fn intents(read: &mut Reader<'_, '_>) -> Intents {
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
        let meant =
            strangers.iter().take(GUESSES_MAX).find_map(|name| spell::nearest(name, known.clone()));
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

fn compress(read: &mut Reader<'_, '_>) -> bool {
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

/// The file's proxy beats the environment's, and its exceptions. One that cannot be used is done
/// without: whoever can reach Discord directly stays reachable.
fn proxy(read: &mut Reader<'_, '_>, env: &Env) -> Option<Proxy> {
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

/// The channel's own word beats `connection.keepAlive`.
fn keepalive(read: &mut Reader<'_, '_>) -> Option<Keepalive> {
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

fn reconnect(read: &mut Reader<'_, '_>) -> Reconnect {
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

fn backoff(read: &mut Reader<'_, '_>) -> backoff::Policy {
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
