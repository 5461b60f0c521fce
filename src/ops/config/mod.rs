//! The configuration: a JSON5 file and the environment, parsed into one value.
//!
//! Parse, don't validate: what leaves this room needs no further checking. Nothing in a file is
//! fatal but its syntax: an unknown key or a wrong type is a [`Mistake`], every one is reported at
//! once with its place and its cure, and the default stands in. A file whose syntax is broken is
//! answered with the last good one (see [`files`]).
//!
//! The keys are OpenClaw's wherever it has one, so that its files work here.

mod accounts;
mod agents;
mod changes;
mod check;
mod cron;
mod doors;
pub(crate) mod edit;
mod env;
mod files;
mod findings;
mod gateway;
mod hide;
mod import;
mod index;
mod init;
mod keys;
mod media;
mod models;
pub(crate) mod path;
mod prune;
mod raw;
mod reach;
mod read;
mod router;
mod scan;
mod schema;
mod session;
mod table;
mod tools;
mod turns;
mod wire;
mod write;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::base::{Secret, backoff};
use crate::core::access::Access;
use crate::core::budget::{Limits, Price};
use crate::core::chat::ChannelKind;
use crate::core::intent::Filter;
use crate::core::loops;
use crate::core::outbox::{self, ReplyTo};
use crate::core::permit::{self, Permits};
use crate::core::route::PeerKind;
use crate::core::router::Rules;
use crate::core::turn;
use crate::proto::llm::Dialect;
use crate::rt::net::proxy::Proxy;

pub(crate) use accounts::{DEFAULT as DEFAULT_ACCOUNT, bot_token};
pub(crate) use changes::Change;
pub(crate) use cron::{Cron, CronAlert};
pub(crate) use env::{Env, VARIABLES, arguments, is_profile, program, temporary_dir};
pub(crate) use files::{
    Dirs, Loaded, find_file, hidden, is_openclaws, last_good_file, load, load_last_good, new_file,
    openclaws_file, parse, read_text, remember_good, taken_token, usual_files,
};
pub(crate) use gateway::{Gateway, Mode, Setup};
pub(crate) use hide::{blot, without_secrets};
pub(crate) use import::{Imported, import, names_in_env_file};
pub(crate) use init::TEMPLATES;
pub(crate) use keys::find as find_key;
pub(crate) use keys::{KEYS, Key, Kind, Stand};
pub(crate) use media::{Media, SoundEndpoint};
pub(crate) use path::Step;
pub(crate) use raw::{Name, Node, parse as parse_tree};
pub(crate) use reach::{Fetch, Outside, Program, Server, Walls, Way};
pub(crate) use schema::schema;
pub(crate) use session::Session;
pub(crate) use wire::{Wish, changed_paths, rewrite};
pub(crate) use write::write;

/// Everything that can be configured, in plain words.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Config {
    /// `channels.discord`, with `connection` where the channel says nothing itself: one for each
    /// of its `accounts`, or the one named `default` if it has none.
    pub(crate) accounts: Vec<Discord>,
    /// `gateway`: the control port.
    pub(crate) gateway: Gateway,
    /// `agents`: who answers. At least one; the first is the one that no binding is needed for.
    pub(crate) agents: Vec<Agent>,
    /// `bindings`: which agent answers where.
    pub(crate) bindings: Vec<Binding>,
    /// `router`: which agents share which channels, and how.
    pub(crate) router: Rules,
    /// `tools.media.audio` and `messages.tts`: ears and mouth.
    pub(crate) media: Media,
    /// `gateway.http.endpoints.chatCompletions.enabled`: whether agents are asked as `OpenAI`'s
    /// models are.
    pub(crate) completions: bool,
    /// `tools` and `mcp`: what agents may reach outside.
    pub(crate) outside: Outside,
    /// `tools`: what agents may use for whom, where nothing more special says so.
    pub(crate) tools: permit::Layer,
    /// `cron`: scheduled jobs.
    pub(crate) cron: Cron,
    /// `session`: what makes one conversation of several messages, and when it is over.
    pub(crate) session: Session,
    /// `messages`: what becomes of what comes while a chat is being answered.
    pub(crate) turns: turn::Rules,
    /// A level's word or `env_logger` filters: `BARNACLE_LOG`, else `RUST_LOG`, else
    /// `logging.level`, else `info`.
    pub(crate) log_level: String,
    /// `logging.file`: where the log is written besides standard error.
    pub(crate) log_file: Option<LogFile>,
    /// `net.caFile`: a PEM file of further authorities to trust.
    pub(crate) ca_file: Option<PathBuf>,
}

