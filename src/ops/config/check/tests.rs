use super::super::keys::{self, Kind, Stand};
use super::super::raw;
use super::super::{Agent, AgentKind, Binding, Discord, Intents, Mode, Reconnect, Walls, Weight};
use super::*;
use crate::core::access::{Access, Bots, ChannelRule, GuildRule, People, Place, Policy, Who};
use crate::core::chat::ChannelKind;
use crate::core::outbox::{self, ReplyTo};
use crate::core::permit::OfAgent;
use crate::proto::discord::intents;
use proptest::prelude::*;
use std::time::Duration;

fn checked(text: &str, variables: &[(&str, &str)]) -> (Config, Vec<Mistake>) {
    let root = raw::parse(text).expect("the syntax is right");
    let env = Env::of(variables);
    let token = |account: &str| {
        let name = if account == "default" { "TOKEN".into() } else { format!("TOKEN_{account}") };
        (env.get(&name).map(Secret::new), name)
    };
    let file = |path: &Path| match path.to_str() {
        Some("/run/token") => Ok("Bot from.file\n".to_owned()),
        _ => Err("no such file".to_owned()),
    };
    check(text, root, &Sources { env: &env, token: &token, file: &file })
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
    let gateway = &config.gateway;
    assert_eq!((gateway.port, gateway.lan, gateway.mode), (18_789, false, Mode::Token));
    assert_eq!((&gateway.token, &gateway.password), (&None, &None));
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
    let text = "{channels: {discord: {guilds: {'1': {toolsBySender: {'*': {}}, channels: {'2':
            {toolsBySender: {'*': {}}}}}}}},
        agents: {defaults: {env: {A: 'b'}, headers: {C: 'd'}, tools: {toolsBySender: {'*': {}}}},
            entries: {a: {}}, list: [{}]},
        models: {providers: {p: {headers: {E: 'f'}, models: [{}]}}}, bindings: [{}],
        router: {agents: [{agent: 'a', channels: '*'}]},
        messages: {tts: {providers: {v: {}}}, queue: {byChannel: {discord: 'steer'}},
        inbound: {byChannel: {discord: 1}}},
        tools: {toolsBySender: {'*': {}},
                media: {audio: {models: [{}]}}, web: {fetch: {hosts: {h: {headers: {G: 'h'}}}}},
                run: {programs: {r: {env: {I: 'j'}, parameters: [{}]}}}},
        mcp: {servers: {s: {env: {K: 'l'}, headers: {M: 'n'}}}}}";
    let mut root = raw::parse(text).expect("the syntax is right");
    let env = Env::default();
    let pruned = prune(text, &mut root);
    let mut read = Reader::new(text, &root, pruned, &env);
    all(&mut read, &Sources::bare(&env));
    let listed = keys::KEYS
        .iter()
        .filter(|key| key.stand == Stand::Works && !matches!(key.kind, Kind::Like(_)));
    assert_eq!(read.asked, listed.map(|key| key.path).collect());
}

