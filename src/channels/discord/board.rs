//! What the accounts of one process know of each other: which of them are ours, who is there, which
//! agent answers a message that several of them hear, what was said to others, and which bots go
//! round in circles.
//!
//! All run on one thread, so whoever hears a message first decides for all; see
//! [`router`](crate::core::router) for how.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use super::settings::Settings;
use crate::base::{Instant, limits};
use crate::core::access::{self, Known, Needs};
use crate::core::chat::{ChatId, Inbound};
use crate::core::loops::{Heard, Loops, Stop};
use crate::core::outbox::{ItemId, Nonce, Origin};
use crate::core::person::Person;
use crate::core::router::overheard::{Overheard, Words};
use crate::core::router::{self, Facts, Hearer, Router, Rules, StandIn, Verdict};
use crate::rt::clock;
use crate::rt::store::{Cell, Content, Durability};

/// The file that remembers what was answered in the place of an account that was away.
const STAND_INS: &str = "router.stand-ins";
/// Bytes of it: a number and two names for each.
const STAND_INS_BYTES_MAX: u32 = 64 * 1024;
/// Messages asked of an account of which one of its own may be the answer, …
const ASKED_MAX: usize = 64;
/// … and messages of one answer that are compared.
const PARTS_MAX: u16 = 8;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Board(Rc<Inner>);

struct Inner {
    rules: RefCell<Rc<Rules>>,
    /// The accounts in the order of the file.
    order: RefCell<Vec<Rc<str>>>,
    members: RefCell<Vec<Member>>,
    router: RefCell<Router>,
    loops: RefCell<Loops>,
    overheard: RefCell<Overheard>,
    kept: Cell,
}

/// An account that runs, or did.
struct Member {
    account: Rc<str>,
    /// Its user; 0 before that is known.
    me: u64,
    settings: Rc<RefCell<Settings>>,
    /// Since when it is connected …
    up: Option<Instant>,
    /// … and when it last was not.
    down: Instant,
    /// The servers that it is known to be in, the last ones.
    guilds: Vec<u64>,
    /// The channels of which others heard something since then that it has not.
    missed: Vec<(u64, Instant)>,
}

/// An account's place at the board.
pub(super) struct Chair {
    board: Board,
    account: Rc<str>,
    settings: Rc<RefCell<Settings>>,
}

impl Board {
    /// A board with what an earlier life remembered in `state`.
    pub(crate) fn open(state: &Path) -> Board {
        let kept = Cell::new(state, STAND_INS, STAND_INS_BYTES_MAX);
        let mut router = Router::default();
        if let Ok(Content::Whole(bytes)) = kept.read() {
            let lines = String::from_utf8(bytes).unwrap_or_default();
            for stand_in in lines.lines().filter_map(parse) {
                router.restore(stand_in);
            }
        }
        Board(Rc::new(Inner {
            rules: RefCell::default(),
            order: RefCell::default(),
            members: RefCell::default(),
            router: RefCell::new(router),
            loops: RefCell::default(),
            overheard: RefCell::default(),
            kept,
        }))
    }

    /// Lets `rules` hold from the next message on, for these accounts.
    pub(crate) fn apply<'a>(&self, rules: Rules, accounts: impl IntoIterator<Item = &'a str>) {
        let order: Vec<Rc<str>> = accounts.into_iter().map(Into::into).collect();
        self.0.members.borrow_mut().retain(|member| order.contains(&member.account));
        self.0.rules.replace(Rc::new(rules));
        self.0.order.replace(order);
    }

    /// Forgets what was overheard of `person`; how many messages that were.
    pub(crate) fn forget(&self, person: Person) -> usize {
        self.0.overheard.borrow_mut().forget(person)
    }

    /// An account starts.
    pub(super) fn join(
        &self,
        account: impl Into<Rc<str>>,
        settings: &Rc<RefCell<Settings>>,
    ) -> Chair {
        let account: Rc<str> = account.into();
        let mut order = self.0.order.borrow_mut();
        if !order.contains(&account) {
            order.push(account.clone());
        }
        let mut members = self.0.members.borrow_mut();
        members.retain(|member| member.account != account);
        let (settings, down) = (settings.clone(), clock::now());
        let (own, at_board) = (account.clone(), settings.clone());
        let (guilds, missed) = (Vec::new(), Vec::new());
        let (account_of, settings_of) = (own, at_board);
        members.push(Member {
            account: account_of,
            me: 0,
            settings: settings_of,
            up: None,
            down,
            guilds,
            missed,
        });
        Chair { board: self.clone(), account, settings }
    }
}

