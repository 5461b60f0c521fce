//! The words of a web page, for a reader that sees no layout: tags are left out, what begins a new
//! line in a browser begins one here, headings and items are marked, and links keep their address.
//!
//! One pass, whatever the page is: no tree is built, and what is not closed is closed by the end.

/// Elements whose content is no text.
const SILENT: [&str; 8] =
    ["script", "style", "noscript", "template", "svg", "iframe", "object", "select"];
/// Elements that stand on lines of their own.
const BLOCKS: [&str; 31] = [
    "p",
    "div",
    "section",
    "article",
    "header",
    "footer",
    "main",
    "nav",
    "aside",
    "ul",
    "ol",
    "dl",
    "dt",
    "dd",
    "table",
    "tr",
    "blockquote",
    "pre",
    "figure",
    "figcaption",
    "form",
    "hr",
    "br",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "li",
    "title",
];
/// Characters of a link's address that are shown; a longer one says nothing to anybody.
const LINK_CHARS_MAX: usize = 200;
/// Bytes of a tag that are looked at.
const TAG_BYTES_MAX: usize = 4096;

/// The words of `page`, at most about `chars_max` characters of them, and whether there were more.
#[must_use]
pub fn text(page: &str, chars_max: usize) -> (String, bool) {
    let mut words = Words { out: String::new(), left: chars_max, gap: Gap::None, is_pre: false };
    let mut rest = page;
    let mut link: Option<String> = None;
    while !rest.is_empty() && words.left > 0 {
        let Some(open) = rest.find('<') else {
            words.say(rest);
            rest = "";
            break;
        };
        let (before, at) = rest.split_at(open);
        words.say(before);
        let Some((tag, after)) = Tag::read(at) else {
            // A sign that begins no tag is a sign.
            words.say("<");
            rest = at.get(1..).unwrap_or_default();
            continue;
        };
        rest = after;
        if SILENT.contains(&&*tag.name) && !tag.is_end {
            rest = skip(rest, &tag.name);
            continue;
        }
        words.tag(&tag, &mut link);
    }
    let is_cut = !rest.trim().is_empty();
    (words.out.trim().to_owned(), is_cut)
}

/// What stands between the last word and the next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    None,
    Space,
    Line,
    Paragraph,
}

struct Words {
    out: String,
    left: usize,
    gap: Gap,
    is_pre: bool,
}

impl Words {
    /// Says a text between tags, its entities resolved.
    fn say(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if self.left == 0 {
                return;
            }
            let (c, length) = match c {
                '&' => entity(rest).unwrap_or(('&', 1)),
                c => (c, c.len_utf8()),
            };
            rest = rest.get(length..).unwrap_or_default();
            if self.is_pre && c == '\n' {
                self.push('\n');
            } else if c.is_whitespace() && !(self.is_pre && c == ' ') {
                self.gap = self.gap.max(Gap::Space);
            } else if !c.is_control() {
                self.break_gap();
                self.push(c);
            }
        }
    }

    fn push(&mut self, c: char) {
        self.out.push(c);
        self.left = self.left.saturating_sub(1);
    }

    fn break_gap(&mut self) {
        let gap = std::mem::replace(&mut self.gap, Gap::None);
        let between = match gap {
            _ if self.out.is_empty() => "",
            Gap::None => "",
            Gap::Space => " ",
            Gap::Line => "\n",
            Gap::Paragraph => "\n\n",
        };
        self.out.push_str(between);
    }

    fn tag(&mut self, tag: &Tag, link: &mut Option<String>) {
        let is_end = tag.is_end;
        match &*tag.name {
            "a" if !is_end => link.clone_from(&tag.href),
            "a" => {
                if let Some(href) = link.take() {
                    self.say(&format!(" ({href})"));
                }
            }
            "td" | "th" if !is_end => self.gap = self.gap.max(Gap::Space),
            "pre" => {
                self.is_pre = !is_end;
                self.gap = Gap::Paragraph;
            }
            "br" | "tr" | "dt" | "dd" => self.gap = self.gap.max(Gap::Line),
            "li" => {
                self.gap = self.gap.max(Gap::Line);
                if !is_end {
                    self.mark("-");
                }
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "title" => {
                self.gap = Gap::Paragraph;
                if !is_end {
                    let level = tag
                        .name
                        .as_bytes()
                        .get(1)
                        .copied()
                        .filter(u8::is_ascii_digit)
                        .unwrap_or(b'1');
                    self.mark("######".get(..usize::from(level - b'0')).unwrap_or("#"));
                }
            }
            name if BLOCKS.contains(&name) => self.gap = Gap::Paragraph,
            _ => {}
        }
    }

    fn mark(&mut self, mark: &str) {
        self.break_gap();
        for c in mark.chars() {
            self.push(c);
        }
        self.gap = Gap::Space;
    }
}

struct Tag {
    name: String,
    is_end: bool,
    href: Option<String>,
}

