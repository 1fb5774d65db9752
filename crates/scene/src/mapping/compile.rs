//! Checking a mapping against its scene: every field exists, every conversion fits its type, and what a target needs is there.

use super::{
    Column, Encoding, FieldSource, FileFormat, Format, Happening, Mapping, Outcome, Part, Source,
    Target, Unit, When,
};
use crate::compile::{Declared, REQUEST_OWNER, owner_of_items};
use crate::fault::{Code, listed, nearest, shown};
use crate::node::{Key, Node};
use crate::shape::Reporter;
use luopan_kernel::catalogue::GENERATED_ATTRIBUTE;
use luopan_kernel::event::CUSTOMER_TYPE;
use luopan_kernel::plan::{Field, ScenePlan, SlotSource};
use luopan_kernel::time::HOUR_US;
use luopan_kernel::value::ValueType;

/// Compiles a mapping whose shape was checked; none when there were faults. What `declared` holds is declared, though the plan
/// does not hold it.
pub(crate) fn compile(
    root: &Node,
    plan: &ScenePlan,
    declared: &Declared,
    report: &mut Reporter<'_>,
) -> Option<Mapping> {
    let before = report.faults.len();
    let into = root.get("into")?.text()?;
    let text = text_field;
    let target = match into {
        "events" => {
            let name = needed(root, "event", into, report).and_then(|node| {
                event(node, plan, declared, report);
                node.text()
            });
            Target::Events {
                event: name.unwrap_or_default().to_owned(),
            }
        }
        "products" => {
            let node = needed(root, "catalogue", into, report);
            let name = node.and_then(Node::text).unwrap_or_default();
            let found = plan.catalogues.iter().find(|c| c.name == name);
            if let (None, Some(node), false) = (
                found,
                node,
                name.is_empty() || declared.has("catalogues", name),
            ) {
                report.unknown(
                    node.at,
                    "catalogue",
                    name,
                    plan.catalogues.iter().map(|c| c.name.as_str()),
                );
            }
            Target::Products {
                catalogue: name.to_owned(),
                attributes: found
                    .map_or(&[][..], |c| &c.attributes)
                    .iter()
                    .map(|a| a.name.clone())
                    .collect(),
            }
        }
        "product_changes" | "withdrawals" | "navs" => {
            let node = needed(root, "catalogue", into, report);
            let name = node.and_then(Node::text).unwrap_or_default();
            let is_known = plan.catalogues.iter().any(|c| c.name == name);
            if let (false, Some(node)) = (
                is_known || name.is_empty() || declared.has("catalogues", name),
                node,
            ) {
                let names = plan.catalogues.iter().map(|c| c.name.as_str());
                report.unknown(node.at, "catalogue", name, names);
            }
            Target::Environment {
                happens: match into {
                    "navs" => Happening::Nav,
                    "withdrawals" => Happening::Withdrawal,
                    _ => Happening::Change,
                },
                catalogue: name.to_owned(),
            }
        }
        "campaign" => Target::Campaign {
            policy: match root.get("policy") {
                None => None,
                Some(node) => {
                    let name = node.text()?;
                    if plan.policy(name).is_none() && !declared.has("policies", name) {
                        report.unknown(
                            node.at,
                            "policy",
                            name,
                            plan.policies.iter().map(|p| p.name.as_str()),
                        );
                    }
                    Some(name.to_owned())
                }
            },
        },
        _ => Target::Customers,
    };
    for (key, belongs) in [
        ("event", &["events"][..]),
        ("event_id", &["events"]),
        (
            "catalogue",
            &["products", "product_changes", "withdrawals", "navs"],
        ),
        ("generated", &["products"]),
        ("occurred_at", &["events", "campaign", "withdrawals"]),
        ("request", &["campaign"]),
        ("action", &["campaign"]),
        ("policy", &["campaign"]),
        ("outcomes", &["campaign"]),
    ] {
        if let (Some(node), false) = (root.get(key), belongs.contains(&into)) {
            report.at(
                node.at,
                Code::Conflict,
                format!("`{key}` of a mapping into {into}"),
                format!(
                    "leave it out; it belongs to {}",
                    listed(belongs.iter().copied())
                ),
            );
        }
    }
    let id = match root.get("id") {
        Some(node) => source(node, &text("id"), report),
        None => {
            if into != "campaign" {
                report.at(
                    root.at,
                    Code::MissingKey,
                    "a mapping without `id`",
                    "write `id: column`, the customer's (or item's) own id",
                );
            }
            None
        }
    };
    let known: Vec<Field> = match &target {
        Target::Customers | Target::Campaign { .. } => plan
            .event(CUSTOMER_TYPE)
            .map_or_else(Vec::new, |e| e.fields.clone()),
        Target::Events { event } => plan
            .event(event)
            .map_or_else(Vec::new, |e| e.fields.clone()),
        Target::Products { catalogue, .. } => settable(plan, catalogue),
        Target::Environment { happens, catalogue } => match happens {
            Happening::Change => (settable(plan, catalogue).into_iter())
                .map(|f| Field {
                    required: false,
                    ..f
                })
                .collect(),
            Happening::Withdrawal => vec![text("successor")],
            Happening::Nav => vec![
                of_nav("accumulated", ValueType::Number, false),
                of_nav("day", ValueType::Time, true),
                of_nav("nav", ValueType::Number, true),
            ],
        },
    };
    let known = known.as_slice();
    let (what, owner, whole) = match &target {
        Target::Customers | Target::Campaign { .. } => (
            "customer attribute".to_owned(),
            CUSTOMER_TYPE.to_owned(),
            true,
        ),
        Target::Events { event } => (
            format!("field of `{event}`"),
            event.clone(),
            plan.event(event).is_some(),
        ),
        Target::Products { catalogue, .. } => (
            format!("attribute of `{catalogue}`"),
            owner_of_items(catalogue),
            plan.catalogues.iter().any(|c| c.name == *catalogue),
        ),
        Target::Environment {
            happens: Happening::Change,
            catalogue,
        } => (
            format!("attribute of `{catalogue}`"),
            owner_of_items(catalogue),
            plan.catalogues.iter().any(|c| c.name == *catalogue),
        ),
        Target::Environment { happens, .. } => (
            match happens {
                Happening::Nav => "field of a net asset value".to_owned(),
                _ => "field of a withdrawal".to_owned(),
            },
            String::new(),
            true,
        ),
    };
    let of_target = Known {
        fields: known,
        what: &what,
        owner: &owner,
        whole,
        declared,
    };
    let context: Vec<Field> = plan
        .slots
        .iter()
        .filter(|s| s.source == SlotSource::Request)
        .map(|s| Field {
            kind: s.kind,
            ..text_field(s.name.strip_prefix("request.").unwrap_or(&s.name))
        })
        .collect();
    let mut fields = sources(root.get("fields"), &of_target, report);
    if matches!(
        target,
        Target::Environment {
            happens: Happening::Nav,
            ..
        }
    ) {
        // A day of valuation is a date: it must not become the day before by being read in a zone.
        for field in &mut fields {
            if let (Source::Column(column), "day") = (&mut field.source, field.field.name.as_str())
            {
                column.zone.get_or_insert_with(|| "UTC".to_owned());
            }
        }
    }
    let generated = generated(root.get("generated"), &fields, known, report);
    if !matches!(target, Target::Customers | Target::Campaign { .. }) {
        required(root, &fields, known, report);
    }
    let of_request = Known {
        fields: &context,
        what: "request field",
        owner: REQUEST_OWNER,
        whole: true,
        declared,
    };
    let request = sources(root.get("request"), &of_request, report);
    let action = root
        .get("action")
        .and_then(|n| action(n, &target, plan, report));
    let mut outcomes = Vec::new();
    for node in root.get("outcomes").map_or(&[][..], Node::elements) {
        let Some(event_node) = node.get("event") else {
            continue;
        };
        event(event_node, plan, declared, report);
        let name = event_node.text().unwrap_or_default();
        let schema = plan.event(name);
        let of_outcome = Known {
            fields: schema.map_or(&[][..], |e| e.fields.as_slice()),
            what: &format!("field of `{name}`"),
            owner: name,
            whole: schema.is_some(),
            declared,
        };
        let fields = sources(node.get("fields"), &of_outcome, report);
        let Some(after_us) = node
            .get("after")
            .map_or(Some(HOUR_US), crate::compile::duration)
        else {
            continue;
        };
        outcomes.push(Outcome {
            event: name.to_owned(),
            when: node.get("when").and_then(|n| when(n, report)),
            after_us,
            fields,
        });
    }
    let time = Field {
        kind: ValueType::Time,
        ..text("occurred_at")
    };
    let mapping = Mapping {
        file: file(root.get("file")),
        event_id: root
            .get("event_id")
            .and_then(|n| source(n, &text("event_id"), report)),
        occurred_at: root
            .get("occurred_at")
            .and_then(|n| source(n, &time, report)),
        when: root.get("when").and_then(|n| when(n, report)),
        id,
        fields,
        request,
        action,
        outcomes,
        generated,
        target,
        zone: plan.default_zone.clone(),
    };
    (report.faults.len() == before).then_some(mapping)
}

