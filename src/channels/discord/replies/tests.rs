use super::*;
use crate::base::Wall;
use crate::channels::discord::rest::Waiting;
use crate::core::chat::sample::{self, chat};
use crate::core::trace::Trace;
use crate::proto::discord::rest::{Failure, Page};
use crate::rt::executor::{self, Tier};
use crate::rt::store::tests::Scratch;
use smol::channel::bounded;
use std::path::Path;

fn request(to: u64, id: u64) -> Request {
    Request { at: clock::wall(), ..sample::request(to, id) }
}

/// The other ends of the replies.
struct World {
    ledger: Rc<RefCell<Ledger>>,
    outbox: Rc<RefCell<Outbox>>,
    counts: Rc<Cell<journal::Counts>>,
    /// The doors.
    admit: Sender<Request>,
    /// The agents.
    asked: Receiver<Request>,
    ordered: Receiver<Asked>,
    tell: Sender<Told>,
    /// The service.
    waiting: Waiting,
    confirm: Sender<(Nonce, u64)>,
    release: Sender<ChatId>,
    post: Sender<Posting>,
}

impl World {
    /// A message passes the doors.
    async fn admit(&self, to: u64, id: u64) {
        self.ledger.borrow_mut().inflight.admit(id, id).unwrap();
        self.admit.send(request(to, id)).await.unwrap();
    }

    async fn answer(&self, to: u64, id: u64, text: &str) {
        let answer = Answer::text(text);
        self.tell.send(Told::Answered { chat: chat(to), id, answer, fault: None }).await.unwrap();
    }

    /// The next call that is no sign of typing.
    async fn call(&self) -> (Route, String, Sender<super::super::rest::Answer>) {
        loop {
            let call = self.waiting.take().await.unwrap();
            if !matches!(call.0, Route::Typing { .. }) {
                return call;
            }
        }
    }

    /// Doors and agents leave, as at the end of an account.
    fn leave(self) -> Waiting {
        self.waiting
    }

    /// The same; what is still to be said is said.
    async fn end(self) {
        let waiting = self.leave();
        while let Some((_, _, done)) = waiting.take().await {
            let _ = done.try_send(Ok(created(99)));
        }
    }
}

/// Runs `test` beside the replies of an account that keeps its state in `state`, which must end
/// when it has dropped its side.
fn life<F: Future<Output = ()> + 'static>(state: &Path, test: impl FnOnce(World) -> F + 'static) {
    let state = state.to_owned();
    executor::run(move |spawner| async move {
        let (world, replies) = open(&state);
        let replies = spawner.spawn(Tier::Wire, "replies", replies.run());
        test(world).await;
        replies.await;
    });
}

fn open(state: &Path) -> (World, Replies) {
    let (journal, mut memory) = Journal::open(state, "discord").unwrap();
    let answered = std::mem::take(&mut memory.answered);
    let ledger = Rc::new(RefCell::new(Ledger::new(answered, Trace::default()).0));
    let settings = Settings { chunk_chars: 10, ..Settings::default() };
    let outbox = Rc::new(RefCell::new(Outbox::new(10, settings.outbox)));
    let counts = Rc::new(Cell::default());
    let (calls, waiting) = Calls::new();
    let (admit, admitted) = bounded(8);
    let (requests, asked) = bounded(8);
    let (orders, ordered) = bounded(1);
    let (tell, told) = bounded(8);
    let (release, released) = bounded(8);
    let (confirm, confirmed) = bounded(8);
    let (post, posts) = bounded(8);
    let mut replies = Replies::new(Tools {
        outbox: outbox.clone(),
        ledger: ledger.clone(),
        settings: Rc::new(RefCell::new(settings)),
        calls,
        journal,
        counts: counts.clone(),
        me: Rc::new(Cell::new(7)),
        admitted,
        requests,
        orders,
        told,
        released,
        confirmed,
        posts,
        room: bounded(1).0,
    });
    replies.take_up(memory);
    let world = World {
        ledger,
        outbox,
        counts,
        admit,
        asked,
        ordered,
        tell,
        waiting,
        confirm,
        release,
        post,
    };
    (world, replies)
}

