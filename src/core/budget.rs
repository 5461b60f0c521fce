//! What answers may cost, in tokens and in money, for each chat and in all, on one day.
//!
//! A day is one of UTC. What a turn takes is known when it is over, so that the last of a day may
//! go over the limit: a chat's by as much as one answer can take, that of all chats by as much as
//! those that are under way at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::turn::Room;
use crate::base::Wall;
use crate::base::limits::BUDGET_CHATS_MAX;
use crate::proto::llm::Usage;

/// What a model's provider takes for tokens, in billionths of the currency for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Price {
    /// Of the question.
    pub input: u64,
    /// Of the question, as far as the provider had kept it.
    pub cached: u64,
    /// Of the answer.
    pub output: u64,
}

impl Price {
    /// What `usage` costs, in billionths.
    #[must_use]
    pub fn of(self, usage: Usage) -> u64 {
        let input = self.input.saturating_mul(usage.input);
        let cached = self.cached.saturating_mul(usage.cached);
        input.saturating_add(cached).saturating_add(self.output.saturating_mul(usage.output))
    }
}

/// The most of something; `None` is no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limit {
    /// Tokens.
    pub tokens: Option<u64>,
    /// Money, in billionths.
    pub money: Option<u64>,
}

/// The limits of a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// Of each chat.
    pub chat: Limit,
    /// Of all chats together.
    pub all: Limit,
}

/// What was spent on a day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Spent {
    /// In money, in billionths.
    pub money: u64,
    /// In tokens.
    pub tokens: u64,
}

impl Spent {
    fn add(&mut self, more: Spent) {
        self.money = self.money.saturating_add(more.money);
        self.tokens = self.tokens.saturating_add(more.tokens);
    }

    fn reaches(self, limit: Limit) -> bool {
        limit.tokens.is_some_and(|most| self.tokens >= most)
            || limit.money.is_some_and(|most| self.money >= most)
    }
}

/// Which limit is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    /// That of the chat.
    Chat,
    /// That of all chats together.
    All,
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Over::Chat => "this chat has used up what it may cost today",
            Over::All => "what all chats together may cost today is used up",
        })
    }
}

/// What was spent today.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Budget {
    /// Days since 1970.
    day: u64,
    all: Spent,
    chats: BTreeMap<String, Spent>,
    /// Answers that were refused today.
    refused: u64,
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

impl Budget {
    /// Whether another answer may be made in `room`.
    ///
    /// # Errors
    /// A limit is reached; that is counted.
    pub fn ask(&mut self, room: &Room, limits: Limits, now: Wall) -> Result<(), Over> {
        self.turn_to(now);
        let chat = self.chats.get(&key(room)).copied().unwrap_or_default();
        let over = if chat.reaches(limits.chat) {
            Over::Chat
        } else if self.all.reaches(limits.all) {
            Over::All
        } else {
            return Ok(());
        };
        self.refused += 1;
        Err(over)
    }

    /// An answer in `room` has taken `usage`, at `price`.
    pub fn spend(&mut self, room: &Room, usage: Usage, price: Price, now: Wall) {
        self.turn_to(now);
        let spent = Spent { money: price.of(usage), tokens: usage.total() };
        self.all.add(spent);
        let key = key(room);
        if !self.chats.contains_key(&key) && self.chats.len() >= BUDGET_CHATS_MAX {
            // The one that has spent least has least to gain from being forgotten; and what all
            // may spend together stays as it is.
            let least = self.chats.iter().min_by_key(|(_, spent)| **spent);
            if let Some(least) = least.map(|(key, _)| key.clone()) {
                self.chats.remove(&least);
            }
        }
        self.chats.entry(key).or_default().add(spent);
    }

    /// Forgets what was spent in these chats by themselves.
    pub fn forget(&mut self, chats: &BTreeSet<u64>) {
        self.chats.retain(|key, _| {
            let id = key.rsplit(':').next().and_then(|id| id.parse().ok());
            id.is_none_or(|id| !chats.contains(&id))
        });
    }

    /// What was spent today in all, and how many answers were refused.
    #[must_use]
    pub fn today(&self) -> (Spent, u64) {
        (self.all, self.refused)
    }

    /// What was spent today in `room`.
    #[must_use]
    pub fn of(&self, room: &Room) -> Spent {
        self.chats.get(&key(room)).copied().unwrap_or_default()
    }

    /// A new day begins with nothing spent. A clock that is set back by less than a day does not
    /// give yesterday's money back; one that was far ahead, and is right again, does.
    fn turn_to(&mut self, now: Wall) {
        let day = now.0 / DAY_MS;
        let is_slip = day + 1 == self.day;
        if day != self.day && !is_slip {
            *self = Budget { day, ..Budget::default() };
        }
    }
}

