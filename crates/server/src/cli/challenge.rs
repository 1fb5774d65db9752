//! `luopan model challenge`: a version of a model beside the one in force, on the decisions that were logged.

use super::learn::evaluate::words;
use super::output::Said;
use crate::challenged::{self, Question};
use crate::data::Opened;
use crate::problem::Result;
use clap::Args;
use luopan_kernel::time::Micros;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Challenge {
    /// Model
    pub(super) name: String,
    /// Version that challenges the one in force
    #[arg(long, value_name = "N")]
    version: u32,
    /// Scene
    #[arg(long)]
    scene: String,
    /// Policy that uses the model: its logged decisions are decided again
    #[arg(long)]
    policy: String,
    /// Reward that is compared; a policy with one has no need to name it
    #[arg(long, default_value = "", hide_default_value = true)]
    reward: String,
    /// Decisions made at this time and later, RFC 3339 with a zone
    #[arg(long, value_parser = crate::time::parse, value_name = "TIME")]
    from: Option<Micros>,
    /// Decisions made before this time, RFC 3339 with a zone
    #[arg(long, value_parser = crate::time::parse, value_name = "TIME")]
    until: Option<Micros>,
    /// How far the lower bound of version minus logged may lie below zero
    #[arg(long, default_value_t = 0.0, value_name = "REWARD")]
    margin: f64,
    /// Level of the interval
    #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
    level: f64,
    /// Put the version in force where it is proved
    #[arg(long)]
    promote: bool,
    /// Keep the training set with the version in shadow here, a Parquet file
    #[arg(long, value_name = "FILE")]
    logs: Option<PathBuf>,
}

pub(super) async fn run(opened: &Opened, asked: &Challenge) -> Result<Said> {
    super::learn::in_order(asked.from, asked.until)?;
    opened.settle().await?;
    let question = Question {
        model: asked.name.clone(),
        version: asked.version,
        scene: asked.scene.clone(),
        policy: asked.policy.clone(),
        reward: asked.reward.clone(),
        from: asked.from,
        until: asked.until,
        margin: asked.margin,
        level: asked.level,
        promote: asked.promote,
        logs: asked.logs.clone(),
        by: "cli".to_owned(),
    };
    let found = challenged::look(&opened.engine, &question).await?;
    let mut text = words(&found.evaluation);
    if found.unshadowed > 0 {
        text.push_str(&format!(
            "{} decisions were left out: they recorded too little, or were made before version {} was registered, which may have learned from them\n",
            found.unshadowed, asked.version
        ));
    }
    if found.is_thinned {
        text.push_str(
            "some decisions were given a somewhat earlier state of a model that learns online\n",
        );
    }
    let (name, version) = (&asked.name, asked.version);
    match (&found.promotion, found.proved) {
        (Some(done), _) => text.push_str(&format!(
            "version {version} of model {name} is in force{}\n",
            if done.new {
                ""
            } else {
                " already; nothing was changed"
            }
        )),
        (None, true) => text.push_str(&format!(
            "put it in force with `luopan model promote {name} --version {version}`\n"
        )),
        (None, false) => text.push_str("what was in force stays so\n"),
    }
    Ok(Said::new(&found, text)?.unless(found.proved))
}
