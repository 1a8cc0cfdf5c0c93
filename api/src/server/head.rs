//! The head of an HTTP/1 request, looked at before the HTTP library gets it.
//!
//! The library refuses a bad head by itself, with an empty answer. So everything that it would refuse is refused
//! here first, and what proxies could read in two ways besides. Heads are parsed by the parser that the library uses.

use axum::http::{self, HeaderValue, Method, Uri};
use httparse::{Header, Request, Status};

/// How many bytes a head may have, from the method to the empty line.
pub(super) const MAX_HEAD: usize = 32 * 1024;
/// How many headers. The library's own limit.
const MAX_HEADERS: usize = 100;

/// Why a request is refused before anybody knows what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not HTTP/1, or in a way that could be misunderstood; says in what.
    Malformed(&'static str),
    /// The target alone is larger than a head may be.
    UriTooLong,
    /// The head is too large, or has too many headers.
    HeadTooLarge,
    /// The head did not come in time.
    TimedOut,
}

/// A refused head, and what the client called its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) fault: Fault,
    pub(super) request_id: Option<HeaderValue>,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self { fault, request_id: None }
    }
}

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// A body of so many bytes, or none.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// Reads a head at the beginning of `bytes`: its length and what follows, or nothing while it isn't whole.
pub(super) fn inspect(bytes: &[u8]) -> Result<Option<(usize, Framing)>, Refused> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(Status::Complete(length)) if length <= MAX_HEAD => match framing(&request) {
            Ok(framing) => Ok(Some((length, framing))),
            Err(what) => Err(Refused { fault: Fault::Malformed(what), request_id: request_id(&request) }),
        },
        Ok(Status::Partial) if bytes.len() < MAX_HEAD => Ok(None),
        Ok(_) if bytes[..MAX_HEAD].contains(&b'\n') => Err(Fault::HeadTooLarge.into()),
        Ok(_) => Err(Fault::UriTooLong.into()),
        Err(httparse::Error::TooManyHeaders) => Err(Fault::HeadTooLarge.into()),
        Err(_) => Err(Fault::Malformed("this is not an HTTP/1.1 request").into()),
    }
}

fn values<'a>(request: &'a Request<'_, '_>, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    let named = move |header: &&Header<'_>| header.name.eq_ignore_ascii_case(name);
    request.headers.iter().filter(named).map(|header| header.value)
}

fn request_id(request: &Request<'_, '_>) -> Option<HeaderValue> {
    values(request, "x-request-id").next().and_then(|id| HeaderValue::from_bytes(id).ok())
}

/// How long the body is, where there is one way only to read that (RFC 9112, 3.2 and 6.3).
fn framing(request: &Request<'_, '_>) -> Result<Framing, &'static str> {
    if request.method.is_none_or(|method| Method::from_bytes(method.as_bytes()).is_err()) {
        return Err("the method is not valid");
    }
    if request.path.is_none_or(|target| Uri::try_from(target).is_err()) {
        return Err("the request's target is not valid");
    }
    let is_http_11 = request.version == Some(1);
    let hosts = values(request, "host").count();
    if hosts > 1 || (is_http_11 && hosts == 0) {
        return Err("send one Host");
    }
    let mut lengths = values(request, "content-length");
    let mut codings = values(request, "transfer-encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(Framing::Length(0)),
        (Some(length), None) if lengths.next().is_none() => {
            let digits = std::str::from_utf8(length).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            // The library keeps the two largest numbers for itself.
            let length = digits.and_then(|digits| digits.parse().ok()).filter(|length| *length < u64::MAX - 1);
            length.map(Framing::Length).ok_or("Content-Length is not a length")
        }
        (Some(_), None) => Err("send one Content-Length"),
        (Some(_), Some(_)) => Err("send Content-Length or Transfer-Encoding, not both"),
        (None, Some(coding)) => {
            if is_http_11 && coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() {
                Ok(Framing::Chunked)
            } else {
                Err("the only Transfer-Encoding taken is chunked, in HTTP/1.1")
            }
        }
    }
}