#[test]
fn the_intent_filter_holds_where_it_is_written_and_not_where_it_is_switched_off() {
    let filter = |discord: &str| {
        let config = clean(&format!("{{channels: {{discord: {{token: 'a.b', {discord}}}}}}}"));
        let discord = config.accounts[0].clone();
        (discord.intent, discord.intents)
    };
    let reactions = |intents: Intents| match intents {
        Intents::Bits(bits) => bits & intents::REACTIONS != 0,
        Intents::AgentRecommended => true,
    };
    let (plain, intents) = filter("intentFilter: {respondThreshold: 0.5}");
    let plain = plain.unwrap();
    assert_eq!((plain.bar.unwrap().threshold, plain.places.len()), (500, 0));
    assert!(plain.learns && !reactions(intents), "they are heard if they come");
    let (learning, intents) = filter("intentFilter: {learnFromReactions: true}");
    assert!(learning.unwrap().learns && reactions(intents));
    assert!(!reactions(filter("").1) && filter("").0.is_none());
    let (deaf, _) =
        filter("intents: 'agent_recommended', intentFilter: {learnFromReactions: false}");
    assert!(!deaf.unwrap().learns);
    let there = "guilds: {'1': {intent_filter: false, channels: {help: {intentFilter:
        {respond_threshold: 0.25}}, '7': {intentFilter: true}, '*': {}}}, '*': {}}";
    let (places, _) = filter(&format!("groupPolicy: 'open', {there}"));
    let places = places.unwrap();
    assert!(places.bar.is_none(), "only there");
    let [first, second] = &places.places[..] else { panic!("{places:?}") };
    assert_eq!((&first.place, first.amends.enabled), (&Place::Id(1), Some(false)));
    let thresholds: Vec<_> = first.channels.iter().map(|(_, amends)| amends.threshold).collect();
    assert_eq!(thresholds, [Some(250), None, None]);
    assert_eq!((&second.place, second.amends.enabled), (&Place::Any, None));
    let (off, _) = filter("groupPolicy: 'open', guilds: {'1': {intentFilter: false}}");
    assert!(off.is_none(), "nowhere is it asked");
    for odd in ["3", "{respondThreshold: 2}", "{threshold: 0.5}", "{enabled: 'maybe'}", "[]"] {
        let guild = format!("guilds: {{'1': {{intentFilter: {odd}}}}}");
        let text = format!("{{channels: {{discord: {{token: 'a.b', {guild}}}}}}}");
        assert!(mistake(&text).contains("intentFilter"), "{odd}");
    }
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
    let Discord { reconnect, keepalive, .. } = clean(&format!("{{{global}}}")).accounts[0].clone();
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
    assert!(said.starts_with("channels.discord.tokn (line 4, column 7): not known"), "{said}");
    assert!(said.ends_with("did you mean channels.discord.token?"), "{said}");
    assert!(mistake("{dmPolicy: 'open'}").ends_with("did you mean channels.discord.dmPolicy?"));
    assert!(mistake("{zzzzzzzz: 1}").contains("help config"));
    assert!(mistake("{hooks: {jobs: []}}").contains("not yet applied"));
    let (_, notes) = checked("{channels: {discord: {heartbeatInterval: 41250}}}", &[]);
    assert_eq!(notes[0].weight, Weight::Note);
    assert!(mistake("{gateway: {port: 1, Port: 2}}").contains("written twice"));
    assert!(mistake("{channels: 5}").contains("an object with keys belongs"));
    assert!(mistake("{'a\\nb\\u202e': 1}").starts_with("[\"a\\nb\\u{202e}\"]:"));
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
        ("{channels: {discord: {accounts: 1}}}", "an object with keys belongs"),
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

/// The access of the one account that `discord` describes.
fn access(discord: &str) -> (Access, Vec<Mistake>) {
    let (config, mistakes) = checked(&format!("{{channels: {{discord: {{{discord}}}}}}}"), &[]);
    (config.accounts[0].access.clone(), mistakes)
}

fn doors(discord: &str) -> (Policy, Policy, Vec<u64>) {
    let (Access { dms, groups, allow_from, .. }, _) = access(discord);
    (dms, groups, allow_from.ids)
}

#[test]
fn doors_are_never_open_wider_than_written() {
    use Policy::{Allowlist, Default, Disabled, Open, Pairing};
    for (written, dms, groups) in [
        ("", Default, Default),
        ("dmPolicy: null", Default, Default),
        ("dmPolicy: 'open', groupPolicy: 'open'", Open, Open),
        ("dmPolicy: 'open'", Open, Allowlist),
        ("groupPolicy: 'disabled'", Pairing, Disabled),
        ("dmPolicy: 'opne', groupPolicy: 7", Allowlist, Allowlist),
        ("dmPolicy: 'pairing'", Pairing, Allowlist),
        ("groupPolicy: 'pairing'", Pairing, Allowlist),
        ("allowFrom: []", Pairing, Allowlist),
        ("allowFrom: {}", Pairing, Allowlist),
        ("allowFrom: ['*']", Pairing, Allowlist),
        ("dmPolicy: 'disabled', allowFrom: ['*']", Disabled, Allowlist),
        ("dm: {enabled: false}, dmPolicy: 'open'", Disabled, Allowlist),
        ("dm: {policy: 'open'}", Open, Allowlist),
        ("guilds: {}", Pairing, Allowlist),
        ("guilds: 7", Pairing, Allowlist),
    ] {
        assert_eq!(doors(written), (dms, groups, vec![]), "{written}");
    }
    assert!(access("allowFrom: ['*']").0.allow_from.everybody);
    let nobody = Some(People::default());
    for written in ["users: []", "users: {}", "users: ['ann']", "users: ['${NOBODY}']"] {
        let (access, mistakes) = access(&format!("guilds: {{'1': {{{written}}}}}"));
        let who = access.guilds[0].who.clone();
        assert_eq!(who.map(|who| who.users), nobody, "{written}");
        assert!(mistakes.iter().any(|m| m.path.ends_with("guilds.1.users")), "{mistakes:?}");
    }
}

