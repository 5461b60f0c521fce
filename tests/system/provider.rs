//! A provider of language models that does as the test says: the plumbing of those in other files.

use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// One that is asked on a port of its own.
pub(crate) struct Provider {
    port: u16,
    /// What it was asked: the heads, in small letters, and the bodies.
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Provider {
    /// Plays `play` to each request: its head, its body, and where the answer goes.
    pub(crate) fn start(
        play: impl Fn(&str, &Value, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, play) = (asked.clone(), Arc::new(play));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, seen, play) = (stream.unwrap(), seen.clone(), play.clone());
                // Whoever breaks off is no fault of the provider's.
                std::thread::spawn(move || drop(serve(stream, &seen, &*play)));
            }
        });
        Provider { port, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// The heads of what it was asked.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(head, _)| head.clone()).collect()
    }

    /// The bodies.
    pub(crate) fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
    }
}

fn serve(
    stream: TcpStream,
    seen: &Mutex<Vec<(String, Value)>>,
    play: &dyn Fn(&str, &Value, &mut TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    while let Some((head, body)) = read_request(&mut reader)? {
        let body: Value = serde_json::from_slice(&body)?;
        seen.lock().unwrap().push((head.to_ascii_lowercase(), body.clone()));
        play(&head, &body, &mut out)?;
    }
    Ok(())
}

/// Reads one request: its head and its body.
pub(crate) fn read_request(reader: &mut impl BufRead) -> io::Result<Option<(String, Vec<u8>)>> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((head, body)))
}

/// Answers with one document.
pub(crate) fn tell(out: &mut TcpStream, document: &Value) -> io::Result<()> {
    let body = document.to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json";
    write!(out, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// What a model says and is done, as a document of the chat completions' dialect.
pub(crate) fn said(words: &str, prompt_tokens: usize, completion_tokens: usize) -> Value {
    json!({
        "choices": [{"message": {"role": "assistant", "content": words}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens},
    })
}
