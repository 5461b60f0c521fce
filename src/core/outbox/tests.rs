use super::*;
use crate::base::limits::{OUTBOX_PER_CHAT_MAX, OUTBOX_TTL};
use crate::core::answer::File;
use crate::core::chat::ChannelKind;
use std::time::Duration;

fn chat(id: u64) -> ChatId {
    ChatId { channel: ChannelKind::Discord, id }
}

fn reply(to: u64, id: u64) -> ItemId {
    ItemId { chat: chat(to), origin: Origin::Reply(id) }
}

fn outbox(chars_max: usize) -> Outbox {
    let policy = Policy { burst_protection: false, ..Policy::default() };
    Outbox::new(chars_max, policy)
}

/// Takes in a reply, and has it kept at once.
fn add(outbox: &mut Outbox, now: Instant, id: ItemId, text: &str) -> Vec<Output> {
    outbox.add(now, Wall(0), id, Answer::text(text), true);
    keep(outbox, now)
}

/// All outputs, as if the disk were fast.
fn keep(outbox: &mut Outbox, now: Instant) -> Vec<Output> {
    let mut outputs = Vec::new();
    while let Some(output) = outbox.poll() {
        match output {
            Output::Keep { ticket, .. } => outbox.kept(now, ticket),
            other => outputs.push(other),
        }
    }
    outputs
}

fn texts(outputs: &[Output]) -> Vec<&str> {
    let sends = outputs.iter().filter_map(|output| match output {
        Output::Send(send) => Some(send),
        _ => None,
    });
    sends
        .filter_map(|send| match &send.unit {
            Unit::Say { text, .. } => Some(&**text),
            _ => None,
        })
        .collect()
}

fn sends(outputs: &[Output]) -> Vec<&Send> {
    let mut sends = Vec::new();
    for output in outputs {
        if let Output::Send(send) = output {
            sends.push(&**send);
        }
    }
    sends
}

fn settled(outputs: &[Output]) -> Vec<(ItemId, Fate)> {
    let settled = |output: &Output| match output {
        Output::Settled { id, fate, .. } => Some((*id, *fate)),
        _ => None,
    };
    outputs.iter().filter_map(settled).collect()
}

fn dropped(outbox: &Outbox, why: Why) -> u64 {
    outbox.dropped_total().find(|(other, _)| *other == why).unwrap().1
}

const NOW: Instant = Instant(1);

#[test]
fn a_chat_gets_its_parts_one_by_one_and_is_settled_after_the_last() {
    let mut outbox = outbox(3);
    assert_eq!(texts(&add(&mut outbox, NOW, reply(1, 10), "onetwosix")), ["one"]);
    assert!(add(&mut outbox, NOW, reply(1, 11), "end").is_empty());
    outbox.delivered(NOW, chat(1), 90);
    assert_eq!(texts(&keep(&mut outbox, NOW)), ["two"]);
    outbox.delivered(NOW, chat(1), 91);
    assert_eq!(texts(&keep(&mut outbox, NOW)), ["six"]);
    outbox.delivered(NOW, chat(1), 92);
    let outputs = keep(&mut outbox, NOW);
    assert_eq!(settled(&outputs), [(reply(1, 10), Fate::Delivered)]);
    assert!(matches!(outputs[1], Output::Settled { message: 92, .. }), "our newest message");
    assert_eq!(texts(&outputs), ["end"]);
    outbox.delivered(NOW, chat(1), 93);
    assert_eq!(settled(&keep(&mut outbox, NOW)), [(reply(1, 11), Fate::Delivered)]);
    assert!(outbox.is_empty());
    let counts = outbox.counts();
    assert_eq!((counts.delivered, counts.depth, outbox.waiting, outbox.bytes), (4, 0, 0, 0));
}

