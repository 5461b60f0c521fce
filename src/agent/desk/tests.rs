//! The desk with echoing agents, some of them slow.

use std::time::Duration;

use super::*;
use crate::agent::Agent;
use crate::agent::echo::Echo;
use crate::base::limits::{TURN_DEADLINE, TURNS_QUEUED_PER_CHAT_MAX};
use crate::core::chat::sample::{chat, request};
use crate::core::person::Person;
use crate::core::turn::{Mode, Rule};
use crate::rt::executor;
use crate::rt::store::tests::Scratch;

fn staff(burn: Duration, deadline: Duration) -> Staff {
    let member = Member { agent: Agent::Echo(Echo { burn }), deadline, permits: Rc::default() };
    Staff::new(("main", member), Vec::new())
}

/// One whose turns last until they are stopped.
fn busy(spawner: &Spawner) -> Desk {
    let member = Member { agent: Agent::Hangs, deadline: TURN_DEADLINE, permits: Rc::default() };
    Desk::new(spawner, Staff::new(("main", member), Vec::new()), Sessions::default())
}

/// All that is told about `requests`.
fn story(burn: Duration, deadline: Duration, requests: Vec<Request>) -> Vec<Told> {
    executor::run(move |spawner| async move {
        let (asks, asked) = unbounded();
        let (told, listen) = unbounded();
        for request in requests {
            asks.try_send(request).unwrap();
        }
        drop(asks);
        let desk = Desk::new(&spawner, staff(burn, deadline), Sessions::default());
        desk.serve(asked, told).await;
        assert_eq!(desk.running(), 0);
        std::iter::from_fn(|| listen.try_recv().ok()).collect()
    })
}

fn answers(story: &[Told], of: u64) -> Vec<String> {
    let text = |told| match told {
        &Told::Answered { chat: at, ref answer, .. } if at == chat(of) => Some(answer.words()),
        _ => None,
    };
    story.iter().filter_map(text).collect()
}

