//! The URL and the exceptions in words; the tunnel against proxies on loopback, good and bad.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use proptest::prelude::*;
use smol::Async;
use smol::future::zip;

use super::*;
use crate::base::end::{DialFault, Phase};
use crate::rt::clock;
use crate::rt::executor;
use crate::rt::net::dns::Resolver;
use crate::rt::net::tls::tests::Authority;
use crate::rt::net::{Net, NetOptions};

const LONG: Duration = Duration::from_secs(30);

fn parse(url: &str) -> Result<Proxy, BadProxy> {
    Proxy::parse(&Secret::new(url), "channels.discord.proxy")
}

fn endpoint(host: &str, port: u16) -> Endpoint {
    Endpoint { host: host.into(), port, secure: true, reach: Reach::Anywhere }
}

#[test]
fn urls_are_read_as_people_write_them() {
    for (url, place) in [
        ("http://proxy.example:3128", "http://proxy.example:3128"),
        ("proxy.example:3128", "http://proxy.example:3128"),
        ("HTTP://Proxy.Example/", "http://proxy.example:80"),
        ("https://proxy.example", "https://proxy.example:443"),
        ("http://[2001:db8::1]:8080/", "http://[2001:db8::1]:8080"),
        ("http://u:p@10.0.0.1:8080", "http://10.0.0.1:8080"),
    ] {
        assert_eq!(parse(url).map(|proxy| proxy.to_string()), Ok(place.to_owned()), "{url}");
    }
    for (url, text) in [
        ("socks5://127.0.0.1:9050", "SOCKS"),
        ("socks5h://u:p@h:1", "SOCKS"),
        ("ftp://proxy.example", "not the URL"),
        ("http://", "not the URL"),
        ("http://host:99999", "not the URL"),
        ("http://ho st:1", "not the URL"),
        ("http://[::1:80", "not the URL"),
        ("http://u:%zz@host:1", "user or password"),
        ("http://u:%+1@host:1", "user or password"),
        ("http://u:%0d%0aX@host:1", "user or password"),
    ] {
        let bad = parse(url).unwrap_err();
        assert!(bad.text.contains(text) && !bad.cure.is_empty(), "{url}: {bad:?}");
    }
}

#[test]
fn the_password_goes_to_the_proxy_and_nowhere_else() {
    let proxy = parse("http://me:p%40ss%3Aword@proxy.example:3128").unwrap();
    let shown = format!("{proxy} {proxy:?}");
    assert!(!shown.contains("p@ss") && !shown.contains("p%40ss"), "{shown}");
    let hidden: Vec<_> = proxy.secrets().map(|secret| secret.expose().to_owned()).collect();
    assert_eq!(hidden, ["p@ss:word", "bWU6cEBzczp3b3Jk"]);
    let request = proxy.request(&endpoint("gateway.discord.gg", 443));
    let request: Vec<_> = request.expose().lines().collect();
    assert_eq!(
        request,
        [
            "CONNECT gateway.discord.gg:443 HTTP/1.1",
            "Host: gateway.discord.gg:443",
            "User-Agent: barnacle",
            "Proxy-Authorization: Basic bWU6cEBzczp3b3Jk",
        ]
    );
    let spaced = parse("http://me:%20pass%20@proxy.example").unwrap();
    assert_eq!(spaced.login.unwrap().authorization.expose(), "bWU6IHBhc3Mg", "kept as it is");
    let plain = parse("http://proxy.example").unwrap();
    assert!(!plain.request(&endpoint("::2", 443)).expose().contains("Authorization"));
    assert!(plain.request(&endpoint("::2", 443)).expose().starts_with("CONNECT [::2]:443 "));
}