impl Config {
    /// Who may have which tools used, and who may ask which agent.
    pub(crate) fn permits(&self) -> Permits {
        Permits {
            general: self.tools.clone(),
            agents: self.agents.iter().map(|agent| agent.tools.clone()).collect(),
            servers: self.accounts.iter().flat_map(|account| account.tools.clone()).collect(),
        }
    }

    /// The tools that there are for `agent`, by name, whoever may have them used. Which ones a
    /// server of tools has is not known before it is asked: `server__*`, and what rules name of it.
    pub(crate) fn tools_of(&self, agent: &Agent) -> Vec<String> {
        let AgentKind::Model(_) = agent.kind else { return Vec::new() };
        let usual = permit::USUAL.into_iter().map(str::to_owned);
        usual.chain(self.tools_outside(&agent.id)).collect()
    }

    /// Those of them that act outside the chat.
    pub(crate) fn tools_outside(&self, agent: &str) -> Vec<String> {
        let Outside { fetch, programs, servers } = &self.outside;
        let fetch = fetch.iter().map(|_| "http_fetch".to_owned());
        let mut tools: Vec<String> = fetch.collect();
        if !programs.is_empty() {
            tools.push("run".to_owned());
        }
        let permits = self.permits();
        for server in servers {
            let beginning = format!("{}__", server.name.to_ascii_lowercase());
            tools.push(format!("{beginning}*"));
            tools.extend(permits.named(agent, &beginning).map(str::to_owned));
        }
        tools.sort_unstable();
        tools.dedup();
        tools
    }

    /// All that must never be shown.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let mut all = Vec::new();
        all.extend(self.gateway.token.clone());
        all.extend(self.gateway.password.clone());
        all.extend(self.outside.secrets());
        for account in &self.accounts {
            all.extend(account.token.clone());
            all.extend(account.proxy.iter().flat_map(Proxy::secrets));
        }
        all.extend(self.media.secrets().cloned());
        for agent in &self.agents {
            match &agent.kind {
                AgentKind::Echo { .. } => {}
                AgentKind::Exec { env: pairs, .. } | AgentKind::Http { headers: pairs, .. } => {
                    all.extend(pairs.iter().map(|(_, secret)| secret.clone()));
                }
                AgentKind::Model(setup) => {
                    for model in &setup.models {
                        all.extend(model.key.clone());
                        all.extend(model.headers.iter().map(|(_, secret)| secret.clone()));
                    }
                }
            }
        }
        all
    }

    /// What holds when nobody has said anything.
    pub(crate) fn usual() -> Config {
        check::check("", Node::Null, &check::Sources::bare(&Env::default())).0
    }
}

/// Reads any bytes as a file, and changes something in it: for fuzzing. Behind a byte that no text
/// begins with, they choose among the keys there are: chance alone hardly ever spells one.
#[cfg(any(test, fuzzing))]
pub(crate) fn survive(at: &[u8], file: &[u8]) {
    let text = match file.split_first() {
        Some((0xff, choices)) => chosen(choices),
        _ => String::from_utf8_lossy(file).into_owned(),
    };
    let text = text.as_str();
    let Ok((config, _)) = parse(text, &Env::default()) else {
        assert!(file.first() != Some(&0xff), "what was written here is a file");
        return;
    };
    assert!(config.changes(&config).is_empty(), "what is the same changes nothing");
    let Some(at) = std::str::from_utf8(at).ok().and_then(|at| path::parse(at).ok()) else { return };
    for edited in
        [edit::set(text, &at, &Node::Flag(true)).ok(), edit::unset(text, &at).ok().flatten()]
    {
        assert!(edited.is_none_or(|text| parse_tree(&text).is_ok()), "an edit broke the file");
    }
    assert!(import(text).is_ok_and(|imported| parse_tree(&imported.text).is_ok()));
}

