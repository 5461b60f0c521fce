//! What was said lately in each chat, as far as it tells for whom the next message is.

use super::keep::{In, Out};
use super::opinion::Opinions;
use super::shape::{self, Names, Place, Shape, class};
use super::{Cue, Features};
use crate::base::Wall;
use crate::base::limits::{
    INTENT_ASKED_MAX, INTENT_CHATS_MAX, INTENT_LATELY_MAX, INTENT_TALK_KEPT,
};
use crate::base::ring::Ring;
use crate::core::chat::{ChannelKind, ChatId, Inbound};

/// Spans in milliseconds: so long our answer is what is spoken of, if nobody else speaks …
const FOLLOW_MS: u64 = 15 * 60_000;
/// … so long, if a few messages lie between …
const NEAR_MS: u64 = 10 * 60_000;
/// … and so long people speak with one another if each follows the other.
const CHATTER_MS: u64 = 2 * 60_000;
/// Somebody spoke just before.
const JUST_MS: u64 = 60_000;
/// So many of the last messages must be for us, and half of them, that we are what a chat is for.
const HELPDESK: usize = 3;
/// Of how many messages back our answer is near.
const NEAR_BACK: usize = 5;

/// One message, as it is remembered: not a word of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
struct Said {
    id: u64,
    author: u64,
    /// What its author may be spoken to by; 0 if nothing is known.
    name: u32,
    /// Ours: to whom, and to which message; 0 if that is not known.
    to: u64,
    asked: u64,
    ours: bool,
    /// Not ours: whether it was for us.
    for_us: bool,
    /// Whether a program said it.
    is_bot: bool,
    /// Whether it ends as a question.
    asks: bool,
}

/// A message that went on to an agent: in a busy chat it is long gone when the answer comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Asked {
    id: u64,
    author: u64,
    /// Whether it named us, and so need not be judged.
    is_named: bool,
}

#[derive(Clone, Debug)]
struct Chat {
    id: ChatId,
    /// When it was last spoken in, by the count of messages.
    used: u64,
    lately: Ring<Said, INTENT_LATELY_MAX>,
    asked: Ring<Asked, INTENT_ASKED_MAX>,
}

/// What was said lately, in the chats that were spoken in last.
#[derive(Clone, Debug)]
pub struct Memory {
    chats: Vec<Chat>,
    /// What we are called where we write.
    own_name: Option<u32>,
    count: u64,
    /// What people think of our judging.
    pub opinions: Opinions,
}

impl Default for Memory {
    fn default() -> Memory {
        // All at once: from here on nothing more is asked for.
        let chats = Vec::with_capacity(INTENT_CHATS_MAX);
        Memory { chats, own_name: None, count: 0, opinions: Opinions::default() }
    }
}

/// How what comes next stands to what we said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
struct Around {
    follows_same: bool,
    follows_other: bool,
    near_same: bool,
    near_other: bool,
    bot_asked: bool,
    duo: bool,
    self_run: bool,
    pause: bool,
    chatter: bool,
    after_human: bool,
    replies_us: bool,
    replies_other: bool,
    we_are_here: bool,
    helpdesk: bool,
}

impl Memory {
    /// The facts about `inbound`, where we are called by `names`; it is not remembered yet.
    #[must_use]
    pub fn features(&self, inbound: &Inbound<'_>, names: &Names) -> Features {
        let names = names.with(self.own_name);
        let shape = Shape::of(inbound.text, &names);
        let chat = self.chats.iter().find(|chat| chat.id == inbound.chat);
        let around = chat.map(|chat| chat.around(inbound)).unwrap_or_default();
        let is_other_named = chat.is_some_and(|chat| chat.names_another(inbound, &shape));
        let features = unless_asked(of_words(&shape), &shape, around.bot_asked)
            .with(Cue::Base, true)
            .with(Cue::OtherNamed, is_other_named)
            .with(Cue::Mention, inbound.mentions_us)
            .with(Cue::Attached, inbound.has_more || shape.link)
            .with(Cue::Thread, inbound.parent.is_some())
            .with(Cue::FromBot, inbound.from_bot);
        together(of_place(features, inbound, &around), &shape, &around)
    }

