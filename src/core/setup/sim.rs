//! First contact with an owner, with strangers who guess from many addresses, and with one who has
//! seen every code but the one that holds.
//!
//! What everybody may count on is checked from outside; machines that are wrong on purpose show
//! that it would be noticed.

use super::*;
use crate::base::Rng;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const OWNER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 2));

/// What is changed for the worse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Plant {
    ForgetsTries,
    OneCountForAll,
    OneAddressHasThemAll,
    CodesHoldForEver,
    CodesAreGoodTwice,
    SessionsHoldForEver,
    AnotherCodeForEachTry,
    OpenWithoutNeed,
    CodesAsOftenAsAsked,
    LetsOthersPass,
}

const PLANTS: [Plant; 10] = [
    Plant::ForgetsTries,
    Plant::OneCountForAll,
    Plant::OneAddressHasThemAll,
    Plant::CodesHoldForEver,
    Plant::CodesAreGoodTwice,
    Plant::SessionsHoldForEver,
    Plant::AnotherCodeForEachTry,
    Plant::OpenWithoutNeed,
    Plant::CodesAsOftenAsAsked,
    Plant::LetsOthersPass,
];

/// One code, as somebody at the host saw it.
struct Seen {
    text: String,
    since: Instant,
    /// Tries that were looked at, from the network and from this host, and the most of one address.
    tries: [u32; 2],
    peers: Vec<(IpAddr, u32)>,
    used: bool,
}

struct World {
    setup: Setup,
    plant: Option<Plant>,
    rng: Rng,
    now: Instant,
    is_needed: bool,
    seen: Vec<Seen>,
    /// The session that holds: its mark, and since when.
    session: Option<(Mark, Instant)>,
    marks: u64,
    /// When a code was made because it was asked for.
    by_hand: Vec<Instant>,
}

fn insist(is: bool, words: impl FnOnce() -> String) -> Result<(), String> {
    if is { Ok(()) } else { Err(words()) }
}

impl World {
    fn new(seed: u64, plant: Option<Plant>) -> World {
        World {
            setup: Setup::default(),
            plant,
            rng: Rng::new(seed),
            now: Instant(1_000_000_000),
            is_needed: true,
            seen: Vec::new(),
            session: None,
            marks: 0,
            by_hand: Vec::new(),
        }
    }

    fn mark(&mut self) -> Mark {
        self.marks += 1;
        let mut mark = [0; 32];
        mark[..8].copy_from_slice(&self.marks.to_be_bytes());
        mark
    }

    fn look(&mut self) -> Result<(), String> {
        let chance = self.rng.bits();
        if self.plant == Some(Plant::CodesHoldForEver)
            && let Some(offer) = &mut self.setup.offer
        {
            offer.until = self.now + SETUP_CODE_TTL;
        }
        if self.plant == Some(Plant::SessionsHoldForEver)
            && let Some(session) = &mut self.setup.session
        {
            session.until = self.now + SETUP_SESSION_TTL;
        }
        let is_needed = self.is_needed || self.plant == Some(Plant::OpenWithoutNeed);
        self.setup.look(self.now, is_needed, chance);
        self.see()
    }

    /// Notes the code that is shown.
    fn see(&mut self) -> Result<(), String> {
        let Some((code, until)) = self.setup.code() else { return Ok(()) };
        let text = code.to_string();
        insist(self.is_needed, || "a code is shown, and nothing is to be set up".to_owned())?;
        insist(until > self.now, || format!("{text} is shown, and is too old"))?;
        if self.seen.last().is_none_or(|seen| seen.text != text) {
            let since = self.now;
            self.seen.push(Seen { text, since, tries: [0; 2], peers: Vec::new(), used: false });
        }
        let of_hour = self.seen.iter().filter(|seen| self.now.since(seen.since) < SETUP_HOUR);
        let most = SETUP_HOUR.as_secs() / SETUP_CODE_TTL.as_secs() + 1;
        // Each that was used makes room for one more.
        let of_hour: Vec<&Seen> = of_hour.collect();
        let used = of_hour.iter().filter(|seen| seen.used).count();
        let most = usize::try_from(most).unwrap_or(0) + SETUP_CODES_BY_HAND_MAX + used;
        insist(of_hour.len() <= most, || format!("{} codes in an hour", of_hour.len()))
    }

