//! Catalogues, their attributes and the items that the pack itself declares.

use super::{Compiler, Want, is_whole, owner_of_items, scalar};
use crate::cel::{Place, Ty};
use crate::fault::{Code, nearest, shown};
use crate::node::{Key, Node};
use luopan_kernel::catalogue::GENERATED_ATTRIBUTE;
use luopan_kernel::plan::{CataloguePlan, ItemPlan, SlotId, SlotPlan, SlotSource, Stage};
use luopan_kernel::rule::visit_slots;
use luopan_kernel::value::{Value, ValueType};

/// Most catalogues of a scene.
pub const CATALOGUES_MAX: usize = 64;
/// Most attributes of a catalogue.
pub const ATTRIBUTES_MAX: usize = 256;
/// Most derived attributes of a catalogue: each is computed for every item that is looked at.
pub const PAIRED_MAX: usize = 64;

impl Compiler<'_, '_> {
    pub(super) fn catalogues(&mut self) {
        for (key, node) in self.section("catalogues") {
            if self.plan.catalogues.len() == CATALOGUES_MAX {
                self.report.at(
                    key.at,
                    Code::Limit,
                    "more catalogues than are kept",
                    format!("write at most {CATALOGUES_MAX}"),
                );
                break;
            }
            let number = self.plan.catalogues.len() as u16;
            let entries: Vec<&(Key, Node)> = node
                .get("attributes")
                .map_or(&[][..], Node::entries)
                .iter()
                .collect();
            let owner = owner_of_items(&key.text);
            if !is_whole(
                node,
                &[
                    "description",
                    "attributes",
                    "measures",
                    "derived",
                    "key_digits",
                    "items",
                ],
                "attributes",
            ) {
                self.declared.owners.insert(owner.clone());
            }
            let mut attributes = self.fields(&owner, &entries);
            let measures = node
                .get("measures")
                .and_then(|n| self.measures(n, &mut attributes));
            if let (Some(field), Some((k, _))) = (
                attributes.iter().find(|f| f.name == GENERATED_ATTRIBUTE),
                entries.iter().find(|(k, _)| k.text == GENERATED_ATTRIBUTE),
            ) && field.kind != ValueType::Text
            {
                self.report.at(
                    k.at,
                    Code::WrongType,
                    format!("`{GENERATED_ATTRIBUTE}` is {}", field.kind.word()),
                    "make it text: it holds the names of attributes whose values were generated",
                );
            }
            if attributes.len() > ATTRIBUTES_MAX {
                self.report.at(
                    key.at,
                    Code::Limit,
                    format!("`{}` has {} attributes", key.text, attributes.len()),
                    format!("write at most {ATTRIBUTES_MAX}"),
                );
            }
            let broken: Vec<String> = self.declared.fields_of(&owner).map(str::to_owned).collect();
            for name in &broken {
                self.broken.insert(format!("item.{name}"));
            }
            for (k, _) in &entries {
                if k.text == "key" {
                    self.report.at(
                        k.at,
                        Code::BadName,
                        "`key` is the item's own key",
                        "give the attribute another name; `item.key` is there already",
                    );
                }
            }
            let mut items = Vec::new();
            for (item_key, values_node) in node.get("items").map_or(&[][..], Node::entries) {
                let mut values = vec![Value::Missing; attributes.len()];
                for (name, value) in values_node.entries() {
                    let filled = |i: usize| measures.as_ref().is_some_and(|m| m.fills(i));
                    match attributes.iter().position(|f| f.name == name.text) {
                        Some(i) if filled(i) => self.report.at(
                            name.at,
                            Code::NotHere,
                            format!("`{}` is a measure", shown(&name.text)),
                            "leave it out; it is computed from net asset values",
                        ),
                        Some(i) => {
                            if let Some(v) = scalar(value, &attributes[i], &mut self.report) {
                                values[i] = v;
                            }
                        }
                        None if self.declared.has_field(&owner, &name.text) => {}
                        None => {
                            let known = (attributes.iter().map(|f| &f.name)).chain(&broken);
                            let near = nearest(&name.text, known.map(String::as_str));
                            self.report.near(
                                name.at,
                                Code::UnknownName,
                                format!("`{}` has no attribute `{}`", key.text, shown(&name.text)),
                                format!(
                                    "declared are {}",
                                    crate::fault::listed(
                                        attributes.iter().map(|f| f.name.as_str())
                                    )
                                ),
                                near,
                            );
                        }
                    }
                }
                for (i, field) in attributes.iter().enumerate() {
                    if field.required && values_node.get(&field.name).is_none() {
                        values[i] = Value::Missing;
                        self.report.at(
                            item_key.at,
                            Code::MissingKey,
                            format!(
                                "the item `{}` has no `{}`",
                                shown(&item_key.text),
                                field.name
                            ),
                            "write it: the catalogue declares it required",
                        );
                    }
                }
                items.push(ItemPlan {
                    key: item_key.text.clone(),
                    values,
                });
            }
            self.plan.slots.push(SlotPlan {
                name: "item.key".into(),
                kind: ValueType::Text,
                source: SlotSource::ItemKey(number),
            });
            for (i, field) in attributes.iter().enumerate() {
                let slot = SlotId(self.plan.slots.len() as u16);
                if let Some(why) = &field.not_a_feature {
                    self.not_a_feature.insert(slot, why.clone());
                }
                self.plan.slots.push(SlotPlan {
                    name: format!("item.{}", field.name),
                    kind: field.kind,
                    source: SlotSource::Item(number, i as u16),
                });
            }
            self.plan.catalogues.push(CataloguePlan {
                name: key.text.clone(),
                attributes,
                items,
                measures,
                key_digits: (node.get("key_digits").and_then(Node::integer))
                    .and_then(|n| u8::try_from(n).ok()),
            });
        }
        self.orders_of_items();
        self.paired();
        self.stages();
        self.settle_scopes();
    }