#[test]
fn nothing_goes_out_before_it_is_kept() {
    let mut outbox = outbox(2000);
    outbox.add(NOW, Wall(0), reply(1, 10), Answer::text("a"), true);
    outbox.add(NOW, Wall(0), reply(2, 20), Answer::text("b"), true);
    let outputs: Vec<Output> = std::iter::from_fn(|| outbox.poll()).collect();
    assert!(matches!(
        outputs[..],
        [Output::Keep { ticket: 1, .. }, Output::Keep { ticket: 2, .. }]
    ));
    outbox.kept(NOW, 1);
    assert_eq!(texts(&keep(&mut outbox, NOW)), ["a"]);
    outbox.kept(NOW, 2);
    assert_eq!(texts(&keep(&mut outbox, NOW)), ["b"]);
}

#[test]
fn a_reply_that_was_refused_takes_the_rest_of_itself_along_and_no_other() {
    let mut outbox = outbox(3);
    add(&mut outbox, NOW, reply(1, 10), "onetwosix");
    add(&mut outbox, NOW, reply(1, 11), "end");
    outbox.failed(NOW, chat(1), Why::Rejected);
    let outputs = keep(&mut outbox, NOW);
    assert_eq!(settled(&outputs), [(reply(1, 10), Fate::Dropped(Why::Rejected))]);
    assert_eq!(texts(&outputs), ["end"]);
    assert_eq!(dropped(&outbox, Why::Rejected), 3);
}

#[test]
fn a_chat_that_is_gone_takes_all_along_and_is_left_alone_for_a_while() {
    let mut outbox = outbox(3);
    add(&mut outbox, NOW, reply(1, 10), "onetwosix");
    add(&mut outbox, NOW, reply(1, 11), "end");
    outbox.failed(NOW, chat(1), Why::Forbidden);
    let fate = Fate::Dropped(Why::Forbidden);
    assert_eq!(
        settled(&keep(&mut outbox, NOW)),
        [(reply(1, 10), fate), (reply(1, 11), fate)],
        "none is tried"
    );
    let outputs = add(&mut outbox, NOW, reply(1, 12), "more");
    assert_eq!((settled(&outputs), sends(&outputs).len()), (vec![(reply(1, 12), fate)], 0));
    assert_eq!(texts(&add(&mut outbox, NOW, reply(2, 20), "hi")), ["hi"], "others go on");
    let later = NOW + OUTBOX_CHAT_CLOSED;
    assert_eq!(texts(&add(&mut outbox, later, reply(1, 13), "now")), ["now"]);
}

#[test]
fn what_went_stale_behind_another_is_not_sent() {
    let mut outbox = outbox(2000);
    add(&mut outbox, NOW, reply(1, 1), "slow");
    add(&mut outbox, NOW, reply(1, 2), "stale");
    let later = NOW + OUTBOX_TTL;
    add(&mut outbox, later, reply(1, 3), "fresh");
    outbox.delivered(later, chat(1), 9);
    let outputs = keep(&mut outbox, later);
    let fates = [(reply(1, 1), Fate::Delivered), (reply(1, 2), Fate::Dropped(Why::Expired))];
    assert_eq!(settled(&outputs), fates);
    assert_eq!(texts(&outputs), ["fresh"]);
}

#[test]
fn a_full_queue_drops_the_newest_and_says_so() {
    let mut outbox = outbox(2);
    add(&mut outbox, NOW, reply(1, 1), &"x".repeat(2 * (OUTBOX_PER_CHAT_MAX + 7)));
    assert_eq!(dropped(&outbox, Why::Full), 7);
    add(&mut outbox, NOW, reply(1, 2), "yyzz");
    let outputs = add(&mut outbox, NOW, reply(1, 3), "q");
    assert_eq!(settled(&outputs), [(reply(1, 3), Fate::Dropped(Why::Full))], "2 got the place");
    assert_eq!(add(&mut outbox, NOW, reply(2, 4), "other chats have room").len(), 1);
    for _ in 0..OUTBOX_PER_CHAT_MAX - 1 {
        outbox.delivered(NOW, chat(1), 9);
    }
    keep(&mut outbox, NOW);
    outbox.delivered(NOW, chat(1), 9);
    let fate = Fate::Dropped(Why::Full);
    assert_eq!(settled(&keep(&mut outbox, NOW)), [(reply(1, 1), fate)], "some of it was");
}

