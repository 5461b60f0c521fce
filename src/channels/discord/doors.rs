//! The doors that a message passes before it is answered, in the order in which they stand.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use smol::channel::{Receiver, Sender, bounded};

use super::board::Chair;
use super::catchup::Found;
use super::commands::{Asked, Slash};
use super::lobby::{Around, Ask, Held, Letter, Lobby, Slip};
use super::pairing::Desk;
use super::settings::Settings;
use crate::base::text::Plain;
use crate::base::{Secret, limits};
use crate::core::access::{self, About, Known, Refusal};
use crate::core::backlog::Backlog;
use crate::core::chat::{Attachment, ChannelKind, ChatId, Inbound, Request};
use crate::core::command::Command;
use crate::core::dedup::{Answered, Seen, Spoken};
use crate::core::inflight::Inflight;
use crate::core::intent::{Memory, Verdict};
use crate::core::loops::Stop;
use crate::core::outbox::Nonce;
use crate::core::pairing::Told;
use crate::core::router::{Because, Verdict as Ruling};
use crate::core::trace::{Knock, Line, Step, Trace};
use crate::proto::discord::model::{File, Interaction, Message};
use crate::rt::clock;

/// Message types that a person writes ("Message Types"): a plain one and a reply.
const WRITTEN: [u32; 2] = [0, 19];

/// What the account remembers of messages; shared with the side that answers.
pub(super) struct Ledger {
    pub(super) seen: Seen,
    pub(super) answered: Answered,
    pub(super) inflight: Inflight,
    pub(super) trace: Trace,
    /// Told, without a word, when something was taken into the trace.
    changed: Sender<()>,
    /// What must not reach the agents yet.
    pub(super) backlog: Backlog,
    /// The message from which on is to be caught up.
    pub(super) gap: Option<u64>,
    /// What we are called, once the service has told it.
    pub(super) name: Option<Box<str>>,
}

/// Who may come in.
pub(super) struct Doors {
    pub(super) settings: Rc<RefCell<Settings>>,
    pub(super) me: u64,
    pub(super) ledger: Rc<RefCell<Ledger>>,
    pub(super) requests: Sender<Request>,
    /// Where orders go.
    pub(super) orders: Sender<Asked>,
    pub(super) desk: Rc<Desk>,
    pub(super) spoken: RefCell<Spoken>,
    /// What the accounts of this process share.
    pub(super) board: Chair,
    /// What was said lately, where it is asked whether messages are meant for us.
    pub(super) memory: Rc<RefCell<Option<Memory>>>,
    /// Told, without a word, when that has changed.
    pub(super) stirred: Sender<()>,
    /// Who waits until more is known of them.
    pub(super) lobby: RefCell<Lobby>,
    /// Told, without a word, when a message is dealt with.
    pub(super) room: Sender<()>,
}

impl Doors {
    /// Judges `message`, which came at `seq`, and hands it on if it is to be answered.
    pub(super) fn knock(&self, message: &Message<'_>, seq: u64, missing: Option<u64>) {
        let attachments: Vec<Attachment> = message.files.iter().map(attachment).collect();
        let text = without_mention(message.text, self.me);
        let inbound = Inbound {
            chat: ChatId { channel: ChannelKind::Discord, id: message.channel },
            id: message.id,
            seq,
            guild: message.guild,
            parent: message.parent,
            author: message.author,
            author_name: message.author_name,
            roles: message.roles,
            from_bot: message.from_bot,
            from_self: message.author == self.me,
            mentions_us: message.mentions_us,
            mentions: message.mentions,
            called: (text.len() < message.text.trim_start().len()).then_some(self.me),
            text,
            reply_to: message.reply_to,
            reply_author: message.reply_author,
            late: false,
            text_cut: message.text_cut,
            has_more: message.has_more,
            attachments: &attachments,
        };
        if inbound.from_self {
            let agent = self.board.spoke(&inbound, message.nonce.and_then(Nonce::parse));
            self.board.overhear(&inbound, agent.as_ref());
        }
        if is_written(message) || inbound.from_self {
            let name = message.channel_name;
            self.hear(&inbound, Around { parent: message.parent, name, missing });
        } else {
            let name = message.channel_name;
            self.ledger.borrow_mut().came(&inbound, name, Step::Unwritten, None);
        }
    }

    /// The same for a message that was fetched.
    pub(super) fn knock_late(&self, found: &Found, around: Around<'_>) {
        {
            let mut ledger = self.ledger.borrow_mut();
            if ledger.seen.has(found.id()) {
                // We asked for it once more ourselves: it counts, and must not push the stories of
                // other messages out of the trail.
                ledger.trace.dropped(ChannelKind::Discord, Step::Duplicate);
                return;
            }
        }
        if WRITTEN.contains(&found.kind()) {
            let mut inbound = found.inbound(self.me, |text| without_mention(text, self.me));
            inbound.parent = around.parent.or(inbound.parent);
            self.hear(&inbound, around);
        }
    }

    /// That was all that was said in `chat` while we were away. False if some of it waits: then
    /// this is heard of behind it.
    pub(super) fn caught_up(&self, chat: ChatId) -> bool {
        let mut lobby = self.lobby.borrow_mut();
        let is_waiting = lobby.is_waiting(chat);
        if is_waiting {
            lobby.push(chat, Held::Caught);
        }
        !is_waiting
    }

