//! The machine with a bug planted in what goes in or comes out: each must be caught.

use std::collections::VecDeque;
use std::time::Duration;

use barnacle::base::end::DialFault;
use barnacle::base::{End, Instant, Machine};
use barnacle::proto::discord::gateway::{
    Ask, Gateway, GatewayInfo, Input, Output, Payload, Signal, Status, Urgency,
};

/// What may be planted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Bug {
    None,
    DialsTwice,
    ForgetsToClose,
    BeatsLate,
    SkipsBeats,
    IgnoresOp1,
    BeatsIntoClosedSocket,
    BeatNamesWrongSequence,
    NeverJudgesSilence,
    JudgesBeforeReading,
    ResumesForEver,
    ResumesFromWrongSequence,
    BurnsSessionsOnDialFailures,
    ClosesWith1000,
    IgnoresTheBudget,
    IdentifiesTwice,
    SpendsBeforeSaving,
    ForgetsToSave,
    DeliversDuplicates,
    DropsDeliveries,
    DialsAlthoughParked,
    RetriesWithoutPause,
    IgnoresTheSendLimit,
    IsStuckAfterDialFailures,
    IgnoresSomeEvents,
}

/// All of them.
pub const BUGS: [Bug; 24] = [
    Bug::DialsTwice,
    Bug::ForgetsToClose,
    Bug::BeatsLate,
    Bug::SkipsBeats,
    Bug::IgnoresOp1,
    Bug::BeatsIntoClosedSocket,
    Bug::BeatNamesWrongSequence,
    Bug::NeverJudgesSilence,
    Bug::JudgesBeforeReading,
    Bug::ResumesForEver,
    Bug::ResumesFromWrongSequence,
    Bug::BurnsSessionsOnDialFailures,
    Bug::ClosesWith1000,
    Bug::IgnoresTheBudget,
    Bug::IdentifiesTwice,
    Bug::SpendsBeforeSaving,
    Bug::ForgetsToSave,
    Bug::DeliversDuplicates,
    Bug::DropsDeliveries,
    Bug::DialsAlthoughParked,
    Bug::RetriesWithoutPause,
    Bug::IgnoresTheSendLimit,
    Bug::IsStuckAfterDialFailures,
    Bug::IgnoresSomeEvents,
];

pub struct Planted {
    inner: Gateway,
    bug: Bug,
    now: Instant,
    out: VecDeque<Output>,
    count: u32,
    last_resume: Option<Payload>,
    /// What comes out after all else.
    held: Option<Output>,
}

impl Planted {
    pub fn new(inner: Gateway, bug: Bug) -> Planted {
        let out = VecDeque::new();
        Planted { inner, bug, now: Instant(0), out, count: 0, last_resume: None, held: None }
    }

    pub fn status(&self) -> &Status {
        self.inner.status()
    }

    fn every(&mut self, n: u32) -> bool {
        self.count += 1;
        self.count.is_multiple_of(n)
    }

    fn handle_spoilt(&mut self, now: Instant, input: Input<'_>) {
        match (self.bug, input) {
            (Bug::IgnoresOp1, Input::Heard(Signal::Beat))
            | (Bug::NeverJudgesSilence, Input::Drained) => {}
            (Bug::BurnsSessionsOnDialFailures, Input::Ended(End::Dial(_))) => {
                self.inner.handle(now, input);
                self.inner.handle(now, Input::Ask(Ask::Restart { fresh: true }));
            }
            (Bug::IgnoresTheBudget, Input::Gateway(info)) => {
                let info = GatewayInfo { remaining: 1000, ..info };
                self.inner.handle(now, Input::Gateway(info));
            }
            (Bug::DialsAlthoughParked, Input::Ended(End::Server(4004 | 4010..=4014))) => {
                self.inner.handle(now, Input::Ended(End::Wire));
            }
            (Bug::IsStuckAfterDialFailures, Input::Ended(End::Dial(DialFault::Refused))) => {
                if !self.every(20) {
                    self.inner.handle(now, input);
                }
            }
            (Bug::RetriesWithoutPause, Input::Ended(_)) => {
                self.inner.handle(now, input);
                self.inner.expire(now + Duration::from_secs(70));
            }
            (Bug::DeliversDuplicates, Input::Heard(Signal::Dispatch { .. })) => {
                let before = self.inner.status().counters.duplicates;
                self.inner.handle(now, input);
                if self.inner.status().counters.duplicates > before {
                    self.out.push_back(Output::Deliver);
                }
            }
            (Bug::IgnoresSomeEvents, Input::Heard(Signal::Dispatch { seq, .. }))
                if seq % 7 == 0 => {}
            _ => self.inner.handle(now, input),
        }
    }

