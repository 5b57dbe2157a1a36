//! `Proxies` says which peers are believed when they say for whom they ask.

use super::Peer;
use ipnet::IpNet;
use std::net::IpAddr;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Everybody is believed, whatever the rest says.
    pub all: bool,
    /// Whoever may open our Unix socket is believed.
    pub unix: bool,
    pub networks: Vec<IpNet>,
}

impl Proxies {
    pub fn trust(&self, peer: Peer) -> bool {
        match peer {
            _ if self.all => true,
            Peer::Unix => self.unix,
            Peer::Inet(address) => self.trust_address(address.ip()),
        }
    }

    /// Says whether an address is trusted that another trusted peer reports.
    pub fn trust_address(&self, address: IpAddr) -> bool {
        // A socket for both families shows an IPv4 client as ::ffff:192.0.2.1 (ipv6(7)).
        let address = address.to_canonical();
        self.all
            || self
                .networks
                .iter()
                .any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        Peer::Inet(text.parse().unwrap())
    }

    #[test]
    fn only_those_named_are_trusted() {
        let proxies = Proxies {
            networks: vec![
                "127.0.0.1/32".parse().unwrap(),
                "2001:db8::/32".parse().unwrap(),
            ],
            ..Proxies::default()
        };
        assert!(proxies.trust(peer("127.0.0.1:80")));
        assert!(proxies.trust(peer("[::ffff:127.0.0.1]:80")));
        assert!(proxies.trust(peer("[2001:db8::7]:80")));
        assert!(!proxies.trust(peer("127.0.0.2:80")));
        assert!(!proxies.trust(peer("[::1]:80")));
        assert!(!proxies.trust(Peer::Unix));
    }

    #[test]
    fn everybody_includes_unix_peers() {
        let proxies = Proxies {
            all: true,
            ..Proxies::default()
        };
        assert!(proxies.trust(Peer::Unix) && proxies.trust(peer("192.0.2.1:1")));
        assert!(!Proxies::default().trust(peer("127.0.0.1:1")));
    }
}