impl Tag {
    /// Reads what begins with `<`; what it is, and what follows. Comments and declarations are
    /// tags without a name.
    fn read(text: &str) -> Option<(Tag, &str)> {
        let nameless = |rest| Some((Tag { name: String::new(), is_end: false, href: None }, rest));
        if let Some(comment) = text.strip_prefix("<!--") {
            return nameless(comment.split_once("-->").map_or("", |(_, rest)| rest));
        }
        if text.starts_with("<!") || text.starts_with("<?") {
            return nameless(text.split_once('>').map_or("", |(_, rest)| rest));
        }
        let inside = text.get(1..)?;
        let is_end = inside.starts_with('/');
        let inside = inside.strip_prefix('/').unwrap_or(inside);
        if !inside.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let end = end_of_tag(inside);
        let (body, rest) = inside.split_at(end);
        let rest = rest.strip_prefix('>').unwrap_or(rest);
        let name_end = body.find(|c: char| c.is_ascii_whitespace() || c == '/');
        let (name, attributes) = body.split_at(name_end.unwrap_or(body.len()));
        let name = crate::base::text::truncate(name, 32).to_ascii_lowercase();
        let href = if name == "a" && !is_end { href(attributes) } else { None };
        Some((Tag { name, is_end, href }, rest))
    }
}

/// Where the tag ends: at the first `>` that is in no quotes.
fn end_of_tag(text: &str) -> usize {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at,
            // Quotes that are never closed must not swallow the page.
            (Some(_), b'>') if at > TAG_BYTES_MAX => return at,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    text.len()
}

/// The address of a link, if it leads to another page.
fn href(attributes: &str) -> Option<String> {
    let lower = attributes.to_ascii_lowercase();
    let at = lower.find("href=")? + "href=".len();
    let value = attributes.get(at..)?;
    let value = match value.chars().next()? {
        quote @ ('"' | '\'') => value.get(1..)?.split(quote).next()?,
        _ => value.split(|c: char| c.is_ascii_whitespace()).next()?,
    };
    let is_address = value.starts_with("http") || value.starts_with('/');
    let is_short = value.chars().count() <= LINK_CHARS_MAX;
    (is_address && is_short).then(|| value.trim().to_owned())
}

/// What follows the end of the element `name`, whose content is not looked at.
fn skip<'t>(text: &'t str, name: &str) -> &'t str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        rest = rest.get(at + 2..).unwrap_or_default();
        let is_it = rest.get(..name.len()).is_some_and(|word| word.eq_ignore_ascii_case(name));
        if is_it {
            return rest.split_once('>').map_or("", |(_, rest)| rest);
        }
    }
    ""
}

/// The character that the entity at the beginning of `text` stands for, and its length.
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(12).position(|byte| byte == b';')?;
    let name = text.get(1..end)?;
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" | "ldquo" | "rdquo" => '"',
        "apos" | "lsquo" | "rsquo" => '\'',
        "nbsp" | "ensp" | "emsp" | "thinsp" => ' ',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "copy" => '©',
        "euro" => '€',
        "laquo" => '«',
        "raquo" => '»',
        "bull" | "middot" => '·',
        "times" => '×',
        "deg" => '°',
        "auml" => 'ä',
        "ouml" => 'ö',
        "uuml" => 'ü',
        "Auml" => 'Ä',
        "Ouml" => 'Ö',
        "Uuml" => 'Ü',
        "szlig" => 'ß',
        "eacute" => 'é',
        "egrave" => 'è',
        "agrave" => 'à',
        "ccedil" => 'ç',
        name => {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(number)?
        }
    };
    Some((c, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(page: &str) -> String {
        text(page, 10_000).0
    }

    #[test]
    fn a_page_reads_as_it_looks() {
        let page = "<!DOCTYPE html><html><head><title>A  page</title>
            <style>p { color: red }</style><script>if (a < b) { evil('</p>') }</script></head>
            <body><!-- hidden --><h1>Head&shy;ing</h1><p>One <b>bold</b> word &amp; \
            <a class='x' href=\"https://a.example/?x=1\">a link</a>,<br>a line.</p>
            <ul><li>one<li>two</ul><table><tr><td>1</td><td>2</td></tr></table>
            <pre>  as\n  it is</pre>5 < 6 &#8364; &#x41; &unknown;</body></html>";
        assert_eq!(
            all(page),
            "# A page\n\n# Head&shy;ing\n\nOne bold word & a link (https://a.example/?x=1),\n\
             a line.\n\n- one\n- two\n\n1 2\n\n  as\n  it is\n\n5 < 6 € A &unknown;"
        );
    }

    #[test]
    fn what_is_broken_ends_with_the_page() {
        assert_eq!(all("a <b"), "a");
        assert_eq!(all("a <script>never closed"), "a");
        assert_eq!(all("a <!-- never closed"), "a");
        assert_eq!(all("a <x y='>"), "a");
        assert_eq!(all("1 < 2 & 3 <4"), "1 < 2 & 3 <4");
        assert_eq!(all("<a href='javascript:x'>b</a> </a>"), "b");
        assert_eq!(text("<p>word</p>more", 4), ("word".to_owned(), true));
        assert_eq!(text("<p>word</p>", 400), ("word".to_owned(), false));
    }

    proptest! {
        #[test]
        fn any_page_has_a_bounded_text(
            parts in proptest::collection::vec(prop_oneof![
                Just("<"), Just(">"), Just("</"), Just("p"), Just("script"), Just("a href="),
                Just("'"), Just("\""), Just("&"), Just("#x"), Just(";"), Just("ü"), Just("<!--"),
                Just("-->"), Just("<li>"), Just("<pre>"), Just("\n"), Just(" "), Just("word"),
            ], 0..60),
            most in 0_usize..50,
        ) {
            let page = parts.concat();
            let (text, _) = text(&page, most);
            // Gaps, and the mark of what began last, come on top.
            prop_assert!(text.chars().count() <= most * 3 + 8, "{}", text);
            prop_assert!(!text.contains("\n\n\n") || page.contains("<pre>"));
        }
    }
}
