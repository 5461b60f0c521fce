//! Fetches the files of messages, from where their service keeps them and from nowhere else: an
//! address in a message is chosen by whoever wrote it, or by whoever plays the service.

use crate::base::Instant;
use crate::base::limits::MEDIA_DEADLINE;
use crate::core::chat::Attachment;
use crate::core::media::Lapse;
use crate::rt::clock;
use crate::rt::executor::Tier;
use crate::rt::net::Net;
use crate::rt::net::http::{Client, Method, Request, StatusCode};

use super::super::ask;

/// Where Discord keeps its files (its documentation, "CDN Formatting" and "Signed Attachment CDN
/// URLs").
const HOSTS: [&str; 2] = ["https://cdn.discordapp.com/", "https://media.discordapp.net/"];

/// The way to the files of one account's messages.
#[derive(Debug)]
pub struct Fetch {
    client: Client,
    /// Of another server that speaks Discord's REST: its scheme, host and port, and a slash.
    origin: Option<String>,
}

impl Fetch {
    /// By way of `net`. Where the account's API is another than Discord's own, its files lie
    /// there, too.
    #[must_use]
    pub fn new(net: &Net, api: Option<&str>) -> Fetch {
        let origin = api.map(|api| {
            let parts: Vec<&str> = api.splitn(4, '/').take(3).collect();
            format!("{}/", parts.join("/"))
        });
        Fetch { client: Client::new(net, Tier::Work), origin }
    }

    /// Whether files lie at `url`.
    fn knows(&self, url: &str) -> bool {
        let begins = |origin: &str| url.get(..origin.len()) == Some(origin);
        match &self.origin {
            Some(origin) => begins(origin) || HOSTS.into_iter().any(begins),
            None => HOSTS.into_iter().any(begins),
        }
    }

    /// What is in `attachment`, by `by`: as many bytes as it claims to have at most, and those are
    /// `bytes_max` at most.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn get(
        &self,
        attachment: &Attachment,
        bytes_max: u64,
        by: Instant,
    ) -> Result<Vec<u8>, Lapse> {
        if !self.knows(&attachment.url) {
            return Err(Lapse::Elsewhere);
        }
        if attachment.bytes > bytes_max {
            return Err(Lapse::TooLarge);
        }
        let claimed = usize::try_from(attachment.bytes).map_err(|_| Lapse::TooLarge)?;
        let get = Request::new(Method::GET, &*attachment.url).body_bytes_max(claimed);
        let by = by.min(clock::now() + MEDIA_DEADLINE);
        let answer =
            clock::timeout(by, Box::pin(self.client.send(get))).await.ok_or(Lapse::Slow)?;
        let answer = answer.map_err(|error| {
            log::debug!(target: "agent", "a file could not be fetched: {error}");
            ask::lapse(error)
        })?;
        match answer.status {
            StatusCode::OK if answer.body.is_empty() => Err(Lapse::Empty),
            StatusCode::OK => Ok(answer.body),
            // A signature that has run out is told by 403 or 404.
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(Lapse::Gone),
            status => Err(Lapse::Refused(status.as_u16())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::executor;
    use crate::rt::net::NetOptions;
    use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use std::time::Duration;

    fn file(url: &str, bytes: u64) -> Attachment {
        Attachment { url: url.into(), bytes, ..Attachment::default() }
    }

    #[test]
    fn files_are_fetched_from_the_services_own_hosts_alone() {
        executor::run(|spawner| async move {
            let net = Net::new(&spawner, &NetOptions::default()).unwrap();
            let discord = Fetch::new(&net, None);
            assert!(discord.knows("https://cdn.discordapp.com/attachments/1/2/a.png?ex=1"));
            assert!(discord.knows("https://media.discordapp.net/attachments/1/2/a.png"));
            for odd in [
                "",
                "http://cdn.discordapp.com/a.png",
                "https://cdn.discordapp.com.evil.example/a.png",
                "https://cdn.discordapp.com@evil.example/a.png",
                "https://cdn.discordapp.com:8443/a.png",
                "https://evil.example/cdn.discordapp.com/a.png",
                "http://169.254.169.254/latest",
                "file:///etc/passwd",
            ] {
                assert!(!discord.knows(odd), "{odd}");
            }
            let sandbox = Fetch::new(&net, Some("http://127.0.0.1:4321/api"));
            assert!(sandbox.knows("http://127.0.0.1:4321/attachments/1/2/a.png"));
            assert!(!sandbox.knows("http://127.0.0.1:43210/attachments/1/2/a.png"));
            assert!(!sandbox.knows("http://127.0.0.1:1/"));
        });
    }

    /// What comes of a file of `claimed` bytes where the server answers with `answer`.
    fn fetched(answer: &'static str, claimed: u64) -> Result<Vec<u8>, Lapse> {
        executor::run(move |spawner| async move {
            let listener = smol::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let _server = spawner.spawn(Tier::Wire, "cdn", async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                std::future::pending::<()>().await;
            });
            let net = Net::new(&spawner, &NetOptions::default()).unwrap();
            let fetch = Fetch::new(&net, Some(&url));
            let by =
                clock::now() + Duration::from_millis(if answer.is_empty() { 200 } else { 60_000 });
            fetch.get(&file(&format!("{url}/a"), claimed), 100, by).await
        })
    }

    #[test]
    fn what_is_not_as_it_claims_is_not_read_to_its_end() {
        let whole = fetched("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 3);
        assert_eq!(whole, Ok(b"abc".to_vec()));
        assert_eq!(fetched("never asked", 101), Err(Lapse::TooLarge));
        let longer = fetched("HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n", 3);
        assert_eq!(longer, Err(Lapse::TooLarge));
        let unsaid = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nabcdefgh\r\n";
        assert_eq!(fetched(unsaid, 3), Err(Lapse::TooLarge));
        let elsewhere = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\
            Content-Length: 0\r\n\r\n";
        assert_eq!(fetched(elsewhere, 3), Err(Lapse::Refused(302)));
        let gone = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(fetched(gone, 3), Err(Lapse::Gone));
        assert_eq!(fetched("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 3), Err(Lapse::Empty));
        assert_eq!(fetched("", 3), Err(Lapse::Slow));
        assert_eq!(fetched("what?\r\n\r\n", 3), Err(Lapse::Garbled));
    }
}
