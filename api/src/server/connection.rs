//! One connection: the HTTP library between the gate and the routes.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{
        HeaderName, HeaderValue, Request, Response, StatusCode, Version,
        header::{CONNECTION, TRANSFER_ENCODING},
    },
};
use futures_util::{FutureExt, future::BoxFuture};
use hyper::{body::Incoming, service::Service as HyperService};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    Timeouts, body,
    census::Seat,
    gate::Gate,
    head::{self, Refused},
    traffic::Traffic,
};

/// How many bytes wait on a connection in either direction.
const BUFFER: usize = 64 * 1024;
/// How many bytes of a body may come before they are read. A whole one, as bodies go.
const STREAM_WINDOW: u32 = 64 * 1024;
/// The largest head that the HTTP/2 library lets in. It refuses larger ones without a body, so it takes twice as much
/// as we do: what is between is refused in the envelope.
const MAX_HEAD_LIST: u32 = 64 * 1024;
/// How many requests a client may have under way on one HTTP/2 connection.
const STREAMS: u32 = 64;

/// A client that was let in.
pub(super) struct Connection {
    pub(super) router: Router,
    pub(super) peer: SocketAddr,
    pub(super) timeouts: Timeouts,
    pub(super) seat: Seat,
}

impl Connection {
    /// Serves it until either side ends it. What a request was upgraded to lives on by itself.
    pub(super) async fn serve(self, stream: TcpStream, stopping: CancellationToken) {
        let Self { router, peer, timeouts, seat } = self;
        let traffic = Traffic::new(timeouts);
        let io = TokioIo::new(Gate::new(stream, Arc::clone(&traffic), timeouts, seat));
        let builder = builder();
        let mut connection = pin!(
            builder
                .serve_connection_with_upgrades(io, Routes { router, peer, timeouts, traffic: Arc::clone(&traffic) })
        );
        let ended = tokio::select! {
            biased;
            ended = &mut connection => ended,
            () = told_to_stop(&stopping, &traffic) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a connection broke");
        }
    }
}

/// The library takes a connection for idle that the gate has half a head of: that has its time to become whole.
async fn told_to_stop(stopping: &CancellationToken, traffic: &Traffic) {
    stopping.cancelled().await;
    traffic.between_heads().await;
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // The gate has the time-outs. Who ends their side after the request still gets an answer.
    builder.http1().half_close(true).header_read_timeout(None).max_buf_size(BUFFER);
    let mut http2 = builder.http2();
    http2.timer(TokioTimer::new()).max_concurrent_streams(STREAMS).max_header_list_size(MAX_HEAD_LIST);
    http2.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(4 * STREAM_WINDOW);
    http2.max_send_buf_size(BUFFER);
    builder
}

/// The routes, as one connection's requests find them.
#[derive(Debug, Clone)]
struct Routes {
    router: Router,
    peer: SocketAddr,
    timeouts: Timeouts,
    traffic: Arc<Traffic>,
}

impl HyperService<Request<Incoming>> for Routes {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let handling = self.traffic.begin();
        let is_http_1 = request.version() < Version::HTTP_2;
        let is_chunked = request.headers().contains_key(TRANSFER_ENCODING);
        let mut request = request.map(|incoming| body::timed(incoming, self.timeouts));
        request.extensions_mut().insert(ConnectInfo(self.peer));
        if let Some(Refused { fault, request_id }) = self.traffic.take_refused() {
            request.extensions_mut().insert(fault);
            request.headers_mut().extend(request_id.map(|id| (HeaderName::from_static("x-request-id"), id)));
        }
        if !is_http_1 && let Err(fault) = head::inspect_size(&request) {
            request.extensions_mut().insert(fault);
        }
        let (router, traffic) = (self.router.clone(), Arc::clone(&self.traffic));
        async move {
            let mut response = router.oneshot(request).await?;
            let status = response.status();
            if status == StatusCode::SWITCHING_PROTOCOLS {
                traffic.upgrade();
            }
            // The gate doesn't know where chunks end, nor anybody where a late body does.
            if is_http_1 && (is_chunked || status == StatusCode::REQUEST_TIMEOUT) {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            drop(handling);
            Ok(if is_http_1 { response } else { response.map(|answer| body::read(answer, traffic)) })
        }
        .boxed()
    }
}
