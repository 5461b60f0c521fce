//! The way from the doors to the agents and back: what was admitted is written down, what agents
//! say becomes messages, in order within each chat, each of them once.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use smol::channel::{Receiver, Sender};
use smol::stream::Stream as _;

use super::commands::Asked;
use super::doors::Ledger;
use super::journal::{self, Journal, Waits};
use super::rest::Calls;
use super::send::{self, Outcome};
use super::settings::Settings;
use crate::base::{Instant, limits};
use crate::core::answer::Answer;
use crate::core::chat::{ChannelKind, ChatId, Request};
use crate::core::command::Command;
use crate::core::dedup::Mark;
use crate::core::draft::{self, Drafts, Left};
use crate::core::journal::{Again, Entry, Inbox, Memory, summary};
use crate::core::outbox::{
    Added, Fate, ItemId, Nonce, Origin, Outbox, Output, ReplyTo, Sketch, Why,
};
use crate::core::trace::Step;
use crate::core::turn::{Fault, Told};
use crate::proto::discord::rest::Route;
use crate::rt::clock;

type Doing<T> = Pin<Box<dyn Future<Output = T>>>;

/// What is said when our process ended in the middle of every turn that a message had.
const APOLOGY: &str = "Sorry, I broke down while I was working on that, more than once, and gave \
    up. Please try again, perhaps in other words.";

/// What ends an answer that a person has stopped, …
const STOPPED: &str = "*(stopped)*";
/// … one that was broken off for the next message, or by the end of an earlier life, …
const BROKEN_OFF: &str = "*(interrupted)*";
/// … and one that an earlier life had begun, and that finds no room any more.
const NO_ROOM: &str = "*(interrupted: too many messages are waiting)*";
/// What is shown of an answer without words.
const NO_WORDS: &str = "\u{2026}";

/// What is said to an order that finds no room.
const TOO_MANY_ORDERS: &str = "Too many orders came at once. Please say that again in a moment.";

/// Something to be said of our own accord.
pub(crate) struct Posting {
    /// Where.
    pub(crate) chat: u64,
    /// What.
    pub(crate) answer: Answer,
    /// Whoever asks again with the same key asks for nothing new.
    pub(crate) key: Box<str>,
    /// Told what became of it: how it ended, and as which message. Dropped without a word if the
    /// same key was used before, and that is over.
    pub(crate) done: Sender<(Fate, u64)>,
}

/// What the replies are made with.
pub(super) struct Tools {
    pub(super) outbox: Rc<RefCell<Outbox>>,
    pub(super) ledger: Rc<RefCell<Ledger>>,
    pub(super) settings: Rc<RefCell<Settings>>,
    pub(super) calls: Calls,
    pub(super) journal: Journal,
    /// Where `status` reads how often what was written.
    pub(super) counts: Rc<Cell<journal::Counts>>,
    /// Our own user id, as far as it is known.
    pub(super) me: Rc<Cell<u64>>,
    /// What the doors admitted …
    pub(super) admitted: Receiver<Request>,
    /// … and where it goes.
    pub(super) requests: Sender<Request>,
    /// Where orders go.
    pub(super) orders: Sender<Asked>,
    pub(super) told: Receiver<Told>,
    /// Chats that have been caught up on.
    pub(super) released: Receiver<ChatId>,
    /// Our own messages, as the service told everybody.
    pub(super) confirmed: Receiver<(Nonce, u64)>,
    pub(super) posts: Receiver<Posting>,
    /// Told, without a word, when a message is dealt with.
    pub(super) room: Sender<()>,
}

/// The messages of one account on their way.
pub(super) struct Replies {
    outbox: Rc<RefCell<Outbox>>,
    ledger: Rc<RefCell<Ledger>>,
    settings: Rc<RefCell<Settings>>,
    calls: Calls,
    journal: Journal,
    counts: Rc<Cell<journal::Counts>>,
    me: Rc<Cell<u64>>,
    inbox: Inbox,
    admitted: Pin<Box<Receiver<Request>>>,
    /// `None` once there will be no more requests.
    requests: Option<Sender<Request>>,
    /// The same for orders.
    orders: Option<Sender<Asked>>,
    told: Pin<Box<Receiver<Told>>>,
    released: Pin<Box<Receiver<ChatId>>>,
    confirmed: Pin<Box<Receiver<(Nonce, u64)>>>,
    posts: Pin<Box<Receiver<Posting>>>,
    room: Sender<()>,
    /// Who waits for what was said of our own accord.
    askers: BTreeMap<ItemId, Vec<Sender<(Fate, u64)>>>,
    /// Units under way: one per chat.
    sending: Vec<(ChatId, send::Doing)>,
    /// Answers that are shown before they are complete.
    drafts: Drafts,
    /// What is done about these.
    drafting: Vec<(ItemId, Doing<Drafted>)>,
    /// When the outbox or the drafts want to be looked at, and the wait for it.
    due: Option<(Instant, Doing<()>)>,
    /// The chats with a turn under way, and what it answers …
    working: Vec<(ChatId, u64)>,
    /// … and when they are to be shown so again.
    typing: Option<Doing<()>>,
}

