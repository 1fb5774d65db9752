//! `luopan segment list|count`.

use super::Common;
use super::output::{Said, table};
use crate::answer;
use crate::data::{Opened, Opening};
use crate::problem::Result;
use crate::question::compiled;
use clap::Subcommand;
use luopan_engine::api::RuleCount;

#[derive(Debug, Subcommand)]
pub(super) enum Segment {
    /// List the segments of a scene with their sizes
    List {
        /// Scene
        #[arg(long)]
        scene: String,
    },
    /// Count the customers for whom a rule is true
    Count {
        /// Scene
        #[arg(long)]
        scene: String,
        /// Rule in CEL over the scene's tags
        #[arg(long, value_name = "CEL")]
        rule: String,
    },
}

pub(super) async fn run(common: &Common, segment: Segment) -> Result<Said> {
    let opened = common.open(Opening::Existing).await?;
    opened.settle().await?;
    let said = match segment {
        Segment::List { scene } => match opened.engine.segments(&scene).await {
            Err(refusal) => Err(refusal.into()),
            Ok(found) => {
                let segments: Vec<answer::Segment> = found.into_iter().map(Into::into).collect();
                let rows: Vec<Vec<String>> = segments
                    .iter()
                    .map(|s| vec![s.name.clone(), s.members.to_string(), s.rule.clone()])
                    .collect();
                let text = table(&["segment", "members", "rule"], &rows);
                Said::new(&answer::Segments { scene, segments }, text)
            }
        },
        Segment::Count { scene, rule } => match count(&opened, &scene, &rule).await {
            Err(problem) => Err(problem),
            Ok(count) => {
                let text = format!(
                    "{} of {} customers; for {} it is unknown",
                    count.matched, count.customers, count.unknown
                );
                Said::new(&answer::RuleCounted::from(count), text)
            }
        },
    };
    opened.close().await;
    said
}

async fn count(opened: &Opened, scene: &str, rule: &str) -> Result<RuleCount> {
    let plan = opened.engine.plan(scene)?;
    let rule = compiled(&plan, rule)?;
    Ok(opened.engine.count_rule(scene, &rule).await?)
}
