//! A decision as it is asked for, over HTTP and on the command line: its shape, and the hash that tells whether two requests
//! under one idempotency key are the same.

use crate::incoming::{Fields, owned};
use crate::problem::{Problem, Result};
use luopan_engine::api::{DecideRequest, PositionToken, Raw, WAIT_US_MAX};
use luopan_kernel::catalogue::KEY_BYTES_MAX;
use luopan_kernel::event::Origin;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Wait for `at_least` when the caller names none, in milliseconds.
pub const WAIT_MS_DEFAULT: u64 = 1_000;

/// A request for a decision.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DecisionRequest)]
pub struct DecisionBody {
    /// Scene; may be left out when only one is applied, or when the query (`?scene=`) or the header `X-Luopan-Scene` names it.
    scene: Option<String>,
    /// Policy of the scene.
    #[schema(example = "learned")]
    policy: String,
    /// The customer, as the sender of events names them, 1 to 128 bytes.
    #[schema(min_length = 1, max_length = 128, example = "customer-42")]
    customer: String,
    /// Fields of the request, as the scene declares them; rules read them as `request.NAME`. Money is an integer of minor
    /// units: 1250 for 12.50 CNY.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    context: Context,
    /// The decision must have seen the log up to here: the `position` of an answer of `/v1/events`.
    #[schema(example = "17:204")]
    at_least: Option<String>,
    /// How long to wait for `at_least`, in milliseconds; 1,000 when left out, at most 30,000.
    wait_ms: Option<u64>,
    /// `live` (default), `simulated` or `dry_run`. Only `live` spends and contacts on the live ledger.
    origin: Option<String>,
    /// Positions of the slate, 1 or more, when fewer than the policy's; what is more than the policy's is cut to it.
    #[schema(minimum = 1)]
    slots: Option<u32>,
    /// The one item that is asked for: chosen when it is available, otherwise nothing is, and the answer says what refused it.
    /// So an order that the customer places by herself is checked.
    #[schema(min_length = 1, max_length = 128)]
    item: Option<String>,
    /// The same key gives the first decision again, 1 to 128 bytes.
    idempotency_key: Option<String>,
}

