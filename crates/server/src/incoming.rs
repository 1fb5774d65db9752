//! JSON text to events, borrowing from the text: the hot path of intake. Nothing is copied but strings with escapes, and no
//! tree of values is built. What cannot be read as an event is said with a reason and goes to quarantine; nothing here
//! knows which types or properties are declared.

use crate::time;
use luopan_engine::api::{EVENT_BYTES_MAX, Incoming, Input, Raw, Unreadable};
use luopan_kernel::time::Micros;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// An event as the API takes it.
#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an event: an object with `id`, `customer`, `type`"
)]
struct EventJson<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    customer: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    occurred_at: Option<Moment>,
    #[serde(borrow, default)]
    properties: Fields<'a>,
    #[serde(borrow, default)]
    context: Fields<'a>,
    #[serde(borrow, default)]
    corrects: Option<Cow<'a, str>>,
}

/// A time as text or as integer microseconds.
#[derive(Debug)]
pub(crate) struct Moment(pub(crate) Micros);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Of;
        impl Visitor<'_> for Of {
            type Value = Moment;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time: RFC 3339 text with a zone, or integer microseconds since 1970")
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Moment, E> {
                time::parse(v).map(Moment).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Moment, E> {
                Ok(Moment(Micros(v)))
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Moment, E> {
                i64::try_from(v)
                    .map(|v| Moment(Micros(v)))
                    .map_err(|_| E::custom("microseconds since 1970 of at most 64 bits are wanted"))
            }
        }
        d.deserialize_any(Of)
    }
}

/// Named values in the order of the text.
#[derive(Default)]
pub(crate) struct Fields<'a>(pub(crate) Vec<(Cow<'a, str>, Raw<'a>)>);

struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> Visitor<'de> for Of {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E: de::Error>(self, v: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(v)))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(v.to_owned())))
            }
        }
        d.deserialize_str(Of)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> Visitor<'de> for Of {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of named values")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Fields<'de>, E> {
                Ok(Fields::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut out = Vec::with_capacity(8);
                while let Some(name) = map.next_key::<Name<'de>>()? {
                    out.push((name.0, map.next_value::<RawJson<'de>>()?.0));
                }
                Ok(Fields(out))
            }
        }
        d.deserialize_any(Of)
    }
}

