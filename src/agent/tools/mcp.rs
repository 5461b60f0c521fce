//! Tools of other people's servers, by the Model Context Protocol (`proto::mcp`). Each server has a
//! task of its own that starts it, learns its tools, hands calls on, and starts it again when it
//! has ended. One that does not work costs its own tools and nothing else.

mod program;
mod session;
mod web;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use smol::Task;
use smol::channel::{Receiver, Sender, bounded};
use smol::future::or;

use super::{Ask, Outcome};
use crate::base::backoff::{Backoff, Policy};
use crate::base::hash::fnv1a;
use crate::base::limits::{
    MCP_CALLS_MAX, MCP_PROVEN, MCP_RESTART_FIRST, MCP_RESTART_MAX, MCP_TOOL_NAME_MAX,
};
use crate::base::text::{Plain, truncate};
use crate::base::{Instant, Rng, Secret};
use crate::proto::llm::Tool;
use crate::proto::mcp::Offer;
use crate::rt::confine::Walls;
use crate::rt::executor::Tier;
use crate::rt::net::Net;
use crate::rt::net::http::Client;
use crate::rt::{clock, os_seed};
use session::Session;

/// What stands between a server's name and its tool's.
const BETWEEN: &str = "__";
/// Of why a server is not there, this much is told.
const WHY_BYTES_MAX: usize = 400;

/// A server, and how it is reached.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What it is called.
    pub name: String,
    /// How it is reached.
    pub way: Way,
    /// How long a call may take.
    pub deadline: Duration,
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub enum Way {
    /// It is a program, and speaks on its pipes.
    Program {
        /// The program and its arguments.
        command: Vec<String>,
        /// All its variables but those that follow from the walls.
        env: Vec<(String, Secret)>,
        /// Where it runs.
        dir: PathBuf,
        /// What it may touch; everything that we may, if there are none.
        walls: Option<Walls>,
    },
    /// It is asked by HTTP.
    Http {
        /// Where.
        url: Secret,
        /// Headers that go along.
        headers: Vec<(String, Secret)>,
    },
}

/// How a server is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// What it is called.
    pub name: String,
    /// Whether it is a program.
    pub is_program: bool,
    /// How it stands with it.
    pub state: State,
    /// The tools that it offers, as models call them.
    pub tools: Vec<String>,
    /// Tools that cannot be offered.
    pub left_out: usize,
    /// How often it was started.
    pub starts: u32,
}

/// How it stands with a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// It was started, and its tools are not known yet.
    Starting,
    /// It is there.
    Ready,
    /// It is not, for this reason; it is started again.
    Down(String),
}

/// All servers. Cheap to clone; with the last clone they end.
#[derive(Clone, Debug, Default)]
pub struct Servers(Rc<Vec<Server>>);

#[derive(Debug)]
struct Server {
    setup: Setup,
    shared: Rc<Shared>,
    orders: Sender<Order>,
    _keeper: Task<()>,
}

/// What a server's task tells all others.
#[derive(Debug)]
struct Shared {
    tools: RefCell<Vec<Known>>,
    state: RefCell<State>,
    left_out: Cell<usize>,
    starts: Cell<u32>,
}

/// A tool, and what its server calls it.
#[derive(Clone, Debug)]
struct Known {
    tool: Tool,
    own: String,
}

/// A call for a server.
#[derive(Debug)]
struct Order {
    tool: String,
    arguments: Value,
    by: Instant,
    answer: Sender<Outcome>,
}

impl Servers {
    /// Starts the servers of these setups; `version` is ours.
    #[must_use]
    pub fn start(net: &Net, version: &'static str, setups: Vec<Setup>) -> Servers {
        let start = |setup: Setup| {
            let (orders, asked) = bounded(MCP_CALLS_MAX);
            let shared = Rc::new(Shared {
                tools: RefCell::default(),
                state: RefCell::new(State::Starting),
                left_out: Cell::new(0),
                starts: Cell::new(0),
            });
            let keeper = Keeper {
                setup: setup.clone(),
                shared: shared.clone(),
                asked,
                http: Client::new(net, Tier::Work).places(MCP_CALLS_MAX + 2),
                net: net.clone(),
                version,
            };
            let task = net.spawner().spawn(Tier::Work, "mcp", keeper.run());
            Server { setup, shared, orders, _keeper: task }
        };
        Servers(Rc::new(setups.into_iter().map(start).collect()))
    }

    /// The tools that there are at the moment.
    #[must_use]
    pub fn tools(&self) -> Vec<Tool> {
        let known = |server: &Server| {
            let tools = server.shared.tools.borrow();
            tools.iter().map(|known| known.tool.clone()).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(known).collect()
    }

    /// How long the slowest call may take.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.0.iter().map(|server| server.setup.deadline).max().unwrap_or_default()
    }

