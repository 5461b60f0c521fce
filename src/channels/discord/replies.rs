//! The way out: what agents say becomes messages, in order within each chat, each of them once.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use smol::channel::Receiver;
use smol::stream::Stream as _;

use super::doors::Ledger;
use super::rest::{Answer, Calls};
use super::session::AnsweredLog;
use crate::base::limits;
use crate::core::chat::ChatId;
use crate::core::dedup::Mark;
use crate::core::outbox::{Outbox, Output, Why};
use crate::core::trace::Step;
use crate::core::turn::{Fault, Told};
use crate::proto::discord::rest::{Failure, Route, message_body};
use crate::rt::clock;

type Doing<T> = Pin<Box<dyn Future<Output = T>>>;

/// The outbox of one account, and what it is sent with.
pub(super) struct Replies {
    pub(super) outbox: Rc<RefCell<Outbox>>,
    pub(super) ledger: Rc<RefCell<Ledger>>,
    pub(super) calls: Calls,
    pub(super) log: AnsweredLog,
    pub(super) told: Pin<Box<Receiver<Told>>>,
    /// Parts under way: one per chat.
    sending: Vec<(ChatId, Doing<Answer>)>,
    /// The answered marks on their way to the disk.
    syncing: Option<Doing<()>>,
    dirty: bool,
    /// The chats with a turn under way …
    working: Vec<ChatId>,
    /// … and when they are to be shown so again.
    typing: Option<Doing<()>>,
}

/// What happened.
enum Event {
    Told(Told),
    Sent(ChatId, Answer),
    Synced,
    Typing,
    /// The agents have gone.
    Over,
}

impl Replies {
    pub(super) fn new(
        outbox: Rc<RefCell<Outbox>>,
        ledger: Rc<RefCell<Ledger>>,
        calls: Calls,
        log: AnsweredLog,
        told: Receiver<Told>,
    ) -> Replies {
        let told = Box::pin(told);
        Replies {
            outbox,
            ledger,
            calls,
            log,
            told,
            sending: Vec::new(),
            syncing: None,
            dirty: false,
            working: Vec::new(),
            typing: None,
        }
    }

    /// Sends until the agents are gone and all is told.
    pub(super) async fn run(mut self) {
        loop {
            loop {
                let Some(output) = self.outbox.borrow_mut().poll() else { break };
                self.act(output);
            }
            self.sync();
            match poll_fn(|context| self.poll_event(context)).await {
                Event::Told(told) => self.heard(told),
                Event::Sent(chat, Ok(_)) => {
                    self.outbox.borrow_mut().delivered(clock::now(), chat);
                }
                Event::Sent(chat, Err(failure)) => {
                    self.outbox.borrow_mut().failed(clock::now(), chat, why(failure));
                }
                Event::Synced => {}
                Event::Typing => self.type_again(),
                Event::Over => break,
            }
        }
        if let Err(error) = self.log.sync().await {
            log::warn!(target: "discord", "the list of answered messages: {error}");
        }
    }

    fn heard(&mut self, told: Told) {
        match told {
            Told::Started { chat, id } => {
                self.note(chat, id, Step::Started);
                self.working.push(chat);
                self.show_typing(chat);
                self.typing.get_or_insert_with(|| Box::pin(clock::sleep(limits::TYPING_AGAIN)));
            }
            Told::Answered { chat, id, text, fault } => {
                self.working.retain(|&other| other != chat);
                self.note(
                    chat,
                    id,
                    match fault {
                        None => Step::Answered,
                        Some(Fault::TooSlow) => Step::TooSlow,
                        Some(Fault::Busy) => Step::AgentFailed,
                    },
                );
                self.outbox.borrow_mut().reply(clock::now(), chat, id, &text);
            }
            Told::Refused { chat, id } => {
                // Said aloud, and not answered later: the cursor may pass it.
                self.ledger.borrow_mut().inflight.done(id);
                self.note(chat, id, Step::Busy);
            }
        }
    }

    fn note(&self, chat: ChatId, id: u64, step: Step) {
        self.ledger.borrow_mut().note(chat, id, step);
    }

    /// Shows in each chat with a turn that somebody is at work. Discord shows it for 10 s
    /// ("Trigger Typing Indicator"), so it is said again before. A courtesy: nobody waits for what
    /// comes of it.
    fn type_again(&mut self) {
        self.working.iter().for_each(|&chat| self.show_typing(chat));
        let again = clock::sleep(limits::TYPING_AGAIN);
        self.typing = (!self.working.is_empty()).then(|| Box::pin(again) as Doing<()>);
    }

    fn show_typing(&self, chat: ChatId) {
        let typing = Route::Typing { channel: chat.id };
        self.calls.spare(typing, clock::now() + limits::REST_TYPING_DEADLINE);
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Send { chat, answers, index, text, nonce, deadline } => {
                // Only the first part points at the message; the others follow it.
                let reply_to = (index == 0).then_some(answers);
                let body = message_body(&text, &nonce.to_string(), reply_to).into_bytes();
                let calls = self.calls.clone();
                let route = Route::CreateMessage { channel: chat.id };
                let call = async move { calls.call(route, body, deadline).await };
                self.sending.push((chat, Box::pin(call)));
            }
            Output::Settled { chat, answers, fate } => {
                let mark = Mark { chat, id: answers };
                let mut ledger = self.ledger.borrow_mut();
                if ledger.answered.mark(mark) {
                    self.log.append(mark, &ledger.answered);
                    self.dirty = true;
                }
                // Only now may the cursor pass the message.
                ledger.inflight.done(answers);
                ledger.note(chat, answers, Step::Settled(fate));
            }
        }
    }

    /// Marks go to the disk in groups, one group at a time.
    fn sync(&mut self) {
        if self.dirty && self.syncing.is_none() {
            self.dirty = false;
            let sync = self.log.sync();
            self.syncing = Some(Box::pin(async move {
                clock::sleep(limits::ANSWERED_SYNC).await;
                if let Err(error) = sync.await {
                    log::warn!(target: "discord", "the list of answered messages: {error}");
                }
            }));
        }
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        for at in 0..self.sending.len() {
            let Some((chat, send)) = self.sending.get_mut(at) else { break };
            if let Poll::Ready(answer) = send.as_mut().poll(context) {
                let chat = *chat;
                drop(self.sending.swap_remove(at));
                return Poll::Ready(Event::Sent(chat, answer));
            }
        }
        if let Some(syncing) = &mut self.syncing
            && syncing.as_mut().poll(context).is_ready()
        {
            self.syncing = None;
            return Poll::Ready(Event::Synced);
        }
        if let Some(typing) = &mut self.typing
            && typing.as_mut().poll(context).is_ready()
        {
            self.typing = None;
            return Poll::Ready(Event::Typing);
        }
        match self.told.as_mut().poll_next(context) {
            Poll::Ready(Some(told)) => Poll::Ready(Event::Told(told)),
            Poll::Ready(None) if self.sending.is_empty() => Poll::Ready(Event::Over),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

fn why(failure: Failure) -> Why {
    match failure {
        Failure::Gone => Why::Gone,
        Failure::Forbidden => Why::Forbidden,
        Failure::Bad(_) => Why::Rejected,
        Failure::Unauthorized => Why::Unauthorized,
        Failure::Expired | Failure::TooManyInvalid => Why::Expired,
        Failure::Lost => Why::Lost,
        Failure::Full => Why::Full,
    }
}