/// Named values, borrowing nothing.
#[derive(Debug, Default)]
struct Context(Vec<(String, Raw<'static>)>);

impl<'de> Deserialize<'de> for Context {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        let fields = Fields::deserialize(d)?.0;
        Ok(Self(
            fields
                .into_iter()
                .map(|(name, value)| (name.into_owned(), owned(value)))
                .collect(),
        ))
    }
}

impl DecisionBody {
    /// The scene that the request names.
    #[must_use]
    pub fn scene(&self) -> Option<&str> {
        self.scene.as_deref()
    }

    /// The request for the engine. `key`: an idempotency key that came beside the body.
    ///
    /// # Errors
    /// What is not of its form: `at_least`, `wait_ms`, `origin`, `slots`, a field named twice, two different keys.
    pub fn request(self, scene: String, key: Option<&str>) -> Result<DecideRequest> {
        let wrong = |detail: String| Problem::new("malformed_request", detail);
        let origin = match self.origin.as_deref() {
            None => Origin::Live,
            Some(word) => match crate::answer::origin(word) {
                Some(Origin::Import) | None => {
                    return Err(wrong(format!(
                        "`{word}` is no origin of a decision; write `live`, `simulated` or `dry_run`"
                    )));
                }
                Some(origin) => origin,
            },
        };
        let at_least: PositionToken = match self.at_least.as_deref() {
            None => PositionToken::default(),
            Some("") => {
                return Err(wrong(
                    "`at_least` is empty: no event was accepted there, so there is nothing to have seen; leave it out".into(),
                ));
            }
            Some(text) => text
                .parse()
                .map_err(|e| wrong(format!("`at_least`: {e}")))?,
        };
        let wait_us = wait_us(self.wait_ms.unwrap_or(WAIT_MS_DEFAULT))?;
        if self.slots == Some(0) {
            return Err(wrong(
                "`slots` is 0; write 1 or more, or leave it out for all positions of the policy"
                    .into(),
            ));
        }
        if let Some(item) = &self.item
            && (item.is_empty() || item.len() > KEY_BYTES_MAX)
        {
            return Err(wrong(format!(
                "`item` has {} bytes; write the key of one item, 1 to {KEY_BYTES_MAX} bytes, or leave it out",
                item.len()
            )));
        }
        let idempotency_key = match (self.idempotency_key, key) {
            (Some(a), Some(b)) if a != b => {
                return Err(wrong("the header `Idempotency-Key` and the member `idempotency_key` differ; write one of them".into()));
            }
            (Some(a), _) => Some(a),
            (None, b) => b.map(str::to_owned),
        };
        let mut context = self.context.0;
        context.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some(twice) = context.windows(2).find(|w| w[0].0 == w[1].0) {
            return Err(wrong(format!(
                "`context` names `{}` twice; write it once",
                twice[0].0
            )));
        }
        let body_hash = hash(
            &scene,
            &self.policy,
            &self.customer,
            origin,
            self.slots,
            &context,
        );
        Ok(DecideRequest {
            scene,
            policy: self.policy,
            customer: self.customer,
            idempotency_key,
            body_hash,
            context,
            at_least,
            wait_us,
            origin,
            slots: self.slots,
            item: self.item,
        })
    }
}

/// A wait in microseconds.
///
/// # Errors
/// It is longer than anybody is kept waiting.
pub fn wait_us(wait_ms: u64) -> Result<i64> {
    let most = WAIT_US_MAX.unsigned_abs() / 1_000;
    if wait_ms > most {
        return Err(Problem::new(
            "malformed_request",
            format!("`wait_ms` is {wait_ms}, at most {most} are waited"),
        )
        .with("limit", most));
    }
    Ok(i64::try_from(wait_ms * 1_000).unwrap_or(WAIT_US_MAX))
}

/// Hash of everything that the decision depends on. Waiting is no part of it, and neither is the order of members: a caller
/// that asks again may wait differently and write differently.
fn hash(
    scene: &str,
    policy: &str,
    customer: &str,
    origin: Origin,
    slots: Option<u32>,
    context: &[(String, Raw<'static>)],
) -> [u8; 32] {
    let context: Vec<Value> = context
        .iter()
        .map(|(name, value)| json!([name, raw_json(value)]))
        .collect();
    let whole = json!([
        "luopan.decide.1",
        scene,
        policy,
        customer,
        origin.word(),
        slots,
        context
    ]);
    Sha256::digest(whole.to_string().as_bytes()).into()
}

/// A raw value as JSON.
pub(crate) fn raw_json(raw: &Raw<'_>) -> Value {
    match raw {
        Raw::Null => Value::Null,
        Raw::Bool(v) => (*v).into(),
        Raw::Int(v) => (*v).into(),
        Raw::Number(v) => (*v).into(),
        Raw::Text(v) => v.as_ref().into(),
        Raw::Compound(what) => json!({ "luopan.compound": what }),
    }
}

/// The request that the words of a command line make.
#[derive(Debug, Clone, Default)]
pub struct Words {
    /// Policy.
    pub policy: String,
    /// Customer.
    pub customer: String,
    /// `NAME=VALUE`, the value as JSON or else as text.
    pub context: Vec<String>,
    /// Origin.
    pub origin: Option<String>,
    /// Positions of the slate.
    pub slots: Option<u32>,
    /// The one item that is asked for.
    pub item: Option<String>,
    /// Idempotency key.
    pub key: Option<String>,
}

impl Words {
    /// The request as a body.
    ///
    /// # Errors
    /// A context entry without `=`.
    pub fn body(self) -> Result<DecisionBody> {
        let mut context = Vec::with_capacity(self.context.len());
        for entry in &self.context {
            let Some((name, value)) = entry.split_once('=') else {
                return Err(Problem::new(
                    "command_line",
                    format!("`{entry}` is no context; write NAME=VALUE"),
                ));
            };
            let value = serde_json::from_str::<crate::incoming::RawJson<'_>>(value)
                .map_or_else(|_| Raw::Text(value.to_owned().into()), |raw| owned(raw.0));
            context.push((name.to_owned(), value));
        }
        Ok(DecisionBody {
            policy: self.policy,
            customer: self.customer,
            context: Context(context),
            origin: self.origin,
            slots: self.slots,
            item: self.item,
            idempotency_key: self.key,
            ..DecisionBody::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> DecideRequest {
        serde_json::from_str::<DecisionBody>(text)
            .unwrap()
            .request("s".into(), None)
            .unwrap()
    }

    #[test]
    fn the_hash_sees_what_matters_and_nothing_else() {
        let one = request(r#"{"policy":"p","customer":"c","context":{"a":1,"b":"x"}}"#);
        let same = request(
            r#"{"customer":"c","policy":"p","context":{"b":"x","a":1},"wait_ms":5,"at_least":"3:1"}"#,
        );
        assert_eq!(one.body_hash, same.body_hash);
        for other in [
            r#"{"policy":"p","customer":"c","context":{"a":2,"b":"x"}}"#,
            r#"{"policy":"p","customer":"d","context":{"a":1,"b":"x"}}"#,
            r#"{"policy":"p","customer":"c","context":{"a":1,"b":"x"},"origin":"dry_run"}"#,
            r#"{"policy":"p","customer":"c","context":{"a":1,"b":"x"},"slots":2}"#,
        ] {
            assert_ne!(one.body_hash, request(other).body_hash);
        }
    }

    #[test]
    fn what_is_not_of_its_form_is_said() {
        let refused = |text: &str| {
            let body: DecisionBody = serde_json::from_str(text).unwrap();
            body.request("s".into(), Some("k")).unwrap_err().detail
        };
        assert!(
            refused(r#"{"policy":"p","customer":"c","at_least":"x"}"#)
                .contains("PARTITION:POSITION")
        );
        assert!(refused(r#"{"policy":"p","customer":"c","wait_ms":30001}"#).contains("30000"));
        assert!(refused(r#"{"policy":"p","customer":"c","at_least":""}"#).contains("leave it out"));
        assert!(refused(r#"{"policy":"p","customer":"c","slots":0}"#).contains("1 or more"));
        assert!(refused(r#"{"policy":"p","customer":"c","origin":"import"}"#).contains("dry_run"));
        assert!(
            refused(r#"{"policy":"p","customer":"c","idempotency_key":"other"}"#)
                .contains("differ")
        );
        assert!(
            refused(r#"{"policy":"p","customer":"c","context":{"a":1,"a":2}}"#)
                .contains("`a` twice")
        );
    }
}
