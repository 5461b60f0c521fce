//! When a conversation has become longer than its model reads well, its older part is put in short
//! by the model itself: what goes into the summary, in which parts, and what is kept as it was.
//!
//! All sizes are tokens, estimated from bytes by a [`Gauge`] that learns from what providers say
//! they have counted. What is kept is the end of the conversation, in its words. The rest goes into
//! the summary piece by piece, each with the summary so far. If a piece cannot be summarised, the
//! lines that are left of the older part are given up, and the outcome says how many.

use std::collections::VecDeque;
use std::ops::Range;

use crate::base::limits::{
    COMPACT_KEPT_MIN, COMPACT_PIECES_MAX, COMPACT_SUMMARY_SHARE, GAUGE_BYTES_MAX, GAUGE_BYTES_MIN,
    GAUGE_USUAL, LLM_HISTORY_LINES_MAX,
};

#[cfg(test)]
mod sim;

/// How many bytes a token has, in thousandths, with one model and the people who talk to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gauge(u64);

impl Default for Gauge {
    fn default() -> Gauge {
        Gauge(GAUGE_USUAL)
    }
}

impl Gauge {
    /// The tokens of so many bytes, rather too many than too few.
    #[must_use]
    pub fn tokens(self, bytes: usize) -> u64 {
        (bytes as u64).saturating_mul(1000).div_ceil(self.0.max(1))
    }

    /// The bytes of so many tokens.
    #[must_use]
    pub fn bytes(self, tokens: u64) -> usize {
        usize::try_from(tokens.saturating_mul(self.0) / 1000).unwrap_or(usize::MAX)
    }

    /// A provider has counted `tokens` in a question of `bytes`. Short ones tell nothing: what
    /// stands around the words is most of them.
    pub fn heard(&mut self, bytes: usize, tokens: u64) {
        const TELLING_BYTES: usize = 400;
        if bytes < TELLING_BYTES || tokens == 0 {
            return;
        }
        let seen = (bytes as u64).saturating_mul(1000) / tokens;
        let seen = seen.clamp(GAUGE_BYTES_MIN, GAUGE_BYTES_MAX);
        // What grows shorter counts at once: too long a question is refused.
        self.0 = if seen < self.0 { u64::midpoint(self.0, seen) } else { (self.0 * 7 + seen) / 8 };
    }
}

/// What a model reads at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// All of it: its context window.
    pub window: u64,
    /// What its answer may take of that.
    pub answer: u64,
    /// What is said beside the conversation: who it is, its tools, and the question.
    pub fixed: u64,
}

impl Room {
    /// What the conversation so far may take.
    #[must_use]
    pub fn history(self) -> u64 {
        // However long the others are, some is left.
        let least = self.window / 8;
        let answer = self.answer.min(self.window / 4);
        self.window.saturating_sub(answer).saturating_sub(self.fixed).max(least)
    }

    /// From here on it is put in short.
    #[must_use]
    pub fn full(self) -> u64 {
        self.history() / 4 * 3
    }

    /// What is kept in its words.
    fn kept(self) -> u64 {
        self.history() / 8 * 3
    }

    /// What a summary may take.
    #[must_use]
    pub fn summary(self) -> u64 {
        self.history() / COMPACT_SUMMARY_SHARE
    }

    /// What of the lines goes into one question for a summary.
    fn piece(self) -> u64 {
        self.history() / 2
    }

    /// Whether lines of these sizes, and a summary, are to be put in short.
    #[must_use]
    pub fn is_full(self, sizes: &[u64], summary: u64) -> bool {
        let all = sizes.iter().fold(summary, |all, &size| all.saturating_add(size));
        all > self.full() || sizes.len() > LLM_HISTORY_LINES_MAX / 4 * 3
    }

    /// The same with half of the window: it turned out that less is read than was thought.
    #[must_use]
    pub fn harder(self) -> Room {
        Room { window: self.window / 2, ..self }
    }
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Have these lines put in short, with the summary so far.
    Ask(Range<usize>),
    /// It is over.
    Over(Outcome),
}

