//! The client against servers on loopback: the library's, and ones that misbehave.

use std::cell::RefCell;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;

use async_tungstenite::accept_async;
use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use smol::Async;
use smol::future::{or, poll_once, yield_now, zip};
use smol::stream::StreamExt;

use super::*;
use crate::base::limits::{GATEWAY_SEND_BYTES_MAX, READ_CHUNK_BYTES};
use crate::rt::executor::{self, Spawner, Tier};
use crate::rt::net::NetOptions;
use crate::rt::net::dns::Resolver;
use crate::rt::net::tls::tests::Authority;

const SOON: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(30);

/// Keeps whole messages.
#[derive(Default)]
struct Inbox {
    current: Vec<u8>,
    whole: Vec<Vec<u8>>,
}

impl Payload for Inbox {
    fn begin(&mut self, _binary: bool) {
        self.current.clear();
    }

    fn chunk(&mut self, bytes: &[u8]) {
        self.current.extend_from_slice(bytes);
    }

    fn end(&mut self) {
        self.whole.push(self.current.clone());
    }
}

fn net(spawner: &Spawner) -> Net {
    Net::new(spawner, &NetOptions::default()).unwrap()
}

fn listen() -> (Async<TcpListener>, String, SocketAddr) {
    let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
    let addr = listener.get_ref().local_addr().unwrap();
    (listener, format!("ws://{addr}/?v=10"), addr)
}

async fn dial_by(net: &Net, url: &str, patience: Duration) -> Result<Socket, End> {
    dial(net, url, clock::now() + patience, Rng::new(1)).await
}

/// Reads a request's head; gives the answer that upgrades it.
async fn read_request(stream: &mut Async<TcpStream>) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: "));
    let key =
        key.or_else(|| head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.unwrap().as_bytes())
    )
}

/// A client, and the bare stream of a server that has accepted it.
async fn connected(net: &Net) -> (Socket, Async<TcpStream>) {
    let (listener, url, _) = listen();
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = read_request(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    };
    let (socket, stream) = zip(dial_by(net, &url, LONG), server).await;
    (socket.unwrap(), stream)
}

/// How a dial ends at a server that answers the upgrade with `answer` and goes.
fn dial_answered_with(answer: &'static [u8]) -> End {
    executor::run(|spawner| async move {
        let (listener, url, _) = listen();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            stream.write_all(answer).await.unwrap();
        };
        zip(dial_by(&net(&spawner), &url, LONG), server).await.0.unwrap_err()
    })
}

