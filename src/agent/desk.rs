//! The one desk at which all messages wait for an agent, whichever account heard them and whoever
//! asks: one turn per chat at a time, several chats at once.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::{Rc, Weak};
use std::time::Duration;

use smol::Task;
use smol::channel::{Receiver, Sender, bounded, unbounded};
use smol::future::or;

use super::company::Company;
use super::media::{Found, Media};
use super::sessions::Sessions;
use super::store::{Said, Store};
use super::{Member, Staff};
use crate::base::Instant;
use crate::base::limits::TURN_SUMMARY_BYTES;
use crate::base::tally::Tally;
use crate::base::text::{Plain, truncate};
use crate::core::answer::{Act, Answer};
use crate::core::chat::{ChannelKind, ChatId, Request, Spoken};
use crate::core::media::{self, Note};
use crate::core::session::Key;
use crate::core::transcript::{self, Header, Line, Role};
use crate::core::turn::{Asked, Fault, How, Mode, Next, Part, Room, Rules, Told, Turns};
use crate::rt::clock;
use crate::rt::executor::{Spawner, Tier};

/// Names of agents that are not there, of which each is said once; further ones are not said.
const STRANGERS_MAX: usize = 32;
/// Outcomes of turns that are counted apart: more than there are.
const OUTCOMES_MAX: usize = 24;

/// Gives each message its turn. Cheap to clone; the last clone that goes ends every turn.
#[derive(Clone, Debug)]
pub struct Desk(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    staff: RefCell<Rc<Staff>>,
    sessions: RefCell<Sessions>,
    /// Where what is asked and answered is kept.
    store: Option<Store>,
    turns: RefCell<Turns<Waiting>>,
    running: RefCell<BTreeMap<Room, Running>>,
    spawner: Spawner,
    listeners: Cell<u64>,
    /// Told, without a word, when a turn is over.
    over: (Sender<()>, Receiver<()>),
    /// Agents that messages were meant for and that are not there.
    strangers: RefCell<BTreeSet<Box<str>>>,
    /// How turns ended, by the word of the outcome.
    outcomes: RefCell<Tally<OUTCOMES_MAX>>,
    /// What becomes of what comes while a turn runs.
    rules: RefCell<Rules>,
    /// When the next burst of messages is over, and the wait for it.
    wake: RefCell<Option<(Instant, Task<()>)>>,
}

/// A message that waits for its turn.
#[derive(Clone, Debug)]
struct Waiting {
    request: Request,
    ticket: Ticket,
}

/// A turn under way.
#[derive(Debug)]
struct Running {
    id: u64,
    ticket: Ticket,
    task: Task<()>,
    /// Where it is told what is said in the meantime.
    more: Sender<Request>,
}

/// A turn that begins.
struct Turn {
    room: Room,
    /// What is answered, with all that goes along.
    request: Request,
    /// What that is, and why.
    along: Vec<(u64, How)>,
    ticket: Ticket,
    said: Receiver<Request>,
}

/// Whose message it is.
#[derive(Clone, Debug)]
struct Ticket {
    listener: u64,
    ear: Ear,
    /// While somebody holds it, the listener's turns are not over; a word through it says that the
    /// listener is deaf.
    alive: Sender<()>,
    /// Whether whoever asks keeps the transcript.
    keeps: bool,
}

/// Who is told.
#[derive(Clone, Debug)]
enum Ear {
    /// A channel, of all that happens.
    Channel(Sender<Told>),
    /// Somebody who waits for this one answer, and may want to know when its turn begins.
    Asker { answer: Sender<Result<Answer, Fault>>, follower: Option<Sender<News>> },
}

/// What is told to who follows a turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// It begins.
    Begun,
    /// The agent says this more.
    Says(String),
}

/// What an order to stop has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Whether a turn was running.
    pub running: bool,
    /// How many messages were waiting.
    pub waiting: usize,
}

impl Desk {
    /// A desk at which `staff` answers.
    #[must_use]
    pub fn new(spawner: &Spawner, staff: Staff, sessions: Sessions) -> Desk {
        Desk::keeping(spawner, staff, sessions, None)
    }

    /// The same; what is asked and answered goes to `store`.
    #[must_use]
    pub fn keeping(
        spawner: &Spawner,
        staff: Staff,
        sessions: Sessions,
        store: Option<Store>,
    ) -> Desk {
        Desk(Rc::new(Inner {
            staff: RefCell::new(Rc::new(staff)),
            sessions: RefCell::new(sessions),
            store,
            turns: RefCell::default(),
            running: RefCell::default(),
            spawner: spawner.clone(),
            listeners: Cell::new(0),
            over: bounded(1),
            strangers: RefCell::default(),
            outcomes: RefCell::default(),
            rules: RefCell::default(),
            wake: RefCell::default(),
        }))
    }

