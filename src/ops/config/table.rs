//! The one table of configuration keys, in the order of the manual.

mod models;
mod outside;
mod route;
mod talk;
mod tools;
mod turns;

use std::time::Duration;

use super::keys::{Key, Kind, Unit, key, later, like, moot};
use crate::base::limits;

const DM_POLICIES: Kind = Kind::Word(&["open", "allowlist", "pairing", "disabled"]);
const GROUP_POLICIES: Kind = Kind::Word(&["open", "allowlist", "disabled"]);
/// A policy that is not written.
const DMS_UNSET: &str = "open, or pairing if another key narrows who is answered";
const GROUPS_UNSET: &str = "open to mentions, or allowlist if another key narrows who is answered";
const HOUR: Duration = Duration::from_hours(1);
pub(super) const DAY: Duration = Duration::from_hours(24);
/// The kernel counts keepalive in whole seconds.
const KEEPALIVE: Kind = Kind::Span(Unit::Millis, Duration::from_secs(1), HOUR);
/// No delay may be so short that a lost server is hammered, or so long that nobody returns.
const DELAY_MS: Kind = Kind::Span(Unit::Millis, Duration::from_millis(100), HOUR);
const DELAY_S: Kind = Kind::Span(Unit::Seconds, Duration::from_millis(100), HOUR);
/// A while, but no longer than anybody waits.
const SPAN_MS: Kind = Kind::Span(Unit::Millis, Duration::from_secs(1), DAY);
pub(super) const TURN: Kind = Kind::Span(Unit::Seconds, Duration::from_secs(1), HOUR);
/// Tokens of a day.
const TOKENS: Kind = Kind::Whole(1, 1_000_000_000_000);
/// What a model reads at once.
pub(super) const WINDOW: Kind = Kind::Whole(limits::LLM_WINDOW_MIN, 10_000_000);
/// Money of a day, in whatever currency costs are written.
const MONEY: Kind = Kind::Number(0.0, 1_000_000.0);
const GROWTH: Kind = Kind::Number(1.0, 10.0);
const IDS: Kind = Kind::Own("a list of user ids, or \"*\" in it for everybody");
const BOTS: Kind = Kind::Own("true, false or \"mentions\"");
pub(super) const ROLES: Kind = Kind::Own("a list of role ids");
const HERE: Kind = Kind::Own(
    "true, false, or { enabled, respondThreshold, alwaysRespondToMentions }, each if it differs",
);
const LEVELS: Kind = Kind::Word(&[
    "silent",
    "off",
    "fatal",
    "error",
    "warn",
    "info",
    "debug",
    "connection-debug",
    "trace",
]);
const PROOF: &str = "health is the age of the last proof of life, always";
const ALWAYS_FIRST: &str = "heartbeats come before everything else, always";

/// The parts of the table: a long one has a file of its own.
const PARTS: &[&[Key]] =
    &[MAIN, route::KEYS, talk::KEYS, models::KEYS, outside::KEYS, tools::KEYS, turns::KEYS];

/// Every key.
pub(crate) const KEYS: &[Key] = &joined::<{ count(PARTS) }>(PARTS);

const fn count(parts: &[&[Key]]) -> usize {
    let (mut all, mut at) = (0, 0);
    while at < parts.len() {
        all += parts[at].len();
        at += 1;
    }
    all
}

/// The parts, one behind the other.
const fn joined<const N: usize>(parts: &[&[Key]]) -> [Key; N] {
    let mut all = [parts[0][0]; N];
    let (mut part, mut at, mut next) = (0, 0, 0);
    while part < parts.len() {
        if at == parts[part].len() {
            (part, at) = (part + 1, 0);
        } else {
            all[next] = parts[part][at];
            (at, next) = (at + 1, next + 1);
        }
    }
    all
}