    /// Somebody at `peer` types `text`.
    fn attempt(&mut self, peer: IpAddr, text: &str) -> Result<Tried, String> {
        let mark = self.mark();
        self.spoil(peer);
        let shown = self.setup.code().map(|(code, _)| code.to_string());
        let offer = self.setup.offer.clone();
        let tried = self.setup.attempt(self.now, peer, text, mark);
        match tried {
            Tried::Right => {
                let seen = self.seen.last_mut().filter(|seen| seen.text == text);
                let seen = seen.ok_or_else(|| format!("{text} is right, and was not shown"))?;
                insist(!seen.used, || format!("{text} was good twice"))?;
                let age = self.now.since(seen.since);
                insist(age < SETUP_CODE_TTL, || format!("{text} was good after {age:?}"))?;
                seen.used = true;
                insist(self.setup.enter(self.now, &mark).is_some(), || "no session".to_owned())?;
                if self.plant == Some(Plant::CodesAreGoodTwice) {
                    (self.setup.offer, self.setup.session) = (offer, None);
                }
                self.session = Some((mark, self.now));
            }
            Tried::Wrong { .. } => {
                insist(shown.as_deref() != Some(text), || format!("{text} is not wrong"))?;
                self.count(peer)?;
            }
            _ => {}
        }
        Ok(tried)
    }

    /// Plants what has to do with tries.
    fn spoil(&mut self, peer: IpAddr) {
        let chance = self.rng.bits();
        let Some(offer) = &mut self.setup.offer else { return };
        match self.plant {
            Some(Plant::ForgetsTries) => (offer.wrong, offer.peers) = ([0; 2], Vec::new()),
            Some(Plant::OneCountForAll) => {
                let most = offer.wrong.iter().copied().max().unwrap_or(0);
                offer.wrong = [most; 2];
            }
            Some(Plant::OneAddressHasThemAll) => offer.peers.clear(),
            Some(Plant::AnotherCodeForEachTry) if offer.wrong[side(peer)] > 3 => {
                *offer = Offer::new(self.now, chance);
            }
            _ => {}
        }
    }

    /// One more of `peer`'s tries was looked at.
    fn count(&mut self, peer: IpAddr) -> Result<(), String> {
        let Some(seen) = self.seen.last_mut() else { return Ok(()) };
        let of_side = &mut seen.tries[usize::from(peer == HERE)];
        *of_side += 1;
        let most = u32::from(SETUP_TRIES);
        insist(*of_side <= most, || format!("try {most} and more was looked at"))?;
        if !seen.peers.iter().any(|(known, _)| *known == peer) {
            seen.peers.push((peer, 0));
        }
        let own = seen.peers.iter_mut().find(|(known, _)| *known == peer);
        let own = own.map_or(0, |(_, own)| {
            *own += 1;
            *own
        });
        let most = u32::from(SETUP_TRIES_PER_PEER);
        insist(peer == HERE || own <= most, || format!("{peer} had {own} tries"))
    }

    /// A stranger guesses: at random, or with a code of earlier. `addresses` are at hand.
    fn guess(&mut self, addresses: u64) -> Result<(), String> {
        let last = u8::try_from(self.rng.below(addresses)).unwrap_or(0);
        let peer = IpAddr::from([192, 168, 1, 100 + last]);
        let old = self.seen.len().checked_sub(2).map(|at| self.seen[at].text.clone());
        let random = Code::of(self.rng.bits()).to_string();
        let text = old.filter(|_| self.rng.one_in(3)).unwrap_or(random);
        let tried = self.attempt(peer, &text)?;
        insist(tried != Tried::Right, || format!("a stranger guessed {text}"))
    }