    /// The same for a message that is known to be written by somebody.
    fn hear(&self, inbound: &Inbound<'_>, around: Around<'_>) {
        let asks = self.asks(inbound, around.missing);
        let must_wait = {
            let lobby = self.lobby.borrow();
            let must_ask = asks.iter().any(|&ask| !lobby.is_unknown(ask));
            (must_ask || lobby.is_waiting(inbound.chat)) && !lobby.is_full(inbound.chat)
        };
        if !must_wait {
            return self.judge(inbound, around.name, &asks, false);
        }
        if let Err(step) = self.admit(inbound) {
            return self.ledger.borrow_mut().came(inbound, around.name, step, None);
        }
        let letter = Box::new(Letter::of(inbound, None));
        self.lobby.borrow_mut().push(inbound.chat, Held::Letter(letter));
    }

    /// What would have to be asked for before `inbound` can be judged, where `missing` is the
    /// channel that nothing is known of.
    fn asks(&self, inbound: &Inbound<'_>, missing: Option<u64>) -> Vec<Ask> {
        let Inbound { chat, guild, author, .. } = *inbound;
        let settings = self.settings.borrow();
        let is_refused = inbound.from_bot && !settings.access.hears_bots();
        let Some(guild) = guild.filter(|_| !inbound.from_self && !is_refused) else {
            return Vec::new();
        };
        let (of_role, of_parent) = settings.permits_need;
        drop(settings);
        let (needs, (by_chat, by_role)) = self.board.needs(guild, chat.id);
        let (by_chat, by_role) = (by_chat || of_parent, by_role || of_role);
        let is_wanted = |channel: &u64| {
            // Of a thread everything is wanted, of the channel around it only the name.
            let is_own = *channel == chat.id;
            needs.name || (is_own && (needs.parent || by_chat))
        };
        let channel = missing.filter(is_wanted).map(Ask::Channel);
        let is_nameless = inbound.late && (needs.roles || by_role);
        let is_unknown = is_nameless && self.lobby.borrow().roles(guild, author).is_none();
        let member = is_unknown.then_some(Ask::Member { guild, user: author });
        channel.into_iter().chain(member).collect()
    }

    /// Goes on with `letter`, which waited. Given back with what must be asked for still.
    pub(super) fn open(
        &self,
        letter: Box<Letter>,
        around: Around<'_>,
    ) -> Option<(Box<Letter>, Ask)> {
        let inbound = letter.inbound(around.parent);
        let asks = self.asks(&inbound, around.missing);
        let next = asks.iter().copied().find(|&ask| !self.lobby.borrow().is_unknown(ask));
        if let Some(ask) = next.filter(|_| clock::now() < letter.by) {
            return Some((letter, ask));
        }
        match &letter.slip {
            None => self.judge(&inbound, around.name, &asks, true),
            Some(slip) => self.order_judged(&inbound, slip.clone(), around.name, &asks),
        }
        None
    }

    /// Judges `inbound`, of which the answers to `asks` are not known; the channel (of a thread,
    /// the one around it) is called `chat_name`, if that is known. It `waited` if it was let into
    /// the lobby before.
    fn judge(&self, inbound: &Inbound<'_>, chat_name: Option<&str>, asks: &[Ask], waited: bool) {
        let roles = match inbound.guild.filter(|_| inbound.late) {
            Some(guild) => self.lobby.borrow().roles(guild, inbound.author),
            None => None,
        };
        let inbound = &Inbound { roles: roles.as_deref().unwrap_or(inbound.roles), ..*inbound };
        self.board.watch(inbound);
        let settings = self.settings.borrow();
        let routed = self.route(inbound, chat_name, &settings);
        let is_approved = inbound.guild.is_none() && self.desk.is_paired(inbound.author);
        let known = Known {
            chat_name,
            is_approved,
            is_assigned: routed.is_assigned,
            is_other_own: self.board.is_other_own(inbound.author),
        };
        let (step, meant) = self.decide(inbound, known, &settings, (&routed, waited));
        self.ledger.borrow_mut().came(inbound, chat_name, step, Some(&routed.agent));
        if let Some(because) = routed.because.filter(|_| step == Step::Admitted) {
            self.ledger.borrow_mut().note(inbound.chat, inbound.id, because);
        }
        self.keep_in_mind(inbound, step, &routed);
        if let Some(verdict) = meant {
            self.ledger.borrow_mut().note(inbound.chat, inbound.id, Step::Meant(verdict));
        }
        self.note_unknown(inbound, asks);
        if waited && step != Step::Admitted {
            self.ledger.borrow_mut().inflight.done(inbound.id);
            // One word that waits says it all.
            let _ = self.room.try_send(());
        }
        if step == Step::Refused(Refusal::NotPaired) {
            let told = self.desk.knock(inbound.author, inbound.author_name, inbound.chat);
            let step = match told {
                Told::Code { .. } => Step::CodeSent,
                Told::Full => Step::CodesFull,
                Told::Nothing => return,
            };
            self.ledger.borrow_mut().note(inbound.chat, inbound.id, step);
        }
    }

