//! The world around one machine: time, a network, a port, a disk, and the server.

mod port;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use barnacle::base::{End, Instant, Machine, Rng, Secret, Wall};
use barnacle::proto::discord::gateway::{Ask, Config, Gateway, GatewayInfo, Input, Saved};

use crate::check::{ALL, Check};
use crate::plant::{Bug, Planted};
use crate::server::{Down, Server, Up};
use crate::tally::Tally;
use crate::weather::{self, Blow, Fault, Weather, between};

const WALL: u64 = 1_774_085_213_000;
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
/// What `TCP_USER_TIMEOUT` does to data that is not acknowledged.
const USER_TIMEOUT: Duration = Duration::from_secs(20);

/// A run that went wrong.
pub struct Failure {
    pub seed: u64,
    pub at: Duration,
    pub what: String,
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    ToClient {
        conn: u64,
        down: Down,
    },
    ToServer {
        conn: u64,
        up: Up,
    },
    Says {
        conn: u64,
        down: Down,
    },
    DialDone {
        conn: u64,
        end: Option<End>,
    },
    /// The socket that we closed is gone.
    Gone {
        conn: u64,
    },
    Fetched {
        life: u32,
        ok: bool,
    },
    Durable {
        life: u32,
        session: usize,
        seq: u64,
    },
    UserTimeout {
        conn: u64,
    },
    /// The server looks whether the client still beats.
    Patrol {
        conn: u64,
    },
    Chatter,
    Begins {
        slot: usize,
    },
    Clears {
        slot: usize,
    },
    Strikes,
    FlakyCut {
        episode: u32,
    },
    /// The host falls asleep.
    Nap,
    Awake,
    Boot,
    Start,
    Mend,
}

struct Entry {
    at: Instant,
    order: u64,
    what: What,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.order == other.order
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Socket {
    None,
    Dialing(u64),
    Open(u64),
    Closing(u64),
}

/// The way between the two ends of one connection. TCP keeps the order, and keeps what a bad
/// network swallows until it is better.
#[derive(Default)]
struct Wire {
    conn: u64,
    forgotten: bool,
    up_last: Instant,
    down_last: Instant,
    held_up: VecDeque<Up>,
    held_down: VecDeque<Down>,
}

#[allow(clippy::struct_excessive_bools, reason = "independent facts about the world")]
pub struct World {
    now: Instant,
    order: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    rng: Rng,
    seed: u64,
    bug: Bug,
    loud: bool,
    // The program.
    mind: Option<Planted>,
    /// Which process this is: what an earlier one began ends with it.
    life: u32,
    disk: Saved,
    config: Config,
    asked_to_stop: bool,
    stopped: bool,
    parked: bool,
    /// Whether this process has heard a fatal code, and nobody has mended it.
    fatal_heard: bool,
    stalled_until: Instant,
    // Its port.
    socket: Socket,
    received: VecDeque<Down>,
    drain: bool,
    dials: u64,
    greeted: bool,
    said_resume: bool,
    said_identify: bool,
    /// What the last poll told of a silence.
    judged_silence: bool,
    deliverable: Option<u64>,
    beats_out: u64,
    // Its session, as the world knows it.
    session: Option<usize>,
    cursor: usize,
    handed: u64,
    durable: u64,
    durable_last: Instant,
    // Outside.
    wire: Wire,
    weather: Weather,
    flaky_episode: u32,
    server: Server,
    latency: Duration,
    last_chatter: Instant,
    check: Check,
    tally: Tally,
}

impl World {
    pub fn new(seed: u64, bug: Bug, loud: bool) -> World {
        let mut rng = Rng::new(seed);
        let mut config = Config::new(Secret::new("token"));
        config.strikes_max = if rng.one_in(4) { 5 } else { 3 };
        let mut world = World {
            now: Instant(1),
            order: 0,
            queue: BinaryHeap::new(),
            seed,
            bug,
            loud,
            mind: None,
            life: 0,
            disk: Saved::default(),
            config,
            asked_to_stop: false,
            stopped: false,
            parked: false,
            fatal_heard: false,
            stalled_until: Instant(0),
            socket: Socket::None,
            received: VecDeque::new(),
            drain: false,
            dials: 0,
            greeted: false,
            said_resume: false,
            said_identify: false,
            judged_silence: false,
            deliverable: None,
            beats_out: 0,
            session: None,
            cursor: 0,
            handed: 0,
            durable: 0,
            durable_last: Instant(0),
            wire: Wire::default(),
            weather: Weather::default(),
            flaky_episode: 0,
            server: Server::new(&mut rng),
            latency: between(&mut rng, 5, 150),
            last_chatter: Instant(0),
            check: Check::default(),
            tally: Tally::default(),
            rng,
        };
        world.later(Duration::from_millis(1), What::Boot);
        world.later(Duration::from_secs(60), What::Chatter);
        for slot in [weather::NETWORK, weather::SERVER] {
            world.later(Duration::from_secs(600), What::Begins { slot });
        }
        world.later(Duration::from_secs(300), What::Strikes);
        world
    }