fn created(id: u64) -> Vec<u8> {
    format!(r#"{{"id":"{id}"}}"#).into_bytes()
}

#[test]
fn parts_go_in_order_and_the_message_is_over_when_the_last_has_arrived() {
    let state = Scratch::new();
    life(state.path(), |world| async move {
        world.admit(1, 10).await;
        assert_eq!(world.asked.recv().await.unwrap().id, 10);
        world.answer(1, 10, "first second").await;
        let (route, first, done) = world.call().await;
        assert_eq!(route, Route::CreateMessage { channel: 1 });
        assert!(first.contains("first") && first.contains("message_reference"), "{first}");
        done.try_send(Ok(created(90))).unwrap();
        let (_, second, done) = world.call().await;
        assert!(second.contains("second") && !second.contains("message_reference"));
        assert!(!world.ledger.borrow().answered.already(chat(1), 10));
        assert_eq!(world.ledger.borrow().inflight.len(), 1);
        done.try_send(Ok(created(91))).unwrap();
        let ledger = world.ledger.clone();
        let waiting = world.leave();
        // The end of the queue of calls: all is sent and settled.
        assert!(waiting.take().await.is_none());
        assert!(ledger.borrow().answered.already(chat(1), 10));
        assert!(ledger.borrow().inflight.is_empty());
    });
    let (_, memory) = Journal::open(state.path(), "discord").unwrap();
    assert!(memory.answered.already(chat(1), 10), "kept");
}

#[test]
fn the_cursor_passes_a_message_as_soon_as_it_is_written_down() {
    let state = Scratch::new();
    life(state.path(), |world| async move {
        world.admit(1, 10).await;
        assert_eq!(world.ledger.borrow().inflight.durable(), 9);
        world.asked.recv().await.unwrap();
        // An answer brings its group forward, and the message is in it.
        world.answer(1, 10, "hi").await;
        let (_, _, done) = world.call().await;
        assert_eq!(world.ledger.borrow().inflight.durable(), 10);
        assert_eq!(world.counts.get().groups, 1, "one write for both");
        done.try_send(Ok(created(90))).unwrap();
        world.end().await;
    });
}

#[test]
fn one_chat_waits_for_no_other_and_a_refusal_is_settled_too() {
    let state = Scratch::new();
    life(state.path(), |world| async move {
        for to in [1, 2] {
            world.admit(to, to * 10).await;
            world.answer(to, to * 10, "hi").await;
        }
        let (first, _, one) = world.call().await;
        let (second, _, two) = world.call().await;
        assert_ne!(first, second);
        two.try_send(Err(Failure::Forbidden(0))).unwrap();
        one.try_send(Ok(created(90))).unwrap();
        let ledger = world.ledger.clone();
        world.end().await;
        assert!(ledger.borrow().inflight.is_empty());
    });
}

#[test]
fn a_turn_that_begins_types_in_its_own_chat_only() {
    let state = Scratch::new();
    life(state.path(), |world| async move {
        for to in [1, 2] {
            world.tell.send(Told::Started { chat: chat(to), id: to * 10 }).await.unwrap();
            let (route, _, _) = world.waiting.take().await.unwrap();
            assert_eq!(route, Route::Typing { channel: to });
        }
        world.answer(1, 10, "").await;
        let waiting = world.leave();
        assert!(waiting.take().await.is_none());
    });
}

/// A life that is killed: its replies are dropped where they are.
fn killed<F: Future<Output = ()> + 'static>(state: &Path, test: impl FnOnce(World) -> F + 'static) {
    let state = state.to_owned();
    executor::run(move |_| async move {
        let (world, replies) = open(&state);
        let end = async {
            replies.run().await;
        };
        smol::future::or(test(world), end).await;
    });
}

#[test]
fn what_was_admitted_is_asked_again_once_more_and_then_excused() {
    let state = Scratch::new();
    for attempt in 0..2 {
        killed(state.path(), move |world| async move {
            if attempt == 0 {
                world.admit(1, 10).await;
            }
            let asked = world.asked.recv().await.unwrap();
            assert_eq!((asked.id, asked.attempt), (10, attempt));
            assert!(!world.ledger.borrow_mut().seen.is_new(10) || attempt == 0, "known again");
            world.tell.send(Told::Started { chat: chat(1), id: 10 }).await.unwrap();
            let _typing = world.waiting.take().await.unwrap();
        });
    }
    life(state.path(), |world| async move {
        let (_, body, done) = world.call().await;
        assert!(body.contains("Sorry"), "{body}");
        done.try_send(Ok(created(90))).unwrap();
        assert!(world.asked.is_empty(), "the agent is not asked a third time");
        world.end().await;
    });
    let (_, memory) = Journal::open(state.path(), "discord").unwrap();
    assert!(memory.answered.already(chat(1), 10) && memory.inbox.requests().is_empty());
}

#[test]
fn what_was_to_be_said_is_said_by_the_next_life_from_where_it_stood() {
    let state = Scratch::new();
    killed(state.path(), |world| async move {
        world.admit(1, 10).await;
        world.answer(1, 10, "first second").await;
        let (_, _, done) = world.call().await;
        done.try_send(Ok(created(90))).unwrap();
        let (_, second, _done) = world.call().await;
        assert!(second.contains("second"));
    });
    life(state.path(), |world| async move {
        let (_, body, done) = world.call().await;
        assert!(body.contains("second") && !body.contains("message_reference"), "{body}");
        let id = ItemId { chat: chat(1), origin: Origin::Reply(10) };
        assert!(body.contains(&Nonce::of(id, 1).to_string()), "the same nonce: {body}");
        done.try_send(Ok(created(91))).unwrap();
        assert!(world.asked.is_empty(), "the agent is not asked again");
        world.end().await;
    });
}