    /// We are called `name`, as long as nothing shows that we write under another.
    pub fn call(&mut self, name: &str) {
        self.own_name = self.own_name.or_else(|| shape::name(name));
    }

    /// Takes in that `inbound` was said; `for_us` if it goes on to an agent.
    pub fn hear(&mut self, inbound: &Inbound<'_>, for_us: bool) {
        let name = shape::name(inbound.author_name);
        if inbound.from_self {
            self.own_name = name.or(self.own_name);
        }
        let asks = shape::asks_at_end(inbound.text);
        let said = Said {
            id: inbound.id,
            author: inbound.author,
            name: name.unwrap_or(0),
            to: 0,
            asked: 0,
            ours: inbound.from_self,
            for_us,
            is_bot: inbound.from_bot && !inbound.from_self,
            asks,
        };
        let chat = self.chat(inbound.chat);
        // What is resumed is told again.
        if chat.lately.iter().any(|known| known.id == said.id) {
            return;
        }
        let to = if said.ours { chat.asker(inbound.reply_to) } else { Asked::default() };
        if for_us && !said.ours {
            let is_named = inbound.mentions_us;
            chat.asked.push(Asked { id: said.id, author: said.author, is_named });
        }
        chat.lately.push(Said { to: to.author, asked: to.id, ..said });
        if to.id != 0 && !to.is_named {
            self.opinions.answered(inbound.chat, said.id, to.id);
        }
    }

    /// Takes in that message `id` of `chat` was let pass.
    pub fn passed(&mut self, chat: ChatId, id: u64) {
        self.opinions.passed(chat, id);
    }

    /// Forgets what was said, but not what people think.
    pub fn forget_talk(&mut self) {
        self.chats.clear();
    }

    /// How the scores of what is said in `chat` at `at` lean, in hundredths of a weight.
    #[must_use]
    pub fn bias(&self, chat: ChatId, at: Wall) -> i8 {
        self.opinions.bias(chat, at)
    }

    /// Whether anything is remembered of `chat`.
    #[must_use]
    pub fn knows(&self, chat: ChatId) -> bool {
        self.chats.iter().any(|known| known.id == chat)
    }

    /// How many chats are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chats.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chats.is_empty()
    }

    /// The chat; the one that was quiet for longest makes room for a new one.
    fn chat(&mut self, id: ChatId) -> &mut Chat {
        self.count += 1;
        let at = self.chats.iter().position(|chat| chat.id == id).unwrap_or_else(|| {
            let fresh = Chat { id, used: 0, lately: Ring::default(), asked: Ring::default() };
            if self.chats.len() < INTENT_CHATS_MAX {
                self.chats.push(fresh);
                return self.chats.len() - 1;
            }
            let quiet = self.chats.iter().enumerate().min_by_key(|(_, chat)| chat.used);
            let at = quiet.map_or(0, |(at, _)| at);
            self.chats[at] = fresh;
            at
        });
        let chat = &mut self.chats[at];
        chat.used = self.count;
        chat
    }
}

impl Chat {
    /// What a message of ours answers, where it says that it answers `reply_to`.
    fn asker(&self, reply_to: Option<u64>) -> Asked {
        let known = |id: u64| self.asked.iter().rev().find(|asked| asked.id == id).copied();
        let of = |said: &Said| {
            let plain = Asked { id: said.id, author: said.author, is_named: true };
            if !said.ours {
                return known(said.id).unwrap_or(plain);
            }
            known(said.asked).unwrap_or(Asked { id: said.asked, author: said.to, is_named: true })
        };
        let told = || reply_to.and_then(|id| self.lately.iter().find(|said| said.id == id));
        let last = || self.lately.iter().rev().find(|said| said.for_us || said.ours);
        let asked = reply_to.and_then(known).or_else(|| told().map(of));
        asked.or_else(|| last().map(of)).or(self.asked.last().copied()).unwrap_or_default()
    }