impl Chair {
    /// The account's name.
    pub(super) fn account(&self) -> &str {
        &self.account
    }

    /// Whether the account is connected, and who it is.
    pub(super) fn present(&self, is_up: bool, me: u64) {
        let mut members = self.board.0.members.borrow_mut();
        let Some(member) = members.iter_mut().find(|member| member.account == self.account) else {
            return;
        };
        if me != 0 {
            member.me = me;
        }
        if is_up != member.up.is_some() {
            let now = clock::now();
            member.up = is_up.then_some(now);
            member.down = now;
        }
    }

    /// Whether another account of ours is the user `author`, which we are not to answer.
    pub(super) fn is_other_own(&self, author: u64) -> bool {
        !self.board.0.rules.borrow().self_talk && self.is_another(author)
    }

    fn is_another(&self, author: u64) -> bool {
        let members = self.board.0.members.borrow();
        members.iter().any(|member| member.me == author && member.account != self.account)
    }

    /// Whether several would answer if nobody decided.
    pub(super) fn is_shared(&self) -> bool {
        !self.board.0.rules.borrow().seats.is_empty() || self.board.0.order.borrow().len() > 1
    }

    /// What any account needs to know of a message said in `chat` of `guild`; and whether a chat or
    /// the one around it is named, and roles are, for other reasons.
    pub(super) fn needs(&self, guild: u64, chat: u64) -> (Needs, (bool, bool)) {
        let inner = &*self.board.0;
        let of = |settings: &Settings| {
            (access::needs(&settings.access, guild, chat), settings.routes.needs())
        };
        let mut all = of(&self.settings.borrow());
        if !self.is_shared() {
            return all;
        }
        for member in inner.members.borrow().iter() {
            let (needs, (by_chat, by_role)) = of(&member.settings.borrow());
            all.0.parent |= needs.parent;
            all.0.name |= needs.name;
            all.0.roles |= needs.roles;
            all.1 = (all.1.0 || by_chat, all.1.1 || by_role);
        }
        let (by_name, by_place) = inner.rules.borrow().needs();
        all.0.name |= by_name;
        all.1.0 |= by_place;
        all
    }

    /// We heard something in `place` of `guild`. True if we were not known to be in that server.
    fn heard_in(&self, guild: u64, place: u64) -> bool {
        let mut members = self.board.0.members.borrow_mut();
        let Some(own) = members.iter_mut().find(|member| member.account == self.account) else {
            return false;
        };
        own.missed.retain(|(missed, _)| *missed != place);
        if own.guilds.contains(&guild) {
            return false;
        }
        if own.guilds.len() >= limits::ROUTER_GUILDS_MAX {
            own.guilds.remove(0);
        }
        own.guilds.push(guild);
        true
    }

    /// The others have not heard that yet: a moment later they have, unless they never do, as they
    /// may not see that channel.
    fn missed_in(&self, place: u64) {
        let (now, mut members) = (clock::now(), self.board.0.members.borrow_mut());
        let others = members.iter_mut().filter(|member| member.account != self.account);
        for other in others.filter(|member| member.up.is_some()) {
            let is_known = other.missed.iter().any(|(missed, _)| *missed == place);
            if !is_known && other.missed.len() < limits::ROUTER_MISSED_MAX {
                other.missed.push((place, now));
            }
        }
    }

