//! One account, put together from the configuration: its lock, its network, its channel and the
//! agent behind it.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use smol::Task;
use smol::channel::{Sender, bounded};

use crate::agent::Desk;
use crate::agent::desk::Ended as Halted;
use crate::base::{Secret, limits};
use crate::channels::discord::{
    Account, Board, Cells, Clerk, Directory, Opinions, Settings, Setup, Trail, stem,
};
use crate::core::chat::ChannelKind;
use crate::core::command::Command;
use crate::core::health::Status;
use crate::core::route::{self, Routes};
use crate::core::supervise::Ended;
use crate::core::turn::Room;
use crate::ops::config::{Binding, Config, Dirs, Discord, Intents, Keepalive};
use crate::proto::discord::gateway::{self, Ask, Url};
use crate::proto::discord::intents;
use crate::rt::clock;
use crate::rt::executor::{Snapshot, Spawner, Tier};
use crate::rt::lock::{self, Lock};
use crate::rt::net::{Endpoint, Net, NetOptions, tcp::TcpOptions};

/// Discord's REST API, when the environment names no other.
const API_URL: &str = "https://discord.com/api/v10";

/// All of the configuration that one account is made of.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Plan {
    pub(super) discord: Discord,
    /// The names of the agents that there are.
    pub(super) agents: Vec<String>,
    pub(super) bindings: Vec<Binding>,
    /// Whether permissions depend on roles, and on the channel around a thread.
    permits_need: (bool, bool),
    pub(super) ca_file: Option<PathBuf>,
    /// Whether there are others, so that each is told by its name.
    is_one_of_many: bool,
}

impl Plan {
    /// One for each account.
    pub(super) fn all(config: &Config) -> Vec<Plan> {
        let permits_need = config.permits().needs();
        let plan = |discord: &Discord| Plan {
            discord: discord.clone(),
            agents: config.agents.iter().map(|agent| agent.id.clone()).collect(),
            bindings: config.bindings.clone(),
            permits_need,
            ca_file: config.ca_file.clone(),
            is_one_of_many: config.accounts.len() > 1,
        };
        config.accounts.iter().map(plan).collect()
    }

    /// What tells it from others, if there are others.
    pub(super) fn label(&self) -> Option<&str> {
        self.is_one_of_many.then_some(self.discord.id.as_str())
    }

    /// What stands before what is said of it in the log.
    pub(super) fn prefix(&self) -> String {
        self.label().map_or_else(String::new, |label| format!("{label}: "))
    }

    /// Whether a connection that was made by this one serves `other` as well.
    pub(super) fn keeps_connection(&self, other: &Plan) -> bool {
        self.discord.differences(&other.discord).0.is_empty() && self.ca_file == other.ca_file
    }
}

/// An account that runs.
pub(super) struct Started {
    pub(super) account: Account,
    agent: Task<()>,
    _lock: Lock,
}

/// Why an account does not run.
pub(super) struct Refused {
    pub(super) ended: Ended,
    pub(super) status: Status,
    /// What is wrong and what helps, in a line.
    pub(super) text: String,
}

impl Started {
    /// Lets what of `plan` can change while the connection stays hold from here on.
    pub(super) fn apply(&self, plan: &Plan) {
        self.account.apply(settings(plan));
    }

    /// Leaves the connection, lets what is being answered be answered, within `patience`.
    pub(super) async fn leave(self, ask: Ask, patience: Duration) {
        let Started { account, agent, _lock } = self;
        let leave = async {
            account.leave(ask).await;
            agent.await;
        };
        if clock::timeout(clock::now() + patience, leave).await.is_none() {
            log::warn!(
                target: "gateway",
                "not everything was answered in time; it will be after the next start"
            );
        }
    }
}