#[test]
fn the_documented_table_of_who_is_answered_is_true_of_files() {
    assert_eq!(crate::core::access::tests::wrong_row_as_read(|text| access(text).0), None);
}

#[test]
fn other_bots_are_answered_only_where_it_is_written() {
    for (written, bots) in [
        ("", Bots::Never),
        ("allowBots: true", Bots::Always),
        ("allowBots: 'mentions'", Bots::Mentions),
        ("allowBots: 'always'", Bots::Never),
    ] {
        assert_eq!(access(written).0.bots, bots, "{written}");
    }
}

#[test]
fn a_server_that_nobody_can_talk_in_is_said() {
    let said = mistake("{channels: {discord: {groupPolicy: 'allowlist', dmPolicy: 'open'}}}");
    assert!(said.contains("no server is listed"), "{said}");
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
fn servers_and_their_channels_have_rules_of_their_own() {
    let (access, mistakes) = access(
        "dmPolicy: 'open', groupPolicy: 'allowlist', guilds: {
            '11': {requireMention: false, users: ['1', '<@2>'], roles: ['<@&3>'],
                channels: {
                    '5': {allow: false, requireMention: true},
                    '#general': {users: ['*']},
                    '*': {enabled: true, roles: [9]},
                    closed: 'no',
                    odd: {enabled: 'maybe'},
                }},
            '*': {channels: {}},
            friends: {}}",
    );
    let who = |users: &[u64], everybody, roles: &[u64]| {
        let users = People { everybody, ids: users.to_vec() };
        Some(Who { users, roles: roles.to_vec() })
    };
    let channel = |place, enabled, require_mention, who| ChannelRule {
        place,
        enabled,
        require_mention,
        bots: None,
        who,
    };
    let channels = vec![
        channel(Place::Id(5), false, Some(true), None),
        channel(Place::Name("general".into()), true, None, who(&[], true, &[])),
        channel(Place::Any, true, None, who(&[], false, &[9])),
        channel(Place::Name("closed".into()), false, None, None),
        channel(Place::Name("odd".into()), false, None, None),
    ];
    let first = GuildRule {
        place: Place::Id(11),
        require_mention: Some(false),
        bots: None,
        who: who(&[1, 2], false, &[3]),
        channels: Some(channels),
    };
    let (require_mention, channels) = (None, Some(Vec::new()));
    let any = GuildRule { place: Place::Any, require_mention, bots: None, who: None, channels };
    assert_eq!(access.guilds, [first, any]);
    let said: Vec<&str> = mistakes.iter().map(|mistake| mistake.path.as_str()).collect();
    let guild = "channels.discord.guilds";
    let below = |name: &str| format!("{guild}.11.channels.{name}");
    assert_eq!(said, [guild, &below("closed"), &below("odd.enabled")]);
}

