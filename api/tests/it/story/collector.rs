//! An OpenTelemetry collector that keeps the spans it is sent (OTLP over HTTP).

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1,
};
use prost::Message;
use tokio::net::TcpListener;

use crate::scene::eventually;

/// A span as it came.
#[derive(Debug, Clone)]
pub struct Span {
    pub service: String,
    pub name: String,
    pub kind: v1::span::SpanKind,
    pub trace: String,
    pub id: String,
    pub parent: String,
}

#[derive(Clone, Default)]
pub struct Collector {
    bodies: Arc<Mutex<Vec<Bytes>>>,
}

impl Collector {
    pub async fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let collector = Self::default();
        let bodies = collector.bodies.clone();
        let keep = async move |body: Bytes| bodies.lock().unwrap().push(body);
        let routes = Router::new().route("/v1/traces", post(keep));
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        (collector, address)
    }

    /// Everything that came, as it came.
    pub fn bytes(&self) -> Vec<u8> {
        self.bodies.lock().unwrap().concat()
    }

    pub fn spans(&self) -> Vec<Span> {
        let bodies = self.bodies.lock().unwrap().clone();
        let requests = bodies.into_iter().map(|body| ExportTraceServiceRequest::decode(body).unwrap());
        requests.flat_map(|request| request.resource_spans).flat_map(spans_of).collect()
    }

    /// The first span of this name, once it has come.
    pub async fn span(&self, name: &str) -> Span {
        eventually(name, async || self.spans().into_iter().find(|span| span.name == name)).await
    }
}

fn spans_of(resource: v1::ResourceSpans) -> Vec<Span> {
    let service = resource.resource.map(|resource| service_of(&resource.attributes)).unwrap_or_default();
    let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
    spans
        .map(|span| Span {
            service: service.clone(),
            kind: span.kind(),
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            name: span.name,
        })
        .collect()
}

fn service_of(attributes: &[KeyValue]) -> String {
    let name = attributes.iter().find(|attribute| attribute.key == "service.name");
    match name.and_then(|name| name.value.clone()?.value) {
        Some(Value::StringValue(name)) => name,
        _ => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
