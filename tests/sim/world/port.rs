//! The machine's port: it does what the outputs say, and hands in what comes back. What it sees
//! on the way it reports to the checks.

use std::time::Duration;

use barnacle::base::end::{DialFault, Phase};
use barnacle::base::{End, Instant, Machine};
use barnacle::proto::discord::gateway::{Cause, Dispatch, Input, Output, Signal, State, Tell};

use super::{Socket, What, Wire, World, print};
use crate::check::ALL;
use crate::server::{Down, Up};
use crate::weather::{Fault, between};

impl World {
    fn dial(&mut self, url: &str, deadline: Duration) {
        if self.socket != Socket::None {
            return self.check.breach("two live sockets");
        }
        if self.fatal_heard {
            return self.check.breach("a parked account dials");
        }
        self.check.dialed(self.now);
        self.tally.dials += 1;
        self.dials += 1;
        let conn = self.dials;
        self.socket = Socket::Dialing(conn);
        let is_resume_url = url.contains("//resume.");
        let hangs = Some(End::Silence(Phase::Tcp));
        let fault = self.weather.find(|fault| match fault {
            Fault::Refused => Some((Some(End::Dial(DialFault::Refused)), false)),
            Fault::ResumeUrlRefused if is_resume_url => {
                Some((Some(End::Dial(DialFault::Refused)), false))
            }
            Fault::NoDns => Some((Some(End::Dial(DialFault::Dns)), false)),
            Fault::Status(status, wait) => {
                Some((Some(End::Dial(DialFault::Status(status, wait))), false))
            }
            Fault::DialsHang | Fault::LoseUp | Fault::LoseDown | Fault::LoseBoth => {
                Some((hangs, true))
            }
            Fault::ResumeUrlHangs if is_resume_url => Some((hangs, true)),
            Fault::SlowDials if deadline <= Duration::from_secs(12) => {
                Some((Some(End::Silence(Phase::Tls)), true))
            }
            Fault::SlowDials => Some((None, false)),
            _ => None,
        });
        let slow = self.weather.has(Fault::SlowDials);
        let (end, hangs) = fault.unwrap_or((None, false));
        let after = match (hangs, slow) {
            (true, _) => deadline,
            (false, true) => Duration::from_secs(12),
            (false, false) => self.trip() * 3,
        };
        self.later(after, What::DialDone { conn, end });
    }

    pub(super) fn dial_done(&mut self, conn: u64, end: Option<End>) {
        if self.socket != Socket::Dialing(conn) {
            return;
        }
        if let Some(end) = end {
            self.socket = Socket::None;
            return self.call(Input::Ended(end));
        }
        self.socket = Socket::Open(conn);
        self.wire = Wire { conn, ..Wire::default() };
        self.received.clear();
        self.greeted = false;
        self.said_identify = false;
        self.check.opened();
        self.tally.opens += 1;
        self.call(Input::Open);
        self.server.opened(self.now, conn, &self.weather);
        let interval = self.server.interval;
        self.later(interval * 3 / 2, What::Patrol { conn });
        self.carry();
    }

    /// Hands in what the socket holds, unless the host sleeps.
    pub(super) fn pump(&mut self) {
        while self.stalled_until <= self.now {
            if let Some(down) = self.received.pop_front() {
                self.hand_in(down);
            } else if std::mem::take(&mut self.drain) {
                self.call(Input::Drained);
            } else {
                return;
            }
        }
    }

    fn hand_in(&mut self, down: Down) {
        let Socket::Open(_) = self.socket else { return };
        let signal = match down {
            Down::Hello => {
                self.greeted = true;
                self.check.greeted(self.now, self.server.interval);
                Signal::Hello { interval: self.server.interval }
            }
            Down::Ack => {
                self.check.acked();
                Signal::Ack
            }
            Down::Beat => return self.hand_in_beat(),
            Down::Reconnect => Signal::Reconnect,
            Down::Invalid(resumable) => {
                if self.greeted {
                    self.check.blame(if resumable { 2 } else { ALL });
                }
                Signal::InvalidSession { resumable }
            }
            Down::Ready { session } => return self.hand_in_ready(session),
            Down::Resumed { seq } => {
                self.said_resume = false;
                self.check.resumed(self.now);
                return self.hand_in_event(seq, Dispatch::Resumed);
            }
            Down::Event { seq } => return self.hand_in_event(seq, Dispatch::Other),
            Down::Unknown => Signal::Unknown { op: 12 },
            Down::Garbage => Signal::Unreadable,
            Down::Close(_) | Down::Fin => return self.hand_in_end(down),
        };
        self.call(Input::Heard(signal));
    }

