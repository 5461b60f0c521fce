//! The pages: one file each, packed when the program is built, with headers that let it load
//! nothing and be put into nothing.

use std::fmt::Write as _;
use std::sync::OnceLock;

use miniz_oxide::inflate::decompress_to_vec_with_limit;
use ring::digest::{SHA256, digest};

use crate::base::text::Hex;
use crate::base::{base64, limits};
use crate::rt::net::server::{Body, Request, Response};

/// The dashboard.
pub(crate) static DASHBOARD: Page =
    Page::new(include_bytes!(concat!(env!("OUT_DIR"), "/page.html.gz")));
/// First contact.
pub(crate) static SETUP: Page =
    Page::new(include_bytes!(concat!(env!("OUT_DIR"), "/setup.html.gz")));

/// What gzip has before and after the deflated bytes, as the build writes it.
const GZIP_HEAD: usize = 10;
const GZIP_TAIL: usize = 8;

/// A page, as gzip.
pub(crate) struct Page {
    packed: &'static [u8],
    known: OnceLock<Known>,
}

/// What is found out about a page, once.
struct Known {
    policy: String,
    tag: String,
}

impl Page {
    const fn new(packed: &'static [u8]) -> Page {
        Page { packed, known: OnceLock::new() }
    }

    /// The page, or that the client has it already.
    pub(crate) fn answer(&self, request: &Request) -> Response {
        let known = self.known();
        let tags = request.header("if-none-match");
        let is_known = tags.is_some_and(|tags| tags.contains(&known.tag));
        let response = if is_known {
            Response::empty(304)
        } else if takes_gzip(request) {
            bytes(self.packed.to_vec()).with("content-encoding", "gzip")
        } else {
            bytes(self.plain())
        };
        guarded(response)
            .with("content-security-policy", known.policy.clone())
            .with("etag", known.tag.clone())
            .with("vary", "Accept-Encoding")
            // It is asked each time whether it is still the one, and that costs nothing.
            .with("cache-control", "no-cache")
    }

    /// The page as it was written.
    fn plain(&self) -> Vec<u8> {
        let end = self.packed.len() - GZIP_TAIL;
        let deflated = self.packed.get(GZIP_HEAD..end).unwrap_or_default();
        decompress_to_vec_with_limit(deflated, limits::PAGE_BYTES_MAX).unwrap_or_default()
    }

    fn known(&self) -> &Known {
        self.known.get_or_init(|| {
            let page = self.plain();
            let tag = format!("\"{}\"", Hex(&digest(&SHA256, &page).as_ref()[..8]));
            Known { policy: policy(&String::from_utf8_lossy(&page)), tag }
        })
    }
}

/// What every answer to a browser bears.
pub(crate) fn guarded(response: Response) -> Response {
    response
        .with("x-content-type-options", "nosniff")
        .with("x-frame-options", "DENY")
        .with("referrer-policy", "no-referrer")
        .with("cross-origin-opener-policy", "same-origin")
        .with("cross-origin-resource-policy", "same-origin")
}

fn bytes(bytes: Vec<u8>) -> Response {
    let body = Body::Bytes(bytes);
    Response { content_type: "text/html; charset=utf-8", body, ..Response::empty(200) }
}

fn takes_gzip(request: &Request) -> bool {
    let mut codings = request.header("accept-encoding").unwrap_or_default().split(',');
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let is_refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32));
        matches!(name.trim(), "gzip" | "*") && !is_refused
    })
}

/// Only what is in the page runs, only what is in it shapes it, and it speaks to nobody but us.
/// No text can become markup in it, even if the script would have it so.
fn policy(page: &str) -> String {
    let mut policy = "default-src 'none'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'"
        .to_owned();
    for (kind, tag) in [("script-src", "script"), ("style-src", "style")] {
        let _ = write!(policy, "; {kind}");
        for text in between(page, &format!("<{tag}>"), &format!("</{tag}>")) {
            let hash = base64::encode(digest(&SHA256, text.as_bytes()).as_ref());
            let _ = write!(policy, " 'sha256-{hash}'");
        }
    }
    policy
}

fn between<'p>(page: &'p str, open: &'p str, close: &'p str) -> impl Iterator<Item = &'p str> {
    page.split(open).skip(1).filter_map(move |rest| Some(rest.split_once(close)?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the packed pages may take of the binary.
    const PACKED_BYTES_MAX: usize = 64 * 1024;

    const PAGES: [(&Page, &str); 2] =
        [(&DASHBOARD, include_str!("page.html")), (&SETUP, include_str!("setup.html"))];

    #[test]
    fn the_pages_are_small_and_whole() {
        let packed: usize = PAGES.iter().map(|(page, _)| page.packed.len()).sum();
        assert!(packed < PACKED_BYTES_MAX, "{packed} bytes packed");
        for (page, text) in PAGES {
            assert_eq!(String::from_utf8(page.plain()).expect("text"), text);
        }
    }

    #[test]
    fn the_pages_have_everything_within_themselves() {
        for ((_, page), links) in PAGES.iter().zip([&[][..], PORTALS]) {
            for word in
                ["http://", "https://", "src=\"", "@import", "innerHTML", "eval(", " style=\""]
            {
                let allowed = ["http://127.0.0.1", "http://www.w3.org"];
                let allowed = allowed.iter().chain(links).copied();
                let found = page.match_indices(word).map(|(at, _)| &page[at..]);
                let foreign: Vec<&str> = found
                    .filter(|text| !allowed.clone().any(|allowed| text.starts_with(allowed)))
                    .map(|text| text.lines().next().unwrap_or_default())
                    .collect();
                assert!(foreign.is_empty(), "{word}: {foreign:?}");
            }
        }
    }

    /// Where people are sent, who make a bot.
    const PORTALS: &[&str] = &["https://discord.com/"];

    #[test]
    fn what_runs_and_what_shapes_is_named_by_its_hash() {
        let policy = policy("<style>a{}</style><script>1</script><script>2</script>");
        assert_eq!(policy.matches("'sha256-").count(), 3, "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        // echo -n 1 | openssl dgst -sha256 -binary | base64
        assert!(policy.contains("'sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s='"));
        for (page, _) in PAGES {
            let ours = &page.known().policy;
            assert_eq!(ours.matches("'sha256-").count(), 2, "{ours}");
        }
    }
}
