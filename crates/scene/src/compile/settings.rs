//! Settings: constants of a scene that its rules read as `settings.NAME`, so that an operator adapts a pack of rules in one place.
//! They are set into expressions when those are compiled: a plan holds their values and not their names.

use super::Compiler;
use super::value::scalar;
use crate::cel::Ty;
use crate::fault::Code;
use luopan_kernel::value::{Value, ValueType};

/// Most settings of a scene.
pub const SETTINGS_MAX: usize = 256;

impl Compiler<'_, '_> {
    pub(super) fn settings(&mut self) {
        for (i, (key, node)) in self.section("settings").iter().enumerate() {
            if i == SETTINGS_MAX {
                self.report.at(
                    key.at,
                    Code::Limit,
                    "more settings than a scene holds",
                    format!("write at most {SETTINGS_MAX}"),
                );
                break;
            }
            let name = format!("settings.{}", key.text);
            let entry = [&(key.clone(), node.clone())];
            let Some(field) = self.fields("settings", &entry).pop() else {
                self.broken.insert(name);
                continue;
            };
            if field.kind == ValueType::Text {
                // A comparison with a text that it is not would be taken for a mistake, since it can never be true.
                self.report.at(
                    node.at,
                    Code::OutOfRange,
                    format!("`{}` is a text", key.text),
                    "a setting is a boolean, a number, an amount or a time; write a boolean for each of the texts",
                );
                self.broken.insert(name);
                continue;
            }
            let value = match node.get("value") {
                None => Some(Value::Missing),
                Some(written) => scalar(written, &field, &mut self.report),
            };
            match value {
                Some(value) => {
                    let ty = Ty::of(field.kind, field.currency.as_deref());
                    self.constants.insert(name, (value, ty));
                }
                None => {
                    self.broken.insert(name);
                }
            }
        }
    }
}
