//! Which of several agents answers a message that all of them hear: one, and everybody can tell
//! which and why.
//!
//! Agents have seats (`router.agents`): an agent, the account by which it speaks, the channels that
//! it is assigned to, and its role there. An active one answers what is said; a passive one listens
//! and answers what calls it. Of all that would answer, one does: the one that is mentioned, or
//! whose message is answered, or that is called by its name, or by one of its triggers; else the
//! one whose seat names the channel most exactly; else the first in the file.
//!
//! Where no seat is written but several accounts are in one server, each account is a seat of the
//! agent that the bindings give it.
//!
//! What is decided depends on the message and on what all accounts know alike, so each account that
//! hears it comes to the same; and it is remembered, so that an account which hears it later, or
//! hears it again, does not come to something else.

use std::rc::Rc;
use std::time::Duration;

use super::access::Place;
use super::chat::Inbound;
use super::intent::shape::{self, Names};
use crate::base::limits::{
    ROUTER_RULINGS_MAX, ROUTER_SPOKEN_MAX, ROUTER_STAND_IN, ROUTER_STAND_INS_MAX,
    ROUTER_TEXT_BYTES_MAX,
};
use crate::base::ring::Ring;
use crate::base::text;

pub mod overheard;

/// What an agent does in its channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Role {
    /// It answers.
    #[default]
    Active,
    /// It answers what calls it.
    Passive,
}

/// What calls an agent, besides a mention, an answer and its name. All in small letters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// A text that begins so: `/ask`.
    Command(Box<str>),
    /// These words, one behind the other; `*` in a word stands for any letters.
    Words(Vec<Box<str>>),
}

/// One agent's place in some channels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seat {
    /// The agent.
    pub agent: Rc<str>,
    /// The account by which it speaks.
    pub account: Rc<str>,
    /// The channels.
    pub places: Vec<Place>,
    /// What it does there.
    pub role: Role,
    /// What it is called by.
    pub names: Names,
    /// What else calls it.
    pub triggers: Vec<Trigger>,
}

/// `router`: who sits where, and how they get along.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    /// The seats, in the order of the file.
    pub seats: Vec<Seat>,
    /// Whether agents of other accounts of ours are answered.
    pub self_talk: bool,
    /// How long an account may be away until others stand in.
    pub stand_in: Duration,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { seats: Vec::new(), self_talk: false, stand_in: ROUTER_STAND_IN }
    }
}

/// Why an agent answers rather than another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Because {
    /// Its account has a binding, or is the first.
    Bound,
    /// It is assigned to the channel.
    Assigned,
    /// One of its triggers is in the message.
    Triggered,
    /// It is called by its name.
    Named,
    /// The message answers one of its own.
    Replied,
    /// It is mentioned.
    Mentioned,
}

impl Because {
    /// Every one there is.
    pub const ALL: [Because; 6] = [
        Because::Bound,
        Because::Assigned,
        Because::Triggered,
        Because::Named,
        Because::Replied,
        Because::Mentioned,
    ];

    /// The same in words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Because::Bound => "it is bound to it",
            Because::Assigned => "it is assigned to the channel",
            Because::Triggered => "one of its triggers is in the message",
            Because::Named => "it is called by its name",
            Because::Replied => "the message answers one of its own",
            Because::Mentioned => "it is mentioned",
        }
    }
}

/// Who answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// By this account.
    pub account: Rc<str>,
    /// The agent.
    pub agent: Rc<str>,
    /// Why this one.
    pub because: Because,
    /// Whether the seat itself says that it need not be mentioned.
    pub is_assigned: bool,
    /// Whether it is in the place of one that is away.
    pub stands_in: bool,
}

/// What is decided about a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// There is nothing to decide.
    Free,
    /// This one answers, and no other.
    Answers(Choice),
    /// Only passive agents are assigned there, and nothing calls one of them.
    NotTriggered,
    /// No agent is assigned there.
    Unassigned,
    /// Somebody would answer, but their accounts' own rules say no: each account tells why.
    Barred,
}

/// An account that may have heard the message.
#[derive(Clone, Copy, Debug)]
pub struct Hearer<'a> {
    /// Its name.
    pub account: &'a str,
    /// Its user's number.
    pub me: u64,
    /// Whether it is there and hears what is said in the channel, or will in a moment.
    pub is_here: bool,
    /// Whether it is known to be in the server: what no seat says must not be left to an account
    /// that is elsewhere.
    pub is_member: bool,
    /// The agent that answers by it, and how exactly a binding says so; 0 is by none.
    pub bound: (&'a str, u8),
}

