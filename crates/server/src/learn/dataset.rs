//! A training set as a Parquet file: a row for each item that a decision chose (docs/learning.md says what each column holds).

use crate::problem::{Problem, Result};
use luopan_engine::Engine;
use luopan_engine::api::{Refusal, RefusalKind};
use luopan_engine::dataset::shadow::{Candidate, Decided};
use luopan_engine::dataset::{Dataset, DatasetRead, DatasetRow, DatasetSpec};
use luopan_kernel::time::SECOND_US;
use luopan_kernel::value::{Value, ValueType};
use luopan_lake::Notes;
use luopan_lake::table::{Cell, Kind, Table};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

/// Format of the file, in its notes under `luopan.format`.
pub const DATASET_FORMAT: &str = "dataset 1";

/// What was written.
#[derive(Debug, Serialize)]
pub struct Written {
    /// Scene.
    pub scene: String,
    /// Version whose tags and rewards the columns are.
    pub scene_version: u32,
    /// Policy.
    pub policy: String,
    /// Rows.
    pub rows: u64,
    /// Of these, rows whose rewards are all settled.
    pub settled: u64,
    /// Decisions.
    pub decisions: u64,
    /// Of these, for customers of several identifiers.
    pub linked: u64,
    /// Names of the features.
    pub features: Vec<String>,
    /// Names of the rewards.
    pub rewards: Vec<String>,
    /// Policies in shadow, as they were named.
    pub shadows: Vec<String>,
    /// Decisions that a policy in shadow could not decide again: they recorded too little.
    pub unshadowed: u64,
    /// True where some decisions of a policy in shadow were given a somewhat earlier state of a model than there was.
    pub is_thinned: bool,
    /// Decisions that gave no row, by reason.
    pub skipped: Vec<(&'static str, u64)>,
    /// Recorded reads that equal what the log says.
    pub compared: u64,
    /// Log entries folded.
    pub entries: u64,
    /// Versions of the catalogues that were laid out.
    pub catalogue_versions: u64,
    /// SHA-256 of the file, 64 hexadecimal digits.
    pub sha256: String,
}

/// What columns of policies in shadow begin with.
pub const SHADOW: &str = "shadow.";

/// The columns that stand before the features.
const FIXED: [(&str, Kind); 11] = [
    ("decision.id", Kind::Text),
    ("decision.customer", Kind::Text),
    ("decision.at", Kind::Time),
    ("decision.origin", Kind::Text),
    ("decision.scene_version", Kind::Long),
    ("decision.position", Kind::Long),
    ("decision.arm", Kind::Text),
    ("decision.is_null", Kind::Boolean),
    ("decision.is_forced", Kind::Boolean),
    ("decision.propensity", Kind::Double),
    ("decision.weight", Kind::Double),
];

fn kind(of: ValueType) -> Kind {
    match of {
        ValueType::Boolean => Kind::Boolean,
        ValueType::Integer | ValueType::Money | ValueType::Duration => Kind::Long,
        ValueType::Number => Kind::Double,
        ValueType::Text => Kind::Text,
        ValueType::Time => Kind::Time,
    }
}

fn cell<'v>(value: &'v Value<'_>) -> Cell<'v> {
    match value {
        Value::Missing => Cell::Missing,
        Value::Bool(v) => Cell::Boolean(*v),
        Value::Int(v) => Cell::Long(*v),
        Value::Number(v) => Cell::Double(*v),
        Value::Text(v) => Cell::Text(v),
        Value::Time(v) => Cell::Long(v.0),
    }
}

fn columns(of: &Dataset) -> Vec<(String, Kind)> {
    let fixed = FIXED.iter().map(|(n, k)| ((*n).to_owned(), *k));
    let features = of.features().iter().map(|f| (f.name.clone(), kind(f.kind)));
    let rewards = of.rewards().iter().flat_map(|r| {
        let value = format!("reward.{}", r.name);
        let after = format!("{value}.after_s");
        [(value, Kind::Double), (after, Kind::Double)]
    });
    let shadows = of.candidates().flat_map(|c| {
        let probabilities = format!("{SHADOW}{c}");
        let own = format!("{probabilities}.propensity");
        [(probabilities, Kind::Text), (own, Kind::Double)]
    });
    fixed
        .chain(features)
        .chain(rewards)
        .chain(shadows)
        .collect()
}

/// What a policy in shadow would have done, as JSON: the probability of each arm that it could have chosen and that any decision of the
/// training set chose; of all others together under the empty name.
fn probabilities(of: &Decided) -> String {
    let mut out: serde_json::Map<String, serde_json::Value> = (of.arms.iter())
        .map(|(arm, p)| (arm.to_string(), json!(p)))
        .collect();
    // What rounding leaves is no item.
    if of.other > 1e-12 {
        out.insert(String::new(), json!(of.other));
    }
    serde_json::Value::Object(out).to_string()
}

/// Writes the decisions of a policy as a training set.
///
/// # Errors
/// `unknown_scene`, `unknown_policy`, `too_many_versions`; of policies in shadow `cannot_shadow`, `unknown_model`, `bad_model`,
/// `bad_artifact`; `data_unusable` when what decisions recorded is not what the log says;
/// `file_unreadable`. Then no file is written.
pub async fn write(
    engine: &Engine,
    scene: &str,
    policy: &str,
    spec: &DatasetSpec,
    shadows: &[Candidate],
    output: &Path,
) -> Result<Written> {
    let mut of = engine.dataset(scene, policy)?;
    for candidate in shadows {
        of = of.shadowed_by(candidate.clone()).await?;
    }
    let failed = |e: luopan_lake::Error| Problem::new("file_unreadable", e.to_string());
    let mut table = Table::create(output, &columns(&of)).map_err(failed)?;
    let mut fault = None;
    let mut see = |row: DatasetRow<'_>| match push(&mut table, row) {
        Ok(()) => Ok(()),
        Err(e) => {
            let message = e.to_string();
            fault = Some(e);
            // Told below in its own words.
            Err(Refusal {
                code: "file_unreadable",
                kind: RefusalKind::Unavailable,
                message,
            })
        }
    };
    let read = of.read(spec, &mut see).await;
    if let Some(e) = fault {
        return Err(failed(e));
    }
    let read = read?;
    if read.differ > 0 {
        return Err(Problem::new(
            "data_unusable",
            format!(
                "{} of {} values that decisions recorded are not what the log says ({}); no training set was written: look with `luopan verify`",
                read.differ,
                read.compared,
                read.differences.join("; ")
            ),
        ));
    }
    table
        .finish(&notes(&of, scene, policy, spec, &read))
        .map_err(failed)?;
    Ok(Written {
        scene: scene.to_owned(),
        scene_version: of.scene().0,
        policy: policy.to_owned(),
        rows: read.rows,
        settled: read.settled,
        decisions: read.decisions,
        linked: read.linked,
        features: of.features().iter().map(|f| f.name.clone()).collect(),
        rewards: of.rewards().iter().map(|r| r.name.clone()).collect(),
        shadows: of.candidates().map(ToString::to_string).collect(),
        unshadowed: read.unshadowed,
        is_thinned: read.is_thinned,
        skipped: vec![
            ("outside_the_time", read.skipped.outside),
            ("rehearsed", read.skipped.dry_run),
            ("withheld", read.skipped.withheld),
            ("nothing_chosen", read.skipped.nothing),
            ("before_the_log_begins", read.skipped.truncated),
            ("erased", read.skipped.erased),
        ],
        compared: read.compared,
        entries: read.entries,
        catalogue_versions: read.versions,
        sha256: sha256(output)?,
    })
}

