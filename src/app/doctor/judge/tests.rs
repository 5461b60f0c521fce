//! Every matter in each of its states, as a table.

use serde_json::json;

use super::*;

const MINIMAL: u64 = intents::PERMISSIONS_MINIMAL;

/// A bot that is well, beside the gateway that runs it.
fn healthy() -> Facts {
    Facts {
        config: Configuration { file: Some("/etc/b.json5".into()), ..Configuration::default() },
        running: Some(json!({
            "pid": 7, "uptime": 7200,
            "config": { "usingLastGood": false },
            "channels": { "discord": { "status": "connected", "accounts": { "default": {
                "status": "connected",
                "identifyBudget": { "remaining": 990 },
                "rest": { "limited": 0, "invalid": 0 },
                "disconnects": { "total": 2 },
            } } } },
            "thread": {
                "tasks": [{ "name": "agent", "longestMs": 3.0 }],
                "heartbeatLateness": { "maxMs": 1.5 },
            },
        })),
        silence: String::new(),
        accounts: vec![account("default")],
        hosting: Hosting { keeping: Keeping::Service, ..Hosting::default() },
        state: State {
            path: Some("/var/lib/barnacle".into()),
            free: Some(1 << 30),
            ..State::default()
        },
        exposed: Vec::new(),
        walls: Walls::default(),
        wall: Wall(1_774_000_000_000),
    }
}

fn account(name: &str) -> Account {
    let way = |what| Way {
        what,
        host: "discord.example".to_owned(),
        proxy: None,
        families: [Some(Ok(12)), None],
        whole: Ok(31),
    };
    Account {
        name: name.to_owned(),
        enabled: true,
        token_from: "DISCORD_BOT_TOKEN".to_owned(),
        wanted: Intents::DEFAULT,
        is_modest: false,
        learns: false,
        has_keepalive: true,
        application: Ok(application(1 << 19)),
        guilds: Ok(vec![Guild { name: "Home".to_owned(), permissions: MINIMAL }]),
        ways: vec![way("REST API"), way("gateway")],
        ahead: Some(0),
        holder: Holder::Process(Some(7)),
    }
}

fn application(flags: u64) -> Application {
    Application { id: 42, name: "Barnacle".to_owned(), flags }
}

fn of<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no {name}"))
}

