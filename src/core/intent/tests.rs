//! That scores are what they should be of everything that can come.

use proptest::prelude::*;

use super::memory::Memory;
use super::opinion::{Mark, Reaction};
use super::*;
use crate::base::Wall;
use crate::base::limits::{
    INTENT_BIAS_MAX, INTENT_BIAS_STEP, INTENT_BYTES_MAX, INTENT_CHATS_MAX, INTENT_LATELY_MAX,
    TEXT_BYTES_MAX,
};
use crate::core::access::Found;
use crate::core::chat::ChatId;
use crate::core::chat::sample::{chat, inbound};

/// The id of message `at`, so many seconds after the first.
fn id(at: u64, seconds: u64) -> u64 {
    ((600_000_000 + seconds * 1000) << 22) + at
}

fn named() -> Names {
    Names::of(["Barney"])
}

fn cues(text: &str) -> Features {
    Memory::default().features(&Inbound { text, ..inbound() }, &named())
}

fn permille(text: &str) -> u16 {
    score(cues(text), 0).permille
}

#[test]
fn every_cue_has_a_bit_a_weight_and_a_sentence() {
    assert!(Cue::ALL.len() <= 128, "a bit of one number, and seven bits in the trail");
    for (at, &cue) in Cue::ALL.iter().enumerate() {
        assert_eq!(cue as usize, at);
        assert!(!cue.text().is_empty());
        assert!(Features::default().with(cue, true).has(cue));
    }
    assert_eq!(weights::WEIGHTS.len(), Cue::ALL.len());
    assert!(weights::of(Cue::Mention) > 0 && weights::of(Cue::ReplyUs) >= 0);
}

#[test]
fn a_question_by_name_is_for_us_and_talk_about_us_is_not() {
    assert!(permille("Barney, how do I list the open ports?") > 900);
    assert!(permille("hey barney can you explain what a monad is") > 900);
    assert!(permille("I told Barney about it yesterday") < 700);
    assert!(permille("lol") < 500 && permille("😂") < 500 && permille("thanks tom!") < 500);
}

#[test]
fn words_are_known_without_case_accents_and_apostrophes() {
    assert!(cues("KÖNNTEST DU das erklären?").has(Cue::CanYou));
    assert!(cues("¿Cómo se hace?").has(Cue::HowTo));
    assert!(cues("What’s a monad").has(Cue::HowTo) && cues("whats a monad").has(Cue::HowTo));
    assert!(cues("Can you?").has(Cue::CanYou) && cues("did you eat").has(Cue::DoYou));
    assert!(cues("você sabe como fazer isso").has(Cue::You));
    assert!(cues("```\nwhy\n```").has(Cue::NoWords));
    assert!(cues("<@77> really?").has(Cue::MentionOther));
    assert!(!cues("<:what:77>").has(Cue::AsksHow) && cues("@everyone hi").has(Cue::Group));
    assert!(cues("see https://a.example/?what").has(Cue::Attached));
    assert!(!cues("see https://a.example/?what").has(Cue::QuestionInside));
}

#[test]
fn our_name_counts_where_somebody_is_spoken_to() {
    for spoken in
        ["Barney why?", "hey BARNEY what is it", "nope. barney, any idea", "is it, barney?"]
    {
        assert!(cues(spoken).has(Cue::Named), "{spoken}");
    }
    for third in
        ["ask barney", "Barney's idea was good", "I like what barney said", "barney is great"]
    {
        assert!(cues(third).has(Cue::NameThird), "{third}");
    }
    assert!(!cues("barnacle why").has(Cue::Named));
}

/// Ann asks, we answer her, and then somebody says something.
fn after_an_answer(author: u64, text: &str) -> Score {
    let mut memory = Memory::default();
    let asked = Inbound { id: id(1, 0), text: "Barney, what is a port?", ..inbound() };
    memory.hear(&asked, true);
    let ours = Inbound { id: id(2, 5), author: 1, from_self: true, text: "A door.", ..inbound() };
    memory.hear(&Inbound { reply_to: Some(asked.id), ..ours }, false);
    let next = Inbound { id: id(3, 20), author, author_name: "ben", text, ..inbound() };
    score(memory.features(&next, &named()), 0)
}

#[test]
fn who_was_answered_may_go_on_without_a_name() {
    let ann = inbound().author;
    assert!(after_an_answer(ann, "and how do I close it?").permille > 800);
    let (same, other) = (after_an_answer(ann, "and for UDP?"), after_an_answer(8, "and for UDP?"));
    assert!(same.permille > other.permille, "{same:?} {other:?}");
    assert!(after_an_answer(ann, "thanks!").permille < 700);
}