    /// What comes out in place of `output`; goes to the end of `self.out`.
    fn spoil(&mut self, output: Output) {
        let op = match &output {
            Output::Send(payload) => payload.bytes().get(6).copied().unwrap_or(0),
            _ => 0,
        };
        let spoilt = match (self.bug, &output) {
            (Bug::DialsTwice, Output::Dial { .. }) if self.every(10) => {
                self.out.push_back(output.clone());
                output
            }
            (Bug::ForgetsToClose, Output::Close { .. }) => return,
            (Bug::ForgetsToSave, Output::Save(_, saved)) if saved.session.is_some() => return,
            (Bug::SkipsBeats, Output::Send(_)) if op == b'1' && self.every(100) => return,
            (Bug::BeatNamesWrongSequence, Output::Send(_)) if op == b'1' => {
                Self::rewritten(&output, |text| text.replace("\"d\":", "\"d\":1"))
            }
            (Bug::ResumesFromWrongSequence, Output::Send(_)) if op == b'6' => {
                Self::rewritten(&output, |text| text.replace("\"seq\":", "\"seq\":1"))
            }
            (Bug::ResumesForEver, Output::Send(payload)) if op == b'6' => {
                self.last_resume = Some(payload.clone());
                output
            }
            (Bug::ResumesForEver, Output::Send(_)) if op == b'2' => {
                self.last_resume.clone().map_or(output, Output::Send)
            }
            (Bug::IdentifiesTwice, Output::Send(_)) if op == b'2' => {
                self.out.push_back(output.clone());
                output
            }
            (Bug::IgnoresTheSendLimit, Output::Send(_)) if op == b'3' => {
                self.out.extend([output.clone(), output.clone()]);
                output
            }
            (Bug::SpendsBeforeSaving, Output::Save(Urgency::Now, _)) => {
                self.held = Some(output);
                return;
            }
            (Bug::ClosesWith1000, Output::Close { code: 4000 }) => Output::Close { code: 1000 },
            (Bug::BeatsIntoClosedSocket, Output::Close { .. }) => {
                self.out.push_back(output);
                match Payload::new(br#"{"op":1,"d":null}"#) {
                    Some(beat) => Output::Send(beat),
                    None => return,
                }
            }
            (Bug::DropsDeliveries, Output::Deliver) if self.every(50) => return,
            (Bug::JudgesBeforeReading, Output::Drain) => {
                self.inner.handle(self.now, Input::Drained);
                return;
            }
            _ => output,
        };
        self.out.push_back(spoilt);
    }

    fn rewritten(output: &Output, rewrite: impl Fn(&str) -> String) -> Output {
        let Output::Send(payload) = output else { return output.clone() };
        let text = String::from_utf8_lossy(payload.bytes());
        Payload::new(rewrite(&text).as_bytes()).map_or(output.clone(), Output::Send)
    }
}

impl Machine for Planted {
    type Input<'a> = Input<'a>;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.now = now;
        if self.bug == Bug::None {
            self.inner.handle(now, input);
        } else {
            self.handle_spoilt(now, input);
        }
    }

    fn expire(&mut self, now: Instant) {
        self.now = now;
        self.inner.expire(now);
    }

    fn poll(&mut self) -> Option<Output> {
        if self.bug == Bug::None {
            return self.inner.poll();
        }
        while let Some(output) = self.inner.poll() {
            self.spoil(output);
        }
        self.out.extend(self.held.take());
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        let due = self.inner.deadline();
        match self.bug {
            Bug::BeatsLate => due.map(|due| due + Duration::from_secs(3)),
            _ => due,
        }
    }
}
