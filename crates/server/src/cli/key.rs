//! `luopan key create NAME`: an API key, shown once.

use super::Common;
use super::output::Said;
use crate::data::{Opening, open};
use crate::problem::Result;
use crate::{env, keys};
use clap::Subcommand;
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Make a key; the same name gets a new key and the old one stops working
    Create {
        /// Who or what the key is for; it stands in the audit
        name: String,
    },
}

pub(super) async fn run(common: &Common, key: Key) -> Result<Said> {
    let Key::Create { name } = key;
    let opened = open(&common.data, Opening::Existing).await?;
    let secret = keys::create(opened.stores.control.as_ref(), &name, env::now()).await;
    opened.close().await;
    let secret = secret?;
    Said::new(
        &json!({ "name": name, "api_key": secret }),
        format!("{secret}\nthis key is shown once and kept nowhere; note it now"),
    )
}
