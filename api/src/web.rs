//! The front ends that `console/` is built into: `/console`, the page to try it on, and their files.
//!
//! The build is committed in `assets/web` and part of the program. Files carry a hash of what is in them in their
//! names and never change; pages are asked for anew each time, and answered with 304 where they are known.

use axum::{
    Router,
    extract::Path,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use include_dir::{Dir, File, include_dir};
use sha2::{Digest, Sha256};

use crate::{App, edge::error::ApiError};

static BUILT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/assets/web");

/// Nothing from elsewhere, nothing inline, no frame around it, and no form that is sent by the browser itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

pub(crate) fn routes() -> Router<App> {
    // The operators' page reads from its own address which view to show.
    let console = |headers: HeaderMap| async move { page("console.html", &headers) };
    let asset = |Path(name): Path<String>, headers: HeaderMap| async move { asset(&name, &headers) };
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
    page("try.html", headers)
}

fn page(name: &str, headers: &HeaderMap) -> Response {
    let Some(file) = BUILT.get_file(name) else { return ApiError::not_found("page").into_response() };
    let about = [
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (VARY, HeaderValue::from_static("accept")),
    ];
    answer(file, headers, about)
}

/// A file of the pages. It is looked up among the names of the build, so it leads nowhere else.
fn asset(name: &str, headers: &HeaderMap) -> Response {
    let Some(file) = BUILT.get_file(format!("assets/{name}")) else {
        return ApiError::not_found("file").into_response();
    };
    let for_ever = HeaderValue::from_static("public, max-age=31536000, immutable");
    answer(file, headers, [(CACHE_CONTROL, for_ever)])
}

fn answer(
    file: &'static File<'static>,
    headers: &HeaderMap,
    about: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
) -> Response {
    let tag = tag(file);
    let mut response = if knows(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, media_type(file))], file.contents()).into_response()
    };
    response.headers_mut().extend(about);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// What the file holds, in a word.
fn tag(file: &File<'_>) -> String {
    let digest = Sha256::digest(file.contents());
    let head = digest.iter().take(8).fold(0_u64, |head, byte| (head << 8) | u64::from(*byte));
    format!("\"{head:016x}\"")
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
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
