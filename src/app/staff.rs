//! The agents that the configuration names, and what they work with.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::account;
use super::hands::Errands;
use super::outside::Outside;
use crate::agent::echo::Echo;
use crate::agent::exec::Exec;
use crate::agent::http::Http;
use crate::agent::media::Media;
use crate::agent::media::fetch::Fetch;
use crate::agent::media::voice::{Ears, Endpoint, Mouth, When};
use crate::agent::model::{Model, Setup, Voice};
use crate::agent::purse::Purse;
use crate::agent::tools::{Blot, Chat, Family, Hands, Reminders, Toolbox};
use crate::agent::{Agent, Member, Staff};
use crate::base::Secret;
use crate::base::hash::fnv1a;
use crate::core::permit::Permits;
use crate::ops::config::{self, AgentKind, Config, Dirs, Env};
use crate::rt::executor::Spawner;
use crate::rt::net::{Net, NetOptions};

/// The variables that a program gets from our own environment, and what they are if we have none.
const USUAL: [(&str, &str); 4] =
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", ""), ("LANG", "C.UTF-8"), ("TZ", "")];

/// What agents work with, whatever the configuration says.
#[derive(Clone)]
pub(super) struct Workplace {
    spawner: Spawner,
    state: PathBuf,
    /// What the answers of all agents cost together.
    purse: Rc<Purse>,
    /// Hides our secrets in what tools say.
    blot: Blot,
    outside: Outside,
    /// Does what tools need others for.
    errands: Rc<Errands>,
}

/// What keeps our secrets from agents, and does what their tools need others for.
#[derive(Clone)]
pub(super) struct Guard {
    /// Hides them in what tools say.
    pub(super) blot: Blot,
    /// Where they are, besides our state.
    pub(super) hidden: Vec<PathBuf>,
    /// Has it done by others.
    pub(super) errands: Rc<Errands>,
}

impl Default for Guard {
    fn default() -> Guard {
        Guard { blot: Rc::new(|text| text), hidden: Vec::new(), errands: Rc::default() }
    }
}

impl Workplace {
    pub(super) fn new(spawner: &Spawner, dirs: &Dirs, env: &Env, guard: Guard) -> Workplace {
        let Guard { blot, mut hidden, errands } = guard;
        hidden.extend([Some(dirs.state.clone()), dirs.hot.clone()].into_iter().flatten());
        let usual = USUAL.into_iter().map(|(name, or)| (name, env.get(name).unwrap_or(or)));
        let set = usual.filter(|(_, value)| !value.is_empty());
        let env: Vec<(String, String)> =
            set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Workplace {
            spawner: spawner.clone(),
            outside: Outside::new(spawner, env, &dirs.state, hidden),
            state: dirs.state.clone(),
            purse: Rc::new(Purse::open(&dirs.state)),
            blot,
            errands,
        }
    }

    /// What the answers of all agents cost.
    pub(super) fn purse(&self) -> Rc<Purse> {
        self.purse.clone()
    }

    /// All agents of `config`; the first is the one that answers what is meant for nobody else.
    pub(super) fn staff(&self, config: &Config) -> Staff {
        let net = self.network(config);
        let permits = Rc::new(config.permits());
        let mut members = config.agents.iter().map(|agent| {
            let made = self.agent((config, &permits), agent, net.as_ref());
            let permits = permits.clone();
            let member = Member { agent: made, deadline: agent.deadline, permits };
            (agent.id.as_str(), member)
        });
        let none = || {
            let echo = Agent::Echo(Echo::default());
            ("main", Member { agent: echo, deadline: Duration::MAX, permits: permits.clone() })
        };
        let usual = members.next().unwrap_or_else(none);
        let others = members.map(|(name, member)| (name.into(), member)).collect();
        Staff::new(usual, others).with(self.media(config, net.as_ref()))
    }

    /// Eyes, ears and a mouth: each account's files are fetched by its own way.
    fn media(&self, config: &Config, net: Option<&Net>) -> Media {
        let fetchers = config.accounts.iter().filter_map(|discord| {
            let net = account::network(&self.spawner, discord, config.ca_file.as_deref()).ok()?;
            let fetch = Fetch::new(&net, discord.api_url.as_deref());
            Some((discord.id.as_str().into(), fetch))
        });
        let media = Media::new(fetchers.collect());
        let ears = config.media.hearing.as_ref().map(|hearing| Ears {
            endpoints: hearing.endpoints.iter().map(endpoint).collect(),
            language: hearing.language.clone(),
            bytes_max: hearing.bytes_max,
            seconds_max: hearing.seconds_max,
            timeout: hearing.timeout,
        });
        let mouth = config.media.speaking.as_ref().map(|speaking| Mouth {
            endpoint: endpoint(&speaking.endpoint),
            voice: speaking.voice.clone(),
            sound: speaking.sound,
            when: if speaking.always { When::Always } else { When::Inbound },
            chars_max: speaking.chars_max,
            timeout: speaking.timeout,
        });
        match net {
            Some(net) => media.voiced(net, ears, mouth),
            None => media,
        }
    }

    /// The way to endpoints, if there are any: that of the first account, its proxy included.
    fn network(&self, config: &Config) -> Option<Net> {
        let is_asked = |agent: &config::Agent| {
            matches!(agent.kind, AgentKind::Http { .. } | AgentKind::Model(_))
        };
        let has_voice = config.media != config::Media::default();
        let is_needed = has_voice || config.agents.iter().any(is_asked);
        let discord = config.accounts.first().filter(|_| is_needed)?;
        let net = account::network(&self.spawner, discord, config.ca_file.as_deref());
        let net = net.map_err(|refused| log::warn!(target: "agent", "{}", refused.text));
        net.ok().or_else(|| Net::new(&self.spawner, &NetOptions::default()).ok())
    }

