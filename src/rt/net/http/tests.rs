//! The client against bare servers on loopback, good and bad.

use std::net::{TcpListener, TcpStream};

use smol::Async;
use smol::future::{or, zip};
use smol::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::rt::executor::{self, Spawner};
use crate::rt::net::NetOptions;
use crate::rt::net::dns::Resolver;

const SOON: Duration = Duration::from_millis(50);
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

fn client(spawner: &Spawner) -> Client {
    let net = Net::new(spawner, &NetOptions::default()).unwrap();
    Client::new(&net, Tier::Wire)
}

fn listen() -> (Async<TcpListener>, String) {
    let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
    let url = format!("http://{}/path?query", listener.get_ref().local_addr().unwrap());
    (listener, url)
}

fn get(url: &str) -> Request {
    Request::new(Method::GET, url)
}

/// Each phase may take this long.
fn within(span: Duration) -> Deadlines {
    Deadlines { connect: span, head: span, body: span }
}

async fn accept(listener: &Async<TcpListener>) -> Async<TcpStream> {
    listener.accept().await.unwrap().0
}

/// Reads a request with a body of `body_bytes`.
async fn read_request(stream: &mut Async<TcpStream>, body_bytes: usize) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        request.push(byte[0]);
    }
    let mut body = vec![0; body_bytes];
    stream.read_exact(&mut body).await.unwrap();
    request.extend(body);
    String::from_utf8(request).unwrap()
}

/// How a request fares at a server that answers it with `answer` and goes.
fn answered_with(answer: Vec<u8>) -> Result<Response, HttpError> {
    executor::run(|spawner| async move {
        let (listener, url) = listen();
        let server = async {
            let mut stream = accept(&listener).await;
            read_request(&mut stream, 0).await;
            // The client may hang up before it has heard all of it.
            let _ = stream.write_all(&answer).await;
        };
        zip(client(&spawner).send(get(&url).body_bytes_max(1000)), server).await.0
    })
}

#[test]
fn a_request_arrives_as_it_was_meant() {
    executor::run(|spawner| async move {
        let (listener, url) = listen();
        let server = async {
            let mut stream = accept(&listener).await;
            let request = read_request(&mut stream, 4).await;
            stream
                .write_all(b"HTTP/1.1 429 Slow\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n")
                .await
                .unwrap();
            request
        };
        let request = Request::new(Method::POST, &*url)
            .header("authorization", "Bot hunter2")
            .body("text/plain", "body");
        let (answer, request) = zip(client(&spawner).send(request), server).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(
            (&answer.headers["retry-after"], answer.body),
            (&"3".parse::<HeaderValue>().unwrap(), vec![])
        );
        assert!(request.starts_with("POST /path?query HTTP/1.1\r\n"), "{request}");
        let authority = url.trim_start_matches("http://").trim_end_matches("/path?query");
        for line in ["authorization: Bot hunter2", "content-type: text/plain", "content-length: 4"]
        {
            assert!(request.contains(&format!("\r\n{line}\r\n")), "{line}: {request}");
        }
        assert!(request.contains(&format!("\r\nhost: {authority}\r\n")), "{request}");
        assert!(request.ends_with("\r\n\r\nbody"), "{request}");
    });
}

