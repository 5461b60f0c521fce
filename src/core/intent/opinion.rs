//! What a chat's people think of our judging, by their reactions, and how far that shifts the
//! scores of the chat.
//!
//! What counts: 👎 on an answer of ours (it was not for us), 👍 on one (it was), and 🤖 on a
//! message that we let pass (it was for us). Only where we had to judge: of an answer to somebody
//! who named us a 👎 says that it was bad, not that nobody had asked. 👍 and 👎 on what people say
//! to one another count for nothing: they nod at each other all day.
//!
//! A vote is not added to a sum, it is kept: who cast it, on what, and when. So each person has one
//! for each message, can take it back, and it fades and is gone after a while. No person, and no
//! single message, can shift a chat by more than a part of what all can; and all can turn only what
//! is doubtful.

use super::keep::{In, Out};
use crate::base::Wall;
use crate::base::limits::{
    INTENT_ANSWERS_MAX, INTENT_BIAS_MAX, INTENT_BIAS_PERSON_MAX, INTENT_BIAS_STEP,
    INTENT_PASSED_MAX, INTENT_VOTE_LIFE, INTENT_VOTED_CHATS_MAX, INTENT_VOTES_MAX,
    INTENT_VOTES_MESSAGE_MAX, INTENT_VOTES_PERSON_MAX,
};
use crate::base::ring::Ring;
use crate::core::chat::ChatId;

/// What a reaction says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// 👍: rightly answered.
    Up,
    /// 👎: it was not for us.
    Down,
    /// 🤖: it was for us, and was passed over.
    Meant,
}

impl Mark {
    /// What `emoji` says, in whatever colour of skin; `None` if it says nothing to us.
    #[must_use]
    pub fn of(emoji: &str) -> Option<Mark> {
        let mut signs = emoji.chars();
        let mark = match signs.next()? {
            '👍' => Mark::Up,
            '👎' => Mark::Down,
            '🤖' => Mark::Meant,
            _ => return None,
        };
        // Colours of skin, and the mark that asks for a picture rather than a letter.
        let is_bare = signs.all(|sign| matches!(sign, '\u{1f3fb}'..='\u{1f3ff}' | '\u{fe0f}'));
        is_bare.then_some(mark)
    }

    fn sign(self) -> i32 {
        if self == Mark::Down { -1 } else { 1 }
    }

    fn code(self) -> u8 {
        match self {
            Mark::Up => 1,
            Mark::Down => 2,
            Mark::Meant => 3,
        }
    }

    fn of_code(code: u8) -> Option<Mark> {
        [Mark::Up, Mark::Down, Mark::Meant].into_iter().find(|mark| mark.code() == code)
    }
}

/// Somebody reacts to a message, or takes that back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reaction {
    /// Where the message stands.
    pub chat: ChatId,
    /// The message: one of ours, or one that we let pass.
    pub message: u64,
    /// Who reacts.
    pub author: u64,
    /// What it says.
    pub mark: Mark,
}

/// What came of a reaction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Heard {
    /// It counts from now on.
    Counted,
    /// It counted, and does so no more.
    TakenBack,
    /// It is on no message that was judged here, as far as is remembered; or it does not say
    /// anything about such a one.
    Unjudged,
    /// As many as may count for one message do so already.
    Enough,
    /// Who reacted may not talk to us there.
    Stranger,
}

impl Heard {
    /// All there are.
    pub const ALL: [Heard; 5] =
        [Heard::Counted, Heard::TakenBack, Heard::Unjudged, Heard::Enough, Heard::Stranger];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Heard::Counted => "counted",
            Heard::TakenBack => "taken_back",
            Heard::Unjudged => "unjudged",
            Heard::Enough => "enough",
            Heard::Stranger => "stranger",
        }
    }
}

/// A message about which a reaction tells something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Judged {
    chat: u64,
    id: u64,
    /// What was judged: the message that `id` answers, or itself.
    asked: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Vote {
    /// What was judged.
    asked: u64,
    author: u64,
    mark: Mark,
    at: Wall,
}

/// The votes of one chat, the oldest first.
#[derive(Clone, Debug)]
struct Votes {
    chat: ChatId,
    votes: heapless::Vec<Vote, INTENT_VOTES_MAX>,
}

/// What people think, chat by chat.
#[derive(Clone, Debug, Default)]
pub struct Opinions {
    answers: Box<Ring<Judged, INTENT_ANSWERS_MAX>>,
    passed: Box<Ring<Judged, INTENT_PASSED_MAX>>,
    chats: Vec<Votes>,
    changes: u64,
    /// How often which of [`Heard::ALL`] came of a reaction.
    counts: [u64; Heard::ALL.len()],
}

