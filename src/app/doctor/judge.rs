//! What was found means this. No clock, no network, no files: all of it is in the facts.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::Value;

use super::{Check, Verdict};
use crate::base::Wall;
use crate::base::limits;
use crate::ops::exit::Exit;
use crate::proto::discord::intents::{self, Intents};

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) config: Configuration,
    /// What the running gateway says of itself, or why it says nothing.
    pub(super) running: Option<Value>,
    pub(super) silence: String,
    pub(super) accounts: Vec<Account>,
    pub(super) hosting: Hosting,
    pub(super) state: State,
    pub(super) walls: Walls,
    /// Files with secrets in them that everybody on this host can read.
    pub(super) exposed: Vec<PathBuf>,
    pub(super) wall: Wall,
}

/// The walls around programs of agents.
#[derive(Debug, Default)]
pub(super) struct Walls {
    /// How many programs are to be confined.
    pub(super) wanted: usize,
    /// What this kernel cannot keep them from.
    pub(super) missing: Vec<&'static str>,
}

/// How the configuration could be read.
#[derive(Debug, Default)]
pub(super) struct Configuration {
    pub(super) file: Option<PathBuf>,
    pub(super) broken: Option<String>,
    pub(super) has_last_good: bool,
    /// What is not honoured in it.
    pub(super) mistakes: Vec<String>,
}

/// One account, and what Discord says of it.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact about the account by itself")]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) enabled: bool,
    pub(super) token_from: String,
    pub(super) wanted: Intents,
    /// Whether intents that are not switched on are left out by themselves.
    pub(super) is_modest: bool,
    /// Whether reactions are to shift what the intent filter lets through.
    pub(super) learns: bool,
    pub(super) has_keepalive: bool,
    pub(super) application: Asked<Application>,
    pub(super) guilds: Asked<Vec<Guild>>,
    pub(super) ways: Vec<Way>,
    /// By how many seconds our clock is ahead of Discord's.
    pub(super) ahead: Option<i64>,
    pub(super) holder: Holder,
}

/// What came of a question to Discord.
pub(in crate::app) type Asked<T> = Result<T, Refusal>;

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::app) enum Refusal {
    /// There is no token to ask with.
    NoToken,
    /// This HTTP status.
    Status(u16),
    /// It cannot be reached, for this reason.
    Unreachable(String),
}

/// The application behind a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::app) struct Application {
    pub(in crate::app) id: u64,
    pub(in crate::app) name: String,
    pub(in crate::app) flags: u64,
}

/// A server that the bot is in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Guild {
    pub(super) name: String,
    pub(super) permissions: u64,
}

/// A way to one of Discord's hosts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Way {
    /// `REST API` or `gateway`.
    pub(super) what: &'static str,
    pub(super) host: String,
    /// The proxy that it leads through.
    pub(super) proxy: Option<String>,
    /// IPv4 and IPv6: nothing if there is no address of that family, else how long a TCP
    /// connection took in milliseconds, or why there is none.
    pub(super) families: [Option<Result<u128, String>>; 2],
    /// How long everything took to the end of the TLS handshake, or why it did not get there.
    pub(super) whole: Result<u128, Trouble>,
}

/// Why there is no way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Trouble {
    pub(super) text: String,
    pub(super) kind: Kind,
}

/// What a trouble of the way is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Names.
    Dns,
    /// Certificates, or the clock that they are judged by.
    Tls,
    /// The proxy.
    Proxy,
    /// Anything else.
    Way,
}

/// Who holds a token's lock on this host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Holder {
    Nobody,
    Process(Option<i32>),
    /// There is no token, or the kernel does not say.
    Unknown,
}

/// What kind of place this is to live in.
#[derive(Debug, Default)]
pub(super) struct Hosting {
    /// A platform that is known by its environment, and how it treats those who are idle.
    pub(super) platform: Option<(&'static str, &'static str)>,
    pub(super) is_container: bool,
    pub(super) keeping: Keeping,
}

/// What keeps the running gateway alive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Keeping {
    /// It does not run, or it is not known.
    #[default]
    Unknown,
    /// A service of the system.
    Service,
    /// A service of a user, who lingers after logging out or does not.
    UserService { lingers: bool },
    /// Nothing but somebody's login.
    Session,
}