const MAIN: &[Key] = &[
    // Who the bot is.
    key("channels.discord.enabled", Kind::Flag, "true", "whether the account runs"),
    key("channels.discord.token", Kind::Secret, "DISCORD_BOT_TOKEN", "the bot's token"),
    key("channels.discord.tokenFile", Kind::Text, "none", "a file that holds the token"),
    like(
        "channels.discord.accounts.*",
        "channels.discord",
        "several bots by name; what one says itself beats what the channel says for all",
    ),
    moot("channels.discord.accounts.*.name", "the account is shown by its key"),
    moot("channels.discord.name", "the account is shown by its key"),
    moot("channels.discord.defaultAccount", "bindings and commands name accounts"),
    // Who is answered.
    key("channels.discord.dmPolicy", DM_POLICIES, DMS_UNSET, "whose direct messages are answered"),
    key("channels.discord.groupPolicy", GROUP_POLICIES, GROUPS_UNSET, "which servers are answered"),
    key("channels.defaults.groupPolicy", GROUP_POLICIES, GROUPS_UNSET, "for every channel"),
    key(
        "channels.discord.allowFrom",
        IDS,
        "nobody",
        "the users whom the policies allowlist and pairing admit",
    ),
    key(
        "channels.discord.requireMention",
        Kind::Flag,
        "true, or false where groupPolicy is open",
        "whether a message in a server is answered only if it names the bot",
    ),
    key(
        "channels.discord.allowBots",
        BOTS,
        "false",
        "whether other bots are answered: never, like people, or if they name this one",
    ),
    key(
        "channels.discord.guilds.*.requireMention",
        Kind::Flag,
        "requireMention of the channel",
        "the same in one server; servers are named by id, or \"*\" for all others",
    ),
    key(
        "channels.discord.guilds.*.allowBots",
        BOTS,
        "allowBots of the account",
        "whether other bots are answered in that server",
    ),
    key("channels.discord.guilds.*.users", IDS, "everybody", "only they are answered there"),
    key("channels.discord.guilds.*.roles", ROLES, "everybody", "and who has one of these roles"),
    key(
        "channels.discord.guilds.*.channels.*.enabled",
        Kind::Flag,
        "true",
        "whether the channel (id, name or \"*\") is answered; with one listed, no other is",
    ),
    key("channels.discord.guilds.*.channels.*.allow", Kind::Flag, "true", "older files' enabled"),
    key(
        "channels.discord.guilds.*.channels.*.requireMention",
        Kind::Flag,
        "requireMention of the server",
        "whether the bot must be named in that channel",
    ),
    key(
        "channels.discord.guilds.*.channels.*.allowBots",
        BOTS,
        "allowBots of the server",
        "whether other bots are answered in that channel",
    ),
    key(
        "channels.discord.guilds.*.channels.*.users",
        IDS,
        "users of the server",
        "only they are answered in that channel",
    ),
    key(
        "channels.discord.guilds.*.channels.*.roles",
        ROLES,
        "roles of the server",
        "and who has one of these roles",
    ),
    key(
        "channels.discord.intentFilter.enabled",
        Kind::Flag,
        "true where intentFilter is written, or false",
        "whether a message in a server that need not name the bot must be meant for it: a score \
         from its words and what was said around it, made here, asking nobody",
    ),
    key(
        "channels.discord.intentFilter.respondThreshold",
        Kind::Number(0.0, 1.0),
        "0.7",
        "from this score on it is answered; `why` shows the score of each",
    ),
    key(
        "channels.discord.intentFilter.alwaysRespondToMentions",
        Kind::Flag,
        "true",
        "whether one that mentions the bot is answered whatever its score",
    ),
    key(
        "channels.discord.intentFilter.names",
        Kind::Own("a name, or a list of names"),
        "the bot's own name and the account's",
        "what else people call the bot",
    ),
    key(
        "channels.discord.intentFilter.learnFromReactions",
        Kind::Flag,
        "true where the intents include reactions",
        "whether people's 👎 and 👍 on answers that nobody had asked for by name, and their 🤖 on \
         messages that were passed over, shift what is answered in that channel, within bounds; \
         true asks Discord for reactions, too",
    ),
    key("channels.discord.guilds.*.intentFilter", HERE, "the channel's", "in one server"),
    key(
        "channels.discord.guilds.*.channels.*.intentFilter",
        HERE,
        "the server's",
        "in one channel",
    ),
    moot("channels.discord.intentFilter.model", "there is one, it is small, and it is built in"),
    later("channels.discord.guilds.*.channels.*.systemPrompt"),
    later("channels.discord.guilds.*.channels.*.skills"),
    later("channels.discord.guilds.*.channels.*.autoThread"),
    later("channels.discord.guilds.*.channels.*.includeThreadStarter"),
    later("channels.discord.guilds.*.channels.*.ignoreOtherMentions"),
    moot("channels.discord.guilds.*.slug", "a name for people"),
    later("channels.discord.guilds.*.ignoreOtherMentions"),
    later("channels.discord.guilds.*.reactionNotifications"),
    key("channels.discord.dm.enabled", Kind::Flag, "true", "older files; false: dmPolicy disabled"),
    key("channels.discord.dm.policy", DM_POLICIES, DMS_UNSET, "older files' dmPolicy"),
    key("channels.discord.dm.allowFrom", IDS, "nobody", "older files' allowFrom"),
    later("channels.discord.dm.groupEnabled"),
    later("channels.discord.dm.groupChannels"),
    // How answers look and wait.
    key(
        "channels.discord.replyToMode",
        Kind::Word(&["off", "first", "all", "batched"]),
        "first (off in OpenClaw)",
        "which parts of an answer point at the message they answer; batched is first",
    ),
    key(
        "channels.discord.textChunkLimit",
        Kind::Whole(100, 2000),
        "2000",
        "characters of one message; longer answers are split",
    ),
    key(
        "channels.discord.rateLimit.enabled",
        Kind::Flag,
        "true",
        "false is strategy drop; Discord's limits are kept in any case",
    ),
    key(
        "channels.discord.rateLimit.strategy",
        Kind::Word(&["queue", "drop"]),
        "queue",
        "whether what cannot be sent at once waits, or is dropped and counted",
    ),
    key(
        "channels.discord.rateLimit.maxQueueSize",
        Kind::Whole(1, 1000),
        "50",
        "messages that may wait in one chat",
    ),
    key(
        "channels.discord.rateLimit.burstProtection",
        Kind::Flag,
        "true",
        "whether chats take turns when all of them have much to say",
    ),
    key(
        "channels.discord.outbox.ttl",
        Kind::Span(Unit::Seconds, Duration::from_secs(10), DAY),
        "600",
        "an answer that could not be sent for so long is dropped, counted and told",
    ),
    // What is heard.
    key(
        "channels.discord.dedupWindow",
        Kind::Span(Unit::Seconds, Duration::ZERO, HOUR),
        "5",
        "the same words of the same person in one chat within this span are one message",
    ),
    key(
        "channels.discord.catchUp.enabled",
        Kind::Flag,
        "true",
        "whether messages are fetched that were said while the bot was away",
    ),
    key(
        "channels.discord.catchUp.maxAge",
        Kind::Span(Unit::Seconds, Duration::ZERO, DAY),
        "1800",
        "older ones are not",
    ),
    key("channels.discord.catchUp.perChat", Kind::Whole(1, 100), "100", "the most of one chat"),
    key(
        "channels.discord.commands.native",
        Kind::Own("true, false or \"auto\""),
        "commands.native",
        "whether slash commands are deployed",
    ),
    key("commands.native", Kind::Own("true, false or \"auto\""), "true", "for every channel"),
    key(
        "channels.discord.intents",
        Kind::Own("a list of names, names with true or false, a number, or \"agent_recommended\""),
        "37377",
        "the gateway events that are asked for",
    ),
    // How the connection is kept.
    key(
        "channels.discord.healthMonitor.enabled",
        Kind::Flag,
        "true",
        "whether an account without a proof of life is started anew",
    ),
    moot("channels.discord.healthMonitor.intervalMinutes", PROOF),
    key(
        "channels.discord.proxy",
        Kind::Secret,
        "HTTPS_PROXY, ALL_PROXY",
        "an HTTP proxy, for gateway and REST: http://user:password@host:port",
    ),
    key(
        "channels.discord.compress",
        Kind::Own("true, false, \"zlib-stream\" or \"zstd-stream\""),
        "true",
        "whether the gateway's stream is compressed; zstd-stream is served as zlib-stream",
    ),
    key(
        "channels.discord.tcpKeepalive",
        Kind::Own("seconds, true or false"),
        "30",
        "idle time before the first TCP keepalive probe",
    ),
    key("channels.discord.reconnect.enabled", Kind::Flag, "true", "the same as autoReconnect"),
    key(
        "channels.discord.reconnect.maxRetries",
        Kind::Whole(1, 1_000_000),
        "no bound",
        "after so many failures in a row: one try in 5 minutes and an alert, never the end",
    ),
    key("channels.discord.reconnect.backoffBase", GROWTH, "2", "by what the waits grow"),
    key("channels.discord.reconnect.backoffMax", DELAY_S, "60", "the longest wait"),
    key("channels.discord.reconnect.resumeSession", Kind::Flag, "true", "RESUME before IDENTIFY"),
    key(
        "channels.discord.reconnect.sessionCacheTtl",
        Kind::Span(Unit::Seconds, Duration::from_secs(1), DAY),
        "no bound",
        "offline for longer, the session is not resumed",
    ),
    key(
        "channels.discord.reconnect.resumeAttempts",
        Kind::Whole(1, 20),
        "3",
        "failed RESUMEs after which a fresh session is made",
    ),
    key(
        "channels.discord.autoReconnect",
        Kind::Flag,
        "true",
        "false: a lost connection is tried once in 5 minutes",
    ),
    key(
        "channels.discord.maxReconnectAttempts",
        Kind::Whole(1, 1_000_000),
        "no bound",
        "the same as reconnect.maxRetries",
    ),
    key(
        "channels.discord.reconnectInterval",
        DELAY_S,
        "1",
        "the longest second wait; later ones grow from it",
    ),
    moot("channels.discord.heartbeatInterval", "Discord names the interval at each connection"),
    moot("channels.discord.keepAliveInterval", "Discord names the interval at each connection"),
    moot("channels.discord.gatewayInfoTimeoutMs", "each step has a deadline of its own"),
    moot("channels.discord.gatewayReadyTimeoutMs", "each step has a deadline of its own"),
    moot("channels.discord.gatewayRuntimeReadyTimeoutMs", "each step has a deadline of its own"),
    moot("channels.discord.eventQueue", "queues are bounded, and what they drop is counted"),
    moot("channels.discord.inboundWorker", "one answer per chat at a time, chats side by side"),
    moot("channels.discord.retry", "what fails is tried again within Discord's limits"),
    moot("channels.discord.configWrites", "chats never write the configuration"),
    moot("channels.discord.dangerouslyAllowNameMatching", "people are known by their ids"),
    later("channels.discord.dmHistoryLimit"),
    later("channels.discord.mediaMaxMb"),
    later("channels.discord.dms"),
    later("channels.discord.chunkMode"),
    later("channels.discord.maxLinesPerMessage"),
    later("channels.discord.draftChunk"),
    later("channels.discord.blockStreaming"),
    later("channels.discord.blockStreamingCoalesce"),
    later("channels.discord.actions"),
    key(
        "channels.discord.thread.inheritParent",
        Kind::Flag,
        "false",
        "whether the conversation of a new thread begins with what was said around it",
    ),
    later("channels.discord.threadBindings"),
    later("channels.discord.voice"),
    later("channels.discord.pluralkit"),
    later("channels.discord.execApprovals"),
    later("channels.discord.agentComponents"),
    later("channels.discord.ui"),
    later("channels.discord.slashCommand"),
    later("channels.discord.heartbeat"),
    later("channels.discord.contextVisibility"),
    later("channels.discord.mentionAliases"),
    later("channels.discord.defaultTo"),
    later("channels.discord.responsePrefix"),
    later("channels.discord.ackReaction"),
    later("channels.discord.ackReactionScope"),
    later("channels.discord.activity"),
    later("channels.discord.activityType"),
    later("channels.discord.activityUrl"),
    later("channels.discord.status"),
    later("channels.discord.autoPresence"),
    later("channels.discord.markdown"),
    later("channels.discord.capabilities"),
    later("channels.defaults.heartbeat"),
    later("channels.defaults.contextVisibility"),
    later("channels.telegram"),
    later("channels.whatsapp"),
    later("channels.webchat"),
    later("channels.slack"),
    later("channels.signal"),
    later("channels.matrix"),
    later("channels.imessage"),
    later("channels.msteams"),
    later("channels.googlechat"),
    later("channels.mattermost"),
    key("connection.autoReconnect", Kind::Flag, "true", "autoReconnect of every channel"),
    key("connection.backoff.initialDelay", DELAY_MS, "300", "the longest first wait"),
    key("connection.backoff.maxDelay", DELAY_MS, "60000", "the longest wait"),
    key("connection.backoff.multiplier", GROWTH, "2", "by what the waits grow"),
    moot("connection.healthCheck", PROOF),
    key("connection.keepAlive.enabled", Kind::Flag, "true", "whether TCP keepalive is on"),
    key("connection.keepAlive.interval", KEEPALIVE, "30000", "idle time before probes"),
    key("connection.keepAlive.timeout", KEEPALIVE, "10000", "between probes"),
    // The control port.
    key("gateway.port", Kind::Whole(0, 65_535), "18789", "the control port; 0: any that is free"),
    key("gateway.bind", Kind::Word(&["loopback", "lan"]), "loopback", "who may connect to it"),
    key(
        "gateway.auth.mode",
        Kind::Word(&["token", "password", "none"]),
        "token, or password if only that is set",
        "how callers prove themselves; none on loopback only",
    ),
    key("gateway.auth.token", Kind::Secret, "generated", "the token they show"),
    key("gateway.auth.password", Kind::Secret, "none", "the password they show"),
    key(
        "gateway.auth.rateLimit.maxAttempts",
        Kind::Whole(1, limits::AUTH_ATTEMPTS_MAX),
        "10",
        "wrong credentials from one address that lock it out",
    ),
    key("gateway.auth.rateLimit.windowMs", SPAN_MS, "60000", "the time in which they count"),
    key("gateway.auth.rateLimit.lockoutMs", SPAN_MS, "300000", "how long a lockout lasts"),
    key(
        "gateway.setup",
        Kind::Word(&["local", "lan", "off"]),
        "BARNACLE_SETUP, or local",
        "who may open the page that takes the first token (`barnacle help setup`), or nobody",
    ),
    key("gateway.setupPort", Kind::Whole(0, 65_535), "18790", "its port on the network; 0: any"),
    moot("gateway.auth.rateLimit.exemptLoopback", "the Unix socket is never locked out"),
    moot("gateway.auth.allowTailscale", "callers show the token"),
    moot("gateway.reload", "SIGHUP and `config set` apply what has changed, and only that"),
    moot("gateway.mode", "the gateway runs where it is started"),
    moot("gateway.channelHealthCheckMinutes", PROOF),
    moot("gateway.channelStaleEventThresholdMinutes", PROOF),
    moot("gateway.channelMaxRestartsPerHour", "restarts never end, and are paced"),
    moot("gateway.remote", "the command line asks the gateway of this host"),
    later("gateway.controlUi"),
    key(
        "gateway.http.endpoints.chatCompletions.enabled",
        Kind::Flag,
        "false",
        "whether agents are asked at /v1/chat/completions as OpenAI's models are, with the \
         control port's token as the key",
    ),
    later("gateway.http.endpoints.chatCompletions.maxBodyBytes"),
    later("gateway.http.endpoints.chatCompletions.images"),
    later("gateway.http.endpoints.responses"),
    later("gateway.http.securityHeaders"),
    later("gateway.nodes"),
    later("gateway.tailscale"),
    later("gateway.tls"),
    later("gateway.tools"),
    later("gateway.trustedProxies"),
    // Who answers.
    key(
        "agents.defaults.kind",
        Kind::Word(&["echo", "exec", "http", "model"]),
        "exec with a command, http with a url, model with a model, otherwise echo",
        "what answers: the words themselves, a program, a web address, or a language model",
    ),
    key(
        "agents.defaults.command",
        Kind::Own("a list: a program and its arguments"),
        "none",
        "the program that exec runs; it reads JSON, and no shell is between",
    ),
    key("agents.defaults.workspace", Kind::Text, "none", "the directory that the program runs in"),
    key("agents.defaults.env.*", Kind::Secret, "none", "a variable that the program gets"),
    key("agents.defaults.url", Kind::Text, "none", "where http posts each message, as JSON"),
    key("agents.defaults.headers.*", Kind::Secret, "none", "a header that goes along"),
    key("agents.defaults.timeout", TURN, "120", "the longest that an answer may take"),
    key("agents.defaults.timeoutSeconds", TURN, "timeout", "OpenClaw's name for the same"),
    key(
        "agents.defaults.cpuMs",
        Kind::Whole(0, 60_000),
        "0",
        "CPU milliseconds that echo burns on each message, to rehearse a busy agent",
    ),
    key(
        "agents.asyncToolTimeout",
        TURN,
        "120",
        "the longest that an answer may take, where no agent's timeout says so",
    ),
    key(
        "agents.defaults.model",
        Kind::Own("\"provider/model\", or { primary, fallbacks: [] } of such names"),
        "none",
        "the language model that answers, and those that follow when it fails",
    ),
    key("agents.defaults.systemPrompt", Kind::Text, "none", "who the model is told to be"),
    key("agents.defaults.systemPromptFile", Kind::Text, "none", "a file that says it"),
    key(
        "agents.defaults.maxTokens",
        Kind::Whole(16, 1_000_000),
        "4096",
        "how long an answer of the model may become, in its tokens",
    ),
    key(
        "agents.defaults.contextTokens",
        WINDOW,
        "the model's contextWindow",
        "tokens that are told to the model at once at most, whatever it reads",
    ),
    key(
        "agents.defaults.temperature",
        Kind::Number(0.0, 2.0),
        "the provider's",
        "how free the model's choice of words is",
    ),
    key(
        "agents.defaults.budget.chat.tokens",
        TOKENS,
        "none",
        "tokens that each chat may take on a day (UTC)",
    ),
    key("agents.defaults.budget.chat.money", MONEY, "none", "the same in money, by models' cost"),
    key("agents.defaults.budget.day.tokens", TOKENS, "none", "tokens of all chats on a day"),
    key("agents.defaults.budget.day.money", MONEY, "none", "the same in money"),
    later("agents.defaults.models"),
    later("agents.defaults.imageModel"),
    later("agents.defaults.heartbeat"),
    later("agents.defaults.sandbox"),
    later("agents.defaults.skills"),
    later("agents.defaults.memorySearch"),
    later("agents.defaults.compaction"),
    later("agents.defaults.contextPruning"),
    later("agents.defaults.groupChat"),
    later("agents.defaults.subagents"),
    later("agents.defaults.maxConcurrent"),
    later("agents.defaults.thinkingDefault"),
    later("agents.defaults.typingMode"),
    later("agents.defaults.userTimezone"),
    later("agents.defaults.humanDelay"),
    like("agents.entries.*", "agents.defaults", "agents by name; their keys beat the defaults"),
    key("agents.entries.*.default", Kind::Flag, "the first agent", "answers where no binding fits"),
    moot("agents.entries.*.name", "the agent is shown by its key"),
    moot("agents.entries.*.identity", "the agent speaks for itself"),
    moot("agents.entries.*.agentDir", "the agent keeps its own files"),
    like("agents.list.#", "agents.defaults", "older files' entries"),
    key("agents.list.#.id", Kind::Text, "none", "the agent's name"),
    key("agents.list.#.default", Kind::Flag, "the first agent", "answers where no binding fits"),
    moot("agents.list.#.name", "the agent is shown by its id"),
    moot("agents.list.#.identity", "the agent speaks for itself"),
    moot("agents.list.#.agentDir", "the agent keeps its own files"),
    // The rest.
    key(
        "logging.level",
        LEVELS,
        "info",
        "what is logged; connection-debug adds every heartbeat, event and attempt",
    ),
    key("logging.file", Kind::Text, "none", "a file for the log, besides standard error"),
    key(
        "logging.maxFileBytes",
        Kind::Whole(64 * 1024, 1024 * 1024 * 1024),
        "10485760",
        "at this length it begins anew, and the one before is kept as FILE.1",
    ),
    later("logging.consoleLevel"),
    later("logging.consoleStyle"),
    moot("logging.redactSensitive", "tokens are blotted out of every line"),
    later("logging.redactPatterns"),
    key("net.caFile", Kind::Text, "none", "a PEM file of further certificate authorities"),
    // What guides write at the top.
    like("token", "channels.discord.token", "as guides write it"),
    like("intents", "channels.discord.intents", "as guides write it"),
    like("reconnect", "channels.discord.reconnect", "as guides write it"),
    like("rateLimit", "channels.discord.rateLimit", "as guides write it"),
    like("gatewayOptions.tcpKeepalive", "channels.discord.tcpKeepalive", "as guides write it"),
    like("gatewayOptions.compress", "channels.discord.compress", "as guides write it"),
    like("outbox", "channels.discord.outbox", "for every channel"),
    like("catchUp", "channels.discord.catchUp", "for every channel"),
    like("router.dedupWindow", "channels.discord.dedupWindow", "as guides write it"),
    like("toolConfig.asyncToolTimeout", "agents.asyncToolTimeout", "as guides write it"),
    like("logLevel", "logging.level", "as guides write it"),
    moot("toolConfig.heartbeatPriority", ALWAYS_FIRST),
    moot(
        "tokenFromEnv",
        "DISCORD_BOT_TOKEN is always looked at; or write \"${NAME}\" as the token",
    ),
    moot("gracefulShutdown", "what is being answered is finished at every stop"),
    later("intentFilter"),
    key("cron.enabled", Kind::Flag, "true", "whether scheduled jobs run when they are due"),
    key(
        "cron.skipMissedJobs",
        Kind::Flag,
        "false",
        "whether runs that were missed are left out where a job says nothing itself; else one run \
         stands for all of them",
    ),
    key(
        "cron.maxConcurrentRuns",
        Kind::Whole(1, limits::CRON_RUNNING_MAX as u64),
        "8",
        "how many jobs run at once",
    ),
    key(
        "cron.failureAlert.enabled",
        Kind::Flag,
        "true",
        "whether somebody is told that a job fails where the job says nothing itself",
    ),
    key("cron.failureAlert.after", Kind::Whole(1, 1000), "2", "after so many failures in a row"),
    key(
        "cron.failureAlert.cooldownMs",
        Kind::Span(Unit::Millis, Duration::ZERO, Duration::from_hours(24 * 30)),
        "1h",
        "how long until they are told again",
    ),
    key("cron.failureAlert.channel", Kind::Text, "discord", "the chat service"),
    key(
        "cron.failureAlert.to",
        Kind::Text,
        "where the job's answers go",
        "the chat: channel:ID or user:ID",
    ),
    key(
        "cron.failureAlert.accountId",
        Kind::Text,
        "the first that runs",
        "the account that says it",
    ),
    key(
        "cron.failureAlert.includeSkipped",
        Kind::Flag,
        "false",
        "whether what was left out counts",
    ),
    moot("cron.failureAlert.mode", "it is told in a chat"),
    moot("cron.sessionRetention", "each job has one conversation, which is kept as others are"),
    moot("cron.store", "jobs are kept in the state directory"),
    moot("cron.runLog", "the last runs of each job are kept"),
    later("cron.webhookToken"),
    later("cron.retry"),
    later("cron.triggers"),
    later("auth"),
    later("env"),
    later("secrets"),
    later("commands.text"),
    later("commands.nativeSkills"),
    later("commands.config"),
    later("commands.debug"),
    later("commands.bash"),
    later("commands.restart"),
    later("commands.useAccessGroups"),
    later("commands.ownerAllowFrom"),
    later("hooks"),
    later("skills"),
    later("plugins"),
    later("approvals"),
    later("audio"),
    later("media"),
    later("talk"),
    later("memory"),
    later("diagnostics"),
    later("broadcast"),
    moot("acp", "it belongs to another program"),
    moot("browser", "it belongs to another program"),
    moot("canvasHost", "it belongs to another program"),
    moot("cli", "it belongs to another program"),
    moot("discovery", "it belongs to another program"),
    moot("nodeHost", "it belongs to another program"),
    moot("ui", "it belongs to another program"),
    moot("update", "nothing updates itself"),
    moot("web", "it belongs to another program"),
    moot("$schema", "the keys are checked without it"),
    moot("meta", "OpenClaw's own notes"),
    moot("wizard", "OpenClaw's own notes"),
];
