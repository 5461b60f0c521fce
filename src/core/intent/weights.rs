//! What each cue weighs, in hundredths. Made by training (`tests/intent`), not by hand.

use super::Cue;

/// The weight of `cue`.
#[must_use]
pub fn of(cue: Cue) -> i16 {
    WEIGHTS.get(cue as usize).copied().unwrap_or(0)
}

/// By the numbers of the cues.
pub const WEIGHTS: &[i16] = &[
    275,  // Base
    37,   // Mention
    0,    // ReplyUs
    -34,  // ReplyOther
    119,  // Named
    81,   // NameThird
    -47,  // MentionOther
    -111, // Exclaims
    -91,  // OtherNamed
    107,  // QuestionEnd
    55,   // QuestionInside
    43,   // AsksHow
    31,   // AsksWhether
    -127, // AsksWho
    46,   // HowTo
    65,   // CanYou
    -47,  // DoYou
    -76,  // You
    137,  // Request
    44,   // Please
    -127, // Social
    -132, // Reacts
    12,   // Greeting
    -59,  // Group
    -66,  // Us
    -18,  // Me
    -110, // Plan
    92,   // Continues
    74,   // Trouble
    97,   // Fact
    -223, // Short
    -100, // Brief
    32,   // Long
    60,   // Complains
    -35,  // NoWords
    -35,  // Attached
    105,  // FollowSame
    -134, // FollowOther
    81,   // NearSame
    -4,   // NearOther
    -35,  // Helpdesk
    -75,  // Cold
    98,   // BotAsked
    69,   // SelfRun
    4,    // Pause
    30,   // Chatter
    -165, // AfterHuman
    58,   // Thread
    34,   // ThreadOurs
    -56,  // FromBot
    64,   // FollowAsk
    -50,  // FollowSocial
    15,   // FollowDo
    90,   // FollowNot
    49,   // FollowMore
    97,   // NearAsk
    168,  // NearDo
    29,   // OtherAsk
    71,   // OpenAsk
    97,   // PlainAsk
    44,   // HelpTell
    -39,  // PersonAsk
    186,  // NamedSays
    -29,  // NamedSocial
    -112, // Doing
    -60,  // Settled
    -7,   // FollowSettled
    -86,  // Points
    -20,  // PointAsk
    -116, // BriefAsk
    9,    // Number
    24,   // NumberAsk
    28,   // Code
    88,   // Quotes
    -29,  // PersonDo
    46,   // OpenDo
];
