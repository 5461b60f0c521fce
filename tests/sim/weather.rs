//! What goes wrong, and when: faults of the network and of the server, drawn from a seed.

use std::time::Duration;

use barnacle::base::Rng;

/// A fault that lasts for a while.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Fault {
    // The network.
    Refused,
    NoDns,
    DialsHang,
    SlowDials,
    Status(u16, u32),
    LoseUp,
    LoseDown,
    LoseBoth,
    ResumeUrlRefused,
    ResumeUrlHangs,
    RestFails,
    RestSilent,
    /// Connections are cut after some seconds.
    Flaky,
    // The server.
    NoHello,
    Op7ForHello,
    NoReady,
    NoResumed,
    NoAck,
    ResumeClosed(u16),
    ResumeCut,
    ResumeOp9(bool),
    ResumeOp7,
    IdentifyOp9,
    /// Cut this soon after READY or RESUMED.
    CutWhenLive(Duration),
    /// Op 7 this soon after READY or RESUMED.
    Op7WhenLive(Duration),
    Duplicates,
    Jumps,
    Op1Flood,
    Flood,
    Garbage,
}

/// A thing that happens at once.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Blow {
    /// Both sides see the connection break.
    Cut,
    /// A middlebox forgets the connection: nobody is told.
    Forgotten,
    Close(u16),
    /// A fatal code, and IDENTIFY gets it too until a person has mended it.
    Fatal(u16),
    Op7,
    Op9(bool),
    Op1,
    /// The session refuses every RESUME for 90 s, then gets op 9.
    Brick,
    /// The host sleeps, or is starved.
    Stall(Duration),
    /// `kill -9`, or the power fails: then the server is not told.
    Kill {
        power: bool,
    },
    /// The program is restarted in order.
    Leave,
    Restart {
        fresh: bool,
    },
    /// Stopped, and started again later.
    Stop(Duration),
    /// The program wants to send a burst of its own.
    Presences,
}

/// The faults of this moment: one of the network, one of the server.
#[derive(Clone, Copy, Default, Debug)]
pub struct Weather(pub [Option<Fault>; 2]);

impl Weather {
    pub fn has(&self, fault: Fault) -> bool {
        self.0.contains(&Some(fault))
    }

    pub fn is_fine(&self) -> bool {
        self.0 == [None, None]
    }

    pub fn find<T>(&self, pick: impl Fn(Fault) -> Option<T>) -> Option<T> {
        self.0.iter().flatten().find_map(|&fault| pick(fault))
    }

    pub fn loses_up(&self) -> bool {
        self.has(Fault::LoseUp) || self.has(Fault::LoseBoth)
    }

    pub fn loses_down(&self) -> bool {
        self.has(Fault::LoseDown) || self.has(Fault::LoseBoth)
    }
}

pub const NETWORK: usize = 0;
pub const SERVER: usize = 1;

fn some_code(rng: &mut Rng) -> u16 {
    const CODES: [u16; 17] = [
        1000, 1001, 1005, 1006, 1011, 1012, 4000, 4001, 4002, 4003, 4005, 4006, 4007, 4008, 4009,
        4200, 1009,
    ];
    CODES[below(rng, CODES.len())]
}

fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).unwrap_or(0)
}

pub fn between(rng: &mut Rng, from_ms: u64, to_ms: u64) -> Duration {
    rng.between(Duration::from_millis(from_ms), Duration::from_millis(to_ms))
}

/// How long a fault lasts: mostly short, sometimes an hour or more.
pub fn span(rng: &mut Rng) -> Duration {
    match rng.below(20) {
        0 => between(rng, 600_000, 7_200_000),
        1..=6 => between(rng, 60_000, 600_000),
        _ => between(rng, 500, 60_000),
    }
}

pub fn network_fault(rng: &mut Rng) -> Fault {
    match rng.below(13) {
        0 => Fault::Refused,
        1 => Fault::NoDns,
        2 => Fault::DialsHang,
        3 => Fault::SlowDials,
        4 => Fault::Status(if rng.one_in(2) { 502 } else { 429 }, 0),
        5 => Fault::LoseUp,
        6 => Fault::LoseDown,
        7 => Fault::LoseBoth,
        8 => Fault::ResumeUrlRefused,
        9 => Fault::ResumeUrlHangs,
        10 => Fault::RestFails,
        11 => Fault::RestSilent,
        _ => Fault::Flaky,
    }
}

pub fn server_fault(rng: &mut Rng) -> Fault {
    match rng.below(17) {
        0 => Fault::NoHello,
        1 => Fault::Op7ForHello,
        2 => Fault::NoReady,
        3 => Fault::NoResumed,
        4 => Fault::NoAck,
        5 => Fault::ResumeClosed(some_code(rng)),
        6 => Fault::ResumeCut,
        7 => Fault::ResumeOp9(rng.one_in(2)),
        8 => Fault::ResumeOp7,
        9 => Fault::IdentifyOp9,
        10 => Fault::CutWhenLive(between(rng, 1, 30_000)),
        11 => Fault::Op7WhenLive(between(rng, 1, 10_000)),
        12 => Fault::Duplicates,
        13 => Fault::Jumps,
        14 => Fault::Op1Flood,
        15 => Fault::Flood,
        _ => Fault::Garbage,
    }
}

pub fn blow(rng: &mut Rng) -> Blow {
    match rng.below(28) {
        0..=2 => Blow::Cut,
        3..=5 => Blow::Forgotten,
        6..=8 => Blow::Close(some_code(rng)),
        9 if rng.one_in(4) => Blow::Fatal([4004, 4010, 4013, 4014][below(rng, 4)]),
        9..=11 => Blow::Op7,
        12 => Blow::Op9(false),
        13 => Blow::Op9(true),
        14 => Blow::Op1,
        15..=16 => Blow::Brick,
        17..=19 => Blow::Stall(span(rng)),
        20 => Blow::Kill { power: false },
        21 => Blow::Kill { power: true },
        22 => Blow::Leave,
        23..=24 => Blow::Restart { fresh: rng.one_in(4) },
        25 if rng.one_in(3) => Blow::Stop(span(rng)),
        _ => Blow::Presences,
    }
}