#[test]
fn answers_come_whole_or_say_why_not() {
    let answered = |answer: &[u8]| answered_with(answer.to_vec());
    assert_eq!(answered(OK).unwrap().body, b"hi");
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    assert_eq!(answered(chunked).unwrap().body, b"hi");
    assert_eq!(answered(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().body, b"");
    let redirect =
        b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(answered(redirect).unwrap().status, StatusCode::FOUND, "it is not followed");

    let error = |answer: &[u8]| answered(answer).unwrap_err();
    assert_eq!(error(b""), HttpError::Lost(Loss::Wire), "cut after it was carried out");
    assert_eq!(error(b"HTTP/1.1 200"), HttpError::Lost(Loss::Wire));
    assert_eq!(error(b"SSH-2.0-server\r\n\r\n"), HttpError::Garbage);
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi";
    assert_eq!(error(half), HttpError::Cut(StatusCode::OK, Loss::Wire));
}

#[test]
fn bodies_and_heads_are_bounded() {
    let too_long = Err(HttpError::TooLong(StatusCode::OK));
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let body = |length: usize| [head(length).into_bytes(), vec![b'x'; length]].concat();
    assert_eq!(answered_with(body(1000)).map(|answer| answer.body.len()), Ok(1000));
    assert_eq!(answered_with(body(1001)).map(drop), too_long);
    assert_eq!(answered_with(head(usize::MAX / 2).into_bytes()).map(drop), too_long, "by its head");
    let endless = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &[b'x'; 2000]].concat();
    assert_eq!(answered_with(endless).map(drop), too_long, "until the connection's end");
    let long_head = [&b"HTTP/1.1 200 OK\r\nX: "[..], &vec![b'x'; 200_000]].concat();
    assert_eq!(answered_with(long_head).map(drop), Err(HttpError::Garbage));
}

#[test]
fn every_phase_has_its_deadline() {
    executor::run(|spawner| async move {
        let (listener, url) = listen();
        let client = client(&spawner);
        let usual = Deadlines::default();
        // The kernel accepts, nobody answers.
        let hasty = Deadlines { head: SOON, ..usual };
        let answer = client.send(get(&url).deadlines(hasty)).await;
        assert_eq!(answer.unwrap_err(), HttpError::Lost(Loss::Silence));
        let tls = url.replace("http:", "https:");
        let hasty = Deadlines { connect: SOON, ..usual };
        let answer = client.send(get(&tls).deadlines(hasty)).await;
        assert_eq!(answer.unwrap_err(), HttpError::NotSent(End::Silence(Phase::Tls)));
        let (listener_2, url_2) = listen();
        let half = async {
            let mut stream = accept(&listener_2).await;
            read_request(&mut stream, 0).await;
            stream.write_all(&OK[..OK.len() - 1]).await.unwrap();
            std::future::pending::<()>().await;
        };
        let hasty = Deadlines { body: SOON, ..usual };
        let answer = or(client.send(get(&url_2).deadlines(hasty)), async {
            half.await;
            unreachable!("the server waits for ever")
        });
        let cut = HttpError::Cut(StatusCode::OK, Loss::Silence);
        assert_eq!(answer.await.unwrap_err(), cut);
        drop(listener);
        let answer = client.send(get(&url)).await;
        assert_eq!(answer.unwrap_err(), HttpError::NotSent(End::Dial(DialFault::Refused)));
    });
}

#[test]
fn without_tls_only_loopback_is_asked() {
    executor::run(|spawner| async move {
        let resolver = Resolver::with(|_| Ok(vec![[192, 0, 2, 1].into()]));
        let net = Net::with(&spawner, &NetOptions::default(), resolver).unwrap();
        let client = Client::new(&net, Tier::Wire);
        let forbidden = HttpError::NotSent(End::Dial(DialFault::Forbidden));
        for url in ["http://api.example/", "http://192.0.2.1/", "ftp://127.0.0.1/", "nonsense"] {
            assert_eq!(client.send(get(url)).await.unwrap_err(), forbidden, "{url}");
        }
        let split = get("http://127.0.0.1/").header("x", "a\r\nb: c");
        assert_eq!(client.send(split).await.unwrap_err(), forbidden, "a header of two lines");
        let allowed =
            get("http://api.example/").plain_reach(Reach::Anywhere).deadlines(within(SOON));
        assert_ne!(client.send(allowed).await.unwrap_err(), forbidden);
    });
}