    /// How turns ended, by outcome.
    #[must_use]
    pub fn outcomes(&self) -> Vec<(&'static str, u64)> {
        self.0.outcomes.borrow().iter().collect()
    }

    /// Replaces the agents. Turns that are under way end with those that began them.
    pub fn hire(&self, staff: Staff) {
        self.0.staff.replace(Rc::new(staff));
        self.0.strangers.borrow_mut().clear();
    }

    /// Lets `rules` hold for what comes from now on. Whether they are others than before.
    pub fn apply(&self, rules: Rules) -> bool {
        let is_new = *self.0.rules.borrow() != rules;
        self.0.rules.replace(rules);
        is_new
    }

    /// Answers the messages of a channel's account, and tells about each, until `requests` is
    /// closed and the last turn is over, or nobody listens any more. Dropped, it ends every turn
    /// of the account.
    pub async fn serve(&self, requests: Receiver<Request>, told: Sender<Told>) {
        let (alive, signs) = bounded(1);
        let listener = Listener::new(self);
        let ear = Ear::Channel(told.clone());
        let ticket = Ticket { listener: listener.number, ear, alive, keeps: false };
        loop {
            let next = async { Some(requests.recv().await.ok()) };
            let deaf = async {
                let _ = signs.recv().await;
                None
            };
            match or(next, deaf).await {
                Some(Some(request)) => self.0.take(request, ticket.clone()),
                // There will be no more, and so every burst is over.
                Some(None) => {
                    self.0.turns.borrow_mut().expire(Instant(u64::MAX));
                    self.0.pump();
                    break;
                }
                None => return,
            }
        }
        drop((ticket, told));
        // Until the last ticket is gone, or somebody has noticed that nobody listens.
        let _ = signs.recv().await;
    }

    /// Has one message answered whose answer goes through no channel. It waits for its turn like
    /// any other of its chat. Dropping the future ends the turn.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ask(&self, request: Request) -> Result<Answer, Fault> {
        self.asked(request, None, false).await
    }

    /// The same for one who is told how the turn goes on, and who keeps the transcript. What finds
    /// no room is told with what comes later, or with the answer.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn follow(&self, request: Request, news: Sender<News>) -> Result<Answer, Fault> {
        self.asked(request, Some(news), true).await
    }

    /// The same for one who does not keep the transcript.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn hear(&self, request: Request, news: Sender<News>) -> Result<Answer, Fault> {
        self.asked(request, Some(news), false).await
    }

    async fn asked(
        &self,
        request: Request,
        follower: Option<Sender<News>>,
        keeps: bool,
    ) -> Result<Answer, Fault> {
        let (alive, _signs) = bounded(1);
        let (answer, answered) = bounded(1);
        let listener = Listener::new(self);
        let ear = Ear::Asker { answer, follower };
        let ticket = Ticket { listener: listener.number, ear, alive, keeps };
        self.0.take(request, ticket);
        answered.recv().await.unwrap_or(Err(Fault::Stopped))
    }

    /// Ends what runs and what waits in a chat of an account. Each message is told as stopped.
    pub async fn stop(&self, account: &str, chat: ChatId) -> Ended {
        let room = Room { account: account.into(), chat };
        let stopped = self.0.turns.borrow_mut().stop(&room);
        let running = self.0.running.borrow_mut().remove(&room);
        let ended = Ended { running: stopped.was_running, waiting: stopped.waiting.len() };
        let mut orphans = Vec::new();
        if let Some(Running { id, ticket, task, .. }) = running {
            drop(task);
            orphans.push((id, ticket));
        }
        orphans.extend(stopped.waiting.into_iter().map(|w| (w.request.id, w.ticket)));
        self.0.pump();
        let _ = self.0.over.0.try_send(());
        for (id, ticket) in orphans {
            ticket.tell(chat, id, Err(Fault::Stopped)).await;
        }
        ended
    }

    /// How many turns are running.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.turns.borrow().running()
    }

    /// Waits until none is.
    pub async fn idle(&self) {
        while self.running() > 0 {
            let _ = self.0.over.1.recv().await;
        }
    }
}

/// Somebody whose turns end when they go.
struct Listener<'d> {
    desk: &'d Desk,
    number: u64,
}

