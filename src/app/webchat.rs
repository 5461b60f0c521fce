//! Our own chat, put together: its doors, the agents behind them, the runs that clients have asked
//! for, what is kept of them, and who is told.

mod tell;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use smol::Task;
use smol::channel::{Receiver, Sender, bounded};
use smol::future::or;

use crate::agent::Desk;
use crate::agent::desk::{Ended, News};
use crate::agent::store::{Left, Most, Said, Store};
use crate::base::{Instant, limits};
use crate::channels::webchat::{Doors, Words};
use crate::control::Hub;
use crate::core::answer::Answer;
use crate::core::chat::{ChatId, Request};
use crate::core::command::Command;
use crate::core::journal::Again;
use crate::core::runs::{Asked, Done, End, Event, Runs};
use crate::core::session::Key;
use crate::core::transcript::{self, Header, Line, Role};
use crate::core::turn::{Fault, Room};
use crate::rt::clock;
use crate::rt::executor::{Spawner, Tier};

/// What the transcript says of a run that the end of the process has cut short for good.
const INTERRUPTED: &str = "interrupted: the gateway ended while the agent was at work on this";

/// Pieces of an answer that wait to be told.
const NEWS_MAX: usize = 16;

/// See the module.
pub(super) struct WebChat {
    pub(super) doors: Doors,
    desk: Desk,
    store: Store,
    hub: Rc<Hub>,
    spawner: Spawner,
    runs: RefCell<Runs>,
    /// What works on each run.
    tasks: RefCell<BTreeMap<Box<str>, Work>>,
    /// Who waits for the end of which.
    waiting: RefCell<BTreeMap<Box<str>, Vec<Sender<Done>>>>,
    /// Closed once what an earlier process has left is taken up.
    taken_up: Receiver<()>,
}

/// What somebody asks for.
pub(super) struct Ask {
    pub(super) key: Key,
    pub(super) agent: Box<str>,
    pub(super) text: Box<str>,
    /// By what it is known when it is asked for again.
    pub(super) run: Box<str>,
    /// How long it may take, if not as long as the agent may.
    pub(super) patience: Option<Duration>,
    /// If it is an order to ourselves: which, and what there is to say of our state.
    pub(super) order: Option<(Command, String)>,
}

/// What comes of asking.
pub(super) enum Taken {
    /// It is taken on, and written down.
    New,
    /// It was asked for before, and is under way.
    InFlight,
    /// It was, and has ended so.
    Done(Box<Done>),
    /// It was, and has ended before this process began.
    Before,
    /// Too many are under way.
    Full,
}

struct Work {
    task: Task<()>,
    /// Known once it is through the doors.
    letter: Option<Letter>,
}

/// What is known of a run's message.
#[derive(Clone)]
struct Letter {
    header: Header,
    conversation: u32,
    chat: ChatId,
    id: u64,
    /// Whether it belongs into the transcript.
    is_kept: bool,
}

impl WebChat {
    /// Takes up what an earlier process has left, and is there for whoever asks.
    pub(super) fn open(
        spawner: &Spawner,
        desk: &Desk,
        store: &Store,
        hub: &Rc<Hub>,
    ) -> Rc<WebChat> {
        let (taking_up, taken_up) = bounded(1);
        let chat = Rc::new(WebChat {
            doors: Doors::default(),
            desk: desk.clone(),
            store: store.clone(),
            hub: hub.clone(),
            spawner: spawner.clone(),
            runs: RefCell::default(),
            tasks: RefCell::default(),
            waiting: RefCell::default(),
            taken_up,
        });
        let ears = hub.clone();
        store.listen(move |key| {
            ears.tell("sessions.changed", &tell::changed(key, "message", clock::wall()));
        });
        let there = chat.clone();
        let work = async move {
            for left in there.store.left().await {
                there.take_up(left).await;
            }
            drop(taking_up);
        };
        spawner.spawn(Tier::Work, "webchat", work).detach();
        chat
    }

