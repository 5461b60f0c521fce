//! What a new configuration changes: which accounts need another connection, and what is simply
//! applied.

use super::{Config, Discord};

/// One consequence of a new configuration, with the keys that it comes from (below
/// `channels.discord` for an account's).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// This account is to run now.
    Start(String),
    /// This account is to leave.
    Stop(String),
    /// This account's connection cannot stay.
    Reconnect(String, Vec<&'static str>),
    /// This account goes on with other settings.
    Apply(String, Vec<&'static str>),
    /// What is no account's changes at once.
    Process(Vec<&'static str>),
    /// What holds only after the next start.
    NextStart(Vec<&'static str>),
}

impl Config {
    /// What `new` changes; nothing if it says the same.
    pub(crate) fn changes(&self, new: &Config) -> Vec<Change> {
        // No `..`: whoever adds a field says here what its change means.
        let Config {
            accounts,
            gateway,
            agents,
            bindings,
            router,
            media,
            completions,
            outside,
            tools,
            cron,
            session,
            turns,
            log_level,
            log_file,
            ca_file,
        } = self;
        let network = changed(&[("net.caFile", *ca_file != new.ca_file)]);
        let mut changes = Vec::new();
        let runs = |discord: &&Discord| discord.enabled;
        for old in accounts.iter().filter(runs) {
            let id = old.id.clone();
            match new.accounts.iter().filter(runs).find(|account| account.id == id) {
                None => changes.push(Change::Stop(id)),
                Some(account) => {
                    let (mut connection, settings) = old.differences(account);
                    connection.extend(&network);
                    if !connection.is_empty() {
                        changes.push(Change::Reconnect(id, connection));
                    } else if !settings.is_empty() {
                        changes.push(Change::Apply(id, settings));
                    }
                }
            }
        }
        for account in new.accounts.iter().filter(runs) {
            if !accounts.iter().filter(runs).any(|old| old.id == account.id) {
                changes.push(Change::Start(account.id.clone()));
            }
        }
        // One that rests is started and stopped by nobody, but listed.
        let has = |config: &Config, id: &str| config.accounts.iter().any(|one| one.id == id);
        let has_news = |config: &Config, other: &Config| {
            config.accounts.iter().any(|one| !one.enabled && !has(other, &one.id))
        };
        let process = changed(&[
            ("channels.discord.accounts", has_news(self, new) || has_news(new, self)),
            ("agents", *agents != new.agents),
            ("bindings", *bindings != new.bindings),
            ("router", *router != new.router),
            ("tools.media", media.hearing != new.media.hearing),
            ("messages.tts", media.speaking != new.media.speaking),
            ("gateway.http", *completions != new.completions),
            ("tools", *outside != new.outside || *tools != new.tools),
            ("cron", *cron != new.cron),
            ("session", *session != new.session),
            ("messages", *turns != new.turns),
            ("logging.level", *log_level != new.log_level),
            ("logging.file", *log_file != new.log_file),
        ]);
        let next_start = changed(&[("gateway", *gateway != new.gateway)]);
        changes.extend((!process.is_empty()).then_some(Change::Process(process)));
        changes.extend((!next_start.is_empty()).then_some(Change::NextStart(next_start)));
        changes
    }
}

impl Discord {
    /// The keys in which `new` differs: those that a connection is made by, and those that are
    /// read anew at each message.
    pub(crate) fn differences(&self, new: &Discord) -> (Vec<&'static str>, Vec<&'static str>) {
        // No `..` here either.
        let Discord {
            id,
            enabled,
            token,
            token_from,
            api_url,
            access,
            intent,
            intents,
            compress,
            keepalive,
            reconnect,
            proxy,
            outbox,
            reply_to,
            chunk_chars,
            dedup,
            loops,
            overhears,
            catch_up,
            health_monitor,
            slash_commands,
            inherits_threads,
            tools,
            streaming,
        } = self;
        let connection = changed(&[
            ("id", *id != new.id),
            ("enabled", *enabled != new.enabled),
            ("token", *token != new.token),
            ("DISCORD_API_URL", *api_url != new.api_url),
            ("intents", *intents != new.intents),
            ("compress", *compress != new.compress),
            ("tcpKeepalive", *keepalive != new.keepalive),
            // The machine that reconnects was made with it.
            ("reconnect", *reconnect != new.reconnect),
            ("proxy", *proxy != new.proxy),
        ]);
        let settings = changed(&[
            // The same token from elsewhere is the same token.
            ("tokenFile", *token_from != new.token_from),
            ("access", *access != new.access),
            ("intentFilter", *intent != new.intent),
            ("rateLimit", *outbox != new.outbox),
            ("replyToMode", *reply_to != new.reply_to),
            ("textChunkLimit", *chunk_chars != new.chunk_chars),
            ("dedupWindow", *dedup != new.dedup),
            ("botLoopProtection", *loops != new.loops),
            ("historyLimit", *overhears != new.overhears),
            ("catchUp", *catch_up != new.catch_up),
            ("healthMonitor", *health_monitor != new.health_monitor),
            ("commands.native", *slash_commands != new.slash_commands),
            ("thread.inheritParent", *inherits_threads != new.inherits_threads),
            ("guilds.tools", *tools != new.tools),
            ("streaming", *streaming != new.streaming),
        ]);
        (connection, settings)
    }
}

fn changed(keys: &[(&'static str, bool)]) -> Vec<&'static str> {
    keys.iter().filter(|(_, is_changed)| *is_changed).map(|(key, _)| *key).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Env, files};
    use super::*;

    fn config(text: &str) -> Config {
        files::parse(text, &Env::default()).expect("fine").0
    }

    /// What changes from the plain account to one with these keys.
    fn from_plain(discord: &str) -> Vec<Change> {
        let of = |discord| config(&format!("{{channels: {{discord: {{token: 't', {discord}}}}}}}"));
        of("").changes(&of(discord))
    }

    #[test]
    fn only_what_a_connection_is_made_by_costs_it() {
        for (written, key) in [
            ("token: 'u'", "token"),
            ("intents: 33281", "intents"),
            ("compress: false", "compress"),
            ("tcpKeepalive: 99", "tcpKeepalive"),
            ("reconnect: {maxRetries: 7}", "reconnect"),
            ("proxy: 'http://p:1'", "proxy"),
        ] {
            let expected = Change::Reconnect("default".into(), vec![key]);
            assert_eq!(from_plain(written), [expected], "{written}");
        }
        for (written, key) in [
            ("dmPolicy: 'open'", "access"),
            ("guilds: {'1': {users: [5]}}", "access"),
            ("intent_filter: {respond_threshold: 0.5}", "intentFilter"),
            ("rateLimit: {maxQueueSize: 3}", "rateLimit"),
            ("outbox: {ttl: 300}", "rateLimit"),
            ("replyToMode: 'off'", "replyToMode"),
            ("textChunkLimit: 500", "textChunkLimit"),
            ("dedupWindow: 1", "dedupWindow"),
            ("historyLimit: 5", "historyLimit"),
            ("botLoopProtection: {maxChainDepth: 3}", "botLoopProtection"),
            ("catchUp: {enabled: false}", "catchUp"),
            ("healthMonitor: {enabled: false}", "healthMonitor"),
            ("commands: {native: false}", "commands.native"),
        ] {
            let expected = Change::Apply("default".into(), vec![key]);
            assert_eq!(from_plain(written), [expected], "{written}");
        }
        assert_eq!(from_plain(""), []);
        assert_eq!(from_plain("dmHistoryLimit: 5"), [], "what does nothing changes nothing");
        assert_eq!(from_plain("enabled: false"), [Change::Stop("default".into())]);
    }

    #[test]
    fn one_accounts_change_is_nobody_elses() {
        let of = |a: &str, b: &str| {
            let accounts = format!("a: {{token: 'a', {a}}}, b: {{token: 'b', {b}}}");
            config(&format!("{{channels: {{discord: {{accounts: {{{accounts}}}}}}}}}"))
        };
        let plain = of("", "");
        let reconnect = |id: &str| Change::Reconnect(id.into(), vec!["compress"]);
        assert_eq!(plain.changes(&of("compress: false", "")), [reconnect("a")]);
        assert_eq!(plain.changes(&of("", "enabled: false")), [Change::Stop("b".into())]);
        assert_eq!(of("enabled: false", "").changes(&plain), [Change::Start("a".into())]);
        assert_eq!(plain.changes(&config("{}")).len(), 3, "two leave, one starts");
    }

    #[test]
    fn what_is_no_accounts_leaves_connections_alone() {
        for (written, change) in [
            ("agents: {defaults: {timeout: 5}}", Change::Process(vec!["agents"])),
            ("bindings: [{agentId: 'main', match: {}}]", Change::Process(vec!["bindings"])),
            ("tools: {deny: ['run']}", Change::Process(vec!["tools"])),
            ("agents: {defaults: {allowFrom: ['7']}}", Change::Process(vec!["agents"])),
            ("logging: {level: 'debug'}", Change::Process(vec!["logging.level"])),
            ("logging: {file: '/f'}", Change::Process(vec!["logging.file"])),
            ("gateway: {port: 1}", Change::NextStart(vec!["gateway"])),
            ("net: {caFile: '/f'}", Change::Reconnect("default".into(), vec!["net.caFile"])),
        ] {
            let new = config(&format!("{{{written}}}"));
            assert_eq!(config("{}").changes(&new), [change], "{written}");
        }
    }
}