/// A log with one answer that was taken in so long ago.
fn old_answer(state: &Path, seconds: u64) {
    let (mut journal, _) = Journal::open(state, "discord").unwrap();
    let added = Wall(clock::wall().0 - seconds * 1000);
    let id = ItemId { chat: chat(1), origin: Origin::Reply(10) };
    let mut outbox = Outbox::new(10, crate::core::outbox::Policy::default());
    outbox.add(clock::now(), added, id, Answer::text("well"), false);
    let Some(Output::Keep { item, .. }) = outbox.poll() else { panic!("nothing to keep") };
    assert!(journal.append(&Entry::Out(item), None));
}

#[test]
fn an_answer_that_may_be_there_already_is_looked_for() {
    for (history, is_there) in [
        (
            r#"[{"id":"95","author":{"id":"7"},"content":"well",
            "message_reference":{"message_id":"10"}}]"#,
            true,
        ),
        (r#"[{"id":"95","author":{"id":"8"},"content":"well"}]"#, false),
        ("[]", false),
    ] {
        let state = Scratch::new();
        old_answer(state.path(), 200);
        life(state.path(), move |world| async move {
            let (route, _, done) = world.call().await;
            assert_eq!(route, Route::Messages { channel: 1, page: Page::After(10), limit: 100 });
            done.try_send(Ok(history.into())).unwrap();
            if !is_there {
                let (route, _, done) = world.call().await;
                assert_eq!(route, Route::CreateMessage { channel: 1 });
                done.try_send(Ok(created(96))).unwrap();
            }
            let waiting = world.leave();
            assert!(waiting.take().await.is_none());
        });
    }
}

#[test]
fn what_waited_too_long_for_the_next_life_is_dropped_and_told() {
    let state = Scratch::new();
    old_answer(state.path(), 700);
    let (mut journal, _) = Journal::open(state.path(), "discord").unwrap();
    let old = Request { at: Wall(1), ..request(2, 20) };
    assert!(journal.append(&Entry::Admitted(old.into()), None));
    drop(journal);
    life(state.path(), |world| async move {
        let (outbox, asked) = (world.outbox.clone(), world.asked.clone());
        let waiting = world.leave();
        assert!(waiting.take().await.is_none() && asked.is_empty());
        let expired = outbox.borrow().dropped_total().find(|(why, _)| *why == Why::Expired);
        assert_eq!(expired, Some((Why::Expired, 1)));
    });
}

#[test]
fn what_is_said_of_our_own_accord_is_said_once_for_each_key() {
    let state = Scratch::new();
    life(state.path(), |world| async move {
        let posting = |done| Posting {
            chat: 1,
            answer: Answer::text("backed up"),
            key: "tuesday".into(),
            done,
        };
        let (tell, told) = bounded(1);
        world.post.send(posting(tell)).await.unwrap();
        let (_, body, done) = world.call().await;
        assert!(body.contains("backed up") && !body.contains("message_reference"));
        done.try_send(Ok(created(90))).unwrap();
        assert_eq!(told.recv().await, Ok((Fate::Delivered, 90)));
        let (tell, told) = bounded(1);
        world.post.send(posting(tell)).await.unwrap();
        assert!(told.recv().await.is_err(), "that was said before");
        let waiting = world.leave();
        assert!(waiting.take().await.is_none());
    });
}

#[test]
fn our_own_message_seen_by_everybody_is_proof_whatever_comes_of_the_call() {
    let state = Scratch::new();
    life(state.path(), |world| async move {
        world.admit(1, 10).await;
        world.answer(1, 10, "hi").await;
        let (_, _, done) = world.call().await;
        let id = ItemId { chat: chat(1), origin: Origin::Reply(10) };
        world.confirm.send((Nonce::of(id, 0), 90)).await.unwrap();
        while !world.confirm.is_empty() {
            smol::future::yield_now().await;
        }
        done.try_send(Err(Failure::Expired)).unwrap();
        let waiting = world.leave();
        assert!(waiting.take().await.is_none(), "it is not sent again");
    });
}

