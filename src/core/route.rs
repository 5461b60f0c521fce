//! Which agent answers: the most specific binding that fits (`bindings`).
//!
//! All that a binding names must be so. Of several that fit, one that names the chat (or in direct
//! messages the person) beats all others, then the channel around a thread, then roles, then the
//! server, then the account; of those that name the same, the first in the file. If none fits, the
//! first agent answers.

use super::chat::Inbound;

/// What kind of chat a binding is for. That a chat is a channel, a group or a thread makes no
/// difference: their numbers tell them apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerKind {
    /// Direct messages.
    Direct,
    /// A chat of several people.
    Group,
}

/// One of the `bindings`. What is not named does not matter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Binding {
    /// The agent.
    pub agent: Box<str>,
    /// The account that heard the message.
    pub account: Option<Box<str>>,
    /// A chat, or in direct messages the person.
    pub peer: Option<u64>,
    /// Direct messages, or chats of servers.
    pub kind: Option<PeerKind>,
    /// The server around the chat.
    pub guild: Option<u64>,
    /// Roles of the author in that server: one of them is enough.
    pub roles: Vec<u64>,
}

/// The bindings of all accounts, and the agents that they may name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Routes {
    bindings: Vec<Binding>,
    /// Who answers where nobody is bound.
    default: Box<str>,
}

impl Default for Routes {
    fn default() -> Routes {
        Routes { bindings: Vec::new(), default: "main".into() }
    }
}

impl Routes {
    /// `bindings` to `agents`, of which the first answers where nobody is bound. A binding to one
    /// that does not exist means the first, too: its messages are meant to be answered.
    #[must_use]
    pub fn new<'a>(
        agents: impl IntoIterator<Item = &'a str>,
        bindings: impl IntoIterator<Item = Binding>,
    ) -> Routes {
        let agents: Vec<&str> = agents.into_iter().collect();
        let default: Box<str> = agents.first().copied().unwrap_or("main").into();
        let known = |binding: Binding| {
            let is_known = agents.contains(&&*binding.agent);
            let agent = if is_known { binding.agent } else { default.clone() };
            Binding { agent, ..binding }
        };
        let bindings = bindings.into_iter().map(known).collect();
        Routes { bindings, default }
    }

    /// Whether some binding names a chat, which may be the channel around a thread; and whether
    /// one names roles.
    #[must_use]
    pub fn needs(&self) -> (bool, bool) {
        let of = |names: fn(&Binding) -> bool| self.bindings.iter().any(names);
        (of(|binding| binding.peer.is_some()), of(|binding| !binding.roles.is_empty()))
    }

    /// The agent that answers `inbound`, which `account` heard.
    #[must_use]
    pub fn agent(&self, account: &str, inbound: &Inbound<'_>) -> &str {
        self.bound(account, inbound).0
    }

    /// The same, and how exactly a binding says so: 0 if none does.
    #[must_use]
    pub fn bound(&self, account: &str, inbound: &Inbound<'_>) -> (&str, u8) {
        let mut best: Option<(u8, &Binding)> = None;
        for binding in &self.bindings {
            let Some(rank) = binding.rank(account, inbound) else { continue };
            if best.is_none_or(|(highest, _)| rank > highest) {
                best = Some((rank, binding));
            }
        }
        // One that names nothing is a binding, too.
        best.map_or((&self.default, 0), |(rank, binding)| (&binding.agent, rank + 1))
    }
}