#[test]
fn every_chat_is_answered_in_its_order() {
    let asked = [(1, 10), (1, 11), (2, 20), (1, 12)].map(|(to, id)| request(to, id));
    let story = story(Duration::ZERO, TURN_DEADLINE, asked.into());
    assert_eq!(answers(&story, 1), ["text 10", "text 11", "text 12"]);
    assert_eq!(answers(&story, 2), ["text 20"]);
    let mut under_way = Vec::new();
    for told in story {
        match told {
            Told::Started { chat, .. } => {
                assert!(!under_way.contains(&chat), "one turn per chat at a time");
                under_way.push(chat);
            }
            Told::Answered { chat, fault, .. } => {
                assert_eq!(fault, None);
                under_way.retain(|&other| other != chat);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_agent_that_takes_too_long_is_excused() {
    let story = story(Duration::from_millis(20), Duration::ZERO, vec![request(1, 10)]);
    let (answer, fault) = (Answer::text(Fault::TooSlow.apology()), Some(Fault::TooSlow));
    let answered = Told::Answered { chat: chat(1), id: 10, answer, fault };
    assert_eq!(story, [Told::Started { chat: chat(1), id: 10 }, answered]);
}

#[test]
fn a_busy_agent_answers_all_the_same() {
    let busy = Duration::from_millis(5);
    let story = story(busy, TURN_DEADLINE, vec![request(1, 10), request(2, 20)]);
    assert_eq!(
        (answers(&story, 1), answers(&story, 2)),
        (vec!["text 10".into()], vec!["text 20".into()])
    );
}

#[test]
fn a_message_too_many_is_refused_aloud() {
    let many = TURNS_QUEUED_PER_CHAT_MAX as u64 + 8;
    let asked = (0..many).map(|id| request(1, id)).collect();
    let story = story(Duration::from_millis(1), TURN_DEADLINE, asked);
    let refused = story.iter().filter(|told| matches!(told, Told::Refused { .. })).count();
    assert!(refused > 0);
    assert_eq!(answers(&story, 1).len() + refused, usize::try_from(many).unwrap());
}

#[test]
fn without_a_listener_it_ends() {
    executor::run(|spawner| async move {
        let (asks, asked) = unbounded();
        let (told, listen) = bounded(1);
        drop(listen);
        asks.try_send(request(1, 1)).unwrap();
        let desk = Desk::new(&spawner, staff(Duration::ZERO, TURN_DEADLINE), Sessions::default());
        desk.serve(asked, told).await;
        assert!(asks.is_closed());
    });
}

#[test]
fn an_account_that_goes_takes_its_turns_along_and_no_others() {
    executor::run(|spawner| async move {
        let desk = busy(&spawner);
        let (asks, asked) = unbounded();
        let (told, listen) = unbounded();
        let (there, theirs) = (desk.clone(), told.clone());
        let account =
            spawner.spawn(Tier::Wire, "account", async move { there.serve(asked, theirs).await });
        (1..=3).for_each(|id| asks.try_send(request(1, id)).unwrap());
        assert!(matches!(listen.recv().await, Ok(Told::Started { id: 1, .. })));
        let asking = desk.ask(Request { account: "other".into(), ..request(1, 4) });
        let mut asking = Box::pin(asking);
        assert!(smol::future::poll_once(&mut asking).await.is_none());
        assert_eq!(desk.running(), 2);
        account.cancel().await;
        assert_eq!(desk.running(), 1);
        drop(asking);
        assert_eq!(desk.running(), 0);
        drop(told);
        assert!(listen.recv().await.is_err(), "nothing more is told");
    });
}

#[test]
fn stop_ends_what_runs_and_what_waits_and_says_nothing_in_the_chat() {
    executor::run(|spawner| async move {
        let desk = busy(&spawner);
        let (asks, asked) = unbounded();
        let (told, listen) = unbounded();
        let there = desk.clone();
        let account =
            spawner.spawn(Tier::Wire, "account", async move { there.serve(asked, told).await });
        (1..=3).for_each(|id| asks.try_send(request(1, id)).unwrap());
        assert!(matches!(listen.recv().await, Ok(Told::Started { id: 1, .. })));
        assert_eq!(desk.stop("another", chat(1)).await, Ended { running: false, waiting: 0 });
        assert_eq!(desk.stop("default", chat(1)).await, Ended { running: true, waiting: 2 });
        for id in 1..=3 {
            let (answer, fault) = (Answer::default(), Some(Fault::Stopped));
            let stopped = Told::Answered { chat: chat(1), id, answer, fault };
            assert_eq!(listen.recv().await, Ok(stopped));
        }
        asks.try_send(request(1, 4)).unwrap();
        assert_eq!(listen.recv().await, Ok(Told::Started { chat: chat(1), id: 4 }));
        desk.stop("default", chat(1)).await;
        drop(asks);
        account.await;
    });
}

#[test]
fn who_asks_outside_of_a_channel_is_answered_too() {
    executor::run(|spawner| async move {
        let usual = Member {
            agent: Agent::Echo(Echo::default()),
            deadline: TURN_DEADLINE,
            permits: Rc::default(),
        };
        let slow = Member { agent: Agent::Hangs, deadline: Duration::ZERO, permits: Rc::default() };
        let staff = Staff::new(("main", usual), vec![("slow".into(), slow)]);
        let desk = Desk::new(&spawner, staff, Sessions::default());
        assert_eq!(desk.ask(request(1, 1)).await, Ok(Answer::text("text 1")));
        let of_slow = Request { agent: "slow".into(), ..request(1, 2) };
        assert_eq!(desk.ask(of_slow).await, Err(Fault::TooSlow), "agents are found by name");
        let of_nobody = Request { agent: "nobody".into(), ..request(1, 3) };
        assert_eq!(desk.ask(of_nobody).await, Ok(Answer::text("text 3")), "the usual one answers");
        let asked = request(1, 1);
        let (key, room) = (desk.key(&asked), Room::of(&asked));
        assert_eq!(desk.renew(&key, &room).await, 1);
        assert_eq!(desk.renew(&key, &room).await, 2);
    });
}

/// What comes while the first of `asked` is being answered, by `rule`; all that is told, in words.
fn meanwhile(rule: Rule, asked: &'static [u64]) -> Vec<String> {
    executor::run(move |spawner| async move {
        let (asks, asking) = unbounded();
        let (told, listen) = unbounded();
        let slow = Duration::from_millis(200);
        let desk = Desk::new(&spawner, staff(slow, TURN_DEADLINE), Sessions::default());
        desk.apply(Rules { usual: rule, ..Rules::default() });
        let there = desk.clone();
        let account =
            spawner.spawn(Tier::Wire, "account", async move { there.serve(asking, told).await });
        let mut story = Vec::new();
        let mut rest = asked.iter();
        asks.try_send(request(1, *rest.next().unwrap())).unwrap();
        while let Ok(next) = listen.recv().await {
            if matches!(next, Told::Started { .. }) {
                rest.by_ref().for_each(|&id| asks.try_send(request(1, id)).unwrap());
                asks.close();
            }
            story.push(match next {
                Told::Started { id, .. } => format!("{id} begins"),
                Told::Joined { id, into, how, .. } => format!("{id} with {into}: {}", how.name()),
                Told::Answered { id, answer, .. } => {
                    format!("{id}: {}", answer.words().replace("text ", "").replace('\n', " "))
                }
                Told::Refused { id, .. } => format!("{id} refused"),
                other => panic!("{other:?}"),
            });
        }
        account.await;
        story
    })
}

#[test]
fn what_comes_meanwhile_goes_by_the_rule_and_whoever_cannot_hear_lets_it_wait() {
    let rule = |mode| Rule { mode, ..Rule::default() };
    let alone = ["1 begins", "1: 1", "2 begins", "2: 2", "3 begins", "3: 3"];
    assert_eq!(meanwhile(rule(Mode::Queue), &[1, 2, 3]), alone);
    assert_eq!(meanwhile(rule(Mode::Steer), &[1, 2, 3]), alone);
    assert_eq!(
        meanwhile(rule(Mode::Collect), &[1, 2, 3]),
        ["1 begins", "1: 1", "2 with 3: collected", "3 begins", "3: 2 3"]
    );
    let broken = meanwhile(rule(Mode::Interrupt), &[1, 2]);
    assert_eq!(broken, ["1 begins", "1 with 2: interrupted", "2 begins", "2: 1 2"]);
    let few = Rule { cap: 1, ..rule(Mode::Queue) };
    let refused = ["1 begins", "3 refused", "1: 1", "2 begins", "2: 2"];
    assert_eq!(meanwhile(few, &[1, 2, 3]), refused);
}

#[test]
fn a_burst_is_one_turn() {
    executor::run(|spawner| async move {
        let (asks, asking) = unbounded();
        let (told, listen) = unbounded();
        let desk = Desk::new(&spawner, staff(Duration::ZERO, TURN_DEADLINE), Sessions::default());
        let pause = Duration::from_millis(300);
        desk.apply(Rules { usual: Rule { pause, ..Rule::default() }, ..Rules::default() });
        let account =
            spawner.spawn(Tier::Wire, "account", async move { desk.serve(asking, told).await });
        (1..=3).for_each(|id| asks.try_send(request(1, id)).unwrap());
        let joined = |id| Told::Joined { chat: chat(1), id, into: 3, how: How::Burst };
        assert_eq!(listen.recv().await, Ok(joined(1)));
        assert_eq!(listen.recv().await, Ok(joined(2)));
        assert_eq!(listen.recv().await, Ok(Told::Started { chat: chat(1), id: 3 }));
        let answer = Answer::text("text 1\ntext 2\ntext 3");
        let answered = Told::Answered { chat: chat(1), id: 3, answer, fault: None };
        assert_eq!(listen.recv().await, Ok(answered));
        drop(asks);
        account.await;
    });
}

#[test]
fn each_word_is_kept_as_its_author_s_and_the_answer_as_everybody_s() {
    let state = Scratch::new();
    let path = state.path().to_owned();
    executor::run(move |spawner| async move {
        let store = Store::open(&spawner, &path);
        let staff = staff(Duration::ZERO, TURN_DEADLINE);
        let desk = Desk::keeping(&spawner, staff, Sessions::default(), Some(store.clone()));
        let by = |author, id| Request { author, guild: Some(9), ..request(1, id) };
        let mut asked = by(8, 12);
        asked.take_along(&by(7, 11));
        desk.ask(asked).await.unwrap();
        desk.ask(by(8, 13)).await.unwrap();
        let of = |id| Person { channel: ChannelKind::Discord, id };
        let texts = async |id| -> Vec<String> {
            let kept = store.of_person(of(id), 0, 1 << 16).await;
            kept.lines.into_iter().map(|(_, line)| line.text.into()).collect()
        };
        let both = "text 11\ntext 12";
        assert_eq!(texts(7).await, ["text 11", both]);
        assert_eq!(texts(8).await, ["text 12", both, "text 13", "text 13"]);
        assert!(store.without(of(7)).await.is_some());
        assert_eq!(texts(8).await, ["text 12", "text 13", "text 13"]);
    });
}