/// The state directory.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) path: Option<PathBuf>,
    pub(super) fault: Option<String>,
    pub(super) free: Option<u64>,
    /// It is in the container's own layer, which goes when the container does.
    pub(super) is_fleeting: bool,
}

/// Judges everything.
pub(super) fn all(facts: &Facts) -> Vec<Check> {
    let mut checks = vec![configuration(facts)];
    let several = facts.accounts.len() > 1;
    for account in &facts.accounts {
        let mut own = of_account(facts, account);
        if several {
            for check in &mut own {
                check.name = format!("{} ({})", check.name, account.name);
            }
        }
        checks.extend(own);
    }
    checks.push(clock(facts));
    checks.push(event_loop(facts));
    checks.push(hosting(facts));
    checks.push(state(&facts.state));
    checks.push(secrets(&facts.exposed));
    checks.push(walls(&facts.walls));
    checks
}

fn of_account(facts: &Facts, account: &Account) -> Vec<Check> {
    if !account.enabled {
        let text = "the account is switched off (enabled: false)";
        return vec![check("account", Verdict::Skip, text)];
    }
    let mut checks: Vec<Check> = account.ways.iter().map(way).collect();
    checks.push(token(account));
    checks.push(intents(account));
    checks.extend(reactions(account));
    checks.push(invite(account));
    checks.push(rate_limits(facts, account));
    checks.push(instances(facts, account));
    checks.push(connection(facts, account));
    checks
}

fn check(name: &str, verdict: Verdict, text: impl Into<String>) -> Check {
    let (name, text, cure) = (name.to_owned(), text.into(), String::new());
    Check { name, verdict, text, cure, exit: Exit::Unavailable }
}

impl Check {
    fn cure(self, cure: impl Into<String>) -> Check {
        Check { cure: cure.into(), ..self }
    }

    fn exit(self, exit: Exit) -> Check {
        Check { exit, ..self }
    }
}

