//! A conversation that goes on and on, and a model that counts tokens in its own way, refuses what
//! is too long for it, and fails now and then. Machines that are wrong on purpose show that it
//! would be noticed.

use super::*;
use crate::base::Rng;

/// What is done wrong on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Plant {
    KeepsTheOldest,
    AsksAgain,
    NeverLearns,
    SaysNothingOfLosses,
    KeepsTooMuch,
    LosesTheLast,
}

const PLANTS: [Plant; 6] = [
    Plant::KeepsTheOldest,
    Plant::AsksAgain,
    Plant::NeverLearns,
    Plant::SaysNothingOfLosses,
    Plant::KeepsTooMuch,
    Plant::LosesTheLast,
];

/// A line as it is: its number, and its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Line {
    number: u64,
    bytes: usize,
}

struct Host {
    rng: Rng,
    plant: Option<Plant>,
    gauge: Gauge,
    /// What the model really reads at once, and the bytes of its tokens, in thousandths.
    window: u64,
    real: u64,
    lines: Vec<Line>,
    /// The numbers that went into the summary, and its bytes.
    summary: (Vec<u64>, usize),
    lost: Vec<u64>,
    /// Summaries in a row that failed.
    said: u64,
    compactions: usize,
}

impl Host {
    fn new(seed: u64, plant: Option<Plant>) -> Host {
        let mut rng = Rng::new(seed);
        let real = 1500 + rng.below(3500);
        let window = [2048, 4096, 16_384, 128_000][usize::try_from(rng.below(4)).expect("small")];
        Host {
            rng,
            plant,
            gauge: Gauge::default(),
            window,
            real,
            lines: Vec::new(),
            summary: (Vec::new(), 0),
            lost: Vec::new(),
            said: 0,
            compactions: 0,
        }
    }

    fn room(&self) -> Room {
        Room { window: self.window, answer: 512, fixed: self.gauge.tokens(600) }
    }

    fn real_tokens(&self, bytes: usize) -> u64 {
        (bytes as u64 * 1000).div_ceil(self.real)
    }

    fn bytes(&self) -> usize {
        self.lines.iter().map(|line| line.bytes).sum::<usize>() + self.summary.1
    }

    /// A turn; the first promise that is broken.
    fn turn(&mut self) -> Result<(), String> {
        let most = self.gauge.bytes(self.room().history() / 4).max(40);
        for _ in 0..2 {
            let bytes = 20 + usize::try_from(self.rng.below(2000)).expect("small");
            // As whoever reads the transcript does it.
            let line = Line { number: self.said, bytes: bytes.min(most) };
            self.lines.push(line);
            self.said += 1;
        }
        let sizes = self.sizes();
        if self.room().is_full(&sizes, self.gauge.tokens(self.summary.1)) {
            self.compact(self.room())?;
        }
        if self.asks_too_much() {
            self.compact(self.room().harder())?;
            if self.asks_too_much() && self.gauge.0 <= self.real {
                return Err(format!("{} bytes are still too long", self.bytes()));
            }
        }
        self.order()
    }

    /// The model is asked, and says how many tokens it has read.
    fn asks_too_much(&mut self) -> bool {
        let bytes = self.bytes() + 600;
        let tokens = self.real_tokens(bytes);
        let is_too_much = tokens + 512.min(self.window / 4) > self.window;
        if !is_too_much && self.plant != Some(Plant::NeverLearns) {
            self.gauge.heard(bytes, tokens);
        }
        is_too_much
    }

    fn sizes(&self) -> Vec<u64> {
        self.lines.iter().map(|line| self.gauge.tokens(line.bytes)).collect()
    }

    fn compact(&mut self, room: Room) -> Result<(), String> {
        self.compactions += 1;
        let (sizes, before) = (self.sizes(), self.lines.clone());
        let summary = self.gauge.tokens(self.summary.1);
        let mut compaction = Compaction::new(room, sizes.clone(), summary, 0);
        match self.plant {
            Some(Plant::KeepsTooMuch) => compaction.cut = compaction.cut.min(1),
            Some(Plant::LosesTheLast) => compaction.cut = sizes.len(),
            _ => {}
        }
        let (mut asked, mut pieces) = (Vec::new(), 0);
        loop {
            match compaction.poll().ok_or("it says nothing more, and is not over")? {
                Output::Ask(piece) => {
                    pieces += 1;
                    let tokens: u64 = sizes[piece.clone()].iter().sum();
                    if piece.len() > 1 && tokens > room.history() / 2 {
                        return Err(format!("{piece:?} is too long to be put in short"));
                    }
                    let fails = self.rng.below(9) == 0;
                    if fails {
                        compaction.failed();
                        continue;
                    }
                    asked.extend(piece.clone());
                    if self.plant == Some(Plant::AsksAgain) {
                        compaction.next = compaction.next.saturating_sub(1);
                        compaction.asked = Some(piece.start..piece.end.saturating_sub(1));
                    }
                    let bytes = usize::try_from(self.rng.below(4000)).expect("small");
                    let bytes = bytes.min(self.gauge.bytes(room.summary()));
                    compaction.said("s".repeat(bytes), self.gauge.tokens(bytes));
                }
                Output::Over(outcome) => {
                    return self.over(room, &before, (&asked, pieces), outcome);
                }
            }
        }
    }

