//! Who is connected: how many in all, and how many from one address.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use humanchat_domain::{config::TrustedProxies, rate_limits::network};

/// How many connections there may be.
#[derive(Debug, Clone)]
pub struct Caps {
    /// In all.
    pub total: usize,
    /// From one address: an IPv4 address, or an IPv6 network of 64 bits.
    pub per_ip: usize,
    /// They speak for many: no cap of their own.
    pub proxies: TrustedProxies,
}

/// None.
impl Default for Caps {
    fn default() -> Self {
        Self { total: usize::MAX, per_ip: usize::MAX, proxies: TrustedProxies::default() }
    }
}

/// Counts connections.
#[derive(Debug)]
pub(super) struct Census {
    caps: Caps,
    present: Mutex<Present>,
}

#[derive(Debug, Default)]
struct Present {
    total: usize,
    per_ip: HashMap<IpAddr, usize>,
}

/// The place of a connection; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    census: Arc<Census>,
    counted_as: Option<IpAddr>,
}

impl Census {
    pub(super) fn new(caps: Caps) -> Arc<Self> {
        Arc::new(Self { caps, present: Mutex::default() })
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `ip`, where there is one.
    pub(super) fn admit(self: &Arc<Self>, ip: IpAddr) -> Option<Seat> {
        let ip = ip.to_canonical();
        let counted_as = (!ip.is_loopback() && !self.caps.proxies.contains(ip)).then(|| network(ip));
        let mut present = self.present();
        if present.total >= self.caps.total {
            return None;
        }
        if let Some(network) = counted_as {
            let count = present.per_ip.get(&network).copied().unwrap_or_default();
            if count >= self.caps.per_ip {
                return None;
            }
            present.per_ip.insert(network, count + 1);
        }
        present.total += 1;
        Some(Seat { census: Arc::clone(self), counted_as })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut present = self.census.present();
        present.total -= 1;
        if let Some(network) = self.counted_as
            && let Entry::Occupied(mut count) = present.per_ip.entry(network)
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn census(total: usize, per_ip: usize) -> Arc<Census> {
        let proxies = ["10.0.0.9".parse::<IpAddr>().unwrap()].into_iter().collect();
        Census::new(Caps { total, per_ip, proxies })
    }

    fn admit(census: &Arc<Census>, ip: &str) -> Option<Seat> {
        census.admit(ip.parse().unwrap())
    }

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let census = census(100, 2);
        let seats = [admit(&census, "192.0.2.1"), admit(&census, "192.0.2.1")];
        assert!(seats.iter().all(Option::is_some));
        assert!(admit(&census, "192.0.2.1").is_none());
        assert!(admit(&census, "::ffff:192.0.2.1").is_none(), "the same address in other clothes");
        assert!(admit(&census, "192.0.2.2").is_some(), "another's places are its own");
        drop(seats);
        assert!(admit(&census, "192.0.2.1").is_some());
        let present = census.present();
        assert_eq!((present.total, present.per_ip.len()), (0, 0), "nothing is kept of who left");
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let census = census(100, 1);
        let _seat = admit(&census, "2001:db8::1").unwrap();
        assert!(admit(&census, "2001:db8::ffff:0:0:1").is_none());
        assert!(admit(&census, "2001:db8:0:1::1").is_some());
    }

    #[test]
    fn proxies_and_this_machine_count_in_the_total_alone() {
        let census = census(4, 1);
        let _seats: Vec<_> = ["10.0.0.9", "::ffff:10.0.0.9", "127.0.0.1", "::1"]
            .map(|ip| admit(&census, ip).unwrap_or_else(|| panic!("{ip} is not admitted")))
            .into();
        for ip in ["10.0.0.9", "127.0.0.1", "192.0.2.1"] {
            assert!(admit(&census, ip).is_none(), "{ip}");
        }
    }
}
