//! Traces: spans of the engine and of requests, sent as OTLP (HTTP, protobuf) to a collector that the configuration or the standard
//! variables name. Off until one is named. Spans hold counts, names of scenes and policies, and codes; never an id of a customer.

use async_trait::async_trait;
use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde::Deserialize;
use std::time::Duration;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

/// Path of traces below the address of a collector.
const PATH: &str = "/v1/traces";
/// Longest time for a collector to take what is sent, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Most bytes of a collector's answer that are read.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// What the program calls itself, unless `OTEL_SERVICE_NAME` or the configuration says otherwise.
const SERVICE: &str = "luopan";

/// What `luopan.toml` says of traces. The standard variables win over it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    /// Address of the collector, `http://HOST:4318`; none are sent when neither this nor a variable names one.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// What this program is called in them.
    #[serde(default)]
    pub service: Option<String>,
    /// Which share of the traces that begin here is sent, 0 to 1; all when left out. One that a caller began is followed as
    /// the caller says.
    #[serde(default)]
    pub share: Option<f64>,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.trim().is_empty())
}

/// The variable for traces, else the one for everything.
fn either(name: &str) -> Option<String> {
    variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))
        .or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{name}")))
}

/// An address as it may be shown: without what stands before the host, which may hold a password.
fn shown(address: &str) -> String {
    match (address.find("//"), address.rfind('@')) {
        (Some(a), Some(b)) if a < b => format!("{}{}", &address[..a + 2], &address[b + 1..]),
        _ => address.to_owned(),
    }
}

/// The address below which a collector takes traces.
fn below(base: &str) -> String {
    format!("{}{PATH}", base.trim_end_matches('/'))
}

impl Traces {
    /// Where traces go; none when they are not sent.
    fn address(&self) -> Option<String> {
        let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"))
            || variable("OTEL_TRACES_EXPORTER").is_some_and(|v| v == "none");
        if is_off {
            return None;
        }
        variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            .or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT").map(|base| below(&base)))
            .or_else(|| self.endpoint.as_deref().map(below))
    }

    /// The export that is asked for, if any.
    pub(super) fn export(&self) -> Result<Option<Export>, String> {
        let Some(address) = self.address() else {
            return Ok(None);
        };
        if let Some(protocol) = either("PROTOCOL")
            && protocol != "http/protobuf"
        {
            return Err(format!(
                "the protocol `{protocol}` is not spoken here; write `http/protobuf`, and the collector's address for it (port 4318)"
            ));
        }
        let share = self.share.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&share) {
            return Err(format!("`share` is {share}; write 0 to 1"));
        }
        let uri: axum::http::Uri = (address.parse()).map_err(|e| {
            format!(
                "`{}` is no address ({e}); write http://HOST:4318",
                shown(&address)
            )
        })?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            return Err(format!(
                "`{}` cannot be sent to; write http://HOST:4318 of a collector nearby, which may send on over TLS",
                shown(&address)
            ));
        }
        let time = either("TIMEOUT")
            .and_then(|ms| ms.parse().ok())
            .map_or(TIME_MAX, Duration::from_millis);
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new(time))
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&address)
            .build()
            .map_err(|e| e.to_string())?;
        let mut resource = Resource::builder();
        if variable("OTEL_SERVICE_NAME").is_none() {
            let name = self.service.clone().unwrap_or_else(|| SERVICE.to_owned());
            resource = resource.with_service_name(name);
        }
        let version =
            opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION").to_owned());
        let mut provider = SdkTracerProvider::builder()
            .with_resource(resource.with_attribute(version).build())
            .with_batch_exporter(exporter);
        if variable("OTEL_TRACES_SAMPLER").is_none() {
            let own = Sampler::TraceIdRatioBased(share);
            provider = provider.with_sampler(Sampler::ParentBased(Box::new(own)));
        }
        Ok(Some(Export {
            provider: provider.build(),
            address: shown(&address),
        }))
    }
}

/// Spans on their way to a collector, in batches, from a thread of their own.
#[derive(Debug)]
pub struct Export {
    provider: SdkTracerProvider,
    address: String,
}

impl Export {
    pub(super) fn endpoint(&self) -> &str {
        &self.address
    }

    /// The layer that makes spans of this program into traces.
    pub(super) fn layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        let ours = Targets::new().with_target("luopan", LevelFilter::DEBUG);
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("luopan"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(ours)
            .boxed()
    }

    /// Sends what is left.
    pub(super) fn end(self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(target: "luopan", %error, "the last traces could not be sent");
        }
    }
}

/// Carries batches to the collector, on the exporter's thread.
#[derive(Debug)]
struct Client(ureq::Agent);

impl Client {
    fn new(time: Duration) -> Self {
        let settings = ureq::Agent::config_builder()
            .timeout_global(Some(time))
            .http_status_as_error(false)
            .build();
        Self(settings.into())
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let answer = self.0.run(Request::from_parts(parts, body.to_vec()))?;
        let (parts, mut body) = answer.into_parts();
        let bytes = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        Ok(Response::from_parts(parts, bytes.into()))
    }
}

/// Makes `span` a child of the caller's, when the request's headers name one (`traceparent`, W3C Trace Context).
pub(crate) fn follow(span: &Span, headers: &HeaderMap) {
    if span.is_disabled() || !headers.contains_key("traceparent") {
        return;
    }
    let caller = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    if caller.span().span_context().is_valid() {
        // Without a collector there is nothing to be a child in.
        let _ = span.set_parent(caller);
    }
}

/// The span as callers may look it up: `VERSION-TRACE-SPAN-FLAGS`, as a `traceparent` is written; none when it is not traced.
pub(crate) fn told(span: &Span) -> Option<HeaderValue> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let at = span.span_context();
    let text = || {
        let flags = at.trace_flags().to_u8();
        format!("00-{}-{}-{flags:02x}", at.trace_id(), at.span_id())
    };
    at.is_valid()
        .then(|| HeaderValue::from_str(&text()).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_go_below_the_address_and_nowhere_else() {
        assert_eq!(below("http://c:4318"), "http://c:4318/v1/traces");
        assert_eq!(below("http://c:4318/otel/"), "http://c:4318/otel/v1/traces");
        let of = |endpoint: &str, share| Traces {
            endpoint: Some(endpoint.to_owned()),
            service: None,
            share,
        };
        assert_eq!(shown("http://me:s3cret@c:4318/v1"), "http://c:4318/v1");
        assert!(Traces::default().export().unwrap().is_none());
        for (traces, wanted) in [
            (of("https://c:4318", None), "write http://HOST:4318"),
            (of("c", None), "no address"),
            (of("http://c d", None), "no address"),
            (of("http://c:4318", Some(1.5)), "`share` is 1.5"),
        ] {
            let why = traces.export().unwrap_err();
            assert!(why.contains(wanted), "{why}");
        }
    }
}