    /// Who answers `inbound`, if anybody does.
    fn route(&self, inbound: &Inbound<'_>, chat_name: Option<&str>, settings: &Settings) -> Routed {
        let ruling = self.board.rule(inbound, chat_name);
        if let Ruling::Answers(choice) = ruling {
            let is_ours = *choice.account == *self.board.account();
            let why = if choice.stands_in { Step::StandsIn } else { Step::Routed };
            return Routed {
                agent: choice.agent,
                because: is_ours.then(|| why(choice.because)),
                is_assigned: is_ours && choice.is_assigned,
                is_called: matches!(choice.because, Because::Named | Because::Triggered),
                refusal: (!is_ours).then_some(Step::Elsewhere),
            };
        }
        let refusal = match ruling {
            Ruling::NotTriggered => Some(Step::NotTriggered),
            // Whose own rules allow an answer has no seat there.
            Ruling::Unassigned | Ruling::Barred => Some(Step::Unassigned),
            Ruling::Free | Ruling::Answers(_) => None,
        };
        let agent = match settings.routes.bound(self.board.account(), inbound) {
            (agent, 0) if inbound.guild.is_none() => self.board.direct().unwrap_or(agent.into()),
            (agent, _) => agent.into(),
        };
        Routed {
            agent: Rc::from(agent),
            because: None,
            is_assigned: false,
            is_called: false,
            refusal,
        }
    }

    /// Keeps what others were told for the agent that is asked next.
    fn keep_in_mind(&self, inbound: &Inbound<'_>, step: Step, routed: &Routed) {
        let is_heard = match step {
            Step::Admitted
            | Step::Elsewhere
            | Step::NotTriggered
            | Step::NotMeant(_)
            | Step::Looping(_)
            | Step::Refused(Refusal::NotMentioned(_) | Refusal::OtherOwn) => true,
            // What is not answered anywhere is none of the agents' concern.
            _ => false,
        };
        if is_heard && !inbound.from_self {
            let of = matches!(step, Step::Admitted | Step::Elsewhere).then_some(&routed.agent);
            self.board.overhear(inbound, of);
        }
    }

    /// Writes down what could not be found out.
    fn note_unknown(&self, inbound: &Inbound<'_>, asks: &[Ask]) {
        for ask in asks {
            let step = match ask {
                Ask::Channel(_) => Step::Unplaced,
                Ask::Member { .. } => Step::Unranked,
            };
            self.ledger.borrow_mut().note(inbound.chat, inbound.id, step);
        }
    }

    /// A slash command, which came at `seq`: who may write to us may use it.
    pub(super) fn order(&self, used: &Interaction<'_>, seq: u64, missing: Option<u64>) {
        // A replay brings it again, long after it was answered.
        if !self.ledger.borrow_mut().seen.is_new(used.id) {
            return;
        }
        let chat = ChatId { channel: ChannelKind::Discord, id: used.channel };
        let inbound = Inbound {
            chat,
            id: used.id,
            seq,
            guild: used.guild,
            parent: used.parent,
            author: used.author,
            author_name: used.author_name,
            roles: used.roles,
            from_bot: false,
            from_self: false,
            mentions_us: true,
            mentions: &[],
            called: None,
            text: used.command,
            reply_to: None,
            reply_author: None,
            late: false,
            text_cut: false,
            has_more: false,
            attachments: &[],
        };
        let slip = Slip {
            application: used.application,
            token: Secret::new(used.token),
            command: used.command.into(),
            option: used.option.into(),
            by: clock::now() + limits::INTERACTION_DEADLINE,
        };
        let asks = self.asks(&inbound, missing);
        let mut lobby = self.lobby.borrow_mut();
        if asks.iter().any(|&ask| !lobby.is_unknown(ask)) && !lobby.is_full(chat) {
            let letter = Box::new(Letter::of(&inbound, Some(slip)));
            return lobby.push(chat, Held::Letter(letter));
        }
        drop(lobby);
        self.order_judged(&inbound, slip, used.channel_name, &asks);
    }

    /// The same once all is known of it that can be.
    fn order_judged(
        &self,
        inbound: &Inbound<'_>,
        slip: Slip,
        chat_name: Option<&str>,
        asks: &[Ask],
    ) {
        let is_approved = inbound.guild.is_none() && self.desk.is_paired(inbound.author);
        let known = Known { chat_name, is_approved, ..Known::default() };
        let allowed = access::judge(&self.settings.borrow().access, inbound, known);
        let (order, step) = match (allowed, Command::of(&slip.command, &slip.option)) {
            (Err(refusal), _) => (Err(self.no_orders(refusal, inbound)), Step::Refused(refusal)),
            (_, None) => (Err("I do not understand that.".to_owned()), Step::Ordered),
            (_, Some(command)) => (Ok(command), Step::Ordered),
        };
        let Slip { application, token, by, .. } = slip;
        // The session is that of whoever would answer it.
        let agent = self.route(inbound, chat_name, &self.settings.borrow()).agent;
        let request = Request::of(inbound, self.board.account(), &agent, clock::wall());
        let request = Box::new(request);
        let slash = Slash { interaction: inbound.id, application, token, request, order, by };
        let found_room = self.orders.try_send(Asked::Slash(slash)).is_ok();
        let step = if found_room { step } else { Step::Busy };
        self.ledger.borrow_mut().came(inbound, chat_name, step, None);
        self.note_unknown(inbound, asks);
    }

