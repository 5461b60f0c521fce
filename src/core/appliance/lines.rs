//! Lines of a file that some editor wrote: with or without a mark at its beginning, with either
//! kind of line end, in UTF-8 or in what Windows calls Unicode.

use std::borrow::Cow;

/// A file's bytes, as UTF-8 if they were written in anything that can be told.
pub(super) struct Text<'a>(Cow<'a, [u8]>);

/// A line, without its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// Counted from 1.
    pub(super) number: usize,
    /// `None` if it is not UTF-8.
    pub(super) text: Option<&'a str>,
    /// Its bytes, with the end.
    pub(super) raw: &'a [u8],
}

impl<'a> Text<'a> {
    /// Takes off the mark at the beginning, and goes by it.
    #[must_use]
    pub(super) fn of(bytes: &'a [u8]) -> Text<'a> {
        match bytes {
            [0xef, 0xbb, 0xbf, rest @ ..] => Text(Cow::Borrowed(rest)),
            [0xff, 0xfe, rest @ ..] => Text(wide(rest, u16::from_le_bytes)),
            [0xfe, 0xff, rest @ ..] => Text(wide(rest, u16::from_be_bytes)),
            bytes => Text(Cow::Borrowed(bytes)),
        }
    }

    /// The whole of it.
    #[must_use]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn wide<'a>(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'a, [u8]> {
    let units = bytes.as_chunks().0.iter().map(|pair| unit(*pair));
    let text: String =
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    Cow::Owned(text.into_bytes())
}

/// The lines of `text`.
#[must_use]
pub(super) fn lines<'a>(text: &'a Text<'_>) -> Vec<Line<'a>> {
    let raw = text.0.split_inclusive(|byte| *byte == b'\n');
    raw.enumerate()
        .map(|(at, raw)| {
            let text = str::from_utf8(raw).ok().map(|text| text.trim_end_matches(['\n', '\r']));
            Line { number: at + 1, text, raw }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_ends_and_wide_letters_are_understood() {
        let wide = |mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
            let units = "a = ü\r\nb".encode_utf16().flat_map(bytes);
            mark.into_iter().chain(units).collect::<Vec<u8>>()
        };
        for bytes in [
            "a = ü\nb".into(),
            "\u{feff}a = ü\r\nb".into(),
            wide([0xff, 0xfe], u16::to_le_bytes),
            wide([0xfe, 0xff], u16::to_be_bytes),
        ] {
            let text = Text::of(&bytes);
            let lines: Vec<_> = lines(&text).iter().map(|line| (line.number, line.text)).collect();
            assert_eq!(lines, [(1, Some("a = ü")), (2, Some("b"))]);
        }
        let text = Text::of(b"good\n\xff\n");
        let lines: Vec<_> = lines(&text).iter().map(|line| line.text).collect();
        assert_eq!(lines, [Some("good"), None]);
    }
}
