//! Pages good and bad, and everything that a stranger may try to have fetched.

use std::cell::RefCell;
use std::net::TcpListener;
use std::rc::Rc;

use smol::Async;
use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::core::chat::sample;
use crate::core::web::near;
use crate::proto::llm::Call;
use crate::rt::executor;
use crate::rt::net::NetOptions;
use crate::rt::net::dns::Resolver;

const PATIENCE: Duration = Duration::from_secs(60);

/// A server on loopback that answers each request by its path; what it was asked is in `seen`.
struct World {
    port: u16,
    seen: Rc<RefCell<Vec<String>>>,
}

type Play = fn(&str, u16) -> Vec<u8>;

/// Fetches by `arguments`, in which PORT is the server's port. `tricky.example` is 127.0.0.1.
fn fetched(
    play: Play,
    allow: &[&str],
    private: &[&str],
    arguments: &Value,
) -> (Outcome, Vec<String>) {
    let text = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let (allow, private, arguments) = (text(allow), text(private), arguments.to_string());
    executor::run(move |spawner| async move {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
        let port = listener.get_ref().local_addr().unwrap().port();
        let world = World { port, seen: Rc::default() };
        let seen = world.seen.clone();
        let _server = spawner.spawn(Tier::Wire, "server", async move {
            loop {
                let mut stream = listener.accept().await.unwrap().0;
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).await.is_ok()
                {
                    request.push(byte[0]);
                }
                let request = String::from_utf8_lossy(&request).into_owned();
                let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                seen.borrow_mut().push(request);
                let _ = stream.write_all(&play(&path, port)).await;
                let _ = stream.get_ref().shutdown(std::net::Shutdown::Both);
            }
        });
        let lookup = |host: &str| match host {
            "tricky.example" | "other.example" => Ok(vec![[127, 0, 0, 1].into()]),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        let resolver = Resolver::with(lookup);
        let net = Net::with(&spawner, &NetOptions::default(), resolver).unwrap();
        let fill = |text: &String| text.replace("PORT", &world.port.to_string());
        let mut rules = Rules::default();
        rules.list.extend(allow.iter().map(|text| Rule::parse(&fill(text)).unwrap()));
        rules.near.extend(private.iter().map(|text| near(&fill(text)).unwrap()));
        rules.list.iter_mut().for_each(|rule| rule.post = true);
        let secret = vec![("Authorization".to_owned(), Secret::new("Bearer s3cret"))];
        let own = Rule::parse(&fill(&"http://tricky.example:PORT".to_owned())).unwrap();
        let fetch = Fetch::new(
            &net,
            Setup {
                rules,
                headers: vec![(own, secret)],
                chars_max: 2000,
                deadline: PATIENCE,
                hops_max: 3,
                user_agent: "barnacle/test".to_owned(),
            },
        );
        let (request, call) = (sample::request(5, 100), Call::default());
        let by = clock::now() + PATIENCE;
        let ask = Ask { request: &request, call: &call, ordinal: 0, by };
        let arguments: Value = serde_json::from_str(&fill(&arguments)).unwrap();
        let outcome = fetch.run(&ask, &arguments).await;
        let seen = world.seen.borrow().clone();
        (outcome, seen)
    })
}

