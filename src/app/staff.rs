//! The agents that the configuration names.

use std::time::Duration;

use crate::agent::echo::Echo;
use crate::agent::{Agent, Member, Staff};
use crate::ops::config::{self, AgentKind};

/// All of them; the first is the one that answers what is meant for nobody else.
pub(super) fn of(agents: &[config::Agent]) -> Staff {
    let mut members = agents.iter().map(|agent| (agent.id.as_str(), member(agent)));
    let none = || ("main", Member { agent: Agent::Echo(Echo::default()), deadline: Duration::MAX });
    let usual = members.next().unwrap_or_else(none);
    let others = members.map(|(name, member)| (name.into(), member)).collect();
    Staff::new(usual, others)
}

fn member(agent: &config::Agent) -> Member {
    let kind = match agent.kind {
        AgentKind::Echo { cpu } => Agent::Echo(Echo { burn: cpu }),
        AgentKind::Exec { .. } | AgentKind::Http { .. } => Agent::Echo(Echo::default()),
    };
    Member { agent: kind, deadline: agent.deadline }
}
