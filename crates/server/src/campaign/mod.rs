//! Replaying a logged campaign through the running loop: each block of rows is imported, folded, decided, answered by what
//! the file says and learned before the next block is decided. Where the decision is the logged action, its outcome is
//! learned and scored (the replay method: Li, Chu, Langford and Wang 2011); where every row logs the same action, the score
//! recorded before the outcome is judged instead (prequential: Dawid 1984).
//!
//! It must never let a decision see what its row tells of the time after it, and never spend or contact on the live ledger.

mod arms;
mod drive;
mod logged;
mod pack;
mod ranking;
mod report;
mod statistics;

pub use report::{ArmDocument, ArmsDocument, Document, Fate, RankingDocument, Report};

use crate::data::{self, Opened, Opening};
use crate::import::{load, mapped::Mapper, rows, source};
use crate::problem::{Problem, Result};
use drive::Drive;
use logged::{Actions, Reckoning};
use luopan_engine::api::Unreadable;
use luopan_kernel::plan::{PolicyPlan, ScenePlan};
use luopan_scene::Mapping;
use luopan_scene::mapping::{Source, Target};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

/// Rows of a block when nobody says.
pub const BLOCK_DEFAULT: usize = 100;
/// Most rows of a block: they are decided by what was learned before it.
pub const BLOCK_MAX: usize = 1_000;
/// Most rows that may stand in quarantine before the first one that fits; past it the mapping is not for this file.
const BAD_AT_FIRST_MAX: usize = 1_000;

/// What is replayed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of a scene that is applied in the data folder or shipped with the program, or the folder of a pack.
    pub scene: String,
    /// File of the campaign.
    pub file: PathBuf,
    /// Policy that decides; the mapping's when left out.
    pub policy: Option<String>,
    /// Mapping into a campaign: a name within the scene, or a file; the scene's only one when left out.
    pub mapping: Option<String>,
    /// Data folder; a fresh temporary one when left out.
    pub data: Option<PathBuf>,
    /// Rows of a block, 1..=[`BLOCK_MAX`].
    pub block: usize,
}

/// Replays a campaign. `passed` counts towards the total that `begun` is told.
///
/// # Errors
/// A scene, policy, mapping or file that cannot be used, with what to write instead; or the engine refused.
pub async fn replay(
    settings: &Settings,
    passed: Arc<AtomicU64>,
    begun: impl FnOnce(u64),
) -> Result<Report> {
    if !(1..=BLOCK_MAX).contains(&settings.block) {
        return Err(Problem::new(
            "command_line",
            format!("a block of {} rows; write 1 to {BLOCK_MAX}", settings.block),
        ));
    }
    source::size(&settings.file)?;
    // Dropped after the engine has let go of it.
    let fresh =
        match settings.data {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(|e| {
                Problem::new("data_unusable", format!("a temporary data folder: {e}"))
            })?),
        };
    let folder = settings
        .data
        .as_deref()
        .or(fresh.as_ref().map(tempfile::TempDir::path))
        .unwrap_or(Path::new("."));
    let opened = data::open(folder, Opening::Create).await?;
    let report = run(&opened, settings, passed, begun).await;
    opened.close().await;
    report
}

