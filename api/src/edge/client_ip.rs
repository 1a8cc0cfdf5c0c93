//! Which address a request comes from: the peer's, or, where the peer is a trusted proxy, the one
//! that the proxies vouch for.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::ConnectInfo,
    http::{HeaderMap, HeaderName, request::Parts},
};
use humanchat_domain::config::TrustedProxies;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address; `None` outside a connection.
pub(crate) fn client_ip(parts: &Parts, proxies: &TrustedProxies) -> Option<IpAddr> {
    let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(behind(peer.ip().to_canonical(), &parts.headers, proxies))
}

/// Each proxy adds whom it heard from at the end of `X-Forwarded-For`. Walking back from there, the
/// first address that isn't a trusted proxy's is the client's; what stands before it anybody may
/// have written.
fn behind(peer: IpAddr, headers: &HeaderMap, proxies: &TrustedProxies) -> IpAddr {
    let mut client = peer;
    let lines = headers.get_all(FORWARDED_FOR).into_iter().rev();
    let mut hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    while proxies.contains(client) {
        match hops.next().and_then(address) {
            Some(hop) => client = hop,
            None => break,
        }
    }
    client
}

/// Some proxies add the port.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let address = hop.parse().or_else(|_| hop.parse().map(|address: SocketAddr| address.ip())).ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use humanchat_domain::config::Settings;

    use super::*;

    fn proxies() -> TrustedProxies {
        let settings = Settings::from_lookup(&|name| {
            let value = match name {
                "DATABASE_URL" => "postgres://localhost/x",
                "JWT_SECRET" => "0123456789abcdef0123456789abcdef",
                "TRUSTED_PROXIES" => "10.0.0.0/8, 2001:db8::1",
                _ => return None,
            };
            Some(value.to_owned())
        });
        settings.unwrap().trusted_proxies
    }

    #[test]
    fn only_what_trusted_proxies_wrote_counts() {
        for (peer, lines, client) in [
            ("203.0.113.7", &["198.51.100.1"][..], "203.0.113.7"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1", "198.51.100.1", "10.0.0.2,10.0.0.3"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("2001:db8::1", &["[2001:db8::9]:4711"], "2001:db8::9"),
            ("10.0.0.1", &["198.51.100.1, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, "], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.2"], "10.0.0.2"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, line.parse().unwrap());
            }
            let found = behind(peer.parse::<IpAddr>().unwrap().to_canonical(), &headers, &proxies());
            assert_eq!(found.to_string(), client, "{peer} {lines:?}");
        }
    }
}