type Row = (&'static str, fn(&mut Facts), Verdict, &'static [&'static str]);

fn first(facts: &mut Facts) -> &mut Account {
    &mut facts.accounts[0]
}

fn running(facts: &mut Facts) -> &mut Value {
    facts.running.as_mut().unwrap()
}

fn own(facts: &mut Facts) -> &mut Value {
    &mut running(facts)["channels"]["discord"]["accounts"]["default"]
}

fn refuse(facts: &mut Facts, refusal: &Refusal) {
    first(facts).application = Err(refusal.clone());
    first(facts).guilds = Err(refusal.clone());
}

fn trouble(facts: &mut Facts, text: &str, kind: Kind) {
    first(facts).ways[0].whole = Err(Trouble { text: text.to_owned(), kind });
}

use Verdict::{Fail, Ok as Good, Skip, Warn};

/// What is changed about a healthy bot, the matter that shows it, how, and in which words.
const ROWS: &[Row] = &[
    // Is the token correct?
    ("token", |_| {}, Good, &["valid, for Barnacle (application 42", "DISCORD_BOT_TOKEN"]),
    ("token", |f| refuse(f, &Refusal::Status(401)), Fail, &["refuses it", "Reset Token"]),
    ("token", |f| refuse(f, &Refusal::NoToken), Fail, &["there is none", "set DISCORD_BOT_TOKEN"]),
    ("token", |f| refuse(f, &Refusal::Status(503)), Skip, &["HTTP 503"]),
    // Are the intents on, in the portal and in the configuration?
    ("intents", |_| {}, Good, &["MESSAGE_CONTENT, all switched on"]),
    (
        "intents",
        |f| first(f).application = Ok(application(0)),
        Fail,
        &["4014", "Privileged Gateway Intents", "\"Message Content Intent\"", "doctor --fix"],
    ),
    (
        "intents",
        |f| {
            first(f).wanted = Intents::AGENT_RECOMMENDED;
            first(f).is_modest = true;
        },
        Warn,
        &["GUILD_MEMBERS", "done without", "\"Server Members Intent\""],
    ),
    (
        "intents",
        |f| {
            first(f).wanted = Intents::AGENT_RECOMMENDED;
            first(f).is_modest = true;
            first(f).application = Ok(application(0));
        },
        Fail,
        &["not what they say", "\"Server Members Intent\" and \"Message Content Intent\""],
    ),
    (
        "intents",
        |f| first(f).wanted = Intents(1 << 9),
        Warn,
        &["MESSAGE_CONTENT is not asked for", "channels.discord.intents"],
    ),
    ("intents", |f| refuse(f, &Refusal::Status(401)), Skip, &["not known"]),
    // Is it heard what people think of the intent filter?
    ("reactions", |f| first(f).learns = true, Skip, &["does not hear", "learnFromReactions: true"]),
    (
        "reactions",
        |f| {
            first(f).learns = true;
            first(f).wanted = Intents(first(f).wanted.0 | intents::REACTIONS);
        },
        Good,
        &["learns from people's reactions"],
    ),
    // Is it invited, with the permissions?
    ("invite", |_| {}, Good, &["one server"]),
    (
        "invite",
        |f| first(f).guilds = Ok(Vec::new()),
        Warn,
        &["in no server", "open https://discord.com", "client_id=42"],
    ),
    (
        "invite",
        |f| {
            let guilds = first(f).guilds.as_mut().unwrap();
            guilds.push(Guild { name: "Work".to_owned(), permissions: 1 << 10 });
        },
        Warn,
        &["2 servers", "SEND_MESSAGES, READ_MESSAGE_HISTORY in \"Work\"", "client_id=42"],
    ),
    ("invite", |f| first(f).guilds.as_mut().unwrap()[0].permissions = 1 << 3, Good, &["may read"]),
    ("invite", |f| refuse(f, &Refusal::NoToken), Skip, &["there is no token"]),
    // Does something block the loop?
    ("event-loop", |_| {}, Good, &["2 ms late", "agent held the thread longest, 3 ms"]),
    (
        "event-loop",
        |f| running(f)["thread"]["heartbeatLateness"]["maxMs"] = 900.0.into(),
        Warn,
        &["900 ms late", "too busy"],
    ),
    (
        "event-loop",
        |f| running(f)["thread"]["tasks"][0]["longestMs"] = 1500.0.into(),
        Warn,
        &["1500 ms"],
    ),
    ("event-loop", |f| f.running = None, Skip, &["cannot be asked"]),
    // Does the host kill what is idle?
    ("hosting", |_| {}, Good, &["as a service, up 120 min"]),
    (
        "hosting",
        |f| f.hosting.platform = Some(("Heroku", "use a worker dyno")),
        Warn,
        &["Heroku", "worker"],
    ),
    (
        "hosting",
        |f| f.hosting.keeping = Keeping::UserService { lingers: false },
        Warn,
        &["logs out", "loginctl enable-linger"],
    ),
    ("hosting", |f| f.hosting.keeping = Keeping::UserService { lingers: true }, Good, &["service"]),
    ("hosting", |f| f.hosting.keeping = Keeping::Session, Warn, &["login session", "service"]),
    ("hosting", |f| first(f).has_keepalive = false, Warn, &["keepalive is switched off"]),
    ("hosting", |f| f.hosting.is_container = true, Good, &["container"]),
    // Are there rate limits?
    ("rate-limits", |_| {}, Good, &["no call was limited; 990 new sessions left"]),
    ("rate-limits", |f| own(f)["rest"]["limited"] = 3.into(), Good, &["limited 3 times"]),
    ("rate-limits", |f| own(f)["rest"]["invalid"] = 400.into(), Warn, &["400", "permissions"]),
    (
        "rate-limits",
        |f| own(f)["identifyBudget"]["remaining"] = 10.into(),
        Fail,
        &["only 10 new sessions", "another instance"],
    ),
    ("rate-limits", |f| f.running = None, Skip, &["cannot be asked"]),
    // Can Discord be reached?
    ("reach-api", |_| {}, Good, &["discord.example is reached within 31 ms (IPv4 12 ms)"]),
    ("reach-gateway", |_| {}, Good, &["discord.example"]),
    (
        "reach-api",
        |f| first(f).ways[0].families[1] = Some(Err("no route to the host".to_owned())),
        Good,
        &["IPv6 not: no route to the host"],
    ),
    ("reach-api", |f| trouble(f, "(DNS)", Kind::Dns), Fail, &["is not reached", "resolv.conf"]),
    ("reach-api", |f| trouble(f, "TLS", Kind::Tls), Fail, &["clock", "net.caFile"]),
    ("reach-api", |f| trouble(f, "no answer", Kind::Way), Fail, &["port 443", "proxy"]),
    (
        "reach-api",
        |f| {
            first(f).ways[0].proxy = Some("http://proxy:1".to_owned());
            trouble(f, "the proxy refused: 407", Kind::Proxy);
        },
        Fail,
        &["through http://proxy:1: the proxy refused: 407", "HTTPS_PROXY"],
    ),
    // Do several instances run?
    ("instances", |_| {}, Good, &["one on this host", "process 7"]),
    (
        "instances",
        |f| first(f).holder = Holder::Process(Some(9)),
        Fail,
        &["process 9 runs the bot, and not the gateway, process 7", "ps -fp 9"],
    ),
    (
        "instances",
        |f| {
            f.running = None;
            first(f).holder = Holder::Process(Some(9));
        },
        Warn,
        &["process 9", "ps -fp 9"],
    ),
    ("instances", |f| first(f).holder = Holder::Nobody, Warn, &["another token"]),
    (
        "instances",
        |f| {
            f.running = None;
            first(f).holder = Holder::Nobody;
        },
        Good,
        &["nothing on this host"],
    ),
    ("instances", |f| first(f).holder = Holder::Unknown, Skip, &["no token"]),
    (
        "instances",
        |f| own(f)["anotherInstance"] = "messages of ours that we did not send".into(),
        Warn,
        &["elsewhere", "did not send", "new token"],
    ),
    // And what else keeps a bot off the air.
    ("connection", |_| {}, Good, &["connected; it was lost 2 times"]),
    (
        "connection",
        |f| {
            own(f)["status"] = "reconnecting".into();
            own(f)["lastEnd"] = "connection refused".into();
        },
        Warn,
        &["reconnecting: connection refused", "logs"],
    ),
    (
        "connection",
        |f| *own(f) = json!({"status": "auth_required", "why": "there is no bot token"}),
        Fail,
        &["auth_required: there is no bot token"],
    ),
    ("clock", |_| {}, Good, &["right"]),
    ("clock", |f| first(f).ahead = Some(-120), Warn, &["120 s behind", "set-ntp"]),
    ("clock", |f| first(f).ahead = Some(200_000), Fail, &["ahead of"]),
    ("clock", |f| f.wall = Wall(86_400_000), Fail, &["1970-01-02", "never set", "certificate"]),
    ("clock", |f| first(f).ahead = None, Skip, &["could not be compared"]),
    ("configuration", |_| {}, Good, &["/etc/b.json5"]),
    (
        "configuration",
        |f| f.config.mistakes = vec!["a: no key".to_owned(), "b".to_owned(), "c".to_owned()],
        Warn,
        &["a: no key (and 2 more)", "config check"],
    ),
    (
        "configuration",
        |f| f.config.broken = Some("/etc/b.json5, line 3: odd".to_owned()),
        Fail,
        &["line 3", "does not start"],
    ),
    (
        "configuration",
        |f| {
            f.config.broken = Some("line 3: odd".to_owned());
            f.config.has_last_good = true;
        },
        Fail,
        &["last good configuration holds"],
    ),
    (
        "configuration",
        |f| running(f)["config"]["usingLastGood"] = true.into(),
        Warn,
        &["earlier configuration", "SIGHUP"],
    ),
    ("state-directory", |_| {}, Good, &["/var/lib/barnacle can be written, 1024 MiB free"]),
    ("state-directory", |f| f.state.path = None, Fail, &["BARNACLE_STATE_DIR"]),
    (
        "state-directory",
        |f| f.state.fault = Some("Permission denied".to_owned()),
        Fail,
        &["Permission denied", "right to write"],
    ),
    ("state-directory", |f| f.state.free = Some(1 << 20), Warn, &["only 1 MiB", "make room"]),
    ("state-directory", |f| f.state.is_fleeting = true, Warn, &["container's", "volume"]),
    ("secrets", |_| {}, Good, &["no file"]),
    ("secrets", |f| f.exposed = vec!["/etc/b.json5".into()], Warn, &["chmod o-rwx /etc/b.json5"]),
    // Can programs of agents be confined?
    ("landlock", |_| {}, Good, &["can confine"]),
    ("landlock", |f| f.walls.missing = vec!["files"], Good, &["files; none is to be"]),
    (
        "landlock",
        |f| f.walls = Walls { wanted: 1, missing: vec!["files"] },
        Warn,
        &["use of files", "newer kernel"],
    ),
];

#[test]
fn every_matter_has_its_verdict_its_words_and_its_cure() {
    for (at, (name, change, verdict, words)) in ROWS.iter().enumerate() {
        let mut facts = healthy();
        change(&mut facts);
        let checks = all(&facts);
        let check = of(&checks, name);
        assert_eq!(check.verdict, *verdict, "row {at}: {check:?}");
        let said = format!("{} -> {}", check.text, check.cure);
        for word in *words {
            assert!(said.contains(word), "row {at}: {word:?} is not in {said:?}");
        }
        let needs_cure = matches!(verdict, Warn | Fail);
        assert_eq!(!check.cure.is_empty(), needs_cure, "row {at}: {check:?}");
    }
}

#[test]
fn a_healthy_bot_has_nothing_but_good_checks_and_every_matter_is_in_the_table() {
    let checks = all(&healthy());
    for check in &checks {
        assert_eq!(check.verdict, Good, "{check:?}");
        assert!(ROWS.iter().any(|(name, ..)| *name == check.name), "{} has no row", check.name);
    }
}

#[test]
fn the_exit_code_is_that_of_the_first_failure() {
    let exit = |change: fn(&mut Facts)| {
        let mut facts = healthy();
        change(&mut facts);
        let findings = super::super::Findings { checks: all(&facts), fixed: Vec::new() };
        findings.exit()
    };
    assert_eq!(exit(|_| {}), Exit::Ok);
    assert_eq!(exit(|f| f.exposed = vec!["/x".into()]), Exit::Ok, "a warning is no failure");
    assert_eq!(exit(|f| refuse(f, &Refusal::Status(401))), Exit::Config);
    assert_eq!(exit(|f| f.state.path = None), Exit::State);
    let cut_off = |f: &mut Facts| {
        trouble(f, "no answer", Kind::Way);
        f.state.path = None;
    };
    assert_eq!(exit(cut_off), Exit::Unavailable);
    assert_eq!(exit(|f| first(f).holder = Holder::Process(None)), Exit::Busy);
}

#[test]
fn accounts_are_told_apart_and_those_switched_off_left_alone() {
    let mut facts = healthy();
    facts.accounts.push(Account { enabled: false, ..account("work") });
    let checks = all(&facts);
    assert_eq!(of(&checks, "account (work)").verdict, Skip);
    assert_eq!(of(&checks, "token (default)").verdict, Good);
    assert!(checks.iter().all(|check| check.name != "token (work)"));
}

#[test]
fn a_gateway_of_another_version_is_survived() {
    for odd in [json!(null), json!([]), json!({"channels": 3}), json!({"thread": {"tasks": 1}})] {
        let facts = Facts { running: Some(odd), ..healthy() };
        assert!(all(&facts).len() > 10);
    }
}

#[test]
fn programs_get_one_document() {
    let mut facts = healthy();
    refuse(&mut facts, &Refusal::NoToken);
    let findings = super::super::Findings { checks: all(&facts), fixed: vec!["done".to_owned()] };
    let value = findings.json();
    assert_eq!((&value["ok"], &value["fixed"][0]), (&json!(false), &json!("done")));
    let checks = value["checks"].as_array().unwrap();
    let token = checks.iter().find(|check| check["name"] == "token").unwrap();
    assert_eq!(token["verdict"], "fail");
    assert!(token["cure"].is_string() && checks[0]["cure"].is_null());
}
