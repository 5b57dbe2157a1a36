//! A `Share` says whose a request is, as far as clients share what one worker can do.

use super::admission::Waiter;
use super::client::Client;
use super::{Peer, Proxies, Requests};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A `ClientKey` is one who shares: an address, or the network of one customer where that is as easy to have.
pub type ClientKey = IpAddr;

/// Finds who sent a request; nobody in particular where it is a proxy that speaks for many.
pub fn who(client: Client, proxies: &Proxies) -> Option<ClientKey> {
    match client {
        Client::Peer(peer) if proxies.trust(peer) => None,
        Client::Peer(Peer::Inet(address)) | Client::Forwarded(address) => {
            Some(network(address.ip()))
        }
        Client::Peer(Peer::Unix) | Client::Hidden => None,
    }
}

impl Requests {
    /// Finds whose a connection is, before anything is asked over it; nobody's in particular where it is a proxy's.
    pub fn client_key(&self, peer: Peer) -> Option<ClientKey> {
        who(Client::Peer(peer), &self.settings.header_policy.proxies)
    }

    /// Says whether a connection is that of a proxy on this machine, which sends the requests of many clients over it
    /// and has judged them before.
    pub fn speaks_for_many(&self, peer: Peer) -> bool {
        peer == Peer::Unix && self.settings.header_policy.proxies.trust(peer)
    }
}

/// Finds the network of an address: whoever has one address of IPv6 has the 2^64 beside it (RFC 4291 section 2.5.4).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

/// A client that asked for something counts for this long.
const PRESENT: Duration = Duration::from_secs(10);

/// A `Share` is what one client holds, and waits for.
pub struct Share {
    /// The key is `None` for those who cannot be told apart, which share nothing with each other.
    who: Option<ClientKey>,
    held: Cell<usize>,
    pub waiting: RefCell<VecDeque<Waiter>>,
    seen: Cell<Instant>,
}

impl Share {
    pub fn new(who: Option<ClientKey>) -> Rc<Share> {
        Rc::new(Share {
            who,
            held: Cell::new(0),
            waiting: RefCell::default(),
            seen: Cell::new(Instant::now()),
        })
    }

    pub fn see(&self, now: Instant) {
        self.seen.set(now);
    }

    pub fn is_present(&self, now: Instant) -> bool {
        self.held.get() > 0
            || !self.waiting.borrow().is_empty()
            || now.saturating_duration_since(self.seen.get()) < PRESENT
    }

    pub fn is_somebody(&self) -> bool {
        self.who.is_some()
    }

    /// Returns how many permits the client has; none where nobody in particular has them.
    pub fn held(&self) -> usize {
        match self.who {
            Some(_) => self.held.get(),
            None => 0,
        }
    }

    pub fn take(&self) {
        self.held.set(self.held.get() + 1);
    }

    pub fn give_back(&self) {
        self.held.set(self.held.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(text: &str) -> Option<ClientKey> {
        let client = Client::Forwarded(format!("{text}:0").parse().unwrap());
        who(client, &Proxies::default())
    }

    #[test]
    fn a_customer_of_ipv6_is_one_client() {
        assert_eq!(
            forwarded("[2001:db8:0:1::1]"),
            forwarded("[2001:db8:0:1:ffff::2]")
        );
        assert_ne!(
            forwarded("[2001:db8:0:1::1]"),
            forwarded("[2001:db8:0:2::1]")
        );
        assert_ne!(forwarded("192.0.2.1"), forwarded("192.0.2.2"));
        assert_eq!(forwarded("[::ffff:192.0.2.1]"), forwarded("192.0.2.1"));
    }

    #[test]
    fn a_proxy_is_nobody_and_those_behind_it_are_somebody() {
        let proxies = Proxies {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            ..Proxies::default()
        };
        let peer = |text: &str| Client::Peer(Peer::Inet(text.parse().unwrap()));
        assert_eq!(who(peer("10.0.0.1:5"), &proxies), None);
        assert_eq!(who(Client::Hidden, &proxies), None);
        assert!(who(peer("192.0.2.1:5"), &proxies).is_some());
        assert!(who(Client::Forwarded("192.0.2.1:0".parse().unwrap()), &proxies).is_some());
    }
}
