//! What the tests share: packs from text and from the repository.

use luopan_scene::{Checked, Fault};
use std::path::PathBuf;

/// The packs of this repository.
pub(crate) const SHIPPED: [&str; 3] = ["email-campaign", "bank-telemarketing", "fund"];

/// A scene with a slot of every type, to compile rules against.
pub(crate) const EVERY_TYPE: &str = r#"
scene: types
zone: Asia/Shanghai
customer:
  b: boolean
  i: integer
  j: integer
  n: number
  m: {type: money, currency: CNY}
  usd: {type: money, currency: USD}
  s: text
  t: time
  d: duration
events:
  order:
    fields:
      amount: {type: money, currency: CNY}
      count: integer
      decision_id: text
tags:
  mean_order: {event: order, aggregate: mean, of: amount}
  since_order: {event: order, aggregate: recency}
derived:
  late: env.hour >= 21
request:
  page: text
catalogues:
  funds:
    attributes: {risk_level: integer, fee: {type: money, currency: CNY}}
    items: {a: {risk_level: 1, fee: "0.50"}}
"#;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A pack of one file.
pub(crate) fn compile(text: &str) -> Result<Checked, Vec<Fault>> {
    luopan_scene::compile(vec![("scene.yaml".into(), text.into())])
}

/// The faults of a pack of one file, a line each; empty when it has none.
pub(crate) fn faults(text: &str) -> String {
    match compile(text) {
        Ok(_) => String::new(),
        Err(faults) => lines(&faults),
    }
}

/// Faults, a line each.
pub(crate) fn lines(faults: &[Fault]) -> String {
    faults.iter().map(|f| f.to_string() + "\n").collect()
}

/// A shipped pack, which has no faults.
pub(crate) fn shipped(name: &str) -> Checked {
    let files = luopan_scene::load_folder(&root().join("scenes").join(name)).unwrap();
    luopan_scene::compile(files).unwrap_or_else(|f| panic!("{name}:\n{}", lines(&f)))
}
