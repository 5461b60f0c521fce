//! A server full of people who react to everything, toggle, flood and take it back, over months,
//! against what they may bring about; and planted bugs, to see that this would be noticed.

use super::*;
use crate::base::Rng;
use crate::core::chat::sample::chat;

const CHATS: u64 = 3;
const PEOPLE: u64 = 12;
const DAY_MS: u64 = 24 * 3_600_000;

/// What is wrong between the people and their votes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    /// Every reaction seems to be somebody else's.
    ForgetsWho,
    /// Every reaction seems to be to another answer.
    ForgetsWhat,
    /// A vote stays when it is taken back.
    KeepsAll,
    /// What is said of one chat goes to another.
    MixesChats,
    /// Time does not pass.
    ForgetsTime,
    /// 👍 is taken for 👎.
    TurnsRound,
    /// A restart loses all.
    ForgetsAtRestart,
    /// Whoever may not talk to us is heard, too.
    HearsStrangers,
}

const BUGS: [Bug; 8] = [
    Bug::ForgetsWho,
    Bug::ForgetsWhat,
    Bug::KeepsAll,
    Bug::MixesChats,
    Bug::ForgetsTime,
    Bug::TurnsRound,
    Bug::ForgetsAtRestart,
    Bug::HearsStrangers,
];

/// A vote as the people themselves know it.
#[derive(Clone, Copy, Debug)]
struct Cast {
    chat: u64,
    asked: u64,
    author: u64,
    mark: Mark,
}

struct World {
    rng: Rng,
    bug: Option<Bug>,
    now: Wall,
    opinions: Opinions,
    /// Chat, answer, and what that answers.
    answers: Vec<(u64, u64, u64)>,
    /// What stands, as far as it was said to count.
    cast: Vec<Cast>,
    next: u64,
}

impl World {
    fn pick(&mut self, of: u64) -> u64 {
        self.rng.bits() % of
    }

    fn seen(&mut self, reaction: Reaction) -> Reaction {
        let mut seen = reaction;
        match self.bug {
            Some(Bug::ForgetsWho) => seen.author = 1000 + self.next,
            Some(Bug::MixesChats) => {
                let other = (reaction.chat.id + 1) % CHATS;
                let is_there = |&&(chat, ..): &&(u64, u64, u64)| chat == other;
                if let Some(&(_, id, _)) = self.answers.iter().rfind(is_there) {
                    (seen.chat, seen.message) = (chat(other), id);
                }
            }
            Some(Bug::TurnsRound) if reaction.mark == Mark::Up => seen.mark = Mark::Down,
            _ => {}
        }
        seen
    }

    fn react(&mut self, reaction: Reaction, may: bool) -> Heard {
        let seen = self.seen(reaction);
        if self.bug == Some(Bug::ForgetsWhat) {
            self.next += 1;
            self.opinions.answered(seen.chat, seen.message, self.next);
        }
        let at = if self.bug == Some(Bug::ForgetsTime) { Wall(0) } else { self.now };
        let may = may || self.bug == Some(Bug::HearsStrangers);
        self.opinions.react(at, seen, may)
    }

    fn bias(&self, of: u64) -> i8 {
        let at = if self.bug == Some(Bug::ForgetsTime) { Wall(0) } else { self.now };
        self.opinions.bias(chat(of), at)
    }

    fn all(&self) -> Vec<i8> {
        (0..CHATS).map(|of| self.bias(of)).collect()
    }

    /// One thing happens. What must not be is said.
    fn step(&mut self) -> Result<(), String> {
        self.next += 1;
        self.now.0 += self.pick(6 * 3_600_000);
        let before = self.all();
        match self.pick(20) {
            0..=4 => {
                let (of, id) = (self.pick(CHATS), 2 * self.next);
                self.answers.push((of, id, id + 1));
                self.opinions.answered(chat(of), id, id + 1);
            }
            5 => self.restart()?,
            6..=9 => self.take_back()?,
            10 => self.stranger()?,
            _ => self.vote()?,
        }
        let after = self.all();
        self.bounds(&before, &after)
    }

    fn a_reaction(&mut self) -> Option<(Reaction, u64)> {
        // Mostly what was said last.
        let back = self.pick(12).min(self.pick(12));
        let at = self.answers.len().checked_sub(1 + usize::try_from(back).expect("small"))?;
        let (of, message, asked) = self.answers[at];
        let author = self.pick(PEOPLE).min(self.pick(PEOPLE));
        let mark = if self.pick(3) == 0 { Mark::Up } else { Mark::Down };
        Some((Reaction { chat: chat(of), message, author, mark }, asked))
    }

