//! The agent with endpoints of every sort, on loopback.

use std::cell::RefCell;
use std::net::TcpListener;
use std::rc::Rc;

use smol::Async;
use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::agent::exec::tests::request;
use crate::rt::executor;
use crate::rt::net::NetOptions;

/// What the agent says when its endpoint answers with `answers`, one a connection; and what the
/// endpoint was sent.
fn told(answers: Vec<Vec<u8>>, deadline: Duration) -> (Result<Answer, Fault>, Vec<String>) {
    executor::run(move |spawner| async move {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
        let url = format!("http://{}/ask?key=1", listener.get_ref().local_addr().unwrap());
        let seen = Rc::new(RefCell::new(Vec::new()));
        let heard = seen.clone();
        let _server = spawner.spawn(Tier::Wire, "server", async move {
            let mut open = Vec::new();
            for answer in answers {
                let mut stream = listener.accept().await.unwrap().0;
                let mut request = Vec::new();
                while !request.ends_with(b"Z\"}") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).await.unwrap();
                    request.push(byte[0]);
                }
                heard.borrow_mut().push(String::from_utf8(request).unwrap());
                let _ = stream.write_all(&answer).await;
                // An answer without an end stays open; another is closed by its reader.
                if !answer.starts_with(b"HTTP/1.1 200 OPEN") {
                    let _ = stream.get_ref().shutdown(std::net::Shutdown::Both);
                }
                open.push(stream);
            }
            std::future::pending::<()>().await;
        });
        let net = Net::new(&spawner, &NetOptions::default()).unwrap();
        let headers = vec![("Authorization".to_owned(), Secret::new("Bearer token"))];
        let http = Http::new(&net, &url, headers);
        let by = clock::now() + deadline;
        let answer = clock::timeout(by, http.answer(&request(), by, &|_: &str| ())).await;
        let seen = seen.borrow().clone();
        (answer.unwrap_or(Err(Fault::TooSlow)), seen)
    })
}

const PATIENCE: Duration = Duration::from_secs(60);