/// Attributes that an import may set: all but those that are computed.
fn settable(plan: &ScenePlan, catalogue: &str) -> Vec<Field> {
    let found = plan.catalogues.iter().find(|c| c.name == catalogue);
    found.map_or_else(Vec::new, |c| {
        (c.attributes.iter().enumerate())
            .filter(|(i, _)| !c.measures.as_ref().is_some_and(|m| m.fills(*i)))
            .map(|(_, a)| a.clone())
            .collect()
    })
}

fn of_nav(name: &str, kind: ValueType, required: bool) -> Field {
    Field {
        kind,
        required,
        ..text_field(name)
    }
}

/// Attributes that the mapping says it makes up.
fn generated(
    node: Option<&Node>,
    fields: &[FieldSource],
    known: &[Field],
    report: &mut Reporter<'_>,
) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    if !(known.iter()).any(|f| f.name == GENERATED_ATTRIBUTE && f.kind == ValueType::Text) {
        report.at(
            node.at,
            Code::MissingKey,
            format!("the catalogue has no attribute `{GENERATED_ATTRIBUTE}` to mark them by"),
            format!("declare `{GENERATED_ATTRIBUTE}: {{type: text}}` in the catalogue"),
        );
    }
    let mut out = Vec::new();
    for name in node.elements() {
        let Some(text) = name.text() else { continue };
        if fields.iter().any(|f| f.field.name == text) {
            out.push(text.to_owned());
        } else {
            let names = fields.iter().map(|f| f.field.name.as_str());
            report.unknown(name.at, "field of the mapping", text, names);
        }
    }
    out.sort();
    out.dedup();
    out
}