/// What has come of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// The first line that is kept.
    pub cut: usize,
    /// What stands for those before it; `None` if the summary that there was still does.
    pub summary: Option<String>,
    /// How many of the oldest the summary stands for, those that were given up before it began
    /// included.
    pub covered: usize,
    /// How many of those before the cut are in no summary.
    pub lost: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Compaction {
    room: Room,
    sizes: Vec<u64>,
    cut: usize,
    /// The first line that is in no summary yet.
    next: usize,
    asked: Option<Range<usize>>,
    /// The tokens of the summary so far.
    carried: u64,
    summary: Option<String>,
    pieces: usize,
    /// Lines that were given up from the start.
    lost: usize,
    outputs: VecDeque<Output>,
}

impl Compaction {
    /// Puts lines of these sizes in short, of which the first so many are to be in the summary in
    /// any case. `summary` is the size of the one that there is.
    #[must_use]
    pub fn new(room: Room, sizes: Vec<u64>, summary: u64, at_least: usize) -> Compaction {
        let cut = cut(room, &sizes).max(at_least.min(sizes.len()));
        let mut compaction = Compaction {
            room,
            sizes,
            cut,
            next: 0,
            asked: None,
            carried: summary.min(room.summary()),
            summary: None,
            pieces: 0,
            lost: 0,
            outputs: VecDeque::new(),
        };
        compaction.skip();
        compaction.go_on();
        compaction
    }

    /// The model says that the last piece, with what was before, is `summary` in short, which has
    /// so many tokens.
    pub fn said(&mut self, summary: String, tokens: u64) {
        let Some(asked) = self.asked.take() else { return };
        self.next = asked.end;
        self.carried = tokens.min(self.room.summary());
        self.summary = Some(summary);
        self.go_on();
    }

    /// The model gave no summary.
    pub fn failed(&mut self) {
        if self.asked.take().is_some() {
            self.end();
        }
    }

    /// What is to be done next; to be drained after every call of the others.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Gives up the oldest lines of more than is ever asked about.
    fn skip(&mut self) {
        let most = self.room.piece().saturating_mul(COMPACT_PIECES_MAX as u64 - 1);
        let mut left = 0_u64;
        let older = self.sizes.get(..self.cut).unwrap_or_default();
        let first = older.iter().rposition(|&size| {
            left = left.saturating_add(size.min(self.room.piece()));
            left > most
        });
        self.lost = first.map_or(0, |first| first + 1);
        self.next = self.lost;
    }

    fn go_on(&mut self) {
        if self.next >= self.cut || self.pieces >= COMPACT_PIECES_MAX {
            return self.end();
        }
        let room = self.room.piece().saturating_sub(self.carried);
        let mut size = 0_u64;
        let fits = |&&line: &&u64| {
            size = size.saturating_add(line);
            size <= room
        };
        let older = self.sizes.get(self.next..self.cut).unwrap_or_default();
        let count = older.iter().take_while(fits).count().max(1);
        let piece = self.next..self.next + count;
        self.pieces += 1;
        self.asked = Some(piece.clone());
        self.outputs.push_back(Output::Ask(piece));
    }

    fn end(&mut self) {
        let lost = self.lost + (self.cut - self.next.min(self.cut));
        let (cut, covered, summary) = (self.cut, self.next.min(self.cut), self.summary.take());
        self.outputs.push_back(Output::Over(Outcome { cut, summary, covered, lost }));
    }
}

/// How many of the oldest lines are not kept in their words.
fn cut(room: Room, sizes: &[u64]) -> usize {
    let (mut kept, mut count) = (0_u64, 0);
    for &size in sizes.iter().rev() {
        kept = kept.saturating_add(size);
        let is_owed = count < COMPACT_KEPT_MIN && kept <= room.full();
        if (kept > room.kept() || count >= LLM_HISTORY_LINES_MAX / 2) && !is_owed {
            break;
        }
        count += 1;
    }
    sizes.len() - count
}