/// A file in which every four bytes choose a key, what it holds, and the names on the way.
#[cfg(any(test, fuzzing))]
fn chosen(choices: &[u8]) -> String {
    const KEYS_MAX: usize = 24;
    const VALUES: [&str; 20] = [
        "null",
        "true",
        "0",
        "1",
        "-1",
        "1e308",
        "18446744073709551615",
        "''",
        "x",
        "5m",
        "open",
        "${A}",
        "http://u:p@h:1",
        "[]",
        "['*']",
        "['1', 2]",
        "[[1], {}]",
        "{}",
        "{1: {}, 1: 2}",
        "{source: 'env', id: 'A'}",
    ];
    let mut text = String::new();
    for &[high, low, value, name] in choices.as_chunks().0.iter().take(KEYS_MAX) {
        let key = &KEYS[usize::from(u16::from_be_bytes([high, low])) % KEYS.len()];
        let own = ["1", "2", "*", "default", "a.b"][usize::from(name) % 5];
        let step = |segment: &'static str| match segment {
            "*" => Step::name(own),
            "#" => Step::Index(usize::from(name) % 2),
            segment => Step::name(segment),
        };
        let at: Vec<Step<'_>> = key.path.split('.').map(step).collect();
        let value = edit::value(VALUES[usize::from(value) % VALUES.len()]);
        text = edit::set(&text, &at, &value).unwrap_or(text);
    }
    text
}

/// A file for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogFile {
    /// The file.
    pub(crate) path: PathBuf,
    /// The length at which it begins anew; the one before it is kept (`logging.maxFileBytes`).
    pub(crate) bytes_max: u64,
}

/// One of the `bindings`: which agent answers where. What is not named does not matter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Binding {
    /// `agentId`.
    pub(crate) agent: String,
    /// `match.channel`.
    pub(crate) channel: Option<ChannelKind>,
    /// `match.accountId`.
    pub(crate) account: Option<String>,
    /// `match.peer.id`: a chat, or in direct messages the person.
    pub(crate) peer: Option<u64>,
    /// `match.peer.kind`.
    pub(crate) kind: Option<PeerKind>,
    /// `match.guildId`.
    pub(crate) guild: Option<u64>,
    /// `match.roles`: one of them is enough.
    pub(crate) roles: Vec<u64>,
}