#[test]
fn exceptions_are_names_those_below_them_ports_and_everything() {
    type Places = &'static [(&'static str, u16)];
    let rows: [(&str, Places, Places); 7] = [
        ("", &[], &[("discord.com", 443)]),
        ("*", &[("discord.com", 443), ("192.0.2.1", 80)], &[]),
        (
            "discord.com",
            &[("discord.com", 443), ("cdn.discord.com", 443), ("Discord.COM.", 1)],
            &[("notdiscord.com", 443), ("discord.com.evil.example", 443), ("com", 443)],
        ),
        (
            ".discord.gg , *.example.org",
            &[("gateway.discord.gg", 443), ("a.example.org", 1)],
            &[("discord.com", 443)],
        ),
        ("discord.com:8443 other", &[("discord.com", 8443), ("other", 1)], &[("discord.com", 443)]),
        (
            "192.0.2.1,2001:db8::1,[2001:db8::2]:443",
            &[("192.0.2.1", 443), ("2001:db8::1", 1), ("2001:db8::2", 443)],
            &[("1.192.0.2.1", 443), ("192.0.2.11", 443), ("2001:db8::2", 80)],
        ),
        ("bad:port,,/,[x]", &[], &[("bad", 443), ("x", 443)]),
    ];
    for (text, covered, others) in rows {
        let exceptions = Exceptions::parse(text);
        for &(host, port) in covered {
            assert!(exceptions.cover(host, port), "{text:?} covers {host}:{port}");
        }
        for &(host, port) in others {
            assert!(!exceptions.cover(host, port), "{text:?} does not cover {host}:{port}");
        }
    }
}

#[test]
fn what_stays_on_this_host_goes_through_no_proxy() {
    let proxy = parse("http://proxy.example").unwrap().except("direct.example");
    for host in [
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "::ffff:127.0.0.1",
        "direct.example",
    ] {
        assert!(!proxy.serves(&endpoint(host, 443)), "{host}");
    }
    for host in ["discord.com", "localhost.example", "127.0.0.1.example", "10.0.0.1", "::2"] {
        assert!(proxy.serves(&endpoint(host, 443)), "{host}");
    }
    let unencrypted = Endpoint { reach: Reach::Loopback, ..endpoint("discord.test", 80) };
    assert!(!proxy.serves(&unencrypted));
}

fn listen() -> (Async<TcpListener>, u16) {
    let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
    let port = listener.get_ref().local_addr().unwrap().port();
    (listener, port)
}

/// Reads a head, byte by byte.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// What comes of a way through a proxy that answers with `answer` and hangs up.
fn answered_with(answer: &'static [u8]) -> Result<(), ProxyFault> {
    smol::block_on(async {
        let (near, mut far) = crate::rt::net::tls::tests::pair();
        let proxy = async {
            read_head(&mut far).await;
            // It may have heard enough already.
            let _ = far.write_all(answer).await;
            drop(far);
        };
        let mut near = near;
        let ask = async {
            let proxy = parse("http://proxy.example").unwrap();
            proxy.tunnel(&mut near, &endpoint("discord.com", 443)).await
        };
        zip(proxy, ask).await.1
    })
}

#[test]
fn every_answer_has_its_meaning() {
    assert_eq!(answered_with(b"HTTP/1.1 200 Connection established\r\n\r\n"), Ok(()));
    assert_eq!(answered_with(b"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n"), Ok(()));
    for (answer, fault) in [
        (&b"HTTP/1.1 407 Authenticate\r\n\r\nbody"[..], ProxyFault::Status(407)),
        (b"HTTP/1.1 502\r\n\r\n", ProxyFault::Status(502)),
        (b"HTTP/1.1 100 Continue\r\n\r\n", ProxyFault::Garbage),
        (b"HTTP/1.1 200 OK\r\n\r\n\x15\x03", ProxyFault::Garbage),
        (b"HTTP/2 200 OK\r\n\r\n", ProxyFault::Garbage),
        (b"HTTP/1.1 two hundred\r\n\r\n", ProxyFault::Garbage),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ProxyFault::Garbage),
        (b"HTTP/1.1 200 OK\r\n", ProxyFault::Garbage),
        (b"", ProxyFault::Lost),
    ] {
        assert_eq!(answered_with(answer), Err(fault), "{:?}", String::from_utf8_lossy(answer));
    }
}