    /// A week, or up to the first breach.
    pub fn run(mut self) -> Result<Tally, Failure> {
        let end = Instant(1) + WEEK;
        while self.now < end {
            self.step();
            if let Some(what) = self.server.offence.take() {
                self.check.breach(what);
            }
            if let Some(what) = self.check.breach.take() {
                let at = self.now.since(Instant(1));
                return Err(Failure { seed: self.seed, at, what });
            }
        }
        Ok(self.tally)
    }

    fn step(&mut self) {
        self.tally.steps += 1;
        let due = self.mind.as_ref().and_then(Machine::deadline);
        let due = due.map(|due| due.max(self.stalled_until));
        let next = self.queue.peek().map(|Reverse(entry)| entry.at);
        let (Some(at), wake) = (match (due, next) {
            (Some(due), Some(next)) if due <= next => (Some(due), true),
            (Some(due), None) => (Some(due), true),
            (_, next) => (next, false),
        }) else {
            return self.check.breach("nothing will ever happen again");
        };
        self.now = self.now.max(at);
        let excused = !self.is_well();
        self.check.step(self.now, excused);
        if wake {
            self.check.woke(self.now);
            if let Some(mind) = &mut self.mind {
                mind.expire(self.now);
            }
            self.act();
        } else if let Some(Reverse(entry)) = self.queue.pop() {
            self.happen(entry.what);
        }
        self.pump();
    }

    /// Whether nothing but the bot itself keeps the bot from being live.
    fn is_well(&mut self) -> bool {
        if let Some(held_until) = self.server.held_until() {
            self.check.unsettled(held_until.min(self.now));
        }
        self.server.refresh_budget(self.now);
        let is_held = self.server.held_until().is_some();
        let session = self.session.and_then(|session| self.server.sessions.get(session));
        let is_bricked = session.is_some_and(|session| session.bricked_until > self.now);
        self.weather.is_fine()
            && self.mind.is_some()
            && !self.stopped
            && !self.parked
            && !is_held
            && !is_bricked
            && self.stalled_until <= self.now
    }

    fn later(&mut self, after: Duration, what: What) {
        self.at(self.now + after, what);
    }

    fn at(&mut self, at: Instant, what: What) {
        self.order += 1;
        self.queue.push(Reverse(Entry { at, order: self.order, what }));
    }

    fn trip(&mut self) -> Duration {
        self.latency + between(&mut self.rng, 0, 50)
    }

    fn wall(&self) -> Wall {
        Wall(WALL) + self.now.since(Instant(0))
    }

    fn say(&self, what: &dyn std::fmt::Debug) {
        if self.loud {
            print(&format!("{:>14.3?} {what:?}", self.now.since(Instant(1))));
        }
    }

    // ---- What happens ---------------------------------------------------------------------------