impl Listener<'_> {
    fn new(desk: &Desk) -> Listener<'_> {
        let number = desk.0.listeners.get() + 1;
        desk.0.listeners.set(number);
        Listener { desk, number }
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        let inner = &self.desk.0;
        inner.turns.borrow_mut().withdraw(|waiting| waiting.ticket.listener == self.number);
        let is_theirs = |running: &Running| running.ticket.listener == self.number;
        let gone: Vec<(Room, Running)> =
            inner.running.borrow_mut().extract_if(.., |_, running| is_theirs(running)).collect();
        for (room, running) in gone {
            drop(running);
            inner.turns.borrow_mut().finished(&room);
        }
        inner.pump();
        let _ = inner.over.0.try_send(());
    }
}

impl Inner {
    fn take(self: &Rc<Inner>, request: Request, ticket: Ticket) {
        let room = Room::of(&request);
        let mut rule = self.rules.borrow().of(request.chat.channel);
        let has_files = !request.attachments.is_empty();
        if request.late || request.attempt > 0 || has_files {
            // It has waited long enough, or is more than words.
            rule.pause = Duration::ZERO;
        }
        if has_files && rule.mode == Mode::Steer {
            // A turn that runs hears words alone.
            rule.mode = Mode::Queue;
        }
        // Whoever waits for just this answer gets it, and nothing else.
        let is_shared = matches!(ticket.ear, Ear::Channel(_));
        let author = request.author;
        // A turn may do what its author may, and so it is one person's.
        let party = is_shared.then(|| {
            let key = Key::of(&request);
            let party = format!("{} {} {author}", request.agent, key.as_str());
            (party.into(), 0)
        });
        let message = Waiting { request, ticket };
        let asked = Asked { room, message, author, party, rule };
        self.turns.borrow_mut().ask(clock::now(), asked);
        self.pump();
    }

    /// Does what is to be done next.
    fn pump(self: &Rc<Inner>) {
        loop {
            // Not held while something is done.
            let next = self.turns.borrow_mut().poll();
            match next {
                Some(Next::Begin(room, parts)) => self.begin(&room, parts),
                // Its messages are in a turn that begins later.
                Some(Next::Break(room)) => {
                    let broken = self.running.borrow_mut().remove(&room);
                    drop(broken);
                }
                Some(Next::Steer(room, Waiting { request, .. })) => {
                    if let Some(running) = self.running.borrow().get(&room) {
                        // It holds as many as may wait.
                        let _ = running.more.try_send(request);
                    }
                }
                Some(Next::Refuse(_, Waiting { request, ticket })) => {
                    let (chat, id) = (request.chat, request.id);
                    let refusal = async move { ticket.refuse(chat, id).await };
                    self.spawner.spawn(Tier::Work, "refusal", refusal).detach();
                }
                None => break,
            }
        }
        self.watch();
    }

    fn begin(self: &Rc<Inner>, room: &Room, mut parts: Vec<Part<Waiting>>) {
        let Some(Part { message: Waiting { mut request, ticket }, .. }) = parts.pop() else {
            return;
        };
        let mut along = Vec::new();
        for Part { message: Waiting { request: mut other, .. }, how } in parts {
            along.push((other.id, how));
            if how == How::Cut {
                other.text = truncate(&other.text, TURN_SUMMARY_BYTES).into();
            }
            request.take_along(&other);
        }
        let (id, member) = (request.id, self.member(&mut request.agent));
        let media = self.staff.borrow().media.clone();
        let can_hear = member.agent.can_hear() && matches!(ticket.ear, Ear::Channel(_));
        let (more, said) = unbounded();
        let begun = Turn { room: room.clone(), request, along, ticket: ticket.clone(), said };
        let task = self.spawner.spawn(
            Tier::Work,
            "turn",
            turn(Rc::downgrade(self), (member, media), begun),
        );
        self.running.borrow_mut().insert(room.clone(), Running { id, ticket, task, more });
        if can_hear {
            self.turns.borrow_mut().can_hear(room);
        }
    }

    /// Looks again when the next burst is over.
    fn watch(self: &Rc<Inner>) {
        let due = self.turns.borrow().deadline();
        if self.wake.borrow().as_ref().map(|(at, _)| *at) == due {
            return;
        }
        let wake = due.map(|at| {
            let desk = Rc::downgrade(self);
            let wait = async move {
                clock::sleep_until(at).await;
                let Some(desk) = desk.upgrade() else { return };
                if let Some((_, this)) = desk.wake.take() {
                    this.detach();
                }
                desk.turns.borrow_mut().expire(clock::now());
                desk.pump();
            };
            (at, self.spawner.spawn(Tier::Work, "burst", wait))
        });
        self.wake.replace(wake);
    }