#[test]
fn a_head_without_end_is_given_up() {
    smol::block_on(async {
        let (mut near, mut far) = crate::rt::net::tls::tests::pair();
        let proxy = async {
            let _ = far.write_all(b"HTTP/1.1 200 OK\r\n").await;
            while far.write_all(&[b'x'; 512]).await.is_ok() {}
        };
        let ask = async {
            let proxy = parse("http://proxy.example").unwrap();
            let fault = proxy.tunnel(&mut near, &endpoint("discord.com", 443)).await;
            drop(near);
            fault
        };
        assert_eq!(zip(proxy, ask).await.1, Err(ProxyFault::Garbage));
    });
}

/// A network that trusts `authority`, knows no name but `proxy.example`, and goes through it.
fn net_through(spawner: &executor::Spawner, authority: &Authority, url: &str) -> Net {
    let scratch = crate::rt::store::tests::Scratch::new();
    let ca = scratch.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let resolver = Resolver::with(|host| match host {
        "proxy.example" => Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    });
    let proxy = parse(url).unwrap();
    let options = NetOptions { extra_ca: Some(ca), proxy: Some(proxy), ..NetOptions::default() };
    Net::with(spawner, &options, resolver).unwrap()
}

async fn accept(listener: &Async<TcpListener>) -> Async<TcpStream> {
    listener.accept().await.unwrap().0
}

/// Whether the name goes to the proxy unresolved and TLS runs through it to the end, by bare TCP
/// or by TLS to the proxy.
fn reaches(secure: bool) {
    executor::run(move |spawner| async move {
        let authority = Authority::new();
        let (listener, port) = listen();
        let scheme = if secure { "https" } else { "http" };
        let net = net_through(
            &spawner,
            &authority,
            &format!("{scheme}://u:hunter2@proxy.example:{port}"),
        );
        let (proxy, discord) =
            (authority.server("proxy.example", 2999), authority.server("discord.test", 2999));
        let server = async {
            let stream = accept(&listener).await;
            if secure {
                serve(proxy.accept(stream).await.unwrap(), &discord).await;
            } else {
                serve(stream, &discord).await;
            }
        };
        let client = async {
            let phase = Cell::new(Phase::Resolve);
            let mut stream = net.connect(&endpoint("discord.test", 8443), &phase).await.unwrap();
            assert_eq!(phase.get(), Phase::Tls, "with Discord itself");
            stream.write_all(b"ping").await.unwrap();
            let mut pong = [0; 4];
            stream.read_exact(&mut pong).await.unwrap();
            assert_eq!(&pong, b"pong");
            assert_eq!(stream.tcp().peer_addr().unwrap().port(), port);
        };
        let both = Box::pin(zip(server, client));
        clock::timeout(clock::now() + LONG, both).await.expect("in time");
    });
}

/// A proxy and the server behind it in one: what matters is what the client says to each.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    discord: &futures_rustls::TlsAcceptor,
) {
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("CONNECT discord.test:8443 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic dTpodW50ZXIy\r\n"), "{head}");
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    stream.flush().await.unwrap();
    let mut stream = discord.accept(stream).await.unwrap();
    let mut ping = [0; 4];
    stream.read_exact(&mut ping).await.unwrap();
    stream.write_all(b"pong").await.unwrap();
    stream.flush().await.unwrap();
}

#[test]
fn the_name_goes_to_the_proxy_and_tls_through_it() {
    reaches(false);
}

#[test]
fn the_way_to_the_proxy_may_be_by_tls_itself() {
    reaches(true);
}