/// One Discord account.
#[derive(Clone, PartialEq, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a setting by itself")]
pub(crate) struct Discord {
    /// Its name: the key in `accounts`, or `default`.
    pub(crate) id: String,
    /// Whether the account is to run.
    pub(crate) enabled: bool,
    /// The bot's token; `None` parks the account.
    pub(crate) token: Option<Secret>,
    /// Where the token was found (`channels.discord.token`, `DISCORD_BOT_TOKEN` …), or where it
    /// was looked for and why it could not be read.
    pub(crate) token_from: String,
    /// `DISCORD_API_URL`: another server that speaks Discord's REST, without a final slash.
    pub(crate) api_url: Option<String>,
    /// Who is answered.
    pub(crate) access: Access,
    /// `intentFilter`: whether what is said in servers must be meant for the bot.
    pub(crate) intent: Option<Filter>,
    /// Which events are asked for.
    pub(crate) intents: Intents,
    /// Whether the gateway's stream is compressed with zlib.
    pub(crate) compress: bool,
    /// TCP keepalive; `None` if it is switched off.
    pub(crate) keepalive: Option<Keepalive>,
    /// How lost connections are healed.
    pub(crate) reconnect: Reconnect,
    /// `proxy`, or what the environment says (`HTTPS_PROXY`, `ALL_PROXY`, with the hosts that
    /// `NO_PROXY` exempts).
    pub(crate) proxy: Option<Proxy>,
    /// `rateLimit`, `outbox.ttl`: how replies wait.
    pub(crate) outbox: outbox::Policy,
    /// `replyToMode`.
    pub(crate) reply_to: ReplyTo,
    /// `textChunkLimit`: characters of one message, at most Discord's own limit.
    pub(crate) chunk_chars: usize,
    /// `dedupWindow`: the same words of the same person in the same chat within this span are one
    /// message.
    pub(crate) dedup: Duration,
    /// `botLoopProtection`: how long bots may answer each other.
    pub(crate) loops: loops::Policy,
    /// `historyLimit`: of how many messages that an agent only heard it is told when it answers.
    pub(crate) overhears: Option<usize>,
    /// `catchUp`: how far back messages are fetched after a session was lost, and how many of each
    /// chat; a span of zero fetches none.
    pub(crate) catch_up: (Duration, usize),
    /// `healthMonitor.enabled`.
    pub(crate) health_monitor: bool,
    /// `commands.native`: whether slash commands are deployed.
    pub(crate) slash_commands: bool,
    /// `thread.inheritParent`: whether a new thread begins with what was said around it.
    pub(crate) inherits_threads: bool,
    /// `guilds.*.tools`: what may be used in servers, and by whom.
    pub(crate) tools: Vec<permit::Server>,
    /// Whether answers are shown before they are complete (`streaming`).
    pub(crate) streaming: bool,
}

/// The gateway intents to ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Intents {
    /// The default, and what the pre-flight shows to be switched on of members and reactions.
    AgentRecommended,
    /// Exactly these bits.
    Bits(u32),
}

/// TCP keepalive (tcp(7)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Keepalive {
    /// Idle time before the first probe.
    pub(crate) idle: Duration,
    /// Between probes.
    pub(crate) interval: Duration,
    /// Unanswered probes that end the connection.
    pub(crate) probes: u32,
}

/// How lost connections are healed.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Reconnect {
    /// Whether a lost connection is dialled again at all.
    pub(crate) auto: bool,
    /// After this many failures in a row: slow retry and an alert, never the end.
    pub(crate) slow_after: Option<u32>,
    /// The waits between tries.
    pub(crate) backoff: backoff::Policy,
    /// Whether RESUME is tried before IDENTIFY.
    pub(crate) resume: bool,
    /// Strikes at which a session is given up.
    pub(crate) strikes_max: u32,
    /// Offline for longer than this, the session is not resumed.
    pub(crate) session_ttl: Option<Duration>,
}

/// Who answers, and within what time.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Agent {
    /// Its name: the key in `agents.entries`, or `main`.
    pub(crate) id: String,
    /// What it is.
    pub(crate) kind: AgentKind,
    /// The longest that one answer may take.
    pub(crate) deadline: Duration,
    /// What it may use for whom, and who may ask it (`tools`, `allowFrom`).
    pub(crate) tools: permit::OfAgent,
}

/// The agents there are.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum AgentKind {
    /// Says back what was said.
    Echo {
        /// CPU time that it burns on each message, to rehearse a busy agent (`cpuMs`).
        cpu: Duration,
    },
    /// Runs a program for each message (`command`).
    Exec {
        /// The program and its arguments; no shell reads them.
        command: Vec<String>,
        /// The directory that it runs in (`workspace`).
        workspace: Option<PathBuf>,
        /// Variables that it gets besides the few that every program needs (`env`).
        env: Vec<(String, Secret)>,
        /// What it may touch (`confine`, `network`, `readable`, `writable`).
        walls: Walls,
    },
    /// Posts each message to a URL (`url`).
    Http {
        /// The URL.
        url: String,
        /// Headers that go along (`headers`), such as an authorisation.
        headers: Vec<(String, Secret)>,
    },
    /// Asks a language model (`model`).
    Model(Box<ModelSetup>),
}

