//! Logins over days, against a list of what should be open; and with bugs planted.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::base::Rng;

const START: Instant = Instant(1);

fn mark(number: u64) -> Mark {
    let mut mark = [0; 32];
    mark[..8].copy_from_slice(&number.to_le_bytes());
    mark
}

fn after(span: Duration) -> Instant {
    START + span
}

#[test]
fn a_code_is_good_once_and_soon() {
    let mut logins = Logins::default();
    logins.offer(mark(1), START);
    assert!(!logins.redeem(&mark(2), mark(10), START), "another code");
    assert!(logins.redeem(&mark(1), mark(10), START));
    assert!(!logins.redeem(&mark(1), mark(11), START), "once");
    logins.offer(mark(3), START);
    assert!(!logins.redeem(&mark(3), mark(12), after(LOGIN_CODE_TTL)), "soon");
    assert_eq!(logins.sessions.len(), 1);
}

#[test]
fn only_a_few_codes_wait_and_the_newest_are_among_them() {
    let mut logins = Logins::default();
    let count = LOGIN_CODES_MAX as u64 + 1;
    (0..count).for_each(|code| logins.offer(mark(code), START));
    assert!(!logins.redeem(&mark(0), mark(100), START));
    assert!((1..count).all(|code| logins.redeem(&mark(code), mark(100 + code), START)));
}

#[test]
fn an_idle_session_ends_and_one_with_a_connection_does_not() {
    let mut logins = Logins::default();
    for session in [10, 11] {
        logins.offer(mark(1), START);
        assert!(logins.redeem(&mark(1), mark(session), START));
    }
    let number = logins.enter(&mark(10), START).expect("it is there");
    let late = after(LOGIN_SESSION_IDLE * 3);
    assert_eq!(logins.enter(&mark(11), late), None);
    assert_eq!(logins.enter(&mark(10), late), Some(number));
    logins.leave(number, late);
    logins.leave(number, late);
    assert!(logins.enter(&mark(10), late + LOGIN_SESSION_IDLE / 2).is_some(), "it was in use");
}

#[test]
fn of_too_many_sessions_the_idlest_falls_and_what_is_ended_is_over() {
    let mut logins = Logins::default();
    for session in 0..=LOGIN_SESSIONS_MAX as u64 {
        let now = after(Duration::from_secs(session));
        logins.offer(mark(1), now);
        assert!(logins.redeem(&mark(1), mark(session), now));
        if session == 0 {
            // The first is in use; the second is what has been idle longest.
            logins.enter(&mark(0), now);
        }
    }
    let now = after(Duration::from_secs(60));
    assert_eq!(logins.enter(&mark(1), now), None);
    let number = logins.enter(&mark(0), now).expect("it is in use");
    logins.end(&mark(0));
    assert!(!logins.holds(number));
    assert_eq!(logins.enter(&mark(0), now), None);
}

#[test]
fn sessions_outlive_the_process_and_their_idleness_does_too() {
    let mut logins = Logins::default();
    for session in [10, 11] {
        logins.offer(mark(1), START);
        assert!(logins.redeem(&mark(1), mark(session), START));
    }
    let half = LOGIN_SESSION_IDLE / 2;
    logins.enter(&mark(11), after(half));
    let wall = Wall(0) + Duration::from_hours(480_000);
    let kept = logins.kept(after(half), wall);
    // Of the next process the time line begins anew.
    let restore = |away: Duration| {
        let mut next = Logins::default();
        next.restore(kept.clone(), Instant(0), wall + away);
        [10, 11].map(|session| next.enter(&mark(session), Instant(0)).is_some())
    };
    assert_eq!(restore(Duration::ZERO), [true, true]);
    assert_eq!(restore(half), [false, true], "half before, and half while there was no process");
    assert_eq!(restore(LOGIN_SESSION_IDLE), [false, false]);
}

/// What may be planted.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Bug {
    None,
    CodesAreGoodTwice,
    CodesAreGoodForEver,
    SessionsNeverIdle,
    UseIsNotSeen,
    LogoutDoesNothing,
    RestartForgetsIdleness,
    RestartForgetsSessions,
}

const BUGS: [Bug; 7] = [
    Bug::CodesAreGoodTwice,
    Bug::CodesAreGoodForEver,
    Bug::SessionsNeverIdle,
    Bug::UseIsNotSeen,
    Bug::LogoutDoesNothing,
    Bug::RestartForgetsIdleness,
    Bug::RestartForgetsSessions,
];

/// What should be, in the plainest words there are.
#[derive(Default)]
struct Model {
    codes: BTreeMap<u64, Instant>,
    /// Until when, and how many connections.
    sessions: BTreeMap<u64, (Instant, u32)>,
}

impl Model {
    fn is_open(&self, session: u64, now: Instant) -> bool {
        self.sessions.get(&session).is_some_and(|&(until, open)| open > 0 || now < until)
    }

    fn touch(&mut self, session: u64, now: Instant, by: i64) {
        if let Some((until, open)) = self.sessions.get_mut(&session) {
            *until = now + LOGIN_SESSION_IDLE;
            *open = open.saturating_add_signed(i32::try_from(by).expect("one"));
        }
    }
}

/// Both, side by side.
struct Game {
    logins: Logins,
    model: Model,
    now: Instant,
    wall: Wall,
    next: u64,
    /// Connections: whose they are, and by which number.
    open: Vec<(u64, Number)>,
    bug: Bug,
}