    fn around(&self, inbound: &Inbound<'_>) -> Around {
        let at = inbound.chat.channel.said_at(inbound.id).0;
        let age = |said: &Said| at.saturating_sub(inbound.chat.channel.said_at(said.id).0);
        let author = inbound.author;
        let last = self.lately.iter().next_back();
        let back = || self.lately.iter().rev().enumerate();
        let (since, ours) = back().find(|(_, said)| said.ours).unzip();
        let follows = ours.filter(|ours| since == Some(0) && age(ours) < FOLLOW_MS);
        let near = ours.filter(|ours| {
            since.is_some_and(|since| (1..=NEAR_BACK).contains(&since)) && age(ours) < NEAR_MS
        });
        let is_mine = |said: &Said| !said.ours && said.author == author && age(said) < CHATTER_MS;
        // People who speak in turns, the author of this one aside.
        let people = || self.lately.iter().rev().take(3).filter(|said| !said.ours && !said.is_bot);
        let others = people().filter(|said| said.author != author && age(said) < CHATTER_MS);
        let answered = inbound.reply_to.map(|id| self.lately.iter().find(|said| said.id == id));
        let is_ours = |said: Option<&Said>| said.is_some_and(|said| said.ours);
        let replies_us = answered.is_some_and(|said| is_ours(said) || inbound.mentions_us);
        let spoken = self.lately.iter().filter(|said| !said.ours && !said.is_bot).count();
        let asked = self.lately.iter().filter(|said| said.for_us).count();
        Around {
            follows_same: follows.is_some_and(|ours| ours.to == author),
            follows_other: follows.is_some_and(|ours| ours.to != author),
            near_same: near.is_some_and(|ours| ours.to == author),
            near_other: near.is_some_and(|ours| ours.to != author),
            bot_asked: follows.or(near).is_some_and(|ours| ours.asks && ours.to == author),
            duo: ours.is_some()
                && self.lately.len() >= 3
                && self.lately.iter().rev().take(6).all(|said| said.ours || said.author == author),
            self_run: last.is_some_and(|said| is_mine(said) && said.for_us),
            pause: last.is_none_or(|said| age(said) > CHATTER_MS),
            chatter: people().count() == 3 && others.count() >= 1,
            after_human: last.is_some_and(|said| {
                !said.ours && !said.is_bot && said.author != author && age(said) < JUST_MS
            }),
            replies_us,
            replies_other: answered.is_some() && !replies_us,
            we_are_here: ours.is_some(),
            helpdesk: asked >= HELPDESK && asked * 2 >= spoken,
        }
    }

    /// Whether one who spoke here lately is named at the beginning or the end.
    fn names_another(&self, inbound: &Inbound<'_>, shape: &Shape) -> bool {
        let others = self.lately.iter().filter(|said| {
            said.author != inbound.author && !said.ours && !said.is_bot && said.name != 0
        });
        let mut names = others.map(|said| said.name);
        names.any(|name| shape.tail == name || shape.heads.contains(&name))
    }
}

impl Memory {
    /// What was said so lately at `now` that it still tells something, the chats that were spoken
    /// in last behind the others.
    pub(super) fn encode_talk(&self, now: Wall, out: &mut Out) {
        let is_fresh = |chat: &&Chat| {
            let last = chat.lately.last().map(|said| chat.id.channel.said_at(said.id));
            last.is_some_and(|last| now.since(last) < INTENT_TALK_KEPT)
        };
        let mut chats: Vec<&Chat> = self.chats.iter().filter(is_fresh).collect();
        chats.sort_by_key(|chat| chat.used);
        out.count(chats.len());
        for chat in chats {
            out.chat(chat.id);
            out.count(chat.lately.len());
            for said in chat.lately.iter() {
                let facts = [said.ours, said.for_us, said.is_bot, said.asks];
                out.byte(facts.iter().fold(0, |all, &fact| all << 1 | u8::from(fact)));
                let numbers = [said.id, said.author, said.name.into(), said.to, said.asked];
                for number in numbers {
                    out.number(number);
                }
            }
            out.count(chat.asked.len());
            for asked in chat.asked.iter() {
                out.byte(asked.is_named.into());
                out.number(asked.id);
                out.number(asked.author);
            }
        }
    }