fn configuration(facts: &Facts) -> Check {
    const NAME: &str = "configuration";
    let Configuration { file, broken, has_last_good, mistakes } = &facts.config;
    let file = file.as_ref().map(|file| file.display().to_string());
    if let Some(broken) = broken {
        let cure = if *has_last_good {
            "correct it there; until then the last good configuration holds"
        } else {
            "correct it there; the gateway does not start without it"
        };
        return check(NAME, Verdict::Fail, broken).cure(cure).exit(Exit::Config);
    }
    let running = facts.running.as_ref();
    if running.is_some_and(|status| status["config"]["usingLastGood"] == true) {
        let text = "the running gateway goes by an earlier configuration: when it last looked, \
                    this one could not be used";
        return check(NAME, Verdict::Warn, text).cure("send it SIGHUP, or restart it");
    }
    let name = file.unwrap_or_else(|| "there is none; the defaults hold".to_owned());
    match mistakes.as_slice() {
        [] => check(NAME, Verdict::Ok, name),
        [first, others @ ..] => {
            let more = match others.len() {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            let cure = "`barnacle config check` lists everything";
            check(NAME, Verdict::Warn, format!("{name}: {first}{more}")).cure(cure)
        }
    }
}

fn way(way: &Way) -> Check {
    let name = if way.what == "gateway" { "reach-gateway" } else { "reach-api" };
    let Way { host, proxy, families, whole, .. } = way;
    let through = proxy.as_ref().map_or_else(String::new, |proxy| format!(" through {proxy}"));
    let trouble = match whole {
        Ok(millis) => {
            let each = family_words(families);
            let text = format!("{host} is reached{through} within {millis} ms{each}");
            return check(name, Verdict::Ok, text);
        }
        Err(trouble) => trouble,
    };
    let text = format!("{host} is not reached{through}: {}", trouble.text);
    let cure = match trouble.kind {
        Kind::Dns => {
            "look at /etc/resolv.conf, and in a container at its DNS setting; \
             `getent hosts discord.com` must give addresses"
        }
        Kind::Tls => {
            "look at the clock; if something in this network opens TLS connections, name its \
             authority in net.caFile"
        }
        Kind::Proxy => "look at channels.discord.proxy, HTTPS_PROXY and NO_PROXY",
        Kind::Way => {
            "look at the cable, the router and the firewall: TCP port 443 to Discord must be open \
             outwards; behind a proxy, set channels.discord.proxy"
        }
    };
    check(name, Verdict::Fail, text).cure(cure)
}

fn family_words(families: &[Option<Result<u128, String>>; 2]) -> String {
    let words = ["IPv4", "IPv6"].into_iter().zip(families).filter_map(|(name, family)| {
        Some(match family.as_ref()? {
            Ok(millis) => format!("{name} {millis} ms"),
            Err(why) => format!("{name} not: {why}"),
        })
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
}

fn token(account: &Account) -> Check {
    const NAME: &str = "token";
    match &account.application {
        Ok(Application { name, id, .. }) => {
            let from = &account.token_from;
            check(NAME, Verdict::Ok, format!("valid, for {name} (application {id}; from {from})"))
        }
        Err(Refusal::NoToken) => {
            let text = format!("there is none ({})", account.token_from);
            let cure = "set DISCORD_BOT_TOKEN, or channels.discord.token in the configuration, \
                        or hand it over on the page that `barnacle setup` names; it is in the \
                        developer portal, Bot, Reset Token";
            check(NAME, Verdict::Fail, text).cure(cure).exit(Exit::Config)
        }
        Err(Refusal::Status(401)) => {
            let text = format!("Discord refuses it (from {})", account.token_from);
            let cure = "make a new one in the developer portal, Bot, Reset Token; a token that \
                        was ever published is reset by Discord";
            check(NAME, Verdict::Fail, text).cure(cure).exit(Exit::Config)
        }
        Err(refusal) => check(NAME, Verdict::Skip, format!("cannot be tried: {refusal}")),
    }
}

/// Whether what people think of the intent filter's judging is heard.
fn reactions(account: &Account) -> Option<Check> {
    const NAME: &str = "reactions";
    if !account.learns {
        return None;
    }
    if account.wanted.0 & intents::REACTIONS != 0 {
        return Some(check(NAME, Verdict::Ok, "the intent filter learns from people's reactions"));
    }
    let text = "the intent filter does not hear people's reactions: GUILD_MESSAGE_REACTIONS is not \
                asked for, which channels.discord.intentFilter.learnFromReactions: true does";
    Some(check(NAME, Verdict::Skip, text))
}

fn intents(account: &Account) -> Check {
    const NAME: &str = "intents";
    let wanted = account.wanted;
    if wanted.0 & intents::MESSAGE_CONTENT == 0 {
        let text = "MESSAGE_CONTENT is not asked for: of messages that do not mention the bot only \
                    the envelope comes";
        let cure = "add MESSAGE_CONTENT to channels.discord.intents, or remove that key";
        return check(NAME, Verdict::Warn, text).cure(cure);
    }
    let flags = match &account.application {
        Ok(application) => application.flags,
        Err(refusal) => {
            let text = format!("{wanted} are asked for; the portal's side is not known: {refusal}");
            return check(NAME, Verdict::Skip, text);
        }
    };
    let missing = wanted.without(wanted.allowed_by(flags));
    if missing.0 == 0 {
        return check(NAME, Verdict::Ok, format!("{wanted}, all switched on in the portal"));
    }
    let is_optional = account.is_modest && missing.0 & intents::MESSAGE_CONTENT == 0;
    let cure = format!(
        "switch on {} in the {}; or let `barnacle doctor --fix` ask Discord for it",
        missing.switches(),
        intents::SWITCHES
    );
    if is_optional {
        let text = format!("{missing} is not switched on in the portal, and is done without");
        return check(NAME, Verdict::Warn, text).cure(cure);
    }
    let text = if account.is_modest {
        format!(
            "{missing} is not switched on in the portal: the bot hears of messages, not what \
                 they say"
        )
    } else {
        format!(
            "{missing} is asked for and not switched on in the portal: Discord closes with 4014"
        )
    };
    check(NAME, Verdict::Fail, text).cure(cure).exit(Exit::Config)
}

fn invite(account: &Account) -> Check {
    const NAME: &str = "invite";
    /// Stands for all the others.
    const ADMINISTRATOR: u64 = 1 << 3;
    let guilds = match &account.guilds {
        Ok(guilds) => guilds,
        Err(refusal) => {
            return check(NAME, Verdict::Skip, format!("cannot be looked up: {refusal}"));
        }
    };
    if guilds.is_empty() {
        let text = "the bot is in no server; it answers direct messages only";
        return check(NAME, Verdict::Warn, text).cure(format!("open {}", link(account)));
    }
    let lacks = |guild: &&Guild| {
        guild.permissions & ADMINISTRATOR == 0
            && !guild.permissions & intents::PERMISSIONS_MINIMAL != 0
    };
    let count = guilds.len();
    let servers = if count == 1 { "one server".to_owned() } else { format!("{count} servers") };
    let Some(guild) = guilds.iter().find(lacks) else {
        let text = format!("in {servers}, where it may read and answer");
        return check(NAME, Verdict::Ok, text);
    };
    let missing = !guild.permissions & intents::PERMISSIONS_MINIMAL;
    let names: Vec<&str> = intents::PERMISSIONS
        .iter()
        .filter(|permission| missing >> permission.bit & 1 == 1)
        .map(|permission| permission.name)
        .collect();
    let lacking = guilds.iter().filter(lacks).count();
    let text = format!(
        "in {servers}; in {lacking} of them permissions are missing, such as {} in \"{}\"",
        names.join(", "),
        guild.name
    );
    let cure = format!(
        "give the bot's role these permissions in the server's settings, or open {}",
        link(account)
    );
    check(NAME, Verdict::Warn, text).cure(cure)
}

fn link(account: &Account) -> String {
    let application = account.application.as_ref().map_or(0, |application| application.id);
    intents::invite_url(application, intents::PERMISSIONS_RECOMMENDED, None)
}

/// What the running gateway says of the account.
fn status_of<'a>(facts: &'a Facts, account: &Account) -> Option<&'a Value> {
    let discord = &facts.running.as_ref()?["channels"]["discord"];
    let own = &discord["accounts"][account.name.as_str()];
    Some(if own.is_null() { discord } else { own })
}

fn rate_limits(facts: &Facts, account: &Account) -> Check {
    const NAME: &str = "rate-limits";
    let Some(status) = status_of(facts, account) else {
        return check(NAME, Verdict::Skip, silent(facts));
    };
    let number = |path: &str| status.pointer(path).and_then(Value::as_u64);
    let budget = number("/identifyBudget/remaining");
    let (limited, invalid) = (number("/rest/limited"), number("/rest/invalid"));
    if budget.is_some_and(|left| left <= limits::IDENTIFY_REMAINING_HOLD.into()) {
        let text = format!("only {} new sessions are left today", budget.unwrap_or(0));
        let cure = "something starts sessions again and again: look for another instance with the \
                    same token; it is held back until the day is over";
        return check(NAME, Verdict::Fail, text).cure(cure);
    }
    let mut text = match limited {
        None | Some(0) => "no call was limited".to_owned(),
        Some(count) => format!("calls were limited {count} times, and waited for"),
    };
    if let Some(left) = budget {
        let _ = write!(text, "; {left} new sessions left today");
    }
    if invalid.is_some_and(|count| count > limits::REST_INVALID_MAX as u64 / 2) {
        let _ = write!(text, "; {} calls were refused", invalid.unwrap_or(0));
        let cure = "Discord bans addresses for refused calls: look at the bot's permissions where \
                    it answers (`barnacle logs --level warn`)";
        return check(NAME, Verdict::Warn, text).cure(cure);
    }
    check(NAME, Verdict::Ok, text)
}

fn instances(facts: &Facts, account: &Account) -> Check {
    const NAME: &str = "instances";
    let pid = facts.running.as_ref().and_then(|status| status["pid"].as_i64());
    let elsewhere = status_of(facts, account).and_then(|status| status["anotherInstance"].as_str());
    if let Some(why) = elsewhere {
        let text = format!("another instance seems to run elsewhere with this token: {why}");
        let cure = "stop it, or make a new token in the developer portal, which locks it out";
        return check(NAME, Verdict::Warn, text).cure(cure);
    }
    match (account.holder, pid) {
        (Holder::Unknown, _) => check(NAME, Verdict::Skip, "there is no token to go by"),
        (Holder::Nobody, None) => check(NAME, Verdict::Ok, "nothing on this host runs the bot"),
        (Holder::Nobody, Some(pid)) => {
            let text = format!(
                "the gateway, process {pid}, does not run the bot with this token: has it another \
                 token, or does it live in a network namespace of its own?"
            );
            check(NAME, Verdict::Warn, text).cure("compare its configuration with this one")
        }
        (Holder::Process(Some(held)), Some(pid)) if i64::from(held) == pid => {
            check(NAME, Verdict::Ok, format!("one on this host: the gateway, process {pid}"))
        }
        (Holder::Process(held), pid) => {
            let who = held.map_or_else(|| "a process".to_owned(), |held| format!("process {held}"));
            let text = match pid {
                Some(pid) => format!("{who} runs the bot, and not the gateway, process {pid}"),
                None => format!("{who} runs the bot, and answers no questions here"),
            };
            let cure = match held {
                Some(held) => format!("see what it is: ps -fp {held}"),
                None => "look for other gateways on this host".to_owned(),
            };
            let verdict = if pid.is_some() { Verdict::Fail } else { Verdict::Warn };
            check(NAME, verdict, text).cure(cure).exit(Exit::Busy)
        }
    }
}

fn connection(facts: &Facts, account: &Account) -> Check {
    const NAME: &str = "connection";
    let Some(status) = status_of(facts, account) else {
        return check(NAME, Verdict::Skip, silent(facts));
    };
    let word = status["status"].as_str().unwrap_or("unknown");
    let why = status["why"].as_str().or(status["lastEnd"].as_str());
    let because = why.map_or_else(String::new, |why| format!(": {why}"));
    let cure = "the checks above name the cause; `barnacle logs` has the story";
    match word {
        "connected" => {
            let total = status["disconnects"]["total"].as_u64().unwrap_or(0);
            check(NAME, Verdict::Ok, format!("connected; it was lost {total} times, and healed"))
        }
        "auth_required" | "error" | "disconnected" => {
            check(NAME, Verdict::Fail, format!("{word}{because}")).cure(cure)
        }
        _ => check(NAME, Verdict::Warn, format!("{word}{because}")).cure(cure),
    }
}

fn clock(facts: &Facts) -> Check {
    const NAME: &str = "clock";
    const DAY: u64 = 24 * 3600;
    if facts.wall < crate::ops::made() {
        let text = format!("the clock is wrong: {}; it was never set", facts.wall);
        let cure = "switch on time synchronisation (`timedatectl set-ntp true`), or set it; \
                    without it no certificate is valid";
        return check(NAME, Verdict::Fail, text).cure(cure);
    }
    let Some(ahead) = facts.accounts.iter().find_map(|account| account.ahead) else {
        return check(NAME, Verdict::Skip, "it could not be compared with Discord's");
    };
    let by = ahead.unsigned_abs();
    if by <= limits::CLOCK_SLACK.as_secs() {
        return check(NAME, Verdict::Ok, "right to the minute, by Discord's");
    }
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    let text = format!("{by} s {side} Discord's");
    let verdict = if by > DAY { Verdict::Fail } else { Verdict::Warn };
    check(NAME, verdict, text).cure("switch on time synchronisation (`timedatectl set-ntp true`)")
}

fn event_loop(facts: &Facts) -> Check {
    const NAME: &str = "event-loop";
    let Some(thread) = facts.running.as_ref().map(|status| &status["thread"]) else {
        return check(NAME, Verdict::Skip, silent(facts));
    };
    let late = thread["heartbeatLateness"]["maxMs"].as_f64().unwrap_or(0.0);
    let of = |task: &Value| task["longestMs"].as_f64().unwrap_or(0.0);
    let tasks = thread["tasks"].as_array().into_iter().flatten();
    let longest = tasks.max_by(|a, b| of(a).total_cmp(&of(b)));
    let (name, span) = longest
        .map_or(("nothing", 0.0), |task| (task["name"].as_str().unwrap_or("something"), of(task)));
    let text = format!(
        "heartbeats left at most {late:.0} ms late; {name} held the thread longest, {span:.0} ms"
    );
    let slow = limits::LATE_BEAT.as_secs_f64() * 1000.0;
    if late <= slow && span <= slow {
        return check(NAME, Verdict::Ok, text);
    }
    let cure = "the machine is too busy, or slept: look at its load and at what else runs there; \
                agents run as programs of their own and cannot block it";
    check(NAME, Verdict::Warn, text).cure(cure)
}

fn hosting(facts: &Facts) -> Check {
    const NAME: &str = "hosting";
    let Hosting { platform, is_container, keeping } = &facts.hosting;
    if let Some((platform, habit)) = platform {
        return check(NAME, Verdict::Warn, format!("this is {platform}")).cure(*habit);
    }
    let place = if *is_container { "in a container" } else { "on a host of its own" };
    let up = facts.running.as_ref().and_then(|status| status["uptime"].as_u64());
    let up = up.map_or_else(String::new, |up| format!(", up {} min", up / 60));
    let keepalive = facts.accounts.iter().all(|account| account.has_keepalive);
    match keeping {
        Keeping::UserService { lingers: false } => {
            let text = format!("{place}, as a user's service that ends when the user logs out{up}");
            check(NAME, Verdict::Warn, text).cure("loginctl enable-linger")
        }
        Keeping::Session => {
            let text =
                format!("{place}, in a login session, which may take it along at its end{up}");
            check(NAME, Verdict::Warn, text).cure("run it as a service, which also restarts it")
        }
        _ if !keepalive => {
            let text = format!("{place}{up}; TCP keepalive is switched off");
            let cure = "a firewall may drop connections that are idle: leave keepAlive on";
            check(NAME, Verdict::Warn, text).cure(cure)
        }
        Keeping::Service | Keeping::UserService { lingers: true } => {
            check(NAME, Verdict::Ok, format!("{place}, as a service{up}"))
        }
        Keeping::Unknown => check(NAME, Verdict::Ok, format!("{place}{up}")),
    }
}

fn state(state: &State) -> Check {
    const NAME: &str = "state-directory";
    let State { path, fault, free, is_fleeting } = state;
    let Some(path) = path.as_ref().map(|path| path.display()) else {
        let text = "there is no place for it: neither HOME nor a state directory is set";
        return check(NAME, Verdict::Fail, text).cure("set BARNACLE_STATE_DIR").exit(Exit::State);
    };
    if let Some(fault) = fault {
        let cure = "give this user the right to write there, or set BARNACLE_STATE_DIR";
        let text = format!("{path}: {fault}");
        return check(NAME, Verdict::Fail, text).cure(cure).exit(Exit::State);
    }
    let mebibytes = free.map(|free| free / (1024 * 1024));
    if free.is_some_and(|free| free < limits::STATE_FREE_BYTES_MIN) {
        let text = format!("{path}: only {} MiB are free", mebibytes.unwrap_or(0));
        let cure = "make room: with a full disk, replies and sessions are kept in memory only";
        return check(NAME, Verdict::Warn, text).cure(cure);
    }
    if *is_fleeting {
        let text = format!("{path} is in the container's own layer, and gone with it");
        let cure = "mount a volume there, or sessions and pairings are lost at each update";
        return check(NAME, Verdict::Warn, text).cure(cure);
    }
    let room = mebibytes.map_or_else(String::new, |mib| format!(", {mib} MiB free"));
    check(NAME, Verdict::Ok, format!("{path} can be written{room}"))
}

fn secrets(exposed: &[PathBuf]) -> Check {
    const NAME: &str = "secrets";
    if exposed.is_empty() {
        return check(NAME, Verdict::Ok, "no file with a secret is open to everybody");
    }
    let files: Vec<String> = exposed.iter().map(|file| file.display().to_string()).collect();
    let files = files.join(" ");
    let text = format!("everybody on this host can read {files}");
    check(NAME, Verdict::Warn, text).cure(format!("chmod o-rwx {files}; `doctor --fix` does it"))
}

fn walls(walls: &Walls) -> Check {
    const NAME: &str = "landlock";
    let Walls { wanted, missing } = walls;
    if missing.is_empty() {
        let text = "the kernel can confine programs of agents to what they are given";
        return check(NAME, Verdict::Ok, text);
    }
    let missing = missing.join(", ");
    let text = format!("the kernel cannot confine programs of agents in their use of {missing}");
    if *wanted == 0 {
        return check(NAME, Verdict::Ok, format!("{text}; none is to be"));
    }
    let cure = "a newer kernel can, with landlock in its lsm= list; until then let agents run only \
                what may read all that this user may";
    check(NAME, Verdict::Warn, text).cure(cure)
}

fn silent(facts: &Facts) -> String {
    format!("the gateway cannot be asked: {}", facts.silence)
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::NoToken => f.write_str("there is no token"),
            Refusal::Status(401) => f.write_str("Discord refuses the token"),
            Refusal::Status(status) => write!(f, "Discord answered HTTP {status}"),
            Refusal::Unreachable(why) => f.write_str(why),
        }
    }
}