#[test]
fn typos_deep_inside_are_found_with_what_was_meant() {
    for (written, path, meant) in [
        (
            "channels: {discord: {guilds: {'1': {chanels: 5}}}}",
            "channels.discord.guilds.1.chanels",
            "channels.discord.guilds.1.channels",
        ),
        (
            "channels: {discord: {accounts: {work: {token: 't', dmPolcy: 'open'}}}}",
            "channels.discord.accounts.work.dmPolcy",
            "channels.discord.accounts.work.dmPolicy",
        ),
        (
            "agents: {entries: {a: {comand: ['x']}}}",
            "agents.entries.a.comand",
            "agents.entries.a.command",
        ),
        (
            "agents: {list: [{id: 'a', tiemout: 5}]}",
            "agents.list[0].tiemout",
            "agents.list[0].timeout",
        ),
        (
            "bindings: [{agentId: 'main', match: {guildID: 5, rols: []}}]",
            "bindings[0].match.rols",
            "bindings[0].match.roles",
        ),
        ("rate_limit: {startegy: 'drop'}", "rate_limit.startegy", "rate_limit.strategy"),
    ] {
        let said = mistake(&format!("{{{written}}}"));
        assert!(
            said.starts_with(path) && said.ends_with(&format!("did you mean {meant}?")),
            "{said}"
        );
    }
}

#[test]
fn accounts_are_laid_over_their_channel() {
    let config = clean(
        "{channels: {discord: {token: 'a', compress: false, groupPolicy: 'open', dmPolicy: 'open',
            reconnect: {maxRetries: 7}, guilds: {'1': {users: [1]}},
            accounts: {
                work: {token: 'b', compress: true, reconnect: {backoffMax: 20},
                    guilds: {'2': {}}, dmPolicy: 'disabled'},
                Default: {token: 'c', textChunkLimit: 500},
                rest: {enabled: false},
            }}}}",
    );
    let [work, default, rest] = &config.accounts[..] else { panic!("three") };
    let names = [work, default, rest].map(|account| account.id.as_str());
    assert_eq!(names, ["work", "default", "rest"]);
    let tokens = [work, default, rest].map(|account| account.token.clone());
    assert_eq!(tokens, [Some(Secret::new("b")), Some(Secret::new("c")), None]);
    assert_eq!([work.compress, default.compress, rest.compress], [true, false, false]);
    assert_eq!([work.enabled, default.enabled, rest.enabled], [true, true, false]);
    assert_eq!(work.token_from, "channels.discord.accounts.work.token");
    // Single keys of a section are laid over one by one, whole maps as a whole.
    assert_eq!((work.reconnect.slow_after, default.reconnect.slow_after), (Some(7), Some(7)));
    assert_eq!(work.reconnect.backoff.cap.as_secs(), 20);
    assert_eq!(default.reconnect.backoff.cap, limits::RETRY_CAP);
    let places = |account: &Discord| account.access.guilds[0].place.clone();
    assert_eq!([work, default].map(places), [Place::Id(2), Place::Id(1)]);
    assert_eq!((work.access.dms, default.access.dms), (Policy::Disabled, Policy::Open));
    assert_eq!((work.chunk_chars, default.chunk_chars), (2000, 500));
}

#[test]
fn a_named_account_takes_nobody_elses_token() {
    let of = |text: &str, variables: &[(&str, &str)]| {
        let (config, mistakes) = checked(text, variables);
        let tokens = config.accounts.into_iter().map(|account| {
            let token = account.token.map(|token| token.expose().to_owned());
            (account.id, token.unwrap_or_default(), account.enabled)
        });
        (tokens.collect::<Vec<_>>(), mistakes)
    };
    let account = |id: &str, token: &str, on| (id.to_owned(), token.to_owned(), on);
    let work = "{channels: {discord: {accounts: {work: {}}}}}";
    let (found, mistakes) = of(work, &[]);
    assert_eq!(found, [account("work", "", true)]);
    assert!(mistakes[0].to_string().starts_with("channels.discord.accounts.work (line 1"));
    // The environment's plain token is the default account's, which it calls into being.
    assert_eq!(
        of(work, &[("TOKEN", "env")]).0,
        [account("default", "env", true), account("work", "", true)]
    );
    assert_eq!(of(work, &[("TOKEN_work", "own")]), (vec![account("work", "own", true)], vec![]));
    let channel = "{channels: {discord: {token: 'c', accounts: {work: {token: 'w'}}}}}";
    assert_eq!(of(channel, &[]).0, [account("default", "c", true), account("work", "w", true)]);
    let off =
        "{channels: {discord: {enabled: false, accounts: {work: {token: 'w', enabled: true}}}}}";
    assert_eq!(of(off, &[]).0, [account("work", "w", false)]);
    let twins = "{channels: {discord: {accounts: {a: {token: 't'}, b: {token: 'Bot t'}}}}}";
    let (found, mistakes) = of(twins, &[]);
    assert_eq!(found, [account("a", "t", true), account("b", "t", false)]);
    assert_eq!(mistakes[0].path, "channels.discord.accounts.b");
    assert!(mistakes[0].text.contains("\"a\""), "{mistakes:?}");
}