    fn over(
        &mut self,
        room: Room,
        before: &[Line],
        (asked, pieces): (&[usize], usize),
        mut outcome: Outcome,
    ) -> Result<(), String> {
        if pieces > COMPACT_PIECES_MAX {
            return Err(format!("{pieces} pieces"));
        }
        if !asked.is_sorted_by(|a, b| a + 1 == *b) {
            return Err(format!("{asked:?} is not in order"));
        }
        if self.plant == Some(Plant::SaysNothingOfLosses) {
            outcome.lost = 0;
        }
        let Outcome { cut, summary, covered, lost } = outcome;
        if summary.is_some() && asked.last().is_none_or(|last| last + 1 != covered) {
            return Err(format!("{covered} lines are covered by {asked:?}"));
        }
        if asked.len() + lost != cut {
            return Err(format!("of {cut} lines {} are in short and {lost} lost", asked.len()));
        }
        let last = self.sizes().iter().rev().take(COMPACT_KEPT_MIN).sum::<u64>();
        let must = before.len().min(if last <= room.full() { COMPACT_KEPT_MIN } else { 1 });
        if before.len() - cut < must {
            return Err(format!("only {} lines are kept", before.len() - cut));
        }
        let kept: u64 = self.sizes()[cut..].iter().sum();
        if cut > 0 && kept > room.full() {
            return Err(format!("{kept} tokens are kept of {}", room.history()));
        }
        let in_short: Vec<u64> = asked.iter().map(|&at| before[at].number).collect();
        let gone = before[..cut].iter().map(|line| line.number);
        self.lost.extend(gone.filter(|number| !in_short.contains(number)));
        self.summary.0.extend(in_short);
        if let Some(summary) = summary {
            self.summary.1 = summary.len();
        }
        self.lines = match self.plant {
            Some(Plant::KeepsTheOldest) => before[..before.len() - cut].to_vec(),
            _ => before[cut..].to_vec(),
        };
        Ok(())
    }

    /// All that was said is somewhere, once, and the newest in its words.
    fn order(&self) -> Result<(), String> {
        let words = self.lines.iter().map(|line| line.number);
        let mut all: Vec<u64> =
            self.summary.0.iter().chain(&self.lost).copied().chain(words).collect();
        all.sort_unstable();
        if all != (0..self.said).collect::<Vec<_>>() {
            return Err(format!("{} lines of {} are somewhere", all.len(), self.said));
        }
        if self.lines.last().is_none_or(|last| last.number + 1 != self.said) {
            return Err("the last line is not in its words".to_owned());
        }
        Ok(())
    }
}

fn play(seed: u64, plant: Option<Plant>) -> Result<(), String> {
    let mut host = Host::new(seed, plant);
    let turns = 400;
    for turn in 0..turns {
        host.turn().map_err(|what| format!("turn {turn}: {what}"))?;
    }
    // Each makes room for a while.
    if host.compactions > turns / 2 && host.window > 4096 {
        return Err(format!("{} compactions in {turns} turns", host.compactions));
    }
    let far = host.gauge.0.abs_diff(host.real);
    if far > host.real / 5 {
        return Err(format!("{:?} is far from {}", host.gauge, host.real));
    }
    Ok(())
}

#[test]
fn however_long_people_talk_it_fits_and_the_newest_is_there_in_its_words() {
    for seed in 0..150 {
        assert_eq!(play(seed, None), Ok(()), "seed {seed}");
    }
}

#[test]
fn planted_bugs_are_noticed() {
    for plant in PLANTS {
        assert!((0..60).any(|seed| play(seed, Some(plant)).is_err()), "{plant:?} went unnoticed");
    }
}

#[test]
fn what_an_older_version_wrote_goes_into_the_summary_whole() {
    let room = Room { window: 16_384, answer: 4096, fixed: 500 };
    let mut compaction = Compaction::new(room, vec![10; 20], 0, 15);
    assert_eq!(compaction.poll(), Some(Output::Ask(0..15)));
    compaction.said("short".into(), 2);
    let outcome = Outcome { cut: 15, summary: Some("short".into()), covered: 15, lost: 0 };
    assert_eq!(compaction.poll(), Some(Output::Over(outcome)));
    compaction.failed();
    assert_eq!(compaction.poll(), None, "it is over");
}

#[test]
fn far_too_much_is_asked_about_from_where_it_can_be_read() {
    let room = Room { window: 4096, answer: 512, fixed: 0 };
    let sizes = vec![200; 5000];
    let mut compaction = Compaction::new(room, sizes, 0, 0);
    let mut pieces = Vec::new();
    let outcome = loop {
        match compaction.poll().expect("something") {
            Output::Ask(piece) => {
                pieces.push(piece);
                compaction.said("short".into(), 100);
            }
            Output::Over(outcome) => break outcome,
        }
    };
    assert!(pieces.len() <= COMPACT_PIECES_MAX && outcome.lost > 4800, "{outcome:?}");
    assert_eq!(pieces[0].start, outcome.lost);
}
