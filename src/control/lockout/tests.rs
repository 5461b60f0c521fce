//! The table against one that forgets nothing, in virtual time, by seed; and bugs planted between
//! the two, each of which must be noticed.

use super::*;
use crate::base::rng::Rng;

const RULES: Rules =
    Rules { attempts: 5, window: Duration::from_secs(60), lockout: Duration::from_secs(300) };

/// What is put between the table and its opponent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    /// Failures count for ever.
    NeverForgets,
    /// Only so many in a row count, whatever the right credential in between.
    IgnoresSuccess,
    /// A lockout is not kept.
    LocksNobody,
    /// One failure too many is let through.
    OneMore,
    /// Asking during a lockout prolongs it.
    Prolongs,
    /// Each address of a network is somebody else.
    TellsAddressesApart,
    /// The newest stranger takes the place of whoever came first.
    ForgetsTheFirst,
    /// The table grows.
    Grows,
}

const BUGS: [Bug; 8] = [
    Bug::NeverForgets,
    Bug::IgnoresSuccess,
    Bug::LocksNobody,
    Bug::OneMore,
    Bug::Prolongs,
    Bug::TellsAddressesApart,
    Bug::ForgetsTheFirst,
    Bug::Grows,
];

/// The table, perhaps with a bug.
struct Subject {
    lockout: Lockout,
    bug: Option<Bug>,
}

impl Subject {
    fn new(bug: Option<Bug>) -> Subject {
        let rules = match bug {
            Some(Bug::NeverForgets) => Rules { window: Duration::from_hours(24 * 365), ..RULES },
            Some(Bug::OneMore) => Rules { attempts: RULES.attempts + 1, ..RULES },
            _ => RULES,
        };
        Subject { lockout: Lockout::new(rules), bug }
    }

    fn peer(&self, address: IpAddr) -> Peer {
        match (self.bug, address) {
            (Some(Bug::TellsAddressesApart), IpAddr::V6(address)) => {
                let mut part = [0; 8];
                part.copy_from_slice(&address.octets()[8..]);
                Peer::V6(part)
            }
            _ => address.into(),
        }
    }

    fn locked(&mut self, now: Instant, address: IpAddr) -> Option<Duration> {
        let peer = self.peer(address);
        let locked = self.lockout.locked(now, peer);
        match self.bug {
            Some(Bug::LocksNobody) => None,
            Some(Bug::Prolongs) if locked.is_some() => {
                self.lockout.table.entry(peer).or_default().locked = Some(now + RULES.lockout);
                locked
            }
            _ => locked,
        }
    }

    fn failed(&mut self, now: Instant, address: IpAddr) -> Option<Duration> {
        let peer = self.peer(address);
        let table = &mut self.lockout.table;
        match self.bug {
            Some(Bug::ForgetsTheFirst) if table.len() >= limits::AUTH_PEERS_MAX => {
                table.pop_first();
            }
            Some(Bug::Grows) => drop(table.entry(peer).or_default()),
            _ => {}
        }
        self.lockout.failed(now, peer)
    }

    fn passed(&mut self, address: IpAddr) {
        if self.bug != Some(Bug::IgnoresSuccess) {
            self.lockout.passed(self.peer(address));
        }
    }
}

/// One who remembers everything, and so needs no rule for what to forget.
#[derive(Default)]
struct Oracle {
    failures: BTreeMap<IpAddr, Vec<Instant>>,
    locked: BTreeMap<IpAddr, Instant>,
}

impl Oracle {
    /// All addresses of a network have its first one's name.
    fn name(address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
            v4 @ IpAddr::V4(_) => v4,
        }
    }

    fn locked(&self, now: Instant, address: IpAddr) -> Option<Duration> {
        let until = *self.locked.get(&Oracle::name(address))?;
        (until > now).then(|| until.since(now))
    }

    fn failed(&mut self, now: Instant, address: IpAddr) {
        let name = Oracle::name(address);
        let failures = self.failures.entry(name).or_default();
        failures.push(now);
        failures.retain(|&at| at + RULES.window > now);
        if failures.len() == RULES.attempts {
            failures.clear();
            self.locked.insert(name, now + RULES.lockout);
        }
    }
}

