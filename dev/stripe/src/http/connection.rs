//! Accepting connections, and resetting one where a request asks for it.

use std::convert::Infallible;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use axum::response::{IntoResponse, Response as AxumResponse};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

/// Marks a response that is never sent: the connection is reset instead.
#[derive(Debug, Clone, Copy)]
struct Reset;

/// What a handler answers when the connection is to be reset.
pub(crate) fn reset() -> AxumResponse {
    let mut response = ().into_response();
    response.extensions_mut().insert(Reset);
    response
}

/// Serves connections for ever.
pub(crate) async fn serve(listener: TcpListener, router: Router) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve_one(stream, router.clone()));
            }
            // Out of file descriptors, say: it may be over in a moment.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve_one(stream: TcpStream, router: Router) {
    let _ = stream.set_nodelay(true);
    // A second handle, because hyper owns the stream.
    let Ok(handle) = stream.as_fd().try_clone_to_owned() else { return };
    let handle = Arc::new(handle);
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, handle) = (router.clone(), Arc::clone(&handle));
        async move { respond(router, request, &handle).await }
    });
    // Clients may leave, and resets are errors on purpose.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(
    router: Router,
    request: Request<Incoming>,
    handle: &OwnedFd,
) -> Result<Response<Body>, std::io::Error> {
    let response = match router.oneshot(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never as Infallible {},
    };
    if response.extensions().get::<Reset>().is_none() {
        return Ok(response);
    }
    // Without lingering, closing sends RST instead of FIN.
    SockRef::from(handle).set_linger(Some(Duration::ZERO))?;
    Err(std::io::ErrorKind::ConnectionReset.into())
}
