//! A model of Discord's gateway: sessions with replay buffers, limits, and bad manners on demand.

use std::collections::VecDeque;
use std::time::Duration;

use barnacle::base::{Instant, Rng};

use crate::weather::{Fault, Weather, between};

/// What travels to the client.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Down {
    Hello,
    Ack,
    Beat,
    Reconnect,
    Invalid(bool),
    Ready {
        session: usize,
    },
    Resumed {
        seq: u64,
    },
    Event {
        seq: u64,
    },
    Unknown,
    Garbage,
    Close(u16),
    /// The end of the stream without a close frame.
    Fin,
}

/// What travels to the server.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Up {
    Identify,
    Resume { session: usize, seq: u64 },
    Beat,
    Other,
    Close(u16),
    Cut,
}

pub struct Session {
    /// All sequences that were ever given out, in order.
    pub log: Vec<u64>,
    pub dead: bool,
    pub attached: Option<u64>,
    pub detached_at: Instant,
    pub bricked_until: Instant,
    /// How long it outlives its connection.
    pub ttl: Duration,
}

impl Session {
    pub fn seq(&self) -> u64 {
        self.log.last().copied().unwrap_or(0)
    }
}

/// The server's side of a connection.
#[derive(Default)]
pub struct Conn {
    pub id: u64,
    pub open: bool,
    pub session: Option<usize>,
    pub last_beat: Instant,
    received: VecDeque<Instant>,
}

/// What the server says: on which connection, after how long.
pub struct Say {
    pub conn: u64,
    pub after: Duration,
    pub down: Down,
}

pub struct Server {
    pub sessions: Vec<Session>,
    pub conns: Vec<Conn>,
    pub interval: Duration,
    /// Whether RESUMED has a sequence of its own.
    resumed_counts: bool,
    pub remaining: u32,
    pub reset_at: Instant,
    /// IDENTIFYs that the client has written and that have not arrived.
    pub unheard: u32,
    /// Whether the client was told of the budget since its last reset.
    pub client_knows: bool,
    pub identified: VecDeque<Instant>,
    /// What RESUME and IDENTIFY get until a person has mended it.
    pub fatal: Option<u16>,
    pub says: Vec<Say>,
    /// What the client must never do.
    pub offence: Option<String>,
}

const DAY: Duration = Duration::from_secs(24 * 3600);
const MINUTE: Duration = Duration::from_secs(60);

impl Server {
    pub fn new(rng: &mut Rng) -> Server {
        let interval = if rng.one_in(20) { between(rng, 4000, 20_000) } else { INTERVAL };
        let is_short = rng.one_in(5);
        Server {
            sessions: Vec::new(),
            conns: Vec::new(),
            interval,
            resumed_counts: rng.one_in(2),
            remaining: if is_short { 51 + u32::try_from(rng.below(4)).unwrap_or(0) } else { 1000 },
            reset_at: Instant(0) + rng.between(DAY / 12, DAY),
            unheard: 0,
            client_knows: false,
            identified: VecDeque::new(),
            fatal: None,
            says: Vec::new(),
            offence: None,
        }
    }

    pub fn conn(&mut self, id: u64) -> Option<&mut Conn> {
        self.conns.iter_mut().find(|conn| conn.id == id && conn.open)
    }

    fn say(&mut self, conn: u64, down: Down) {
        self.says.push(Say { conn, after: Duration::ZERO, down });
    }

    fn say_later(&mut self, conn: u64, after: Duration, down: Down) {
        self.says.push(Say { conn, after, down });
    }

    fn offend(&mut self, what: impl Into<String>) {
        self.offence.get_or_insert(what.into());
    }

    pub fn opened(&mut self, now: Instant, id: u64, weather: &Weather) {
        self.conns.retain(|conn| conn.open);
        self.conns.push(Conn { id, open: true, last_beat: now, ..Conn::default() });
        if weather.has(Fault::Op7ForHello) {
            self.say(id, Down::Reconnect);
            self.say_later(id, Duration::from_secs(3), Down::Fin);
        } else if !weather.has(Fault::NoHello) {
            self.say(id, Down::Hello);
        }
    }

