//! The two public campaigns through the running loop (`luopan campaign replay`): what the learned policy would have brought
//! beside the best single action, and how well scores recorded before the outcome put it in order. Seeds are fresh in every
//! run. This measurement must never repeat a run to show a better one.

use luopan_bench::data;
use luopan_bench::{Measurement, Reference, write};
use luopan_server::campaign::{ArmDocument, BLOCK_DEFAULT, Document, Report, Settings, replay};
use std::error::Error;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let email = runtime.block_on(run("email-campaign", "hillstrom_uplift/hillstrom.csv.gz"))?;
    let bank = runtime.block_on(run(
        "bank-telemarketing",
        "bank_marketing/bank-additional-full.csv.gz",
    ))?;
    let (Document::Arms(arms), Document::Ranking(ranking)) = (email.document(), bank.document())
    else {
        return Err("the shipped mappings are not what this measurement knows".into());
    };
    let learned = arms.policies.last().ok_or("no policy was scored")?;
    let logged = arms.policies.first().ok_or("no policy was scored")?;
    let best = (arms
        .policies
        .iter()
        .filter(|p| p.name.starts_with("fixed:")))
    .max_by(|a, b| figure(a, "visit", "rate").total_cmp(&figure(b, "visit", "rate")))
    .ok_or("no fixed action was scored")?;
    let least = |name: &str, figure: f64| {
        Some(Reference {
            name: format!("{name} (set before it was built)"),
            figure,
        })
    };
    let measured = [
        of(
            "e-mail campaign: visits under the learned policy",
            figure(learned, "visit", "rate"),
            "share of customers",
            Some(Reference {
                name: format!("{} from the start, the best single action", best.name),
                figure: figure(best, "visit", "rate"),
            }),
        ),
        of(
            "e-mail campaign: spend under the learned policy",
            figure(learned, "spend", "mean"),
            "dollars a customer",
            Some(Reference {
                name: "as logged, by lot".to_owned(),
                figure: figure(logged, "spend", "mean"),
            }),
        ),
        of(
            "bank campaign: prequential AUC",
            known(ranking.prequential_auc)?,
            "AUC",
            least("to reach", 0.75),
        ),
        of(
            "bank campaign: conversions in the best 20 % of calls",
            known(ranking.share_of_conversions_in_top_20_percent)?,
            "share",
            least("to reach", 0.54),
        ),
        of(
            "bank campaign: conversions at or above the break-even score",
            known(ranking.share_online_threshold)?,
            "share",
            Some(Reference {
                name: "share of the calls that it takes".to_owned(),
                figure: known(ranking.called_share)?,
            }),
        ),
        of(
            "e-mail campaign: customers through the whole loop",
            email.rows as f64 / email.seconds,
            "customers/s",
            None,
        ),
        of(
            "bank campaign: calls through the whole loop",
            bank.rows as f64 / bank.seconds,
            "calls/s",
            None,
        ),
    ];
    let path = write("campaigns", &measured)?;
    for m in &measured {
        eprintln!("{}: {} {}", m.name, m.figure, m.unit);
    }
    eprintln!("written to {}", path.display());
    Ok(())
}

async fn run(scene: &str, file: &str) -> Result<Report, Box<dyn Error>> {
    let settings = Settings {
        scene: scene.to_owned(),
        file: data::folder().join(file),
        policy: Some("learned".to_owned()),
        mapping: None,
        data: None,
        block: BLOCK_DEFAULT,
    };
    let report = replay(&settings, Arc::default(), |_| ())
        .await
        .map_err(|problem| problem.detail)?;
    if report.quarantined > 0 || report.withheld > 0 {
        return Err(format!(
            "{} rows in quarantine, {} decisions withheld",
            report.quarantined, report.withheld
        )
        .into());
    }
    Ok(report)
}

fn of(name: &str, figure: f64, unit: &str, reference: Option<Reference>) -> Measurement {
    Measurement {
        name: name.to_owned(),
        figure,
        unit: unit.to_owned(),
        reference,
    }
}

/// A figure of a policy; what is missing is no number, and `write` refuses it by name.
fn figure(policy: &ArmDocument, reward: &str, figure: &str) -> f64 {
    policy
        .rewards
        .get(reward)
        .and_then(|r| r.get(figure)?.as_f64())
        .unwrap_or(f64::NAN)
}

fn known(figure: Option<f64>) -> Result<f64, &'static str> {
    figure.ok_or("the file has no calls of both answers")
}