#[test]
fn large_files_have_a_bound_of_their_own() {
    let mut outbox = outbox(2000);
    let file = || File { name: "f".into(), bytes: vec![0; 9 * 1024 * 1024] };
    for id in 1..=3 {
        let answer = Answer { acts: vec![Act::Say { text: "t".into(), files: vec![file()] }] };
        outbox.add(NOW, Wall(0), reply(1, id), answer, true);
    }
    assert_eq!(dropped(&outbox, Why::Full), 1);
    assert!(outbox.bytes <= OUTBOX_BYTES_MAX);
}

#[test]
fn a_reply_of_nothing_is_settled_at_once() {
    let mut outbox = outbox(2000);
    let outputs = add(&mut outbox, NOW, reply(1, 1), " \n ");
    assert_eq!(settled(&outputs), [(reply(1, 1), Fate::Silent)]);
    assert!(outbox.is_empty());
}

#[test]
fn to_drop_means_that_nothing_waits() {
    let policy = Policy { queues: false, ..Policy::default() };
    let mut outbox = Outbox::new(3, policy);
    let outputs = add(&mut outbox, NOW, reply(1, 1), "onetwo");
    assert_eq!(sends(&outputs)[0].deadline, NOW + OUTBOX_DROP_PATIENCE);
    let limited = Fate::Dropped(Why::Limited);
    assert_eq!(settled(&add(&mut outbox, NOW, reply(1, 2), "x")), [(reply(1, 2), limited)]);
    outbox.delivered(NOW, chat(1), 9);
    assert_eq!(texts(&keep(&mut outbox, NOW)), ["two"], "one reply is not its own hindrance");
    outbox.failed(NOW, chat(1), Why::Expired);
    assert_eq!(settled(&keep(&mut outbox, NOW)), [(reply(1, 1), limited)]);
    assert_eq!(dropped(&outbox, Why::Limited), 2);
}

#[test]
fn a_burst_over_many_chats_is_spaced_and_chats_take_turns() {
    let mut outbox = Outbox::new(3, Policy::default());
    let many = u64::from(OUTBOX_BURST) + 5;
    let mut outputs = Vec::new();
    for to in 1..=many {
        outputs.extend(add(&mut outbox, NOW, reply(to, to), "onetwo"));
    }
    assert_eq!(texts(&outputs).len(), OUTBOX_BURST as usize);
    outbox.delivered(NOW, chat(1), 9);
    let room = outbox.deadline().unwrap();
    assert!(room > NOW);
    let mut now = room;
    let mut order = Vec::new();
    while order.len() < 6 {
        outbox.expire(now);
        order.extend(sends(&keep(&mut outbox, now)).iter().map(|send| (send.chat.id, send.index)));
        now = outbox.deadline().unwrap_or(now + Duration::from_secs(1));
    }
    let waited = many - 4..=many;
    let expected: Vec<_> = waited.map(|to| (to, 0)).chain([(1, 1)]).collect();
    assert_eq!(order, expected, "who has just spoken stands behind those who have not");
}

#[test]
fn an_answer_reacts_opens_a_thread_and_goes_on_there() {
    let mut outbox = outbox(2000);
    let say = |text: &str| Act::Say { text: text.into(), files: vec![] };
    let acts = vec![
        Act::React { to: None, emoji: "👍".into() },
        say("first"),
        Act::Thread { name: "more".into() },
        say("second"),
    ];
    outbox.add(NOW, Wall(0), reply(1, 10), Answer { acts }, true);
    let mut seen = Vec::new();
    for message in 90..94 {
        for send in sends(&keep(&mut outbox, NOW)) {
            seen.push((send.to, send.reply_to, send.index));
        }
        outbox.delivered(NOW, chat(1), message);
    }
    let expected = [(1, Some(10), 0), (1, Some(10), 1), (1, None, 2), (10, None, 3)];
    assert_eq!(seen, expected);
    assert_eq!(settled(&keep(&mut outbox, NOW)), [(reply(1, 10), Fate::Delivered)]);
}

