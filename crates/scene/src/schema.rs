//! JSON Schema (2020-12) of packs and of import mappings, for editors. It is made from the key tables that the checker
//! reads, so an editor and `luopan scene check` agree on every key; names and types across files are the checker's alone.

use crate::shape::{ENTRIES_MAX, EXPRESSION_BYTES_MAX, Kind, NAME_BYTES_MAX, Shape};
use crate::tables::{MAPPING, PACK};
use crate::unit;
use luopan_kernel::id::FOREIGN_ID_BYTES_MAX;
use serde_json::{Map, Value, json};

/// Schema of a file of a pack.
pub fn pack() -> Value {
    document(&PACK, "Luopan scene pack")
}

/// Schema of a file in `mappings/`.
pub fn mapping() -> Value {
    document(&MAPPING, "Luopan import mapping")
}

fn document(kind: &'static Kind, title: &str) -> Value {
    let mut definitions = Map::new();
    let root = schema(kind, &mut definitions);
    let mut out = Map::new();
    out.insert(
        "$schema".into(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    out.insert("title".into(), json!(title));
    if let Value::Object(root) = root {
        out.extend(root);
    }
    out.insert("$defs".into(), Value::Object(definitions));
    Value::Object(out)
}

fn schema(kind: &'static Kind, definitions: &mut Map<String, Value>) -> Value {
    let scalar = || json!({"type": ["string", "number", "boolean", "null"]});
    match kind {
        Kind::Text(bytes) => json!({"type": "string", "maxLength": bytes}),
        Kind::Name => json!({"type": "string", "pattern": LOOSE_NAME, "maxLength": NAME_BYTES_MAX}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Integer(low, high) => json!({"type": "integer", "minimum": low, "maximum": high}),
        Kind::Number(low, high) => json!({"type": "number", "minimum": low, "maximum": high}),
        Kind::Positive(high) => json!({"type": "number", "exclusiveMinimum": 0, "maximum": high}),
        Kind::Duration => json!({
            "type": "string",
            "pattern": "^([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
            "minLength": 2,
            "description": "a length of time such as 30d, 12h, 15m or 1d12h",
        }),
        Kind::Clock => json!({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}),
        Kind::Day => json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}),
        Kind::Currency => {
            let mut all: Vec<&str> = unit::currencies().collect();
            all.sort_unstable();
            definitions.insert(
                "currency".into(),
                json!({"enum": all, "description": "iso 4217 code"}),
            );
            json!({"$ref": "#/$defs/currency"})
        }
        Kind::Zone => json!({"type": "string", "description": "iana zone such as Asia/Shanghai"}),
        Kind::Cel => json!({
            "type": ["string", "number", "boolean"],
            "maxLength": EXPRESSION_BYTES_MAX,
            "description": "cel expression (docs/scene.md says which part of cel)",
        }),
        Kind::Scalar => scalar(),
        Kind::Decimal => {
            json!({"type": ["string", "number"], "pattern": "^[+-]?[0-9]*([.][0-9]*)?$"})
        }
        Kind::Choice(words) => {
            let each: Vec<Value> = words
                .iter()
                .map(|(word, doc)| {
                    // A bare `true` is a boolean to an editor.
                    let constant = if *word == "true" {
                        json!(true)
                    } else {
                        json!(word)
                    };
                    if doc.is_empty() {
                        json!({"const": constant})
                    } else {
                        json!({"const": constant, "description": doc})
                    }
                })
                .collect();
            json!({"oneOf": each})
        }
        Kind::List(inner, least) => json!({
            "type": "array",
            "items": schema(inner, definitions),
            "minItems": least,
            "maxItems": ENTRIES_MAX,
        }),
        Kind::Map(inner) => map(
            schema(inner, definitions),
            json!({"pattern": NAME, "maxLength": NAME_BYTES_MAX}),
        ),
        Kind::LooseMap(inner) => map(
            schema(inner, definitions),
            json!({"pattern": LOOSE_NAME, "maxLength": NAME_BYTES_MAX}),
        ),
        Kind::TextMap(inner) => map(
            schema(inner, definitions),
            json!({"minLength": 1, "maxLength": FOREIGN_ID_BYTES_MAX}),
        ),
        Kind::Object(shape) => reference(shape, definitions),
        Kind::Tagged(shapes) => {
            let each: Vec<Value> = shapes.iter().map(|s| reference(s, definitions)).collect();
            json!({"anyOf": each})
        }
        Kind::Any(kinds) => {
            let each: Vec<Value> = kinds.iter().map(|k| schema(k, definitions)).collect();
            json!({"anyOf": each})
        }
    }
}

const NAME: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
const LOOSE_NAME: &str = "^[A-Za-z_][A-Za-z0-9_.-]*$";

fn map(values: Value, names: Value) -> Value {
    json!({
        "type": "object",
        "propertyNames": names,
        "additionalProperties": values,
        "maxProperties": ENTRIES_MAX,
    })
}

fn reference(shape: &'static Shape, definitions: &mut Map<String, Value>) -> Value {
    let name = shape.name.replace([' ', '-'], "_");
    if !definitions.contains_key(&name) {
        // Held open while its own keys are written, since a shape may hold itself.
        definitions.insert(name.clone(), Value::Null);
        let mut properties = Map::new();
        for key in shape.keys {
            let inner = schema(key.kind, definitions);
            let mut described = Map::new();
            if let Value::Object(inner) = inner {
                described.extend(inner);
            }
            described.insert("description".into(), json!(key.doc));
            properties.insert(key.name.into(), Value::Object(described));
        }
        let required: Vec<&str> = shape
            .keys
            .iter()
            .filter(|k| k.required)
            .map(|k| k.name)
            .collect();
        let mut object = json!({
            "type": "object",
            "description": shape.doc,
            "properties": properties,
            "additionalProperties": false,
        });
        if let Value::Object(object) = &mut object {
            match shape.unless {
                Some(key) => {
                    object.insert(
                        "anyOf".into(),
                        json!([{"required": [key]}, {"required": required}]),
                    );
                }
                None if !required.is_empty() => {
                    object.insert("required".into(), json!(required));
                }
                None => {}
            }
        }
        definitions.insert(name.clone(), object);
    }
    json!({"$ref": format!("#/$defs/{name}")})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Data, Node};
    use std::path::{Path, PathBuf};

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// What an editor's validator sees of a file.
    fn json(node: &Node) -> Value {
        match &node.data {
            Data::List(nodes) => Value::Array(nodes.iter().map(json).collect()),
            Data::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(k, v)| (k.text.clone(), json(v)))
                    .collect(),
            ),
            Data::Scalar { text, .. } => {
                if node.is_null() {
                    Value::Null
                } else if let Some(b) = node.boolean() {
                    json!(b)
                } else if let Some(i) = node.integer() {
                    json!(i)
                } else if let Some(n) = node.number() {
                    json!(n)
                } else {
                    json!(text)
                }
            }
        }
    }

    fn written(text: &str) -> Value {
        let mut faults = Vec::new();
        let node = crate::node::parse(0, "t.yaml", text, &mut faults).unwrap();
        assert_eq!(faults, vec![]);
        json(&node)
    }

    /// The schema files of `docs/` are what the tables say; `LUOPAN_BLESS=1` writes them anew.
    #[test]
    fn the_published_schemas_are_up_to_date() {
        for (name, schema) in [
            ("scene.schema.json", pack()),
            ("mapping.schema.json", mapping()),
        ] {
            let path = root().join("docs").join(name);
            if std::env::var_os("LUOPAN_BLESS").is_some() {
                let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
                std::fs::write(&path, text).unwrap();
            }
            let found: Value =
                serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_default())
                    .unwrap_or_default();
            assert_eq!(
                found,
                schema,
                "{} is old; run this test with LUOPAN_BLESS=1",
                path.display()
            );
        }
    }

    #[test]
    fn every_shipped_pack_fits_the_schema() {
        let pack = jsonschema::validator_for(&pack()).unwrap();
        let mapping = jsonschema::validator_for(&mapping()).unwrap();
        let mut files = 0;
        for scene in std::fs::read_dir(root().join("scenes")).unwrap() {
            let folder = scene.unwrap().path();
            if !folder.is_dir() {
                continue;
            }
            for (path, text) in crate::load_folder(&folder).unwrap().files {
                if path.ends_with(".txt") {
                    continue;
                }
                let validator = if path.starts_with("mappings/") {
                    &mapping
                } else {
                    &pack
                };
                let faults: Vec<String> = validator
                    .iter_errors(&written(&text))
                    .map(|e| format!("{}: {e}", e.instance_path()))
                    .collect();
                assert_eq!(faults, Vec::<String>::new(), "{} {path}", folder.display());
                files += 1;
            }
        }
        assert!(files >= 12, "{files} files");
    }

    #[test]
    fn the_schema_refuses_what_the_checker_refuses() {
        let pack = jsonschema::validator_for(&pack()).unwrap();
        for wrong in [
            "scen: a",
            "tags: {a: {event: e, aggregate: counts}}",
            "tags: {a: {aggregate: count}}",
            "tags: {a: {event: e, aggregate: count, window: 30 days}}",
            "policies: {p: {catalogue: c}}",
            "policies: {p: {catalogue: c, channel: x, score: 1, exploration: {epsilon: 1}, null_action: {name: n}}}",
            "events: {e: {fields: {a: {type: string}}}}",
            "events: {e: {fields: {1a: text}}}",
            "budgets: {b: {limit: {amount: x, currency: CNY}, period: daily}}",
            "customer: {a: {type: money, currency: RMB}}",
            "models: {m: {kind: logistic, scope: shared, reward: r, catalogue: c, features: [{bins: age}]}}",
        ] {
            assert!(!pack.is_valid(&written(wrong)), "the schema takes {wrong}");
            assert!(
                crate::compile(vec![("scene.yaml".into(), wrong.into())]).is_err(),
                "the checker takes {wrong}"
            );
        }
    }
}