    /// Who answers `inbound`, which we heard.
    pub(super) fn rule(&self, inbound: &Inbound<'_>, chat_name: Option<&str>) -> Verdict {
        let inner = &*self.board.0;
        // Of what was kept from one account another may have the text.
        let is_nothing = inbound.text.trim().is_empty() && inbound.called.is_none();
        let is_free = inbound.guild.is_none() || inbound.from_self || is_nothing;
        if is_free || !self.is_shared() || self.is_other_own(inbound.author) {
            return Verdict::Free;
        }
        let place = access::ruled_by(inbound.chat.id, inbound.parent);
        let is_new_here = self.heard_in(inbound.guild.unwrap_or_default(), place);
        let known = inner.router.borrow().ruled(inbound.id);
        // That nobody answers was decided without us, if we were not known to be here.
        if let Some(known) = known.filter(|known| !is_new_here || is_answer(known)) {
            return known;
        }
        self.missed_in(place);
        let (rules, members) = (inner.rules.borrow().clone(), inner.members.borrow());
        let order = inner.order.borrow();
        let own = members.iter().find(|member| member.account == self.account);
        let up = own.and_then(|member| member.up);
        let now = clock::now();
        let settings: Vec<_> = members.iter().map(|member| member.settings.borrow()).collect();
        let all = members.iter().zip(&settings);
        let find = |account: &str| all.clone().find(|(member, _)| *member.account == *account);
        let as_heard = |member: &Member| Inbound {
            mentions_us: router::mentions(member.me, inbound)
                || (member.account == self.account && inbound.mentions_us),
            from_self: member.me == inbound.author,
            ..*inbound
        };
        let hearers: Vec<Hearer<'_>> = order
            .iter()
            .filter_map(|account| {
                let (member, settings) = find(account)?;
                let since = up.map_or(member.down, |up| member.down.max(up));
                // However little patience there is: two accounts never hear at the same instant.
                let patience = rules.stand_in.max(limits::ROUTER_HEARS_WITHIN);
                let hears = |&(_, at): &(u64, Instant)| now.since(at) < patience;
                let missed = member.missed.iter().find(|(missed, _)| *missed == place);
                let is_up = member.up.is_some() && missed.is_none_or(hears);
                let is_away = member.up.is_none() && now.since(since) >= rules.stand_in;
                let is_own = member.account == self.account;
                let is_here = is_own || is_up || (member.up.is_none() && !is_away);
                let is_member =
                    is_own || inbound.guild.is_some_and(|id| member.guilds.contains(&id));
                let (agent, rank) = settings.routes.bound(account, &as_heard(member));
                Some(Hearer { account, me: member.me, is_here, is_member, bound: (agent, rank) })
            })
            .collect();
        let mut may = |account: &str, is_assigned: bool| {
            find(account).is_none_or(|(member, settings)| {
                let known = Known { chat_name, is_assigned, ..Known::default() };
                access::judge(&settings.access, &as_heard(member), known).is_ok()
            })
        };
        let facts = Facts { inbound, chat_name };
        let verdict = inner.router.borrow_mut().rule(&rules, &hearers, &facts, &mut may);
        if let Verdict::Answers(choice) = &verdict
            && choice.stands_in
        {
            self.keep_stand_ins();
        }
        verdict
    }

    /// The agent that answers direct messages here, where no binding says so.
    pub(super) fn direct(&self) -> Option<Box<str>> {
        self.board.0.rules.borrow().direct(&self.account).map(Into::into)
    }

    fn keep_stand_ins(&self) {
        let router = self.board.0.router.borrow();
        let lines: Vec<String> = router.stand_ins().map(line).collect();
        // It is written where another account is away, which is seldom.
        if let Err(error) = self.board.0.kept.write(lines.join("\n").as_bytes(), Durability::Disk) {
            log::warn!(
                target: "discord",
                "what was answered in the place of another account will be forgotten at the next \
                 start: {error}"
            );
        }
    }

    /// Takes in that something was said in a server, whoever answers it.
    pub(super) fn watch(&self, inbound: &Inbound<'_>) {
        if let Some(heard) = heard(inbound) {
            self.board.0.loops.borrow_mut().heard(&heard);
        }
    }