/// What came of showing an answer that is not complete.
enum Drafted {
    /// It has become this message, if it has.
    Posted(Option<u64>),
    /// The message shows it, or does not, and may be tried again.
    Edited(bool, bool),
}

/// What happened.
enum Event {
    Admitted(Box<Request>),
    /// The doors are closed.
    Closed,
    Told(Told),
    Ended(ChatId, Outcome),
    Drafted(ItemId, Drafted),
    Journal(journal::Event),
    Released(ChatId),
    Confirmed(Nonce, u64),
    Post(Posting),
    Typing,
    Due,
    /// The agents have gone.
    Over,
}

impl Replies {
    pub(super) fn new(tools: Tools) -> Replies {
        let Tools { outbox, ledger, settings, calls, journal, counts, me, .. } = tools;
        Replies {
            outbox,
            ledger,
            settings,
            calls,
            journal,
            counts,
            me,
            inbox: Inbox::default(),
            admitted: Box::pin(tools.admitted),
            requests: Some(tools.requests),
            orders: Some(tools.orders),
            told: Box::pin(tools.told),
            released: Box::pin(tools.released),
            confirmed: Box::pin(tools.confirmed),
            posts: Box::pin(tools.posts),
            room: tools.room,
            askers: BTreeMap::new(),
            sending: Vec::new(),
            drafts: Drafts::new(limits::DISCORD_MESSAGE_CHARS_MAX),
            drafting: Vec::new(),
            due: None,
            working: Vec::new(),
            typing: None,
        }
    }

    /// Takes up what an earlier life had left: what was to be said is said, and what was to be
    /// answered is asked again.
    pub(super) fn take_up(&mut self, mut memory: Memory) {
        let (now, wall) = (clock::now(), clock::wall());
        let items = memory.items();
        let (replies, messages) = (items.len(), memory.inbox.requests().len());
        if replies + messages > 0 {
            log::info!(
                target: "discord",
                "left from before: {messages} messages to answer and {replies} answers to send"
            );
        }
        {
            let mut ledger = self.ledger.borrow_mut();
            let open = memory.inbox.requests().into_iter().map(|request| request.id);
            let joined = memory.inbox.joined().map(|(_, id, _)| id);
            for id in items.iter().filter_map(|item| item.id.answers()).chain(open).chain(joined) {
                ledger.seen.is_new(id);
            }
        }
        let mut outbox = self.outbox.borrow_mut();
        memory.own.into_iter().for_each(|id| outbox.remember_own(id));
        for item in items {
            outbox.restore(now, wall, item);
        }
        drop(outbox);
        self.inbox = memory.inbox;
        let requests = self.inbox.requests();
        for (id, sketch) in memory.drafts {
            self.drafts.restore(now, wall, id, sketch);
            let goes_on = |request: &Request| id == reply(request.chat, request.id);
            if !requests.iter().any(goes_on) {
                // Nobody else completes it.
                self.finish(id, BROKEN_OFF);
            }
        }
        for request in requests {
            self.ask_again(request);
        }
    }

    fn ask_again(&mut self, mut request: Request) {
        let (chat, id, at) = (request.chat, request.id, request.at);
        let settings = self.settings.borrow();
        let age_max = settings.outbox.ttl.max(settings.catch_up.0);
        drop(settings);
        let age = clock::wall().since(at);
        if age > age_max || self.ledger.borrow_mut().inflight.admit_late(id).is_err() {
            if self.finish(reply(chat, id), BROKEN_OFF) {
                return;
            }
            self.inbox.close(chat, id);
            self.journal.append(&Entry::Refused(chat, id), None);
            for id in self.inbox.settle(chat, id).into_iter().chain([id]) {
                self.note(chat, id, Step::Settled(Fate::Dropped(Why::Expired)));
            }
            return;
        }
        request.late |= age > limits::LATE_FROM;
        self.ledger.borrow_mut().inflight.written(id);
        match Again::after(request.attempt) {
            Again::Turn => self.ask(request),
            Again::Apology => {
                self.note(chat, id, Step::BrokeDown);
                self.say(chat, id, Answer::text(APOLOGY), None);
            }
        }
    }