    /// What somebody is told whose orders we do not take.
    fn no_orders(&self, refusal: Refusal, inbound: &Inbound<'_>) -> String {
        let Inbound { author, author_name, chat, .. } = *inbound;
        let no = format!("I take no orders from you here: {refusal}.");
        if refusal != Refusal::NotPaired {
            return no;
        }
        match self.desk.invite(author, author_name, chat) {
            (_, Some(invitation)) => invitation,
            (_, None) => format!("{no} What to do about it I said a moment ago."),
        }
    }

    /// A session of `application` began.
    pub(super) fn ready(&self, application: u64) {
        // One that finds no room is made up for by the next.
        let _ = self.orders.try_send(Asked::Ready { application });
    }

    fn decide(
        &self,
        inbound: &Inbound<'_>,
        known: Known<'_>,
        settings: &Settings,
        (routed, waited): (&Routed, bool),
    ) -> (Step, Option<Verdict>) {
        if !waited && let Err(step) = self.is_new(inbound) {
            return (step, None);
        }
        let access = access::judge(&settings.access, inbound, known);
        let is_asked = access.is_ok() && routed.refusal.is_none() && !routed.is_called;
        let meant = is_asked.then(|| self.weigh(inbound, settings, known.chat_name)).flatten();
        let step = match (access, meant) {
            // Who else answers tells more than that we need not.
            (Err(Refusal::NotMentioned(_)), _) if let Some(step) = routed.refusal => step,
            (Err(refusal), _) => Step::Refused(refusal),
            (Ok(()), _) if let Some(step) = routed.refusal => step,
            (Ok(()), Some(Err(verdict))) => Step::NotMeant(verdict),
            (Ok(()), _) => self.take_in(inbound, settings, (&routed.agent, waited)),
        };
        // What was not judged is like what names us: reactions tell nothing of our judging.
        let mentions_us = inbound.mentions_us || meant.is_none();
        self.remember(&Inbound { mentions_us, ..*inbound }, settings, step);
        (step, meant.and_then(Result::ok).filter(|_| step == Step::Admitted))
    }

    /// Whether what is said in a server is meant for us; `None` where that is not asked.
    fn weigh(
        &self,
        inbound: &Inbound<'_>,
        settings: &Settings,
        chat_name: Option<&str>,
    ) -> Option<Result<Verdict, Verdict>> {
        let filter = settings.intent.as_ref().filter(|_| inbound.guild.is_some())?;
        let mut memory = self.memory.borrow_mut();
        let memory = memory.get_or_insert_default();
        if let Some(name) = &self.ledger.borrow().name {
            memory.call(name);
        }
        filter.judge(memory, inbound, chat_name)
    }

    /// Keeps in mind what is said in servers, by ourselves and by those whom nobody answers, too:
    /// it tells for whom the next is.
    fn remember(&self, inbound: &Inbound<'_>, settings: &Settings, step: Step) {
        let mut memory = self.memory.borrow_mut();
        match &settings.intent {
            // What people thought holds again when it is switched on again.
            None => memory.iter_mut().for_each(Memory::forget_talk),
            Some(_) if inbound.guild.is_none() => {}
            Some(_) => {
                let memory = memory.get_or_insert_default();
                memory.hear(inbound, step == Step::Admitted);
                if matches!(step, Step::NotMeant(_)) {
                    memory.passed(inbound.chat, inbound.id);
                }
                // One word that waits says it all.
                let _ = self.stirred.try_send(());
            }
        }
    }

    /// What is left to ask of a message that is to be answered, and if it passes, its way on.
    fn take_in(
        &self,
        inbound: &Inbound<'_>,
        settings: &Settings,
        (agent, waited): (&str, bool),
    ) -> Step {
        if let Err(stop) = self.board.ask(inbound, self.me) {
            if stop.is_first {
                self.say_stopped(inbound, stop);
            }
            return Step::Looping(stop.kind);
        }
        // Of what is not for us nothing is remembered, and so nothing need be compared.
        if self.spoken.borrow_mut().is_repeated(settings.dedup, inbound) {
            return Step::Repeated;
        }
        if !waited && let Err(step) = self.take_place(inbound) {
            return step;
        }
        let mut request = Request::of(inbound, self.board.account(), agent, clock::wall());
        if inbound.guild.is_some() {
            request.context = self.board.before(inbound.chat, agent, inbound.id);
        }
        if self.requests.try_send(request).is_err() {
            self.ledger.borrow_mut().inflight.done(inbound.id);
            return Step::Busy;
        }
        Step::Admitted
    }

    /// Says in the chat, once, that a bot is not answered there any more.
    fn say_stopped(&self, inbound: &Inbound<'_>, stop: Stop) {
        let name = Plain(inbound.author_name);
        let kind = stop.kind;
        let text = format!(
            "I stop answering {name} here until a person speaks, or for {}: {kind}.",
            rest(stop.until.since(inbound.chat.channel.said_at(inbound.id)))
        );
        log::warn!(
            target: "discord",
            "in chat {} bot {} is not answered until a person speaks: {kind} (botLoopProtection)",
            inbound.chat.id,
            inbound.author,
        );
        if !self.desk.tell(inbound.chat, &text, format!("loop {}", inbound.id)) {
            log::warn!(target: "discord", "that found no room to be said in the chat");
        }
    }

    /// Lets a message into the lobby, if it is new and there is room.
    fn admit(&self, inbound: &Inbound<'_>) -> Result<(), Step> {
        self.is_new(inbound)?;
        self.take_place(inbound)
    }

