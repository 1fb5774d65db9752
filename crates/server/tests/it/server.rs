//! A server over a temporary folder with the scene `shop`, asked without a socket. It holds no expectations of its own.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use luopan_server::data::{Opened, Opening, open};
use luopan_server::http::{App, router};
use luopan_server::{env, keys};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tower::ServiceExt;

/// The folder of the scene pack that tests run on.
pub(crate) fn shop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shop")
}

/// A running server.
pub(crate) struct Server {
    router: Router,
    app: std::sync::Arc<App>,
    pub(crate) key: String,
    pub(crate) opened: Opened,
    pub(crate) folder: TempDir,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e} in {}", self.text))
    }

    /// The body, when it is a success.
    pub(crate) fn ok(&self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.text);
        self.json()
    }

    /// Holds the answer to be a problem document with this status and code; answers its detail.
    pub(crate) fn refused(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let json = self.json();
        assert_eq!(json["code"], code, "{}", self.text);
        assert_eq!(json["status"], status, "{}", self.text);
        let link = json["type"].as_str().expect("a link");
        assert!(link.ends_with(&format!("/docs/errors/{code}.md")), "{link}");
        assert!(!json["title"].as_str().expect("a title").is_empty());
        json["detail"].as_str().expect("a detail").to_owned()
    }
}

impl Server {
    /// A server with the scene applied.
    pub(crate) async fn start() -> Self {
        let server = Self::empty().await;
        server.apply(&shop()).await;
        server
    }

    /// A server without a scene.
    pub(crate) async fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let opened = open(folder.path(), Opening::Create).await.expect("open");
        let control = opened.stores.control.as_ref();
        let key = keys::ensure_first(control, folder.path(), env::now())
            .await
            .expect("a key")
            .expect("the first key");
        opened.engine.start().await.expect("start");
        let app = App::new(opened.engine.clone(), opened.stores.clone(), true)
            .await
            .expect("an app");
        Self {
            router: router(app.clone()),
            app,
            key,
            opened,
            folder,
        }
    }

    /// The same server, which takes backups below a folder.
    pub(crate) fn with_backups(self, folder: &Path) -> Self {
        self.app.allow_backups(luopan_server::http::Backups {
            folder: folder.to_owned(),
            source: self.opened.source(),
        });
        self
    }

    /// Applies a pack.
    pub(crate) async fn apply(&self, pack: &Path) {
        let pack = luopan_scene::load_folder(pack).expect("a pack");
        let checked = luopan_scene::compile(pack.clone()).expect("a pack without fault");
        let files: Vec<_> = (pack.files.into_iter())
            .map(|(n, t)| (n, bytes::Bytes::from(t)))
            .collect();
        self.opened
            .engine
            .apply_scene(&checked.plan, &files, "test")
            .await
            .expect("apply");
    }

    /// A request as it is.
    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX)
            .await
            .expect("a body");
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// A request with the key and a body of this type.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        media: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", media)
            .body(body.into())
            .expect("a request");
        self.ask(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "application/json", Body::empty())
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, "application/json", body.to_string())
            .await
    }

    pub(crate) async fn lines(&self, path: &str, lines: impl Into<Body>) -> Answer {
        self.send("POST", path, "application/x-ndjson", lines).await
    }
}
