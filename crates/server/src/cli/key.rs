//! `luopan key create|list|remove`: API keys. A secret is shown once, when it is made.

use super::Common;
use super::output::{Said, table};
use crate::data::{Opened, Opening};
use crate::problem::Result;
use crate::{env, keys, time};
use clap::Subcommand;
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Make a key under a name that no key has yet
    Create {
        /// Who or what the key is for; it stands in the audit
        name: String,
    },
    /// List the keys by name; secrets are kept nowhere
    List,
    /// Remove a key: it opens nothing any more
    Remove {
        /// Its name
        name: String,
    },
}

pub(super) async fn run(common: &Common, key: Key) -> Result<Said> {
    let opened = common.open(Opening::Existing).await?;
    let said = answer(&opened, key).await;
    opened.close().await;
    said
}

async fn answer(opened: &Opened, key: Key) -> Result<Said> {
    let control = opened.stores.control.as_ref();
    match key {
        Key::Create { name } => {
            let secret = keys::create(control, &name, env::now()).await?;
            Said::new(
                &json!({ "name": name, "api_key": secret }),
                format!("{secret}\nthis key is shown once and kept nowhere; note it now"),
            )
        }
        Key::List => {
            let keys: Vec<(String, String)> = (control.api_keys().await?.into_iter())
                .map(|k| (k.name, time::write(k.at)))
                .collect();
            let rows: Vec<Vec<String>> = (keys.iter())
                .map(|(name, made)| vec![name.clone(), made.clone()])
                .collect();
            let json: Vec<_> = (keys.iter())
                .map(|(name, made)| json!({ "name": name, "made_at": made }))
                .collect();
            let text = if rows.is_empty() {
                "there is no key; `luopan serve` makes the first one".to_owned()
            } else {
                table(&["key", "made"], &rows)
            };
            Said::new(&json!({ "keys": json }), text)
        }
        Key::Remove { name } => {
            let left = keys::remove(control, &name, env::now()).await?;
            let then = if left.is_empty() {
                "no key is left; the next start of `luopan serve` makes a first one"
            } else {
                "the others stay"
            };
            Said::new(
                &json!({ "removed": name, "left": left }),
                format!("key {name} is removed; {then}"),
            )
        }
    }
}