    /// Ends what is shown of an answer that will not come with `words`. False if nothing is.
    fn finish(&mut self, id: ItemId, words: &str) -> bool {
        let Some(Left { sketch, said }) = self.drafts.take(id) else { return false };
        self.add(id, Answer::text(after(&said, words)), false, Some(sketch));
        true
    }

    /// Sends until the agents are gone and all is told.
    pub(super) async fn run(mut self) {
        loop {
            loop {
                let Some(output) = self.outbox.borrow_mut().poll() else { break };
                self.act(output);
            }
            while let Some(output) = self.drafts.poll() {
                self.draft(output);
            }
            self.counts.set(self.journal.counts());
            match poll_fn(|context| self.poll_event(context)).await {
                Event::Admitted(request) => self.admit(*request),
                Event::Closed => (self.requests, self.orders) = (None, None),
                Event::Told(told) => self.heard(told),
                Event::Ended(chat, outcome) => self.ended(chat, outcome),
                Event::Drafted(id, drafted) => self.drafted(id, &drafted),
                Event::Journal(event) => self.written(&event),
                Event::Released(chat) => {
                    let next = self.ledger.borrow_mut().backlog.release(chat);
                    self.hand_on(next);
                }
                Event::Confirmed(nonce, message) => {
                    self.outbox.borrow_mut().confirmed(nonce, message);
                }
                Event::Post(posting) => self.post(posting),
                Event::Typing => self.type_again(),
                Event::Due => self.expire(),
                Event::Over => break,
            }
        }
        self.journal.close().await;
    }

    /// A message was admitted: the cursor may pass it as soon as it is written down.
    fn admit(&mut self, request: Request) {
        let entry = Entry::Admitted(Box::new(request.clone()));
        self.journal.append(&entry, Some(Waits::Message(request.id)));
        self.inbox.admit(request.clone());
        self.ask(request);
    }

    fn ask(&mut self, request: Request) {
        if let Some(command) = Command::said(&request.text) {
            return self.order(command, request);
        }
        let now = self.ledger.borrow_mut().backlog.ask(request);
        self.hand_on(now);
    }

    /// Has an order carried out at once, whatever waits in its chat: `/stop` is about just that.
    fn order(&mut self, command: Command, request: Request) {
        let Request { chat, id, .. } = request;
        // Once the doors are closed, it is taken up by the next start.
        let Some(orders) = &self.orders else { return };
        let request = Box::new(request);
        if orders.try_send(Asked::Said { command, request }).is_err() {
            self.note(chat, id, Step::Busy);
            self.say(chat, id, Answer::text(TOO_MANY_ORDERS), None);
        }
    }

    /// Gives a message to the agents, if one may go there now.
    fn hand_on(&mut self, request: Option<Request>) {
        // Once the doors are closed, what waits is taken up by the next start.
        let (Some(request), Some(requests)) = (request, &self.requests) else { return };
        if let Err(error) = requests.try_send(request) {
            let Request { chat, id, .. } = error.into_inner();
            self.refuse(chat, id);
        }
    }

    /// The agents will not answer: said aloud, and not answered later.
    fn refuse(&mut self, chat: ChatId, id: u64) {
        if self.finish(reply(chat, id), NO_ROOM) {
            self.note(chat, id, Step::Busy);
            return self.agent_is_done(chat);
        }
        self.inbox.close(chat, id);
        self.journal.append(&Entry::Refused(chat, id), None);
        for id in self.inbox.settle(chat, id).into_iter().chain([id]) {
            self.done(id);
            self.note(chat, id, Step::Busy);
        }
        self.agent_is_done(chat);
    }

    fn agent_is_done(&mut self, chat: ChatId) {
        let next = self.ledger.borrow_mut().backlog.finished(chat);
        self.hand_on(next);
    }

