//! The way into the environment: what is said of products is looked at through the catalogue's declaration, then stands durably
//! in the log or, with the reason, in quarantine.

use super::fold::{ENVIRONMENT, property};
use crate::Inner;
use crate::api::{
    EVENTS_PER_CALL_MAX, FUTURE_SKEW_US_MAX, IngestReceipt, Outcome, ProductInput, Raw, Refusal,
    RefusalKind, Result, WAIT_US_MAX,
};
use crate::catalogues::same_code;
use crate::intake::{Fault, cut, fault, nearest, typed};
use crate::quarantine;
use crate::scenes::SceneRuntime;
use luopan_kernel::catalogue::KEY_BYTES_MAX;
use luopan_kernel::event::{
    ANNOUNCEMENT_TYPE, Event, NAV_TYPE, Origin, PRODUCT_CHANGED_TYPE, PRODUCT_TYPE,
    PRODUCT_WITHDRAWN_TYPE,
};
use luopan_kernel::id::{DEFAULT_TENANT, IdentifierId, hash128};
use luopan_kernel::plan::{CataloguePlan, Field};
use luopan_kernel::time::{DAY_US, Micros};
use luopan_kernel::value::{TEXT_BYTES_MAX, Value, ValueType};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// First day of which a NAV is taken: 1990-01-01, before there were public funds in the markets this is for.
const FIRST_DAY: i32 = 7_305;
/// Largest NAV of a unit that is taken.
const NAV_MAX: f64 = 1e9;

type Fields = Vec<(Cow<'static, str>, Value<'static>)>;

fn key_of(input: &ProductInput) -> &str {
    match input {
        ProductInput::Set { key, .. }
        | ProductInput::Change { key, .. }
        | ProductInput::Withdraw { key, .. }
        | ProductInput::Nav { key, .. }
        | ProductInput::Announce { key, .. } => key,
    }
}

fn check_key(plan: &CataloguePlan, what: &str, key: &str) -> std::result::Result<(), Fault> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(fault(
            "bad_identifier",
            format!("{what} has {} bytes; write 1 to {KEY_BYTES_MAX}", key.len()),
        ));
    }
    let Some(digits) = plan.key_digits.map(usize::from) else {
        return Ok(());
    };
    if key.len() == digits && key.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    let padded = if key.len() < digits && key.bytes().all(|b| b.is_ascii_digit()) {
        format!("; `{key:0>digits$}` is one, and `pad: {digits}` in a mapping writes it")
    } else {
        String::new()
    };
    Err(fault(
        "bad_identifier",
        format!(
            "{what} is `{}`, which is not a code of {digits} digits{padded}",
            cut(key)
        ),
    ))
}