async fn run(
    opened: &Opened,
    settings: &Settings,
    passed: Arc<AtomicU64>,
    begun: impl FnOnce(u64),
) -> Result<Report> {
    let started = Instant::now();
    opened.settle().await?;
    let files = pack::ready(opened, &settings.scene).await?;
    let plan = opened.engine.plan(&files.scene)?;
    let mapping = pack::mapping(&files, settings.mapping.as_deref(), &plan)?;
    let policy = policy(&plan, &mapping, settings.policy.as_deref())?;
    let actions = Actions::new(&plan, policy)?;
    if matches!(mapping.action, Some(Source::Column(_))) || mapping.action.is_none() {
        check_width(&actions, &mapping)?;
    }
    let reckoning = Reckoning::new(&plan, policy);
    let hash = load::content_hash(&settings.file)?;
    let mut drive = Drive::new(opened, &plan, policy, &reckoning, hash);
    let mut report = Report::new(
        &plan.name,
        &settings.file,
        &policy.name,
        settings.block,
        // With the same action on every row there is nothing to choose between: what can be judged is the score.
        matches!(mapping.action, Some(Source::Constant(_))),
        &actions,
        &reckoning,
    );

    let layout = load::layout(&mapping.file);
    let opened_file = rows::open_rows(&settings.file, layout, passed)?;
    if let Some(names) = &opened_file.header {
        load::header(&settings.file, &mapping, names)?;
    }
    begun(opened_file.total);
    let mut mapper = Mapper::new(&mapping, hash, opened_file.header.is_none());
    let file = settings.file.display().to_string();
    let mut block = Vec::with_capacity(settings.block);
    let mut customers = BTreeSet::new();
    let mut bad: Vec<Unreadable<'static>> = Vec::new();
    for row in opened_file.rows {
        report.rows += 1;
        let fits = match row? {
            Err(unread) => Err(Box::new(unread)),
            Ok(row) => logged::read(&mut mapper, &row, hash, &actions, &reckoning),
        };
        match fits {
            Ok(None) => report.skipped += 1,
            Ok(Some(row)) => {
                // A customer's next row must find the earlier one decided, answered and learned.
                if block.len() == settings.block || customers.contains(&row.customer) {
                    report.block(
                        drive
                            .block(std::mem::take(&mut block), std::mem::take(&mut bad))
                            .await?,
                    );
                    customers.clear();
                }
                customers.insert(row.customer.clone());
                block.push(row);
            }
            Err(row) => {
                let row = load::of_file(*row, &file);
                report.bad(&row.reason);
                bad.push(Unreadable {
                    raw: Cow::Owned(row.raw),
                    code: row.code,
                    reason: row.reason,
                });
                if report.decisions == 0 && block.is_empty() && bad.len() >= BAD_AT_FIRST_MAX {
                    break;
                }
            }
        }
    }
    if report.decisions == 0 && block.is_empty() {
        return Err(nothing_fits(&settings.file, &bad));
    }
    report.block(drive.block(block, bad).await?);
    report.learned = drive.finish().await?;
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// The policy that decides.
fn policy<'p>(
    plan: &'p ScenePlan,
    mapping: &Mapping,
    asked: Option<&str>,
) -> Result<&'p PolicyPlan> {
    let named = match &mapping.target {
        Target::Campaign { policy } => policy.as_deref(),
        _ => None,
    };
    let names = || plan.policies.iter().map(|p| p.name.as_str());
    let known = || {
        names()
            .map(|n| format!("`{n}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let Some(name) = asked.or(named) else {
        return Err(Problem::new(
            "command_line",
            format!("no policy is named; write --policy with one of {}", known()),
        ));
    };
    let Some(policy) = plan.policy(name) else {
        let near = luopan_scene::nearest(name, names())
            .map(|n| format!("did you mean `{n}`? "))
            .unwrap_or_default();
        let words = format!(
            "scene `{}` has no policy `{name}`; {near}it has {}",
            plan.name,
            known()
        );
        return Err(Problem::new("unknown_policy", words));
    };
    if policy.slots > 1 {
        let words = format!(
            "policy `{name}` fills {} positions, a campaign logs one action a row; name a policy with one position",
            policy.slots
        );
        return Err(Problem::new("command_line", words));
    }
    if let Some(of) = named.and_then(|n| plan.policy(n))
        && of.catalogue != policy.catalogue
    {
        let words = format!(
            "policy `{name}` chooses from another catalogue than `{}`, whose actions were logged",
            of.name
        );
        return Err(Problem::new("command_line", words));
    }
    Ok(policy)
}

/// With actions that differ there must be two to choose between.
fn check_width(actions: &Actions, mapping: &Mapping) -> Result<()> {
    match (&mapping.action, actions.names().len()) {
        (None, _) => Err(Problem::new(
            "command_line",
            "the mapping says no `action`; write `action: COLUMN`, or `action: {constant: NAME}` where every row had the same",
        )),
        (_, 0 | 1) => Err(Problem::new(
            "command_line",
            "the catalogue has one action only; write `action: {constant: NAME}` in the mapping to have scores judged instead",
        )),
        _ => Ok(()),
    }
}

/// Not one row could be used: the mapping, or the file, is not right.
fn nothing_fits(file: &Path, bad: &[Unreadable<'_>]) -> Box<Problem> {
    match bad.first() {
        None => source::unreadable(file, &"there is no row in it"),
        Some(first) => Problem::new(
            first.code,
            format!(
                "none of the first {} rows fits the mapping; the first: {}",
                bad.len(),
                first.reason
            ),
        ),
    }
}