    fn heard(&mut self, told: Told) {
        match told {
            Told::Started { chat, id } => {
                self.note(chat, id, Step::Started);
                self.inbox.begun(chat, id);
                self.journal.append(&Entry::Begun(chat, id), None);
                self.working.push((chat, id));
                self.show_typing(chat);
                self.typing.get_or_insert_with(|| Box::pin(clock::sleep(limits::TYPING_AGAIN)));
            }
            Told::Noted { chat, id, note } => self.note(chat, id, Step::Media(note)),
            Told::Answered { chat, id, answer, .. } if self.is_order(chat, id) => {
                self.note(chat, id, Step::Ordered);
                self.say(chat, id, answer, None);
            }
            Told::Answered { chat, id, answer, fault } => {
                self.working.retain(|&other| other != (chat, id));
                let step = match fault {
                    None => Step::Answered,
                    Some(Fault::TooSlow) => Step::TooSlow,
                    Some(Fault::Stopped) => Step::Stopped,
                    Some(fault) => Step::AgentFailed(fault),
                };
                self.note(chat, id, step);
                self.say(chat, id, answer, fault);
                self.agent_is_done(chat);
            }
            Told::Renewed { chat, id, why } => self.note(chat, id, Step::Renewed(why)),
            Told::Joined { chat, id, into, how } => {
                self.note(chat, id, Step::Joined(how, into));
                self.working.retain(|&other| other != (chat, id));
                self.journal.append(&Entry::Joined { chat, id, into }, None);
                let was_own = self.inbox.join(chat, id, into);
                self.finish(reply(chat, id), BROKEN_OFF);
                if was_own {
                    self.agent_is_done(chat);
                }
            }
            Told::Says { chat, id, text } => {
                if self.settings.borrow().streaming {
                    self.drafts.said(clock::now(), reply(chat, id), text);
                }
            }
            Told::Refused { chat, id } => self.refuse(chat, id),
        }
    }

    /// Whether no agent was asked about message `id`.
    fn is_order(&self, chat: ChatId, id: u64) -> bool {
        self.inbox.get(chat, id).is_some_and(|request| Command::said(&request.text).is_some())
    }

    /// Takes `answer` to message `id` into the outbox, and completes by it what is shown already.
    fn say(&mut self, chat: ChatId, id: u64, answer: Answer, fault: Option<Fault>) {
        let has_threads = self.inbox.get(chat, id).is_some_and(|request| request.guild.is_some());
        let id = reply(chat, id);
        let (answer, sketch) = match self.drafts.take(id) {
            Some(Left { sketch, said }) => (completed(answer, fault, &said), Some(sketch)),
            None => (answer, None),
        };
        self.add(id, answer, has_threads, sketch);
    }

    fn post(&mut self, posting: Posting) {
        let Posting { chat, answer, key, done } = posting;
        let chat = ChatId { channel: ChannelKind::Discord, id: chat };
        let id = ItemId { chat, origin: Origin::own(&key) };
        self.askers.entry(id).or_default().push(done);
        let is_over = self.add(id, answer, false, None) == Added::Known
            && !self.outbox.borrow().items().any(|item| item.id == id);
        if is_over {
            self.askers.remove(&id);
        }
    }

    fn add(
        &mut self,
        id: ItemId,
        answer: Answer,
        has_threads: bool,
        sketch: Option<Sketch>,
    ) -> Added {
        let settings = self.settings.borrow();
        let mut outbox = self.outbox.borrow_mut();
        outbox.apply(settings.chunk_chars, settings.outbox, settings.reply_to);
        outbox.complete(clock::now(), clock::wall(), id, answer, has_threads, sketch)
    }

    fn expire(&mut self) {
        let now = clock::now();
        self.outbox.borrow_mut().expire(now);
        self.drafts.apply(self.settings.borrow().chunk_chars);
        let outbox = self.outbox.borrow();
        self.drafts.expire(now, clock::wall(), |chat| !outbox.has_work(chat));
    }

    /// Shows more of an answer that is not complete.
    fn draft(&mut self, output: draft::Output) {
        let calls = self.calls.clone();
        let (id, doing): (ItemId, Doing<Drafted>) = match output {
            draft::Output::Keep(id, sketch) => {
                self.journal.append(&Entry::Draft { id, sketch }, Some(Waits::Draft(id)));
                return;
            }
            draft::Output::Found(id, sketch) => {
                self.journal.append(&Entry::Draft { id, sketch }, None);
                return;
            }
            draft::Output::Post(id, text) => {
                let points = self.settings.borrow().reply_to != ReplyTo::Off;
                let reply_to = id.answers().filter(|_| points);
                let nonce = Nonce::of(id, 0).to_string();
                let post = send::post_draft(calls, id.chat.id, text, nonce, reply_to);
                (id, Box::pin(async { Drafted::Posted(post.await) }))
            }
            draft::Output::Edit(id, message, text) => {
                let edit = send::edit_draft(calls, id.chat.id, message, text);
                let edited = async {
                    let (is_made, again) = edit.await;
                    Drafted::Edited(is_made, again)
                };
                (id, Box::pin(edited))
            }
        };
        self.drafting.push((id, doing));
    }