fn text_field(name: &str) -> Field {
    Field {
        name: name.to_owned(),
        kind: ValueType::Text,
        required: false,
        personal: false,
        currency: None,
        one_of: Vec::new(),
        not_a_feature: None,
    }
}

fn needed<'n>(
    root: &'n Node,
    key: &str,
    into: &str,
    report: &mut Reporter<'_>,
) -> Option<&'n Node> {
    let found = root.get(key);
    if found.is_none() {
        report.at(
            root.at,
            Code::MissingKey,
            format!("a mapping into {into} without `{key}`"),
            format!("write `{key}: name`"),
        );
    }
    found
}

/// Reports an event type that a mapping cannot fill.
fn event(node: &Node, plan: &ScenePlan, declared: &Declared, report: &mut Reporter<'_>) {
    let Some(name) = node.text() else { return };
    match plan.event(name) {
        Some(_) if !name.starts_with("luopan.") => {}
        Some(_) => report.at(
            node.at,
            Code::NotHere,
            format!("`{name}` is written by luopan itself"),
            "name an event type of the scene",
        ),
        None if declared.has("events", name) => {}
        None => {
            let names = plan
                .events
                .iter()
                .map(|e| e.name.as_str())
                .filter(|n| !n.starts_with("luopan."));
            report.unknown(node.at, "type of event", name, names);
        }
    }
}