/// An agent that is a language model.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ModelSetup {
    /// The models, each asked when those before it fail. There is one at least.
    pub(crate) models: Vec<ModelRef>,
    /// Who it is to be (`systemPrompt`); may be empty.
    pub(crate) system: String,
    /// How long its answers may become, in tokens (`maxTokens`).
    pub(crate) tokens_max: u32,
    /// How much it is told at once at most, in tokens (`contextTokens`).
    pub(crate) window: Option<u64>,
    /// How free its choice of words is (`temperature`).
    pub(crate) temperature: Option<f64>,
    /// What its answers may cost (`budget`).
    pub(crate) budget: Limits,
    /// How often in one turn it may be told what its tools gave back (`maxToolRounds`).
    pub(crate) rounds_max: u32,
    /// How long it may be silent (`llm.idleTimeoutSeconds`).
    pub(crate) silence: Option<Duration>,
}

/// A model, and where it is asked.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ModelRef {
    /// As the file names it: `provider/model`.
    pub(crate) name: String,
    /// How its provider is spoken to.
    pub(crate) dialect: Dialect,
    /// Its provider's base address.
    pub(crate) url: String,
    /// What its provider asks for.
    pub(crate) key: Option<Secret>,
    /// Headers that go along.
    pub(crate) headers: Vec<(String, Secret)>,
    /// As its provider names it.
    pub(crate) model: String,
    /// What its provider takes.
    pub(crate) price: Price,
    /// Whether it can be shown pictures.
    pub(crate) sees: bool,
    /// How much it reads at once, in tokens (`contextWindow`).
    pub(crate) window: Option<u64>,
}

impl AgentKind {
    /// The word for it (`kind`).
    pub(crate) fn name(&self) -> &'static str {
        match self {
            AgentKind::Echo { .. } => "echo",
            AgentKind::Exec { .. } => "exec",
            AgentKind::Http { .. } => "http",
            AgentKind::Model(_) => "model",
        }
    }
}

/// How much a mistake matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Weight {
    /// Understood, and worth a line: something is served otherwise than its words say.
    Note,
    /// Not honoured: the default, or the more careful choice, stands in.
    Warning,
}

/// One thing in the file that is not as it should be. Never fatal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mistake {
    /// How much it matters.
    pub(crate) weight: Weight,
    /// The key, with its parents: `channels.discord.intents`.
    pub(crate) path: String,
    /// Its line and column, counted from 1, if they are known.
    pub(crate) at: Option<(usize, usize)>,
    /// What is wrong.
    pub(crate) text: String,
    /// What to write instead.
    pub(crate) cure: String,
}

/// A file that cannot be used at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Broken {
    /// The file.
    pub(crate) file: PathBuf,
    /// Line and column, counted from 1, if the fault has a place.
    pub(crate) at: Option<(usize, usize)>,
    /// What is wrong.
    pub(crate) text: String,
}

impl Mistake {
    /// Whether it is only that a variable is not set where the file was read: it may be set where
    /// the gateway starts.
    pub(crate) fn is_about_a_variable(&self) -> bool {
        self.text.ends_with(env::UNSET)
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let (line, column) = self.at.unzip();
        let weight = match self.weight {
            Weight::Note => "note",
            Weight::Warning => "warning",
        };
        json!({
            "weight": weight,
            "path": self.path,
            "line": line,
            "column": column,
            "text": self.text,
            "cure": self.cure,
        })
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if let Some((line, column)) = self.at {
            write!(f, " (line {line}, column {column})")?;
        }
        write!(f, ": {}", self.text)?;
        if self.cure.is_empty() { Ok(()) } else { write!(f, "; {}", self.cure) }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.at {
            write!(f, ", line {line}, column {column}")?;
        }
        write!(f, ": {}", self.text)
    }
}