/// A message, and what is known of it beyond what it says.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The message.
    pub inbound: &'a Inbound<'a>,
    /// The name of the channel, or of that around the thread.
    pub chat_name: Option<&'a str>,
}

/// What is remembered of messages.
#[derive(Clone, Debug, Default)]
pub struct Router {
    rulings: Box<Ring<(u64, Verdict), ROUTER_RULINGS_MAX>>,
    newest: u64,
    stand_ins: Box<Ring<StandIn, ROUTER_STAND_INS_MAX>>,
    spoken: Box<Ring<Spoken, ROUTER_SPOKEN_MAX>>,
}

/// A message that one account answered in the place of another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StandIn {
    /// The message.
    pub id: u64,
    /// Who answered.
    pub account: Rc<str>,
    /// And as which agent.
    pub agent: Rc<str>,
}

/// A message of ours.
#[derive(Clone, Debug)]
struct Spoken {
    id: u64,
    account: Rc<str>,
    agent: Rc<str>,
}

/// One that would answer.
struct Candidate<'a> {
    agent: &'a str,
    account: &'a str,
    because: Because,
    /// What counts, what counts most first.
    rank: (Because, usize, bool, bool, u8),
    is_assigned: bool,
    is_here: bool,
}

impl Router {
    /// What was decided about message `id`, if it is remembered.
    #[must_use]
    pub fn ruled(&self, id: u64) -> Option<Verdict> {
        let is_old = id <= self.newest;
        let ruled = self.rulings.iter().rev().find(|(other, _)| is_old && *other == id);
        if let Some((_, verdict)) = ruled {
            return Some(verdict.clone());
        }
        let stand_in = self.stand_ins.iter().rev().find(|stand_in| stand_in.id == id)?;
        Some(Verdict::Answers(Choice {
            account: stand_in.account.clone(),
            agent: stand_in.agent.clone(),
            because: Because::Assigned,
            is_assigned: true,
            stands_in: true,
        }))
    }

