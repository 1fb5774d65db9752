//! `luopan export checks` writes what a data folder knows, decided and ordered as files for the independent checker of the
//! market rules (`luopan-checker FOLDER`).

use super::Common;
use super::output::Said;
use crate::checked::{Names, export};
use crate::data::Opening;
use crate::problem::{Problem, Result};
use clap::{Args, Subcommand};
use luopan_kernel::time::Micros;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum Export {
    /// Facts, decisions and orders as the checker of the market rules reads them
    Checks(Checks),
}

#[derive(Debug, Args)]
pub(super) struct Checks {
    /// Scene
    #[arg(long, value_name = "NAME")]
    scene: String,
    /// New folder for the files
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Policies of what a customer browses [default: shelf, story, moment_story]. A policy that no option names reaches out;
    /// what it chooses is a product where the scene declares orders for it
    #[arg(long, value_name = "POLICY")]
    shelf: Vec<String>,
    /// Policies that check a customer's own purchase [default: own_purchase]
    #[arg(long, value_name = "POLICY")]
    purchase: Vec<String>,
    /// Policies that check a customer's own redemption [default: own_redemption]
    #[arg(long, value_name = "POLICY")]
    redemption: Vec<String>,
    /// Policies that advise to leave a product, with the fee that they show [default: switch_advice]
    #[arg(long, value_name = "POLICY")]
    advice: Vec<String>,
    /// Policies that explain what is held and offer nothing [default: fallen_holding]
    #[arg(long, value_name = "POLICY")]
    explanation: Vec<String>,
    /// Decisions and orders from this time on, RFC 3339 with a zone; facts are told whenever they were. Of history that was imported,
    /// the catalogue is known since the import alone: begin there [default: all]
    #[arg(long, value_name = "TIME", value_parser = crate::time::parse)]
    from: Option<Micros>,
    /// Text of text messages, as whoever sends them writes it
    #[arg(long, value_name = "TEXT")]
    sms_text: Option<String>,
}

pub(super) async fn run(common: &Common, Export::Checks(args): Export) -> Result<Said> {
    let is_used = std::fs::read_dir(&args.output).is_ok_and(|mut f| f.next().is_some());
    if is_used {
        let words = format!(
            "--output {}: the folder is not empty; name a new one",
            args.output.display()
        );
        return Err(Problem::new("command_line", words));
    }
    let mut names = Names::default();
    for (given, list) in [
        (args.shelf, &mut names.shelves),
        (args.purchase, &mut names.purchases),
        (args.redemption, &mut names.redemptions),
        (args.advice, &mut names.advice),
        (args.explanation, &mut names.explanations),
    ] {
        if !given.is_empty() {
            *list = given;
        }
    }
    names.from = args.from;
    names.text = args.sms_text.map(|text| ("sms".to_owned(), text));
    let opened = common.open(Opening::Existing).await?;
    opened.settle().await?;
    let written = export(
        &opened.engine,
        &opened.stores.log,
        &args.scene,
        &names,
        &args.output,
    )
    .await;
    opened.close().await;
    let written = written?;
    let mut text = format!(
        "{}: {} decisions, {} steps of orders, {} facts of customers, {} of products in {} files\n\
         check them with `luopan-checker {}`; calendar.json beside them gives it trading days, and where declared rules of \
         shelves read more than suitability does, `declared_reads` in config.json names it (crates/checker/README.md, rule 10)\n",
        args.output.display(),
        written.decisions,
        written.orders,
        written.customers,
        written.products,
        written.files,
        args.output.display()
    );
    if written.unplaced > 0 {
        text += &format!(
            "{} steps of orders are left out: no step of these orders names an item\n",
            written.unplaced
        );
    }
    if written.earlier > 0 {
        text += &format!(
            "{} steps of orders that began before --from are left out\n",
            written.earlier
        );
    }
    let json = json!({ "folder": args.output, "scene": args.scene, "written": written });
    Said::new(&json, text)
}