    /// How all of them are.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        let status = |server: &Server| Status {
            name: server.setup.name.clone(),
            is_program: matches!(server.setup.way, Way::Program { .. }),
            state: server.shared.state.borrow().clone(),
            tools: server.shared.tools.borrow().iter().map(|k| k.tool.name.to_string()).collect(),
            left_out: server.shared.left_out.get(),
            starts: server.shared.starts.get(),
        };
        self.0.iter().map(status).collect()
    }

    /// Calls the tool of `ask`.
    ///
    /// # Errors
    /// Why it has failed, for the model.
    pub async fn run(&self, ask: &Ask<'_>, arguments: &Value) -> Outcome {
        let name = ask.call.name.as_str();
        let found = self.0.iter().find_map(|server| {
            let tools = server.shared.tools.borrow();
            let known = tools.iter().find(|known| *known.tool.name == *name)?;
            Some((server, known.own.clone()))
        });
        let (server, tool) = found.ok_or("the server of this tool is not there at the moment")?;
        let by = ask.by.min(clock::now() + server.setup.deadline);
        let (answer, answered) = bounded(1);
        let order = Order { tool, arguments: arguments.clone(), by, answer };
        if server.orders.try_send(order).is_err() {
            return Err("too many of its tools are at work already".to_owned());
        }
        let outcome = clock::timeout(by, answered.recv()).await;
        match outcome {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err("the server of this tool has broken off".to_owned()),
            None => Err("the tool took too long".to_owned()),
        }
    }
}

/// Keeps one server running.
struct Keeper {
    setup: Setup,
    shared: Rc<Shared>,
    asked: Receiver<Order>,
    http: Client,
    net: Net,
    version: &'static str,
}

impl Keeper {
    async fn run(self) {
        let policy = Policy {
            first: MCP_RESTART_FIRST,
            second: MCP_RESTART_FIRST * 2,
            growth_percent: 200,
            cap: MCP_RESTART_MAX,
        };
        let (mut backoff, mut rng) = (Backoff::new(policy), Rng::new(os_seed()));
        let mut last_why = String::new();
        loop {
            self.shared.state.replace(State::Starting);
            self.shared.starts.set(self.shared.starts.get().saturating_add(1));
            let is_program = matches!(self.setup.way, Way::Program { .. });
            let mut session =
                Session::new(&self.setup.name, &self.shared, self.version, is_program);
            let began = clock::now();
            let why = match &self.setup.way {
                Way::Program { command, env, dir, walls } => {
                    let job = program::job(command, env, dir, walls.as_ref());
                    program::serve(&mut session, &self.asked, job).await
                }
                Way::Http { url, headers } => {
                    let at = web::Place { url, headers, deadline: self.setup.deadline };
                    web::serve(&mut session, &self.asked, &self.http, &self.net, &at).await
                }
            };
            session.end();
            drop(session);
            let why = truncate(&Plain(why.trim()).to_string(), WHY_BYTES_MAX).to_owned();
            if clock::now().since(began) >= MCP_PROVEN {
                backoff.reset();
            }
            let wait = backoff.next(&mut rng);
            self.tell(&why, &mut last_why, wait);
            self.shared.tools.borrow_mut().clear();
            self.shared.state.replace(State::Down(why));
            self.rest(wait).await;
        }
    }

    /// The same trouble is told once.
    fn tell(&self, why: &str, last: &mut String, wait: Duration) {
        let level = if *why == **last { log::Level::Debug } else { log::Level::Warn };
        log::log!(
            target: "mcp",
            level,
            "{} is not there: {why}; it is started again in {} s",
            self.setup.name,
            wait.as_secs().max(1)
        );
        why.clone_into(last);
    }

    /// Waits, and refuses what is asked meanwhile.
    async fn rest(&self, wait: Duration) {
        let until = clock::now() + wait;
        loop {
            let order = async { self.asked.recv().await.ok() };
            let due = async {
                clock::sleep_until(until).await;
                None
            };
            let Some(order) = or(order, due).await else { break };
            let words = "the server of this tool is not there at the moment";
            let _ = order.answer.try_send(Err(words.to_owned()));
        }
    }
}

/// The tools of `server` under names that no provider refuses and no other tool has.
fn named(server: &str, offers: Vec<Offer>) -> Vec<Known> {
    let mut taken = BTreeSet::new();
    let mut known = Vec::new();
    for Offer { name: own, about, schema } in offers {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let clean = |c: char| if is_plain(c) { c } else { '_' };
        let mut name = format!("{server}{BETWEEN}{}", own.chars().map(clean).collect::<String>());
        if name.len() > MCP_TOOL_NAME_MAX || taken.contains(&name) {
            let tail = format!("_{:08x}", fnv1a(own.bytes()) & 0xffff_ffff);
            name = format!("{}{tail}", truncate(&name, MCP_TOOL_NAME_MAX - tail.len()));
        }
        if taken.insert(name.clone()) {
            known
                .push(Known { tool: Tool { name: name.into(), about: about.into(), schema }, own });
        }
    }
    known
}

#[cfg(test)]
mod tests;