    fn agent(
        &self,
        (config, permits): (&Config, &Rc<Permits>),
        agent: &config::Agent,
        net: Option<&Net>,
    ) -> Agent {
        match (&agent.kind, net) {
            (AgentKind::Echo { cpu }, _) => Agent::Echo(Echo { burn: *cpu }),
            (AgentKind::Exec { command, workspace, env, walls }, _) => {
                let dir = workspace.clone().unwrap_or_else(|| self.room(&agent.id));
                make(&dir);
                Agent::Exec(Exec {
                    command: command.clone(),
                    usual_env: self.outside.usual(env, walls.confine),
                    env: env.clone(),
                    walls: self.outside.walls(walls),
                    dir,
                    hidden: self.state.canonicalize().into_iter().collect(),
                })
            }
            (AgentKind::Http { url, headers }, Some(net)) => {
                Agent::Http(Http::new(net, url, headers.clone()))
            }
            (AgentKind::Model(model), Some(net)) => {
                let model_of = |tools| Model::new(net, setup(model, tools), self.purse.clone());
                let condenser = Rc::new(model_of(Toolbox::default()));
                Agent::Model(model_of(self.toolbox((config, permits), net, condenser)))
            }
            // There is a network wherever an agent asks for it.
            (AgentKind::Http { .. } | AgentKind::Model(_), None) => Agent::Echo(Echo::default()),
        }
    }

    /// What an agent has tools for; `condenser` makes long texts short.
    fn toolbox(
        &self,
        (config, permits): (&Config, &Rc<Permits>),
        net: &Net,
        condenser: Rc<Model>,
    ) -> Toolbox {
        let hands: Rc<dyn Hands> = self.errands.clone();
        let chat = Chat::new(hands.clone(), permits.clone(), Some(condenser));
        let mut families =
            vec![Family::Chat(chat), Family::Reminders(Reminders::new(hands.clone()))];
        families.extend(self.outside.families(config, net));
        Toolbox::new(families, permits.clone(), self.blot.clone()).telling(hands)
    }

    /// What agents reach outside.
    pub(super) fn outside(&self) -> &Outside {
        &self.outside
    }

    /// The directory of an agent that was given none.
    fn room(&self, id: &str) -> PathBuf {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let name = if !id.is_empty() && id.len() <= 64 && id.chars().all(is_plain) {
            id.to_owned()
        } else {
            format!("agent-{:016x}", fnv1a(id.bytes()))
        };
        self.state.join("agents").join(name)
    }
}

fn endpoint(of: &config::SoundEndpoint) -> Endpoint {
    Endpoint {
        name: of.name.clone(),
        url: Secret::new(&of.url),
        headers: of.headers.clone(),
        model: of.model.clone(),
    }
}

fn setup(model: &config::ModelSetup, tools: Toolbox) -> Setup {
    let voices = model.models.iter().map(|model| Voice {
        name: model.name.clone(),
        dialect: model.dialect,
        url: Secret::new(&model.url),
        key: model.key.clone(),
        headers: model.headers.clone(),
        model: model.model.clone(),
        price: model.price,
        sees: model.sees,
        window: model.window,
    });
    #[allow(clippy::cast_possible_truncation, reason = "it is between 0 and 2")]
    let temperature = model.temperature.map(|temperature| temperature as f32);
    Setup {
        voices: voices.collect(),
        system: model.system.clone(),
        tokens_max: model.tokens_max,
        window: model.window,
        temperature,
        limits: model.budget,
        tools,
        rounds_max: model.rounds_max,
        silence: model.silence,
    }
}

/// Makes a directory that is not there. That it cannot be made is told when a program is to run
/// in it.
pub(super) fn make(dir: &Path) {
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(dir);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::permit::OfAgent;
    use crate::rt::executor;
    use crate::rt::store::tests::Scratch;

    #[test]
    fn programs_get_the_usual_variables_and_a_directory_of_their_own() {
        let state = Scratch::new();
        let dirs = Dirs { state: state.path().into(), hot: None };
        executor::run(|spawner| async move {
            let env = Env::of(&[("HOME", "/somewhere"), ("DISCORD_BOT_TOKEN", "secret")]);
            let workplace = Workplace::new(&spawner, &dirs, &env, Guard::default());
            let env = workplace.outside.usual(&[], false);
            let names: Vec<&str> = env.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["PATH", "HOME", "LANG"]);
            let walls = config::Walls {
                confine: false,
                network: true,
                readable: Vec::new(),
                writable: Vec::new(),
            };
            let kind =
                AgentKind::Exec { command: vec!["x".into()], workspace: None, env: vec![], walls };
            let tools = OfAgent::default();
            let agent = config::Agent { id: "../a".into(), kind, deadline: Duration::ZERO, tools };
            let (config, permits) = (Config::usual(), Rc::default());
            let Agent::Exec(exec) = workplace.agent((&config, &permits), &agent, None) else {
                panic!("another kind")
            };
            assert!(exec.dir.is_dir() && exec.dir.starts_with(dirs.state.join("agents")));
            assert!(workplace.room("helper").ends_with("agents/helper"));
        });
    }
}