    fn is_new(&self, inbound: &Inbound<'_>) -> Result<(), Step> {
        let mut ledger = self.ledger.borrow_mut();
        if !ledger.seen.is_new(inbound.id) {
            return Err(Step::Duplicate);
        }
        if ledger.answered.already(inbound.chat, inbound.id) {
            return Err(Step::AlreadyAnswered);
        }
        Ok(())
    }

    /// From here on it is being dealt with.
    fn take_place(&self, inbound: &Inbound<'_>) -> Result<(), Step> {
        let mut ledger = self.ledger.borrow_mut();
        let taken = if inbound.late {
            ledger.inflight.admit_late(inbound.id)
        } else {
            ledger.inflight.admit(inbound.seq, inbound.id)
        };
        taken.map_err(|_| Step::Busy)
    }
}

/// Which agent answers a message, or why none of ours by this account does.
struct Routed {
    agent: Rc<str>,
    /// If several might have: why this one.
    because: Option<Step>,
    /// Whether it is assigned to the channel, and so need not be mentioned.
    is_assigned: bool,
    /// Whether it is called by its name or a word of its own.
    is_called: bool,
    refusal: Option<Step>,
}

/// A span as people say it.
fn rest(span: Duration) -> String {
    match span.as_secs().div_ceil(60) {
        0 | 1 => "a minute".to_owned(),
        minutes @ 2..120 => format!("{minutes} minutes"),
        minutes => format!("{} hours", minutes.div_ceil(60)),
    }
}

/// Whether somebody wrote it, rather than the service.
pub(super) fn is_written(message: &Message<'_>) -> bool {
    WRITTEN.contains(&message.kind)
}

/// A file out of the buffers of the gateway.
fn attachment(file: &File) -> Attachment {
    Attachment {
        name: file.name().into(),
        kind: file.kind().into(),
        bytes: file.bytes(),
        url: file.url().into(),
        seconds: file.seconds(),
        ..Attachment::default()
    }
}

/// What is said to us, without the mention of us that it begins with: `<@7> hello` is `hello`
/// ("Message Formatting"; `<@!7>` is how older clients write it).
fn without_mention(text: &str, me: u64) -> &str {
    let mention = text.trim_start().strip_prefix("<@").and_then(|rest| {
        let (id, rest) = rest.split_once('>')?;
        let id: u64 = id.strip_prefix('!').unwrap_or(id).parse().ok()?;
        (id == me).then_some(rest)
    });
    mention.map_or(text, str::trim_start)
}

impl Ledger {
    /// A ledger that goes on from what was answered before and from an older trail; and the end
    /// where its changes are heard of.
    pub(super) fn new(answered: Answered, trace: Trace) -> (Ledger, Receiver<()>) {
        let (changed, hears) = bounded(1);
        let (seen, inflight) = (Seen::default(), Inflight::default());
        let (backlog, gap, name) = (Backlog::default(), None, None);
        (Ledger { seen, answered, inflight, trace, changed, backlog, gap, name }, hears)
    }

    /// Whether message `id` of `chat` has not come before, in this life or, as far as it was
    /// answered, in an earlier one.
    pub(super) fn is_new(&self, chat: ChatId, id: u64) -> bool {
        !self.seen.has(id) && !self.answered.already(chat, id)
    }

    /// Writes down what was decided about a message that came, and says the first drop of each
    /// kind aloud.
    pub(super) fn came(
        &mut self,
        inbound: &Inbound<'_>,
        chat_name: Option<&str>,
        step: Step,
        agent: Option<&str>,
    ) {
        let Inbound { chat, id, author, .. } = *inbound;
        let knock = || Knock::of(inbound, clock::wall(), step).called(chat_name);
        let is_first = self.trace.knock(knock(), agent);
        self.told();
        if is_first {
            // Only now: in a flood of strangers' words this would be most of the work.
            let cure = cure(step, &knock().about(self.trace.path()));
            log::info!(
                target: "discord",
                "message {id} of user {author} in chat {} is not answered: {step}{cure} (said once \
                 for each reason; `barnacle why {id}` tells more)",
                chat.id,
            );
        } else {
            log::debug!(target: "discord", "message {id}: {}: {step}", step.door());
        }
    }

    /// Writes a later decision down, and says the first drop of each kind aloud.
    pub(super) fn note(&mut self, chat: ChatId, id: u64, step: Step) {
        let is_first = self.trace.record(Line { at: clock::wall(), chat, id, step });
        self.told();
        if !is_first {
            log::debug!(target: "discord", "message {id}: {}: {step}", step.door());
            return;
        }
        let what = match step {
            Step::Skipped(_) | Step::Media(_) => "was answered in part",
            _ => "is not answered",
        };
        log::info!(
            target: "discord",
            "message {id} in chat {} {what}: {step}{} (said once for each reason; `barnacle why \
             {id}` tells more)",
            chat.id,
            cure(step, &self.about(chat)),
        );
    }

    /// Writes down that something, of what is said of our own accord in `chat`, is not said.
    pub(super) fn unsaid(&mut self, chat: ChatId, step: Step) {
        let is_first = self.trace.dropped(chat.channel, step);
        self.told();
        let level = if is_first { log::Level::Info } else { log::Level::Debug };
        log::log!(
            target: "discord",
            level,
            "of a message to chat {} something was not sent: {step}{} (said once for each reason)",
            chat.id,
            cure(step, &self.about(chat)),
        );
    }