    /// Asks once more what was cut short by the end of a process; not for ever, and not when it is
    /// long ago.
    async fn take_up(self: &Rc<WebChat>, left: Left) {
        let Left { header, line, again } = left;
        let run = line.run.clone();
        let is_old = clock::wall().since(line.at) > limits::CATCH_UP_SPAN;
        let attempts = again.saturating_add(1);
        if is_old || Again::after(attempts) == Again::Apology {
            log::info!(
                target: "agent",
                "a run in {} was cut short, and is not begun again",
                header.key
            );
            let end = Line::new(clock::wall(), Role::Failed, line.conversation, INTERRUPTED);
            self.store.append(Said { header, line: end.of_run(&run) });
            return;
        }
        self.store.again(header.key.clone(), run.clone()).await;
        let agent = header.key.agent().into();
        let (key, text) = (header.key.clone(), line.text);
        let ask = Ask { key, agent, text, run, patience: None, order: None };
        if self.runs.borrow_mut().ask(&ask.run, &ask.key, false) == Asked::New {
            self.begin(ask, attempts, bounded(1).0);
        }
    }

    /// Takes on what is asked for, whether or not anybody waits to hear what comes of asking.
    pub(super) fn hand_in(self: &Rc<WebChat>, ask: Ask) -> Receiver<Taken> {
        let (tell, told) = bounded(1);
        let chat = self.clone();
        let work = async move {
            let _ = tell.try_send(chat.take(ask).await);
        };
        self.spawner.spawn(Tier::Work, "run", work).detach();
        told
    }

    /// Ready when it is written down.
    async fn take(self: &Rc<WebChat>, ask: Ask) -> Taken {
        let _ = self.taken_up.recv().await;
        let is_known = {
            let runs = self.runs.borrow();
            runs.live(&ask.run).is_some() || runs.done(&ask.run).is_some()
        };
        if !is_known && self.store.is_done(&ask.run).await {
            let done = self.ended_before(&ask.key, &ask.run).await;
            return done.map_or(Taken::Before, |done| Taken::Done(Box::new(done)));
        }
        let is_order = ask.order.is_some();
        let asked = self.runs.borrow_mut().ask(&ask.run, &ask.key, is_order);
        match asked {
            Asked::InFlight => return Taken::InFlight,
            Asked::Done(done) => return Taken::Done(done),
            Asked::Full => return Taken::Full,
            Asked::New => {}
        }
        let (kept, is_kept) = bounded(1);
        self.begin(ask, 0, kept);
        // Closed without a word if it was stopped before.
        let _ = is_kept.recv().await;
        Taken::New
    }

    /// How a run ended that an earlier process has seen, if the transcript still tells it.
    async fn ended_before(&self, key: &Key, run: &str) -> Option<Done> {
        let conversation = self.desk.conversation(key, &self.room(key).await).await;
        let (lines, bytes) = (limits::CHAT_HISTORY_LINES, limits::CHAT_HISTORY_BYTES_MAX);
        let most = Most { conversation, lines, bytes };
        let tail = self.store.tail(key.clone(), most).await;
        let is_end = |line: &&Line| *line.run == *run && line.role != Role::User;
        let line = tail.lines.into_iter().rev().find(|line| is_end(&line))?;
        let end = match line.role {
            Role::User | Role::Summary => return None,
            Role::Assistant => End::Answered(line.text),
            Role::Failed => End::Refused(line.text),
            Role::Stopped => End::Stopped,
        };
        Some(Done { key: key.clone(), end, begun: None, at: line.at })
    }

    fn begin(self: &Rc<WebChat>, ask: Ask, attempt: u8, kept: Sender<()>) {
        let (chat, run) = (self.clone(), ask.run.clone());
        let work = async move { chat.work(ask, attempt, kept).await };
        let task = self.spawner.spawn(Tier::Work, "run", work);
        self.tasks.borrow_mut().insert(run, Work { task, letter: None });
    }

