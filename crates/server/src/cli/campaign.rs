//! `luopan campaign replay`: a logged campaign through the running loop. What it does is in [`crate::campaign`]; here are the
//! arguments and the words.

use super::import::Bar;
use super::output::{Said, table};
use super::{Cli, Common};
use crate::campaign::{
    self, ArmsDocument, BLOCK_DEFAULT, BLOCK_MAX, Document, RankingDocument, Report, Settings,
};
use crate::problem::Result;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, Subcommand};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

#[derive(Debug, Subcommand)]
pub(super) enum Campaign {
    /// Replay a logged campaign through the running loop and score what it would have brought
    Replay(Replay),
}

/// Each block of rows is imported, folded, decided, answered by what the file says and learned before the next one is
/// decided. The data folder is a fresh temporary one unless --data names one.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// Scene: the name of one that is applied or shipped with the program, or the folder of a pack
    #[arg(long)]
    scene: String,
    /// File of the campaign: CSV, lines of JSON or Parquet, also gzipped
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Policy that decides [default: the mapping's]
    #[arg(long)]
    policy: Option<String>,
    /// Mapping into a campaign: a name within the scene, or a file [default: the scene's only one]
    #[arg(long, value_name = "NAME|FILE")]
    mapping: Option<String>,
    /// Rows that are decided before the next are learned from
    #[arg(long, value_name = "ROWS", default_value_t = BLOCK_DEFAULT as u64, value_parser = clap::value_parser!(u64).range(1..=BLOCK_MAX as u64))]
    block: u64,
}

pub(super) async fn run(common: &Common, campaign: Campaign) -> Result<Said> {
    let Campaign::Replay(args) = campaign;
    let passed = Arc::new(AtomicU64::new(0));
    let bar = Bar::new(&args.file, common.format, passed.clone());
    let settings = Settings {
        scene: args.scene,
        file: args.file,
        policy: args.policy,
        mapping: args.mapping,
        data: data_was_named().then(|| common.data.clone()),
        block: usize::try_from(args.block).unwrap_or(BLOCK_DEFAULT),
    };
    let kept = settings.data.is_some();
    let report = campaign::replay(&settings, passed, |total| bar.begin(total)).await;
    bar.end();
    let report = report?;
    if report.quarantined > 0 {
        tracing::warn!(
            rows = report.rows,
            quarantined = report.quarantined,
            first = report.first_bad.as_deref().unwrap_or_default(),
            "some rows do not fit"
        );
    }
    for (action, share) in report.uneven() {
        tracing::warn!(
            action,
            share,
            "this action was not logged by even lot, so the replay method does not judge fairly"
        );
    }
    let document = report.document();
    let text = match &document {
        Document::Arms(arms) => arms_text(&report, arms, kept),
        Document::Ranking(ranking) => ranking_text(&report, ranking, kept),
    };
    Said::new(&document, text)
}

/// The folder that other commands take when none is named is not for rehearsals.
fn data_was_named() -> bool {
    let Ok(matches) = Cli::command().try_get_matches() else {
        return false;
    };
    let mut innermost: &ArgMatches = &matches;
    while let Some((_, inner)) = innermost.subcommand() {
        innermost = inner;
    }
    innermost.value_source("data") == Some(ValueSource::CommandLine)
}

/// `kept`: the data folder was named and is still there to be asked.
fn head(report: &Report, kept: bool) -> String {
    let file = report
        .file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let mut out = format!(
        "{}: {} rows of {file}, {} decisions by `{}` in blocks of {}, {:.0} s\n",
        report.scene,
        grouped(report.rows),
        grouped(report.decisions),
        report.policy,
        report.block_rows,
        report.seconds
    );
    if report.quarantined > 0 {
        out.push_str(&format!("{} rows do not fit", grouped(report.quarantined)));
        if let Some(first) = &report.first_bad {
            out.push_str(&format!("; the first: {first}"));
        }
        out.push_str(if kept {
            "\nthey stand in quarantine; `luopan quarantine list` over the same --data says why each does\n"
        } else {
            "\nnothing of this replay is kept; name a folder with --data to have all of them listed\n"
        });
    }
    for (n, what) in [
        (report.skipped, "rows were passed over by the mapping"),
        (report.withheld, "decisions were withheld by their commit"),
    ] {
        if n > 0 {
            out.push_str(&format!("{} {what}\n", grouped(n)));
        }
    }
    out
}