fn page(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn site(path: &str, port: u16) -> Vec<u8> {
    let to = |url: String| page(&format!("302 Found\r\nLocation: {url}"), "");
    match path {
        "/" => page(
            "200 OK\r\nContent-Type: text/html; charset=utf-8",
            "<html><title>Hi</title><script>x</script><p>The <b>page</b></html>",
        ),
        "/json" => page("200 OK\r\nContent-Type: application/json", "{\"a\": 1}"),
        "/long" => page("200 OK\r\nContent-Type: text/plain", &"word ".repeat(1_000_000)),
        "/image" => page("200 OK\r\nContent-Type: image/png", "PNG"),
        "/latin" => b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=ISO-8859-1\r\n\
            Content-Length: 1\r\n\r\n\xe4"
            .to_vec(),
        "/gzip" => page("200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip", "x"),
        "/gone" => page("404 Not Found\r\nContent-Type: text/plain", "no such page"),
        "/to-page" => to("/".to_owned()),
        "/to-other" => to(format!("http://other.example:{port}/")),
        "/to-loopback" => to(format!("http://127.0.0.1:{port}/")),
        "/to-localhost" => to(format!("http://localhost:{port}/")),
        "/to-file" => to("file:///etc/passwd".to_owned()),
        "/to-itself" => to("/to-itself".to_owned()),
        "/garbage" => b"nothing that is HTTP\r\n\r\n".to_vec(),
        _ => page("200 OK\r\nContent-Type: text/plain", "plain"),
    }
}

const TRICKY: &[&str] = &["http://tricky.example:PORT"];
const NEAR: &[&str] = &["tricky.example:PORT"];

fn url(path: &str) -> Value {
    json!({ "url": format!("http://tricky.example:PORT{path}") })
}

#[test]
fn pages_are_told_in_words_within_bounds() {
    let get = |path: &str| fetched(site, TRICKY, NEAR, &url(path)).0;
    let told = get("/").unwrap();
    assert!(told.ends_with("# Hi\n\nThe page"), "{told}");
    assert!(told.starts_with("HTTP 200 from http://tricky.example:"), "{told}");
    assert!(get("/json").unwrap().ends_with("{\"a\": 1}"));
    assert!(get("/latin").unwrap().ends_with('ä'));
    let long = get("/long").unwrap();
    assert!(long.len() < 2500 && long.ends_with("the rest of the page is left out]"), "{long}");
    assert!(get("/to-page").unwrap().contains("The page"));
    for (path, said) in [
        ("/image", "no text"),
        ("/gzip", "compressed"),
        ("/gone", "HTTP 404"),
        ("/to-itself", "redirects more than 3 times"),
        ("/garbage", "could not be fetched"),
    ] {
        let refused = get(path).unwrap_err();
        assert!(refused.contains(said), "{path}: {refused}");
    }
    let head = json!({"url": "http://tricky.example:PORT/", "method": "HEAD"});
    let (told, seen) = fetched(site, TRICKY, NEAR, &head);
    assert!(told.unwrap().contains("content-length") && seen[0].starts_with("HEAD / "), "{seen:?}");
    let post = json!({"url": "http://tricky.example:PORT/x", "method": "POST", "body": "{}"});
    let (told, seen) = fetched(site, TRICKY, NEAR, &post);
    assert!(told.is_ok() && seen[0].starts_with("POST /x "), "{seen:?}");
}

#[test]
fn a_private_address_is_reached_neither_by_a_name_nor_by_a_redirect() {
    // A name that is allowed and resolves to loopback.
    let (refused, seen) = fetched(site, TRICKY, &[], &url("/"));
    let refused = refused.unwrap_err();
    assert!(refused.contains("allowPrivate") && seen.is_empty(), "{refused} {seen:?}");
    // The star is for names of the public internet.
    for target in ["localhost", "tricky.example", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
        let there = json!({ "url": format!("http://{target}:PORT/") });
        let (refused, seen) = fetched(site, &["http://*:PORT"], &[], &there);
        assert!(refused.is_err() && seen.is_empty(), "{target}: {refused:?} {seen:?}");
    }
    // One host may be near; what it redirects to may not.
    for path in ["/to-other", "/to-loopback", "/to-localhost", "/to-file"] {
        let (refused, seen) =
            fetched(site, &["http://tricky.example:PORT", "http://*:PORT"], NEAR, &url(path));
        assert!(refused.is_err() && seen.len() == 1, "{path}: {refused:?} {seen:?}");
    }
    let (refused, seen) = fetched(site, &["example.org"], NEAR, &url("/"));
    assert!(refused.unwrap_err().contains("tools.web.fetch.allow") && seen.is_empty());
}

#[test]
fn what_identifies_us_goes_to_its_host_only() {
    let both = &["http://tricky.example:PORT", "http://other.example:PORT"];
    let near = &["tricky.example:PORT", "other.example:PORT"];
    let (told, seen) = fetched(site, both, near, &url("/to-other"));
    assert!(told.unwrap().contains("The page"));
    assert!(seen[0].contains("authorization: Bearer s3cret"), "{seen:?}");
    assert!(!seen[1].contains("s3cret") && seen[1].contains("other.example"), "{seen:?}");
    assert!(seen.iter().all(|head| !head.to_lowercase().contains("cookie")), "{seen:?}");
}

#[test]
fn what_the_model_makes_up_is_told_in_a_sentence() {
    for arguments in [
        json!({}),
        json!({"url": 7}),
        json!({"url": "nonsense"}),
        json!({"url": "https://user:pw@tricky.example/"}),
        json!({"url": "http://tricky.example:PORT/", "method": "DELETE"}),
        json!({"url": "http://tricky.example:PORT/", "method": "POST",
            "body": "x".repeat(FETCH_POST_BYTES_MAX + 1)}),
        json!({"url": "http://nowhere.example:PORT/"}),
    ] {
        let (refused, seen) = fetched(
            site,
            &["http://tricky.example:PORT", "http://nowhere.example:PORT"],
            NEAR,
            &arguments,
        );
        assert!(refused.is_err() && seen.is_empty(), "{arguments}: {refused:?}");
    }
}
