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
            Told::Answered { chat, id, answer, fault } => {
                self.working.retain(|&other| other != chat);
                self.note(
                    chat,
                    id,
                    match fault {
                        None => Step::Answered,
                        Some(Fault::TooSlow) => Step::TooSlow,
                        Some(_) => Step::AgentFailed,
                    },
                );
                self.outbox.borrow_mut().reply(clock::now(), chat, id, &answer.words());
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
        Failure::Gone(_) => Why::Gone,
        Failure::Forbidden(_) => Why::Forbidden,
        Failure::Bad { .. } => Why::Rejected,
        Failure::Unauthorized => Why::Unauthorized,
        Failure::Expired | Failure::TooManyInvalid => Why::Expired,
        Failure::Lost => Why::Lost,
        Failure::Full => Why::Full,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::discord::rest::Waiting;
    use crate::core::chat::ChannelKind;
    use crate::core::dedup::Answered;
    use crate::core::trace::Trace;
    use crate::rt::executor::{self, Tier};
    use crate::rt::store::tests::Scratch;
    use smol::channel::Sender;

    fn chat(id: u64) -> ChatId {
        ChatId { channel: ChannelKind::Discord, id }
    }

    fn answered(to: u64, id: u64, text: &str) -> Told {
        let answer = crate::core::answer::Answer::text(text);
        Told::Answered { chat: chat(to), id, answer, fault: None }
    }

    /// Runs `test` beside the replies, which must end when it has dropped its side.
    fn with_replies<F: Future<Output = ()> + 'static>(
        test: impl FnOnce(Sender<Told>, Waiting, Rc<RefCell<Ledger>>) -> F + 'static,
    ) {
        let state = Scratch::new();
        executor::run(move |spawner| async move {
            let mut marks = Answered::default();
            let log = AnsweredLog::open(state.path(), "discord", &mut marks).unwrap();
            let ledger = Rc::new(RefCell::new(Ledger::new(marks, Trace::default()).0));
            let outbox = Rc::new(RefCell::new(Outbox::new(10)));
            let (calls, waiting) = Calls::new();
            let (tell, told) = smol::channel::bounded(8);
            let replies = Replies::new(outbox, ledger.clone(), calls, log, told);
            let replies = spawner.spawn(Tier::Wire, "replies", replies.run());
            test(tell, waiting, ledger).await;
            replies.await;
            let mut marks = Answered::default();
            AnsweredLog::open(state.path(), "discord", &mut marks).unwrap();
            assert!(marks.already(chat(1), 10), "kept");
        });
    }

    #[test]
    fn parts_go_in_order_and_the_cursor_passes_when_the_last_has_arrived() {
        with_replies(|tell, waiting, ledger| async move {
            ledger.borrow_mut().inflight.admit(5, 10).unwrap();
            tell.send(answered(1, 10, "first second")).await.unwrap();
            let (route, first, done) = waiting.take().await.unwrap();
            assert_eq!(route, Route::CreateMessage { channel: 1 });
            assert!(first.contains("first") && first.contains("message_reference"), "{first}");
            done.try_send(Ok(Vec::new())).unwrap();
            let (_, second, done) = waiting.take().await.unwrap();
            assert!(second.contains("second") && !second.contains("message_reference"));
            assert_eq!(ledger.borrow().inflight.durable(), 4);
            assert!(!ledger.borrow().answered.already(chat(1), 10));
            drop(tell);
            done.try_send(Ok(Vec::new())).unwrap();
            // The end of the queue of calls: all is sent and settled.
            assert!(waiting.take().await.is_none());
            assert_eq!(ledger.borrow().inflight.durable(), 5);
        });
    }

    #[test]
    fn one_chat_waits_for_no_other_and_a_failure_is_settled_too() {
        with_replies(|tell, waiting, ledger| async move {
            ledger.borrow_mut().inflight.admit(5, 10).unwrap();
            ledger.borrow_mut().inflight.admit(6, 20).unwrap();
            tell.send(answered(1, 10, "one")).await.unwrap();
            tell.send(answered(2, 20, "two")).await.unwrap();
            let (_, _, one) = waiting.take().await.unwrap();
            let (route, _, two) = waiting.take().await.unwrap();
            assert_eq!(route, Route::CreateMessage { channel: 2 });
            drop(tell);
            two.try_send(Ok(Vec::new())).unwrap();
            one.try_send(Err(Failure::Forbidden(0))).unwrap();
            assert!(waiting.take().await.is_none());
            assert!(ledger.borrow().inflight.is_empty());
        });
    }

    #[test]
    fn a_turn_that_begins_types_in_its_own_chat_only() {
        with_replies(|tell, waiting, _| async move {
            for id in [1, 2] {
                tell.send(Told::Started { chat: chat(id), id: id * 10 }).await.unwrap();
                let (route, _, _) = waiting.take().await.unwrap();
                assert_eq!(route, Route::Typing { channel: id });
            }
            tell.send(answered(1, 10, "")).await.unwrap();
            drop(tell);
            assert!(waiting.take().await.is_none());
        });
    }
}
