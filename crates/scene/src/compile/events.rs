//! Event types and their fields; customer attributes, which are fields of the reserved type `luopan.customer`.

use super::{Compiler, is_whole, value_type};
use crate::fault::Code;
use crate::node::{Key, Node};
use crate::unit;
use luopan_kernel::event::{CUSTOMER_TYPE, DECISION_TYPE, PROPERTIES_MAX, RECEIPT_TYPE};
use luopan_kernel::plan::{EventSchema, Field};
use luopan_kernel::value::ValueType;

impl<'d> Compiler<'d, '_> {
    pub(super) fn events(&mut self) {
        let plain = |name: &str, kind, required| Field {
            name: name.to_owned(),
            kind,
            required,
            personal: false,
            currency: None,
            one_of: Vec::new(),
            not_a_feature: None,
        };
        let mut events = vec![
            EventSchema {
                name: DECISION_TYPE.into(),
                fields: vec![
                    plain("action", ValueType::Text, true),
                    plain("channel", ValueType::Text, true),
                    plain("null", ValueType::Boolean, true),
                    plain("policy", ValueType::Text, true),
                ],
            },
            EventSchema {
                name: RECEIPT_TYPE.into(),
                fields: vec![
                    plain("decision_id", ValueType::Text, true),
                    Field {
                        one_of: vec!["delivered".into(), "failed".into()],
                        ..plain("status", ValueType::Text, true)
                    },
                ],
            },
        ];
        for (key, node) in self.section("events") {
            if key.text.starts_with("luopan.") {
                self.report.at(
                    key.at,
                    Code::BadName,
                    format!("`{}` is a reserved type of event", key.text),
                    "leave it out, it is always there; or choose a name that does not begin with `luopan.`",
                );
                continue;
            }
            if !is_whole(node, &["description", "fields"], "fields") {
                self.declared.owners.insert(key.text.clone());
            }
            let entries: Vec<&(Key, Node)> = node
                .get("fields")
                .map_or(&[][..], Node::entries)
                .iter()
                .collect();
            let fields = self.fields(&key.text, &entries);
            if fields.len() > PROPERTIES_MAX {
                self.report.at(
                    key.at,
                    Code::Limit,
                    format!("`{}` has {} fields", key.text, fields.len()),
                    format!("write at most {PROPERTIES_MAX}"),
                );
            }
            events.push(EventSchema {
                name: key.text.clone(),
                fields: sorted(fields),
            });
        }
        if self.sections.is_vague("customer") {
            self.declared.owners.insert(CUSTOMER_TYPE.to_owned());
        }
        if self.sections.is_vague("request") {
            self.declared.owners.insert(super::REQUEST_OWNER.to_owned());
        }
        let attributes = self.fields(CUSTOMER_TYPE, self.section("customer"));
        if attributes.len() > PROPERTIES_MAX
            && let Some((key, _)) = self.section("customer").first()
        {
            self.report.at(
                key.at,
                Code::Limit,
                format!("customers have {} attributes", attributes.len()),
                format!("write at most {PROPERTIES_MAX}"),
            );
        }
        for (key, node) in self.section("customer") {
            if node.get("required").and_then(Node::boolean) == Some(true) {
                self.report.at(
                    key.at,
                    Code::Conflict,
                    format!("the customer attribute `{}` is required", key.text),
                    "leave `required` out: imports set some attributes at a time",
                );
            }
        }
        events.push(EventSchema {
            name: CUSTOMER_TYPE.into(),
            fields: sorted(attributes),
        });
        events.sort_by(|a, b| a.name.cmp(&b.name));
        self.plan.events = events;
        if let Some(node) = self.zone_attribute() {
            let name = node.text().unwrap_or_default();
            let known = self
                .plan
                .event(CUSTOMER_TYPE)
                .map_or(&[][..], |e| e.fields.as_slice());
            match known.iter().find(|f| f.name == name) {
                Some(f) if f.kind == ValueType::Text && !f.personal => {
                    self.plan.zone_attribute = Some(name.to_owned());
                }
                Some(f) => {
                    let found = format!(
                        "`{name}` is {}{}",
                        f.kind.word(),
                        if f.personal { " and personal" } else { "" }
                    );
                    self.report.at(
                        node.at,
                        Code::WrongType,
                        found,
                        "name an attribute of type text that holds an iana zone",
                    );
                }
                None if self.declared.has_field(CUSTOMER_TYPE, name) => {}
                None => {
                    let names: Vec<&str> = (known.iter().map(|f| f.name.as_str()))
                        .chain(self.declared.fields_of(CUSTOMER_TYPE))
                        .collect();
                    self.report
                        .unknown(node.at, "customer attribute", name, names.iter().copied());
                }
            }
        }
    }

    fn zone_attribute(&self) -> Option<&'d Node> {
        self.section("zone_attribute").first().map(|(_, n)| n)
    }

    /// Fields as declared, in order; a faulty one is left out and remembered.
    pub(super) fn fields(&mut self, owner: &str, entries: &[&(Key, Node)]) -> Vec<Field> {
        let mut fields = Vec::new();
        for (key, node) in entries {
            match self.field(key, node) {
                Some(field) => fields.push(field),
                None => {
                    self.declared
                        .fields
                        .insert((owner.to_owned(), key.text.clone()));
                    if owner == CUSTOMER_TYPE {
                        self.broken.insert(key.text.clone());
                    }
                }
            }
        }
        fields
    }

    fn field(&mut self, key: &Key, node: &Node) -> Option<Field> {
        let word = node.text().or_else(|| node.get("type")?.text())?;
        let kind = value_type(word)?;
        let written = node.get("currency").and_then(Node::text);
        // One that is not known was reported with the shape, and goes with any other.
        let currency = written
            .filter(|c| unit::minor_digits(c).is_some())
            .map(str::to_owned);
        if let Some(n) = node.get("personal")
            && n.boolean() == Some(true)
            && let Some(why) = luopan_kernel::plan::schema::why_not_personal()
        {
            self.report.at(
                n.at,
                Code::OutOfRange,
                format!("`{}` is personal", key.text),
                why,
            );
        }
        match (kind, written) {
            (ValueType::Money, None) => {
                self.report.at(
                    key.at,
                    Code::MissingKey,
                    format!("`{}` is money without a currency", key.text),
                    "write `{type: money, currency: CNY}`",
                );
            }
            (ValueType::Money, Some(_)) | (_, None) => {}
            (other, Some(_)) => {
                self.report.at(
                    key.at,
                    Code::Conflict,
                    format!("`{}` is {} and has a currency", key.text, other.word()),
                    "leave `currency` out, or make its type money",
                );
            }
        }
        let one_of = self.one_of_texts(key, node, kind)?;
        let flag = |name| node.get(name).and_then(Node::boolean).unwrap_or(false);
        Some(Field {
            name: key.text.clone(),
            kind,
            required: flag("required"),
            personal: flag("personal"),
            currency,
            one_of,
            not_a_feature: node
                .get("not_a_feature")
                .and_then(Node::text)
                .map(str::to_owned),
        })
    }
}

impl Compiler<'_, '_> {
    /// The texts under `one_of`; none when they are at fault, so that what the field may hold is not known.
    pub(super) fn one_of_texts(
        &mut self,
        key: &Key,
        node: &Node,
        kind: ValueType,
    ) -> Option<Vec<String>> {
        let Some(list) = node.get("one_of") else {
            return Some(Vec::new());
        };
        if kind != ValueType::Text {
            self.report.at(
                key.at,
                Code::Conflict,
                format!("`{}` is {} and has `one_of`", key.text, kind.word()),
                "only text has `one_of`",
            );
            return Some(Vec::new());
        }
        // What is no list of texts was reported with the shape.
        let texts: Vec<String> = list
            .elements()
            .iter()
            .map(|n| n.text().map(str::to_owned))
            .collect::<Option<_>>()?;
        (!texts.is_empty()).then_some(texts)
    }
}

fn sorted(mut fields: Vec<Field>) -> Vec<Field> {
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    fields
}
