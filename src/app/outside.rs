//! What agents reach outside: pages, programs, notes, and servers of tools, by the configuration.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::staff::make;
use crate::agent::tools::Family;
use crate::agent::tools::fetch::{self, Fetch};
use crate::agent::tools::mcp::{self, Servers};
use crate::agent::tools::notes::Notes;
use crate::agent::tools::run::{self, Programs};
use crate::base::Secret;
use crate::ops::config::{self, Config};
use crate::ops::version;
use crate::rt::confine::Walls;
use crate::rt::executor::Spawner;
use crate::rt::net::Net;

/// What outlives a change of the configuration, and what programs are given.
#[derive(Clone)]
pub(super) struct Outside {
    /// The variables that every program gets.
    env: Vec<(String, String)>,
    state: PathBuf,
    /// What no program may see: our state, and the configuration.
    hidden: Vec<PathBuf>,
    notes: Notes,
    servers: Rc<RefCell<Running>>,
}

/// The servers that run, and what they were started by.
#[derive(Default)]
struct Running {
    by: Vec<config::Server>,
    servers: Servers,
}

impl Outside {
    pub(super) fn new(
        spawner: &Spawner,
        env: Vec<(String, String)>,
        state: &Path,
        hidden: Vec<PathBuf>,
    ) -> Outside {
        Outside {
            env,
            state: state.to_owned(),
            hidden,
            notes: Notes::open(spawner, state),
            servers: Rc::default(),
        }
    }

    /// The notes of all agents.
    pub(super) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// The servers of tools that run.
    pub(super) fn servers(&self) -> Servers {
        self.servers.borrow().servers.clone()
    }

    /// The tools that an agent may be offered.
    pub(super) fn families(&self, config: &Config, net: &Net) -> Vec<Family> {
        let mut families = vec![Family::Notes(self.notes.clone())];
        if let Some(fetch) = &config.outside.fetch {
            families.push(Family::Fetch(Rc::new(Fetch::new(net, setup(fetch)))));
        }
        if !config.outside.programs.is_empty() {
            let programs = config.outside.programs.iter().map(|program| self.program(program));
            families.push(Family::Programs(Rc::new(Programs::new(programs.collect()))));
        }
        let servers = self.start(&config.outside.servers, net);
        if !config.outside.servers.is_empty() {
            families.push(Family::Servers(servers));
        }
        families
    }

    /// Those of `wanted`; if they are the same as before, they go on running.
    fn start(&self, wanted: &[config::Server], net: &Net) -> Servers {
        let mut running = self.servers.borrow_mut();
        if running.by != wanted {
            let setups = wanted.iter().map(|server| self.server(server)).collect();
            running.servers = Servers::start(net, version(), setups);
            running.by = wanted.to_vec();
        }
        running.servers.clone()
    }

    fn program(&self, program: &config::Program) -> run::Program {
        let room = || self.state.join("programs").join(&program.name);
        let dir = program.workspace.clone().unwrap_or_else(room);
        make(&dir);
        run::Program {
            name: program.name.clone(),
            command: program.command.clone(),
            about: program.about.clone(),
            args: program.args.clone(),
            takes_input: program.takes_input,
            env: self.env(&program.env, program.walls.confine),
            dir,
            deadline: program.deadline,
            walls: self.walls(&program.walls),
        }
    }

    fn server(&self, server: &config::Server) -> mcp::Setup {
        let way = match &server.way {
            config::Way::Http { url, headers } => {
                mcp::Way::Http { url: Secret::new(url), headers: headers.clone() }
            }
            config::Way::Program { command, env, dir, walls } => {
                let room = || self.state.join("mcp").join(&server.name);
                let dir = dir.clone().unwrap_or_else(room);
                make(&dir);
                mcp::Way::Program {
                    command: command.clone(),
                    env: self.env(env, walls.confine),
                    dir,
                    walls: self.walls(walls),
                }
            }
        };
        mcp::Setup { name: server.name.clone(), way, deadline: server.deadline }
    }

    /// The usual variables, and those that were given by name, which beat them. The home of a
    /// confined program is where it runs.
    fn env(&self, named: &[(String, Secret)], is_confined: bool) -> Vec<(String, Secret)> {
        let usual = self.usual(named, is_confined).into_iter();
        let usual = usual.map(|(name, value)| (name, Secret::new(&value)));
        usual.chain(named.iter().cloned()).collect()
    }

    /// The usual variables that are not `named`.
    pub(super) fn usual(
        &self,
        named: &[(String, Secret)],
        is_confined: bool,
    ) -> Vec<(String, String)> {
        let is_named = |name: &str| named.iter().any(|(known, _)| known == name);
        let stays = |name: &str| !is_named(name) && (!is_confined || name != "HOME");
        self.env.iter().filter(|(name, _)| stays(name)).cloned().collect()
    }

    /// What a program may touch; nothing if there are no walls around it.
    pub(super) fn walls(&self, walls: &config::Walls) -> Option<Walls> {
        walls.confine.then(|| Walls {
            readable: walls.readable.clone(),
            writable: walls.writable.clone(),
            hidden: self.hidden.clone(),
            network: walls.network,
        })
    }
}

fn setup(fetch: &config::Fetch) -> fetch::Setup {
    let usual = || format!("barnacle/{}", env!("CARGO_PKG_VERSION"));
    fetch::Setup {
        rules: fetch.rules.clone(),
        headers: fetch.headers.clone(),
        chars_max: fetch.chars_max,
        deadline: fetch.deadline,
        hops_max: fetch.hops_max,
        user_agent: fetch.user_agent.clone().unwrap_or_else(usual),
    }
}