    fn happen(&mut self, what: What) {
        let is_ours = matches!(
            what,
            What::DialDone { .. }
                | What::Gone { .. }
                | What::Fetched { .. }
                | What::Durable { .. }
                | What::Start
                | What::Mend
        );
        if is_ours && self.stalled_until > self.now {
            return self.at(self.stalled_until, what);
        }
        match what {
            What::ToClient { conn, down } => self.arrive(conn, down),
            What::ToServer { conn, up } => {
                if self.wire.conn == conn && self.weather.loses_up() {
                    self.wire.held_up.push_back(up);
                    return;
                }
                self.server.heard(self.now, conn, up, &self.weather, &mut self.rng);
                self.carry();
            }
            What::Says { conn, down } => self.server_says(conn, down),
            What::DialDone { conn, end } => self.dial_done(conn, end),
            What::Gone { conn } if self.socket == Socket::Closing(conn) => {
                self.socket = Socket::None;
                self.call(Input::Ended(End::Asked));
            }
            What::Fetched { life, ok } if life == self.life => self.fetched(ok),
            What::Durable { life, session, seq }
                if life == self.life && self.session == Some(session) =>
            {
                self.durable = self.durable.max(seq);
                self.call(Input::Durable(seq));
            }
            What::UserTimeout { conn } => {
                let is_stuck = !self.wire.held_up.is_empty() || self.wire.forgotten;
                if self.wire.conn == conn && is_stuck && self.socket == Socket::Open(conn) {
                    self.received.push_back(Down::Fin);
                }
            }
            What::Patrol { conn } => self.patrol(conn),
            What::Chatter => self.chatter(),
            What::Begins { slot } => self.begins(slot),
            What::Clears { slot } => self.clears(slot),
            What::Strikes => self.strikes(),
            What::FlakyCut { episode } if episode == self.flaky_episode => self.flaky_cut(episode),
            What::Nap => {
                let span = weather::span(&mut self.rng);
                self.stall(span);
            }
            What::Boot => self.boot(),
            What::Start => {
                self.stopped = false;
                let wall = self.wall();
                self.call(Input::Start { wall });
            }
            What::Mend => {
                self.server.fatal = None;
                self.parked = false;
                self.fatal_heard = false;
                self.check.blame(ALL);
                self.call(Input::Ask(Ask::Resume));
            }
            _ => {}
        }
    }

    fn boot(&mut self) {
        self.life += 1;
        let gateway =
            Gateway::new(self.config.clone(), self.disk.clone(), Rng::new(self.rng.bits()));
        self.mind = Some(Planted::new(gateway, self.bug));
        self.stopped = false;
        self.parked = self.server.fatal.is_some();
        self.fatal_heard = false;
        self.check.unsettled(self.now);
        self.durable = self.disk.session.as_ref().map_or(0, |session| session.seq);
        self.handed = self.durable;
        if let Some(session) = self.session.and_then(|index| self.server.sessions.get(index)) {
            self.cursor = session.log.iter().filter(|&&seq| seq <= self.durable).count();
        }
        let wall = self.wall();
        self.call(Input::Start { wall });
    }

    /// The process is gone, and its socket with it.
    fn die(&mut self, silently: bool) {
        self.mind = None;
        self.life += 1;
        if let Socket::Open(conn) = self.socket
            && !silently
        {
            self.up(conn, Up::Cut);
        }
        self.check.socket_gone();
        self.check.live_since = None;
        self.socket = Socket::None;
        self.received.clear();
        self.drain = false;
        self.check.killed(self.disk.strikes > 0 || self.said_resume);
        self.said_resume = false;
        let after = between(&mut self.rng, 100, 20_000);
        self.later(after, What::Boot);
    }

    fn fetched(&mut self, ok: bool) {
        if !ok {
            return self.call(Input::GatewayUnknown);
        }
        self.server.refresh_budget(self.now);
        self.server.client_knows = true;
        let reset_after = self.now.until(self.server.reset_at);
        let (url, remaining) = ("wss://gateway.discord.gg", self.server.remaining);
        self.call(Input::Gateway(GatewayInfo { url, remaining, total: 1000, reset_after }));
    }

    fn patrol(&mut self, conn: u64) {
        let interval = self.server.interval;
        let Some(known) = self.server.conn(conn) else { return };
        let limit = known.last_beat + interval + interval / 2;
        if self.now >= limit {
            self.server_says(conn, Down::Fin);
        } else {
            self.at(limit, What::Patrol { conn });
        }
    }