    /// Expressions over a customer and an item, in the order of files: each may read those above it.
    fn paired(&mut self) {
        let section = self.section("catalogues");
        for (number, (catalogue, node)) in section.iter().enumerate().take(CATALOGUES_MAX) {
            let entries = node.get("derived").map_or(&[][..], Node::entries);
            if entries.len() > PAIRED_MAX {
                self.report.at(
                    catalogue.at,
                    Code::Limit,
                    format!(
                        "`{}` has {} derived attributes",
                        catalogue.text,
                        entries.len()
                    ),
                    format!("write at most {PAIRED_MAX}"),
                );
            }
            for (i, (key, node)) in entries.iter().enumerate() {
                let name = format!("item.{}", key.text);
                if i >= PAIRED_MAX {
                    // It is there, and was told of.
                    self.broken.insert(name);
                    continue;
                }
                if self
                    .pair(number as u16, key, &name, node, &entries[i + 1..])
                    .is_none()
                {
                    self.broken.insert(name);
                }
            }
        }
    }

    /// One of them; `later` are those that it cannot read.
    fn pair(
        &mut self,
        catalogue: u16,
        key: &Key,
        name: &str,
        node: &Node,
        later: &[(Key, Node)],
    ) -> Option<()> {
        let place = Place::Item(catalogue);
        let mut scope = self.scope(place);
        if scope.get(name).is_some() {
            self.report.at(
                key.at,
                Code::DuplicateName,
                format!("`{name}` is an attribute already"),
                "give the derived attribute another name",
            );
            return None;
        }
        scope.hide_later(name, "it would be derived from itself");
        for (other, _) in later {
            let other = format!("item.{}", other.text);
            scope.hide_later(
                &other,
                "it stands further down: declare it above what reads it",
            );
        }
        let node = node.get("value").unwrap_or(node);
        let typed = self.expression(node, &scope, Want::Anything)?;
        if let Ty::Money { exact: false, .. } = typed.ty {
            self.report.at(
                node.at,
                Code::ExpressionType,
                format!("`{name}` is an amount that is not whole minor units"),
                "write `double(…)` around it for a number of minor units",
            );
            return None;
        }
        let mut is_of_item = false;
        let mut why = None;
        visit_slots(&typed.expr, &mut |read| {
            let source = (self.plan.slots.get(usize::from(read.0))).map(|s| &s.source);
            is_of_item |= matches!(
                source,
                Some(
                    SlotSource::Item(..)
                        | SlotSource::ItemKey(_)
                        | SlotSource::Held(..)
                        | SlotSource::Paired(..)
                )
            );
            if why.is_none() {
                why = self.not_a_feature.get(&read).cloned();
            }
        });
        if !is_of_item {
            self.report.at(
                node.at,
                Code::Conflict,
                format!("`{name}` asks nothing of the item"),
                "write it under the scene's own `derived`, where it is computed once and not for every item",
            );
            return None;
        }
        let slot = SlotId(self.plan.slots.len() as u16);
        if let Some(why) = why {
            self.not_a_feature.insert(slot, why);
        }
        self.plan.slots.push(SlotPlan {
            name: name.to_owned(),
            kind: typed.ty.value_type(),
            source: SlotSource::Paired(catalogue, self.plan.paired.len() as u16),
        });
        self.plan.paired.push(typed.expr);
        Some(())
    }

    /// The slots of what the stages of scoring give an item, where a policy has such a stage.
    fn stages(&mut self) {
        for (key, name, stage) in [
            ("retrieval", "score.retrieved", Stage::Retrieved),
            ("ranking", "score.ranked", Stage::Ranked),
        ] {
            if (self.section("policies").iter()).any(|(_, policy)| policy.get(key).is_some()) {
                self.plan.slots.push(SlotPlan {
                    name: name.into(),
                    kind: ValueType::Number,
                    source: SlotSource::Stage(stage),
                });
            }
        }
    }

    /// Index of the catalogue that `node` names.
    pub(super) fn catalogue_index(&mut self, node: &Node) -> Option<u16> {
        let name = node.text()?;
        let names: Vec<&str> = self
            .section("catalogues")
            .iter()
            .map(|(k, _)| k.text.as_str())
            .collect();
        match names.iter().position(|n| *n == name) {
            Some(i) => (i < self.plan.catalogues.len()).then_some(i as u16),
            None => {
                self.unknown(node.at, "catalogues", "catalogue", name);
                None
            }
        }
    }
}