/// The fields that may be filled here.
struct Known<'k> {
    fields: &'k [Field],
    /// What one is called in messages.
    what: &'k str,
    /// What they are filed under in `declared`.
    owner: &'k str,
    /// True when their owner is known.
    whole: bool,
    declared: &'k Declared,
}

fn sources(node: Option<&Node>, known: &Known<'_>, report: &mut Reporter<'_>) -> Vec<FieldSource> {
    let mut out = Vec::new();
    for (key, value) in node.map_or(&[][..], Node::entries) {
        let Some(field) = known.fields.iter().find(|f| f.name == key.text) else {
            if known.whole && !known.declared.has_field(known.owner, &key.text) {
                let names: Vec<&str> = (known.fields.iter().map(|f| f.name.as_str()))
                    .chain(known.declared.fields_of(known.owner))
                    .collect();
                report.unknown(key.at, known.what, &key.text, names.iter().copied());
            }
            continue;
        };
        if let Some(source) = source(value, field, report) {
            out.push(FieldSource {
                field: field.clone(),
                source,
            });
        }
    }
    out.sort_by(|a, b| a.field.name.cmp(&b.field.name));
    out
}

fn required(root: &Node, fields: &[FieldSource], known: &[Field], report: &mut Reporter<'_>) {
    for field in known.iter().filter(|f| f.required) {
        if !fields.iter().any(|f| f.field.name == field.name)
            && root
                .get("fields")
                .and_then(|n| n.get(&field.name))
                .is_none()
        {
            let at = root.get("fields").map_or(root.at, |n| n.at);
            report.at(
                at,
                Code::MissingKey,
                format!("the required `{}` is not mapped", field.name),
                format!("write `{}: column`", field.name),
            );
        }
    }
}

