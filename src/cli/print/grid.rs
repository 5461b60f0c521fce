//! Rows of fields: in columns that fit a terminal, or one below the other for a pipe.

use super::{Printer, Shade, paint};
use crate::base::text::Plain;

/// A field of a row.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    shade: Option<Shade>,
    text: String,
}

impl Cell {
    /// Of a text from anywhere, in a colour of its own.
    pub(crate) fn of(shade: Option<Shade>, text: &str) -> Cell {
        Cell { shade, text: Plain(text).to_string() }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::of(None, text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::of(None, &text)
    }
}

/// Fields between which there are two spaces, each as wide as the widest of its column. On a
/// terminal a line of titles stands above them, and what is too long is cut off; in a pipe all of
/// it is there, and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    titles: &'static [&'static str],
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
enum Row {
    Fields(Vec<Cell>),
    /// A line that belongs to the row above it.
    Note(Cell),
}

/// What the last field of a row keeps, however narrow the terminal is.
const LAST_MIN: usize = 8;

impl Table {
    /// A table without rows.
    pub(crate) fn new(titles: &'static [&'static str]) -> Table {
        Table { titles, rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, fields: [Cell; N]) {
        self.rows.push(Row::Fields(fields.into()));
    }

    /// Adds a line below the last row.
    pub(crate) fn note(&mut self, text: impl Into<Cell>) {
        self.rows.push(Row::Note(text.into()));
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// As lines, each with a line break.
    pub(crate) fn show(&self, printer: &Printer) -> String {
        let mut widths: Vec<usize> = Vec::new();
        let titles = self.titles.iter().map(|title| Cell::of(Some(Shade::Faint), title));
        let titles = Row::Fields(titles.collect());
        let head = printer.width.filter(|_| !self.is_empty()).map(|_| &titles);
        for row in head.into_iter().chain(&self.rows) {
            let Row::Fields(fields) = row else { continue };
            for (at, field) in fields.iter().enumerate() {
                widths.resize(widths.len().max(at + 1), 0);
                widths[at] = widths[at].max(columns(&field.text));
            }
        }
        let rows = head.into_iter().chain(&self.rows);
        rows.map(|row| line(row, &widths, printer) + "\n").collect()
    }
}

fn line(row: &Row, widths: &[usize], printer: &Printer) -> String {
    let shade = |cell: &Cell| cell.shade.filter(|_| printer.colours);
    let fields = match row {
        Row::Note(cell) => return format!("  {}", paint(shade(cell), &cell.text)),
        Row::Fields(fields) => fields,
    };
    let mut line = String::new();
    let mut used = 0;
    for (at, (field, &width)) in fields.iter().zip(widths).enumerate() {
        let is_last = at + 1 == fields.len();
        let room = match printer.width {
            Some(all) if is_last => all.saturating_sub(used).max(LAST_MIN),
            _ => usize::MAX,
        };
        let text = cut(&field.text, room);
        line.push_str(&paint(shade(field).filter(|_| !text.is_empty()), &text));
        if !is_last {
            let gap = width.saturating_sub(columns(&text)) + 2;
            line.extend(std::iter::repeat_n(' ', gap));
            used += width + 2;
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// The beginning of `text` that takes up at most `room` columns; what is left out is marked.
fn cut(text: &str, room: usize) -> String {
    if columns(text) <= room {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += width(c);
        if used >= room {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// How many columns a terminal gives a character: the wide ones of East Asia and pictures two,
/// what is put onto the one before none (Unicode Standard Annex 11, in large strokes).
fn width(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["CHANNEL", "STATE"]);
        table.row(["discord default".into(), Cell::of(Some(Shade::Good), "connected")]);
        table.row(["x\t名前".into(), "a text that is longer than there is room".into()]);
        table.note("a note");
        table
    }

    #[test]
    fn a_pipe_gets_every_word_and_no_title_nor_colour() {
        let shown = table().show(&Printer { colours: false, width: None });
        let lines: Vec<&str> = shown.lines().collect();
        let expected = [
            "discord default  connected",
            "x\\t名前          a text that is longer than there is room",
            "  a note",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_terminal_gets_titles_colours_and_no_line_that_is_too_long() {
        let shown = table().show(&Printer { colours: true, width: Some(30) });
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "\x1b[2mCHANNEL\x1b[0m          \x1b[2mSTATE\x1b[0m");
        assert_eq!(lines[1], "discord default  \x1b[32mconnected\x1b[0m");
        assert_eq!(lines[2], "x\\t名前          a text that …");
        assert_eq!(columns(lines[2]), 30);
    }

    #[test]
    fn an_empty_table_is_nothing() {
        assert_eq!(Table::new(&["A"]).show(&Printer { colours: true, width: Some(80) }), "");
    }
}