fn arms_text(report: &Report, document: &ArmsDocument, kept: bool) -> String {
    let mut heads = vec!["policy", "matched"];
    heads.extend(report.rewards().iter().map(String::as_str));
    let rows: Vec<Vec<String>> = (document.policies.iter())
        .map(|arm| {
            let mut row = vec![arm.name.clone(), grouped(arm.matched)];
            row.extend(
                report
                    .rewards()
                    .iter()
                    .map(|r| arm.rewards.get(r).map_or_else(String::new, measured)),
            );
            row
        })
        .collect();
    let mut out = format!("{}\n{}\n", head(report, kept), table(&heads, &rows));
    out.push_str(
        "A line counts the rows on which its policy does what was logged (by lot), and so tells what it would have brought on\n\
         all of them; in brackets the 95 % interval.",
    );
    if let Some(samples) = report.learned {
        out.push_str(&format!(
            " `{}` learned from {} rows, those it matched.",
            report.policy,
            grouped(samples)
        ));
    }
    let uneven = report.uneven();
    if !uneven.is_empty() {
        let shares: Vec<String> = uneven
            .iter()
            .map(|(action, share)| format!("{action} {}", percent(*share)))
            .collect();
        out.push_str(&format!(
            "\nNot logged by even lot: {}. The method is fair only with an even one.",
            shares.join(", ")
        ));
    }
    out
}

fn measured(value: &Value) -> String {
    let of = |name: &str| value.get(name).and_then(Value::as_f64);
    match (of("rate"), of("mean"), of("low"), of("high")) {
        (Some(rate), _, Some(low), Some(high)) => {
            format!("{} ({:.2}-{:.2})", percent(rate), low * 100.0, high * 100.0)
        }
        (_, Some(mean), Some(low), Some(high)) => format!("{mean:.3} ({low:.3}-{high:.3})"),
        _ => "too little seen".to_owned(),
    }
}

fn ranking_text(report: &Report, document: &RankingDocument, kept: bool) -> String {
    let figure = |x: Option<f64>| x.map_or_else(|| "-".to_owned(), |x| format!("{x:.4}"));
    let share = |x: Option<f64>| x.map_or_else(|| "-".to_owned(), percent);
    let mut rows = vec![
        vec![
            "prequential AUC".to_owned(),
            figure(document.prequential_auc),
        ],
        vec![
            "  by fifth of the file".to_owned(),
            document
                .fifth_auc
                .iter()
                .map(|x| figure(*x))
                .collect::<Vec<_>>()
                .join(" "),
        ],
        vec![
            "conversions in the best 20 %".to_owned(),
            share(document.share_of_conversions_in_top_20_percent),
        ],
    ];
    if let Some(threshold) = document.threshold {
        rows.push(vec![
            format!("conversions at a score of {threshold} or more"),
            share(document.share_online_threshold),
        ]);
        rows.push(vec![
            "  share of the calls that this takes".to_owned(),
            share(document.called_share),
        ]);
    }
    rows.push(vec![
        "conversions of all calls".to_owned(),
        share(document.base_rate),
    ]);
    let mut out = format!(
        "{}\n{}\n",
        head(report, kept),
        table(
            &[
                "figure",
                report.rewards().first().map_or("", String::as_str)
            ],
            &rows
        )
    );
    out.push_str(
        "Every score was recorded before its outcome was known, and every outcome was learned from. The best 20 % are found with\n\
         the whole file at hand; a score at or above the break-even that the scene declares for its action is known at once.",
    );
    if document.threshold.is_none() {
        out.push_str(
            "\nThe action declares no `break_even`, so there is no figure for a threshold.",
        );
    }
    let blocks: Vec<String> = document
        .block_auc
        .iter()
        .map(|x| x.map_or_else(|| "-".to_owned(), |x| format!("{x:.2}")))
        .collect();
    out.push_str(&format!("\nAUC of each 1,000 calls: {}", blocks.join(" ")));
    out
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// Digits in groups of three.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups() {
        assert_eq!(
            [0, 12, 999, 1_000, 41_188, 1_234_567].map(grouped),
            ["0", "12", "999", "1,000", "41,188", "1,234,567"]
        );
    }
}