    fn vote(&mut self) -> Result<(), String> {
        let Some((reaction, asked)) = self.a_reaction() else { return Ok(()) };
        let of = reaction.chat.id;
        let before = self.all();
        let is_full = self.cast.iter().filter(|cast| cast.chat == of).count() >= INTENT_VOTES_MAX;
        if self.react(reaction, true) != Heard::Counted {
            return Ok(());
        }
        let own = (of, asked, reaction.author);
        self.cast.retain(|cast| (cast.chat, cast.asked, cast.author) != own);
        let Reaction { author, mark, .. } = reaction;
        self.cast.push(Cast { chat: of, asked, author, mark });
        let after = self.all();
        let at = usize::try_from(of).expect("small");
        // One that makes room for another may take away more than this one brings.
        let is_wrong_way = match mark {
            Mark::Down => after[at] > before[at],
            Mark::Up | Mark::Meant => after[at] < before[at],
        };
        if is_wrong_way && !is_full {
            return Err(format!("{mark:?} went from {} to {}", before[at], after[at]));
        }
        (0..before.len()).filter(|&other| other != at).try_for_each(|other| {
            let same = before[other] == after[other];
            if same { Ok(()) } else { Err(format!("chat {other} has nothing to do with it")) }
        })
    }

    fn take_back(&mut self) -> Result<(), String> {
        if self.cast.is_empty() {
            return Ok(());
        }
        let at = usize::try_from(self.pick(self.cast.len() as u64)).expect("small");
        let Cast { chat: of, asked, author, mark } = self.cast.remove(at);
        if self.bug != Some(Bug::KeepsAll) {
            let reaction = Reaction { chat: chat(of), message: asked - 1, author, mark };
            self.opinions.take_back(reaction);
        }
        // Whoever has taken back all of theirs has no say.
        if self.cast.iter().all(|cast| cast.chat != of) && self.bias(of) != 0 {
            return Err(format!("all was taken back in {of}, and it leans by {}", self.bias(of)));
        }
        Ok(())
    }

    fn stranger(&mut self) -> Result<(), String> {
        let Some((mut reaction, _)) = self.a_reaction() else { return Ok(()) };
        reaction.author = 5000;
        let before = self.all();
        self.react(reaction, false);
        if before == self.all() { Ok(()) } else { Err("a stranger has a say".into()) }
    }

    fn restart(&mut self) -> Result<(), String> {
        let before = self.all();
        let mut out = Out::default();
        self.opinions.encode(self.now, &mut out);
        let mut fresh = Opinions::default();
        if self.bug != Some(Bug::ForgetsAtRestart) {
            fresh.read(&mut In::of(out.bytes())).ok_or("what was kept cannot be read")?;
        }
        self.opinions = fresh;
        if before == self.all() {
            Ok(())
        } else {
            Err("a restart changes what people think".into())
        }
    }

    /// What holds always.
    fn bounds(&self, before: &[i8], after: &[i8]) -> Result<(), String> {
        for of in 0..CHATS {
            let at = usize::try_from(of).expect("small");
            if before[at].abs_diff(after[at]) > INTENT_BIAS_MAX.unsigned_abs() {
                return Err("one reaction turns everything".into());
            }
            let here = || self.cast.iter().filter(|cast| cast.chat == of);
            let mut people: Vec<u64> = here().map(|cast| cast.author).collect();
            people.sort_unstable();
            people.dedup();
            let mut asked: Vec<u64> = here().map(|cast| cast.asked).collect();
            asked.sort_unstable();
            asked.dedup();
            let by_people = people.len() * usize::from(INTENT_BIAS_PERSON_MAX.unsigned_abs());
            let by_one = INTENT_VOTES_MESSAGE_MAX * usize::from(INTENT_BIAS_STEP.unsigned_abs());
            let by_answers = asked.len() * by_one;
            let most = by_people.min(by_answers).min(usize::from(INTENT_BIAS_MAX.unsigned_abs()));
            if usize::from(after[at].unsigned_abs()) > most {
                return Err(format!("chat {of} leans by {}, at most {most} is due", after[at]));
            }
        }
        Ok(())
    }