    pub(super) fn read_talk(&mut self, input: &mut In<'_>) -> Option<()> {
        for _ in 0..input.count()? {
            // What a service that is not known here has said is read over.
            let mut nowhere = Chat {
                id: ChatId { channel: ChannelKind::Discord, id: 0 },
                used: 0,
                lately: Ring::default(),
                asked: Ring::default(),
            };
            let chat = match input.chat()? {
                Some(id) => self.chat(id),
                None => &mut nowhere,
            };
            for _ in 0..input.count()? {
                let facts = input.byte()?;
                let has = |bit: u8| facts >> bit & 1 == 1;
                let (id, author) = (input.number()?, input.number()?);
                let name = u32::try_from(input.number()?).unwrap_or(0);
                let (to, asked) = (input.number()?, input.number()?);
                let (ours, for_us, is_bot, asks) = (has(3), has(2), has(1), has(0));
                chat.lately.push(Said { id, author, name, to, asked, ours, for_us, is_bot, asks });
            }
            for _ in 0..input.count()? {
                let is_named = input.byte()? != 0;
                chat.asked.push(Asked { is_named, id: input.number()?, author: input.number()? });
            }
        }
        Some(())
    }
}

/// What the words alone tell.
fn of_words(shape: &Shape) -> Features {
    let has = |classes: u32| shape.classes & classes != 0;
    let opens = |classes: u32| shape.openers & classes != 0;
    Features::default()
        .with(Cue::Named, shape.name == Place::Spoken)
        .with(Cue::NameThird, shape.name == Place::Third)
        .with(Cue::MentionOther, shape.mentions)
        .with(Cue::Exclaims, shape.exclaims && !shape.asks)
        .with(Cue::QuestionEnd, shape.asks_at_end)
        .with(Cue::QuestionInside, shape.asks && !shape.asks_at_end)
        .with(Cue::AsksHow, opens(class::ASK | class::WHATS))
        .with(Cue::AsksWho, opens(class::WHO))
        .with(Cue::AsksWhether, opens(class::AUX | class::CAN))
        .with(Cue::HowTo, shape.how_to)
        .with(Cue::CanYou, shape.can_you)
        .with(Cue::DoYou, shape.do_you)
        .with(Cue::You, has(class::YOU))
        .with(Cue::Request, opens(class::DO))
        .with(Cue::Please, has(class::PLEASE))
        .with(Cue::Social, shape.is_social && !shape.asks)
        .with(Cue::Greeting, shape.greets)
        .with(Cue::Group, has(class::GROUP) || shape.everyone)
        .with(Cue::Us, has(class::US))
        .with(Cue::Me, has(class::ME))
        .with(Cue::Plan, has(class::PLAN))
        .with(Cue::Continues, shape.continues)
        .with(Cue::Trouble, has(class::TROUBLE))
        .with(Cue::Fact, has(class::FACT))
        .with(Cue::Long, shape.words > 14)
        .with(Cue::Doing, shape.doing)
        .with(Cue::Settled, has(class::DONE))
        .with(Cue::Points, has(class::IT))
        .with(Cue::Number, shape.digits)
        .with(Cue::Code, shape.code)
        .with(Cue::Quotes, shape.quotes)
        .with(Cue::NoWords, shape.words == 0)
}

/// What the words tell where they are no answer to a question of ours: those may be short.
fn unless_asked(features: Features, shape: &Shape, bot_asked: bool) -> Features {
    let is_free = !bot_asked;
    features
        .with(Cue::Reacts, is_free && shape.reacts && !shape.is_social)
        .with(Cue::Short, is_free && (1..=2).contains(&shape.words))
        .with(Cue::Brief, is_free && (3..=6).contains(&shape.words))
}