fn body(head: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn json(text: &str) -> Vec<u8> {
    body("200 OK\r\nContent-Type: application/json", text.as_bytes())
}

fn answer(bytes: Vec<u8>) -> Result<Answer, Fault> {
    told(vec![bytes], PATIENCE).0
}

#[allow(clippy::unnecessary_wraps, reason = "it is compared with results")]
fn says(text: &str) -> Result<Answer, Fault> {
    Ok(Answer::text(text))
}

#[test]
fn the_endpoint_is_sent_the_message_and_its_answer_is_said() {
    let (answered, seen) = told(vec![json(r#"{"reply": "hi"}"#)], PATIENCE);
    assert_eq!(answered, says("hi"));
    let [seen] = &*seen else { panic!("{seen:?}") };
    let seen = seen.to_lowercase();
    assert!(seen.starts_with("post /ask?key=1 http/1.1\r\n"), "{seen}");
    assert!(seen.contains("\r\nidempotency-key: discord:7:1234567890123456789\r\n"), "{seen}");
    assert!(seen.contains("\r\nauthorization: bearer token\r\n"), "{seen}");
    assert!(seen.contains(r#""text":"hello \"you\"""#), "{seen}");
}

#[test]
fn text_silence_and_streams_are_answers() {
    assert_eq!(answer(body("200 OK\r\nContent-Type: text/plain", b"hi\n")), says("hi"));
    assert_eq!(answer(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()), Ok(Answer::default()));
    assert_eq!(answer(body("200 OK", b"")), Ok(Answer::default()));
    let stream = "data: {\"delta\": \"Hel\"}\n\ndata: {\"delta\": \"lo\"}\n\n";
    let head = "200 OK\r\nContent-Type: text/event-stream";
    assert_eq!(answer(body(head, stream.as_bytes())), says("Hello"));
    // One that says that it is done need not close.
    let open = format!(
        "HTTP/1.1 200 OPEN\r\nContent-Type: text/event-stream\r\n\r\n{stream}data: [DONE]\n\n"
    );
    assert_eq!(answer(open.into_bytes()), says("Hello"));
}

#[test]
fn every_way_to_fail_is_a_fault_of_its_own() {
    assert_eq!(answer(body("500 No", b"trace")), Err(Fault::Refused(500)));
    assert_eq!(answer(body("404 No", b"")), Err(Fault::Refused(404)));
    assert_eq!(answer(b"SSH-2.0-x\r\n".to_vec()), Err(Fault::Garbled));
    assert_eq!(answer(b"".to_vec()), Err(Fault::Unreachable));
    let cut = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{";
    assert_eq!(answer(cut.to_vec()), Err(Fault::Unreachable));
    assert_eq!(answer(json(r#"{"text": 5}"#)), Err(Fault::Garbled));
    assert_eq!(answer(json(r#"{"error": "no"}"#)), Err(Fault::Declined));
    let page = body("200 OK\r\nContent-Type: text/html", b"<h1>Login</h1>");
    assert_eq!(answer(page), Err(Fault::Garbled));
    let long = vec![b'x'; AGENT_OUTPUT_BYTES_MAX + 1];
    assert_eq!(answer(body("200 OK\r\nContent-Type: text/plain", &long)), Err(Fault::TooLong));
    let stream = [&b"HTTP/1.1 200 OPEN\r\nContent-Type: text/event-stream\r\n\r\n"[..]].concat();
    let endless = [&stream[..], &b"data: x\n\n".repeat(AGENT_OUTPUT_BYTES_MAX / 8)].concat();
    assert_eq!(answer(endless), Err(Fault::TooLong));
    let silent = told(vec![stream], Duration::from_millis(300)).0;
    assert_eq!(silent, Err(Fault::TooSlow));
}

#[test]
fn a_busy_endpoint_is_asked_once_more_if_it_says_when() {
    let busy = body("429 Busy\r\nRetry-After: 0", b"");
    let (answered, seen) = told(vec![busy.clone(), json(r#""hi""#)], PATIENCE);
    assert_eq!((answered, seen.len()), (says("hi"), 2));
    let (answered, seen) = told(vec![busy.clone(), busy], PATIENCE);
    assert_eq!((answered, seen.len()), (Err(Fault::Refused(429)), 2));
    let (answered, seen) = told(vec![body("503 Busy\r\nRetry-After: 3600", b"")], PATIENCE);
    assert_eq!((answered, seen.len()), (Err(Fault::Refused(503)), 1));
}

#[test]
fn what_is_not_encrypted_leaves_no_private_network() {
    executor::run(|spawner| async move {
        let net = Net::new(&spawner, &NetOptions::default()).unwrap();
        let http = Http::new(&net, "http://8.8.8.8/secret", Vec::new());
        assert_eq!(http.place, "http://8.8.8.8");
        let by = clock::now() + PATIENCE;
        assert_eq!(http.answer(&request(), by, &|_: &str| ()).await, Err(Fault::Unreachable));
    });
}

#[test]
fn of_a_stream_each_piece_is_heard_before_the_answer_is_whole() {
    let events = b"data: one \n\ndata: {\"delta\": \"and \"}\n\ndata: two\n\ndata: [DONE]\n\n";
    let head = "200 OK\r\nContent-Type: text/event-stream";
    let answer = body(head, events);
    executor::run(|spawner| async move {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
        let url = format!("http://{}/", listener.get_ref().local_addr().unwrap());
        let server = spawner.spawn(Tier::Wire, "server", async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read(&mut [0; 4096]).await.unwrap();
            // In two parts, so that the pieces come one after the other.
            let (first, rest) = answer.split_at(answer.len() - 30);
            stream.write_all(first).await.unwrap();
            clock::sleep(Duration::from_millis(20)).await;
            stream.write_all(rest).await.unwrap();
            std::future::pending::<()>().await;
        });
        let net = Net::new(&spawner, &NetOptions::default()).unwrap();
        let http = Http::new(&net, &url, Vec::new());
        let pieces = RefCell::new(Vec::new());
        let hears = |new: &str| pieces.borrow_mut().push(new.to_owned());
        let answer = http.answer(&request(), clock::now() + PATIENCE, &hears).await.unwrap();
        drop(server);
        assert_eq!(answer.words(), "one and two");
        assert_eq!(pieces.borrow().concat(), "one and two");
        assert!(pieces.borrow().len() > 1, "{pieces:?}");
    });
}
