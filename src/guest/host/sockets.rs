//! A guest may use `wasi:sockets` to reach the peers that a rule names. Names are looked up only if a rule names
//! them, and the addresses that they resolve to are checked when the guest connects. A guest cannot listen.

use super::about_guests;
use super::name_lookup;
use super::network::{Denial, PeerGrant, PeerScheme, Rules};
use crate::guest::recording::{Recorder, Used};
use crate::log;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::bindings::sockets::instance_network::Host as _;
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtx, WasiSocketsCtxView};

/// Puts the network into a table, and gives its place. It is the same for everybody: whom a guest may talk to is asked
/// elsewhere.
pub fn open_network(table: &mut ResourceTable) -> wasmtime::Result<u32> {
    let mut ctx = WasiSocketsCtx::default();
    let ctx = &mut ctx;
    let mut sockets = WasiSocketsCtxView { ctx, table };
    Ok(sockets.instance_network()?.rep())
}

/// `Peers` says whom one instance may talk to.
pub struct Peers {
    rules: Arc<Rules>,
    /// These names resolved to an address.
    found: Mutex<HashMap<IpAddr, Vec<String>>>,
    /// The instance looks up names in these turns.
    turns: Arc<Semaphore>,
}

impl Peers {
    pub fn new(rules: &Arc<Rules>) -> Arc<Peers> {
        Arc::new(Peers {
            rules: rules.clone(),
            found: Mutex::default(),
            turns: name_lookup::turns(),
        })
    }

    /// Has the sockets of a context ask here. Without rules they are denied already, but in a replay it is of interest
    /// whether there would be any.
    pub fn guard(self: &Arc<Peers>, wasi: &mut WasiCtxBuilder, recorder: Option<&Arc<Recorder>>) {
        let is_replayed = recorder.is_some_and(|recorder| recorder.is_replayed());
        if self.rules.is_empty() && !is_replayed {
            return;
        }
        let (peers, recorder) = (self.clone(), recorder.cloned());
        wasi.allow_tcp(true)
            .allow_udp(true)
            .allow_ip_name_lookup(!is_replayed)
            .socket_addr_check(move |address, purpose| {
                if let Some(recorder) = &recorder {
                    recorder.uses(Used::Sockets);
                }
                let allowed = !is_replayed && peers.allows(address, purpose);
                Box::pin(std::future::ready(allowed))
            });
    }

    fn allows(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        match purpose {
            // Who connects has an address of his own, which the system chooses.
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => {
                let any = [
                    IpAddr::from(Ipv4Addr::UNSPECIFIED),
                    IpAddr::from(Ipv6Addr::UNSPECIFIED),
                ];
                address.port() == 0 && any.contains(&address.ip())
            }
            SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept => false,
            // What comes from elsewhere is not the guest's doing.
            SocketAddrUse::UdpReceive => self.validate(address).is_ok(),
            SocketAddrUse::TcpConnect | SocketAddrUse::UdpSend => match self.validate(address) {
                Ok(()) => true,
                Err(denial) => {
                    let said = denial.to_string();
                    about_guests::tell!("denied a socket of the guest to {}", log::escape(&said));
                    false
                }
            },
        }
    }

    /// Checks an address by itself, or by one of the names that resolved to it.
    fn validate(&self, address: SocketAddr) -> Result<(), Denial> {
        let (ip, port) = (address.ip().to_canonical(), address.port());
        let permit = |host: &str| self.rules.permit(PeerScheme::Socket, host, port);
        let itself = permit(&ip.to_string()).map(|_| ());
        let names = self.found().get(&ip).cloned().unwrap_or_default();
        names.iter().fold(itself, |before, name| {
            before.or_else(|_| permit(name).and_then(|permit: PeerGrant| permit.check(ip)))
        })
    }

    /// Says whether a name may be looked up.
    pub fn names(&self, name: &str) -> bool {
        let allowed = name.parse::<IpAddr>().is_ok() || self.rules.name(name);
        if !allowed {
            about_guests::tell!(
                "denied the guest to look up {}: no rule names it; --allow-net {}:PORT would",
                log::escape(name),
                log::escape(name)
            );
        }
        allowed
    }

    /// Says whether there is anybody whom the guest may talk to.
    pub fn are_any(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Returns the turns in which the instance looks up names.
    pub fn turns(&self) -> Arc<Semaphore> {
        self.turns.clone()
    }

    /// Remembers that a name resolved to this address.
    pub fn note(&self, address: IpAddr, name: &str) {
        let mut found = self.found();
        let names = found.entry(address.to_canonical()).or_default();
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }

    fn found(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Vec<String>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