#[test]
fn tokens_come_from_files_and_references_too() {
    for (written, variables) in [
        ("tokenFile: '/run/token'", &[][..]),
        ("token: {source: 'env', provider: 'default', id: 'T'}", &[("T", "from.file")]),
        ("token: {source: 'file', id: '/run/token'}", &[]),
        ("token: '${T}'", &[("T", "from.file")]),
    ] {
        let (config, mistakes) =
            checked(&format!("{{channels: {{discord: {{{written}}}}}}}"), variables);
        assert_eq!(config.accounts[0].token, Some(Secret::new("from.file")), "{written}");
        assert_eq!(mistakes, [], "{written}");
    }
    for (written, why) in [
        ("tokenFile: '/nowhere'", "no such file"),
        ("token: {source: 'exec', id: 'x'}", "cannot be followed"),
        ("token: {source: 'env', id: 'T'}", "T is not set"),
        ("token: {}", "a text"),
    ] {
        let said = mistake(&format!("{{channels: {{discord: {{{written}}}}}}}"));
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn how_answers_look_and_wait_can_be_said() {
    let account = |discord: &str| {
        clean(&format!("{{channels: {{discord: {{{discord}}}}}}}")).accounts[0].clone()
    };
    let usual = account("");
    assert_eq!(usual.reply_to, ReplyTo::First);
    assert_eq!(usual.outbox, outbox::Policy::default());
    assert_eq!(usual.dedup, limits::DEDUP_WINDOW);
    assert_eq!(usual.catch_up, (limits::CATCH_UP_SPAN, limits::CATCH_UP_PER_CHAT_MAX));
    assert!(usual.slash_commands && usual.health_monitor);
    let changed = account(
        "replyToMode: 'off', textChunkLimit: 1000, dedupWindow: 0, healthMonitor: {enabled: false},
         rateLimit: {strategy: 'drop', maxQueueSize: 5, burstProtection: false},
         outbox: {ttl: '5m'}, catchUp: {maxAge: '10m', perChat: 7}, commands: {native: 'auto'}",
    );
    assert_eq!((changed.reply_to, changed.chunk_chars), (ReplyTo::Off, 1000));
    let ttl = Duration::from_mins(5);
    let policy = outbox::Policy { queues: false, queue_max: 5, burst_protection: false, ttl };
    assert_eq!(changed.outbox, policy);
    assert_eq!((changed.dedup, changed.health_monitor), (Duration::ZERO, false));
    assert_eq!(changed.catch_up, (Duration::from_mins(10), 7));
    assert_eq!(account("catchUp: {enabled: false}").catch_up.0, Duration::ZERO);
    assert_eq!(account("replyToMode: 'batched'").reply_to, ReplyTo::First);
    assert!(!account("rateLimit: {enabled: false}").outbox.queues);
}

#[test]
fn what_guides_write_at_the_top_counts_unless_the_channel_says_more() {
    let config = clean(
        "{token: 't', log_level: 'CONNECTION_DEBUG', intents: {message_content: false},
          rate_limit: {enabled: true, strategy: 'queue', max_queue_size: 20},
          reconnect: {max_retries: 4, backoff_max: 30},
          tool_config: {async_tool_timeout: 60},
          gateway_options: {tcp_keepalive: 40, compress: false},
          router: {dedup_window: 7},
          commands: {native: false},
          channels: {discord: {rateLimit: {maxQueueSize: 9}, intents: 33280}}}",
    );
    let account = &config.accounts[0];
    assert_eq!(account.token, Some(Secret::new("t")));
    assert_eq!((account.outbox.queue_max, account.intents), (9, Intents::Bits(33280)));
    assert_eq!(account.reconnect.slow_after, Some(4));
    assert_eq!(config.agents[0].deadline.as_secs(), 60);
    assert_eq!((account.compress, account.keepalive.map(|k| k.idle.as_secs())), (false, Some(40)));
    assert_eq!((account.dedup.as_secs(), account.slash_commands), (7, false));
    assert_eq!(config.log_level, "connection-debug");
}

#[test]
fn agents_are_laid_over_their_defaults() {
    let (config, mistakes) = checked(
        "{agents: {
            defaults: {timeout: 60, env: {A: '${V}'}, workspace: '~/w'},
            entries: {
                one: {command: ['/bin/one', '-x', 5]},
                two: {kind: 'http', url: 'https://two/', headers: {Authorization: 'Bearer ${V}'},
                    timeout: 5, default: true},
                three: {kind: 'echo', command: 'ignored'},
            },
            list: [{id: 'four', command: '/bin/four -a  b', env: {B: '2'}}, {id: 'ONE'}, {}]}}",
        &[("V", "value"), ("HOME", "/h")],
    );
    let pair = |name: &str, value: &str| (name.to_owned(), Secret::new(value));
    let exec = |command: &[&str], env| AgentKind::Exec {
        command: command.iter().map(|&word| word.to_owned()).collect(),
        workspace: Some("/h/w".into()),
        env,
        walls: Walls { confine: false, network: true, readable: Vec::new(), writable: Vec::new() },
    };
    let headers = vec![pair("Authorization", "Bearer value")];
    let http = AgentKind::Http { url: "https://two/".into(), headers };
    let agent = |id: &str, kind, seconds| Agent {
        id: id.to_owned(),
        kind,
        deadline: Duration::from_secs(seconds),
        tools: OfAgent { agent: id.into(), ..OfAgent::default() },
    };
    let agents = [
        agent("two", http, 5),
        agent("one", exec(&["/bin/one", "-x", "5"], vec![pair("A", "value")]), 60),
        agent("three", AgentKind::Echo { cpu: Duration::ZERO }, 60),
        agent("four", exec(&["/bin/four", "-a", "b"], vec![pair("B", "2")]), 60),
    ];
    assert_eq!(config.agents, agents);
    let said: Vec<&str> = mistakes.iter().map(|mistake| mistake.path.as_str()).collect();
    assert_eq!(said, ["agents.list[1]", "agents.list[2]"]);
}