    /// The agent called `name`; if there is none, the usual one, whose name it becomes: rights are
    /// those for who answers.
    fn member(&self, name: &mut Box<str>) -> Rc<Member> {
        let staff = self.staff.borrow().clone();
        let (member, instead) = staff.find(name);
        let Some(instead) = instead else { return member };
        let asked = std::mem::replace(name, instead.into());
        let name = &*asked;
        let mut strangers = self.strangers.borrow_mut();
        if strangers.len() < STRANGERS_MAX && strangers.insert(name.into()) {
            log::warn!(
                target: "agent",
                "there is no agent called \"{}\"; the usual one answers instead (agents.list \
                 names them)",
                Plain(name)
            );
        }
        member
    }

    fn over(self: &Rc<Inner>, room: &Room) {
        if let Some(running) = self.running.borrow_mut().remove(room) {
            // It is this very task, about to end.
            running.task.detach();
        }
        self.turns.borrow_mut().finished(room);
        self.pump();
        let _ = self.over.0.try_send(());
    }

    /// Keeps what was asked and answered; of what the agent did not say anything to, only that it
    /// was asked.
    fn record(&self, request: &Request, answer: &Result<Answer, Fault>) {
        let Some(store) = &self.store else { return };
        let room = Room { account: request.account.clone(), chat: request.chat };
        // A chat with a person is called like the person.
        let key = Key::of(request);
        let name = if key.person().is_some() { &*request.author_name } else { "" };
        let header = Header::new(key, &room, name);
        let session = request.session;
        // All whose words are answered: the answer is found, and forgotten, with each of them.
        let mut people = Vec::new();
        for Spoken { person, name, text, at } in request.said_as(&media::written(request)) {
            let mut asked = Line::new(at, Role::User, session, text);
            if let Some(person) = person {
                asked = asked.by(person, name);
                people.push(person);
            }
            store.append(Said { header: header.clone(), line: asked });
        }
        let (role, words) = match answer {
            Ok(answer) => (Role::Assistant, transcript::words(answer)),
            Err(fault) => (Role::Failed, fault.to_string()),
        };
        if !words.is_empty() {
            let line = Line::new(clock::wall(), role, session, &words).about(people);
            store.append(Said { header, line });
        }
    }
}

impl Inner {
    /// The message as one of the thread that `answer` opens on it: what is said there goes on from
    /// it. On Discord a thread has the number of the message that it was opened on ("Start Thread
    /// from Message").
    async fn thread(&self, request: &Request, answer: &Result<Answer, Fault>) -> Option<Request> {
        let acts = &answer.as_ref().ok()?.acts;
        let opens = acts.iter().any(|act| matches!(act, Act::Thread { .. }));
        let has_threads = request.chat.channel == ChannelKind::Discord && request.guild.is_some();
        // There are no threads in a thread.
        if !opens || !has_threads || request.parent.is_some() {
            return None;
        }
        let chat = ChatId { id: request.id, ..request.chat };
        let parent = Some(request.chat.id);
        let mut thread = Request { chat, parent, session_key: None, ..request.clone() };
        self.settle(&mut thread).await;
        Some(thread)
    }
}