    fn hand_in_beat(&mut self) {
        let before = self.beats_out;
        self.check.allow_beat();
        self.call(Input::Heard(Signal::Beat));
        if matches!(self.socket, Socket::Open(_)) {
            self.check.asked_to_beat(self.beats_out > before);
        }
    }

    fn hand_in_ready(&mut self, session: usize) {
        let id = format!("s{session}");
        self.session = Some(session);
        (self.cursor, self.handed, self.durable) = (0, 1, 1);
        self.durable_last = self.now;
        self.said_identify = false;
        self.check.ready(self.now);
        let event = Dispatch::Ready {
            session_id: &id,
            resume_url: "wss://resume.discord.gg",
            user: 1,
            application: 1,
            flags: 0,
        };
        self.deliverable = Some(1);
        self.call(Input::Heard(Signal::Dispatch { seq: 1, event }));
        self.deliverable = None;
    }

    fn hand_in_event(&mut self, seq: u64, event: Dispatch<'_>) {
        if !self.said_identify {
            self.handed = self.handed.max(seq);
        }
        self.deliverable = Some(seq);
        self.call(Input::Heard(Signal::Dispatch { seq, event }));
        self.deliverable = None;
    }

    fn hand_in_end(&mut self, down: Down) {
        let end = match down {
            Down::Close(code) => {
                self.fatal_heard = self.fatal_heard || self.server.fatal == Some(code);
                if self.said_resume || self.said_identify || self.check.live_since.is_some() {
                    match code {
                        1000 | 1001 => self.check.blame(4),
                        4003..=4007 | 4009..=4014 => self.check.blame(ALL),
                        _ => {}
                    }
                }
                End::Server(code)
            }
            _ => End::Wire,
        };
        self.lost();
        self.socket = Socket::None;
        self.call(Input::Ended(end));
    }

    /// The connection is over, by whomever.
    pub(super) fn lost(&mut self) {
        self.check.socket_gone();
        self.check.fell(self.now);
        if std::mem::take(&mut self.said_resume) {
            self.check.resume_failed(self.config.strikes_max);
        }
        self.received.clear();
        self.drain = false;
    }

    pub(super) fn call(&mut self, input: Input<'_>) {
        self.say(&input);
        if let Some(mind) = &mut self.mind {
            mind.handle(self.now, input);
        }
        self.act();
    }

    /// Does what the machine wants done.
    pub(super) fn act(&mut self) {
        self.judged_silence = false;
        let mut count = 0;
        while let Some(output) = self.mind.as_mut().and_then(Machine::poll) {
            count += 1;
            self.act_on(output);
            if count > 24 {
                return self.check.breach("a flood of outputs");
            }
        }
        let Some(mind) = &self.mind else { return };
        if mind.deadline().is_some_and(|due| due <= self.now) {
            self.check.breach("a deadline that is not later than now");
        }
        if mind.status().counters.outputs_lost > 0 {
            self.check.breach("outputs were lost");
        }
        let is_connected = mind.status().state == State::Connected;
        if is_connected != self.check.live_since.is_some() {
            self.check.breach("the status does not tell the truth");
        }
    }

    fn act_on(&mut self, output: Output) {
        match output {
            Output::Tell(tell) => {
                if self.loud {
                    print(&format!("{:>14.3?}     {tell}", self.now.since(Instant(1))));
                }
                self.tally.tell(&tell);
                let is_silence =
                    matches!(tell, Tell::Disconnected(Cause::End(End::Silence(Phase::Live))));
                self.judged_silence |= is_silence;
            }
            Output::Fetch => self.fetch(),
            Output::Dial { url, deadline } => self.dial(&url, deadline),
            Output::Send(payload) => self.send(payload.bytes()),
            Output::Close { code } => self.close(code),
            Output::Drain => self.drain = true,
            Output::Deliver => self.deliver(),
            Output::Save(_, saved) => self.disk = *saved,
            Output::State(_) => {}
        }
    }