    fn chatter(&mut self) {
        self.check_delivered();
        self.last_chatter = self.now;
        self.server.chatter(self.now, &self.weather, &mut self.rng);
        self.carry();
        let busy = !self.weather.is_fine();
        let most = if busy { 60_000 } else { 1_800_000 };
        let after = between(&mut self.rng, 1000, most);
        self.later(after, What::Chatter);
    }

    /// In calm weather nothing that was said is left undelivered.
    fn check_delivered(&mut self) {
        let calm = Duration::from_secs(10);
        let is_calm = self.is_well()
            && self.now.since(self.check.well_since()) > calm
            && self.now.since(self.last_chatter) > calm
            && self.check.live_since.is_some_and(|since| self.now.since(since) > calm);
        let Some(index) = self.session.filter(|_| is_calm && !self.wire.forgotten) else { return };
        if self.server.sessions[index].log.len() != self.cursor {
            self.check.breach("events were said and never delivered");
        }
    }

    // ---- Weather --------------------------------------------------------------------------------

    fn begins(&mut self, slot: usize) {
        let rng = &mut self.rng;
        let is_network = slot == weather::NETWORK;
        let fault =
            if is_network { weather::network_fault(rng) } else { weather::server_fault(rng) };
        let (span, pause) = (weather::span(rng), between(rng, 60_000, 6 * 3_600_000));
        self.say(&("begins", fault, span));
        self.weather.0[slot] = Some(fault);
        self.later(span, What::Clears { slot });
        self.later(span + pause, What::Begins { slot });
        if fault == Fault::Flaky {
            self.flaky_episode += 1;
            let episode = self.flaky_episode;
            self.later(Duration::from_secs(1), What::FlakyCut { episode });
        }
        if matches!(fault, Fault::Flood | Fault::Op1Flood | Fault::Duplicates | Fault::Garbage) {
            self.chatter_now();
        }
    }

    fn chatter_now(&mut self) {
        self.last_chatter = self.now;
        self.server.chatter(self.now, &self.weather, &mut self.rng);
        self.carry();
    }

    fn clears(&mut self, slot: usize) {
        self.say(&("clears", self.weather.0[slot]));
        self.weather.0[slot] = None;
        self.check.unsettled(self.now);
        self.flush();
    }

    /// What the network held back arrives, ahead of all that is still on its way.
    fn flush(&mut self) {
        let conn = self.wire.conn;
        if self.wire.forgotten {
            return;
        }
        if !self.weather.loses_up() {
            for up in std::mem::take(&mut self.wire.held_up) {
                self.server.heard(self.now, conn, up, &self.weather, &mut self.rng);
                self.carry();
            }
        }
        if !self.weather.loses_down() {
            for down in std::mem::take(&mut self.wire.held_down) {
                self.arrive(conn, down);
            }
        }
    }

    fn flaky_cut(&mut self, episode: u32) {
        if self.weather.has(Fault::Flaky) {
            self.cut();
            let after = between(&mut self.rng, 1000, 40_000);
            self.later(after, What::FlakyCut { episode });
        }
    }

    fn cut(&mut self) {
        let Socket::Open(conn) = self.socket else { return };
        self.server.detach(self.now, conn);
        self.received.push_back(Down::Fin);
    }