impl Binding {
    /// How specific it is, if it fits: a bit for each thing it names, the most specific highest.
    fn rank(&self, account: &str, inbound: &Inbound<'_>) -> Option<u8> {
        let mut rank = 0;
        if let Some(kind) = self.kind {
            let is_direct = inbound.guild.is_none();
            (is_direct == (kind == PeerKind::Direct)).then_some(())?;
            rank |= 8;
        }
        if let Some(peer) = self.peer {
            let person = inbound.guild.is_none().then_some(inbound.author);
            rank |= match peer {
                peer if peer == inbound.chat.id || Some(peer) == person => 32,
                peer if Some(peer) == inbound.parent => 16,
                _ => return None,
            };
        }
        if !self.roles.is_empty() {
            let has_one = inbound.roles.iter().any(|role| self.roles.contains(role));
            (inbound.guild.is_some() && has_one).then_some(())?;
            rank |= 4;
        }
        if self.guild.is_some() {
            (self.guild == inbound.guild).then_some(())?;
            rank |= 2;
        }
        if let Some(named) = &self.account {
            (**named == *account).then_some(())?;
            rank |= 1;
        }
        Some(rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;
    use crate::core::chat::sample;

    fn said(guild: Option<u64>, chat: u64, roles: &[u64]) -> Inbound<'_> {
        Inbound { chat: sample::chat(chat), guild, roles, ..sample::inbound() }
    }

    fn binding(agent: &str) -> Binding {
        Binding { agent: agent.into(), ..Binding::default() }
    }

    const AGENTS: [&str; 8] =
        ["main", "peer", "person", "roles", "guild", "account", "thread", "all"];

    /// Every kind of binding, the least specific first.
    fn bindings() -> Vec<Binding> {
        vec![
            binding("all"),
            Binding { account: Some("work".into()), ..binding("account") },
            Binding { guild: Some(9), ..binding("guild") },
            Binding { guild: Some(9), roles: vec![3, 4], ..binding("roles") },
            Binding { peer: Some(5), ..binding("peer") },
            Binding { peer: Some(7), ..binding("person") },
            Binding { peer: Some(55), ..binding("thread") },
        ]
    }

    #[test]
    fn the_most_specific_binding_wins_in_whatever_order_they_stand() {
        let in_thread = |id| Inbound { parent: Some(5), ..said(Some(9), id, &[3]) };
        let matrix = [
            ("work", said(Some(9), 5, &[3]), "peer"),
            ("work", said(Some(9), 6, &[3]), "roles"),
            ("work", said(Some(9), 6, &[1, 4]), "roles"),
            ("work", said(Some(9), 6, &[1]), "guild"),
            ("work", said(Some(8), 6, &[3]), "account"),
            ("home", said(Some(8), 6, &[3]), "all"),
            ("work", said(None, 6, &[]), "person"),
            ("work", in_thread(54), "peer"),
            ("work", in_thread(55), "thread"),
        ];
        for seed in 0..50 {
            let (mut rng, mut mixed) = (Rng::new(seed), bindings());
            for at in (1..mixed.len()).rev() {
                mixed.swap(at, usize::try_from(rng.below(at as u64 + 1)).unwrap());
            }
            let routes = Routes::new(AGENTS, mixed);
            for (account, inbound, agent) in &matrix {
                assert_eq!(routes.agent(account, inbound), *agent, "{inbound:?}");
            }
        }
    }

    #[test]
    fn all_that_a_binding_names_must_be_so() {
        let both = Binding { peer: Some(5), account: Some("work".into()), ..binding("all") };
        let routes = Routes::new(AGENTS, [Binding { peer: Some(5), ..binding("peer") }, both]);
        assert_eq!(routes.agent("work", &said(Some(9), 5, &[])), "all");
        assert_eq!(routes.agent("home", &said(Some(9), 5, &[])), "peer");
        assert_eq!(routes.agent("work", &said(Some(9), 6, &[])), "main");
        let roles = Binding { roles: vec![3], ..binding("roles") };
        let routes = Routes::new(AGENTS, [roles]);
        assert_eq!(routes.agent("work", &said(Some(9), 6, &[3])), "roles");
        assert_eq!(routes.agent("work", &said(Some(9), 6, &[])), "main");
    }

    #[test]
    fn a_kind_of_chat_is_less_than_a_chat_and_more_than_roles() {
        let kind = |kind, agent: &str| Binding { kind: Some(kind), ..binding(agent) };
        let mut all = bindings();
        all.push(kind(PeerKind::Direct, "all"));
        all.push(Binding { peer: Some(5), ..kind(PeerKind::Direct, "main") });
        let routes = Routes::new(AGENTS, all);
        assert_eq!(routes.agent("work", &said(None, 6, &[])), "person");
        let other = |inbound: Inbound<'static>| Inbound { author: 8, ..inbound };
        assert_eq!(routes.agent("work", &other(said(None, 6, &[]))), "all");
        assert_eq!(routes.agent("work", &said(Some(9), 5, &[])), "peer", "5 is no person here");
        let group = [Binding { roles: vec![3], ..binding("roles") }, kind(PeerKind::Group, "all")];
        assert_eq!(Routes::new(AGENTS, group).agent("", &said(Some(9), 6, &[3])), "all");
    }

    #[test]
    fn the_first_of_equals_wins_and_an_unknown_agent_is_the_default() {
        let twice = [binding("guild"), binding("all")].map(|b| Binding { guild: Some(9), ..b });
        assert_eq!(Routes::new(AGENTS, twice).agent("", &said(Some(9), 5, &[])), "guild");
        let unknown = Binding { guild: Some(9), ..binding("nobody") };
        let routes = Routes::new(AGENTS, [binding("all"), unknown]);
        assert_eq!(routes.agent("", &said(Some(9), 5, &[])), "main");
        assert_eq!(Routes::default().agent("", &said(None, 5, &[])), "main");
    }
}
