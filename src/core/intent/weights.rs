//! What each cue weighs, in hundredths. Made by training (`tests/intent`), not by hand.

use super::Cue;

/// The weight of `cue`.
#[must_use]
pub fn of(cue: Cue) -> i16 {
    WEIGHTS.get(cue as usize).copied().unwrap_or(0)
}

/// By the numbers of the cues.
pub const WEIGHTS: &[i16] = &[
    228,  // Base
    33,   // Mention
    0,    // ReplyUs
    -29,  // ReplyOther
    147,  // Named
    40,   // NameThird
    -47,  // MentionOther
    -101, // Exclaims
    -97,  // OtherNamed
    109,  // QuestionEnd
    35,   // QuestionInside
    83,   // AsksHow
    65,   // AsksWhether
    -117, // AsksWho
    44,   // HowTo
    67,   // CanYou
    -50,  // DoYou
    -45,  // You
    164,  // Request
    78,   // Please
    -108, // Social
    -111, // Reacts
    26,   // Greeting
    -47,  // Group
    -30,  // Us
    17,   // Me
    -89,  // Plan
    99,   // Continues
    90,   // Trouble
    73,   // Fact
    -203, // Short
    -116, // Brief
    40,   // Long
    87,   // Complains
    -38,  // NoWords
    -24,  // Attached
    120,  // FollowSame
    -109, // FollowOther
    86,   // NearSame
    -58,  // NearOther
    -45,  // Helpdesk
    -85,  // Cold
    117,  // BotAsked
    99,   // SelfRun
    36,   // Pause
    -29,  // Chatter
    -111, // AfterHuman
    69,   // Thread
    34,   // ThreadOurs
    -44,  // FromBot
    65,   // FollowAsk
    -47,  // FollowSocial
    16,   // FollowDo
    104,  // FollowNot
    55,   // FollowMore
    90,   // NearAsk
    182,  // NearDo
    48,   // OtherAsk
    62,   // OpenAsk
    113,  // PlainAsk
    54,   // HelpTell
    -35,  // PersonAsk
    214,  // NamedSays
    -33,  // NamedSocial
    -96,  // Doing
    -50,  // Settled
    0,    // FollowSettled
    -71,  // Points
    -27,  // PointAsk
    -109, // BriefAsk
    5,    // Number
    55,   // NumberAsk
    10,   // Code
    97,   // Quotes
    -31,  // PersonDo
    56,   // OpenDo
];