/// Attributes by name, typed. A change may take a value away, and then it is kept as missing; else what is null is not said.
fn attributes(
    plan: &CataloguePlan,
    given: &[(String, Raw<'static>)],
    is_change: bool,
) -> std::result::Result<Fields, Fault> {
    let mut out: Fields = Vec::with_capacity(given.len());
    for (name, raw) in given {
        let Some(i) = plan.attributes.iter().position(|a| a.name == *name) else {
            let near = nearest(name, plan.attributes.iter().map(|a| a.name.as_str()));
            return Err(fault(
                "unknown_property",
                format!(
                    "catalogue `{}` declares no attribute `{}`{near}",
                    plan.name,
                    cut(name)
                ),
            ));
        };
        let field = &plan.attributes[i];
        if *raw == Raw::Null && (!is_change || plan.measures.as_ref().is_some_and(|m| m.fills(i))) {
            continue;
        }
        if plan.measures.as_ref().is_some_and(|m| m.fills(i)) {
            return Err(fault(
                "unknown_property",
                format!("`{name}` is computed from net asset values; leave it out"),
            ));
        }
        let value = typed(field, raw)?;
        if value.is_missing() && field.required {
            return Err(required(plan, field));
        }
        out.push((Cow::Owned(name.clone()), value.into_owned()));
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(w) = out.windows(2).find(|w| w[0].0 == w[1].0) {
        return Err(fault(
            "duplicate_property",
            format!("`{}` stands twice; write it once", cut(&w[0].0)),
        ));
    }
    if !is_change {
        let has = |f: &Field| out.iter().any(|(n, _)| n.as_ref() == f.name);
        if let Some(field) = plan.attributes.iter().find(|f| f.required && !has(f)) {
            return Err(required(plan, field));
        }
    } else if out.is_empty() {
        return Err(fault(
            "missing_property",
            "a change that names no attribute; name those that change".into(),
        ));
    }
    Ok(out)
}

fn required(plan: &CataloguePlan, field: &Field) -> Fault {
    fault(
        "missing_property",
        format!(
            "catalogue `{}` requires `{}` ({})",
            plan.name,
            field.name,
            field.kind.word()
        ),
    )
}

fn number_field(name: &str) -> Field {
    Field {
        name: name.to_owned(),
        kind: ValueType::Number,
        required: false,
        personal: false,
        currency: None,
        one_of: Vec::new(),
        not_a_feature: None,
    }
}

/// A net asset value: a number above zero.
fn unit(name: &str, raw: &Raw<'_>) -> std::result::Result<Option<f64>, Fault> {
    match typed(&number_field(name), raw)? {
        Value::Number(v) if v > 0.0 && v <= NAV_MAX => Ok(Some(v)),
        Value::Number(v) => Err(fault(
            "out_of_range",
            format!(
                "`{name}` is {v}; a net asset value is above 0 and at most {NAV_MAX:e}: leave a day out on which none was published"
            ),
        )),
        _ => Ok(None),
    }
}

fn text(name: &str, value: &str) -> std::result::Result<Value<'static>, Fault> {
    if value.len() > TEXT_BYTES_MAX {
        return Err(fault(
            "text_too_long",
            format!(
                "`{name}` has {} bytes, the limit is {TEXT_BYTES_MAX}",
                value.len()
            ),
        ));
    }
    Ok(Value::text(value.to_owned()))
}

fn not_ahead(at: Micros, now: Micros, allowed: i64) -> std::result::Result<(), Fault> {
    if at.since(now) > allowed {
        return Err(fault(
            "in_the_future",
            "the day lies in the future; check the sender's clock".into(),
        ));
    }
    Ok(())
}

/// Type, time and properties of what is said, apart from catalogue and key.
fn checked(
    plan: &CataloguePlan,
    input: &ProductInput,
    now: Micros,
) -> std::result::Result<(&'static str, Micros, Fields), Fault> {
    check_key(plan, "the item's key", key_of(input))?;
    let own = |name: &'static str, v: Value<'static>| (Cow::Borrowed(name), v);
    Ok(match input {
        ProductInput::Set { values, .. } => (PRODUCT_TYPE, now, attributes(plan, values, false)?),
        ProductInput::Change { values, .. } => {
            (PRODUCT_CHANGED_TYPE, now, attributes(plan, values, true)?)
        }
        ProductInput::Withdraw {
            key,
            at,
            successor,
            restored,
        } => {
            let at = at.unwrap_or(now);
            not_ahead(at, now, FUTURE_SKEW_US_MAX)?;
            let mut fields = Vec::new();
            if *restored {
                fields.push(own(property::RESTORED, Value::Bool(true)));
            } else if let Some(successor) = successor {
                check_key(plan, "the successor's key", successor)?;
                if successor == key {
                    return Err(fault(
                        "bad_identifier",
                        format!("`{}` cannot take its own place", cut(key)),
                    ));
                }
                fields.push(own(property::SUCCESSOR, text("successor", successor)?));
            }
            (PRODUCT_WITHDRAWN_TYPE, at, fields)
        }
        ProductInput::Nav {
            day,
            nav,
            accumulated,
            ..
        } => {
            let at = Micros(i64::from(*day) * DAY_US);
            if *day < FIRST_DAY {
                return Err(fault(
                    "out_of_range",
                    "the day is before 1990-01-01; check how the date is read".into(),
                ));
            }
            // A day begins earlier east of Greenwich.
            not_ahead(at, now, DAY_US)?;
            let Some(value) = unit("nav", nav)? else {
                return Err(fault(
                    "missing_property",
                    "a net asset value without `nav` (number)".into(),
                ));
            };
            let mut fields = vec![
                own(property::DAY, Value::Int(i64::from(*day))),
                own(property::NAV, Value::Number(value)),
            ];
            if let Some(v) = unit("accumulated", accumulated)? {
                fields.push(own(property::ACCUMULATED, Value::Number(v)));
            }
            (NAV_TYPE, at, fields)
        }
        ProductInput::Announce {
            kind, title, at, ..
        } => {
            let at = at.unwrap_or(now);
            not_ahead(at, now, FUTURE_SKEW_US_MAX)?;
            let fields = vec![
                own(property::KIND, text("kind", kind)?),
                own(property::TEXT, text("text", title)?),
            ];
            (ANNOUNCEMENT_TYPE, at, fields)
        }
    })
}

/// What was said, for people to look at in quarantine.
fn raw_text(catalogue: &str, input: &ProductInput) -> String {
    use serde_json::{Map, Value as Json, json};
    let json = |raw: &Raw<'_>| match raw {
        Raw::Null => Json::Null,
        Raw::Bool(b) => json!(b),
        Raw::Int(i) => json!(i),
        Raw::Number(n) => json!(n),
        Raw::Text(t) => json!(t),
        Raw::Compound(what) => json!(format!("an {what}")),
    };
    let named = |values: &[(String, Raw<'static>)]| -> Map<String, Json> {
        (values.iter())
            .map(|(name, raw)| (name.clone(), json(raw)))
            .collect()
    };
    match input {
        ProductInput::Set { key, values } => json!({ "key": key, "values": named(values) }),
        ProductInput::Change { key, values } => {
            json!({ "type": PRODUCT_CHANGED_TYPE, "catalogue": catalogue, "key": key, "values": named(values) })
        }
        ProductInput::Withdraw {
            key,
            at,
            successor,
            restored,
        } => {
            json!({ "type": PRODUCT_WITHDRAWN_TYPE, "catalogue": catalogue, "key": key, "at": at, "successor": successor, "restored": restored })
        }
        ProductInput::Nav {
            key,
            day,
            nav,
            accumulated,
        } => {
            json!({ "type": NAV_TYPE, "catalogue": catalogue, "key": key, "day": day, "nav": json(nav), "accumulated": json(accumulated) })
        }
        ProductInput::Announce {
            key,
            kind,
            title,
            at,
        } => {
            json!({ "type": ANNOUNCEMENT_TYPE, "catalogue": catalogue, "key": key, "kind": kind, "text": title, "at": at })
        }
    }
    .to_string()
}

impl Inner {
    /// Takes what is said of products in.
    pub(crate) async fn change_products(
        &self,
        scene: &str,
        catalogue: &str,
        inputs: &[ProductInput],
    ) -> Result<IngestReceipt> {
        let name = scene;
        let scene = self.scenes.newest(name)?;
        let (_, plan) = catalogue_of(&scene, catalogue)?;
        if inputs.len() > EVENTS_PER_CALL_MAX {
            return Err(Refusal {
                code: "batch_too_large",
                kind: RefusalKind::TooLarge,
                message: format!(
                    "{} items in one call, the limit is {EVENTS_PER_CALL_MAX}; send several calls",
                    inputs.len()
                ),
            });
        }
        self.refuse_when_behind()?;
        // One at a time: which items there are, and how many, is asked before what makes others of them is appended.
        let _one = self.environment_intake.lock().await;
        let now = self.log_time();
        let mut looked: Vec<_> = (inputs.iter()).map(|i| checked(plan, i, now)).collect();
        self.refuse_unknown(name, plan, inputs, &mut looked).await?;
        let mut outcomes = vec![None; inputs.len()];
        let mut rows = Vec::new();
        let mut events = Vec::new();
        for (i, (input, looked)) in inputs.iter().zip(looked).enumerate() {
            match looked {
                Ok((kind, occurred_at, mut fields)) => {
                    let key = key_of(input);
                    let hash = hash128(format!("{catalogue}/{key}").as_bytes());
                    let id = hash128(format!("{hash}/{kind}/{fields:?}").as_bytes());
                    fields.push((
                        Cow::Borrowed(property::CATALOGUE),
                        Value::text(plan.name.clone()),
                    ));
                    fields.push((Cow::Borrowed(property::KEY), Value::text(key.to_owned())));
                    fields.sort_by(|a, b| a.0.cmp(&b.0));
                    let event = Event {
                        id: Cow::Owned(format!("{id:032x}")),
                        tenant: DEFAULT_TENANT,
                        scene: scene.no,
                        identifier: IdentifierId(hash.to_be_bytes()),
                        kind: Cow::Borrowed(kind),
                        occurred_at,
                        received_at: now,
                        origin: Origin::Import,
                        properties: fields,
                        context: Vec::new(),
                        corrects: None,
                        sealed: Vec::new(),
                    };
                    events.push((i, event));
                }
                Err(f) => {
                    let id = self.env.fresh_id();
                    rows.push(quarantine::write(
                        id,
                        &scene.plan.name,
                        now,
                        f.code,
                        &f.reason,
                        Origin::Import,
                        &raw_text(catalogue, input),
                    ));
                    outcomes[i] = Some(Outcome::Quarantined {
                        quarantine_id: quarantine::id_text(id),
                        code: f.code.to_owned(),
                        reason: f.reason,
                    });
                }
            }
        }
        let quarantined = rows.len() as u64;
        self.commit_quarantine(rows).await?;
        let mut receipt = self
            .append_events(events, &mut outcomes, |_| ENVIRONMENT)
            .await?;
        receipt.quarantined = quarantined;
        receipt.outcomes = outcomes.into_iter().flatten().collect();
        self.counters.accepted(receipt.accepted);
        self.counters.quarantined(quarantined);
        Ok(receipt)
    }

    /// Finds what is said of items that are not there, and items beyond the limit. What waits to be folded is waited for
    /// where the answer depends on it.
    async fn refuse_unknown(
        &self,
        scene: &str,
        plan: &CataloguePlan,
        inputs: &[ProductInput],
        looked: &mut [std::result::Result<(&'static str, Micros, Fields), Fault>],
    ) -> Result<()> {
        let max = self.limits.items_max;
        let mut caught_up = false;
        loop {
            // Of the newest version: the one that was asked for may be superseded while it is waited.
            let (_, _, now) = self.present(scene, &plan.name)?;
            let known = |key: &str| now.find(key).is_some();
            let there = now.len() + now.withdrawn().count();
            let waiting = self.progress.waiting(ENVIRONMENT);
            let mut made: BTreeSet<&str> = BTreeSet::new();
            let mut strangers = false;
            for (input, looked) in inputs.iter().zip(looked.iter()) {
                match input {
                    _ if looked.is_err() => {}
                    ProductInput::Set { key, .. } => {
                        if !known(key) {
                            made.insert(key);
                        }
                    }
                    other => {
                        let key = key_of(other);
                        strangers |= !known(key) && !made.contains(key);
                    }
                }
            }
            let full = there + made.len() + if caught_up { 0 } else { waiting as usize } > max;
            if !caught_up && waiting > 0 && (strangers || full) {
                let mut token = crate::api::PositionToken::default();
                token.include(ENVIRONMENT, self.progress.head(ENVIRONMENT));
                if let Err(e) = self.wait_for(&token, WAIT_US_MAX).await {
                    if e.kind != RefusalKind::Timeout {
                        return Err(e);
                    }
                    return Err(Refusal {
                        code: "fold_lag",
                        kind: RefusalKind::Busy,
                        message: format!(
                            "{waiting} entries about products are not yet folded, and what is asked depends on them; try again in a moment"
                        ),
                    });
                }
                caught_up = true;
                continue;
            }
            let mut made: BTreeSet<&str> = BTreeSet::new();
            for (input, looked) in inputs.iter().zip(looked.iter_mut()) {
                if looked.is_err() {
                    continue;
                }
                let key = key_of(input);
                if known(key) || made.contains(key) {
                    continue;
                }
                if !matches!(input, ProductInput::Set { .. }) {
                    *looked = Err(fault(
                        "unknown_item",
                        format!(
                            "catalogue `{}` has no item `{}`{}; import the item first",
                            plan.name,
                            cut(key),
                            same_code(key, known)
                        ),
                    ));
                } else if there + made.len() >= max {
                    *looked = Err(fault(
                        "too_many_items",
                        format!(
                            "catalogue `{}` has {max} items, which is the limit; leave out what is no longer offered, or split it",
                            plan.name
                        ),
                    ));
                } else {
                    made.insert(key);
                }
            }
            return Ok(());
        }
    }
}

/// The catalogue of this name.
pub(crate) fn catalogue_of<'s>(
    scene: &'s SceneRuntime,
    name: &str,
) -> Result<(u16, &'s CataloguePlan)> {
    let all = &scene.plan.catalogues;
    match all.iter().position(|c| c.name == name) {
        Some(i) => Ok((i as u16, &all[i])),
        None => {
            let near = nearest(name, all.iter().map(|c| c.name.as_str()));
            Err(Refusal {
                code: "unknown_catalogue",
                kind: RefusalKind::NotFound,
                message: format!(
                    "scene `{}` has no catalogue `{}`{near}",
                    scene.plan.name,
                    cut(name)
                ),
            })
        }
    }
}
