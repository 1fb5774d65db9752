//! A server of its own process, with its standard error in a file and a plain way to ask it. It holds no expectations of its own.

use crate::command_line::program;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::NamedTempFile;

/// A running server; killed when dropped.
pub(crate) struct Process {
    child: Child,
    agent: ureq::Agent,
    stderr: NamedTempFile,
    pub(crate) url: String,
    pub(crate) key: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) headers: ureq::http::HeaderMap,
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e} in {}", self.text))
    }
}

impl Process {
    /// Starts a server over a data folder, with the folder's first key.
    pub(crate) fn start(data: &Path, words: &[&str], env: &[(&str, &str)]) -> Self {
        let stderr = NamedTempFile::new().expect("a file");
        let words = [
            &["serve", "--listen", "127.0.0.1:0", "--format", "json"],
            words,
        ]
        .concat();
        let mut child = program(data, &words)
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(stderr.reopen().expect("the file"))
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output"))
            .read_line(&mut line)
            .expect("a line");
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|e| {
            let err = std::fs::read_to_string(stderr.path()).unwrap_or_default();
            panic!("{e} in {line}{err}")
        });
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        Self {
            child,
            agent,
            stderr,
            url: said["listening"].as_str().expect("an address").to_owned(),
            // Told once, and kept in the folder.
            key: match said["api_key"].as_str() {
                Some(key) => key.to_owned(),
                None => std::fs::read_to_string(data.join("api-key"))
                    .unwrap_or_default()
                    .trim()
                    .to_owned(),
            },
        }
    }

    /// A request with these headers, and the key unless another stands among them.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Said {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", format!("Bearer {}", self.key));
        }
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // A body beside GET is refused by the client.
        let answer = if body.is_empty() {
            self.agent.run(request.body(()).expect("a request"))
        } else {
            self.agent.run(request.body(body).expect("a request"))
        };
        let (parts, mut body) = answer.expect("an answer").into_parts();
        Said {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: body.read_to_string().expect("text"),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Said {
        self.ask("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Said {
        self.ask("POST", path, &[], body.to_string().as_bytes())
    }

    /// Ends the server as an operator does; answers all it wrote to standard error.
    pub(crate) fn end(mut self) -> String {
        let killed = Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .expect("kill runs");
        assert!(killed.success());
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0));
        std::fs::read_to_string(self.stderr.path()).expect("what it wrote")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