    /// The whole life of a run.
    async fn work(self: Rc<WebChat>, ask: Ask, attempt: u8, kept: Sender<()>) {
        let Ask { key, agent, text, run, patience, order } = ask;
        let by = patience.map(|patience| clock::now() + patience);
        let room = self.room(&key).await;
        let words = Words { key: &key, room: &room, text: &text, attempt };
        let mut request = match self.doors.knock(clock::wall(), words, &agent) {
            Ok(request) => request,
            Err(step) => return self.end(&run, End::Refused(step.to_string().into())),
        };
        if order.is_none() {
            self.desk.settle(&mut request).await;
        }
        let conversation = request.session;
        let letter = Letter {
            header: Header::new(key.clone(), &room, ""),
            conversation,
            chat: request.chat,
            id: request.id,
            is_kept: order.is_none(),
        };
        if let Some(work) = self.tasks.borrow_mut().get_mut(&run) {
            work.letter = Some(letter.clone());
        }
        if let Some((command, state)) = order {
            let _ = kept.try_send(());
            let said = self.obey(command, (&key, &room, &request), &run, state).await;
            return self.end(&run, End::Answered(said.into()));
        }
        if attempt == 0 {
            let line = Line::new(clock::wall(), Role::User, conversation, &text).of_run(&run);
            self.store.keep(Said { header: letter.header, line }).await;
        }
        let _ = kept.try_send(());
        let answered = self.answer(&run, request);
        let answer = match by {
            Some(by) => clock::timeout(by, answered).await.unwrap_or(Err(Fault::TooSlow)),
            None => answered.await,
        };
        self.end(
            &run,
            match answer {
                Ok(answer) => End::Answered(transcript::words(&answer).into()),
                Err(Fault::Stopped) => End::Stopped,
                Err(fault) => End::Failed(fault),
            },
        );
    }

    async fn answer(&self, run: &str, request: Request) -> Result<Answer, Fault> {
        let (tell, told) = bounded(NEWS_MAX);
        let (chat, id) = (request.chat, request.id);
        let asked = self.desk.follow(request, tell);
        let watch = async {
            let mut said: Option<(Instant, String)> = None;
            while let Ok(news) = told.recv().await {
                match news {
                    News::Begun => {
                        let now = clock::wall();
                        self.doors.began(now, chat, id);
                        let event = self.runs.borrow_mut().begun(run, now);
                        self.tell(event);
                    }
                    News::Says(new) => self.says(run, &new, &mut said),
                }
            }
            std::future::pending().await
        };
        or(watch, asked).await
    }

    /// Tells what an agent says, so many pieces at once that nobody is told too often. The last of
    /// them come with the answer.
    fn says(&self, run: &str, new: &str, said: &mut Option<(Instant, String)>) {
        let (due, held) = said.get_or_insert_with(|| (clock::now(), String::new()));
        held.push_str(new);
        if clock::now() < *due {
            return;
        }
        let events = self.runs.borrow_mut().said(run, held);
        self.tell(events);
        *said = Some((clock::now() + limits::DELTA_EVERY, String::new()));
    }

    /// Carries out an order to ourselves; what is said to that.
    async fn obey(
        &self,
        command: Command,
        (key, room, request): (&Key, &Room, &Request),
        run: &str,
        state: String,
    ) -> String {
        match command {
            Command::Status => format!("{state}\n{}", self.desk.about(request).await),
            Command::Why(_) => self.doors.sentence(room.chat),
            Command::Compact => self.desk.compact(request).await,
            Command::New => {
                self.renew(key).await;
                "This is a new conversation: what was said before is forgotten.".to_owned()
            }
            Command::Stop => {
                let others = self.stop(key, None, Some(run));
                let Ended { running, waiting } = self.desk.stop(&room.account, room.chat).await;
                match others.len() + usize::from(running) + waiting {
                    0 => "There is nothing to stop.".to_owned(),
                    _ => "Stopped.".to_owned(),
                }
            }
        }
    }

    /// Ends runs of the session `key`: this one, or all but the one that asks for it. Those that
    /// were under way.
    pub(super) fn stop(&self, key: &Key, run: Option<&str>, but: Option<&str>) -> Vec<Box<str>> {
        let mut meant = self.runs.borrow().of(key);
        meant.retain(|known| run.is_none_or(|run| **known == *run) && but != Some(&**known));
        for run in &meant {
            self.end(run, End::Stopped);
        }
        meant
    }