    /// Whether `inbound`, if a program said it, may be answered by us as `me` without going round
    /// in circles.
    pub(super) fn ask(&self, inbound: &Inbound<'_>, me: u64) -> Result<(), Stop> {
        let Some(heard) = heard(inbound).filter(|heard| heard.is_bot) else { return Ok(()) };
        let policy = self.settings.borrow().loops;
        self.board.0.loops.borrow_mut().ask(&policy, &heard, me)
    }

    /// Something of ours was said: which agent said it, is found out and remembered.
    pub(super) fn spoke(&self, inbound: &Inbound<'_>, nonce: Option<Nonce>) -> Option<Rc<str>> {
        let inner = &*self.board.0;
        if !self.is_shared() {
            return None;
        }
        let mut router = inner.router.borrow_mut();
        let answered = |id: u64| match router.ruled(id) {
            Some(Verdict::Answers(choice)) if choice.account == self.account => Some(choice.agent),
            _ => None,
        };
        let by_nonce = || {
            let nonce = nonce?;
            let is_part = |id: u64| {
                let item = ItemId { chat: inbound.chat, origin: Origin::Reply(id) };
                (0..PARTS_MAX).any(|part| Nonce::of(item, part) == nonce)
            };
            router.asked(&self.account).take(ASKED_MAX).find(|&(id, _)| is_part(id))
        };
        let agent = inbound.reply_to.and_then(answered);
        let agent = agent.or_else(|| by_nonce().map(|(_, agent)| agent.clone()));
        let agent = agent.or_else(|| inner.rules.borrow().only(&self.account));
        if let Some(agent) = &agent {
            router.spoke(inbound.id, &self.account, agent);
        }
        agent
    }

    /// How many messages an agent is told of that it only heard.
    fn overhears(&self) -> usize {
        let usual = if self.is_shared() { limits::OVERHEARD_MESSAGES } else { 0 };
        self.settings.borrow().overhears.unwrap_or(usual)
    }

    /// Takes in what was said in a server; `of` is the agent that it is for, or that said it.
    pub(super) fn overhear(&self, inbound: &Inbound<'_>, of: Option<&Rc<str>>) {
        if inbound.guild.is_some() && self.overhears() > 0 {
            self.board.0.overheard.borrow_mut().hear(inbound, of);
        }
    }

    /// What `agent` only heard in `chat` before message `id`.
    pub(super) fn before(&self, chat: ChatId, agent: &str, id: u64) -> Vec<Words> {
        self.board.0.overheard.borrow().before(chat, agent, id, self.overhears())
    }
}

impl Drop for Chair {
    fn drop(&mut self) {
        let mut members = self.board.0.members.borrow_mut();
        let is_own = |member: &&mut Member| Rc::ptr_eq(&member.settings, &self.settings);
        if let Some(member) = members.iter_mut().find(is_own) {
            (member.up, member.down) = (None, clock::now());
        }
    }
}

fn is_answer(ruling: &Verdict) -> bool {
    matches!(ruling, Verdict::Answers(_))
}

/// What the guard against loops wants to know; nothing of direct messages, where no bot writes.
fn heard(inbound: &Inbound<'_>) -> Option<Heard> {
    let Inbound { chat, parent, id, author, from_bot, from_self, reply_author, .. } = *inbound;
    inbound.guild.is_some().then(|| Heard {
        place: access::ruled_by(chat.id, parent),
        id,
        said: chat.channel.said_at(id),
        author,
        is_bot: from_bot || from_self,
        answers: reply_author,
    })
}

fn line(stand_in: &StandIn) -> String {
    format!("{}\t{}\t{}", stand_in.id, stand_in.account, stand_in.agent)
}

fn parse(line: &str) -> Option<StandIn> {
    let mut parts = line.split('\t');
    let id = parts.next()?.parse().ok()?;
    Some(StandIn { id, account: parts.next()?.into(), agent: parts.next()?.into() })
}