    /// The server's end of a connection is gone.
    pub fn detach(&mut self, now: Instant, id: u64) {
        let Some(conn) = self.conn(id) else { return };
        conn.open = false;
        if let Some(session) = conn.session
            && let Some(session) = self.sessions.get_mut(session)
            && session.attached == Some(id)
        {
            session.attached = None;
            session.detached_at = now;
        }
    }

    /// Until when the client may well hold its IDENTIFY back.
    pub fn held_until(&self) -> Option<Instant> {
        let own = self.identified.front().filter(|_| self.identified.len() >= 200);
        let servers = (self.remaining <= 50 + self.unheard).then_some(self.reset_at);
        own.map(|&oldest| oldest + DAY).into_iter().chain(servers).max()
    }

    pub fn refresh_budget(&mut self, now: Instant) {
        while now >= self.reset_at {
            self.reset_at += DAY;
            self.remaining = 1000;
            self.unheard = 0;
            self.client_knows = false;
        }
        while self.identified.front().is_some_and(|&at| at + DAY <= now) {
            self.identified.pop_front();
        }
    }

    pub fn heard(&mut self, now: Instant, id: u64, up: Up, weather: &Weather, rng: &mut Rng) {
        let Some(conn) = self.conn(id) else {
            // Nobody listens there any more: the host answers with a reset.
            return self.say(id, Down::Fin);
        };
        if !matches!(up, Up::Close(_) | Up::Cut) {
            while conn.received.front().is_some_and(|&at| at + MINUTE <= now) {
                conn.received.pop_front();
            }
            conn.received.push_back(now);
            if conn.received.len() > 120 {
                return self.offend("more than 120 sends in 60 s");
            }
        }
        match up {
            Up::Beat => {
                conn.last_beat = now;
                if !weather.has(Fault::NoAck) {
                    self.say(id, Down::Ack);
                }
            }
            Up::Identify => self.identify(now, id, weather, rng),
            Up::Resume { session, seq } => self.resume(now, id, session, seq, weather, rng),
            Up::Other => {}
            Up::Close(code) => {
                let session = conn.session;
                self.detach(now, id);
                if let (1000 | 1001, Some(session)) = (code, session) {
                    self.sessions[session].dead = true;
                }
            }
            Up::Cut => self.detach(now, id),
        }
    }

    fn identify(&mut self, now: Instant, id: u64, weather: &Weather, rng: &mut Rng) {
        self.refresh_budget(now);
        if let Some(&last) = self.identified.back()
            && now.since(last) < Duration::from_secs(5)
        {
            self.offend(format!("IDENTIFY {:?} after the last", now.since(last)));
        }
        if self.client_knows && self.remaining <= 50 {
            self.offend(format!("IDENTIFY with {} left", self.remaining));
        }
        self.identified.push_back(now);
        self.unheard = self.unheard.saturating_sub(1);
        if self.identified.len() > 200 {
            self.offend("more than 200 IDENTIFYs in 24 h");
        }
        self.remaining = self.remaining.saturating_sub(1);
        if let Some(code) = self.fatal {
            return self.say(id, Down::Close(code));
        }
        if weather.has(Fault::IdentifyOp9) {
            return self.say(id, Down::Invalid(false));
        }
        if weather.has(Fault::NoReady) {
            return;
        }
        self.sessions.push(Session {
            log: vec![1],
            dead: false,
            attached: Some(id),
            detached_at: now,
            bricked_until: Instant(0),
            ttl: between(rng, 120_000, 400_000),
        });
        let session = self.sessions.len() - 1;
        if let Some(conn) = self.conn(id) {
            conn.session = Some(session);
        }
        self.say(id, Down::Ready { session });
        self.spoil(id, weather);
    }

    /// Bad manners soon after READY or RESUMED.
    fn spoil(&mut self, id: u64, weather: &Weather) {
        let down = weather.find(|fault| match fault {
            Fault::CutWhenLive(after) => Some((after, Down::Fin)),
            Fault::Op7WhenLive(after) => Some((after, Down::Reconnect)),
            _ => None,
        });
        if let Some((after, down)) = down {
            self.say_later(id, after, down);
        }
    }