    /// A run is over, by itself or because somebody ended it: it is written down, and told.
    fn end(&self, run: &str, end: End) {
        let work = self.tasks.borrow_mut().remove(run);
        let letter = work.and_then(|Work { task, letter }| {
            if end == End::Stopped {
                // With it the turn ends, wherever it is.
                drop(task);
            } else {
                // It is this very task, about to end.
                task.detach();
            }
            letter
        });
        let now = clock::wall();
        if let Some(letter) = &letter {
            let (fault, says) = match &end {
                End::Answered(text) => (None, !text.is_empty()),
                End::Failed(fault) => (Some(*fault), true),
                End::Stopped | End::Refused(_) => (Some(Fault::Stopped), false),
            };
            if letter.is_kept {
                self.doors.ended(now, letter.chat, letter.id, fault, says);
                self.keep_end(run, letter, &end);
            } else {
                self.doors.ordered(now, letter.chat, letter.id);
            }
        }
        let events = self.runs.borrow_mut().ended(run, now, end);
        if events.is_empty() {
            return;
        }
        self.tell(events);
        let waiters = self.waiting.borrow_mut().remove(run).unwrap_or_default();
        if let Some(done) = self.runs.borrow().done(run) {
            for waiter in waiters {
                let _ = waiter.try_send(done.clone());
            }
        }
    }

    fn keep_end(&self, run: &str, letter: &Letter, end: &End) {
        let (role, words) = match end {
            End::Answered(text) => (Role::Assistant, text.to_string()),
            End::Failed(fault) => (Role::Failed, fault.to_string()),
            End::Refused(why) => (Role::Failed, why.to_string()),
            End::Stopped => (Role::Stopped, String::new()),
        };
        let line = Line::new(clock::wall(), role, letter.conversation, &words).of_run(run);
        self.store.append(Said { header: letter.header.clone(), line });
    }

    /// Waits for the end of a run. `None` if it is not known.
    pub(super) async fn wait(&self, run: &str) -> Option<Done> {
        if let Some(done) = self.runs.borrow().done(run) {
            return Some(done.clone());
        }
        self.runs.borrow().live(run)?;
        let (tell, told) = bounded(1);
        {
            let mut waiting = self.waiting.borrow_mut();
            let waiters = waiting.entry(run.into()).or_default();
            // Those who have left wait no more.
            waiters.retain(|waiter| !waiter.is_closed());
            waiters.push(tell);
        }
        told.recv().await.ok()
    }

    /// The session of a run under way.
    pub(super) fn session_of(&self, run: &str) -> Option<Key> {
        self.runs.borrow().live(run).map(|live| live.key.clone())
    }

    /// What a run under way has said so far.
    pub(super) fn said(&self, run: &str) -> String {
        self.runs.borrow().live(run).map(|live| live.said.clone()).unwrap_or_default()
    }

    /// The runs under way in the session `key`, and whether its turn has begun.
    pub(super) fn under_way(&self, key: &Key) -> Vec<(Box<str>, bool)> {
        let runs = self.runs.borrow();
        let begun = |run: &str| runs.live(run).is_some_and(|live| live.begun.is_some());
        runs.of(key).into_iter().map(|run| (run.clone(), begun(&run))).collect()
    }

    /// Where the turns of the session `key` are taken: of direct messages only what was said there
    /// tells.
    pub(super) async fn room(&self, key: &Key) -> Room {
        let known = self.store.find(key.clone()).await;
        known.map_or_else(|| key.room(), |summary| summary.header.room())
    }

    /// Begins another conversation in the session `key`; its number.
    pub(super) async fn renew(&self, key: &Key) -> u32 {
        let number = self.desk.renew(key, &self.room(key).await).await;
        self.tell_session(key, "new");
        number
    }

    /// Forgets a session with all that was said in it. False if there is none.
    pub(super) async fn forget(&self, key: &Key) -> bool {
        self.stop(key, None, None);
        let room = self.room(key).await;
        let is_forgotten = self.store.forget(key.clone()).await;
        if is_forgotten {
            self.desk.renew(key, &room).await;
            self.tell_session(key, "delete");
        }
        is_forgotten
    }

    fn tell(&self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            let (name, payload) = tell::frame(&event, clock::wall());
            self.hub.tell(name, &payload);
        }
    }

    fn tell_session(&self, key: &Key, reason: &str) {
        self.hub.tell("sessions.changed", &tell::changed(key, reason, clock::wall()));
    }
}