#[test]
fn what_a_chat_does_not_have_is_left_out_and_told() {
    let mut outbox = outbox(2000);
    let say = |text: &str| Act::Say { text: text.into(), files: vec![] };
    let acts = vec![Act::Thread { name: "more".into() }, say("hi")];
    outbox.add(NOW, Wall(0), reply(1, 10), Answer { acts: acts.clone() }, false);
    let outputs = keep(&mut outbox, NOW);
    assert!(matches!(outputs[0], Output::Skipped { what: Skipped::NoThreads, .. }));
    assert_eq!(texts(&outputs), ["hi"]);
    // Where it turns out later, what follows is said in the chat itself.
    outbox.add(NOW, Wall(0), reply(2, 20), Answer { acts }, true);
    assert_eq!(sends(&keep(&mut outbox, NOW)).len(), 1);
    outbox.failed(NOW, chat(2), Why::Forbidden);
    let outputs = keep(&mut outbox, NOW);
    let told = Skipped::Thread(Why::Forbidden);
    assert!(outputs.iter().any(|o| matches!(o, Output::Skipped { what, .. } if *what == told)));
    assert_eq!(sends(&outputs)[0].to, 2);
    outbox.delivered(NOW, chat(2), 9);
    assert_eq!(settled(&keep(&mut outbox, NOW)), [(reply(2, 20), Fate::Delivered)]);
}

#[test]
fn answers_point_at_what_they_answer_as_configured() {
    for (mode, expected) in [
        (ReplyTo::Off, [None, None]),
        (ReplyTo::First, [Some(10), None]),
        (ReplyTo::All, [Some(10), Some(10)]),
    ] {
        let mut outbox = outbox(3);
        outbox.apply(3, Policy::default(), mode);
        let first = sends(&add(&mut outbox, NOW, reply(1, 10), "onetwo"))[0].reply_to;
        outbox.delivered(NOW, chat(1), 9);
        let second = sends(&keep(&mut outbox, NOW))[0].reply_to;
        assert_eq!([first, second], expected, "{mode:?}");
    }
}

#[test]
fn the_same_key_says_nothing_twice() {
    let mut outbox = outbox(2000);
    let id = ItemId { chat: chat(1), origin: Origin::own("backup of tuesday") };
    let hello = || Answer::text("done");
    assert_eq!(outbox.add(NOW, Wall(0), id, hello(), false), Added::New);
    assert_eq!(outbox.add(NOW, Wall(0), id, hello(), false), Added::Known, "under way");
    let outputs = keep(&mut outbox, NOW);
    assert_eq!((sends(&outputs).len(), sends(&outputs)[0].reply_to), (1, None));
    outbox.delivered(NOW, chat(1), 9);
    assert_eq!(outbox.add(NOW, Wall(0), id, hello(), false), Added::Known, "over");
    let mut next = self::outbox(2000);
    outbox.own().for_each(|id| next.remember_own(id));
    assert_eq!(next.add(NOW, Wall(0), id, hello(), false), Added::Known, "in the next life");
}

#[test]
fn what_the_service_told_everybody_has_arrived() {
    let mut outbox = outbox(3);
    add(&mut outbox, NOW, reply(1, 10), "onetwosix");
    assert!(outbox.confirmed(Nonce::of(reply(1, 10), 0), 77));
    assert!(!outbox.confirmed(Nonce::of(reply(1, 10), 1), 78), "that was not sent yet");
    outbox.failed(NOW, chat(1), Why::Lost);
    let outputs = keep(&mut outbox, NOW);
    assert_eq!(texts(&outputs), ["two"], "the first is not sent again");
    assert!(matches!(outputs[0], Output::Arrived { message: 77, .. }));
}