#[test]
fn a_reply_to_us_is_told_from_one_to_others() {
    let mut memory = Memory::default();
    let ours = Inbound { id: id(1, 0), author: 1, from_self: true, ..inbound() };
    memory.hear(&ours, false);
    memory.hear(&Inbound { id: id(2, 9), author: 8, author_name: "Tom K", ..inbound() }, false);
    let reply = |to| Inbound { id: id(3, 20), reply_to: Some(to), ..inbound() };
    let of = |inbound: &Inbound<'_>| memory.features(inbound, &named());
    assert!(of(&reply(ours.id)).has(Cue::ReplyUs) && !of(&reply(ours.id)).has(Cue::ReplyOther));
    assert!(of(&reply(id(2, 9))).has(Cue::ReplyOther));
    assert!(of(&reply(77)).has(Cue::ReplyOther), "what is forgotten is most likely not ours");
    let named = Inbound { id: id(3, 20), text: "tom, is it?", ..inbound() };
    assert!(of(&named).has(Cue::OtherNamed));
}

#[test]
fn the_name_under_which_we_write_is_learned() {
    let mut memory = Memory::default();
    let asks = Inbound { id: id(9, 99), text: "Quincy what is a port", ..inbound() };
    assert!(!memory.features(&asks, &named()).has(Cue::Named));
    memory.call("Ruth");
    let ruth = Inbound { text: "Ruth what is a port", ..asks };
    assert!(memory.features(&ruth, &named()).has(Cue::Named));
    let ours = Inbound { author_name: "Quincy 🤖", author: 1, from_self: true, ..inbound() };
    memory.hear(&ours, false);
    assert!(memory.features(&asks, &named()).has(Cue::Named));
    assert_eq!(shape::name("ab"), None, "too short to be told from a word");
}

#[test]
fn reactions_shift_a_chats_scores_within_bounds_and_no_other_chats() {
    let mut memory = Memory::default();
    let (here, there) = (chat(5), chat(6));
    let doubtful = cues("is it still on");
    let lean = |memory: &Memory| (memory.bias(here, NOW), memory.bias(there, NOW));
    // Whatever is thought by however many of however many answers.
    let mut all = |mark| {
        for number in 0..100 {
            let ours = answer(&mut memory, here, number);
            for author in 0..100 {
                let vote = Reaction { chat: here, message: ours, author, mark };
                memory.opinions.react(NOW, vote, true);
            }
        }
        lean(&memory)
    };
    assert_eq!(all(Mark::Down), (-INTENT_BIAS_MAX, 0));
    assert_eq!(all(Mark::Up), (INTENT_BIAS_MAX, 0));
    let permille = |features, bias| score(features, bias).permille;
    let (least, most) = (-INTENT_BIAS_MAX, INTENT_BIAS_MAX);
    assert!(permille(doubtful, least) < permille(doubtful, most));
    let clear = cues("Barney, how do I list the open ports?");
    assert!(permille(clear, least) >= 700, "what is clear stays so");
    assert!(permille(cues("lol"), most) < 700);
}

const NOW: Wall = Wall(2_000_000_000_000);

/// Somebody asks in `chat` without naming us, and is answered; gives the answer's id.
fn answer(memory: &mut Memory, chat: ChatId, number: u64) -> u64 {
    let asked = Inbound { chat, id: id(2 * number, number), ..inbound() };
    memory.hear(&asked, true);
    let ours = id(2 * number + 1, number);
    let reply_to = Some(asked.id);
    let said = Inbound { id: ours, author: 1, from_self: true, reply_to, ..asked };
    memory.hear(&said, false);
    ours
}