/// Where a value comes from: a bare text is the name of a column.
fn source(node: &Node, field: &Field, report: &mut Reporter<'_>) -> Option<Source> {
    if let Some(name) = node.scalar() {
        return Some(Source::Column(Column {
            column: name.to_owned(),
            ..Column::default()
        }));
    }
    if let Some(constant) = node.get("constant") {
        return crate::compile::scalar(constant, field, report).map(Source::Constant);
    }
    if let Some(template) = node.get("template") {
        if field.kind != ValueType::Text {
            report.at(
                template.at,
                Code::WrongType,
                format!(
                    "a template for `{}`, which is {}",
                    field.name,
                    field.kind.word()
                ),
                "templates make text; name a column",
            );
            return None;
        }
        return parts(template.scalar()?, template, report).map(Source::Template);
    }
    let name = node.get("column")?.scalar()?;
    let letter = |key: &str| {
        node.get(key)
            .and_then(Node::scalar)
            .and_then(|t| t.chars().next())
    };
    let mut map = std::collections::BTreeMap::new();
    for (Key { text, .. }, value) in node.get("map").map_or(&[][..], Node::entries) {
        let to = value.scalar().unwrap_or_default();
        if field.kind == ValueType::Text
            && !field.one_of.is_empty()
            && !to.is_empty()
            && !field.one_of.iter().any(|w| w == to)
        {
            let near = nearest(to, field.one_of.iter().map(String::as_str));
            report.near(
                value.at,
                Code::OutOfRange,
                format!("`{}` is not a text that `{}` allows", shown(to), field.name),
                format!(
                    "write one of {}",
                    listed(field.one_of.iter().map(String::as_str))
                ),
                near,
            );
        }
        map.insert(
            text.clone(),
            if value.is_null() {
                String::new()
            } else {
                to.to_owned()
            },
        );
    }
    let unit = node.get("unit").and_then(Node::text).and_then(unit_of);
    if let (Some(unit), Some(n)) = (unit, node.get("unit")) {
        let fits = match unit {
            Unit::Major | Unit::Minor => field.kind == ValueType::Money,
            Unit::Percent => field.kind == ValueType::Number,
            Unit::Minutes | Unit::Hours => field.kind == ValueType::Duration,
            Unit::Milliseconds | Unit::Seconds | Unit::Days => {
                matches!(field.kind, ValueType::Duration | ValueType::Time)
            }
        };
        if !fits {
            report.at(
                n.at,
                Code::Conflict,
                format!(
                    "this unit for `{}`, which is {}",
                    field.name,
                    field.kind.word()
                ),
                "leave `unit` out, or write one that fits",
            );
        }
    }
    for key in ["format", "zone"] {
        if let (Some(n), true) = (node.get(key), field.kind != ValueType::Time) {
            report.at(
                n.at,
                Code::Conflict,
                format!(
                    "`{key}` for `{}`, which is {}",
                    field.name,
                    field.kind.word()
                ),
                "only times have it",
            );
        }
    }
    if let (Some(n), ValueType::Time) = (node.get("format"), field.kind)
        && let Some(format) = n.text()
        && let Err(write) = format_of_times(format)
    {
        report.at(
            n.at,
            Code::OutOfRange,
            format!("`{}` cannot be read as a time", shown(format)),
            write,
        );
    }
    if let (Some(n), false) = (node.get("pad"), field.kind == ValueType::Text) {
        report.at(
            n.at,
            Code::Conflict,
            format!("`pad` for `{}`, which is {}", field.name, field.kind.word()),
            "only text has it",
        );
    }
    let numeric = matches!(
        field.kind,
        ValueType::Integer | ValueType::Number | ValueType::Money | ValueType::Duration
    );
    for key in ["decimal", "thousands"] {
        if let (Some(n), false) = (node.get(key), numeric) {
            report.at(
                n.at,
                Code::Conflict,
                format!(
                    "`{key}` for `{}`, which is {}",
                    field.name,
                    field.kind.word()
                ),
                "only numbers have it",
            );
        }
    }
    if letter("decimal").unwrap_or('.') == letter("thousands").unwrap_or('\0') {
        report.at(
            node.at,
            Code::Conflict,
            "one sign separates decimals and thousands",
            "write two different ones",
        );
    }
    Some(Source::Column(Column {
        column: name.to_owned(),
        map,
        missing: node
            .get("missing")
            .map_or(&[][..], Node::elements)
            .iter()
            .filter_map(Node::scalar)
            .map(str::to_owned)
            .collect(),
        decimal: letter("decimal"),
        thousands: letter("thousands"),
        prefix: node.get("prefix").and_then(Node::scalar).map(str::to_owned),
        pad: (node.get("pad").and_then(Node::integer)).and_then(|n| u8::try_from(n).ok()),
        unit,
        format: node.get("format").and_then(Node::text).map(str::to_owned),
        zone: node.get("zone").and_then(Node::text).map(str::to_owned),
    }))
}

/// Whether a format gives a day: a moment written in it must be read back.
fn format_of_times(format: &str) -> Result<(), String> {
    let right = "write directives such as `%Y-%m-%d %H:%M:%S` or `%d.%m.%y`";
    let moment = jiff::civil::date(2026, 11, 23)
        .at(21, 30, 15, 0)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .map_err(|e| e.to_string())?;
    let text = jiff::fmt::strtime::format(format, &moment)
        .map_err(|_| format!("a directive in it is not known; {right}"))?;
    let read = jiff::fmt::strtime::parse(format, &text)
        .map_err(|_| format!("a directive in it cannot be read, only written; {right}"))?;
    if read.to_timestamp().is_ok() || read.to_date().is_ok() {
        return Ok(());
    }
    Err(format!("it gives no year, month and day; {right}"))
}