fn push(table: &mut Table, row: DatasetRow<'_>) -> luopan_lake::Result<()> {
    let (id, customer) = (row.decision.to_string(), row.customer.to_string());
    let texts: Vec<Option<String>> = (row.shadows.iter())
        .map(|s| s.as_ref().map(probabilities))
        .collect();
    let fixed = [
        Cell::Text(&id),
        Cell::Text(&customer),
        Cell::Long(row.at.0),
        Cell::Text(row.origin.word()),
        Cell::Long(i64::from(row.scene_version)),
        Cell::Long(i64::from(row.position)),
        Cell::Text(row.arm),
        Cell::Boolean(row.is_null),
        Cell::Boolean(row.is_forced),
        Cell::Double(row.propensity),
        Cell::Double(row.weight),
    ];
    let rewards = row.rewards.iter().flat_map(|r| match r {
        None => [Cell::Missing, Cell::Missing],
        Some(r) => [
            Cell::Double(r.value),
            Cell::Double(r.after_us as f64 / SECOND_US as f64),
        ],
    });
    let shadows = (row.shadows.iter().zip(&texts)).flat_map(|(s, text)| match (s, text) {
        (Some(s), Some(text)) => [Cell::Text(text), Cell::Double(s.probability(row.arm))],
        _ => [Cell::Missing, Cell::Missing],
    });
    table.push(
        fixed
            .into_iter()
            .chain(row.features.iter().map(cell))
            .chain(rewards)
            .chain(shadows),
    )
}

fn notes(of: &Dataset, scene: &str, policy: &str, spec: &DatasetSpec, read: &DatasetRead) -> Notes {
    let (version, hash) = of.scene();
    let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
    let rewards: Vec<_> = (of.rewards().iter())
        .map(|r| json!({"name": r.name, "version": r.version, "window_us": r.window_us, "default": r.default}))
        .collect();
    let mut out = vec![
        ("luopan.format", DATASET_FORMAT.to_owned()),
        ("luopan.semantics", luopan_kernel::SEMANTICS.to_string()),
        ("luopan.scene", scene.to_owned()),
        ("luopan.scene_version", version.to_string()),
        ("luopan.plan_hash", hex),
        ("luopan.policy", policy.to_owned()),
        ("luopan.rewards", json!(rewards).to_string()),
        ("luopan.entries", read.entries.to_string()),
    ];
    let shadows: Vec<String> = of.candidates().map(ToString::to_string).collect();
    if !shadows.is_empty() {
        out.push(("luopan.shadows", json!(shadows).to_string()));
    }
    out.extend(spec.from.map(|at| ("luopan.from", crate::time::write(at))));
    out.extend(
        spec.until
            .map(|at| ("luopan.until", crate::time::write(at))),
    );
    (out.into_iter()).map(|(n, v)| (n.to_owned(), v)).collect()
}

pub(super) fn sha256(path: &Path) -> Result<String> {
    let failed =
        |e: std::io::Error| Problem::new("file_unreadable", format!("{}: {e}", path.display()));
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        let n = file.read(&mut piece).map_err(failed)?;
        if n == 0 {
            return Ok((hash.finalize().iter())
                .map(|b| format!("{b:02x}"))
                .collect());
        }
        hash.update(&piece[..n]);
    }
}

/// What a training set says of itself: scene, version, policy, semantics and times, without the prefix `luopan.`. Of any other file nothing.
pub(super) fn told_of_itself(path: &Path) -> BTreeMap<String, String> {
    let file = std::fs::File::open(path).ok();
    let reader = file.and_then(|file| SerializedFileReader::new(file).ok());
    let notes = reader.and_then(|r| r.metadata().file_metadata().key_value_metadata().cloned());
    (notes.into_iter().flatten())
        .filter_map(|note| {
            let name = note.key.strip_prefix("luopan.")?.to_owned();
            Some((name, note.value?))
        })
        .collect()
}