    fn fetch(&mut self) {
        let life = self.life;
        if self.weather.has(Fault::RestSilent) || self.weather.loses_down() {
            return;
        }
        let bad = [Fault::RestFails, Fault::Refused, Fault::NoDns, Fault::LoseUp];
        let ok = !bad.iter().any(|&fault| self.weather.has(fault));
        let after = self.trip() * 3;
        self.later(after, What::Fetched { life, ok });
    }

    fn send(&mut self, bytes: &[u8]) {
        let Socket::Open(conn) = self.socket else {
            return self.check.breach("a send into a socket that is not open");
        };
        self.check.sent(self.now);
        let up = match bytes.get(6) {
            Some(b'1') => {
                self.sent_beat(bytes);
                Up::Beat
            }
            Some(b'2') => {
                self.sent_identify();
                Up::Identify
            }
            Some(b'6') => self.sent_resume(bytes),
            _ => Up::Other,
        };
        self.up(conn, up);
    }

    fn sent_beat(&mut self, bytes: &[u8]) {
        self.beats_out += 1;
        if self.rng.one_in(3000) {
            // With an ACK on its way.
            self.later(Duration::from_millis(1), What::Nap);
        }
        self.check.beat(self.now);
        let text = std::str::from_utf8(bytes).unwrap_or("");
        let seq = text.strip_prefix(r#"{"op":1,"d":"#).and_then(|rest| rest.strip_suffix('}'));
        let seq = seq.map(|seq| if seq == "null" { 0 } else { seq.parse().unwrap_or(u64::MAX) });
        if seq != Some(self.handed) {
            self.check.breach(format!("a heartbeat names {text}, received was {}", self.handed));
        }
    }

    fn sent_identify(&mut self) {
        self.handed = 0;
        self.said_identify = true;
        self.server.unheard += 1;
        self.check.identifies(self.config.strikes_max);
        self.session = None;
        let written = self.disk.identifies.last().is_some_and(|&at| {
            at.since(self.wall()).max(self.wall().since(at)) < Duration::from_millis(5)
        });
        if !written {
            self.check.breach("an IDENTIFY was spent before it was written down");
        }
    }

    fn sent_resume(&mut self, bytes: &[u8]) -> Up {
        let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
        let id = value["d"]["session_id"].as_str().and_then(|id| id.strip_prefix('s'));
        let session = id.and_then(|id| id.parse().ok()).unwrap_or(usize::MAX);
        let seq = value["d"]["seq"].as_u64().unwrap_or(u64::MAX);
        if seq != self.durable {
            self.check.breach(format!("RESUME from {seq}, durable is {}", self.durable));
        }
        self.said_resume = true;
        Up::Resume { session, seq }
    }

    fn close(&mut self, code: u16) {
        if code == 1000 && !self.asked_to_stop {
            self.check.breach("a close with 1000 that nobody asked for");
        }
        self.asked_to_stop = false;
        let conn = match self.socket {
            Socket::Dialing(conn) | Socket::Open(conn) => conn,
            Socket::None | Socket::Closing(_) => {
                return self.check.breach("a close of a socket that is not there");
            }
        };
        if self.judged_silence && self.received.contains(&Down::Ack) {
            self.check.breach("closed for a silence, with the ACK in the socket");
        }
        if let Socket::Open(_) = self.socket {
            // Whatever the network still holds dies with the socket.
            self.wire.held_up.clear();
            self.up(conn, Up::Close(code));
            self.lost();
        }
        self.socket = Socket::Closing(conn);
        let after = between(&mut self.rng, 0, 1000);
        self.later(after, What::Gone { conn });
    }

    /// Within a session, each event once and in order: what comes now is the next in the log.
    fn deliver(&mut self) {
        let Some(seq) = self.deliverable.take() else {
            return self.check.breach("a delivery of nothing");
        };
        let Some(session) = self.session else {
            return self.check.breach("a delivery outside of a session");
        };
        let expected = self.server.sessions[session].log.get(self.cursor).copied();
        if expected != Some(seq) {
            let what = format!("delivered {seq} where {expected:?} was next");
            return self.check.breach(what);
        }
        self.cursor += 1;
        self.tally.delivered += 1;
        let after = between(&mut self.rng, 1, 800);
        self.durable_last = self.durable_last.max(self.now + after);
        let life = self.life;
        self.at(self.durable_last, What::Durable { life, session, seq });
    }
}
