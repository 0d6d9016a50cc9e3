//! A server of the test's own: a function from requests to answers, and all requests that came.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// All of the head and the body, as text.
    pub(crate) raw: String,
    pub(crate) body: Value,
}

impl Request {
    /// The last thing said to the model, in any of the protocols.
    pub(crate) fn said(&self) -> &str {
        let last = |list: &str| self.body[list].as_array().and_then(|list| list.last()).cloned().unwrap_or_default();
        let openai = last("messages")["content"].as_str().map(str::to_owned);
        let gemini = last("contents")["parts"][0]["text"].as_str().map(str::to_owned);
        let text = openai.or(gemini).unwrap_or_default();
        self.raw.find(text.split('\n').next().unwrap_or_default()).map_or("", |at| &self.raw[at..])
    }
}

/// An answer to send.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self { status, headers: "content-type: application/json\r\n".to_owned(), body: body.to_string().into_bytes() }
    }

    pub(crate) fn raw(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: String::new(), body: body.into() }
    }

    /// A chat completion with this text.
    pub(crate) fn says(text: &str) -> Self {
        Self::chat(text, "stop", "m")
    }

    pub(crate) fn chat(text: &str, finish: &str, model: &str) -> Self {
        Self::json(
            200,
            &json!({
                "id": "call-1", "model": model,
                "choices": [{ "message": { "role": "assistant", "content": text }, "finish_reason": finish }],
                "usage": { "prompt_tokens": 10, "completion_tokens": 5 },
            }),
        )
    }
}

/// A server that runs until the test ends.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn new(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                // A client that goes away ends the connection, and nothing else.
                std::thread::spawn(move || serve(stream, &seen, &*answer).ok());
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

fn serve(
    stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request, usize) -> Answer + Send + Sync),
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut head = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            head += &line;
        }
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
        let request = Request {
            path: head.split(' ').nth(1).unwrap_or_default().to_owned(),
            raw: format!("{head}\n{}", String::from_utf8_lossy(&body)),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        };
        let index = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        let Answer { status, headers, body } = answer(&request, index);
        write!(stream, "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", body.len())?;
        stream.write_all(&body)?;
    }
}