impl Opinions {
    /// We said `id` in `chat`, to answer `asked`, which did not name us.
    pub(super) fn answered(&mut self, chat: ChatId, id: u64, asked: u64) {
        self.answers.push(Judged { chat: chat.id, id, asked });
    }

    /// We let `id` pass.
    pub(super) fn passed(&mut self, chat: ChatId, id: u64) {
        self.passed.push(Judged { chat: chat.id, id, asked: id });
    }

    /// Takes in that somebody reacted at `at`, who `may` talk to us.
    pub fn react(&mut self, at: Wall, reaction: Reaction, may: bool) -> Heard {
        let heard = if may { self.vote(at, reaction) } else { Heard::Stranger };
        self.count(heard)
    }

    fn vote(&mut self, at: Wall, reaction: Reaction) -> Heard {
        let Reaction { chat, author, mark, .. } = reaction;
        let Some(asked) = self.judged(reaction) else { return Heard::Unjudged };
        let votes = self.votes_of(chat);
        let before = votes.iter().position(|vote| (vote.asked, vote.author) == (asked, author));
        if let Some(before) = before {
            votes.remove(before);
        } else if votes.iter().filter(|vote| vote.asked == asked).count()
            >= INTENT_VOTES_MESSAGE_MAX
        {
            return Heard::Enough;
        }
        let own = votes.iter().filter(|vote| vote.author == author).count();
        if own >= INTENT_VOTES_PERSON_MAX {
            let oldest = votes.iter().position(|vote| vote.author == author);
            oldest.map(|oldest| votes.remove(oldest));
        } else if votes.is_full() {
            votes.remove(0);
        }
        // Room was made.
        let _ = votes.push(Vote { asked, author, mark, at });
        self.changes += 1;
        Heard::Counted
    }

    /// Takes in that a reaction is there no more. One that was followed by another of the same
    /// person on the same message did not count any more.
    pub fn take_back(&mut self, reaction: Reaction) -> Heard {
        let Reaction { chat, author, mark, .. } = reaction;
        let Some(asked) = self.judged(reaction) else { return self.count(Heard::Unjudged) };
        let is_it = |vote: &Vote| (vote.asked, vote.author, vote.mark) == (asked, author, mark);
        self.forget(chat, is_it)
    }

    /// Takes in that somebody who may do so has removed all reactions to `message`, or all that
    /// say `mark`.
    pub fn clear(&mut self, chat: ChatId, message: u64, mark: Option<Mark>) -> Heard {
        let rings = || self.answers.iter().chain(self.passed.iter()).rev();
        let judged = rings().find(|known| (known.chat, known.id) == (chat.id, message));
        let Some(asked) = judged.map(|judged| judged.asked) else {
            return self.count(Heard::Unjudged);
        };
        let is_it = |vote: &Vote| vote.asked == asked && mark.is_none_or(|mark| mark == vote.mark);
        self.forget(chat, is_it)
    }

    /// How the scores of `chat` lean at `at`, in hundredths of a weight.
    #[must_use]
    pub fn bias(&self, chat: ChatId, at: Wall) -> i8 {
        let Some(Votes { votes, .. }) = self.chats.iter().find(|known| known.chat == chat) else {
            return 0;
        };
        let of = |author: u64| {
            let own = votes.iter().filter(|vote| vote.author == author);
            let own: i32 = own.map(|vote| vote.weight(at)).sum();
            let most = i32::from(INTENT_BIAS_PERSON_MAX) * FINE;
            own.clamp(-most, most)
        };
        let is_first = |at: usize| votes[..at].iter().all(|vote| vote.author != votes[at].author);
        let people = (0..votes.len()).filter(|&at| is_first(at)).map(|at| votes[at].author);
        let most = i32::from(INTENT_BIAS_MAX);
        let all = people.map(of).sum::<i32>() / FINE;
        i8::try_from(all.clamp(-most, most)).unwrap_or(0)
    }

    /// How many chats lean.
    #[must_use]
    pub fn leaning(&self, at: Wall) -> usize {
        self.chats.iter().filter(|known| self.bias(known.chat, at) != 0).count()
    }

    /// How often something changed that is worth keeping.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What was judged, if `reaction` says something about it.
    fn judged(&self, reaction: Reaction) -> Option<u64> {
        let Reaction { chat, message, mark, .. } = reaction;
        let is_it = |known: &&Judged| (known.chat, known.id) == (chat.id, message);
        let found = match mark {
            Mark::Up | Mark::Down => self.answers.iter().rev().find(is_it),
            Mark::Meant => self.passed.iter().rev().find(is_it),
        };
        found.map(|judged| judged.asked)
    }