#[test]
fn faults_of_the_proxy_are_told_from_those_behind_it() {
    executor::run(|spawner| async move {
        let authority = Authority::new();
        let fault = async |url: &str| {
            let net = net_through(&spawner, &authority, url);
            let phase = Cell::new(Phase::Resolve);
            let fault = net.connect(&endpoint("discord.test", 443), &phase).await.unwrap_err();
            assert_eq!(phase.get(), Phase::Proxy);
            fault
        };
        let unknown = fault("http://unknown.example:1").await;
        assert_eq!(unknown, DialFault::Proxy(ProxyFault::Dns));
        let (listener, port) = listen();
        drop(listener);
        let refused = fault(&format!("http://proxy.example:{port}")).await;
        assert_eq!(refused, DialFault::Proxy(ProxyFault::Refused));
        let (listener, port) = listen();
        // It speaks no TLS, and is asked to.
        let server = async {
            let mut stream = accept(&listener).await;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        };
        let url = format!("https://proxy.example:{port}");
        let (garbled, ()) = zip(fault(&url), server).await;
        assert_eq!(garbled, DialFault::Proxy(ProxyFault::Tls));
        // Who answers behind the proxy is not Discord.
        let stranger = authority.server("other.test", 2999);
        let server = async {
            let mut stream = accept(&listener).await;
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let _ = stranger.accept(stream).await;
        };
        let net = net_through(&spawner, &authority, &format!("http://proxy.example:{port}"));
        let (end, phase) = (endpoint("discord.test", 443), Cell::new(Phase::Resolve));
        let (dialled, ()) = Box::pin(zip(net.connect(&end, &phase), server)).await;
        assert_eq!((dialled.unwrap_err(), phase.get()), (DialFault::Tls, Phase::Tls));
    });
}

#[test]
fn a_proxy_that_is_silent_is_named_at_the_deadline() {
    executor::run(|spawner| async move {
        let authority = Authority::new();
        let (_listener, port) = listen();
        let net = net_through(&spawner, &authority, &format!("http://proxy.example:{port}"));
        let (end, phase) = (endpoint("discord.test", 443), Cell::new(Phase::Resolve));
        let soon = clock::now() + Duration::from_millis(50);
        assert!(clock::timeout(soon, net.connect(&end, &phase)).await.is_none());
        assert_eq!(phase.get(), Phase::Proxy);
    });
}

#[test]
fn words_name_the_cure() {
    let said = |fault| DialFault::Proxy(fault).to_string();
    let refused = said(ProxyFault::Status(407));
    assert!(refused.contains("407; look at the user and password"), "{refused}");
    assert!(said(ProxyFault::Status(403)).contains("CONNECT"));
    assert!(said(ProxyFault::Status(503)).contains("cannot reach Discord"));
    assert!(said(ProxyFault::Status(400)).ends_with("refused: 400"));
}

proptest! {
    #[test]
    fn any_url_is_taken_or_refused_and_no_password_shown(
        scheme in "(http://|https://|socks5://|)",
        user in "[a-z%:@/]{0,6}",
        password in "[A-Z]{8,12}",
        place in "[a-z0-9.:@\\[\\]/#?%-]{0,16}",
    ) {
        let url = format!("{scheme}{user}:{password}@{place}");
        let shown = match parse(&url) {
            Ok(proxy) => format!("{proxy} {proxy:?}"),
            Err(bad) => format!("{bad:?}"),
        };
        prop_assert!(!shown.to_ascii_uppercase().contains(&password), "{}", shown);
    }

    #[test]
    fn any_text_can_stand_in_the_place_of_a_url(text in any::<String>()) {
        let _ = parse(&text);
        Exceptions::parse(&text).cover(&text, 443);
    }

    #[test]
    fn any_answer_ends_the_question(
        begins in prop::bool::ANY,
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let head: Vec<u8> =
            if begins { [b"HTTP/1.1 ", &bytes[..]].concat() } else { bytes };
        let answer: &'static [u8] = Vec::leak(head);
        // It ends, and only a whole head opens the way.
        if answered_with(answer).is_ok() {
            prop_assert!(answer.starts_with(b"HTTP/1.1 2") && answer.ends_with(b"\r\n\r\n"));
        }
    }
}
