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
use crate::core::chat::{ChatId, Said};
use crate::core::dedup::Mark;
use crate::core::outbox::{Outbox, Output, Why};
use crate::core::trace::Step;
use crate::proto::discord::rest::{Failure, Route, message_body};
use crate::rt::clock;

type Doing<T> = Pin<Box<dyn Future<Output = T>>>;

/// The outbox of one account, and what it is sent with.
pub(super) struct Replies {
    pub(super) outbox: Rc<RefCell<Outbox>>,
    pub(super) ledger: Rc<RefCell<Ledger>>,
    pub(super) calls: Calls,
    pub(super) log: AnsweredLog,
    pub(super) said: Pin<Box<Receiver<Said>>>,
    /// Parts under way: one per chat.
    sending: Vec<(ChatId, Doing<Answer>)>,
    /// The answered marks on their way to the disk.
    syncing: Option<Doing<()>>,
    dirty: bool,
}

/// What happened.
enum Event {
    Said(Said),
    Sent(ChatId, Answer),
    Synced,
    /// The agents have gone.
    Over,
}

impl Replies {
    pub(super) fn new(
        outbox: Rc<RefCell<Outbox>>,
        ledger: Rc<RefCell<Ledger>>,
        calls: Calls,
        log: AnsweredLog,
        said: Receiver<Said>,
    ) -> Replies {
        let said = Box::pin(said);
        Replies {
            outbox,
            ledger,
            calls,
            log,
            said,
            sending: Vec::new(),
            syncing: None,
            dirty: false,
        }
    }

    /// Sends until the agents are gone and all is said.
    pub(super) async fn run(mut self) {
        loop {
            loop {
                let Some(output) = self.outbox.borrow_mut().poll() else { break };
                self.act(output);
            }
            self.sync();
            match poll_fn(|context| self.poll_event(context)).await {
                Event::Said(said) => self.heard(said),
                Event::Sent(chat, Ok(_)) => {
                    self.outbox.borrow_mut().delivered(clock::now(), chat);
                }
                Event::Sent(chat, Err(failure)) => {
                    self.outbox.borrow_mut().failed(clock::now(), chat, why(failure));
                }
                Event::Synced => {}
                Event::Over => break,
            }
        }
        if let Err(error) = self.log.sync().await {
            log::warn!(target: "discord", "the list of answered messages: {error}");
        }
    }

    fn heard(&mut self, said: Said) {
        match said {
            Said::Typing(chat) => self.typing(chat),
            Said::Step { chat, answers, step } => {
                self.ledger.borrow_mut().note(chat, answers, step)
            }
            Said::Reply { chat, answers, text } => {
                self.outbox.borrow_mut().reply(clock::now(), chat, answers, &text);
            }
        }
    }

    /// A courtesy: nobody waits for what comes of it.
    fn typing(&mut self, chat: ChatId) {
        let calls = self.calls.clone();
        let deadline = clock::now() + limits::REST_TYPING_DEADLINE;
        let typing = Route::Typing { channel: chat.id };
        calls.spare(typing, deadline);
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
        match self.said.as_mut().poll_next(context) {
            Poll::Ready(Some(said)) => Poll::Ready(Event::Said(said)),
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