/// Looks at a head that HTTP/2 brought: sound as the library lets it in, but it may be too large. Sizes are counted as
/// HTTP/2 does (RFC 9113, 10.5.1).
pub(super) fn inspect_size<B>(request: &http::Request<B>) -> Result<(), Fault> {
    const EACH: usize = 32;
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > MAX_HEAD {
        return Err(Fault::UriTooLong);
    }
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + EACH);
    if request.headers().len() > MAX_HEADERS || target + fields.sum::<usize>() > MAX_HEAD {
        return Err(Fault::HeadTooLarge);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(head: impl AsRef<[u8]>) -> Fault {
        inspect(head.as_ref()).unwrap_err().fault
    }

    #[test]
    fn a_head_says_how_long_it_and_its_body_are() {
        for (head, framing) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Framing::Length(0)),
            ("GET / HTTP/1.0\r\n\r\n", Framing::Length(0)),
            ("GET / HTTP/1.1\nhost: a\n\n", Framing::Length(0)),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\n\r\n", Framing::Length(7)),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", Framing::Chunked),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Framing::Length(0)),
            ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", Framing::Length(0)),
            ("GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", Framing::Length(0)),
        ] {
            let followed = format!("{head}GET");
            assert_eq!(inspect(followed.as_bytes()), Ok(Some((head.len(), framing))), "{head}");
            for cut in 1..head.len() {
                assert_eq!(inspect(&head.as_bytes()[..cut]), Ok(None), "{head} up to {cut}");
            }
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for lines in [
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 1",
            "Content-Length: 1\r\nContent-Length: 1",
            "Content-Length: 1, 1",
            "Content-Length: +1",
            "Content-Length: -1",
            "Content-Length: 0x1",
            "Content-Length:",
            "Content-Length: 1 1",
            "Content-Length: 18446744073709551615",
            "Content-Length: 18446744073709551616",
            "Transfer-Encoding: chunked, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding:",
            "Host: b",
        ] {
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\n{lines}\r\n\r\n");
            let refused = inspect(head.as_bytes()).unwrap_err();
            assert!(matches!(refused.fault, Fault::Malformed(_)), "{lines}: {refused:?}");
            assert_eq!(refused.request_id, Some(HeaderValue::from_static("mine")), "{lines}");
        }
        for head in ["POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET /\r\n\r\n"]
        {
            assert!(matches!(fault(head), Fault::Malformed(_)), "{head}");
        }
    }

    #[test]
    fn what_is_not_http_is_refused_as_soon_as_that_shows() {
        for bytes in [
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
            b"\0",
            b"GET / HTTP/3.0\r\n",
            b"GET / HTTP/2.0\r\n",
            b"GET /\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n",
            b"GET / HTTP/1.1\r\nHost : a\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n",
            b"GET  / HTTP/1.1\r\n",
            b"G\xc3\x84T / HTTP/1.1\r\n",
            b"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert!(matches!(fault(bytes), Fault::Malformed(_)), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn heads_are_bounded() {
        let padding = |length: usize| "x".repeat(length);
        let head = |length: usize| {
            let begin = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
            format!("{begin}{}\r\n\r\n", padding(length - begin.len() - 4))
        };
        assert_eq!(inspect(head(MAX_HEAD).as_bytes()), Ok(Some((MAX_HEAD, Framing::Length(0)))));
        assert_eq!(fault(head(MAX_HEAD + 1)), Fault::HeadTooLarge);
        assert_eq!(fault(format!("GET / HTTP/1.1\r\nX: {}", padding(MAX_HEAD))), Fault::HeadTooLarge);
        assert_eq!(fault(format!("GET /{}", padding(MAX_HEAD))), Fault::UriTooLong);
        assert_eq!(fault(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100))), Fault::HeadTooLarge);
        assert!(inspect(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(99)).as_bytes()).is_ok());
    }
}
