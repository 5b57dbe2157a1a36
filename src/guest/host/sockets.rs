//! A guest may use `wasi:sockets` to reach the peers that a rule names. Names are looked up only if a rule names
//! them, and the addresses that they resolve to are checked when the guest connects. A guest cannot listen.

use super::about_guests;
use super::network::{Denial, PeerGrant, PeerScheme, Rules};
use super::state::HostState;
use crate::guest::recording::{Recorder, Used};
use crate::log;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::component::{Accessor, HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::sockets::{
    instance_network::Host as _,
    ip_name_lookup::{self as p2, ResolveAddressStream},
    network,
};

use wasmtime_wasi::p2::{DynPollable, SocketError};
use wasmtime_wasi::p3::bindings::sockets::{ip_name_lookup as p3, types};
use wasmtime_wasi::sockets::{
    SocketAddrUse, WasiSockets, WasiSocketsCtx, WasiSocketsCtxView, WasiSocketsView,
};
use wasmtime_wasi::{WasiCtxBuilder, p2 as wasi_p2};

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
    found: Mutex<Lookups>,
}

/// `Lookups` remembers what an instance has looked up.
#[derive(Default)]
struct Lookups {
    /// These names resolved to an address.
    names: HashMap<IpAddr, Vec<String>>,
    /// The addresses of these names are being read.
    streams: HashMap<u32, String>,
}

impl Peers {
    pub fn new(rules: &Arc<Rules>) -> Arc<Peers> {
        Arc::new(Peers {
            rules: rules.clone(),
            found: Mutex::default(),
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
        let names = self.found().names.get(&ip).cloned().unwrap_or_default();
        names.iter().fold(itself, |before, name| {
            before.or_else(|_| permit(name).and_then(|permit: PeerGrant| permit.check(ip)))
        })
    }

    /// Says whether a name may be looked up.
    fn names(&self, name: &str) -> bool {
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

    fn note(&self, address: IpAddr, name: &str) {
        let mut found = self.found();
        let names = found.names.entry(address.to_canonical()).or_default();
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Lookups> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts the guarded look-up in the place of the one that looks everything up.
pub fn guard_lookup(linker: &mut Linker<HostState>, concurrent: bool) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    p2::add_to_linker::<_, Names>(linker, names)?;
    if concurrent {
        p3::add_to_linker::<_, Names>(linker, names)?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

struct Names;

impl HasData for Names {
    type Data<'a> = NamesView<'a>;
}

/// A `NamesView` is the look-up of one instance.
pub struct NamesView<'a> {
    sockets: WasiSocketsCtxView<'a>,
    peers: Arc<Peers>,
}

fn names(state: &mut HostState) -> NamesView<'_> {
    state.uses(Used::Sockets);
    NamesView {
        peers: state.peers().clone(),
        sockets: state.sockets(),
    }
}

impl network::HostNetwork for NamesView<'_> {
    fn drop(&mut self, network: Resource<wasi_p2::Network>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut self.sockets, network)
    }
}

impl network::Host for NamesView<'_> {
    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<network::ErrorCode>> {
        network::Host::network_error_code(&mut self.sockets, error)
    }

    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<network::ErrorCode> {
        network::Host::convert_error_code(&mut self.sockets, error)
    }
}

impl p2::Host for NamesView<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<wasi_p2::Network>,
        name: String,
    ) -> Result<Resource<ResolveAddressStream>, SocketError> {
        if !self.peers.names(&name) {
            return Err(network::ErrorCode::AccessDenied.into());
        }
        let stream = p2::Host::resolve_addresses(&mut self.sockets, network, name.clone())?;
        self.peers.found().streams.insert(stream.rep(), name);
        Ok(stream)
    }
}

impl p2::HostResolveAddressStream for NamesView<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> Result<Option<network::IpAddress>, SocketError> {
        let name = self.peers.found().streams.get(&stream.rep()).cloned();
        let next = p2::HostResolveAddressStream::resolve_next_address(&mut self.sockets, stream)?;
        if let (Some(address), Some(name)) = (&next, name) {
            self.peers.note(of_p2(address), &name);
        }
        Ok(next)
    }

    fn subscribe(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        p2::HostResolveAddressStream::subscribe(&mut self.sockets, stream)
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.peers.found().streams.remove(&stream.rep());
        p2::HostResolveAddressStream::drop(&mut self.sockets, stream)
    }
}

impl p3::Host for NamesView<'_> {}

impl p3::HostWithStore<HostState> for Names {
    async fn resolve_addresses(
        store: &Accessor<HostState, Names>,
        name: String,
    ) -> wasmtime::Result<Result<Vec<types::IpAddress>, p3::ErrorCode>> {
        let peers = store.with(|mut access| access.get().peers.clone());
        if !peers.names(&name) {
            return Ok(Err(p3::ErrorCode::AccessDenied));
        }
        let sockets = store.with_getter::<WasiSockets>(HostState::sockets);
        let found = <WasiSockets as p3::HostWithStore<HostState>>::resolve_addresses(
            &sockets,
            name.clone(),
        );
        let found = found.await?;
        for address in found.iter().flatten() {
            peers.note(of_p3(address), &name);
        }
        Ok(found)
    }
}

fn of_p2(address: &network::IpAddress) -> IpAddr {
    match *address {
        network::IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).into(),
        network::IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => {
            Ipv6Addr::new(a, b, c, d, e, f, g, h).into()
        }
    }
}

fn of_p3(address: &types::IpAddress) -> IpAddr {
    match *address {
        types::IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).into(),
        types::IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => {
            Ipv6Addr::new(a, b, c, d, e, f, g, h).into()
        }
    }
}