    /// What a cure is about where no message is at hand.
    fn about(&self, chat: ChatId) -> About<'_> {
        let (guild, channel, channel_name, author) = (None, chat.id, None, 0);
        About { path: self.trace.path(), guild, channel, channel_name, author }
    }

    fn told(&self) {
        // One word that waits says it all; and whoever has stopped listening keeps no trail.
        let _ = self.changed.try_send(());
    }
}

/// What would change it, behind a sentence that says it.
fn cure(step: Step, about: &About<'_>) -> String {
    step.cure(about).map(|cure| format!("; to change that: {cure}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::discord::board::Board;
    use crate::channels::discord::lobby::Found;
    use crate::channels::discord::replies::Posting;
    use crate::channels::discord::rest::{Calls, Waiting};
    use crate::core::access::{Access, ChannelRule, GuildRule, People, Place, Policy, Who};
    use crate::core::answer::Act;
    use crate::core::intent::{Bar, Filter, Heard};
    use crate::core::why::{Outcome, Query};
    use crate::proto::discord::model::{self, Change};
    use crate::proto::discord::rest::{Failure, Route};
    use crate::rt::store::tests::Scratch;
    use std::collections::BTreeSet;
    use std::path::Path;

    const ME: u64 = 1;

    struct Stage {
        doors: Doors,
        asked: Receiver<Request>,
        ordered: Receiver<Asked>,
        posted: Receiver<Posting>,
        waiting: Waiting,
    }

    fn stage(state: &Path, access: Access) -> Stage {
        let (post, posted) = bounded(8);
        let (calls, waiting) = Calls::new();
        let desk = Rc::new(Desk::open(state, "discord", "default").unwrap());
        desk.speak_by(post);
        let settings = Settings { access, ..Settings::default() };
        let settings = Rc::new(RefCell::new(settings));
        let (requests, asked) = bounded(8);
        let (orders, ordered) = bounded(8);
        let doors = Doors {
            board: Board::open(state).join("default", &settings),
            settings,
            me: ME,
            ledger: Rc::new(RefCell::new(Ledger::new(Answered::default(), Trace::default()).0)),
            requests,
            orders,
            desk,
            spoken: RefCell::default(),
            memory: Rc::default(),
            stirred: bounded(1).0,
            lobby: RefCell::new(Lobby::new(calls)),
            room: bounded(1).0,
        };
        Stage { doors, asked, ordered, posted, waiting }
    }

    /// Message `id`, said to us in a DM at that second.
    fn said(id: u64, author: u64, text: &str) -> Message<'_> {
        Message {
            id: (id * 1000) << 22,
            channel: author * 10,
            guild: None,
            author,
            author_name: "ann",
            roles: &[],
            parent: None,
            channel_name: None,
            from_bot: false,
            mentions_us: false,
            mentions: &[],
            reply_to: None,
            reply_author: None,
            kind: 0,
            text,
            text_cut: false,
            nonce: None,
            has_more: false,
            files: &[],
        }
    }

    impl Stage {
        /// What became of message `id`, in a word.
        fn step(&self, id: u64) -> String {
            let query = Query::Message { id: (id * 1000) << 22, chat: None };
            let stories = self.doors.ledger.borrow().trace.why(query);
            stories[0].steps.last().unwrap().step.clone()
        }
    }

    #[test]
    fn a_message_is_taken_in_once_by_number_and_by_words() {
        let dir = Scratch::new();
        let stage = stage(dir.path(), Access::default());
        stage.doors.knock(&said(100, 7, "hi"), 1, None);
        stage.doors.knock(&said(100, 7, "hi"), 2, None);
        stage.doors.knock(&said(103, 7, "hi"), 3, None);
        stage.doors.knock(&said(106, 7, "hi"), 4, None);
        assert_eq!(stage.asked.len(), 2);
        assert_eq!(stage.step(103), "repeated");
        assert_eq!(stage.step(106), "admitted");
    }

    #[test]
    fn a_notice_of_the_service_is_no_message_but_is_written_down() {
        let dir = Scratch::new();
        let stage = stage(dir.path(), Access::default());
        stage.doors.knock(&Message { kind: 6, ..said(100, 7, "") }, 1, None);
        stage.doors.knock(&Message { kind: 6, ..said(101, ME, "") }, 2, None);
        assert_eq!((stage.step(100), stage.step(101)), ("unwritten".into(), "own".into()));
        assert!(stage.asked.is_empty());
    }

    #[test]
    fn a_stranger_gets_a_code_and_is_answered_once_it_is_approved() {
        let dir = Scratch::new();
        let access = Access { dms: Policy::Pairing, ..Access::default() };
        let stage = stage(dir.path(), access.clone());
        let mut keys = BTreeSet::new();
        let mut heard = || {
            let Posting { chat, answer, key, .. } = stage.posted.try_recv().unwrap();
            assert!(chat == 70 && keys.insert(key), "each has a key of its own");
            let [Act::Say { text, .. }] = &answer.acts[..] else { panic!("{answer:?}") };
            text.to_string()
        };
        stage.doors.knock(&said(100, 7, "may I?"), 1, None);
        assert_eq!(stage.step(100), "code_sent");
        let body = heard();
        let code = body.split("approve discord ").nth(1).unwrap().split('`').next().unwrap();
        stage.doors.knock(&said(101, 7, "hello?"), 2, None);
        assert_eq!(stage.step(101), "not_paired", "not told again at once");
        let list = stage.doors.desk.list();
        assert_eq!(
            (&list["requests"][0]["code"], &list["requests"][0]["user"]["id"]),
            (&code.into(), &"7".into())
        );
        let paired = smol::block_on(stage.doors.desk.approve(&code.to_lowercase())).unwrap();
        assert_eq!(paired.author, 7);
        assert!(heard().contains("You are paired"));
        stage.doors.knock(&said(102, 7, "now?"), 3, None);
        assert_eq!(stage.asked.len(), 1);
        // Whatever comes, the list outlives us.
        let again = self::stage(dir.path(), access);
        again.doors.knock(&said(103, 7, "and now?"), 1, None);
        again.doors.knock(&said(104, 8, "and I?"), 2, None);
        assert_eq!(again.asked.len(), 1);
        assert!(smol::block_on(again.doors.desk.revoke(7)));
        again.doors.knock(&said(105, 7, "still?"), 3, None);
        assert_eq!(again.step(105), "code_sent");
    }

    #[test]
    fn in_a_server_nobody_is_asked_for_a_code_and_the_story_names_the_line() {
        let dir = Scratch::new();
        let access =
            Access { dms: Policy::Pairing, groups: Policy::Allowlist, ..Access::default() };
        let stage = stage(dir.path(), access);
        let message = Message { guild: Some(9), mentions_us: true, ..said(100, 7, "hi") };
        stage.doors.knock(&message, 1, None);
        let stories = {
            let query = Query::Last { count: 1, dropped: true };
            stage.doors.ledger.borrow().trace.why(query)
        };
        assert_eq!(stories[0].outcome, Outcome::Dropped);
        assert_eq!(stories[0].cure.as_deref(), Some("channels.discord.guilds.\"9\": {}"));
        assert_eq!(stage.doors.desk.list()["requests"].as_array().map(Vec::len), Some(0));
    }

    #[test]
    fn a_flood_of_strangers_writes_a_few_lines() {
        let dir = Scratch::new();
        let access = Access { dms: Policy::Pairing, ..Access::default() };
        let stage = stage(dir.path(), access);
        let size = || std::fs::metadata(dir.path().join("discord.paired")).unwrap().len();
        for author in 100..110 {
            stage.doors.knock(&said(author, author, "hi"), author, None);
        }
        let after_ten = size();
        for author in 110..1000 {
            stage.doors.knock(&said(author, author, "hi"), author, None);
        }
        assert_eq!(size(), after_ten);
        assert!(after_ten < 1024, "{after_ten}");
        assert_eq!(stage.doors.desk.list()["turnedAway"], 897);
    }

    #[test]
    fn a_strangers_command_is_told_the_code_and_written_down() {
        let dir = Scratch::new();
        let house = stage(dir.path(), Access { dms: Policy::Pairing, ..Access::default() });
        let used = |id: u64| Interaction {
            id: (id * 1000) << 22,
            token: "token",
            application: 3,
            command: "status",
            option: "",
            channel: 70,
            guild: None,
            parent: None,
            channel_name: None,
            author: 7,
            author_name: "ann",
            roles: &[],
        };
        let told = || match house.ordered.try_recv() {
            Ok(Asked::Slash(Slash { order: Err(told), .. })) => told,
            _ => panic!("not refused"),
        };
        house.doors.order(&used(1), 1, None);
        let code = house.doors.desk.list()["requests"][0]["code"].as_str().unwrap().to_owned();
        assert!(told().contains(&code));
        house.doors.order(&used(2), 2, None);
        assert!(told().contains("a moment ago"));
        assert!(house.posted.is_empty(), "the answer to the command says it");
        assert_eq!(house.step(1), "not_paired");
        smol::block_on(house.doors.desk.approve(&code)).unwrap();
        house.doors.order(&used(3), 3, None);
        assert!(matches!(house.ordered.try_recv(), Ok(Asked::Slash(Slash { order: Ok(_), .. }))));
        assert_eq!(house.step(3), "ordered");
    }

    /// Polls the lobby once it is waited for there.
    async fn found(doors: &Doors) -> (ChatId, Found) {
        std::future::poll_fn(|context| doors.lobby.borrow_mut().poll(context)).await
    }

    /// Opens what waits in `chat`, whose place is known to be `around`.
    fn open(doors: &Doors, chat: ChatId, around: Around<'_>) {
        loop {
            let held = doors.lobby.borrow_mut().take(chat);
            let Some(Held::Letter(letter)) = held else { return };
            if let Some((letter, ask)) = doors.open(letter, around) {
                return doors.lobby.borrow_mut().ask(chat, letter, ask);
            }
        }
    }

    #[test]
    fn a_channel_that_rules_name_is_asked_for_and_its_messages_wait_in_order() {
        let rule = ChannelRule {
            place: Place::Name("help".into()),
            enabled: true,
            require_mention: Some(false),
            bots: None,
            who: None,
        };
        let guild = GuildRule {
            place: Place::Any,
            require_mention: None,
            bots: None,
            who: None,
            channels: Some(vec![rule]),
        };
        for is_answered in [true, false] {
            let dir = Scratch::new();
            let access = Access { guilds: vec![guild.clone()], ..Access::default() };
            let Stage { doors, asked, waiting, .. } = stage(dir.path(), access);
            let chat = ChatId { channel: ChannelKind::Discord, id: 70 };
            let message = |id| Message { guild: Some(9), ..said(id, 7, "anybody?") };
            doors.knock(&message(100), 1, Some(70));
            doors.knock(&Message { text: "really?", ..message(101) }, 2, None);
            assert!(asked.is_empty() && doors.ledger.borrow().inflight.durable() == 0);
            let nowhere = Around { missing: Some(70), ..Around::default() };
            open(&doors, chat, nowhere);
            let answer = async {
                let (route, _, done) = waiting.take().await.unwrap();
                assert_eq!(route, Route::Channel { channel: 70 });
                let body = br#"{"type":0,"name":"help"}"#.to_vec();
                done.send(if is_answered { Ok(body) } else { Err(Failure::Lost) }).await.unwrap();
            };
            let ((), (chat, found)) = smol::block_on(smol::future::zip(answer, found(&doors)));
            match found {
                Found::Channel { id: 70, name, parent: None } if is_answered => {
                    open(&doors, chat, Around { name: Some(&name), ..Around::default() });
                }
                _ => {
                    assert!(!is_answered);
                    open(&doors, chat, nowhere);
                }
            }
            let ids: Vec<u64> = std::iter::from_fn(|| asked.try_recv().ok())
                .map(|request| (request.id >> 22) / 1000)
                .collect();
            assert_eq!(ids, if is_answered { vec![100, 101] } else { vec![] });
            assert_eq!(doors.ledger.borrow().inflight.is_empty(), !is_answered);
            let story = doors.ledger.borrow().trace.why(Query::Last { count: 1, dropped: false });
            let is_said = story[0].steps.iter().any(|step| step.step == "unplaced");
            assert_eq!(is_said, !is_answered, "what could not be found out is told");
        }
    }

    #[test]
    fn only_who_may_talk_to_us_there_may_judge_our_judging() {
        let dir = Scratch::new();
        let who = Who { users: People { everybody: false, ids: vec![7] }, roles: vec![3] };
        let guild = GuildRule {
            place: Place::Id(9),
            require_mention: Some(false),
            who: Some(who),
            bots: None,
            channels: None,
        };
        let access = Access { groups: Policy::Allowlist, guilds: vec![guild], ..Access::default() };
        let Stage { doors, asked, .. } = stage(dir.path(), access);
        let judge_all =
            Filter { bar: Some(Bar { threshold: 0, ..Bar::default() }), ..Filter::default() };
        doors.settings.borrow_mut().intent = Some(judge_all);
        let message = Message { guild: Some(9), ..said(100, 7, "anybody?") };
        doors.knock(&message, 1, None);
        assert_eq!(asked.len(), 1);
        let ours = Message { author: ME, reply_to: Some(message.id), ..said(101, 7, "me") };
        doors.knock(&Message { guild: Some(9), ..ours }, 2, None);
        let put = model::Reaction {
            change: Change::Added,
            message: ours.id,
            channel: message.channel,
            guild: Some(9),
            parent: None,
            channel_name: None,
            author: Some(8),
            roles: &[],
            from_bot: false,
            emoji: Some("👎"),
        };
        let counted = |heard: Heard| {
            let memory = doors.memory.borrow();
            let counts: Vec<_> = memory.as_ref().unwrap().opinions.counts().collect();
            counts.iter().find(|(known, _)| *known == heard).unwrap().1
        };
        doors.react(&put);
        doors.react(&model::Reaction { author: Some(7), from_bot: true, ..put });
        doors.react(&model::Reaction { author: Some(ME), roles: &[3], ..put });
        assert_eq!((counted(Heard::Stranger), counted(Heard::Counted)), (3, 0));
        doors.react(&model::Reaction { author: Some(7), ..put });
        doors.react(&model::Reaction { roles: &[3], ..put });
        doors.react(&model::Reaction { author: Some(7), emoji: Some("🦀"), ..put });
        assert_eq!((counted(Heard::Stranger), counted(Heard::Counted)), (3, 2));
        // Whoever takes theirs back need not be let in for that.
        doors.react(&model::Reaction { change: Change::Removed, ..put });
        let cleared = model::Reaction { change: Change::Cleared, author: None, ..put };
        doors.react(&model::Reaction { emoji: None, ..cleared });
        assert_eq!(counted(Heard::TakenBack), 2);
        // What is switched off is not heard, and not forgotten either.
        doors.react(&put);
        let before = counted(Heard::Stranger);
        doors.settings.borrow_mut().intent.as_mut().unwrap().learns = false;
        doors.react(&put);
        assert_eq!(counted(Heard::Stranger), before);
    }

    #[test]
    fn only_the_leading_mention_of_us_is_taken_off() {
        for (text, rest) in [
            ("<@7> hello", "hello"),
            (" <@!7>hello <@7>", "hello <@7>"),
            ("<@8> hello", "<@8> hello"),
            ("hello <@7>", "hello <@7>"),
            ("<@7", "<@7"),
            ("<@x> y", "<@x> y"),
            ("<@7>", ""),
            ("", ""),
        ] {
            assert_eq!(without_mention(text, 7), rest, "{text:?}");
        }
    }
}