    fn drafted(&mut self, id: ItemId, drafted: &Drafted) {
        let now = clock::now();
        match *drafted {
            Drafted::Posted(message) => self.drafts.posted(now, id, message),
            Drafted::Edited(is_made, again) => self.drafts.edited(now, id, is_made, again),
        }
    }

    fn note(&self, chat: ChatId, id: u64, step: Step) {
        self.ledger.borrow_mut().note(chat, id, step);
    }

    /// Something of what was to be said is not said.
    fn lost(&self, id: ItemId, step: Step) {
        match id.answers() {
            Some(message) => self.note(id.chat, message, step),
            None => self.ledger.borrow_mut().unsaid(id.chat, step),
        }
    }

    /// Message `id` is dealt with.
    fn done(&self, id: u64) {
        self.ledger.borrow_mut().inflight.done(id);
        // One word that waits says it all.
        let _ = self.room.try_send(());
    }

    /// Shows in each chat with a turn that somebody is at work. Discord shows it for 10 s
    /// ("Trigger Typing Indicator"), so it is said again before. A courtesy: nobody waits for what
    /// comes of it.
    fn type_again(&mut self) {
        self.working.iter().for_each(|&(chat, _)| self.show_typing(chat));
        let again = clock::sleep(limits::TYPING_AGAIN);
        self.typing = (!self.working.is_empty()).then(|| Box::pin(again) as Doing<()>);
    }