    /// Decides about a message that was not decided about yet. `may` tells whether the rules of an
    /// account allow an answer, where the seat says so without a mention or does not.
    pub fn rule(
        &mut self,
        rules: &Rules,
        hearers: &[Hearer<'_>],
        facts: &Facts<'_>,
        may: &mut dyn FnMut(&str, bool) -> bool,
    ) -> Verdict {
        let verdict = self.choose(rules, hearers, facts, may);
        let id = facts.inbound.id;
        self.newest = self.newest.max(id);
        if let Verdict::Answers(choice) = &verdict
            && choice.stands_in
        {
            let (account, agent) = (choice.account.clone(), choice.agent.clone());
            self.stand_ins.push(StandIn { id, account, agent });
        }
        self.rulings.push((id, verdict.clone()));
        verdict
    }

    fn choose(
        &self,
        rules: &Rules,
        hearers: &[Hearer<'_>],
        facts: &Facts<'_>,
        may: &mut dyn FnMut(&str, bool) -> bool,
    ) -> Verdict {
        let lower = lower(facts.inbound.text);
        let seats = rules.seats.iter().filter_map(|seat| {
            let specific = seat.fits(facts)?;
            let hearer = hearers.iter().find(|hearer| hearer.account == &*seat.account);
            // One that does not run will be back, or not; others stand in for it.
            let gone = Hearer::gone(&seat.account);
            Some((seat, specific, hearer.copied().unwrap_or(gone)))
        });
        let mut candidates = Vec::new();
        let mut is_seated = false;
        for (seat, specific, hearer) in seats {
            is_seated = true;
            let address = self.address(&hearer, Some(&seat.agent), &seat.names, facts);
            let address = address.or_else(|| {
                seat.triggers
                    .iter()
                    .any(|trigger| trigger.is_in(&lower))
                    .then(|| address_of(Because::Triggered))
            });
            if address.is_none() && seat.role == Role::Passive {
                continue;
            }
            let (because, place) = address.unwrap_or((Because::Assigned, usize::MAX));
            let is_named = shape::calls(facts.inbound.text, &seat.names);
            candidates.push(Candidate {
                agent: &seat.agent,
                account: &seat.account,
                because,
                rank: (because, usize::MAX - place, is_named, seat.role == Role::Active, specific),
                is_assigned: true,
                is_here: hearer.is_here,
            });
        }
        if is_seated && candidates.is_empty() {
            return Verdict::NotTriggered;
        }
        if !is_seated {
            let is_bound = |hearer: &&Hearer<'_>| rules.seats.is_empty() || hearer.bound.1 > 0;
            let is_meant = |hearer: &&Hearer<'_>| hearer.is_member && is_bound(hearer);
            for hearer in hearers.iter().filter(is_meant) {
                let names = Names::of([hearer.bound.0, hearer.account]);
                let address = self.address(hearer, None, &names, facts);
                let (because, place) = address.unwrap_or((Because::Bound, usize::MAX));
                candidates.push(Candidate {
                    agent: hearer.bound.0,
                    account: hearer.account,
                    because,
                    rank: (because, usize::MAX - place, false, true, hearer.bound.1),
                    is_assigned: false,
                    is_here: hearer.is_here,
                });
            }
            if candidates.is_empty() {
                return Verdict::Unassigned;
            }
        }
        candidates.retain(|candidate| may(candidate.account, candidate.is_assigned));
        pick(&candidates)
    }

    /// By what the message calls an agent at `hearer`, and how early.
    fn address(
        &self,
        hearer: &Hearer<'_>,
        agent: Option<&str>,
        names: &Names,
        facts: &Facts<'_>,
    ) -> Option<(Because, usize)> {
        let inbound = facts.inbound;
        if let Some(place) = mention_of(hearer.me, inbound) {
            return Some((Because::Mentioned, place));
        }
        let spoken = inbound.reply_to.and_then(|id| self.spoken(id));
        let is_ours = match inbound.reply_author {
            Some(author) => hearer.me != 0 && author == hearer.me,
            // It is deleted, and we remember that we said it.
            None => spoken.is_some_and(|(account, _)| account == hearer.account),
        };
        if is_ours {
            let is_it = spoken.is_none_or(|(_, by)| agent.is_none_or(|agent| agent == by));
            if is_it {
                return Some(address_of(Because::Replied));
            }
        }
        shape::calls(inbound.text, names).then(|| address_of(Because::Named))
    }

    /// Message `id` was said by `agent` of `account`.
    pub fn spoke(&mut self, id: u64, account: &Rc<str>, agent: &Rc<str>) {
        self.spoken.push(Spoken { id, account: account.clone(), agent: agent.clone() });
    }

    /// Who of ours said message `id`, as far as that is remembered: the account and the agent.
    #[must_use]
    pub fn spoken(&self, id: u64) -> Option<(&str, &str)> {
        let spoken = self.spoken.iter().rev().find(|spoken| spoken.id == id)?;
        Some((&spoken.account, &spoken.agent))
    }

    /// The messages that `account` is to answer, the newest first, and as which agent.
    pub fn asked<'a>(&'a self, account: &'a str) -> impl Iterator<Item = (u64, &'a Rc<str>)> {
        self.rulings.iter().rev().filter_map(move |(id, verdict)| match verdict {
            Verdict::Answers(choice) if *choice.account == *account => Some((*id, &choice.agent)),
            _ => None,
        })
    }

    /// The messages that were answered in the place of others, the oldest first.
    pub fn stand_ins(&self) -> impl Iterator<Item = &StandIn> {
        self.stand_ins.iter()
    }

    /// Takes in what an earlier life told of these.
    pub fn restore(&mut self, stand_in: StandIn) {
        self.stand_ins.push(stand_in);
    }
}

fn address_of(because: Because) -> (Because, usize) {
    (because, usize::MAX)
}

/// The best of those that are there; or else the best, who answers when it is back.
fn pick(candidates: &[Candidate<'_>]) -> Verdict {
    // Of equals the first in the file.
    let best = |is_meant: fn(&&Candidate<'_>) -> bool| {
        candidates.iter().filter(is_meant).reduce(
            |best, other| {
                if other.rank > best.rank { other } else { best }
            },
        )
    };
    let Some(first) = best(|_| true) else { return Verdict::Barred };
    let here = best(|candidate| candidate.is_here);
    let chosen = here.unwrap_or(first);
    Verdict::Answers(Choice {
        account: chosen.account.into(),
        agent: chosen.agent.into(),
        because: chosen.because,
        is_assigned: chosen.is_assigned,
        stands_in: !std::ptr::eq(chosen, first) && chosen.account != first.account,
    })
}

/// Where in the text `me` is mentioned, in bytes; whoever is cut off from its beginning comes
/// before all others.
fn mention_of(me: u64, inbound: &Inbound<'_>) -> Option<usize> {
    if me == 0 {
        return None;
    }
    if inbound.called == Some(me) {
        return Some(0);
    }
    let forms = [format!("<@{me}>"), format!("<@!{me}>")];
    let places = forms.iter().filter_map(|form| inbound.text.find(form.as_str()));
    places.min().map(|place| place + 1)
}

/// Whether `inbound` names the user `me`, whoever heard it.
#[must_use]
pub fn mentions(me: u64, inbound: &Inbound<'_>) -> bool {
    let is_listed = me != 0 && (inbound.mentions.contains(&me) || inbound.reply_author == Some(me));
    is_listed || mention_of(me, inbound).is_some()
}

/// The text in small letters, or the beginning of it.
fn lower(said: &str) -> String {
    text::truncate(said, ROUTER_TEXT_BYTES_MAX).to_lowercase()
}

impl Rules {
    /// The agent that answers direct messages to `account`, where no binding says so.
    #[must_use]
    pub fn direct(&self, account: &str) -> Option<&str> {
        let seat = self.seats.iter().find(|seat| &*seat.account == account)?;
        Some(&seat.agent)
    }

    /// The agent of `account`, if it has only one.
    #[must_use]
    pub fn only(&self, account: &str) -> Option<Rc<str>> {
        let mut agents =
            self.seats.iter().filter(|seat| &*seat.account == account).map(|seat| &seat.agent);
        let first = agents.next()?;
        agents.all(|other| other == first).then(|| first.clone())
    }

    /// Whether some seat is for a channel that is named, or that may be around a thread.
    #[must_use]
    pub fn needs(&self) -> (bool, bool) {
        let any =
            |is_so: fn(&Place) -> bool| self.seats.iter().flat_map(|seat| &seat.places).any(is_so);
        (any(|place| matches!(place, Place::Name(_))), any(|place| *place != Place::Any))
    }
}

impl<'a> Hearer<'a> {
    /// An account that does not run.
    fn gone(account: &'a str) -> Hearer<'a> {
        Hearer { account, me: 0, is_here: false, is_member: false, bound: ("", 0) }
    }
}

impl Seat {
    /// How exactly it is for the channel of the message, if it is.
    fn fits(&self, facts: &Facts<'_>) -> Option<u8> {
        let Inbound { chat, parent, .. } = *facts.inbound;
        let is_name = |word: &str| {
            let word = word.trim_start_matches('#');
            facts.chat_name.is_some_and(|name| name.eq_ignore_ascii_case(word))
        };
        let fit = |place: &Place| match place {
            Place::Id(id) if *id == chat.id => Some(4),
            Place::Id(id) if Some(*id) == parent => Some(3),
            Place::Name(word) if is_name(word) => Some(2),
            Place::Any => Some(1),
            Place::Id(_) | Place::Name(_) => None,
        };
        self.places.iter().filter_map(fit).max()
    }
}

impl Trigger {
    /// Reads one; `None` if nothing is in it.
    #[must_use]
    pub fn read(text: &str) -> Option<Trigger> {
        let lower = text.trim().to_lowercase();
        if lower.starts_with('/') && lower.len() > 1 {
            return Some(Trigger::Command(lower.into()));
        }
        let words: Vec<Box<str>> = words(&lower, true).map(Into::into).collect();
        (!words.is_empty()).then_some(Trigger::Words(words))
    }

    /// Whether it is in `lower`, which is in small letters.
    fn is_in(&self, lower: &str) -> bool {
        match self {
            Trigger::Command(command) => {
                let rest = lower.trim_start().strip_prefix(&**command);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
            }
            Trigger::Words(wanted) => {
                let said: Vec<&str> = words(lower, false).collect();
                said.windows(wanted.len()).any(|said| {
                    said.iter().zip(wanted).all(|(word, pattern)| is_like(word, pattern))
                })
            }
        }
    }
}

/// The words of a text; in a pattern stars belong to them.
fn words(text: &str, is_pattern: bool) -> impl Iterator<Item = &str> {
    let is_part = move |c: char| c.is_alphanumeric() || (is_pattern && c == '*');
    text.split(move |c| !is_part(c)).filter(|word| !word.is_empty())
}

/// Whether `word` is like `pattern`, in which a star stands for any letters.
fn is_like(word: &str, pattern: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('*') else { return word == pattern };
    let Some(mut left) = word.strip_prefix(before) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests;