fn unit_of(word: &str) -> Option<Unit> {
    Some(match word {
        "major" => Unit::Major,
        "minor" => Unit::Minor,
        "percent" => Unit::Percent,
        "milliseconds" => Unit::Milliseconds,
        "seconds" => Unit::Seconds,
        "minutes" => Unit::Minutes,
        "hours" => Unit::Hours,
        "days" => Unit::Days,
        _ => return None,
    })
}

/// `{column}` and `{row}` within text; `{{` and `}}` are braces.
fn parts(text: &str, node: &Node, report: &mut Reporter<'_>) -> Option<Vec<Part>> {
    let mut out = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            literal.push(c);
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some((name, after)) = after.split_once('}') else {
                report.at(
                    node.at,
                    Code::WrongType,
                    "a `{` without its `}`",
                    "write `{column}`, or `{{` for a brace",
                );
                return None;
            };
            if !literal.is_empty() {
                out.push(Part::Text(std::mem::take(&mut literal)));
            }
            out.push(match name.split_once(':') {
                Some(("file", n)) if n.parse::<u8>().is_ok_and(|n| n > 0) => {
                    Part::File(n.parse().ok())
                }
                _ if name == "file" => Part::File(None),
                _ if name == "row" => Part::Row,
                _ => Part::Column(name.to_owned()),
            });
            rest = after;
        } else {
            literal.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    if !literal.is_empty() {
        out.push(Part::Text(literal));
    }
    Some(out)
}

fn when(node: &Node, report: &mut Reporter<'_>) -> Option<When> {
    let mut one_of: Vec<String> = node
        .get("one_of")
        .map_or(&[][..], Node::elements)
        .iter()
        .filter_map(Node::scalar)
        .map(str::to_owned)
        .collect();
    one_of.extend(node.get("equals").and_then(Node::scalar).map(str::to_owned));
    let not = node.get("not").and_then(Node::scalar).map(str::to_owned);
    if one_of.is_empty() && not.is_none() {
        report.at(
            node.at,
            Code::MissingKey,
            "a condition that says nothing",
            "write `equals`, `one_of` or `not`",
        );
    }
    Some(When {
        column: node.get("column")?.scalar()?.to_owned(),
        one_of,
        not,
    })
}

fn action(
    node: &Node,
    target: &Target,
    plan: &ScenePlan,
    report: &mut Reporter<'_>,
) -> Option<Source> {
    let field = text_field("action");
    let source = source(node, &field, report)?;
    if let Target::Campaign {
        policy: Some(policy),
    } = target
        && let Some(policy) = plan.policy(policy)
        && let Some(catalogue) = plan.catalogues.get(usize::from(policy.catalogue))
        && !catalogue.items.is_empty()
    {
        let known = || {
            catalogue
                .items
                .iter()
                .map(|i| i.key.as_str())
                .chain([policy.null_action.name.as_str()])
        };
        for (_, value) in node.get("map").map_or(&[][..], Node::entries) {
            let name = value.scalar().unwrap_or_default();
            if !known().any(|k| k == name) {
                report.near(
                    value.at,
                    Code::UnknownName,
                    format!("no action is called `{}`", shown(name)),
                    format!("there are {}", listed(known())),
                    nearest(name, known()),
                );
            }
        }
    }
    Some(source)
}

fn file(node: Option<&Node>) -> FileFormat {
    let word = |key: &str| node.and_then(|n| n.get(key)).and_then(Node::scalar);
    let letter = |key: &str| word(key).and_then(|t| t.chars().next());
    FileFormat {
        format: match word("format") {
            Some("csv") => Format::Csv,
            Some("jsonl") => Format::Jsonl,
            Some("parquet") => Format::Parquet,
            _ => Format::Auto,
        },
        delimiter: letter("delimiter").unwrap_or(','),
        quote: letter("quote").unwrap_or('"'),
        encoding: match word("encoding") {
            Some("utf-8") => Encoding::Utf8,
            Some("gb18030") => Encoding::Gb18030,
            _ => Encoding::Auto,
        },
    }
}