#[test]
fn only_where_we_had_to_judge_does_a_reaction_count() {
    let mut memory = Memory::default();
    let down = |message| Reaction { chat: chat(5), message, author: 8, mark: Mark::Down };
    let react = |memory: &mut Memory, vote: Reaction| memory.opinions.react(NOW, vote, true);
    let ours = answer(&mut memory, chat(5), 1);
    assert_eq!(react(&mut memory, down(ours)), Heard::Counted);
    // Whoever names us means us, and thinks of the answer.
    let asked = Inbound { id: id(50, 50), mentions_us: true, ..inbound() };
    memory.hear(&asked, true);
    let said = Inbound { id: id(51, 51), author: 1, from_self: true, ..asked };
    memory.hear(&said, false);
    assert_eq!(react(&mut memory, down(said.id)), Heard::Unjudged);
    // People nod at one another; what we let pass is told by a sign of its own.
    let passed = Inbound { id: id(60, 60), ..inbound() };
    memory.hear(&passed, false);
    memory.passed(passed.chat, passed.id);
    for mark in [Mark::Down, Mark::Up] {
        let vote = Reaction { mark, ..down(passed.id) };
        assert_eq!(react(&mut memory, vote), Heard::Unjudged);
    }
    let meant = Reaction { mark: Mark::Meant, ..down(passed.id) };
    assert_eq!(react(&mut memory, meant), Heard::Counted);
    assert_eq!(memory.bias(chat(5), NOW), 0, "they cancel out");
    assert_eq!(memory.opinions.react(NOW, down(ours), false), Heard::Stranger);
}

#[test]
fn an_answer_in_several_parts_and_after_much_chatter_is_one_answer() {
    let mut memory = Memory::default();
    let asked = Inbound { id: id(0, 0), ..inbound() };
    memory.hear(&asked, true);
    for number in 1..=2 * INTENT_LATELY_MAX as u64 {
        memory.hear(&Inbound { id: id(number, number), author: 8, ..asked }, false);
    }
    for (number, reply_to) in [(101, Some(asked.id)), (102, None)] {
        let ours = Inbound { id: id(number, number), author: 1, from_self: true, ..asked };
        memory.hear(&Inbound { reply_to, ..ours }, false);
        let vote = Reaction { chat: chat(5), message: ours.id, author: 8, mark: Mark::Down };
        assert_eq!(memory.opinions.react(NOW, vote, true), Heard::Counted);
    }
    assert_eq!(memory.bias(chat(5), NOW), -INTENT_BIAS_STEP);
    let more = Inbound { id: id(103, 103), text: "and how do I close it?", ..asked };
    assert!(memory.features(&more, &named()).has(Cue::FollowSame), "it was answered to ann");
}

#[test]
fn what_is_remembered_survives_as_bytes_and_rubbish_harms_nothing() {
    let mut memory = Memory::default();
    let ours = answer(&mut memory, chat(5), 1);
    let vote = Reaction { chat: chat(5), message: ours, author: 8, mark: Mark::Down };
    memory.opinions.react(NOW, vote, true);
    let said = chat(5).channel.said_at(ours);
    let bytes = memory.encode(said);
    let mut other = Memory::default();
    assert!(other.restore(&bytes));
    assert_eq!(other.bias(chat(5), NOW), -INTENT_BIAS_STEP);
    let next = Inbound { id: id(9, 20), text: "and for UDP?", ..inbound() };
    assert_eq!(other.features(&next, &named()), memory.features(&next, &named()));
    assert!(other.features(&next, &named()).has(Cue::FollowSame));
    // It is told again by a RESUME.
    let again = Inbound { id: id(2, 1), ..inbound() };
    other.hear(&again, true);
    assert!(other.features(&next, &named()).has(Cue::FollowSame));
    // Hours later nothing said then tells anything; what was thought does.
    let late = Wall(said.0 + 3 * 3_600_000);
    let mut other = Memory::default();
    assert!(other.restore(&memory.encode(late)));
    assert!(other.is_empty() && other.bias(chat(5), NOW) != 0);
    for length in 0..bytes.len() {
        assert!(!Memory::default().restore(&bytes[..length]), "{length}");
    }
    for byte in 0..bytes.len() {
        let mut odd = bytes.clone();
        odd[byte] ^= 0xff;
        Memory::default().restore(&odd);
    }
}

#[test]
fn memory_is_bounded_and_the_quietest_chat_makes_room() {
    let mut memory = Memory::default();
    let said = |to, at| Inbound { chat: chat(to), id: id(at, at), ..inbound() };
    for to in 0..3 * INTENT_CHATS_MAX as u64 {
        memory.hear(&said(0, to), false);
        memory.hear(&said(to + 1, to), false);
    }
    assert_eq!(memory.len(), INTENT_CHATS_MAX);
    let is_known = |to: u64| memory.knows(chat(to));
    assert!(is_known(0), "it was never the quietest");
    assert!(!is_known(1), "it made room");
}