#[test]
fn an_agent_that_cannot_work_is_said_and_never_shows_its_secrets() {
    for (written, path) in [
        ("kind: 'exec'", "agents.defaults.command"),
        ("kind: 'http'", "agents.defaults.url"),
        ("url: 'ftp://hunter2'", "agents.defaults.url"),
        ("url: 'http://'", "agents.defaults.url"),
        ("command: []", "agents.defaults.command"),
        ("command: [{}]", "agents.defaults.command"),
        ("headers: {'a b': 'hunter2'}", "agents.defaults.headers[\"a b\"]"),
        ("headers: {a: 'hunter2\\n'}, env: {}", ""),
        ("headers: {a: 'hun\\nter2'}", "agents.defaults.headers.a"),
        ("env: {'': 'hunter2'}", "agents.defaults.env[\"\"]"),
        ("env: {A: '${NONE}'}", "agents.defaults.env.A"),
        ("env: {A: ['hunter2']}", "agents.defaults.env.A"),
    ] {
        let (config, mistakes) = checked(&format!("{{agents: {{defaults: {{{written}}}}}}}"), &[]);
        assert_eq!(config.agents[0].kind, AgentKind::Echo { cpu: Duration::ZERO }, "{written}");
        assert!(mistakes.iter().all(|m| m.path == path), "{written}: {mistakes:?}");
        assert_eq!(mistakes.is_empty(), path.is_empty(), "{written}");
        assert!(!format!("{config:?}{mistakes:?}").contains("hunter2"), "{mistakes:?}");
    }
}

