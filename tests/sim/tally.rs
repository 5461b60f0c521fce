//! What a run has seen: a simulation in which nothing goes wrong shows nothing.

use std::time::Duration;

use barnacle::base::End;
use barnacle::proto::discord::gateway::{Cause, Tell};

/// How often.
#[derive(Clone, Copy, Default, Debug)]
pub struct Tally {
    pub steps: u64,
    pub dials: u64,
    pub opens: u64,
    pub resumed: u64,
    pub ready: u64,
    pub delivered: u64,
    pub abandoned: u64,
    pub unproven: u64,
    pub held: u64,
    pub parked: u64,
    pub refused_sends: u64,
    pub silences: u64,
    pub survived_stalls: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.steps += other.steps;
        self.dials += other.dials;
        self.opens += other.opens;
        self.resumed += other.resumed;
        self.ready += other.ready;
        self.delivered += other.delivered;
        self.abandoned += other.abandoned;
        self.unproven += other.unproven;
        self.held += other.held;
        self.parked += other.parked;
        self.refused_sends += other.refused_sends;
        self.silences += other.silences;
        self.survived_stalls += other.survived_stalls;
    }

    pub fn tell(&mut self, tell: &Tell) {
        let count = match tell {
            Tell::Live { resumed: true, .. } => &mut self.resumed,
            Tell::Live { resumed: false, .. } => &mut self.ready,
            Tell::Abandoned { .. } => &mut self.abandoned,
            Tell::Unproven { .. } => &mut self.unproven,
            Tell::Held { .. } => &mut self.held,
            Tell::Parked(_) => &mut self.parked,
            Tell::SendRefused(_) => &mut self.refused_sends,
            Tell::Disconnected(Cause::End(End::Silence(_))) => &mut self.silences,
            Tell::Ack { rtt } if *rtt > Duration::from_secs(20) => &mut self.survived_stalls,
            _ => return,
        };
        *count += 1;
    }
}