    /// All fall silent, and in the end nothing is left of it.
    fn silence(&mut self) -> Result<(), String> {
        let mut last = self.all();
        for _ in 0..31 {
            self.now.0 += DAY_MS;
            let all = self.all();
            // One who fades may uncover another; a single opinion only fades.
            let marks = |of: u64| self.cast.iter().filter(move |cast| cast.chat == of);
            for of in 0..CHATS {
                let at = usize::try_from(of).expect("small");
                let is_one = marks(of).all(|cast| cast.mark == Mark::Down);
                if is_one && all[at].unsigned_abs() > last[at].unsigned_abs() {
                    return Err("an old opinion grows".into());
                }
            }
            last = all;
        }
        if last.iter().all(|&bias| bias == 0) { Ok(()) } else { Err("it never fades".into()) }
    }
}

fn month(seed: u64, bug: Option<Bug>) -> Result<(), String> {
    let mut world = World {
        rng: Rng::new(seed),
        bug,
        now: Wall(2_000_000_000_000),
        opinions: Opinions::default(),
        answers: Vec::new(),
        cast: Vec::new(),
        next: 0,
    };
    for _ in 0..300 {
        world.step()?;
    }
    world.silence()
}

#[test]
fn people_shift_what_they_may_and_no_more() {
    for seed in 0..200 {
        month(seed, None).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
}

#[test]
fn planted_bugs_are_noticed() {
    for bug in BUGS {
        let found = (0..200).find_map(|seed| month(seed, Some(bug)).err());
        assert!(found.is_some(), "{bug:?} goes unnoticed");
    }
}

#[test]
fn one_person_alone_and_one_answer_alone_are_bounded() {
    let now = Wall(2_000_000_000_000);
    let vote = |message, author| Reaction { chat: chat(1), message, author, mark: Mark::Down };
    let mut opinions = Opinions::default();
    for id in 0..100 {
        opinions.answered(chat(1), 2 * id, 2 * id + 1);
        opinions.react(now, vote(2 * id, 7), true);
    }
    assert_eq!(opinions.bias(chat(1), now), -INTENT_BIAS_PERSON_MAX);
    // They may change their mind.
    let last = vote(198, 7);
    assert_eq!(opinions.take_back(last), Heard::TakenBack);
    assert_eq!(opinions.take_back(last), Heard::Unjudged, "it is there no more");
    let mut opinions = Opinions::default();
    opinions.answered(chat(1), 2, 3);
    let heard: Vec<Heard> = (0..9).map(|who| opinions.react(now, vote(2, who), true)).collect();
    assert_eq!(heard[..4], [Heard::Counted, Heard::Counted, Heard::Counted, Heard::Enough]);
    let one = INTENT_BIAS_STEP * i8::try_from(INTENT_VOTES_MESSAGE_MAX).expect("small");
    assert_eq!(opinions.bias(chat(1), now), -one);
    assert_eq!(opinions.clear(chat(1), 2, Some(Mark::Up)), Heard::Unjudged);
    assert_eq!(opinions.clear(chat(1), 2, None), Heard::TakenBack);
    assert_eq!(opinions.bias(chat(1), now), 0);
}

#[test]
fn a_sign_is_known_in_every_colour_of_skin_and_no_other_is() {
    for emoji in ["👍", "👍🏻", "👍🏿", "👍\u{fe0f}"] {
        assert_eq!(Mark::of(emoji), Some(Mark::Up), "{emoji}");
    }
    assert_eq!((Mark::of("👎🏽"), Mark::of("🤖")), (Some(Mark::Down), Some(Mark::Meant)));
    for emoji in ["", "🦀", "thumbsup", "👍👎", "👍x", "x👍"] {
        assert_eq!(Mark::of(emoji), None, "{emoji}");
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let now = |number: u64| Wall(2_000_000_000_000 + number);
    let mut opinions = Opinions::default();
    let down = |of, message| Reaction { chat: chat(of), message, author: 7, mark: Mark::Down };
    let chats = 2 * INTENT_VOTED_CHATS_MAX as u64;
    for number in 0..chats {
        opinions.answered(chat(number), number, number);
        opinions.react(now(number), down(number, number), true);
    }
    assert_eq!(opinions.leaning(now(chats)), INTENT_VOTED_CHATS_MAX);
    assert!(opinions.bias(chat(chats - 1), now(chats)) < 0, "the last is known");
    assert_eq!(opinions.bias(chat(0), now(chats)), 0, "the first made room");
    assert_eq!(opinions.take_back(down(0, 0)), Heard::Unjudged, "so did the answer");
}
