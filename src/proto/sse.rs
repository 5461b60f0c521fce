//! Server-sent events (WHATWG HTML, "Server-sent events"): a resumable decoder of bounded memory.
//!
//! As the standard has it, with two differences: fields but `event` and `data` mean nothing here,
//! and an event whose last line is whole counts though the empty line after it is missing, since
//! servers forget that one at their end.

/// An event is longer than is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLong;

/// Reads a stream of events, cut anywhere.
#[derive(Debug)]
pub struct Events {
    /// What a line, and the data of an event, may have.
    bytes_max: usize,
    line: Vec<u8>,
    /// Whether the last byte was a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    is_first: bool,
    name: String,
    data: Option<String>,
    is_broken: bool,
}

impl Events {
    /// A decoder of events of at most `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Events {
        Events {
            bytes_max,
            line: Vec::new(),
            after_return: false,
            is_first: true,
            name: String::new(),
            data: None,
            is_broken: false,
        }
    }

    /// Reads the next part of the stream; `each` hears the name, empty for most, and the data of
    /// every event that is whole.
    ///
    /// # Errors
    /// An event is too long. Nothing more is read.
    pub fn feed(&mut self, part: &[u8], each: &mut impl FnMut(&str, &str)) -> Result<(), TooLong> {
        let mut rest = part;
        while !rest.is_empty() && !self.is_broken {
            if std::mem::take(&mut self.after_return) && rest.first() == Some(&b'\n') {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
            if self.line.len() + line.len() > self.bytes_max {
                self.is_broken = true;
                break;
            }
            self.line.extend_from_slice(line);
            let Some((&terminator, after)) = after.split_first() else { break };
            self.after_return = terminator == b'\r';
            rest = after;
            self.end_line(each);
        }
        if self.is_broken { Err(TooLong) } else { Ok(()) }
    }

    /// The stream is over.
    pub fn finish(&mut self, each: &mut impl FnMut(&str, &str)) {
        if !self.is_broken {
            self.end_event(each);
        }
        self.line.clear();
    }

    fn end_line(&mut self, each: &mut impl FnMut(&str, &str)) {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if std::mem::take(&mut self.is_first) {
            // A byte order mark.
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            self.end_event(each);
            return;
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match field {
            b"event" => self.name = value.into_owned(),
            b"data" => {
                let held = self.data.as_ref().map_or(0, String::len);
                if held + value.len() >= self.bytes_max {
                    self.is_broken = true;
                    return;
                }
                match &mut self.data {
                    Some(data) => data.extend(["\n", &value]),
                    None => self.data = Some(value.into_owned()),
                }
            }
            _ => {}
        }
    }

    fn end_event(&mut self, each: &mut impl FnMut(&str, &str)) {
        let name = std::mem::take(&mut self.name);
        if let Some(data) = self.data.take() {
            each(&name, &data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(stream: &[u8], window: usize) -> (Vec<(String, String)>, Result<(), TooLong>) {
        let (mut events, mut heard) = (Events::new(64), Vec::new());
        let mut each = |name: &str, data: &str| heard.push((name.to_owned(), data.to_owned()));
        let mut verdict = Ok(());
        for part in stream.chunks(window.max(1)) {
            verdict = events.feed(part, &mut each);
            if verdict.is_err() {
                break;
            }
        }
        events.finish(&mut each);
        (heard, verdict)
    }

    fn data(stream: &str) -> Vec<String> {
        read(stream.as_bytes(), 1000).0.into_iter().map(|event| event.1).collect()
    }

    #[test]
    fn the_examples_of_the_standard_are_read_as_it_says() {
        assert_eq!(data("data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
        let second = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n";
        assert_eq!(
            data(&format!("{second}data:  third event\n\n")),
            ["first event", "second event", " third event"]
        );
        assert_eq!(data("data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
        assert_eq!(data("data:test\n\ndata: test\n\n"), ["test", "test"]);
    }

    #[test]
    fn line_ends_names_and_marks_are_understood() {
        assert_eq!(data("\u{feff}data: a\r\n\r\ndata: b\r\rdata: c\n\n"), ["a", "b", "c"]);
        let named = read(b"event: error\ndata: x\n\ndata: y\n\nevent: empty\n\n", 3).0;
        let named: Vec<_> = named.iter().map(|(n, d)| (&**n, &**d)).collect();
        assert_eq!(named, [("error", "x"), ("", "y")]);
        assert_eq!(data("data: whole\n"), ["whole"], "the last empty line may be missing");
        assert_eq!(data("data: cut"), [""; 0], "but not the end of the line itself");
    }

    #[test]
    fn memory_is_bounded() {
        let (heard, verdict) = read(&[b"data: ok\n\ndata: ", &[b'x'; 100][..]].concat(), 7);
        assert_eq!((heard.len(), verdict), (1, Err(TooLong)));
        let endless = b"data: 0123456789\n".repeat(100);
        assert_eq!(read(&endless, 5).1, Err(TooLong));
        assert_eq!(read(&b":\n".repeat(1000), 5), (vec![], Ok(())), "comments cost nothing");
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            parts in proptest::collection::vec(prop_oneof![
                Just("data: "), Just("data"), Just("event: e"), Just(":"), Just("\n"), Just("\r"),
                Just("\r\n"), Just("x"), Just("é"), Just("\u{feff}"), Just("id: 1"),
            ], 0..40),
            window in 1_usize..9,
        ) {
            let stream = parts.concat();
            let whole = read(stream.as_bytes(), stream.len());
            prop_assert_eq!(read(stream.as_bytes(), window), whole);
        }
    }
}