    /// The owner reads the code and types it at `peer`.
    fn own(&mut self, peer: IpAddr) -> Result<(), String> {
        let Some((code, _)) = self.setup.code() else { return Ok(()) };
        let text = code.to_string();
        let tried = self.attempt(peer, &text)?;
        insist(tried == Tried::Right, || format!("the owner at {peer} was told {tried:?}"))
    }

    fn ask(&mut self) -> Result<(), String> {
        if self.plant == Some(Plant::CodesAsOftenAsAsked) {
            self.setup.by_hand.clear();
        }
        let chance = self.rng.bits();
        let before = self.setup.code().map(|(code, _)| code.clone());
        match self.setup.ask(self.now, false, chance) {
            Asked::Good => {
                let shown = self.setup.code().map(|(code, _)| code.clone());
                insist(shown.is_some(), || "asked for, and not shown".to_owned())?;
                self.session = None;
                if shown != before {
                    self.by_hand.push(self.now);
                }
                self.by_hand.retain(|at| self.now.since(*at) < SETUP_HOUR);
                let made = self.by_hand.len();
                insist(made <= SETUP_CODES_BY_HAND_MAX, || format!("{made} codes by hand"))?;
            }
            Asked::Closed => insist(!self.is_needed, || "it is needed".to_owned())?,
            Asked::Later(_) | Asked::Finishing => {}
        }
        self.see()
    }

    /// Whoever has the session goes on; others try to go on in their stead.
    fn go_on(&mut self) -> Result<(), String> {
        let stranger = [0xff; 32];
        let steps = [Step::Token, Step::Intents, Step::Invite, Step::Test];
        if self.plant == Some(Plant::LetsOthersPass)
            && let Some(session) = &mut self.setup.session
        {
            session.mark = stranger;
        }
        for step in steps {
            let passes = self.setup.passed(self.now, &stranger, step);
            insist(!passes, || format!("a stranger passed {step:?}"))?;
        }
        let settles = self.setup.settled(self.now, &stranger);
        insist(!settles, || "a stranger handed over a token".to_owned())?;
        let Some((mark, since)) = self.session else { return Ok(()) };
        let Some(step) = self.setup.enter(self.now, &mark) else { return Ok(()) };
        let age = self.now.since(since);
        insist(age < SETUP_SESSION_TTL, || format!("a session of {age:?}"))?;
        if step == Step::Token {
            self.setup.settled(self.now, &mark);
            self.is_needed = false;
            return Ok(());
        }
        self.setup.passed(self.now, &mark, step);
        Ok(())
    }

    /// `addresses` are the strangers'.
    fn step(&mut self, addresses: u64) -> Result<(), String> {
        match self.rng.below(20) {
            0..=11 => self.guess(addresses)?,
            12 => {
                // By this host the owner always gets in, whatever strangers did on the network.
                self.own(HERE)?;
            }
            // And by the network, if one machine alone guesses there.
            13 if addresses == 1 => self.own(OWNER)?,
            14 | 17 => self.ask()?,
            15 => self.go_on()?,
            16 => self.is_needed = true,
            _ => self.now += Duration::from_secs(self.rng.below(240)),
        }
        self.look()
    }
}

fn play(seed: u64, plant: Option<Plant>) -> Result<(), String> {
    let mut world = World::new(seed, plant);
    let addresses = if seed.is_multiple_of(2) { 1 } else { 40 };
    world.look()?;
    (0..600).try_for_each(|_| world.step(addresses))
}

#[test]
fn strangers_get_nowhere_and_the_owner_gets_in() {
    for seed in 0..300 {
        assert_eq!(play(seed, None), Ok(()), "seed {seed}");
    }
}

#[test]
fn planted_bugs_are_noticed() {
    for plant in PLANTS {
        let found = (0..60).find_map(|seed| play(seed, Some(plant)).err());
        assert!(found.is_some(), "{plant:?} went unnoticed");
    }
}