/// Plays some days; in words, what was not as it should be.
fn play(seed: u64, bug: Bug) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let (logins, model) = (Logins::default(), Model::default());
    let (now, wall) = (START, Wall(1 << 41));
    let mut game = Game { logins, model, now, wall, next: 1, open: Vec::new(), bug };
    for _ in 0..200 {
        let longest = if rng.one_in(10) { 16 * 3600 } else { 100 };
        let step = Duration::from_secs(rng.below(longest));
        (game.now, game.wall) = (game.now + step, game.wall + step);
        if bug == Bug::SessionsNeverIdle {
            let until = game.now + LOGIN_SESSION_IDLE;
            game.logins.sessions.iter_mut().for_each(|session| session.until = until);
        }
        let some = 1 + rng.below(game.next);
        match rng.below(7) {
            0 => game.offer(),
            1 => game.redeem(some)?,
            2 | 3 => game.enter(some)?,
            4 if !game.open.is_empty() => {
                let at = rng.below(game.open.len() as u64);
                game.leave(usize::try_from(at).expect("small"));
            }
            5 if rng.one_in(4) => game.end(some),
            6 if rng.one_in(4) => game.restart(),
            _ => {}
        }
    }
    Ok(())
}

impl Game {
    /// Few enough at a time, so that none falls by the bound.
    fn offer(&mut self) {
        let now = self.now;
        self.model.codes.retain(|_, since| now.since(*since) < LOGIN_CODE_TTL);
        if self.model.codes.len() < LOGIN_CODES_MAX && self.next < LOGIN_SESSIONS_MAX as u64 {
            self.next += 1;
            self.logins.offer(mark(self.next), now);
            self.model.codes.insert(self.next, now);
        }
    }

    fn redeem(&mut self, some: u64) -> Result<(), String> {
        let now = self.now;
        let since = self.model.codes.remove(&some);
        let is_good = since.is_some_and(|since| now.since(since) < LOGIN_CODE_TTL);
        match self.bug {
            Bug::CodesAreGoodTwice if since.is_none() => self.logins.codes.push((mark(some), now)),
            Bug::CodesAreGoodForEver if since.is_some() => {
                self.logins.codes.push((mark(some), now));
            }
            _ => {}
        }
        if self.logins.redeem(&mark(some), mark(1000 + some), now) != is_good {
            return Err(format!("code {some} should be good: {is_good}"));
        }
        if is_good {
            self.model.sessions.insert(some, (now + LOGIN_SESSION_IDLE, 0));
        }
        Ok(())
    }

    fn enter(&mut self, some: u64) -> Result<(), String> {
        let is_open = self.model.is_open(some, self.now);
        let entered = self.logins.enter(&mark(1000 + some), self.now);
        if entered.is_some() != is_open {
            return Err(format!("session {some} should be open: {is_open}"));
        }
        self.open.extend(entered.map(|number| (some, number)));
        if is_open {
            self.model.touch(some, self.now, 1);
        } else {
            self.model.sessions.remove(&some);
        }
        Ok(())
    }

    fn leave(&mut self, at: usize) {
        let (session, number) = self.open.swap_remove(at);
        let is_meant = |session: &&mut Session| session.number == number;
        let until = self.logins.sessions.iter_mut().find(is_meant).map(|session| session.until);
        self.logins.leave(number, self.now);
        if let (Bug::UseIsNotSeen, Some(until)) = (self.bug, until)
            && let Some(session) = self.logins.sessions.iter_mut().find(is_meant)
        {
            session.until = until;
        }
        self.model.touch(session, self.now, -1);
    }

    fn end(&mut self, some: u64) {
        if self.bug != Bug::LogoutDoesNothing {
            self.logins.end(&mark(1000 + some));
        }
        self.model.sessions.remove(&some);
        self.open.retain(|(session, _)| *session != some);
    }

    fn restart(&mut self) {
        let mut kept = self.logins.kept(self.now, self.wall);
        match self.bug {
            Bug::RestartForgetsIdleness => kept.iter_mut().for_each(|kept| kept.used = self.wall),
            Bug::RestartForgetsSessions => drop(kept.pop()),
            _ => {}
        }
        for (until, open) in self.model.sessions.values_mut() {
            if *open > 0 {
                (*until, *open) = (self.now + LOGIN_SESSION_IDLE, 0);
            }
            *until = START + self.now.until(*until);
        }
        self.model.codes.clear();
        self.open.clear();
        self.logins = Logins::default();
        self.now = START;
        self.logins.restore(kept, self.now, self.wall);
    }
}

#[test]
fn what_should_be_open_is_open_and_nothing_else() {
    for seed in 0..300 {
        play(seed, Bug::None).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
    }
}

#[test]
fn each_planted_bug_is_caught() {
    for bug in BUGS {
        let is_caught = (0..300).any(|seed| play(seed, bug).is_err());
        assert!(is_caught, "{bug:?} was not caught");
    }
}

proptest! {
    #[test]
    fn what_is_kept_never_holds_longer_than_it_would_have(
        idle in 0..30_u64, away in 0..30_u64, back in 0..30_u64,
    ) {
        let hours = Duration::from_hours;
        let mut logins = Logins::default();
        logins.offer(mark(1), START);
        prop_assert!(logins.redeem(&mark(1), mark(2), START));
        let wall = Wall(1 << 41);
        let kept = logins.kept(START + hours(idle), wall + hours(idle));
        let mut next = Logins::default();
        // A clock that was set back meanwhile makes it no older, and no younger than new.
        let seen = Wall((wall + hours(idle + away)).0.saturating_sub(back * 3_600_000));
        next.restore(kept, START, seen);
        let holds = next.enter(&mark(2), START).is_some();
        let age = (idle + away).saturating_sub(back);
        let was_good = hours(idle) < LOGIN_SESSION_IDLE;
        prop_assert_eq!(holds, was_good && hours(age) < LOGIN_SESSION_IDLE);
    }
}
