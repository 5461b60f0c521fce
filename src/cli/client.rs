//! Asks the running gateway on this host: one request over loopback, its answer read as it comes,
//! so that a log can be followed. (`rt::net::http` is made for many hosts and whole answers.)

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use smol::Timer;
use smol::future::{self, or};
use smol::net::TcpStream;
use smol_hyper::rt::FuturesIo;

use crate::base::{Secret, limits};
use crate::ops::config::{self, Dirs, Env};
use crate::ops::exit::{Exit, Failure};

/// Where the package keeps the state of the system's gateway.
const SYSTEM_STATE: &str = "/var/lib/barnacle";

/// The gateway, as far as a caller must know it.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    token: Option<Secret>,
    /// Why there is no token, for the one who needs it.
    token_fault: String,
    timeout: Duration,
}

impl Client {
    /// Finds the gateway by what it goes by itself: configuration, environment, state directory.
    pub(crate) fn new(
        env: &Env,
        file: Option<&Path>,
        port: Option<u16>,
        timeout: Duration,
    ) -> Client {
        let dirs = Dirs::of(env);
        let last_good = || config::load_last_good(&dirs.as_ref()?.state, env);
        let gateway = config::load(env, file).ok().or_else(last_good).map(|l| l.config.gateway);
        let configured = gateway.as_ref().map_or(limits::CONTROL_PORT, |gateway| gateway.port);
        let (token, token_fault) = match gateway.and_then(|gateway| gateway.token) {
            Some(token) => (Some(token), String::new()),
            None => generated_token(dirs),
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(configured)));
        Client { address, token, token_fault, timeout }
    }

    /// The whole answer to `GET path`.
    ///
    /// # Errors
    /// There is no answer in time, or it is not 200.
    pub(crate) fn get(&self, path: &str) -> Result<String, Failure> {
        let mut whole = Vec::new();
        let collect = |chunk: &[u8]| {
            whole.extend_from_slice(chunk);
            self.bound(&whole)
        };
        smol::block_on(or(self.exchange(path, collect), self.late()))?;
        Ok(String::from_utf8_lossy(&whole).into_owned())
    }

    /// Hands each line of the answer to `GET path` to `take` as it comes, until the answer ends.
    /// Only its beginning has a deadline.
    ///
    /// # Errors
    /// There is no answer, it is not 200, or `take` has failed.
    pub(crate) fn lines(
        &self,
        path: &str,
        mut take: impl FnMut(&str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut line = Vec::new();
        let cut = |chunk: &[u8]| {
            for piece in chunk.split_inclusive(|&byte| byte == b'\n') {
                line.extend_from_slice(piece);
                self.bound(&line)?;
                if line.ends_with(b"\n") {
                    take(String::from_utf8_lossy(&line).trim_end())?;
                    line.clear();
                }
            }
            Ok(())
        };
        smol::block_on(self.exchange(path, cut))
    }

    async fn exchange(
        &self,
        path: &str,
        take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let connect = async { TcpStream::connect(self.address).await.map_err(|e| self.absent(&e)) };
        let stream = or(connect, self.late()).await?;
        let (sender, connection) =
            http1::handshake(FuturesIo::new(stream)).await.map_err(|e| self.broken(&e))?;
        // The connection does the reading and writing; how it ends is told to whoever waits.
        let drive = async {
            let _ = connection.await;
            future::pending().await
        };
        or(self.talk(sender, path, take), drive).await
    }

    async fn talk(
        &self,
        mut sender: http1::SendRequest<Empty<Bytes>>,
        path: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut request = Request::get(path).header("host", self.address.to_string());
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {}", token.expose()));
        }
        let request = request.body(Empty::new()).map_err(|e| self.broken(&e))?;
        let head = async { sender.send_request(request).await.map_err(|e| self.broken(&e)) };
        let response = or(head, self.late()).await?;
        self.judge(response.status())?;
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            if let Some(chunk) = frame.map_err(|e| self.broken(&e))?.data_ref() {
                take(chunk)?;
            }
        }
        Ok(())
    }

    fn judge(&self, status: StatusCode) -> Result<(), Failure> {
        match (status, &self.token) {
            (StatusCode::OK, _) => Ok(()),
            (StatusCode::UNAUTHORIZED, None) => {
                let text = format!("the gateway on {} asks for its token", self.address);
                Err(Failure::new(Exit::Unavailable, text, &self.token_fault))
            }
            (StatusCode::UNAUTHORIZED, Some(_)) => {
                let text = format!("the gateway on {} has another token", self.address);
                let cure = "was it started with another state directory or configuration?";
                Err(Failure::new(Exit::Unavailable, text, cure))
            }
            _ => {
                let text = format!("{} answered HTTP {}", self.address, status.as_u16());
                let cure = "is it a barnacle gateway, and as new as this command?";
                Err(Failure::new(Exit::Unavailable, text, cure))
            }
        }
    }

    fn bound(&self, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.len() <= limits::HTTP_BODY_BYTES_MAX {
            return Ok(());
        }
        Err(Failure::new(Exit::Unavailable, format!("{} answers without end", self.address), ""))
    }

    async fn late<T>(&self) -> Result<T, Failure> {
        Timer::after(self.timeout).await;
        let text = format!("{} did not answer within {:?}", self.address, self.timeout);
        Err(Failure::new(Exit::Unavailable, text, "see the gateway's log, or raise --timeout"))
    }

    fn absent(&self, error: &io::Error) -> Failure {
        let text = match error.kind() {
            io::ErrorKind::ConnectionRefused => format!("no gateway runs on {}", self.address),
            _ => format!("{} cannot be reached: {error}", self.address),
        };
        let cure = "start one with `barnacle gateway`, or name its port with --port";
        Failure::new(Exit::Unavailable, text, cure)
    }

    fn broken(&self, error: &dyn std::error::Error) -> Failure {
        let text = format!("{} broke the connection: {error}", self.address);
        Failure::new(Exit::Unavailable, text, "is the gateway stopping? try again")
    }
}

