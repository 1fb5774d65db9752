//! `luopan serve`: the HTTP API over a data folder, until the process is told to stop.

use super::output::{Said, line};
use super::{Common, Format};
use crate::data::{Opened, Opening};
use crate::http::starting::Later;
use crate::http::{App, Backups, listen, router};
use crate::limits::{HEAD_TIME_MAX, STOP_TIME_MAX};
use crate::metrics::Metrics;
use crate::problem::{Problem, Result};
use crate::{env, keys, watched};
use clap::Args;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How often a node of several reads the API keys again.
const KEYS_READ: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address to listen on
    #[arg(
        long,
        env = "LUOPAN_LISTEN",
        default_value = "127.0.0.1:7700",
        value_name = "ADDRESS:PORT"
    )]
    listen: SocketAddr,
    /// Ask for an API key at /metrics too
    #[arg(long)]
    metrics_key: bool,
    /// Folder for backups that are asked for at POST /v1/backups; none are taken without it
    #[arg(long, env = "LUOPAN_BACKUPS", value_name = "DIR")]
    backups: Option<PathBuf>,
    /// How much of the log is kept, at least one day (`90d`): what is older is let go once a day; all is kept without it
    #[arg(long, env = "LUOPAN_KEEP_LOG", value_name = "TIME", value_parser = crate::retention::keep)]
    keep_log: Option<i64>,
}

pub(super) async fn run(common: &Common, serve: Serve) -> Result<Said> {
    let stop = stop_signal()?;
    let listener = TcpListener::bind(serve.listen).await.map_err(|e| {
        Problem::new(
            "command_line",
            format!(
                "listening on {} failed: {e}; name another address with --listen",
                serve.listen
            ),
        )
    })?;
    let address = listener
        .local_addr()
        .map_err(|e| Problem::internal(format!("asking for the address failed: {e}")))?;
    // Whoever asks meanwhile is told that it is starting.
    let later = Later::default();
    let (told, mut heard) = watch::channel(false);
    let graceful = async move {
        stop.await;
        let _ = told.send(true);
    };
    let served = listen::serve(listener, later.router(), HEAD_TIME_MAX, graceful);
    let mut served = tokio::spawn(served);
    let opened = tokio::select! {
        opened = work(common, &serve, &later, address) => opened,
        // Told to stop while it was starting: nothing was announced, and nothing acknowledged is lost.
        _ = heard.wait_for(|told| *told) => return Ok(Said::nothing()),
    };
    let (opened, app) = match opened {
        Ok(opened) => opened,
        Err(problem) => {
            served.abort();
            return Err(problem);
        }
    };
    let reading = common.config.is_some().then(|| {
        let app = app.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(KEYS_READ).await;
                if let Err(e) = app.read_keys().await {
                    tracing::warn!(target: "luopan", error = %e, "the API keys could not be read again");
                }
            }
        })
    });
    let keeping = serve.keep_log.map(|keep_us| {
        let (engine, env) = (opened.engine.clone(), opened.env.clone());
        let metrics = app.metrics.clone();
        tokio::spawn(crate::retention::daily(engine, env, metrics, keep_us))
    });
    let watching = {
        let (engine, env) = (opened.engine.clone(), opened.env.clone());
        let (metrics, looks) = (app.metrics.clone(), app.looks.clone());
        let begun = crate::drift::Watching::begin(engine, env, metrics, looks);
        begun.inspect_err(|e| {
            tracing::warn!(target: "luopan", error = %e, "there is no thread for monitors: they do not look");
        })
    };
    let late = async {
        let _ = heard.wait_for(|told| *told).await;
        tokio::time::sleep(STOP_TIME_MAX).await;
    };
    tokio::select! {
        _ = &mut served => {}
        () = late => {
            tracing::warn!(target: "luopan", "connections still open were cut after {} seconds", STOP_TIME_MAX.as_secs());
            served.abort();
        }
    };
    drop((app, later));
    if let Ok(watching) = watching {
        watching.end().await;
    }
    for task in [reading, keeping].into_iter().flatten() {
        task.abort();
        // Its stores are let go before they are closed.
        let _ = task.await;
    }
    opened.close().await;
    tracing::info!(target: "luopan", "stopped");
    Ok(Said::nothing())
}

/// Opens the stores, starts the engine and lets requests in.
async fn work(
    common: &Common,
    serve: &Serve,
    later: &Later,
    address: SocketAddr,
) -> Result<(Opened, Arc<App>)> {
    let folder = common.config.is_none().then(|| common.data.clone());
    let metrics = Arc::new(Metrics::new(folder).map_err(Problem::internal)?);
    let seen = |stores| watched::stores(stores, &metrics);
    let opened = common.open_as(Opening::Create, seen).await?;
    let control = opened.stores.control.as_ref();
    // Several nodes that start at once must not each make a first key.
    let first = match common.config {
        None => keys::ensure_first(control, &common.data, env::now()).await?,
        Some(_) if control.api_keys().await?.is_empty() => {
            return Err(Problem::new(
                "command_line",
                "there is no API key yet, and of several nodes none makes the first; make one with `luopan key create NAME` and the same --config",
            ));
        }
        Some(_) => None,
    };
    if first.is_none()
        && common.config.is_none()
        && let Some(fault) = keys::file_fault(control, &common.data).await?
    {
        tracing::warn!(target: "luopan", "{fault}");
    }
    opened.engine.start().await?;
    let (engine, stores) = (opened.engine.clone(), opened.stores.clone());
    let app = App::with(engine, stores, metrics, serve.metrics_key).await?;
    if let Some(folder) = serve.backups.clone() {
        let source = opened.source();
        app.allow_backups(Backups { folder, source });
    }
    later.set(router(app.clone()));
    announce(common, address, first)?;
    // The stores of a node of several are named in its configuration, not by a folder.
    let data = common.config.as_ref().unwrap_or(&common.data);
    tracing::info!(target: "luopan", %address, data = %data.display(), "serving");
    Ok((opened, app))
}

fn announce(common: &Common, address: SocketAddr, first: Option<String>) -> Result<()> {
    let url = format!("http://{address}");
    if common.format == Format::Json {
        return line(&json!({ "listening": url, "api_key": first }).to_string());
    }
    if let Some(secret) = first {
        let file = keys::file(&common.data);
        line(&format!(
            "api key, shown this once and kept in {}: {secret}",
            file.display()
        ))?;
    }
    line(&format!("listening on {url}"))
}

/// Ends when the process is told to stop (interrupt, or terminate on Unix).
fn stop_signal() -> Result<impl Future<Output = ()> + Send> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind)
                .map_err(|e| Problem::internal(format!("listening for signals failed: {e}")))
        };
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        Ok(async {
            let _ = tokio::signal::ctrl_c().await;
        })
    }
}