#[test]
fn after_a_while_it_is_looked_whether_it_arrived() {
    let mut outbox = outbox(2000);
    add(&mut outbox, NOW, reply(1, 10), "one");
    let soon = NOW + Duration::from_secs(5);
    outbox.failed(soon, chat(1), Why::Lost);
    outbox.expire(soon + OUTBOX_RETRY);
    assert_eq!(texts(&keep(&mut outbox, soon)), ["one"], "the nonce is remembered");
    let later = NOW + OUTBOX_SLICE;
    outbox.failed(later, chat(1), Why::Expired);
    outbox.expire(later + OUTBOX_RETRY);
    let later = later + OUTBOX_RETRY;
    let outputs = keep(&mut outbox, later);
    assert!(matches!(outputs[..], [Output::Look { after: 10, .. }]), "{outputs:?}");
    outbox.unseen(later, chat(1), false);
    outbox.expire(later + OUTBOX_RETRY);
    assert!(matches!(keep(&mut outbox, later)[..], [Output::Look { .. }]), "still not known");
    outbox.absent(later, chat(1));
    assert_eq!(texts(&keep(&mut outbox, later)), ["one"]);
    outbox.delivered(later, chat(1), 9);
    assert_eq!(settled(&keep(&mut outbox, later)), [(reply(1, 10), Fate::Delivered)]);
    assert_eq!(outbox.counts().looked, 2);
}

fn kept_item(outbox: &mut Outbox, wall: Wall) -> Item {
    outbox.add(NOW, wall, reply(1, 10), Answer::text("one"), true);
    match outbox.poll() {
        Some(Output::Keep { item, .. }) => *item,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_next_life_sends_what_is_fresh_and_looks_for_what_is_not() {
    let item = kept_item(&mut outbox(2000), Wall(1_000_000));
    let at = |seconds: u64| Wall(1_000_000 + seconds * 1000);
    let life = |wall: Wall| {
        let mut next = outbox(2000);
        next.restore(NOW, wall, item.clone());
        keep(&mut next, NOW)
    };
    let fresh = life(at(5));
    assert_eq!(texts(&fresh), ["one"]);
    assert_eq!(sends(&fresh)[0].nonce, Nonce::of(reply(1, 10), 0), "the same nonce");
    assert!(matches!(life(at(100))[..], [Output::Look { .. }]));
    let expired = life(at(OUTBOX_TTL.as_secs()));
    assert_eq!(settled(&expired), [(reply(1, 10), Fate::Dropped(Why::Expired))]);
    // A clock that was set back makes nothing live for ever, and tells nothing of its age.
    let Output::Look { send, .. } = &life(Wall(0))[0] else { panic!("sent without a look") };
    assert!(send.deadline <= NOW + OUTBOX_SLICE);
}

#[test]
fn a_token_that_is_refused_is_named_at_the_end() {
    let mut outbox = outbox(2000);
    add(&mut outbox, NOW, reply(1, 10), "one");
    outbox.failed(NOW, chat(1), Why::Unauthorized);
    assert!(keep(&mut outbox, NOW).is_empty(), "it may be accepted again");
    let end = NOW + OUTBOX_TTL;
    outbox.expire(end);
    let fate = Fate::Dropped(Why::Unauthorized);
    assert_eq!(settled(&keep(&mut outbox, end)), [(reply(1, 10), fate)]);
}

#[test]
fn an_item_whose_end_was_not_written_is_settled_and_holds_up_nothing() {
    let wall = Wall(1_000_000);
    let mut item = kept_item(&mut outbox(2000), wall);
    (item.index, item.has_spoken, item.newest) = (1, true, 7);
    item.units.clear();
    let mut next = outbox(2000);
    next.restore(NOW, wall, item);
    assert_eq!(settled(&keep(&mut next, NOW)), [(reply(1, 10), Fate::Delivered)]);
    let outputs = add(&mut next, NOW, reply(1, 11), "two");
    assert_eq!(texts(&outputs), ["two"]);
    assert!(next.counts().depth == 1 && !next.is_empty());
}
