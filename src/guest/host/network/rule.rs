//! A rule such as `https://api.example.com`, `*.example.com:443`, `10.0.0.0/8` or `*` lets a guest talk to peers. It
//! lets a name through first, and then each of its addresses.

use super::address::{AddressKind, kind};
use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;

/// A `PeerScheme` says how a peer is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerScheme {
    Http,
    Https,
    /// The guest uses a bare socket.
    Socket,
}

impl PeerScheme {
    fn default_port(self) -> Option<u16> {
        match self {
            PeerScheme::Http => Some(80),
            PeerScheme::Https => Some(443),
            PeerScheme::Socket => None,
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            PeerScheme::Http => "http://",
            PeerScheme::Https => "https://",
            PeerScheme::Socket => "",
        }
    }
}

/// A `Rule` allows one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The rule is about any scheme where this is `None`.
    scheme: Option<PeerScheme>,
    host: Host,
    /// The rule is about any port where this is `None`, or the scheme's own where a scheme is given.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Any,
    /// The rule covers every name that ends in this, which begins with a dot.
    Beneath(String),
    Name(String),
    Network(IpNet),
}

impl Rule {
    pub fn parse(text: &str) -> Result<Rule> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Some(PeerScheme::Http), rest),
            Some(("https", rest)) => (Some(PeerScheme::Https), rest),
            Some((scheme, _)) => bail!("`{scheme}://` is neither http:// nor https://"),
            None => (None, text),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = split_port(rest)?;
        Ok(Rule {
            scheme,
            host: Host::parse(host)
                .with_context(|| format!("`{text}` is no rule; write it like {EXAMPLES}"))?,
            port,
        })
    }

    /// Parses a rule for sockets: `db.example.com:5432`, `10.0.0.0/8:5432`, `*:443`.
    pub fn parse_for_sockets(text: &str) -> Result<Rule> {
        let rule = Rule::parse(text)?;
        if rule.scheme.is_some() {
            bail!("`{text}` has a scheme; a socket has none, write HOST:PORT");
        }
        if rule.port.is_none() {
            bail!("`{text}` has no port; write it like {text}:5432");
        }
        Ok(rule)
    }

    /// Says whether the rule is about this scheme and port, whatever the host.
    fn covers(&self, scheme: PeerScheme, port: u16) -> bool {
        let wanted = self.port.or(self.scheme.and_then(PeerScheme::default_port));
        self.scheme.is_none_or(|own| own == scheme) && wanted.is_none_or(|own| own == port)
    }
}

const EXAMPLES: &str = "https://api.example.com, *.example.com:443, 10.0.0.0/8, [::1]:8080 or *";

/// Tells `host:port`, `[v6]:port`, `network/length:port` and a bare IPv6 address apart.
fn split_port(text: &str) -> Result<(&str, Option<u16>)> {
    let after_bracket = text.rfind(']').map_or(0, |at| at + 1);
    let bare_v6 = !text.starts_with('[') && text.matches(':').count() > 1;
    match text[after_bracket..].rfind(':') {
        Some(colon) if !bare_v6 => {
            let (host, port) = text.split_at(after_bracket + colon);
            match port[1..].parse() {
                Ok(0) | Err(_) => bail!(
                    "`{}` is not a port; it is a number from 1 to 65535",
                    &port[1..]
                ),
                Ok(port) => Ok((host, Some(port))),
            }
        }
        _ => Ok((text, None)),
    }
}

impl Host {
    fn parse(text: &str) -> Result<Host> {
        if text == "*" {
            return Ok(Host::Any);
        }
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Host::Network(IpNet::from(address.to_canonical())));
        }
        if text.contains('/') {
            let network: IpNet = bare
                .parse()
                .with_context(|| format!("`{text}` is not a network"))?;
            return Ok(Host::Network(network.trunc()));
        }
        match text.strip_prefix("*.") {
            Some(domain) => Ok(Host::Beneath(format!(".{}", name(domain)?))),
            None => Ok(Host::Name(name(text)?)),
        }
    }
}

impl Host {
    /// Says whether the rule covers a name, as [`name`] gives it.
    fn is(&self, name: &str) -> bool {
        match self {
            Host::Any => true,
            Host::Beneath(domain) => name.ends_with(domain.as_str()),
            Host::Name(own) => own == name,
            Host::Network(_) => false,
        }
    }
}

/// Writes a host name in the one way that it is compared in.
fn name(text: &str) -> Result<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(legal) {
        bail!("`{text}` is not a host name; what is not ASCII is written as xn--…");
    }
    Ok(name)
}

/// Says whether a network in a rule lets an address of this kind through. A network that reaches beyond addresses of
/// the kind is a wildcard, which does not name what is inside; a metadata service stands in no network but its own.
fn names(network: &IpNet, address: IpAddr, its: AddressKind) -> bool {
    let is_address = network.prefix_len() == network.max_prefix_len();
    let is_of_kind = || [network.network(), network.broadcast()].map(kind) == [its; 2];
    network.contains(&address)
        && match its {
            AddressKind::Public => true,
            AddressKind::Private | AddressKind::Loopback => is_address || is_of_kind(),
            AddressKind::Special => is_address,
        }
}