#[test]
fn it_speaks_with_the_library() {
    executor::run(|spawner| async move {
        let (listener, url, _) = listen();
        let server = async {
            let mut peer = accept_async(listener.accept().await.unwrap().0).await.unwrap();
            peer.send(Message::Ping("are you there".into())).await.unwrap();
            peer.send(Message::text("hello")).await.unwrap();
            peer.send(Message::binary(vec![7; 100_000])).await.unwrap();
            let mut heard = Vec::new();
            while let Some(Ok(message)) = peer.next().await {
                heard.push(message);
                if heard.len() == 2 {
                    peer.close(None).await.unwrap();
                }
            }
            heard
        };
        let client = async {
            let mut socket = dial_by(&net(&spawner), &url, LONG).await.unwrap();
            let mut inbox = Inbox::default();
            socket.send_text(br#"{"op":1}"#).unwrap();
            socket.next(&mut inbox).await.unwrap();
            socket.next(&mut inbox).await.unwrap();
            assert_eq!(inbox.whole, [b"hello".to_vec(), vec![7; 100_000]]);
            assert_eq!(socket.next(&mut inbox).await, Err(End::Server(1005)));
            socket.close(4000, LONG).await;
        };
        let heard = zip(server, client).await.0;
        assert_eq!(
            heard[..2],
            [Message::text(r#"{"op":1}"#), Message::Pong("are you there".into())]
        );
    });
}

#[test]
fn it_speaks_over_tls() {
    executor::run(|spawner| async move {
        let authority = Authority::new();
        let scratch = crate::rt::store::tests::Scratch::new();
        let ca = scratch.path().join("ca.pem");
        std::fs::write(&ca, authority.pem()).unwrap();
        let options = NetOptions { extra_ca: Some(ca), ..NetOptions::default() };
        let resolver = Resolver::with(|_| Ok(vec![[127, 0, 0, 1].into()]));
        let net = Net::with(&spawner, &options, resolver).unwrap();
        let (listener, _, addr) = listen();
        let acceptor = authority.server("gateway.example", 2999);
        let server = async {
            let stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
            let mut peer = accept_async(stream).await.unwrap();
            peer.send(Message::text("x".repeat(50_000))).await.unwrap();
            peer.next().await.unwrap().unwrap()
        };
        let client = async {
            let url = format!("wss://gateway.example:{}/?v=10", addr.port());
            let mut socket = dial_by(&net, &url, LONG).await.unwrap();
            let mut inbox = Inbox::default();
            socket.next(&mut inbox).await.unwrap();
            assert_eq!(inbox.whole[0].len(), 50_000);
            socket.close(4000, LONG).await;
        };
        let Message::Close(Some(close)) = Box::pin(zip(server, client)).await.0 else {
            panic!("no close")
        };
        assert_eq!(u16::from(close.code), 4000);
    });
}

#[test]
fn what_comes_with_the_upgrade_is_not_lost() {
    executor::run(|spawner| async move {
        let (listener, url, _) = listen();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = read_request(&mut stream).await;
            stream
                .write_all(&[answer.as_bytes(), b"\x81\x05HELLO\x81\x03two"].concat())
                .await
                .unwrap();
            stream
        };
        let (socket, stream) = zip(dial_by(&net(&spawner), &url, LONG), server).await;
        let (mut socket, mut inbox) = (socket.unwrap(), Inbox::default());
        socket.next(&mut inbox).await.unwrap();
        socket.next(&mut inbox).await.unwrap();
        assert_eq!(inbox.whole, [b"HELLO", &b"two"[..]]);
        drop(stream);
        assert_eq!(socket.next(&mut inbox).await, Err(End::Wire));
        assert_eq!(socket.next(&mut inbox).await, Err(End::Wire), "and it stays so");
    });
}

#[test]
fn a_server_that_drips_is_understood() {
    executor::run(|spawner| async move {
        let (listener, url, _) = listen();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = read_request(&mut stream).await;
            for byte in [answer.as_bytes(), b"\x01\x02ab\x80\x01c"].concat() {
                stream.write_all(&[byte]).await.unwrap();
                yield_now().await;
            }
            stream
        };
        let client = async {
            let mut socket = dial_by(&net(&spawner), &url, LONG).await.unwrap();
            let mut inbox = Inbox::default();
            // Dropped half-way again and again, as a driver with a timer does.
            while poll_once(socket.next(&mut inbox)).await.is_none() {
                clock::sleep(Duration::from_micros(100)).await;
            }
            assert_eq!(inbox.whole, [b"abc"]);
        };
        zip(server, client).await;
    });
}

#[test]
fn refusals_say_what_they_are() {
    let answered = |answer| dial_answered_with(answer);
    let bad_gateway = answered(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nno!");
    assert_eq!(bad_gateway, End::Dial(DialFault::Status(502, 0)));
    let slow_down = answered(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 17\r\n\r\n");
    assert_eq!(slow_down, End::Dial(DialFault::Status(429, 17)));
    let not_upgraded = answered(b"HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(not_upgraded, End::Dial(DialFault::Status(200, 0)));
    let no_key = answered(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(no_key, End::Dial(DialFault::Upgrade));
    assert_eq!(answered(b"SSH-2.0-server\r\n\r\n"), End::Dial(DialFault::Upgrade));
    assert_eq!(answered(b"x".repeat(100_000).leak()), End::Dial(DialFault::Upgrade));
    assert_eq!(answered(b"HTTP/1.1 101 Swi"), End::Dial(DialFault::Lost));
}

#[test]
fn silence_names_its_phase() {
    executor::run(|spawner| async move {
        let (listener, url, addr) = listen();
        let upgrade = dial_by(&net(&spawner), &url, SOON).await.unwrap_err();
        assert_eq!(upgrade, End::Silence(Phase::Upgrade));
        let tls = dial_by(&net(&spawner), &format!("wss://{addr}/"), SOON).await.unwrap_err();
        assert_eq!(tls, End::Silence(Phase::Tls));
        drop(listener);
        // A place that is taken and where nobody listens: one that was given up may be another's.
        let (family, kind) = (rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM);
        let deaf = rustix::net::socket(family, kind, None).unwrap();
        rustix::net::bind(&deaf, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let deaf = TcpListener::from(deaf);
        let url = format!("ws://{}/", deaf.local_addr().unwrap());
        let refused = dial_by(&net(&spawner), &url, LONG).await.unwrap_err();
        assert_eq!(refused, End::Dial(DialFault::Refused));
        let (never, hang) = std::sync::mpsc::channel::<()>();
        let hang = std::sync::Mutex::new(hang);
        let resolver = Resolver::with(move |_| {
            hang.lock().unwrap().recv().ok();
            Ok(vec![])
        });
        let net = Net::with(&spawner, &NetOptions::default(), resolver).unwrap();
        let resolve = dial_by(&net, "wss://gateway.example/", SOON).await.unwrap_err();
        assert_eq!(resolve, End::Silence(Phase::Resolve));
        drop(never);
    });
}

#[test]
fn without_tls_only_loopback_is_dialled() {
    executor::run(|spawner| async move {
        let resolver = Resolver::with(|_| Ok(vec![[192, 0, 2, 1].into()]));
        let net = Net::with(&spawner, &NetOptions::default(), resolver).unwrap();
        for url in ["ws://gateway.example/", "ws://192.0.2.1/", "http://127.0.0.1/", "nonsense"] {
            let end = dial_by(&net, url, LONG).await.unwrap_err();
            assert_eq!(end, End::Dial(DialFault::Forbidden), "{url}");
        }
    });
}

#[test]
fn ends_are_values_and_stay() {
    let cases: [(&[u8], End); 5] = [
        (b"\x88\x0a\x0f\xa4Bad token", End::Server(4004)),
        (b"\x88\x00", End::Server(1005)),
        (b"\x83\x00", End::Garbage(1002)),
        (b"\x82\x7f\x00\x00\x01\x00\x00\x00\x00\x00", End::Garbage(1009)),
        (b"\x81\x05hal", End::Wire),
    ];
    for (bytes, end) in cases {
        executor::run(move |spawner| async move {
            let (mut socket, mut server) = connected(&net(&spawner)).await;
            server.write_all(bytes).await.unwrap();
            drop(server);
            let mut inbox = Inbox::default();
            assert_eq!(socket.next(&mut inbox).await, Err(end));
            assert_eq!(socket.next(&mut inbox).await, Err(end));
            assert_eq!(socket.try_next(&mut inbox), Err(end));
            assert!(inbox.whole.is_empty());
            if end == End::Server(4004) {
                assert_eq!(socket.close_reason(), "Bad toke", "as long as the frame says");
            }
        });
    }
}

#[test]
fn what_was_said_before_a_reset_is_heard_first() {
    executor::run(|spawner| async move {
        let (mut socket, mut server) = connected(&net(&spawner)).await;
        server.write_all(b"\x81\x02hi").await.unwrap();
        server.write_all(b"\x88\x02\x0f\xa9").await.unwrap();
        drop(server);
        // Writing to what is gone breaks our half of the connection.
        let mut inbox = Inbox::default();
        socket.send_text(b"into the void").unwrap();
        socket.next(&mut inbox).await.unwrap();
        socket.send_text(b"into the void").unwrap();
        assert_eq!(socket.next(&mut inbox).await, Err(End::Server(4009)));
        assert_eq!(inbox.whole, [b"hi"]);
    });
}

#[test]
fn a_connection_that_cannot_be_written_to_is_over() {
    executor::run(|spawner| async move {
        let (mut socket, _server) = connected(&net(&spawner)).await;
        socket.stream.tcp().shutdown(std::net::Shutdown::Write).unwrap();
        let mut inbox = Inbox::default();
        assert_eq!(socket.try_next(&mut inbox), Ok(false), "nothing was to be written yet");
        socket.send_text(b"beat").unwrap();
        assert_eq!(socket.try_next(&mut inbox), Err(End::Wire));
    });
}

#[test]
fn what_is_here_can_be_drained_without_waiting() {
    executor::run(|spawner| async move {
        let (mut socket, mut server) = connected(&net(&spawner)).await;
        let mut inbox = Inbox::default();
        assert_eq!(socket.try_next(&mut inbox), Ok(false));
        server.write_all(b"\x81\x01a\x81\x01b\x81\x05cut").await.unwrap();
        let all_here = async {
            socket.next(&mut inbox).await.unwrap();
            while socket.try_next(&mut inbox).unwrap() {}
        };
        all_here.await;
        assert_eq!(inbox.whole, [b"a", b"b"]);
        // A wait that comes after is woken as ever.
        let rest = async {
            yield_now().await;
            server.write_all(b"te").await.unwrap();
        };
        zip(async { socket.next(&mut inbox).await.unwrap() }, rest).await;
        assert_eq!(inbox.whole[2], b"cutte");
    });
}

#[test]
fn a_message_of_any_size_costs_one_window_and_delays_nobody() {
    const SIZE: usize = 20_000_000;
    struct Count(usize, usize);
    impl Payload for Count {
        fn begin(&mut self, _binary: bool) {}
        fn chunk(&mut self, bytes: &[u8]) {
            self.0 += bytes.len();
            self.1 = self.1.max(bytes.len());
        }
        fn end(&mut self) {}
    }
    executor::run(|spawner| async move {
        let (mut socket, mut server) = connected(&net(&spawner)).await;
        let turns = Rc::new(RefCell::new(0));
        let seen = turns.clone();
        let _other = spawner.spawn(Tier::Wire, "other", async move {
            loop {
                *turns.borrow_mut() += 1;
                yield_now().await;
            }
        });
        let sender = async {
            let header = [&[0x82, 127][..], &(SIZE as u64).to_be_bytes()].concat();
            server.write_all(&header).await.unwrap();
            for _ in 0..SIZE / 10_000 {
                server.write_all(&[0; 10_000]).await.unwrap();
            }
        };
        let mut count = Count(0, 0);
        zip(async { socket.next(&mut count).await.unwrap() }, sender).await;
        assert_eq!((count.0, count.1), (SIZE, READ_CHUNK_BYTES));
        assert_eq!(socket.window.bytes.len(), READ_WINDOW_BYTES);
        assert!(*seen.borrow() > 10, "{} turns", seen.borrow());
    });
}

#[test]
fn a_server_that_does_not_read_fills_a_bounded_buffer() {
    executor::run(|spawner| async move {
        let (mut socket, mut server) = connected(&net(&spawner)).await;
        let payload = vec![b'x'; GATEWAY_SEND_BYTES_MAX];
        let mut queued = 0;
        while socket.send_text(&payload).is_ok() {
            queued += 1;
        }
        assert_eq!(queued, SEND_BUFFER_BYTES / GATEWAY_SEND_BYTES_MAX - 1);
        // A flood of pings takes no more than the room set aside for pongs.
        for _ in 0..1000 {
            server.write_all(b"\x89\x04ping").await.unwrap();
        }
        let mut inbox = Inbox::default();
        assert!(poll_once(socket.next(&mut inbox)).await.is_none());
        assert!(socket.outbox.bytes.len() <= PONG_BOUND_BYTES);
        // Whatever was accepted arrives, in order.
        let mut heard = vec![0; queued * (GATEWAY_SEND_BYTES_MAX + frame::HEADER_SENT_BYTES)];
        let read = async { server.read_exact(&mut heard).await.unwrap() };
        let drive = async { panic!("{:?}", socket.next(&mut inbox).await) };
        or(read, drive).await;
        assert_eq!(heard[..2], [0x81, 0xfe]);
    });
}

#[test]
fn closing_says_so_and_waits_for_the_other_side() {
    executor::run(|spawner| async move {
        let (mut socket, mut server) = connected(&net(&spawner)).await;
        socket.send_text(b"last").unwrap();
        let server = async move {
            let mut heard = Vec::new();
            server.read_to_end(&mut heard).await.unwrap();
            heard
        };
        let heard = zip(socket.close(4000, LONG), server).await.1;
        assert_eq!((heard[0], heard[10]), (0x81, 0x88), "what was queued, then the close frame");
        let (mask, code) = (&heard[12..16], &heard[16..]);
        let code: Vec<u8> = code.iter().zip(mask).map(|(a, b)| a ^ b).collect();
        assert_eq!(code, 4000_u16.to_be_bytes());
    });
}

#[test]
fn a_server_that_does_not_close_is_reset() {
    executor::run(|spawner| async move {
        let (socket, mut server) = connected(&net(&spawner)).await;
        socket.close(4000, SOON).await;
        let mut heard = Vec::new();
        server.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard.len(), 8, "the close frame and our FIN");
        // Only after a reset does the very first write fail.
        let reset = server.write_all(b"x").await.unwrap_err();
        assert_eq!(reset.kind(), std::io::ErrorKind::BrokenPipe);

        let (socket, mut server) = connected(&net(&spawner)).await;
        socket.close(4000, Duration::ZERO).await;
        let mut heard = Vec::new();
        server.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard.len(), 8, "without patience: the frame and nothing else");

        let (socket, mut server) = connected(&net(&spawner)).await;
        socket.abort();
        let reset = server.read_to_end(&mut heard).await.unwrap_err();
        assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
    });
}
