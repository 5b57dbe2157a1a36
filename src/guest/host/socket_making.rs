//! A guest makes no more sockets than leave its worker descriptors for clients.

use super::answer::coded;
use super::descriptors;
use super::state::HostState;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily};
use wasmtime_wasi::p2::bindings::sockets::{tcp, tcp_create_socket, udp, udp_create_socket};
use wasmtime_wasi::p3::bindings::sockets::types as p3;
use wasmtime_wasi::sockets::{TcpSocket, UdpSocket, WasiSocketsView};

type Store<'a> = StoreContextMut<'a, HostState>;

/// Puts these functions in the place of the engine's, which the linker has already.
pub fn replace(linker: &mut Linker<HostState>, concurrent: bool) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut tcp = linker.instance("wasi:sockets/tcp-create-socket@0.2.12")?;
    tcp.func_wrap("create-tcp-socket", |mut store: Store<'_>, (family,)| {
        Ok((tcp_socket(store.data_mut(), family)?,))
    })?;
    let mut udp = linker.instance("wasi:sockets/udp-create-socket@0.2.12")?;
    udp.func_wrap_async("create-udp-socket", |mut store: Store<'_>, (family,)| {
        Box::new(async move { Ok((udp_socket(store.data_mut(), family).await?,)) })
    })?;
    if concurrent {
        add_newer(linker)?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

/// Says whether there are too few descriptors left. Who may talk to nobody is told so by the engine.
fn are_scarce(state: &HostState) -> bool {
    state.peers().are_any() && !descriptors::may_have_socket()
}

type Made<S> = wasmtime::Result<Result<Resource<S>, ErrorCode>>;

fn tcp_socket(state: &mut HostState, family: IpAddressFamily) -> Made<tcp::TcpSocket> {
    if are_scarce(state) {
        return Ok(Err(ErrorCode::NewSocketLimit));
    }
    coded(tcp_create_socket::Host::create_tcp_socket(
        &mut state.sockets(),
        family,
    ))
}

async fn udp_socket(state: &mut HostState, family: IpAddressFamily) -> Made<udp::UdpSocket> {
    if are_scarce(state) {
        return Ok(Err(ErrorCode::NewSocketLimit));
    }
    let mut sockets = state.sockets();
    coded(udp_create_socket::Host::create_udp_socket(&mut sockets, family).await)
}

/// Does the same for `wasi:sockets` 0.3.
fn add_newer(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut types = linker.instance("wasi:sockets/types@0.3.0")?;
    types.func_wrap(
        "[static]tcp-socket.create",
        |mut store: Store<'_>, (family,)| Ok((newer_tcp_socket(store.data_mut(), family)?,)),
    )?;
    types.func_wrap_async(
        "[static]udp-socket.create",
        |mut store: Store<'_>, (family,)| {
            Box::new(async move { Ok((newer_udp_socket(store.data_mut(), family).await?,)) })
        },
    )
}

type NewerMade<S> = wasmtime::Result<Result<Resource<S>, p3::ErrorCode>>;

/// It has no code of its own for this.
fn scarce() -> p3::ErrorCode {
    p3::ErrorCode::Other(Some("too few descriptors are left".to_owned()))
}

fn newer_tcp_socket(state: &mut HostState, family: p3::IpAddressFamily) -> NewerMade<TcpSocket> {
    if are_scarce(state) {
        return Ok(Err(scarce()));
    }
    coded(p3::HostTcpSocket::create(&mut state.sockets(), family))
}

async fn newer_udp_socket(
    state: &mut HostState,
    family: p3::IpAddressFamily,
) -> NewerMade<UdpSocket> {
    if are_scarce(state) {
        return Ok(Err(scarce()));
    }
    coded(p3::HostUdpSocket::create(&mut state.sockets(), family).await)
}