fn key(room: &Room) -> String {
    format!("{}/{}", room.account, room.chat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chat::{ChannelKind, ChatId};
    use proptest::prelude::*;

    const PRICE: Price = Price { input: 3000, cached: 300, output: 15_000 };

    fn room(id: u64) -> Room {
        Room { account: "default".into(), chat: ChatId { channel: ChannelKind::Discord, id } }
    }

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input, cached: 0, output }
    }

    fn day(count: u64) -> Wall {
        Wall(count * DAY_MS + 1000)
    }

    fn tokens(chat: u64, all: u64) -> Limits {
        let limit = |tokens| Limit { tokens: Some(tokens), money: None };
        Limits { chat: limit(chat), all: limit(all) }
    }

    #[test]
    fn a_chat_stops_at_its_limit_and_all_at_theirs_until_the_next_day() {
        let mut budget = Budget::default();
        let limits = tokens(100, 150);
        assert_eq!(budget.ask(&room(1), limits, day(10)), Ok(()));
        budget.spend(&room(1), usage(60, 60), PRICE, day(10));
        assert_eq!(budget.ask(&room(1), limits, day(10)), Err(Over::Chat));
        assert_eq!(budget.ask(&room(2), limits, day(10)), Ok(()));
        budget.spend(&room(2), usage(20, 20), PRICE, day(10));
        assert_eq!(budget.ask(&room(2), limits, day(10)), Err(Over::All));
        assert_eq!(budget.today(), (Spent { money: 1_440_000, tokens: 160 }, 2));
        assert_eq!(budget.ask(&room(1), limits, day(11)), Ok(()));
        assert_eq!(budget.today(), (Spent::default(), 0));
    }

    #[test]
    fn money_is_counted_as_the_provider_counts_it() {
        let usage = Usage { input: 1_000_000, cached: 1_000_000, output: 1_000_000 };
        assert_eq!(PRICE.of(usage), 18_300_000_000, "3 and 0.30 and 15 for a million each");
        let limits =
            Limits { chat: Limit { tokens: None, money: Some(1_000_000) }, ..Limits::default() };
        let mut budget = Budget::default();
        budget.spend(&room(1), self::usage(333, 0), PRICE, day(1));
        assert_eq!(budget.ask(&room(1), limits, day(1)), Ok(()));
        budget.spend(&room(1), self::usage(1, 0), PRICE, day(1));
        assert_eq!(budget.ask(&room(1), limits, day(1)), Err(Over::Chat));
        let free = Price::default();
        assert_eq!(free.of(Usage { input: u64::MAX, cached: u64::MAX, output: 1 }), 0);
        assert_eq!(PRICE.of(Usage { input: u64::MAX, cached: 1, output: 1 }), u64::MAX);
    }

    #[test]
    fn a_clock_that_slips_gives_nothing_back_and_one_that_was_mad_does() {
        let mut budget = Budget::default();
        budget.spend(&room(1), usage(50, 50), PRICE, Wall(20 * DAY_MS + 1));
        let slipped = Wall(20 * DAY_MS - 1);
        assert_eq!(budget.ask(&room(1), tokens(100, 1000), slipped), Err(Over::Chat));
        budget.spend(&room(1), usage(50, 50), PRICE, day(9000));
        assert_eq!(budget.ask(&room(1), tokens(100, 1000), day(21)), Ok(()));
    }

    #[test]
    fn however_many_chats_there_are_the_memory_is_bounded_and_the_whole_is_counted() {
        let mut budget = Budget::default();
        for id in 0..BUDGET_CHATS_MAX as u64 + 500 {
            budget.spend(&room(id), usage(1 + id % 7, 0), PRICE, day(1));
        }
        budget.spend(&room(1_000_000), usage(9, 0), PRICE, day(1));
        assert_eq!(budget.chats.len(), BUDGET_CHATS_MAX);
        let expected: u64 = (0..BUDGET_CHATS_MAX as u64 + 500).map(|id| 1 + id % 7).sum();
        assert_eq!(budget.today().0.tokens, expected + 9);
        assert_eq!(budget.of(&room(1_000_000)).tokens, 9);
        let kept = serde_json::to_vec(&budget).unwrap();
        assert_eq!(serde_json::from_slice::<Budget>(&kept).unwrap(), budget);
    }

    proptest! {
        #[test]
        fn nobody_goes_over_a_limit_by_more_than_one_answer(
            turns in prop::collection::vec((0_u64..4, 0_u64..40, 0_u64..40), 0..200)
        ) {
            let mut budget = Budget::default();
            let limits = tokens(200, 500);
            for (chat, input, output) in turns {
                if budget.ask(&room(chat), limits, day(3)).is_ok() {
                    budget.spend(&room(chat), usage(input, output), PRICE, day(3));
                }
            }
            for chat in 0..4 {
                prop_assert!(budget.of(&room(chat)).tokens < 200 + 80);
            }
            prop_assert!(budget.today().0.tokens < 500 + 80);
        }
    }
}