#[test]
fn a_chat_that_is_being_caught_up_on_waits_with_what_is_newer() {
    let state = Scratch::new();
    life(state.path(), |world| async move {
        world.ledger.borrow_mut().backlog.hold(chat(1));
        world.admit(1, 30).await;
        world.ledger.borrow_mut().inflight.admit_late(20).unwrap();
        world.admit.send(Request { late: true, ..request(1, 20) }).await.unwrap();
        world.admit(2, 40).await;
        assert_eq!(world.asked.recv().await.unwrap().id, 40, "other chats go on");
        world.release.send(chat(1)).await.unwrap();
        assert_eq!(world.asked.recv().await.unwrap().id, 20, "the older one first");
        for (to, id) in [(2, 40), (1, 20)] {
            world.answer(to, id, "").await;
        }
        assert_eq!(world.asked.recv().await.unwrap().id, 30);
        world.answer(1, 30, "").await;
        let waiting = world.leave();
        assert!(waiting.take().await.is_none());
    });
}

#[test]
fn an_order_is_carried_out_beside_agents_and_again_if_it_had_no_answer() {
    let state = Scratch::new();
    let order = |id| Request { text: "/new".into(), ..request(1, id) };
    let is_order = |asked: Asked, id| {
        let Asked::Said { command: Command::New, request } = asked else { panic!("no order") };
        assert_eq!(request.id, id);
    };
    life(state.path(), move |world| async move {
        world.admit(1, 4).await;
        world.asked.recv().await.unwrap();
        world.admit.send(order(5)).await.unwrap();
        is_order(world.ordered.recv().await.unwrap(), 5);
        // One that finds no room is told.
        world.admit.send(order(6)).await.unwrap();
        world.admit.send(order(7)).await.unwrap();
        let (_, body, done) = world.call().await;
        assert!(body.contains("Too many"), "{body}");
        done.send(Ok(created(90))).await.unwrap();
        world.end().await;
    });
    life(state.path(), move |world| async move {
        // What has no answer is carried out once more; what has one is not.
        is_order(world.ordered.recv().await.unwrap(), 5);
        world.answer(1, 5, "Done.").await;
        world.end().await;
    });
    let (world, _replies) = open(state.path());
    assert!(world.ordered.is_empty(), "each has its answer");
}

#[test]
fn what_is_shown_of_an_answer_becomes_its_first_part_and_so_it_does_after_a_crash() {
    let state = Scratch::new();
    let says = |text: &str| Told::Says { chat: chat(1), id: 10, text: text.into() };
    life(state.path(), move |world| async move {
        world.admit(1, 10).await;
        world.asked.recv().await.unwrap();
        world.tell.send(Told::Started { chat: chat(1), id: 10 }).await.unwrap();
        world.tell.send(says("one")).await.unwrap();
        let (route, body, done) = world.call().await;
        assert_eq!(route, Route::CreateMessage { channel: 1 });
        assert!(body.contains("one \u{2026}") && body.contains("enforce_nonce"), "{body}");
        done.send(Ok(created(55))).await.unwrap();
        world.tell.send(says("one two")).await.unwrap();
        let (route, body, done) = world.call().await;
        assert_eq!(route, Route::EditDraft { channel: 1, message: 55 });
        assert!(body.contains("one two \u{2026}"), "{body}");
        done.send(Ok(created(55))).await.unwrap();
        // It ends before the answer is there.
        drop(world.leave());
    });
    life(state.path(), move |world| async move {
        assert_eq!(world.asked.recv().await.unwrap().attempt, 1);
        world.answer(1, 10, "one two three four").await;
        let (route, body, done) = world.call().await;
        assert_eq!(route, Route::EditMessage { channel: 1, message: 55 });
        assert!(body.contains("\"one two\""), "{body}");
        done.send(Ok(created(55))).await.unwrap();
        let (route, body, done) = world.call().await;
        assert_eq!(route, Route::CreateMessage { channel: 1 });
        assert!(body.contains("\"three four\""), "{body}");
        done.send(Ok(created(56))).await.unwrap();
        world.end().await;
    });
}

#[test]
fn what_goes_into_another_turn_is_over_with_it() {
    let state = Scratch::new();
    life(state.path(), |world| async move {
        for id in [10, 11] {
            world.admit(1, id).await;
            world.asked.recv().await.unwrap();
        }
        let how = crate::core::turn::How::Collected;
        let joined = Told::Joined { chat: chat(1), id: 10, into: 11, how };
        world.tell.send(joined).await.unwrap();
        world.answer(1, 11, "both").await;
        let (_, _, done) = world.call().await;
        done.send(Ok(created(50))).await.unwrap();
        let ledger = world.ledger.clone();
        world.end().await;
        assert!(ledger.borrow().inflight.is_empty());
    });
    let (_, memory) = Journal::open(state.path(), "discord").unwrap();
    assert!(memory.inbox.requests().is_empty() && memory.answered.already(chat(1), 10));
}