/// Starts the account that `plan` describes; its messages are answered at `desk`.
pub(super) fn start(
    spawner: &Spawner,
    dirs: &Dirs,
    plan: &Plan,
    (desk, board): (&Desk, &Board),
    changed: &Sender<()>,
) -> Result<Started, Refused> {
    let discord = &plan.discord;
    let Some(token) = discord.token.clone() else {
        return Err(Refused {
            ended: Ended::TokenMissing,
            status: Status::AuthRequired,
            text: format!(
                "there is no bot token ({}): set DISCORD_BOT_TOKEN, or channels.discord.token in \
                 the configuration; it is looked for again every few seconds",
                discord.token_from
            ),
        });
    };
    let lock = lock::take("discord", &token).map_err(locked)?;
    let net = network(spawner, discord, plan.ca_file.as_deref())?;
    tell_proxy(&net, &api(discord));
    let (requests, asked) = bounded(limits::INFLIGHT_MAX);
    let (tell, told) = bounded(limits::INFLIGHT_MAX);
    let stem = stem(&discord.id);
    let cells = Cells::new(dirs.hot.as_deref(), &dirs.state, &stem, &token);
    let setup = Setup {
        gateway: gateway_config(discord, token),
        // What the portal allows of these is found out first.
        only_allowed_intents: discord.intents == Intents::AgentRecommended,
        api: api(discord),
        name: discord.id.as_str().into(),
        settings: settings(plan),
        board: board.clone(),
        net,
        trail: Trail::new(dirs.hot.as_deref(), &dirs.state, &stem),
        directory: Directory::new(dirs.hot.as_deref(), &dirs.state, &stem),
        opinions: Opinions::new(dirs.hot.as_deref(), &dirs.state, &stem),
        cells,
        state: dirs.state.clone(),
        requests,
        told,
        tell: tell.clone(),
        clerk: clerk(desk, &discord.id),
        changed: changed.clone(),
    };
    let account = Account::start(spawner, setup).map_err(|error| Refused {
        ended: Ended::Unusable,
        status: Status::Error,
        text: format!("the list of answered messages cannot be used: {error}"),
    })?;
    let desk = desk.clone();
    let agent = spawner.spawn(Tier::Work, "agent", async move { desk.serve(asked, tell).await });
    Ok(Started { account, agent, _lock: lock })
}

/// Carries out at `desk` what people order in the chats of `account`.
fn clerk(desk: &Desk, account: &str) -> Clerk {
    let (desk, account): (Desk, Box<str>) = (desk.clone(), account.into());
    Rc::new(move |command, request| {
        let (desk, account) = (desk.clone(), account.clone());
        Box::pin(async move {
            match command {
                Command::New => {
                    desk.renew(&desk.key(&request), &Room::of(&request)).await;
                    let said = "This is a new conversation: what was said before is forgotten.";
                    return said.to_owned();
                }
                Command::Compact => return desk.compact(&request).await,
                Command::Status | Command::Why(_) => return desk.about(&request).await,
                Command::Stop => {}
            }
            match desk.stop(&account, request.chat).await {
                Halted { running: false, waiting: 0 } => "There is nothing to stop.".to_owned(),
                Halted { waiting: 0, .. } => "Stopped.".to_owned(),
                Halted { waiting, .. } => format!("Stopped, and {waiting} waiting with it."),
            }
        })
    })
}

/// What of `discord` can change while the connection stays.
pub(super) fn settings(plan: &Plan) -> Settings {
    let discord = &plan.discord;
    let agents = plan.agents.iter().map(String::as_str);
    Settings {
        access: discord.access.clone(),
        intent: discord.intent.clone(),
        routes: routes(ChannelKind::Discord, agents, &plan.bindings),
        permits_need: plan.permits_need,
        dedup: discord.dedup,
        loops: discord.loops,
        overhears: discord.overhears,
        outbox: discord.outbox,
        reply_to: discord.reply_to,
        chunk_chars: discord.chunk_chars,
        catch_up: discord.catch_up,
        slash_commands: discord.slash_commands,
        streaming: discord.streaming,
    }
}

/// Which agent answers in our own chat.
pub(super) fn webchat_routes(config: &Config) -> Routes {
    let agents = config.agents.iter().map(|agent| agent.id.as_str());
    routes(ChannelKind::WebChat, agents, &config.bindings)
}

/// Which of `agents` answers where, as far as `channel` is concerned.
pub(super) fn routes<'a>(
    channel: ChannelKind,
    agents: impl IntoIterator<Item = &'a str>,
    bindings: &[Binding],
) -> Routes {
    let is_meant = |binding: &&Binding| binding.channel.is_none_or(|of| of == channel);
    let bindings = bindings.iter().filter(is_meant).map(|binding| route::Binding {
        agent: binding.agent.as_str().into(),
        account: binding.account.as_deref().map(Into::into),
        peer: binding.peer,
        kind: binding.kind,
        guild: binding.guild,
        roles: binding.roles.clone(),
    });
    Routes::new(agents, bindings)
}

