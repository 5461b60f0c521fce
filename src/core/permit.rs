#![doc = include_str!("permit.md")]

use super::chat::{ChannelKind, Request};

mod words;

pub use words::{Entry, Reach, Sender, USUAL};

/// What a file says of tools in one place: `allow`, `alsoAllow` and `deny`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    /// Exactly these; `None` if it is not written.
    pub allow: Option<Vec<Entry>>,
    /// These as well.
    pub also: Vec<Entry>,
    /// Never these.
    pub deny: Vec<Entry>,
}

/// What is said for everybody in one place, and for some who ask there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Layer {
    /// For everybody.
    pub all: Policy,
    /// `toolsBySender`: what holds for these.
    pub by_sender: Vec<(Sender, Policy)>,
}

/// What is said for one server, and for channels in it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Server {
    /// The account that says so.
    pub account: Box<str>,
    /// Which server; `None` is `"*"`: every one that has no entry of its own.
    pub guild: Option<u64>,
    /// What holds in all of it.
    pub layer: Layer,
    /// What holds in a channel and its threads; `None` is `"*"`.
    pub channels: Vec<(Option<u64>, Layer)>,
}

/// What one agent's entry says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OfAgent {
    /// Its name.
    pub agent: Box<str>,
    /// What it may use.
    pub layer: Layer,
    /// `allowFrom`: who may ask it; `None` is everybody who is answered.
    pub askers: Option<Vec<Sender>>,
}

/// All that is permitted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Permits {
    /// `tools`.
    pub general: Layer,
    /// What agents say.
    pub agents: Vec<OfAgent>,
    /// What servers say.
    pub servers: Vec<Server>,
}

/// Where a tool is to act.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum To {
    /// In the chat of who asks, or in none.
    Own,
    /// In another chat.
    Chat {
        /// Which.
        id: u64,
        /// Of a thread, the channel around it, as far as that is known.
        parent: Option<u64>,
        /// The server around it, as far as that is known.
        guild: Option<u64>,
    },
    /// In direct messages with this person.
    Person(u64),
}

/// What is said about a tool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It may be used.
    Allowed,
    /// It may not be used for who asks, or not there; others may, or in other places. Who asks is
    /// told.
    Denied,
    /// Nobody may.
    Absent,
}

impl Permits {
    /// Whether `tool` may act at `to` for the author of `request`.
    #[must_use]
    pub fn judge(&self, tool: &str, to: To, request: &Request) -> Verdict {
        let (mut is_allowed, mut is_denied) = (to == To::Own && is_usual(tool), false);
        for layer in self.layers(request) {
            for policies in layer.steps(request) {
                let grants = |entry: &Entry| entry.fits(tool, to, request);
                let written = policies.iter().filter_map(|policy| policy.allow.as_ref());
                let mut written = written.peekable();
                if written.peek().is_some() {
                    is_allowed = written.flatten().any(grants);
                }
                is_allowed |= policies.iter().flat_map(|policy| &policy.also).any(grants);
            }
            is_denied |= layer.denies(tool, to, request);
        }
        if is_allowed && !is_denied {
            Verdict::Allowed
        } else if self.is_for_somebody(tool, &request.agent) {
            Verdict::Denied
        } else {
            Verdict::Absent
        }
    }

    /// Whether `tool` may be used somewhere for the author of `request`: then it is offered.
    #[must_use]
    pub fn is_offered(&self, tool: &str, request: &Request) -> bool {
        // Whom it is denied has to be told so, for which it must be called.
        self.judge(tool, To::Own, request) != Verdict::Absent
    }

    /// Whether the author of `request` may ask the agent that it is for.
    #[must_use]
    pub fn may_ask(&self, request: &Request) -> bool {
        let agent = self.agents.iter().find(|agent| agent.agent == request.agent);
        let Some(askers) = agent.and_then(|agent| agent.askers.as_ref()) else { return true };
        is_operator(request) || askers.iter().any(|asker| asker.is(request))
    }

    /// Whether roles matter, and whether the channel around a thread does.
    #[must_use]
    pub fn needs(&self) -> (bool, bool) {
        let has_role = |sender: &Sender| matches!(sender, Sender::Role(_));
        let layers = self.every_layer();
        let by_role = layers.flat_map(|layer| &layer.by_sender).any(|(sender, _)| has_role(sender))
            || self.agents.iter().flat_map(|agent| &agent.askers).flatten().any(has_role);
        (by_role, self.servers.iter().any(|server| !server.channels.is_empty()))
    }

