#![doc = include_str!("intent.md")]

use std::fmt;

use super::access::Spot;
use super::chat::Inbound;

mod keep;
pub mod memory;
pub mod opinion;
mod places;
pub mod shape;
pub mod weights;

pub use memory::Memory;
pub use opinion::{Heard, Mark, Reaction};
pub use places::{Amends, Bar, GuildBars};
pub use shape::Names;

/// How an account decides whether it is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter {
    /// What messages are measured by; `None` where only some places have one.
    pub bar: Option<Bar>,
    /// What holds in some servers and channels instead.
    pub places: Vec<GuildBars>,
    /// What we are called, besides the name under which we write.
    pub names: Names,
    /// Whether people's reactions shift the scores of their chats.
    pub learns: bool,
}

impl Default for Filter {
    fn default() -> Filter {
        let (bar, names) = (Some(Bar::default()), Names::default());
        Filter { bar, places: Vec::new(), names, learns: true }
    }
}

macro_rules! cues {
    ($($(#[doc = $doc:literal])* $name:ident: $text:literal,)*) => {
        /// One fact about a message that counts for or against its being meant for us.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[repr(u8)]
        pub enum Cue {
            $($(#[doc = $doc])* $name,)*
        }

        impl Cue {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Cue] = &[$(Cue::$name,)*];

            /// The same in words.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    $(Cue::$name => $text,)*
                }
            }
        }
    };
}

cues! {
    /// Holds always.
    Base: "what every score begins with",
    /// It mentions us, or answers a message of ours and says so.
    Mention: "it mentions us",
    /// It answers a message of ours.
    ReplyUs: "it replies to us",
    /// It answers somebody else's.
    ReplyOther: "it replies to somebody else",
    /// Our name is in it, as of one who is spoken to.
    Named: "it speaks to us by name",
    /// Our name is in it otherwise.
    NameThird: "it speaks of us, not to us",
    /// It mentions another.
    MentionOther: "it mentions somebody else",
    /// It exclaims.
    Exclaims: "it is an exclamation",
    /// It names one who spoke here lately.
    OtherNamed: "it names somebody else here",
    /// It ends as a question.
    QuestionEnd: "it is a question",
    /// A question stands in the middle of it.
    QuestionInside: "there is a question in it",
    /// A part of it begins with a question word.
    AsksHow: "it begins with a question word",
    /// A part of it begins as a question that is answered by yes or no.
    AsksWhether: "it asks whether something is so",
    /// It asks who.
    AsksWho: "it asks who",
    /// It asks how to do or what something is.
    HowTo: "it asks how to do something, or what something is",
    /// Can you, would you.
    CanYou: "it asks somebody to do something",
    /// Did you, are you.
    DoYou: "it asks what somebody does or thinks",
    /// The second person.
    You: "it speaks to somebody",
    /// It begins with what is to be done.
    Request: "it says what is to be done",
    /// Please.
    Please: "it says please",
    /// It is thanks, applause or laughter and nothing else.
    Social: "it is thanks or applause and asks nothing",
    /// It begins with such a word.
    Reacts: "it begins with thanks or a nod",
    /// It begins with a greeting.
    Greeting: "it greets",
    /// Anyone, all, guys.
    Group: "it speaks to anyone or all",
    /// We, us.
    Us: "it speaks of the people here",
    /// I, my.
    Me: "it speaks of its author",
    /// Tonight, lunch, meeting.
    Plan: "it is about times and meetings",
    /// It begins like one that goes on: and, but, what about.
    Continues: "it goes on with something",
    /// Something fails.
    Trouble: "it tells of trouble",
    /// It asks for what can be known: difference, how many.
    Fact: "it asks for facts",
    /// One or two words.
    Short: "it is very short",
    /// Three to six words.
    Brief: "it is short",
    /// More than fourteen words.
    Long: "it is long",
    /// It tells of trouble, to nobody in particular.
    Complains: "it tells nobody in particular of trouble",
    /// Not one word is in it.
    NoWords: "it has no words",
    /// There is more than text: a picture, a link.
    Attached: "there is a picture or a link in it",
    /// We spoke last, to its author.
    FollowSame: "it follows our answer to its author",
    /// We spoke last, to another.
    FollowOther: "it follows our answer to somebody else",
    /// We spoke to its author a few messages ago.
    NearSame: "we answered its author a moment ago",
    /// We spoke to another a few messages ago.
    NearOther: "we answered somebody else a moment ago",
    /// Much of what was said lately is for us.
    Helpdesk: "most of what is said here lately is for us",
    /// We have not spoken lately.
    Cold: "we have not spoken here lately",
    /// Our last word to its author was a question.
    BotAsked: "we asked its author something",
    /// Its author's message just before was for us, and is not answered yet.
    SelfRun: "its author has just asked us something",
    /// Nobody had spoken for a while.
    Pause: "it was quiet here before",
    /// Several people speak with one another.
    Chatter: "people here speak with one another",
    /// Another spoke less than a minute before.
    AfterHuman: "somebody else spoke just before",
    /// It is said in a thread.
    Thread: "it is said in a thread",
    /// It is said in a thread where we speak with one person.
    ThreadOurs: "the thread is a conversation with us",
    /// A program says it.
    FromBot: "a program says it",
    /// A question that follows our answer to its author.
    FollowAsk: "it asks on after our answer",
    /// Thanks that follow our answer to its author.
    FollowSocial: "it thanks for our answer",
    /// A request that follows our answer to its author.
    FollowDo: "it asks for more after our answer",
    /// It says no to our answer, or that something still is so.
    FollowNot: "it objects to our answer, or says what still is so",
    /// It goes on after our answer to its author.
    FollowMore: "it goes on after our answer",
    /// A question some messages after our answer to its author.
    NearAsk: "it asks on a moment after our answer",
    /// A request some messages after our answer to its author.
    NearDo: "it asks for more a moment after our answer",
    /// A question by another after our answer.
    OtherAsk: "it asks something beside our answer to somebody else",
    /// A question of fact that is put to nobody in particular.
    OpenAsk: "it asks what anyone may answer",
    /// A question of any kind that is put to nobody in particular.
    PlainAsk: "it asks nobody in particular",
    /// It tells something where most is for us.
    HelpTell: "it tells something where most is for us",
    /// A question to a person.
    PersonAsk: "it asks what only people here can answer",
    /// Our name, and something besides thanks.
    NamedSays: "it says something to us by name",
    /// Thanks with our name.
    NamedSocial: "it thanks us by name",
    /// Its first word ends in -ing.
    Doing: "it tells what somebody is doing",
    /// Found, fixed, of course.
    Settled: "it says that something is settled",
    /// That follows our answer to its author.
    FollowSettled: "it says that our answer settled it",
    /// It, that, they.
    Points: "it speaks of what was spoken of before",
    /// A question about that, which is none about our answer.
    PointAsk: "it asks about what others spoke of",
    /// A question of a few words that does not follow our answer.
    BriefAsk: "it is a short question among people",
    /// A number is in it.
    Number: "there is a number in it",
    /// A question with one.
    NumberAsk: "it asks about a number",
    /// Code is in it.
    Code: "there is code in it",
    /// Words between quotation marks.
    Quotes: "it quotes something",
    /// A request among people.
    PersonDo: "it asks a person here for something",
    /// A request to nobody in particular.
    OpenDo: "it asks for something to be written or found",
}

/// The facts that hold about a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features(u128);

impl Features {
    /// The same with `cue`, if it `holds`.
    #[must_use]
    pub fn with(self, cue: Cue, holds: bool) -> Features {
        Features(self.0 | u128::from(holds) << cue as u8)
    }

    /// Whether `cue` holds.
    #[must_use]
    pub fn has(self, cue: Cue) -> bool {
        self.0 >> cue as u8 & 1 == 1
    }

    /// Those that hold.
    pub fn iter(self) -> impl Iterator<Item = Cue> {
        Cue::ALL.iter().copied().filter(move |&cue| self.has(cue))
    }
}

/// How surely a message is meant for us, and what speaks most for and against it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Score {
    /// From 0 to 1000.
    pub permille: u16,
    /// What weighs most, the heaviest first; [`Cue::Base`] is none.
    pub reasons: [Cue; 3],
    /// What the chat's people think of our answers, in hundredths of a weight.
    pub bias: i8,
}

