//! The front ends that `console/` is built into: `/console`, the page to try it on, and their files.
//!
//! The build is committed in `assets/web` and part of the program. Files carry a hash of what is in them in their
//! names and never change; pages are asked for anew each time, and answered with 304 where they are known.

use std::sync::LazyLock;

use axum::{
    Router,
    extract::Path,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use include_dir::{Dir, File, include_dir};
use sha2::{Digest, Sha256};

use crate::{App, edge::error::ApiError};

static BUILT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/assets/web");
static CONSOLE: LazyLock<Page> = LazyLock::new(|| Page::of(include_bytes!("../assets/web/console.html")));
static TRY: LazyLock<Page> = LazyLock::new(|| Page::of(include_bytes!("../assets/web/try.html")));

/// Nothing from elsewhere, nothing inline, no frame around it, and no form that is sent by the browser itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

pub(crate) fn routes() -> Router<App> {
    // The operators' page reads from its own address which view to show.
    let console = |headers: HeaderMap| async move { CONSOLE.answer(&headers) };
    let asset = |Path(name): Path<String>| async move { asset(&name) };
    Router::new()
        .route("/console", get(console))
        .route("/console/", get(console))
        .route("/console/{*view}", get(console))
        .route("/assets/{file}", get(asset))
}

/// Whether it's a browser that wants to show something to somebody.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

/// The page to try the product on, for development.
pub(crate) fn try_page(headers: &HeaderMap) -> Response {
    TRY.answer(headers)
}

/// A page, and what it holds in a word.
struct Page {
    html: &'static [u8],
    tag: String,
}

impl Page {
    fn of(html: &'static [u8]) -> Self {
        let digest = Sha256::digest(html);
        let head = digest.iter().take(8).fold(0_u64, |head, byte| (head << 8) | u64::from(*byte));
        Self { html, tag: format!("\"{head:016x}\"") }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let mut response = if knows(headers, &self.tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], self.html).into_response()
        };
        response.headers_mut().extend([
            (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (VARY, HeaderValue::from_static("accept")),
        ]);
        if let Ok(tag) = HeaderValue::from_str(&self.tag) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}

/// A file of the pages. It is looked up among the names of the build, so it leads nowhere else.
fn asset(name: &str) -> Response {
    let Some(file) = BUILT.get_file(format!("assets/{name}")) else {
        return ApiError::not_found("file").into_response();
    };
    let about = [
        (CONTENT_TYPE, HeaderValue::from_static(media_type(file))),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (about, file.contents()).into_response()
}

/// Whether the client has it already.
fn knows(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given
        .flat_map(|tags| tags.split(','))
        .map(str::trim)
        .any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag)
}

fn media_type(file: &File<'_>) -> &'static str {
    match file.path().extension().and_then(|extension| extension.to_str()) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