fn locked(refused: lock::Refused) -> Refused {
    let (ended, text) = match refused {
        lock::Refused::Held { pid } => {
            let who = pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"));
            let pid = pid.and_then(|pid| u32::try_from(pid).ok());
            let text = format!("{who} on this host already runs the bot with this token");
            (Ended::Locked { pid }, text)
        }
        lock::Refused::Failed(error) => {
            (Ended::Unusable, format!("the token's lock cannot be had: {error}"))
        }
    };
    Refused { ended, status: Status::Error, text }
}

/// The host that its REST API is asked at.
pub(super) fn host(discord: &Discord) -> Option<String> {
    let url = api(discord).parse().ok()?;
    Some(Endpoint::of(&url, "http", "https").ok()?.host.into())
}

pub(super) fn network(
    spawner: &Spawner,
    discord: &Discord,
    ca_file: Option<&Path>,
) -> Result<Net, Refused> {
    let usual = TcpOptions::default();
    let tcp = match discord.keepalive {
        Some(Keepalive { idle, interval, probes }) => TcpOptions {
            keepalive_idle: idle,
            keepalive_interval: interval,
            keepalive_probes: probes,
            ..usual
        },
        None => TcpOptions { keepalive_probes: 0, ..usual },
    };
    let extra_ca = ca_file.map(Path::to_owned);
    let options = NetOptions { tcp, extra_ca, proxy: discord.proxy.clone() };
    Net::new(spawner, &options).map_err(|error| Refused {
        ended: Ended::Unusable,
        status: Status::Error,
        text: format!("net.caFile cannot be used: {error}"),
    })
}

/// Names the proxy that leads to `api`, if one does: whoever looks for a fault must know of it.
fn tell_proxy(net: &Net, api: &str) {
    let endpoint = api.parse().ok().and_then(|url| Endpoint::of(&url, "http", "https").ok());
    if let (Some(proxy), Some(endpoint)) = (net.proxy(), endpoint)
        && proxy.serves(&endpoint)
    {
        log::info!(
            target: "discord",
            "{} is reached through the proxy {proxy} ({})",
            endpoint.host,
            proxy.from()
        );
    }
}

/// The base of Discord's REST API.
pub(super) fn api(discord: &Discord) -> String {
    discord.api_url.clone().unwrap_or_else(|| API_URL.to_owned())
}

fn gateway_config(discord: &Discord, token: Secret) -> gateway::Config {
    let reconnect = &discord.reconnect;
    let usual = gateway::Config::new(token);
    gateway::Config {
        intents: match discord.intents {
            Intents::AgentRecommended => intents::Intents::AGENT_RECOMMENDED.0,
            Intents::Bits(bits) => bits,
        },
        compress: discord.compress,
        // A server of another name hands out gateways at its own host.
        base_url: discord.api_url.as_deref().and_then(gateway_at).unwrap_or(usual.base_url.clone()),
        strikes_max: reconnect.strikes_max,
        resume: reconnect.resume,
        session_ttl: reconnect.session_ttl,
        backoff: reconnect.backoff,
        // Whoever wants no reconnects gets rare ones: a bot that stays away for ever helps nobody.
        retries_max: if reconnect.auto { reconnect.slow_after } else { Some(1) },
        ..usual
    }
}

/// The gateway that goes with another API: the same host, until it names one itself.
fn gateway_at(api: &str) -> Option<Url> {
    let (scheme, rest) = api.split_once("://")?;
    let authority = rest.split('/').next()?;
    let scheme = if scheme.eq_ignore_ascii_case("https") { "wss" } else { "ws" };
    Url::try_from(format!("{scheme}://{authority}").as_str()).ok()
}

/// What the meter of the thread read.
pub(super) fn thread_json(meter: &Snapshot) -> Value {
    let tasks: Vec<Value> = meter
        .tasks
        .iter()
        .map(|task| {
            json!({
                "tier": task.tier.name(),
                "name": task.name,
                "polls": task.polls,
                "over1ms": task.slow,
                "longestMs": task.longest.as_secs_f64() * 1000.0,
            })
        })
        .collect();
    json!({
        "tasks": tasks,
        "starvedMs": meter.starved.map(|span| span.as_secs_f64() * 1000.0),
        "heartbeatLateness": {
            "counts": meter.beats.counts,
            "boundsMs": crate::rt::executor::Lateness::BOUNDS_MS,
            "maxMs": meter.beats.max.as_secs_f64() * 1000.0,
        },
    })
}