    fn strikes(&mut self) {
        let pause = between(&mut self.rng, 60_000, 4 * 3_600_000);
        self.later(pause, What::Strikes);
        let blow = weather::blow(&mut self.rng);
        self.say(&blow);
        self.check.unsettled(self.now);
        let conn = match self.socket {
            Socket::Open(conn) => conn,
            _ => 0,
        };
        match blow {
            Blow::Cut => self.cut(),
            Blow::Forgotten if conn != 0 => {
                self.server.detach(self.now, conn);
                self.wire.forgotten = true;
            }
            Blow::Close(code) => self.server_says(conn, Down::Close(code)),
            Blow::Fatal(code) if !self.stopped && self.server.fatal.is_none() => {
                self.server.fatal = Some(code);
                self.server_says(conn, Down::Close(code));
                let after = between(&mut self.rng, 300_000, 3_600_000);
                self.later(after, What::Mend);
                self.parked = true;
            }
            Blow::Op7 => {
                self.server_says(conn, Down::Reconnect);
                self.later(Duration::from_secs(3), What::Says { conn, down: Down::Fin });
            }
            Blow::Op9(resumable) => self.server_says(conn, Down::Invalid(resumable)),
            Blow::Op1 => self.server_says(conn, Down::Beat),
            Blow::Brick => {
                let until = self.now + Duration::from_secs(90);
                if let Some(index) = self.server.conn(conn).and_then(|conn| conn.session) {
                    self.server.sessions[index].bricked_until = until;
                }
                self.server_says(conn, Down::Fin);
            }
            Blow::Stall(span) => self.stall(span),
            _ if self.stalled_until > self.now || self.mind.is_none() || self.parked => {}
            Blow::Kill { power } => self.die(power),
            Blow::Leave => {
                self.call(Input::Ask(Ask::Leave));
                self.die(false);
            }
            Blow::Restart { fresh } => {
                if fresh || self.disk.strikes > 0 || self.said_resume {
                    self.check.blame(ALL);
                }
                self.call(Input::Ask(Ask::Restart { fresh }));
            }
            Blow::Stop(span) if !self.stopped => {
                self.stopped = true;
                self.asked_to_stop = true;
                self.check.blame(ALL);
                self.call(Input::Ask(Ask::Stop));
                self.later(span, What::Start);
            }
            Blow::Presences => {
                (0..150).for_each(|_| self.call(Input::Send(br#"{"op":3,"d":{}}"#)));
            }
            _ => {}
        }
    }

    fn stall(&mut self, span: Duration) {
        if self.stalled_until <= self.now && self.mind.is_some() {
            self.stalled_until = self.now + span;
            self.check.stalled(self.now, self.stalled_until);
            self.at(self.stalled_until, What::Awake);
        }
    }

    // ---- The wire -------------------------------------------------------------------------------

    /// Carries away what the server has said.
    fn carry(&mut self) {
        for say in std::mem::take(&mut self.server.says) {
            if say.after.is_zero() {
                self.server_says(say.conn, say.down);
            } else {
                self.later(say.after, What::Says { conn: say.conn, down: say.down });
            }
        }
    }

    fn server_says(&mut self, conn: u64, down: Down) {
        if matches!(down, Down::Close(_) | Down::Fin) {
            self.server.detach(self.now, conn);
        } else if self.server.conn(conn).is_none() {
            return;
        }
        if let (Down::Invalid(false), Some(known)) = (down, self.server.conn(conn))
            && let Some(session) = known.session
        {
            self.server.sessions[session].dead = true;
        }
        self.down(conn, down);
    }

    fn down(&mut self, conn: u64, down: Down) {
        if self.wire.conn == conn && !self.wire.forgotten {
            let at = (self.now + self.trip()).max(self.wire.down_last);
            self.wire.down_last = at;
            self.at(at, What::ToClient { conn, down });
        }
    }

    fn up(&mut self, conn: u64, up: Up) {
        if self.wire.conn != conn {
            return;
        }
        if self.wire.forgotten || self.weather.loses_up() {
            if self.wire.held_up.is_empty() {
                self.later(USER_TIMEOUT, What::UserTimeout { conn });
            }
            self.wire.held_up.push_back(up);
            return;
        }
        let at = (self.now + self.trip()).max(self.wire.up_last);
        self.wire.up_last = at;
        self.at(at, What::ToServer { conn, up });
    }

    fn arrive(&mut self, conn: u64, down: Down) {
        if self.wire.conn != conn || self.wire.forgotten {
            return;
        }
        if self.weather.loses_down() {
            self.wire.held_down.push_back(down);
        } else if self.socket == Socket::Open(conn) {
            self.received.push_back(down);
        }
    }
}

#[allow(clippy::print_stdout, reason = "a replayed run is read by a person")]
fn print(line: &str) {
    println!("{line}");
}