fn address(rng: &mut Rng) -> IpAddr {
    let low = u8::try_from(rng.below(4)).unwrap_or(0);
    let host = u16::try_from(rng.below(1000)).unwrap_or(0);
    match rng.below(3) {
        0 => IpAddr::from([10, 0, 0, low]),
        1 => IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x0a00, u16::from(low)]),
        _ => IpAddr::from([0x2001, 0xdb8, 0, u16::from(low), 0, 0, 0, host]),
    }
}

/// A few peers that guess, forget their token, and find it: the same as with one who remembers
/// everything.
fn few(seed: u64, bug: Option<Bug>) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let (mut subject, mut oracle) = (Subject::new(bug), Oracle::default());
    let mut now = Instant(0);
    for step in 0..400 {
        // Bursts of guesses, and now and then a pause.
        let pause = if rng.below(12) == 0 { rng.below(100) } else { rng.below(3) };
        now += Duration::from_secs(pause);
        let address = address(&mut rng);
        let expected = oracle.locked(now, address);
        let locked = subject.locked(now, address);
        if locked != expected {
            return Err(format!("step {step}: {address} {locked:?}, not {expected:?}"));
        }
        if locked.is_some() {
            continue;
        }
        if rng.below(6) == 0 {
            subject.passed(address);
            oracle.failures.remove(&Oracle::name(address));
        } else {
            subject.failed(now, address);
            oracle.failed(now, address);
        }
    }
    Ok(())
}

/// An attacker just below the bound, one that is locked out, and a crowd that fails once each: the
/// two are not forgotten, and the table does not grow.
fn crowd(seed: u64, bug: Option<Bug>) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let mut subject = Subject::new(bug);
    let (guesser, locked) = (IpAddr::from([1, 1, 1, 1]), IpAddr::from([1, 1, 1, 2]));
    let mut now = Instant(0);
    for _ in 0..RULES.attempts {
        subject.failed(now, locked);
    }
    for _ in 1..RULES.attempts {
        subject.failed(now, guesser);
    }
    for n in 0..3 * limits::AUTH_PEERS_MAX {
        now += Duration::from_millis(rng.below(10));
        let [high, low] = u16::try_from(n).unwrap_or(0).to_be_bytes();
        subject.failed(now, IpAddr::from([10, 7, high, low]));
    }
    if subject.lockout.remembered() > limits::AUTH_PEERS_MAX {
        return Err("the table grows".into());
    }
    if subject.locked(now, locked).is_none() {
        return Err("one that was locked out is forgotten".into());
    }
    subject.failed(now, guesser);
    match subject.locked(now, guesser) {
        Some(_) => Ok(()),
        None => Err("the guesser begins anew".into()),
    }
}

fn all(bug: Option<Bug>) -> Result<(), String> {
    (0..40).try_for_each(|seed| few(seed, bug))?;
    (0..2).try_for_each(|seed| crowd(seed, bug))
}

#[test]
fn the_table_is_as_good_as_one_that_forgets_nothing() {
    assert_eq!(all(None), Ok(()));
}

#[test]
fn every_planted_bug_is_noticed() {
    for bug in BUGS {
        assert!(all(Some(bug)).is_err(), "{bug:?} is not noticed");
    }
}

#[test]
fn when_everybody_in_the_table_is_locked_out_the_others_are_counted_together() {
    let mut lockout = Lockout::new(RULES);
    let now = Instant(0);
    for n in 0..limits::AUTH_PEERS_MAX {
        let [high, low] = u16::try_from(n).unwrap_or(0).to_be_bytes();
        for _ in 0..RULES.attempts {
            lockout.failed(now, Peer::V4([10, 7, high, low]));
        }
    }
    let stranger = |n| Peer::V4([11, 0, 0, n]);
    assert_eq!(lockout.locked(now, stranger(0)), None);
    for n in 0..5 {
        lockout.failed(now, stranger(n));
    }
    assert_eq!(lockout.locked(now, stranger(9)), Some(RULES.lockout));
    assert_eq!(lockout.remembered(), limits::AUTH_PEERS_MAX);
    // The lockouts end, and everybody has a place of their own again.
    let later = now + RULES.lockout;
    assert_eq!(lockout.locked(later, stranger(9)), None);
    lockout.failed(later, stranger(9));
    assert_eq!(lockout.remembered(), 1);
}