/// What came before tells.
fn of_place(features: Features, inbound: &Inbound<'_>, around: &Around) -> Features {
    let is_thread = inbound.parent.is_some();
    features
        .with(Cue::ReplyUs, around.replies_us)
        .with(Cue::ReplyOther, around.replies_other)
        .with(Cue::FollowSame, around.follows_same)
        .with(Cue::FollowOther, around.follows_other)
        .with(Cue::NearSame, around.near_same)
        .with(Cue::NearOther, around.near_other)
        .with(Cue::Helpdesk, around.helpdesk)
        .with(Cue::Cold, !around.we_are_here)
        .with(Cue::BotAsked, around.bot_asked)
        .with(Cue::SelfRun, around.self_run)
        .with(Cue::Pause, around.pause)
        .with(Cue::Chatter, around.chatter)
        .with(Cue::AfterHuman, around.after_human)
        .with(Cue::ThreadOurs, is_thread && around.duo)
}

/// What several facts tell together that none tells by itself.
fn together(features: Features, shape: &Shape, around: &Around) -> Features {
    let has = |cue| features.has(cue);
    let is_named = has(Cue::Named) || has(Cue::Mention);
    let asks = has(Cue::QuestionEnd)
        || has(Cue::QuestionInside)
        || has(Cue::AsksHow)
        || has(Cue::AsksWhether)
        || has(Cue::CanYou);
    let does = has(Cue::Request) || has(Cue::Continues) || has(Cue::Please);
    let is_to_people =
        has(Cue::OtherNamed) || has(Cue::MentionOther) || has(Cue::ReplyOther) || has(Cue::Us);
    let is_social = shape.is_social && !shape.asks;
    let follows = around.follows_same;
    // It follows nothing of ours.
    let is_free = !follows && !around.near_same && !is_named && !around.replies_us;
    let is_open = !is_to_people && !has(Cue::DoYou) && !has(Cue::Plan);
    features
        .with(Cue::FollowAsk, follows && asks && !is_to_people)
        .with(Cue::FollowSocial, follows && is_social)
        .with(Cue::FollowDo, follows && does && !asks)
        .with(Cue::FollowNot, follows && !asks && shape.classes & class::NOT != 0)
        .with(Cue::FollowMore, follows && !does && !asks && !is_social)
        .with(Cue::NearAsk, around.near_same && asks && !is_to_people)
        .with(Cue::NearDo, around.near_same && does && !asks)
        .with(Cue::OtherAsk, (around.follows_other || around.near_other) && asks && !is_to_people)
        .with(Cue::OpenAsk, asks && is_open && (has(Cue::HowTo) || has(Cue::Fact)))
        .with(Cue::PlainAsk, asks && is_open && !has(Cue::You) && !has(Cue::Group))
        .with(
            Cue::HelpTell,
            around.helpdesk && !asks && !is_social && !shape.reacts && !is_to_people,
        )
        .with(
            Cue::Complains,
            has(Cue::Trouble) && !asks && !is_to_people && !follows && !has(Cue::FromBot),
        )
        .with(Cue::FollowSettled, follows && has(Cue::Settled))
        .with(Cue::PointAsk, asks && has(Cue::Points) && is_free)
        .with(Cue::BriefAsk, asks && shape.words <= 4 && is_free)
        .with(Cue::NumberAsk, asks && shape.digits && is_open)
        .with(Cue::PersonDo, does && !asks && is_to_people && !is_named)
        .with(Cue::OpenDo, has(Cue::Request) && is_open && !has(Cue::Me))
        .with(Cue::PersonAsk, asks && !is_named && (has(Cue::You) || is_to_people))
        .with(Cue::NamedSays, is_named && (!is_social || shape.greets))
        .with(Cue::NamedSocial, is_named && is_social && !shape.greets)
}
