//! `luopan product list|show`: the items of a catalogue as decisions see them, and which of their values were generated.

use super::Common;
use super::output::{Said, amount, table};
use crate::answer::{Product as Document, Products};
use crate::data::{Opened, Opening};
use crate::limits::{PAGE_DEFAULT, PAGE_MAX};
use crate::problem::{Problem, Result};
use clap::{Args, Subcommand};
use luopan_kernel::plan::Field;
use luopan_kernel::value::ValueType;

/// Attributes shown beside the key in a list.
const SHOWN: usize = 6;

#[derive(Debug, Subcommand)]
pub(super) enum Product {
    /// List the items of a catalogue, ascending by key
    List {
        #[command(flatten)]
        of: Of,
        /// Items behind this key
        #[arg(long, value_name = "KEY")]
        after: Option<String>,
        /// Items, at most 1,000
        #[arg(long, default_value_t = PAGE_DEFAULT)]
        limit: usize,
    },
    /// Show one item, candidate or withdrawn
    Show {
        #[command(flatten)]
        of: Of,
        /// Its key
        key: String,
    },
}

/// Whose items.
#[derive(Debug, Args)]
pub(super) struct Of {
    /// Scene
    #[arg(long)]
    scene: String,
    /// Catalogue; may be left out when the scene has one only
    #[arg(long)]
    catalogue: Option<String>,
}

impl Of {
    /// Attributes of the catalogue, as the scene declares them.
    fn fields(&self, opened: &Opened, catalogue: &str) -> Vec<Field> {
        let plan = opened.engine.plan(&self.scene);
        (plan.iter().flat_map(|p| &p.catalogues))
            .find(|c| c.name == catalogue)
            .map_or_else(Vec::new, |c| c.attributes.clone())
    }

    fn catalogue(&self, opened: &Opened) -> Result<String> {
        let plan = opened.engine.plan(&self.scene)?;
        if let Some(name) = &self.catalogue {
            return Ok(name.clone());
        }
        match plan.catalogues.as_slice() {
            [one] => Ok(one.name.clone()),
            all => {
                let names: Vec<&str> = all.iter().map(|c| c.name.as_str()).collect();
                Err(Problem::new(
                    "command_line",
                    format!(
                        "scene `{}` has {} catalogues; name one with --catalogue: {}",
                        self.scene,
                        all.len(),
                        names.join(", ")
                    ),
                ))
            }
        }
    }
}

pub(super) async fn run(common: &Common, product: Product) -> Result<Said> {
    let opened = common.open(Opening::Existing).await?;
    let said = answer(&opened, product).await;
    opened.close().await;
    said
}

async fn answer(opened: &Opened, product: Product) -> Result<Said> {
    opened.settle().await?;
    match product {
        Product::List { of, after, limit } => {
            if !(1..=PAGE_MAX).contains(&limit) {
                return Err(Problem::new(
                    "command_line",
                    format!("--limit is {limit}; write 1 to {PAGE_MAX}"),
                ));
            }
            let catalogue = of.catalogue(opened)?;
            let fields = of.fields(opened, &catalogue);
            let page = (opened.engine).items(&of.scene, &catalogue, after.as_deref(), limit)?;
            let shown: Vec<String> = (page.items.iter().take(1))
                .flat_map(|i| i.attributes.iter().map(|(n, _)| n.clone()))
                .filter(|n| n != "generated")
                .take(SHOWN)
                .collect();
            let products = Products::new(of.scene, catalogue, page);
            let rows: Vec<Vec<String>> = (products.items.iter())
                .map(|item| {
                    let mut row = vec![item.key.clone()];
                    row.extend(shown.iter().map(|name| marked(&fields, item, name)));
                    row.push(item.withdrawn_at.clone().unwrap_or_default());
                    row
                })
                .collect();
            if products.candidates + products.withdrawn == 0 {
                let text = format!(
                    "catalogue `{}` has no items; `luopan import --into products` brings them in",
                    products.catalogue
                );
                return Said::new(&products, text);
            }
            let mut head = vec!["key"];
            head.extend(shown.iter().map(String::as_str));
            head.push("withdrawn");
            let mut text = table(&head, &rows);
            text.push_str(&format!(
                "{} items, {} of them withdrawn; values marked (generated) were made up, not published",
                products.candidates + products.withdrawn,
                products.withdrawn
            ));
            if let Some(next) = &products.next {
                text.push_str(&format!("\nmore: --after {next}"));
            }
            Said::new(&products, text)
        }
        Product::Show { of, key } => {
            let catalogue = of.catalogue(opened)?;
            let fields = of.fields(opened, &catalogue);
            let item: Document = opened.engine.item(&of.scene, &catalogue, &key)?.into();
            let rows: Vec<Vec<String>> = (item.attributes.keys())
                .filter(|name| *name != "generated")
                .map(|name| vec![name.clone(), marked(&fields, &item, name)])
                .collect();
            let mut text = format!("{}\n", item.key);
            if let Some(at) = &item.withdrawn_at {
                text.push_str(&format!("withdrawn at {at}"));
                if let Some(successor) = &item.successor {
                    text.push_str(&format!(", in its place: {successor}"));
                }
                text.push('\n');
            }
            text.push_str(&table(&["attribute", "value"], &rows));
            Said::new(&item, text)
        }
    }
}

/// A value for people, an amount with its currency; one that was made up says so.
fn marked(fields: &[Field], item: &Document, name: &str) -> String {
    let field = fields.iter().find(|f| f.name == name);
    let value = match item.attributes.get(name) {
        None | Some(serde_json::Value::Null) => return String::new(),
        Some(serde_json::Value::String(t)) => t.clone(),
        Some(minor) if field.is_some_and(|f| f.kind == ValueType::Money) => {
            amount(field.and_then(|f| f.currency.as_deref()), minor)
        }
        Some(other) => other.to_string(),
    };
    if item.generated.iter().any(|g| g == name) {
        format!("{value} (generated)")
    } else {
        value
    }
}