/// The score of a message of which `features` hold, in a chat that leans by `bias` hundredths.
#[must_use]
pub fn score(features: Features, bias: i8) -> Score {
    let mut reasons = [Cue::Base; 3];
    let mut sum = i32::from(bias);
    for cue in features.iter() {
        let weight = weights::of(cue);
        sum += i32::from(weight);
        let lightest = |other: Cue| other == Cue::Base || strength(other) < strength(cue);
        if cue != Cue::Base
            && weight != 0
            && let Some(at) = reasons.iter().position(|&other| lightest(other))
        {
            reasons[at..].rotate_right(1);
            reasons[at] = cue;
        }
    }
    Score { permille: logistic(sum), reasons, bias }
}

fn strength(cue: Cue) -> u16 {
    weights::of(cue).unsigned_abs()
}

/// `1000 / (1 + e^-(sum / 100))`, between points a quarter apart on straight lines: no two boards
/// round a whole number differently.
fn logistic(sum: i32) -> u16 {
    /// Ten-thousandths at 0, 0.25, 0.5 … 8.
    const POINTS: [u16; 33] = [
        5000, 5622, 6225, 6792, 7311, 7773, 8176, 8520, 8808, 9047, 9241, 9399, 9526, 9627, 9707,
        9770, 9820, 9859, 9890, 9914, 9933, 9948, 9959, 9968, 9975, 9981, 9985, 9988, 9991, 9993,
        9994, 9996, 9997,
    ];
    const STEP: u32 = 25;
    let distance = sum.unsigned_abs().min(STEP * 32 - 1);
    let at = usize::try_from(distance / STEP).unwrap_or(0);
    let (low, high) = (u32::from(POINTS[at]), u32::from(POINTS[at + 1]));
    let fine = low + (high - low) * (distance % STEP) / STEP;
    let whole = if sum < 0 { 10_000 - fine } else { fine };
    u16::try_from(whole / 10).unwrap_or(1000)
}