#[test]
fn a_connection_is_used_again_until_the_server_closes_it() {
    executor::run(|spawner| async move {
        let (listener, url) = listen();
        let client = client(&spawner);
        let server = async {
            let mut stream = accept(&listener).await;
            for _ in 0..3 {
                read_request(&mut stream, 0).await;
                stream.write_all(OK).await.unwrap();
            }
            // Closed while it is warm: the next request goes over a new one, and is not lost.
            drop(stream);
            let mut stream = accept(&listener).await;
            read_request(&mut stream, 0).await;
            stream.write_all(OK).await.unwrap();
        };
        let requests = async {
            for _ in 0..4 {
                assert_eq!(client.send(get(&url)).await.unwrap().body, b"hi");
            }
        };
        zip(server, requests).await;
    });
}

#[test]
fn a_request_that_finds_its_connection_closed_goes_over_a_new_one() {
    executor::run(|spawner| async move {
        let (listener, url) = listen();
        let client = client(&spawner);
        let server = async {
            let mut stream = accept(&listener).await;
            read_request(&mut stream, 0).await;
            stream.write_all(OK).await.unwrap();
            stream
        };
        let (answer, stream) = zip(client.send(get(&url)), server).await;
        answer.unwrap();
        // Time for the driver to see that the answer is complete; none to see the close.
        clock::sleep(SOON).await;
        drop(stream);
        let server = async {
            let mut stream = accept(&listener).await;
            read_request(&mut stream, 0).await;
            stream.write_all(OK).await.unwrap();
            std::future::pending().await
        };
        assert_eq!(or(client.send(get(&url)), server).await.unwrap().body, b"hi");
    });
}

#[test]
fn a_warm_connection_that_dies_after_it_was_written_to_is_not_tried_again() {
    executor::run(|spawner| async move {
        let (listener, url) = listen();
        let client = client(&spawner);
        let server = async {
            let mut stream = accept(&listener).await;
            read_request(&mut stream, 0).await;
            stream.write_all(OK).await.unwrap();
            read_request(&mut stream, 0).await;
        };
        let requests = async {
            client.send(get(&url)).await.unwrap();
            client.send(get(&url)).await.unwrap_err()
        };
        assert_eq!(zip(server, requests).await.1, HttpError::Lost(Loss::Wire));
        assert!(smol::future::poll_once(listener.accept()).await.is_none(), "no second try");
    });
}

#[test]
fn one_that_hangs_blocks_no_other_and_a_host_has_few() {
    executor::run(|spawner| async move {
        let (listener, url) = listen();
        let client = client(&spawner);
        let mut hanging = Vec::new();
        let mut held = Vec::new();
        for _ in 1..HTTP_CONNECTIONS_PER_HOST_MAX {
            let (client, url) = (client.clone(), url.clone());
            hanging.push(
                spawner.spawn(
                    Tier::Wire,
                    "hang",
                    async move { client.send(get(&url)).await.map(drop) },
                ),
            );
            held.push(accept(&listener).await);
        }
        let server = async {
            let mut stream = accept(&listener).await;
            loop {
                read_request(&mut stream, 0).await;
                stream.write_all(OK).await.unwrap();
            }
        };
        let others = async {
            for _ in 0..3 {
                assert!(client.send(get(&url)).await.is_ok());
            }
            // The last place hangs too: one more has none, and was not sent.
            let last = client.send(get(&url).deadlines(within(Duration::MAX)));
            let more = client.send(get(&url).deadlines(within(SOON)));
            (last, more)
        };
        let (last, more) = or(others, server).await;
        let no_place = HttpError::NotSent(End::Silence(Phase::Tcp));
        let more = async { assert_eq!(more.await.unwrap_err(), no_place) };
        Box::pin(or(async { drop(last.await) }, more)).await;
        drop(hanging);
    });
}

#[test]
fn hosts_are_forgotten_in_time() {
    executor::run(|spawner| async move {
        let client = client(&spawner);
        for port in 1..=2 * HTTP_HOSTS_MAX {
            let url: hyper::Uri = format!("http://127.0.0.1:{port}/").parse().unwrap();
            client.host(Endpoint::of(&url, "http", "https").unwrap());
        }
        assert_eq!(client.hosts.borrow().len(), HTTP_HOSTS_MAX);
    });
}
