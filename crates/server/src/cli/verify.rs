//! `luopan verify`: replays the log from nothing into fresh state and compares byte for byte; ledgers from decisions, models
//! from samples.

use super::Common;
use super::output::Said;
use crate::data::Opening;
use crate::problem::Result;

pub(super) async fn run(common: &Common) -> Result<Said> {
    let opened = common.open(Opening::Existing).await?;
    let report = opened.verify().await?;
    let agrees = report.differences_count == 0;
    let mut text = format!(
        "{} log entries replayed in {:.3} s, {} rows compared, ledgers rebuilt from {} decisions, models from {} samples: {}\n",
        report.entries,
        report.replay_seconds,
        report.rows,
        report.decisions,
        report.samples,
        if agrees {
            "everything agrees".to_owned()
        } else {
            format!("{} differences", report.differences_count)
        }
    );
    for difference in &report.differences {
        text.push_str(&format!("- {difference}\n"));
    }
    Ok(Said::new(&report, text)?.unless(agrees))
}