/// `Rules` holds all that is allowed.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Rule>);

impl Rules {
    pub fn new(rules: Vec<Rule>) -> Rules {
        Rules(rules)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Says whether a host of this name may be looked up, whatever the port.
    pub fn name(&self, host: &str) -> bool {
        let name = name(host);
        name.is_ok_and(|name| {
            let host = |rule: &Rule| rule.host.is(&name);
            self.0.iter().any(host)
        })
    }

    /// Says whether anything may be asked with this scheme.
    pub fn mention(&self, scheme: PeerScheme) -> bool {
        self.0
            .iter()
            .any(|rule| rule.scheme.is_none_or(|own| own == scheme))
    }

    /// Says whether `host` may be spoken to, and at which of its addresses. A host that is not allowed is not looked
    /// up either.
    pub fn permit(&self, scheme: PeerScheme, host: &str, port: u16) -> Result<PeerGrant, Denial> {
        let target = Peer {
            scheme,
            host: host.to_owned(),
            port,
        };
        let covering: Vec<&Rule> = self
            .0
            .iter()
            .filter(|rule| rule.covers(scheme, port))
            .collect();
        let mut permit = PeerGrant {
            networks: covering
                .iter()
                .filter_map(|rule| match rule.host {
                    Host::Network(network) => Some(network),
                    _ => None,
                })
                .collect(),
            by_name: covering.iter().any(|rule| rule.host == Host::Any),
            named: false,
            target,
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            permit.check(address)?;
            return Ok(permit);
        }
        let Ok(name) = name(host) else {
            return Err(permit
                .target
                .denied("it is not a host name".to_owned(), None));
        };
        for rule in covering.iter().filter(|rule| rule.host.is(&name)) {
            permit.by_name = true;
            permit.named |= rule.port.is_some() && matches!(rule.host, Host::Name(_));
        }
        if permit.by_name {
            Ok(permit)
        } else {
            let rule = permit.target.to_string();
            Err(permit
                .target
                .denied("no rule allows it".to_owned(), Some(rule)))
        }
    }
}

/// A `Peer` is a peer as the guest named it.
#[derive(Clone, Debug)]
struct Peer {
    scheme: PeerScheme,
    host: String,
    port: u16,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Peer { scheme, host, port } = self;
        match host.parse() {
            Ok(IpAddr::V6(address)) => write!(f, "{}[{address}]:{port}", scheme.prefix()),
            _ => write!(f, "{}{host}:{port}", scheme.prefix()),
        }
    }
}

impl Peer {
    fn denied(&self, reason: String, rule: Option<String>) -> Denial {
        Denial {
            scheme: self.scheme,
            target: self.to_string(),
            reason,
            rule,
        }
    }
}

/// A `PeerGrant` allows a host; each of its addresses is still to be checked.
#[derive(Clone, Debug)]
pub struct PeerGrant {
    target: Peer,
    networks: Vec<IpNet>,
    /// A rule allows the name; one that ends in a wildcard perhaps.
    by_name: bool,
    /// A rule names this very host and writes its port out, as one does for one's own services.
    named: bool,
}

impl PeerGrant {
    /// Checks whether this address may be connected to.
    pub fn check(&self, address: IpAddr) -> Result<(), Denial> {
        let address = address.to_canonical();
        let kind = kind(address);
        let names = |network: &IpNet| names(network, address, kind);
        if self.networks.iter().any(names) {
            return Ok(());
        }
        let allowed = match kind {
            AddressKind::Public => self.by_name,
            AddressKind::Private => self.named,
            AddressKind::Loopback => self.named && self.is_local(),
            AddressKind::Special => false,
        };
        if allowed {
            return Ok(());
        }
        let nameable =
            kind == AddressKind::Private || (kind == AddressKind::Loopback && self.is_local());
        let rule = if nameable {
            self.target.to_string()
        } else {
            let host = address.to_string();
            Peer {
                host,
                ..self.target.clone()
            }
            .to_string()
        };
        let reason = match kind {
            AddressKind::Public => "no rule allows it".to_owned(),
            kind => format!("{address} is {kind}, and no rule names it"),
        };
        Err(self.target.denied(reason, Some(rule)))
    }

    /// Says whether the name is local (RFC 6761 section 6.3).
    fn is_local(&self) -> bool {
        let name = self.target.host.trim_end_matches('.').to_ascii_lowercase();
        name == "localhost" || name.ends_with(".localhost")
    }
}

/// A `Denial` says why a guest may not talk to a peer, and what the operator would have to allow.
#[derive(Clone, Debug)]
pub struct Denial {
    scheme: PeerScheme,
    target: String,
    reason: String,
    /// This rule would allow it, where one can.
    rule: Option<String>,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.target, self.reason)?;
        let option = match self.scheme {
            PeerScheme::Socket => "--allow-net",
            PeerScheme::Http | PeerScheme::Https => "--allow-http",
        };
        match &self.rule {
            Some(rule) => write!(f, "; {option} {rule} would"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Denial {}

#[cfg(test)]
mod tests;