    fn resume(
        &mut self,
        now: Instant,
        id: u64,
        index: usize,
        seq: u64,
        weather: &Weather,
        rng: &mut Rng,
    ) {
        let bad = weather.find(|fault| match fault {
            Fault::ResumeClosed(code) => Some(Down::Close(code)),
            Fault::ResumeCut => Some(Down::Fin),
            Fault::ResumeOp9(resumable) => Some(Down::Invalid(resumable)),
            Fault::ResumeOp7 => Some(Down::Reconnect),
            _ => None,
        });
        let Some(session) = self.sessions.get_mut(index) else {
            return self.say(id, Down::Invalid(false));
        };
        if let Some(code) = self.fatal {
            session.dead = true;
            return self.say(id, Down::Close(code));
        }
        if let Some(down) = bad {
            session.dead |= down == Down::Invalid(false);
            return self.say(id, down);
        }
        if session.bricked_until > now {
            return self.say(id, Down::Fin);
        }
        let was_bricked = session.bricked_until > Instant(0);
        let has_expired = session.attached.is_none() && session.detached_at + session.ttl <= now;
        let missed = session.log.iter().rev().take_while(|&&sent| sent > seq).count();
        if session.dead || was_bricked || has_expired || missed > 500 {
            session.dead = true;
            let answer = if rng.one_in(4) { Down::Close(4009) } else { Down::Invalid(false) };
            return self.say(id, answer);
        }
        if seq > session.seq() {
            self.offend("RESUME from the future");
            return self.say(id, Down::Close(4007));
        }
        if let Some(old) = session.attached.replace(id).filter(|&old| old != id) {
            self.say(old, Down::Fin);
        }
        self.replay(id, index, missed, weather, rng);
    }

    fn replay(&mut self, id: u64, index: usize, missed: usize, weather: &Weather, rng: &mut Rng) {
        let session = &mut self.sessions[index];
        let from = session.log.len() - missed;
        let mut replay: Vec<_> = session.log[from..].to_vec();
        if weather.has(Fault::Duplicates) && from > 0 {
            replay.insert(0, session.log[from - 1]);
            replay.extend(replay.last().copied());
        }
        if let Some(conn) = self.conn(id) {
            conn.session = Some(index);
        }
        // A replay is cut off now and then.
        let cut = rng.one_in(50).then(|| rng.below(replay.len() as u64 + 1));
        for (sent, &seq) in replay.iter().enumerate() {
            if cut == Some(sent as u64) {
                return self.say(id, Down::Fin);
            }
            self.say(id, Down::Event { seq });
        }
        if !weather.has(Fault::NoResumed) {
            let session = &mut self.sessions[index];
            if self.resumed_counts {
                session.log.push(session.seq() + 1);
            }
            let seq = session.seq();
            self.say(id, Down::Resumed { seq });
            self.spoil(id, weather);
        }
    }

    /// Something happens in the bot's servers.
    pub fn chatter(&mut self, now: Instant, weather: &Weather, rng: &mut Rng) {
        let count = if weather.has(Fault::Flood) { 200 } else { 1 + rng.below(4) };
        let Some(index) = self.sessions.iter().rposition(|session| !session.dead) else { return };
        let session = &mut self.sessions[index];
        if session.attached.is_none() && session.detached_at + session.ttl <= now {
            return;
        }
        let attached = session.attached;
        for _ in 0..count {
            let session = &mut self.sessions[index];
            let jump = if weather.has(Fault::Jumps) { rng.below(5) } else { 0 };
            let seq = session.seq() + 1 + jump;
            session.log.push(seq);
            let Some(conn) = attached else { continue };
            self.say(conn, Down::Event { seq });
            if weather.has(Fault::Duplicates) {
                let old = self.sessions[index].log.len() - 1;
                let old = self.sessions[index].log[old.saturating_sub(1)];
                self.say(conn, Down::Event { seq: if rng.one_in(2) { seq } else { old } });
            }
        }
        if let Some(conn) = attached {
            if weather.has(Fault::Garbage) {
                self.say(conn, Down::Garbage);
                self.say(conn, Down::Unknown);
            }
            if weather.has(Fault::Op1Flood) {
                (0..300).for_each(|_| self.say(conn, Down::Beat));
            }
        }
    }
}

/// What Discord asks for in practice.
const INTERVAL: Duration = Duration::from_millis(41_250);
