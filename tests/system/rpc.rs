//! The smallest client of the control protocol: one question on a connection of its own.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE};

impl Gateway {
    /// What the gateway answers to `method`; one that is just being restarted may hang up.
    pub(crate) fn rpc(&self, method: &str, params: &Value) -> Result<Value, String> {
        let hung_up = |error: io::Error| format!("no answer: {error}");
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).map_err(hung_up)?;
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let upgrade = format!(
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.port
        );
        socket.write_all(upgrade.as_bytes()).map_err(hung_up)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).map_err(hung_up)?;
            head.extend(byte);
        }
        let head = String::from_utf8_lossy(&head);
        if !head.starts_with("HTTP/1.1 101") {
            return Err(head.into_owned());
        }
        let connect = json!({
            "minProtocol": 4, "maxProtocol": 4, "role": "operator",
            "client": {"id": "cli", "version": "0", "platform": "linux", "mode": "cli"},
            "scopes": ["operator.admin"], "auth": {"token": self.token().trim()},
        });
        ask(&mut socket, "connect", &connect).map_err(hung_up)??;
        ask(&mut socket, method, params).map_err(hung_up)?
    }

    /// The same of a question that must be answered.
    pub(crate) fn told(&self, method: &str, params: &Value) -> Value {
        let answer = self.rpc(method, params);
        answer.unwrap_or_else(|error| panic!("{method} {params}: {error}"))
    }
}

/// Sends a request, and reads until its answer comes.
fn ask(socket: &mut TcpStream, method: &str, params: &Value) -> io::Result<Result<Value, String>> {
    let request = json!({"type": "req", "id": method, "method": method, "params": params});
    let text = request.to_string().into_bytes();
    // A text frame of a client: masked, if only by zeros (RFC 6455 5.3).
    let mut frame = vec![0x81, 0xfe];
    frame.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(text);
    socket.write_all(&frame)?;
    loop {
        let frame: Value = serde_json::from_slice(&next(socket)?).unwrap_or(Value::Null);
        if frame["type"] == "res" && frame["id"] == method {
            return Ok(match frame["ok"].as_bool() {
                Some(true) => Ok(frame["payload"].clone()),
                _ => Err(frame["error"]["message"].to_string()),
            });
        }
    }
}

/// The next frame's payload.
fn next(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = [0; 2];
    socket.read_exact(&mut head)?;
    let length = match head[1] & 0x7f {
        126 => {
            let mut length = [0; 2];
            socket.read_exact(&mut length)?;
            u16::from_be_bytes(length).into()
        }
        127 => {
            let mut length = [0; 8];
            socket.read_exact(&mut length)?;
            u64::from_be_bytes(length)
        }
        short => short.into(),
    };
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    socket.read_exact(&mut payload)?;
    Ok(payload)
}