/// The token that the gateway made at its first start: in our own state directory, or in that of
/// the system's service; and why there is none.
fn generated_token(dirs: Option<Dirs>) -> (Option<Secret>, String) {
    let system = Dirs { state: PathBuf::from(SYSTEM_STATE), hot: None };
    let mut fault = String::from("no state directory is known: set HOME or BARNACLE_STATE_DIR");
    for file in dirs.into_iter().chain([system]).map(|dirs| dirs.gateway_token()) {
        match std::fs::read_to_string(&file) {
            Ok(token) => return (Some(Secret::new(&token)), String::new()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => fault = format!("{} cannot be read: {error}", file.display()),
        }
    }
    (None, fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    /// Answers one request with `answer`; gives back what was asked.
    fn serve(answer: &'static str) -> (u16, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a caller");
            let mut asked = Vec::new();
            let mut byte = [0];
            while !asked.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                asked.extend(byte);
            }
            stream.write_all(answer.as_bytes()).expect("written");
            String::from_utf8_lossy(&asked).into_owned()
        });
        (port, thread)
    }

    fn client(port: u16, timeout_ms: u64) -> Client {
        let env = Env::of(&[
            ("BARNACLE_STATE_DIR", "/nonexistent"),
            ("OPENCLAW_GATEWAY_TOKEN", "s3cret"),
        ]);
        Client::new(&env, None, Some(port), Duration::from_millis(timeout_ms))
    }

    #[test]
    fn an_answer_is_asked_for_with_the_token() {
        let (port, asked) = serve("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{ }\n");
        assert_eq!(client(port, 10_000).get("/api/status"), Ok("{ }\n".into()));
        let asked = asked.join().expect("answered");
        assert!(asked.starts_with("GET /api/status HTTP/1.1"), "{asked}");
        assert!(asked.contains("Bearer s3cret"), "{asked}");
    }

    #[test]
    fn lines_are_whole_however_the_answer_is_cut() {
        let (port, _asked) = serve(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\none\r\n6\r\n\ntwo\nt\r\n5\r\nhree\n\r\n0\r\n\r\n",
        );
        let mut seen = Vec::new();
        let take = |line: &str| {
            seen.push(line.to_owned());
            Ok(())
        };
        client(port, 10_000).lines("/api/logs", take).expect("all read");
        assert_eq!(seen, ["one", "two", "three"]);
    }

    #[test]
    fn every_way_to_get_no_answer_has_its_cure() {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("bound").port();
        let late = client(port, 30).get("/").expect_err("nobody accepts");
        assert!(late.text.contains("within 30ms"), "{late}");
        drop(free);
        let refused = client(port, 10_000).get("/").expect_err("nobody listens");
        assert_eq!(refused.exit, Exit::Unavailable);
        assert!(refused.to_string().contains("barnacle gateway"), "{refused}");
        let (port, _asked) = serve("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
        let wrong = client(port, 10_000).get("/").expect_err("another token");
        assert!(wrong.text.contains("another token"), "{wrong}");
        let (port, _asked) = serve("SSH-2.0-OpenSSH\r\n\r\n");
        assert!(client(port, 10_000).get("/").is_err());
    }
}