/// A score, and what it was measured by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// The message's.
    pub score: Score,
    /// What was asked for, in thousandths.
    pub threshold: u16,
    /// Where that is written.
    pub spot: Spot,
}

impl Verdict {
    /// One of nothing, which stands for all of them.
    pub const BARE: Verdict = Verdict {
        score: Score { permille: 0, reasons: [Cue::Base; 3], bias: 0 },
        threshold: 0,
        spot: Spot::Account,
    };

    /// The whole of it as one number, for the trail.
    #[must_use]
    pub fn pack(self) -> u64 {
        let Score { permille, reasons, bias } = self.score;
        // Six bits of each lie together, as when there were no more, and the seventh by itself.
        let high = reasons.iter().fold(0, |all, &cue| all << 1 | cue as u64 >> 6);
        let reasons = reasons.iter().fold(0, |all, &cue| all << 6 | cue as u64 & 63);
        u64::from(permille & 1023)
            | u64::from(self.threshold & 1023) << 10
            | reasons << 20
            | u64::from(bias.cast_unsigned()) << 38
            | places::code(self.spot) << 46
            | high << 50
    }

    /// The verdict that `number` is.
    #[must_use]
    pub fn unpack(number: u64) -> Verdict {
        let part = |from: u32, bits: u32| number >> from & ((1 << bits) - 1);
        let small = |number: u64| u16::try_from(number).unwrap_or(0);
        let cue = |from, high| {
            let at = usize::try_from(part(from, 6) | part(high, 1) << 6).unwrap_or(0);
            Cue::ALL.get(at).copied().unwrap_or(Cue::Base)
        };
        let bias = u8::try_from(part(38, 8)).unwrap_or(0).cast_signed();
        let reasons = [cue(32, 52), cue(26, 51), cue(20, 50)];
        let score = Score { permille: small(part(0, 10)), reasons, bias };
        Verdict { score, threshold: small(part(10, 10)), spot: places::of_code(part(46, 4)) }
    }
}

/// Hundredths, as people write them.
fn hundredths(f: &mut fmt::Formatter<'_>, number: u16) -> fmt::Result {
    write!(f, "{}.{:02}", number / 100, number % 100)
}

/// `its score is 0.12 (0.70 is asked for): it replies to somebody else (-2.10), …`
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Score { permille, reasons, bias } = self.score;
        f.write_str("its score is ")?;
        hundredths(f, permille / 10)?;
        f.write_str(", where ")?;
        hundredths(f, self.threshold / 10)?;
        f.write_str(" is asked for")?;
        let mut mark = ": ";
        for cue in reasons.into_iter().filter(|&cue| cue != Cue::Base) {
            let sign = if weights::of(cue) < 0 { '-' } else { '+' };
            write!(f, "{mark}{} ({sign}", cue.text())?;
            hundredths(f, strength(cue))?;
            f.write_str(")")?;
            mark = ", ";
        }
        if bias != 0 {
            let sign = if bias < 0 { '-' } else { '+' };
            write!(f, "{mark}reactions to our answers here ({sign}")?;
            hundredths(f, bias.unsigned_abs().into())?;
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl Filter {
    /// Whether `inbound` is meant for us by what `memory` knows of its chat, which (or the one
    /// around it) is called `chat_name`, and why; `None` where that is not asked.
    #[must_use]
    pub fn judge(
        &self,
        memory: &Memory,
        inbound: &Inbound<'_>,
        chat_name: Option<&str>,
    ) -> Option<Result<Verdict, Verdict>> {
        let (bar, spot) = self.bar(inbound, chat_name)?;
        let features = memory.features(inbound, &self.names);
        let said = inbound.chat.channel.said_at(inbound.id);
        let bias = if self.learns { memory.bias(inbound.chat, said) } else { 0 };
        let score = score(features, bias);
        let verdict = Verdict { score, threshold: bar.threshold, spot };
        let is_named = bar.always_mentions && inbound.mentions_us;
        let is_meant = is_named || score.permille >= bar.threshold;
        Some(if is_meant { Ok(verdict) } else { Err(verdict) })
    }
}

#[cfg(test)]
mod tests;