async fn turn(desk: Weak<Inner>, (member, media): (Rc<Member>, Rc<Media>), turn: Turn) {
    let Turn { room, mut request, along, ticket, said } = turn;
    let (chat, id) = (request.chat, request.id);
    settle(&desk, &mut request, &ticket).await;
    if ticket.begun(chat, id, along).await {
        let company = ticket.company(chat, id, said);
        let store = desk.upgrade().and_then(|desk| desk.store.clone());
        let by = clock::now() + member.deadline;
        let may_ask = member.permits.may_ask(&request);
        // What comes with a message costs something, too.
        let found = if may_ask {
            media.look(&mut request, member.agent.wants(), by).await
        } else {
            Found::default()
        };
        for &note in &found.notes {
            ticket.note(chat, id, note).await;
        }
        let mut answer = if !may_ask {
            Err(Fault::NotPermitted)
        } else if found.is_mute {
            Ok(Answer::default())
        } else {
            member.agent.answer(&request, store.as_ref(), by, &company).await
        };
        if let Ok(answer) = &mut answer {
            if let Some(note) = media.speak(&found, answer).await {
                ticket.note(chat, id, note).await;
            }
            if let Some(apology) = &found.apology {
                answer.add(apology);
            }
        }
        if let Err(fault) = &answer {
            log::warn!(target: "agent", "message {id} in {chat}: {fault}");
        }
        let heard = match desk.upgrade() {
            Some(desk) => desk.turns.borrow_mut().heard(&room, company.heard.get()),
            None => Vec::new(),
        };
        for heard in &heard {
            request.take_along(&heard.request);
        }
        if let Some(desk) = desk.upgrade() {
            let word = answer.as_ref().map_or_else(|fault| fault.name(), |_| "answered");
            desk.outcomes.borrow_mut().count(word);
            if !ticket.keeps {
                let thread = desk.thread(&request, &answer).await;
                desk.record(&request, &answer);
                if let Some(thread) = thread {
                    desk.record(&thread, &answer);
                }
            }
        }
        let heard = heard.iter().map(|heard| (heard.request.id, How::Steered));
        ticket.joined(chat, id, heard).await;
        ticket.tell(chat, id, answer).await;
    } else {
        // Without a listener there is nobody to take turns for.
        let _ = ticket.alive.try_send(());
    }
    if let Some(desk) = desk.upgrade() {
        desk.over(&room);
    }
}

/// Finds the conversation of `request`; that another one begins with it is told.
async fn settle(desk: &Weak<Inner>, request: &mut Request, ticket: &Ticket) {
    let Some(desk) = desk.upgrade().filter(|_| !ticket.keeps) else { return };
    let why = desk.settle(request).await;
    if let (Some(why), Ear::Channel(told)) = (why, &ticket.ear) {
        let Request { chat, id, .. } = *request;
        let _ = told.send(Told::Renewed { chat, id, why }).await;
    }
}

impl Ticket {
    /// Tells that the turn for message `id` begins, and what goes along with it. False if nobody
    /// listens.
    async fn begun(&self, chat: ChatId, id: u64, along: Vec<(u64, How)>) -> bool {
        self.joined(chat, id, along).await;
        match &self.ear {
            Ear::Channel(told) => told.send(Told::Started { chat, id }).await.is_ok(),
            Ear::Asker { follower, .. } => {
                let _ = follower.as_ref().map(|follower| follower.try_send(News::Begun));
                true
            }
        }
    }

    /// Tells a channel what became of something; who asks for an answer alone wants only that.
    async fn note(&self, chat: ChatId, id: u64, note: Note) {
        if let Ear::Channel(told) = &self.ear
            && told.send(Told::Noted { chat, id, note }).await.is_err()
        {
            let _ = self.alive.try_send(());
        }
    }

    /// Tells which messages are answered together with message `into`.
    async fn joined(&self, chat: ChatId, into: u64, others: impl IntoIterator<Item = (u64, How)>) {
        let Ear::Channel(told) = &self.ear else { return };
        for (id, how) in others {
            // Whether anybody listens is found out with the next word.
            let _ = told.send(Told::Joined { chat, id, into, how }).await;
        }
    }

    async fn refuse(self, chat: ChatId, id: u64) {
        let is_heard = match &self.ear {
            Ear::Channel(told) => told.send(Told::Refused { chat, id }).await.is_ok(),
            Ear::Asker { answer, .. } => answer.send(Err(Fault::Busy)).await.is_ok(),
        };
        if !is_heard {
            let _ = self.alive.try_send(());
        }
    }

    /// Those who are around while the turn for message `id` runs.
    fn company(&self, chat: ChatId, id: u64, said: Receiver<Request>) -> Company<'_> {
        let (follower, channel) = match &self.ear {
            Ear::Asker { follower, .. } => (follower.as_ref(), None),
            Ear::Channel(told) => (None, Some((told, chat, id))),
        };
        let (held, heard, shown) = (RefCell::default(), Cell::new(0), RefCell::default());
        Company { follower, channel, said, held, heard, shown }
    }

    async fn tell(&self, chat: ChatId, id: u64, answer: Result<Answer, Fault>) {
        let is_heard = match &self.ear {
            Ear::Channel(told) => {
                let (answer, fault) = match answer {
                    Ok(answer) => (answer, None),
                    Err(fault) => (Answer::text(fault.apology()), Some(fault)),
                };
                told.send(Told::Answered { chat, id, answer, fault }).await.is_ok()
            }
            Ear::Asker { answer: asker, .. } => asker.send(answer).await.is_ok(),
        };
        if !is_heard {
            let _ = self.alive.try_send(());
        }
    }
}

mod settle;
#[cfg(test)]
mod tests;