    fn show_typing(&self, chat: ChatId) {
        let typing = Route::Typing { channel: chat.id };
        self.calls.spare(typing, clock::now() + limits::REST_TYPING_DEADLINE);
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Keep { ticket, item } => {
                if let Some(id) = item.id.answers() {
                    self.inbox.close(item.id.chat, id);
                    let parts = u16::try_from(item.units.len()).unwrap_or(u16::MAX);
                    self.note(item.id.chat, id, Step::Queued { parts });
                }
                self.journal.append(&Entry::Out(item), Some(Waits::Item(ticket)));
            }
            Output::Send(unit) => {
                let chat = unit.chat;
                self.sending.push((chat, Box::pin(send::send(self.calls.clone(), unit))));
            }
            Output::Look { send: unit, after, added } => {
                let (chat, me) = (unit.chat, self.me.get());
                let look = send::look(self.calls.clone(), unit, (after, added), me);
                self.sending.push((chat, Box::pin(look)));
            }
            Output::Arrived { id, index, message, kind } => {
                self.journal.append(&Entry::Arrived { id, index, message, kind }, None);
            }
            Output::Skipped { id, what } => self.lost(id, Step::Skipped(what)),
            Output::Settled { id, fate, message } => self.settled(id, fate, message),
        }
    }

    fn settled(&mut self, id: ItemId, fate: Fate, message: u64) {
        let chat = id.chat;
        self.journal.append(&Entry::Settled(id), None);
        for asker in self.askers.remove(&id).unwrap_or_default() {
            // Whoever asked may have left.
            let _ = asker.try_send((fate, message));
        }
        match id.answers() {
            Some(answers) => {
                self.inbox.close(id.chat, answers);
                for id in self.inbox.settle(id.chat, answers).into_iter().chain([answers]) {
                    self.ledger.borrow_mut().answered.mark(Mark { chat, id });
                    self.note(chat, id, Step::Settled(fate));
                    self.done(id);
                }
            }
            None if matches!(fate, Fate::Dropped(_)) => self.lost(id, Step::Settled(fate)),
            None => {}
        }
    }

    fn ended(&mut self, chat: ChatId, outcome: Outcome) {
        let now = clock::now();
        let mut outbox = self.outbox.borrow_mut();
        match outcome {
            Outcome::Delivered(message) => outbox.delivered(now, chat, message),
            Outcome::Stale(message) => outbox.stale(now, chat, message),
            Outcome::Failed(why) => outbox.failed(now, chat, why),
            Outcome::Absent => outbox.absent(now, chat),
            Outcome::Unseen { for_ever } => outbox.unseen(now, chat, for_ever),
        }
    }

    fn written(&mut self, event: &journal::Event) {
        match *event {
            journal::Event::Kept(Waits::Item(ticket)) => {
                self.outbox.borrow_mut().kept(clock::now(), ticket);
            }
            journal::Event::Kept(Waits::Draft(id)) => self.drafts.kept(id),
            // Only now may the cursor pass the message.
            journal::Event::Kept(Waits::Message(id)) => {
                self.ledger.borrow_mut().inflight.written(id);
            }
            journal::Event::Long => {
                let (ledger, outbox) = (self.ledger.borrow(), self.outbox.borrow());
                let (own, items) = (outbox.own(), outbox.items());
                let drafts = self.drafts.sketches();
                let records = summary(&self.inbox, &ledger.answered, own, items, drafts);
                self.journal.shorten(records.collect());
            }
        }
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        for at in 0..self.sending.len() {
            let Some((chat, doing)) = self.sending.get_mut(at) else { break };
            if let Poll::Ready(outcome) = doing.as_mut().poll(context) {
                let chat = *chat;
                drop(self.sending.swap_remove(at));
                return Poll::Ready(Event::Ended(chat, outcome));
            }
        }
        for at in 0..self.drafting.len() {
            let Some((id, doing)) = self.drafting.get_mut(at) else { break };
            if let Poll::Ready(drafted) = doing.as_mut().poll(context) {
                let id = *id;
                drop(self.drafting.swap_remove(at));
                return Poll::Ready(Event::Drafted(id, drafted));
            }
        }
        if let Poll::Ready(event) = self.journal.poll(context) {
            return Poll::Ready(Event::Journal(event));
        }
        if self.poll_due(context).is_ready() {
            return Poll::Ready(Event::Due);
        }
        if let Some(typing) = &mut self.typing
            && typing.as_mut().poll(context).is_ready()
        {
            self.typing = None;
            return Poll::Ready(Event::Typing);
        }
        if let Poll::Ready(Some((nonce, message))) = self.confirmed.as_mut().poll_next(context) {
            return Poll::Ready(Event::Confirmed(nonce, message));
        }
        if let Poll::Ready(Some(posting)) = self.posts.as_mut().poll_next(context) {
            return Poll::Ready(Event::Post(posting));
        }
        if self.requests.is_some()
            && let Poll::Ready(admitted) = self.admitted.as_mut().poll_next(context)
        {
            return Poll::Ready(
                admitted.map_or(Event::Closed, |request| Event::Admitted(request.into())),
            );
        }
        // After what was admitted: a chat is released when the last of it has come.
        if let Poll::Ready(Some(chat)) = self.released.as_mut().poll_next(context) {
            return Poll::Ready(Event::Released(chat));
        }
        match self.told.as_mut().poll_next(context) {
            Poll::Ready(Some(told)) => Poll::Ready(Event::Told(told)),
            Poll::Ready(None) if self.outbox.borrow().is_empty() => Poll::Ready(Event::Over),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let outbox = self.outbox.borrow().deadline();
        let deadline = outbox.into_iter().chain(self.drafts.deadline()).min();
        if self.due.as_ref().map(|(at, _)| *at) != deadline {
            self.due = deadline.map(|at| (at, Box::pin(clock::sleep_until(at)) as Doing<()>));
        }
        let Some((_, wait)) = &mut self.due else { return Poll::Pending };
        std::task::ready!(wait.as_mut().poll(context));
        self.due = None;
        Poll::Ready(())
    }
}

fn reply(chat: ChatId, id: u64) -> ItemId {
    ItemId { chat, origin: Origin::Reply(id) }
}

/// `words` after what was `said` already.
fn after(said: &str, words: &str) -> String {
    match said.trim() {
        "" => words.to_owned(),
        said => format!("{said}\n\n{words}"),
    }
}

/// The whole of an answer whose beginning is shown: it must end in words, and what was said does
/// not vanish with a fault.
fn completed(answer: Answer, fault: Option<Fault>, said: &str) -> Answer {
    let words = answer.words();
    match fault {
        Some(Fault::Stopped) => Answer::text(after(said, STOPPED)),
        Some(_) => Answer::text(after(said, &words)),
        None if words.trim().is_empty() => {
            let said = if said.trim().is_empty() { NO_WORDS } else { said };
            let mut whole = Answer::text(said);
            whole.acts.extend(answer.acts);
            whole
        }
        None => answer,
    }
}

#[cfg(test)]
mod tests;