/// One JSON value as a [`Raw`].
pub(crate) struct RawJson<'a>(pub(crate) Raw<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for RawJson<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> Visitor<'de> for Of {
            type Value = RawJson<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_borrowed_str<E: de::Error>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(RawJson(Raw::Text(Cow::Borrowed(v))))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Self::Value, E> {
                Ok(RawJson(Raw::Text(Cow::Owned(v.to_owned()))))
            }
            fn visit_bool<E: de::Error>(self, v: bool) -> Result<Self::Value, E> {
                Ok(RawJson(Raw::Bool(v)))
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Self::Value, E> {
                Ok(RawJson(Raw::Int(v)))
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Self::Value, E> {
                Ok(RawJson(
                    i64::try_from(v).map_or(Raw::Number(v as f64), Raw::Int),
                ))
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Self::Value, E> {
                Ok(RawJson(Raw::Number(v)))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(RawJson(Raw::Null))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(RawJson(Raw::Compound("object")))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(RawJson(Raw::Compound("array")))
            }
        }
        d.deserialize_any(Of)
    }
}

/// The same value, borrowing nothing.
pub(crate) fn owned(raw: Raw<'_>) -> Raw<'static> {
    match raw {
        Raw::Null => Raw::Null,
        Raw::Bool(v) => Raw::Bool(v),
        Raw::Int(v) => Raw::Int(v),
        Raw::Number(v) => Raw::Number(v),
        Raw::Text(v) => Raw::Text(Cow::Owned(v.into_owned())),
        Raw::Compound(what) => Raw::Compound(what),
    }
}

/// The same event, borrowing nothing.
pub(crate) fn kept(event: Incoming<'_>) -> Incoming<'static> {
    let text = |t: Cow<'_, str>| Cow::Owned(t.into_owned());
    let fields = |fields: Vec<(Cow<'_, str>, Raw<'_>)>| {
        let kept = fields
            .into_iter()
            .map(|(name, value)| (text(name), owned(value)));
        kept.collect()
    };
    Incoming {
        id: text(event.id),
        customer: text(event.customer),
        kind: text(event.kind),
        occurred_at: event.occurred_at,
        properties: fields(event.properties),
        context: fields(event.context),
        corrects: event.corrects.map(text),
        raw: text(event.raw),
    }
}

/// The first `bytes` of a text at most, cut between characters.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let mut end = bytes;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What is wrong with JSON, in words for whoever wrote it: the parser's own where they are plain. `text` is what was read.
pub(crate) fn said(error: &serde_json::Error, text: &str) -> String {
    let whole = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let words = plain(whole.strip_suffix(&place).unwrap_or(&whole));
    match (error.line(), text.trim_ascii().contains('\n')) {
        (0, _) => words,
        (_, false) => format!("{words} (column {})", error.column()),
        (line, true) => format!("{words} (line {line}, column {})", error.column()),
    }
}

/// Words of a parser without its types.
pub(crate) fn plain(words: &str) -> String {
    if words.starts_with("EOF while parsing") {
        return "the JSON ends in the middle; send all of it".to_owned();
    }
    let whole = match words {
        "expected value" | "expected ident" => {
            Some("this is no JSON value; text goes in double quotes")
        }
        "trailing characters" => Some("more follows after the end of the JSON; send one value"),
        "trailing comma" => Some("a comma stands before the end; leave it out"),
        "key must be a string" => Some("a name of a member goes in double quotes"),
        "recursion limit exceeded" => Some("the JSON is nested too deeply"),
        "invalid digit found in string"
        | "cannot parse integer from empty string"
        | "number too large to fit in target type" => Some("write a whole number of 0 or more"),
        _ => None,
    };
    if let Some(whole) = whole {
        return whole.to_owned();
    }
    let Some((found, wanted)) = words.rsplit_once(", expected ") else {
        return words.to_owned();
    };
    let wanted = match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of 0 or more",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f64" => "a number",
        "a string" | "a borrowed string" | "string" => "text (a string)",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        w if w.starts_with("struct ") => "an object",
        w => w,
    };
    let found = found
        .strip_prefix("invalid type: ")
        .or(found.strip_prefix("invalid value: "))
        .map_or_else(|| found.to_owned(), |f| format!("found {f}"));
    format!("{found}, expected {wanted}")
}

/// Reads one event from the text of one JSON object.
pub fn event(text: &str) -> Input<'_> {
    if text.len() > EVENT_BYTES_MAX {
        return Err(too_large(text));
    }
    // An array would be read as the members in their order.
    if text.trim_ascii_start().starts_with('[') && serde_json::from_str::<IgnoredAny>(text).is_ok()
    {
        return Err(Unreadable {
            raw: Cow::Borrowed(text),
            code: "malformed_event",
            reason: "found an array; an event is an object with `id`, `customer` and `type`"
                .to_owned(),
        });
    }
    match serde_json::from_str::<EventJson<'_>>(text) {
        Ok(e) => Ok(Incoming {
            id: e.id,
            customer: e.customer,
            kind: e.kind,
            occurred_at: e.occurred_at.map(|m| m.0),
            properties: e.properties.0,
            context: e.context.0,
            corrects: e.corrects,
            raw: Cow::Borrowed(text),
        }),
        Err(error) => Err(Unreadable {
            raw: Cow::Borrowed(text),
            code: if error.is_data() {
                "malformed_event"
            } else {
                "malformed_json"
            },
            reason: said(&error, text),
        }),
    }
}

/// Reads one event from a line of bytes: a line that is not UTF-8 is kept as well as it can be, for people to look at.
pub fn line(bytes: &[u8]) -> Input<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) => event(text),
        Err(fault) => {
            let at = fault.valid_up_to();
            let shown = &bytes[..bytes.len().min(EVENT_BYTES_MAX)];
            let raw = String::from_utf8_lossy(shown);
            Err(Unreadable {
                raw: Cow::Owned(cut(&raw, EVENT_BYTES_MAX).to_owned()),
                code: "not_utf8",
                reason: format!(
                    "byte {at} of the line (0x{:02x}) is not UTF-8; send UTF-8",
                    bytes.get(at).copied().unwrap_or_default()
                ),
            })
        }
    }
}

