//! `/v1/backups`: a backup of everything, taken by the running server into a folder of its own machine. The caller names it, the
//! operator says where it lies; nothing else can be written.

use super::App;
use super::body;
use crate::backup::{self, Manifest, Source};
use crate::problem::{Problem, Refused};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// Longest name of a backup.
const NAME_BYTES_MAX: usize = 128;

/// Where a server writes backups, and of what.
#[derive(Debug)]
pub struct Backups {
    /// The folder under which each gets one of its own.
    pub folder: PathBuf,
    /// What is backed up.
    pub source: Source,
}

/// A backup to take.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BackupRequest {
    /// Name of its folder: letters, digits, `-`, `_` and `.`, at most 128, not beginning with `.`.
    #[schema(example = "2026-11-22")]
    name: String,
}

/// A backup that was taken.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct BackupTaken {
    /// Its folder, on the server's machine.
    folder: String,
    /// What it says of itself.
    manifest: Manifest,
}

/// Takes a backup of everything that was acknowledged before the call, while the server goes on. Answers when it is whole.
#[utoipa::path(
    post,
    path = "/v1/backups",
    tag = "backups",
    request_body = BackupRequest,
    responses(
        (status = 200, body = BackupTaken),
        (status = "default", body = Problem, content_type = "application/problem+json", description = "Refused")
    )
)]
pub(super) async fn take(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    request: Body,
) -> Result<Json<BackupTaken>, Refused> {
    let held = body::read(&app, &headers, request).await?;
    let asked: BackupRequest = body::json(&headers, &held.bytes)?;
    drop(held);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_name = !asked.name.is_empty()
        && asked.name.len() <= NAME_BYTES_MAX
        && !asked.name.starts_with('.')
        && asked.name.chars().all(plain);
    if !is_name {
        let found = crate::incoming::cut(&asked.name, 200);
        return Err(Problem::new(
            "malformed_request",
            format!(
                "`name` is `{found}`; use 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_` and `.`, not beginning with `.`"
            ),
        )
        .into());
    }
    let Some(backups) = app.backups.get() else {
        return Err(Problem::new(
            "backups_off",
            "the server was started without a folder for backups; start it with `luopan serve --backups DIR`",
        )
        .into());
    };
    let Ok(alone) = Arc::clone(&app.backing_up).try_acquire_owned() else {
        return Err(Problem::new(
            "backup_running",
            "another backup is being taken; one is taken at a time, wait until it is answered",
        )
        .into());
    };
    let folder = backups.folder.join(&asked.name);
    let (source, to) = (backups.source.clone(), folder.clone());
    // A caller that hangs up leaves a whole backup behind and not a part of one.
    let taken = tokio::spawn(async move {
        let _alone = alone;
        backup::take(&source, &to).await
    });
    let manifest =
        (taken.await).map_err(|e| Problem::internal(format!("taking a backup stopped: {e}")))??;
    Ok(Json(BackupTaken {
        folder: folder.display().to_string(),
        manifest,
    }))
}