#[test]
fn bindings_send_no_message_further_than_they_say() {
    let text = "{channels: {discord: {accounts: {default: {token: 'a'}, work: {token: 'b'}}}},
        agents: {entries: {one: {}, two: {}}},
        bindings: [
            {agentId: 'Two', match: {channel: 'discord', accountId: 'work'}},
            {agentId: 'two', match: {channel: 'discord'}},
            {agentId: 'one', match: {accountId: '*', guildId: '5', roles: ['6', 7],
                peer: {kind: 'channel', id: '<#8>'}}},
            {agentId: 'one', match: {channel: 'telegram', peer: {kind: 'direct', id: 'x'}}},
            {agentId: 'tow', match: {}},
            {match: {}},
            {agentId: 'one', match: {accountId: 'wrk'}},
            {agentId: 'one', match: {peer: {kind: 'direct', id: 'ann'}}},
            {agentId: 'one', match: {roles: []}},
            7,
        ]}";
    let (config, mistakes) = checked(text, &[]);
    let binding = |agent: &str, account: Option<&str>| Binding {
        agent: agent.to_owned(),
        account: account.map(str::to_owned),
        ..Binding::default()
    };
    let narrow = Binding {
        peer: Some(8),
        kind: Some(crate::core::route::PeerKind::Group),
        guild: Some(5),
        roles: vec![6, 7],
        ..binding("one", None)
    };
    let discord = |account| {
        let channel = Some(ChannelKind::Discord);
        Binding { channel, ..binding("two", Some(account)) }
    };
    assert_eq!(config.bindings, [discord("work"), discord("default"), narrow]);
    let mut said: Vec<String> = mistakes.iter().map(|mistake| mistake.path.clone()).collect();
    said.sort();
    said.dedup();
    let left_out = ["[4]", "[5]", "[6]", "[7]", "[7].match.peer.id", "[8]", "[9]"];
    assert_eq!(said, left_out.map(|at| format!("bindings{at}")));
    let meant = mistakes.iter().find(|mistake| mistake.path == "bindings[4]");
    assert!(meant.is_some_and(|m| m.cure.contains("\"two\"")), "{mistakes:?}");
    // Our own chat is bound like a service, and has no accounts.
    let own = "{agents: {list: [{id: 'main'}, {id: 'two'}]},
        bindings: [{agentId: 'two', match: {channel: 'WebChat', accountId: 'default'}}]}";
    let channel = Some(ChannelKind::WebChat);
    assert_eq!(clean(own).bindings, [Binding { channel, ..binding("two", None) }]);
    // With one account, its name does not matter.
    let one = "{bindings: [{agentId: 'main', match: {}}]}";
    assert_eq!(clean(one).bindings, [binding("main", None)]);
}

#[test]
fn a_file_for_the_log_has_a_bound() {
    let (config, _) = checked("{logging: {file: '~/b.log'}}", &[("HOME", "/h")]);
    let usual = LogFile { path: "/h/b.log".into(), bytes_max: limits::LOG_FILE_BYTES };
    assert_eq!(config.log_file, Some(usual));
    assert_eq!(clean("{logging: {maxFileBytes: 1000000}}").log_file, None);
}

#[test]
fn of_too_many_entries_the_rest_is_left_out_and_said() {
    let numbered = |count: usize, value: &str| {
        let entries: Vec<String> = (0..count).map(|n| format!("'{n}': {{{value}}}")).collect();
        entries.join(",")
    };
    let of = |discord: String| {
        let (config, mistakes) = checked(&format!("{{channels: {{discord: {{{discord}}}}}}}"), &[]);
        assert!(mistakes.iter().any(|mistake| mistake.text.contains("only the first")));
        config
    };
    let guilds = numbered(limits::CONFIG_ENTRIES_MAX + 5, "");
    let config = of(format!("dmPolicy: 'open', guilds: {{{guilds}}}"));
    assert_eq!(config.accounts[0].access.guilds.len(), limits::CONFIG_ENTRIES_MAX);
    let config =
        of(format!("accounts: {{{}}}", numbered(limits::ACCOUNTS_MAX + 5, "enabled: false")));
    assert_eq!(config.accounts.len(), limits::ACCOUNTS_MAX);
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
    let said = mistake("{channels: {discord: {intents: ['MESAGE_CONTENT', 'MessageContent']}}}");
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