    /// Which of `tools` everybody may have used who is answered by `agent` somewhere.
    pub fn open_to_all<'t>(
        &'t self,
        agent: &'t str,
        tools: impl IntoIterator<Item = &'t str>,
    ) -> impl Iterator<Item = &'t str> {
        tools.into_iter().filter(move |tool| {
            let open = |policy: &Policy| policy.entries().any(|entry| entry.names(tool));
            let shut = |policy: &Policy| policy.deny.iter().any(|entry| entry.names(tool));
            let of_all = |layer: &Layer| {
                open(&layer.all)
                    || layer.by_sender.iter().any(|(sender, p)| *sender == Sender::Any && open(p))
            };
            !shut(&self.general.all) && self.layers_of(agent).any(of_all)
        })
    }

    /// Which of `tools` anybody may have used whom `agent` answers.
    pub fn had_by_somebody<'t>(
        &'t self,
        agent: &'t str,
        tools: impl IntoIterator<Item = &'t str>,
    ) -> impl Iterator<Item = &'t str> {
        let is_shut = |tool: &str| self.general.all.deny.iter().any(|entry| entry.names(tool));
        let tools = tools.into_iter();
        tools.filter(move |tool| !is_shut(tool) && self.is_for_somebody(tool, agent))
    }

    /// Tools that rules for `agent` name by more than the beginning `of` (in small letters).
    pub fn named<'s>(&'s self, agent: &'s str, of: &'s str) -> impl Iterator<Item = &'s str> {
        let policies = |layer: &'s Layer| {
            let some = layer.by_sender.iter().map(|(_, policy)| policy);
            std::iter::once(&layer.all).chain(some)
        };
        let entries = self.layers_of(agent).flat_map(policies).flat_map(Policy::entries);
        let is_meant = move |name: &&str| {
            name.len() > of.len() && name.starts_with(of) && !name.ends_with('*')
        };
        entries.map(Entry::name).filter(is_meant)
    }

    /// Whether some rule for `agent` lets somebody use `tool`.
    fn is_for_somebody(&self, tool: &str, agent: &str) -> bool {
        let mut layers = self.layers_of(agent);
        let grants = |layer: &Layer| {
            let policies = std::iter::once(&layer.all);
            let mut policies = policies.chain(layer.by_sender.iter().map(|(_, policy)| policy));
            policies.any(|policy| policy.entries().any(|entry| entry.names(tool)))
        };
        is_usual(tool) || layers.any(grants)
    }

    fn every_layer(&self) -> impl Iterator<Item = &Layer> {
        let agents = self.agents.iter().map(|agent| &agent.layer);
        std::iter::once(&self.general).chain(agents).chain(self.places())
    }

    /// All that is said for `agent`, wherever it is asked.
    fn layers_of(&self, agent: &str) -> impl Iterator<Item = &Layer> {
        let own = self.agents.iter().filter(move |of| *of.agent == *agent).map(|of| &of.layer);
        std::iter::once(&self.general).chain(own).chain(self.places())
    }

    fn places(&self) -> impl Iterator<Item = &Layer> {
        self.servers.iter().flat_map(|server| {
            let channels = server.channels.iter().map(|(_, layer)| layer);
            std::iter::once(&server.layer).chain(channels)
        })
    }

    /// What holds for `request`, the most general first.
    fn layers(&self, request: &Request) -> impl Iterator<Item = &Layer> {
        let agent = self.agents.iter().find(|agent| agent.agent == request.agent);
        let server = request.guild.and_then(|guild| {
            let here = self.servers.iter().filter(|server| server.account == request.account);
            most_specific(here, |server| server.guild, guild)
        });
        let around = request.parent.unwrap_or(request.chat.id);
        let channel = server.and_then(|server| {
            let channels = server.channels.iter();
            most_specific(channels, |(channel, _)| *channel, around)
        });
        let agent = agent.map(|agent| &agent.layer);
        let server = server.map(|server| &server.layer);
        let channel = channel.map(|(_, layer)| layer);
        [Some(&self.general), agent, server, channel].into_iter().flatten()
    }
}

/// The one for `id`, or else the one for all that have none.
fn most_specific<'a, T>(
    mut all: impl Iterator<Item = &'a T> + Clone,
    of: impl Fn(&T) -> Option<u64>,
    id: u64,
) -> Option<&'a T> {
    let own = all.clone().find(|one| of(one) == Some(id));
    own.or_else(|| all.find(|one| of(one).is_none()))
}

impl Layer {
    /// What holds for the author of `request`: first what is said for everybody, then what is said
    /// for them.
    fn steps(&self, request: &Request) -> [Vec<&Policy>; 2] {
        [vec![&self.all], self.of(|sender| sender.is(request))]
    }

    /// What is said for those senders that `is` recognises, or else for all others.
    fn of(&self, is: impl Fn(&Sender) -> bool) -> Vec<&Policy> {
        let named = self.by_sender.iter().filter(|(sender, _)| *sender != Sender::Any);
        let own: Vec<&Policy> =
            named.filter(|(sender, _)| is(sender)).map(|(_, policy)| policy).collect();
        if !own.is_empty() {
            return own;
        }
        let any = self.by_sender.iter().filter(|(sender, _)| *sender == Sender::Any);
        any.map(|(_, policy)| policy).collect()
    }

    /// Whether it is said that `tool` is never to act at `to` for the author of `request`. Where
    /// their roles are not known, they may have each.
    fn denies(&self, tool: &str, to: To, request: &Request) -> bool {
        let of = self.of(|sender| sender.is(request)).into_iter();
        let is_unknown = request.late && request.guild.is_some() && request.roles.is_empty();
        let maybe = self
            .by_sender
            .iter()
            .filter(|(sender, _)| is_unknown && matches!(sender, Sender::Role(_)));
        let policies = std::iter::once(&self.all).chain(of).chain(maybe.map(|(_, policy)| policy));
        let mut entries = policies.flat_map(|policy| &policy.deny);
        entries.any(|entry| entry.forbids(tool, to, request))
    }
}

impl Policy {
    /// All that it lets somebody use.
    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.allow.iter().flatten().chain(&self.also)
    }
}

/// Whether it was asked by who runs us: on our own page, by the control port, or by a job.
#[must_use]
pub fn is_operator(request: &Request) -> bool {
    request.chat.channel == ChannelKind::WebChat
        || (request.author == 0 && request.session_key.is_some())
}

/// Whether `tool` acts in the asker's own chat, or for the asker alone: everybody may have it used
/// who is answered at all.
#[must_use]
pub fn is_usual(tool: &str) -> bool {
    USUAL.contains(&tool)
}

#[cfg(test)]
mod sim;
