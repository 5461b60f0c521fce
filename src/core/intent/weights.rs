//! What each cue weighs, in hundredths. Made by training (`tests/intent`), not by hand.

use super::Cue;

/// The weight of `cue`.
#[must_use]
pub fn of(cue: Cue) -> i16 {
    WEIGHTS.get(cue as usize).copied().unwrap_or(0)
}

/// By the numbers of the cues.
pub const WEIGHTS: &[i16] = &[
    129,  // Base
    49,   // Mention
    0,    // ReplyUs
    -25,  // ReplyOther
    144,  // Named
    50,   // NameThird
    -35,  // MentionOther
    -72,  // Exclaims
    -85,  // OtherNamed
    98,   // QuestionEnd
    38,   // QuestionInside
    75,   // AsksHow
    60,   // AsksWhether
    -84,  // AsksWho
    41,   // HowTo
    45,   // CanYou
    -28,  // DoYou
    -38,  // You
    135,  // Request
    70,   // Please
    -87,  // Social
    -106, // Reacts
    35,   // Greeting
    -50,  // Group
    -57,  // Us
    49,   // Me
    -107, // Plan
    96,   // Continues
    75,   // Trouble
    93,   // Fact
    -171, // Short
    -112, // Brief
    25,   // Long
    103,  // Complains
    -30,  // NoWords
    -18,  // Attached
    129,  // FollowSame
    -129, // FollowOther
    79,   // NearSame
    -74,  // NearOther
    -38,  // Helpdesk
    -82,  // Cold
    98,   // BotAsked
    70,   // SelfRun
    42,   // Pause
    -46,  // Chatter
    -113, // AfterHuman
    43,   // Thread
    30,   // ThreadOurs
    -38,  // FromBot
    87,   // FollowAsk
    -54,  // FollowSocial
    23,   // FollowDo
    78,   // FollowNot
    58,   // FollowMore
    104,  // NearAsk
    149,  // NearDo
    34,   // OtherAsk
    70,   // OpenAsk
    90,   // PlainAsk
    69,   // HelpTell
    -20,  // PersonAsk
    223,  // NamedSays
    -29,  // NamedSocial
];