#[test]
fn a_verdict_is_told_with_its_reasons_and_survives_as_a_number() {
    let features = cues("thanks tom!").with(Cue::ReplyOther, true);
    let spot = Spot::Channel(Found::Own, Found::Named);
    let verdict = Verdict { score: score(features, -20), threshold: 700, spot };
    let text = verdict.to_string();
    assert!(text.starts_with("its score is 0."), "{text}");
    assert!(text.contains("where 0.70 is asked for: ") && text.contains(" (-"), "{text}");
    assert!(text.ends_with("reactions to our answers here (-0.20)"), "{text}");
    assert_eq!(Verdict::unpack(verdict.pack()), verdict);
    assert_eq!(Verdict::unpack(Verdict::BARE.pack()), Verdict::BARE);
    let strengths = verdict.score.reasons.map(strength);
    assert!(strengths.is_sorted_by(|a, b| a >= b), "the heaviest first: {strengths:?}");
}

#[test]
fn the_threshold_decides_and_a_mention_passes_it_if_it_may() {
    let memory = Memory::default();
    let lol = Inbound { text: "lol", ..inbound() };
    let mention = Inbound { mentions_us: true, ..lol };
    let filter = Filter { names: named(), ..Filter::default() };
    let judge = |bar: Bar, inbound| {
        let filter = Filter { bar: Some(bar), ..filter.clone() };
        filter.judge(&memory, inbound, None).expect("it is asked").is_ok()
    };
    assert!(!judge(Bar::default(), &lol) && judge(Bar::default(), &mention));
    assert!(!judge(Bar { always_mentions: false, threshold: 990 }, &mention));
    assert!(judge(Bar { threshold: 0, ..Bar::default() }, &lol));
}

#[test]
fn the_curve_rises_from_nearly_none_to_nearly_all_and_is_even() {
    assert_eq!((logistic(0), logistic(86)), (500, 702));
    assert_eq!((logistic(i32::MIN), logistic(i32::MAX)), (0, 999));
    for sum in -2000..2000 {
        assert!(logistic(sum) <= logistic(sum + 1), "{sum}");
        let exact = 1000.0 / (1.0 + (-f64::from(sum) / 100.0).exp());
        assert!((f64::from(logistic(sum)) - exact).abs() < 3.0, "{sum}");
    }
}

#[test]
fn no_more_of_a_text_is_read_than_its_beginning() {
    let begin = "a ".repeat(INTENT_BYTES_MAX / 2);
    let long = format!("{begin}{}", "what @everyone https://x ".repeat(500));
    assert!(long.len() < TEXT_BYTES_MAX);
    let (short, long) = (cues(&begin), cues(&long));
    assert_eq!(short, long, "what lies behind changes nothing");
}

proptest! {
    #[test]
    fn whatever_is_said_has_a_score_and_a_mention_never_lowers_it(
        text in "(?s).{0,200}",
        words in proptest::collection::vec(0..PIECES.len(), 0..30),
        seconds in proptest::collection::vec(0_u64..2000, 1..20),
        reply in 0_usize..24,
        bias in -100_i8..=100,
    ) {
        let pieces: String = words.iter().map(|&at| PIECES[at]).collect();
        let mut memory = Memory::default();
        let mut at = 0;
        let mut ids = vec![7];
        for (number, gap) in seconds.iter().enumerate() {
            at += gap;
            let from_self = number % 3 == 1;
            let text = if number % 2 == 0 { &text } else { &pieces };
            let said = Inbound {
                id: id(number as u64, at),
                author: if from_self { 1 } else { 7 + number as u64 % 2 },
                from_self,
                text,
                reply_to: ids.get(reply).copied(),
                parent: (number % 5 == 0).then_some(4),
                ..inbound()
            };
            let plain = memory.features(&said, &named());
            let named = memory.features(&Inbound { mentions_us: true, ..said }, &named());
            let (plain, named) = (score(plain, bias), score(named, bias));
            prop_assert!(plain.permille <= named.permille && named.permille <= 1000);
            let verdict = Verdict { score: plain, threshold: 700, spot: Spot::Account };
            prop_assert_eq!(Verdict::unpack(verdict.pack()), verdict);
            memory.hear(&said, number % 2 == 0);
            ids.push(said.id);
        }
        prop_assert!(ids.len() <= INTENT_LATELY_MAX + 9);
    }
}

/// What texts are made of that could confuse.
const PIECES: &[&str] = &[
    "Barney", "barney's", ", ", "? ", " ", "<@", "<@5>", "<:a:1>", "`", "```", "https://", "@here",
    "what ", "can you ", "thanks ", "'", "’", "¿", "é", "😂", "\n", "-", "<", ">", "do ", "1",
];