    fn forget(&mut self, chat: ChatId, is_it: impl Fn(&Vote) -> bool) -> Heard {
        let known = self.chats.iter_mut().find(|known| known.chat == chat);
        let is_gone = known.is_some_and(|known| {
            let before = known.votes.len();
            known.votes.retain(|vote| !is_it(vote));
            known.votes.len() < before
        });
        self.changes += u64::from(is_gone);
        self.count(if is_gone { Heard::TakenBack } else { Heard::Unjudged })
    }

    fn count(&mut self, heard: Heard) -> Heard {
        self.counts[heard as usize] += 1;
        heard
    }

    /// How often what came of a reaction.
    pub fn counts(&self) -> impl Iterator<Item = (Heard, u64)> {
        Heard::ALL.into_iter().zip(self.counts)
    }

    /// The votes of `chat`; the chat whose last vote is oldest makes room for a new one.
    fn votes_of(&mut self, chat: ChatId) -> &mut heapless::Vec<Vote, INTENT_VOTES_MAX> {
        let known = self.chats.iter().position(|known| known.chat == chat);
        let at = known.unwrap_or_else(|| {
            let fresh = Votes { chat, votes: heapless::Vec::new() };
            if self.chats.len() < INTENT_VOTED_CHATS_MAX {
                self.chats.push(fresh);
                return self.chats.len() - 1;
            }
            let last = |votes: &Votes| votes.votes.iter().map(|vote| vote.at).max();
            let oldest = (0..self.chats.len()).min_by_key(|&at| last(&self.chats[at]));
            let oldest = oldest.unwrap_or(0);
            self.chats[oldest] = fresh;
            oldest
        });
        &mut self.chats[at].votes
    }

    /// All of it that counts at `at`.
    pub(super) fn encode(&self, at: Wall, out: &mut Out) {
        for ring in [self.answers.iter().collect::<Vec<_>>(), self.passed.iter().collect()] {
            out.count(ring.len());
            for judged in ring {
                for number in [judged.chat, judged.id, judged.asked] {
                    out.number(number);
                }
            }
        }
        let counts = |vote: &&Vote| vote.weight(at) != 0;
        let chats = self.chats.iter().filter(|known| known.votes.iter().any(|v| counts(&v)));
        out.count(chats.clone().count());
        for Votes { chat, votes } in chats {
            out.chat(*chat);
            out.count(votes.iter().filter(counts).count());
            for vote in votes.iter().filter(counts) {
                out.byte(vote.mark.code());
                for number in [vote.asked, vote.author, vote.at.0] {
                    out.number(number);
                }
            }
        }
    }

    /// Takes in what an earlier life kept, as far as it can be read.
    pub(super) fn read(&mut self, input: &mut In<'_>) -> Option<()> {
        for is_answer in [true, false] {
            for _ in 0..input.count()? {
                let judged =
                    Judged { chat: input.number()?, id: input.number()?, asked: input.number()? };
                if is_answer {
                    self.answers.push(judged);
                } else {
                    self.passed.push(judged);
                }
            }
        }
        for _ in 0..input.count()? {
            let chat = input.chat()?;
            for _ in 0..input.count()? {
                let mark = Mark::of_code(input.byte()?);
                let (asked, author, at) = (input.number()?, input.number()?, Wall(input.number()?));
                if let (Some(mark), Some(chat)) = (mark, chat) {
                    let votes = self.votes_of(chat);
                    let _ = votes.push(Vote { asked, author, mark, at });
                }
            }
        }
        Some(())
    }
}

/// Parts of a hundredth, in which votes fade.
const FINE: i32 = 1000;

impl Vote {
    /// What it shifts at `at`, in parts of hundredths: less each hour, until nothing.
    fn weight(&self, at: Wall) -> i32 {
        let life = INTENT_VOTE_LIFE.as_secs() / 60;
        let age = at.since(self.at).as_secs() / 60;
        let left = i64::try_from(life.saturating_sub(age)).unwrap_or(0);
        let life = i64::try_from(life).unwrap_or(i64::MAX);
        let whole = i64::from(i32::from(INTENT_BIAS_STEP) * FINE);
        self.mark.sign() * i32::try_from(whole * left / life).unwrap_or(0)
    }
}

#[cfg(test)]
mod sim;
