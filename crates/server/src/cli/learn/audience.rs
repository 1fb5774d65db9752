//! `luopan learn audience`.

use super::super::Common;
use super::super::output::{Said, table};
use super::segment::{Place, number};
use crate::learn::audience::{self, Asked, Described, Picked};
use crate::problem::{Problem, Result};
use clap::Args;
use luopan_learning::audience::{Judgement, Kind, Settings};
use luopan_learning::proportion::Share;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(in crate::cli) struct Audience {
    /// Customers with their tags and a score, as `luopan learn predict --keep` writes them: CSV, Parquet, lines of JSON; gzipped too
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Column of the score
    #[arg(long, value_name = "COLUMN")]
    score: String,
    /// Those who score at least this are described
    #[arg(
        long,
        value_name = "SCORE",
        conflicts_with = "top",
        allow_negative_numbers = true
    )]
    above: Option<f64>,
    /// The share of all who score highest is described
    #[arg(long, value_name = "SHARE")]
    top: Option<f64>,
    /// Columns that no rule may use
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    exclude: Vec<String>,
    /// Column of customers: rows of one are judged by together, and no rule names one
    #[arg(long, value_name = "COLUMN")]
    id: Option<String>,
    /// What columns are, where they are more than numbers: `boolean`, `duration` (microseconds), or a currency (minor units)
    #[arg(long, value_delimiter = ',', value_name = "COLUMN:KIND", value_parser = kind)]
    kinds: Vec<(String, Kind)>,
    /// Most rules
    #[arg(long, default_value_t = Settings::default().rules_max, value_name = "N")]
    rules: usize,
    /// Most conditions of a rule
    #[arg(long, default_value_t = Settings::default().conditions_max, value_name = "N")]
    conditions: usize,
    /// Least share of a rule's customers that the score picks too
    #[arg(long, default_value_t = Settings::default().purity_least, value_name = "SHARE")]
    purity: f64,
    /// Least share of all that a rule holds
    #[arg(long, default_value_t = Settings::default().support_least, value_name = "SHARE")]
    support: f64,
    /// What a customer counts who is described and not picked, beside 1 of one who is
    #[arg(long, default_value_t = Settings::default().mistake_cost, value_name = "COST")]
    mistake_cost: f64,
    /// Share of the rows that the rules are judged by and not found on
    #[arg(long, default_value_t = 0.3, value_name = "SHARE")]
    held_out: f64,
    /// Level of the intervals
    #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
    level: f64,
    /// Seed of who is held out
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Save the rules as a segment of this name, as a file of the pack, and apply the pack
    #[arg(long, requires = "pack", value_name = "NAME")]
    segment: Option<String>,
    /// Folder of the pack whose segment it becomes
    #[arg(long, requires = "segment", value_name = "FOLDER")]
    pack: Option<PathBuf>,
    /// Write a segment anew that was saved by this command
    #[arg(long, requires = "segment")]
    replace: bool,
}

fn kind(text: &str) -> std::result::Result<(String, Kind), String> {
    let wanted = "write COLUMN:boolean, COLUMN:duration or COLUMN:CNY";
    let (name, kind) = text.rsplit_once(':').ok_or(wanted)?;
    let kind = match kind {
        "number" => Kind::Number,
        "boolean" => Kind::Boolean,
        "duration" => Kind::Duration,
        code if code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()) => {
            Kind::Money(code.to_owned())
        }
        _ => return Err(wanted.to_owned()),
    };
    Ok((name.to_owned(), kind))
}

pub(super) async fn run(common: &Common, asked: &Audience) -> Result<Said> {
    let picked = match (asked.above, asked.top) {
        (Some(cut), None) => Picked::Above(asked.score.clone(), cut),
        (None, Some(share)) if share > 0.0 && share < 1.0 => {
            Picked::Top(asked.score.clone(), share)
        }
        _ => {
            return Err(Problem::new(
                "command_line",
                "say who is described: --above SCORE, or --top SHARE with a share between 0 and 1",
            ));
        }
    };
    let wanted = Asked {
        picked,
        id: asked.id.clone(),
        held_out: asked.held_out,
        level: asked.level,
        seed: asked.seed,
        settings: Settings {
            rules_max: asked.rules,
            conditions_max: asked.conditions,
            purity_least: asked.purity,
            support_least: asked.support,
            mistake_cost: asked.mistake_cost,
            exclude: asked.exclude.iter().cloned().collect(),
            kinds: asked.kinds.iter().cloned().collect(),
            ..Settings::default()
        },
    };
    let place = match (&asked.segment, &asked.pack) {
        (Some(name), Some(pack)) => Some(Place::new(common, pack, name, asked.replace).await?),
        _ => None,
    };
    let found = audience::from_file(&asked.input, &wanted)?;
    let mut text = words(&found, asked.level);
    let mut json = serde_json::to_value(&found)
        .map_err(|e| Problem::internal(format!("writing the answer failed: {e}")))?;
    if let Some(place) = place {
        let (saved, said) = place.save(common, &found, &asked.input).await?;
        json["saved"] = saved;
        text.push_str(&format!("\n{said}\n"));
    }
    Said::new(&json, text)
}

fn share(of: &Share) -> String {
    if of.of == 0 {
        return "-".to_owned();
    }
    format!(
        "{:.1} % ({:.1} to {:.1})",
        100.0 * of.share,
        100.0 * of.lower,
        100.0 * of.upper
    )
}

fn words(of: &Described, level: f64) -> String {
    let (seen, held): (&Judgement, &Judgement) = (&of.found.learned, &of.found.held_out);
    let mut out = format!(
        "{} rows, of which those are described that score {} or more; judged by {} rows that were not used, {} % intervals\n\n",
        of.rows,
        number(of.cut),
        held.rows,
        100.0 * level
    );
    let line = |name: &str, pick: &dyn Fn(&Judgement) -> Share| {
        vec![name.to_owned(), share(&pick(held)), share(&pick(seen))]
    };
    let rows = [
        line("coverage", &|j| j.coverage),
        line("purity", &|j| j.purity),
        line("fidelity", &|j| j.fidelity),
        line("size", &|j| j.size),
    ];
    out.push_str(&table(&["", "rows not used", "rows used"], &rows));
    out.push_str(&format!(
        "agreeing always the same way would have a fidelity of {:.1} %\n\n",
        100.0 * held.fidelity_of_none
    ));
    let rows: Vec<Vec<String>> = (held.steps.iter())
        .map(|s| {
            vec![
                s.rule.clone(),
                share(&s.purity),
                share(&s.coverage),
                share(&s.coverage_so_far),
            ]
        })
        .collect();
    out.push_str(&table(
        &["rule", "purity", "coverage", "with those above"],
        &rows,
    ));
    match (&of.segment, &of.no_segment) {
        (Some(rule), _) => out.push_str(&format!("\nas a segment of a scene:\n  {rule}\n")),
        (None, Some(why)) => out.push_str(&format!("\nno segment of a scene: {why}\n")),
        (None, None) => {}
    }
    for flag in &of.flags {
        out.push_str(&format!("look: {flag}\n"));
    }
    out
}