/// An event over the limit, cut to it.
pub fn too_large(text: &str) -> Unreadable<'_> {
    Unreadable {
        raw: Cow::Borrowed(cut(text, EVENT_BYTES_MAX)),
        code: "event_too_large",
        reason: format!(
            "the event has {} bytes, an event may have {EVENT_BYTES_MAX}; send less, or refer to large content by its address",
            text.len()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(text: &str) -> &'static str {
        event(text).map_or_else(|u| u.code, |_| "read")
    }

    #[test]
    fn an_event_is_read_without_copying() {
        let text = r#"{"id":"e1","customer":"c1","type":"visit","occurred_at":"2026-11-22T08:00:00+08:00","properties":{"a":1,"b":-2.5,"c":"x","d":null,"e":true,"f":[1,{"g":2}],"h":18446744073709551615,"i":"\n"},"context":{"page":"home"},"corrects":"e0"}"#;
        let e = event(text).unwrap();
        assert!(matches!(e.id, Cow::Borrowed("e1")));
        assert_eq!(e.occurred_at, Some(Micros(1_795_305_600_000_000)));
        assert_eq!(e.properties[0], ("a".into(), Raw::Int(1)));
        assert_eq!(e.properties[1].1, Raw::Number(-2.5));
        assert!(matches!(e.properties[2].1, Raw::Text(Cow::Borrowed("x"))));
        assert_eq!(e.properties[3].1, Raw::Null);
        assert_eq!(e.properties[5].1, Raw::Compound("array"));
        assert_eq!(e.properties[6].1, Raw::Number(18_446_744_073_709_551_615.0));
        assert_eq!(e.properties[7].1, Raw::Text("\n".into()));
        assert_eq!(e.corrects.as_deref(), Some("e0"));
    }

    #[test]
    fn what_is_no_event_says_why() {
        assert_eq!(code(r#"{"id":"e1""#), "malformed_json");
        assert_eq!(code("nonsense"), "malformed_json");
        assert_eq!(code("[]"), "malformed_event");
        assert_eq!(code(r#"{"id":"e1","customer":"c"}"#), "malformed_event");
        assert_eq!(
            code(r#"{"id":7,"customer":"c","type":"t"}"#),
            "malformed_event"
        );
        let typo = event(r#"{"id":"e","customer":"c","type":"t","propertys":{}}"#).unwrap_err();
        assert!(typo.reason.contains("propertys") && typo.reason.contains("properties"));
        let local = r#"{"id":"e","customer":"c","type":"t","occurred_at":"2026-11-22 08:00"}"#;
        assert!(event(local).unwrap_err().reason.contains("RFC 3339"));
        let large = format!(r#"{{"id":"{}"}}"#, "x".repeat(2 << 20));
        let refused = event(&large).unwrap_err();
        assert_eq!(refused.code, "event_too_large");
        assert_eq!(refused.raw.len(), EVENT_BYTES_MAX);
        let array = event(r#"["a","c","visit"]"#).unwrap_err();
        assert_eq!(array.code, "malformed_event");
        assert!(array.reason.contains("found an array"), "{}", array.reason);
        let cut = event(r#"{"id":"e","#).unwrap_err();
        assert_eq!(
            cut.reason,
            "the JSON ends in the middle; send all of it (column 10)"
        );
        let torn = line(b"{\"id\":\"\xff\"}").unwrap_err();
        assert_eq!(torn.code, "not_utf8");
        assert!(torn.raw.contains('\u{fffd}'));
        let deep = format!(
            r#"{{"id":"e","customer":"c","type":"t","properties":{{"a":{}}}}}"#,
            "[".repeat(100_000)
        );
        assert_eq!(code(&deep), "malformed_json");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_input(bytes: Vec<u8>) {
            let _ = line(&bytes);
        }
    }
}
