//! Names are looked up in threads, and no more of them at a time than leave files enough: a name server that does not
//! answer holds a thread for tens of seconds, and all that waits for disks has the same threads.

use super::sockets::Peers;
use super::state::HostState;
use crate::guest::recording::Used;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker, ready};
use std::vec;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use url::Host;
use wasmtime::component::{Accessor, HasData, Linker, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress};
use wasmtime_wasi::p2::{Network, Pollable, subscribe};
use wasmtime_wasi::p3::bindings::sockets::{ip_name_lookup as p3, types};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};

/// One worker looks up this many names at a time, in as many of the 512 threads that tokio has.
const ALL: usize = 128;

/// One instance looks up this many names at a time, by its sockets. Its requests have a limit of their own.
const OWN: usize = 16;

/// A name has no more bytes than this: one of DNS has 255 (RFC 1035 section 2.3.4), which may stand for characters of
/// four bytes. To look at one of 100 MB takes longer than a worker may be silent.
pub const LONGEST_NAME: usize = 1024;

/// Makes the turns of one instance.
pub fn turns() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(OWN))
}

/// Looks a name up, when it is its turn.
pub async fn addresses(name: String) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, 0)]);
    }
    in_turn(move || (name.as_str(), 0).to_socket_addrs().map(Iterator::collect)).await
}

/// Does this in a thread, when it is its turn. Who gives up before that has taken none.
async fn in_turn<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(ALL)));
    let turn = TURNS.clone().acquire_owned().await;
    let done = spawn_blocking(move || {
        // The thread goes on where nobody waits for it any more.
        let _turn = turn;
        work()
    });
    done.await.map_err(io::Error::other)?
}

/// Looks up what a guest names, as the engine does.
async fn of_guest(name: String, turns: Arc<Semaphore>) -> Result<Vec<IpAddr>, ErrorCode> {
    let domain = match Host::parse(&name) {
        Ok(Host::Domain(domain)) => domain,
        Ok(Host::Ipv4(address)) => return Ok(vec![address.into()]),
        Ok(Host::Ipv6(address)) => return Ok(vec![address.into()]),
        // Here it wants brackets.
        Err(_) => {
            let address = name.parse::<Ipv6Addr>();
            return Ok(vec![
                address.map_err(|_| ErrorCode::InvalidArgument)?.into(),
            ]);
        }
    };
    let _turn = turns.acquire().await;
    let found = addresses(domain).await;
    let found = found.map_err(|_| ErrorCode::NameUnresolvable)?;
    Ok(found.iter().map(|it| it.ip().to_canonical()).collect())
}

/// A `NameLookup` is a look-up that a guest has begun by `wasi:sockets` 0.2.
struct NameLookup {
    name: String,
    state: LookupState,
}

enum LookupState {
    Running(AbortOnDropJoinHandle<Result<Vec<IpAddr>, ErrorCode>>),
    Done(Result<vec::IntoIter<IpAddr>, ErrorCode>),
}

impl NameLookup {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<&mut Result<vec::IntoIter<IpAddr>, ErrorCode>> {
        if let LookupState::Running(running) = &mut self.state {
            let found = ready!(Pin::new(running).poll(cx));
            self.state = LookupState::Done(found.map(Vec::into_iter));
        }
        match &mut self.state {
            LookupState::Done(found) => Poll::Ready(found),
            LookupState::Running(_) => Poll::Pending,
        }
    }

    fn next(&mut self) -> Result<Option<IpAddr>, ErrorCode> {
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(found)) => Ok(found.next()),
            Poll::Ready(Err(code)) => Err(*code),
            Poll::Pending => Err(ErrorCode::WouldBlock),
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for NameLookup {
    async fn ready(&mut self) {
        std::future::poll_fn(|cx| self.poll(cx).map(|_| ())).await;
    }
}

/// A `Lookups` is the look-up of one instance.
pub struct Lookups {
    peers: Arc<Peers>,
    /// Nobody is asked in a replay.
    is_replayed: bool,
}

impl Lookups {
    fn of(state: &mut HostState) -> Lookups {
        state.uses(Used::Sockets);
        let is_replayed = state.recorder().is_some_and(|it| it.is_replayed());
        let peers = state.peers().clone();
        Lookups { peers, is_replayed }
    }

    /// Says whether this name may be looked up.
    fn check(&self, name: &str) -> Result<(), ErrorCode> {
        if name.len() > LONGEST_NAME {
            return Err(ErrorCode::InvalidArgument);
        }
        match self.peers.names(name) {
            false => Err(ErrorCode::AccessDenied),
            true if self.is_replayed || !self.peers.are_any() => {
                Err(ErrorCode::PermanentResolverFailure)
            }
            true => Ok(()),
        }
    }
}

fn begin(
    state: &mut HostState,
    network: &Resource<Network>,
    name: String,
) -> wasmtime::Result<Result<Resource<NameLookup>, ErrorCode>> {
    let lookups = Lookups::of(state);
    state.table().get(network)?;
    if let Err(code) = lookups.check(&name) {
        return Ok(Err(code));
    }
    let found = of_guest(name.clone(), lookups.peers.turns());
    let mut lookup = NameLookup {
        state: LookupState::Running(spawn(found)),
        name,
    };
    // What is known at once is said at once.
    if let Poll::Ready(Err(code)) = lookup.poll(&mut Context::from_waker(Waker::noop())) {
        return Ok(Err(*code));
    }
    Ok(Ok(state.table_mut().push(lookup)?))
}

fn next(
    state: &mut HostState,
    lookup: &Resource<NameLookup>,
) -> wasmtime::Result<Result<Option<IpAddress>, ErrorCode>> {
    let lookup = state.table_mut().get_mut(lookup)?;
    let next = lookup.next();
    if let Ok(Some(address)) = next {
        let name = lookup.name.clone();
        state.peers().note(address, &name);
    }
    Ok(next.map(|address| address.map(Into::into)))
}

/// Puts this look-up in the place of the engine's, which looks everything up.
pub fn replace(linker: &mut Linker<HostState>, concurrent: bool) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut lookups = linker.instance("wasi:sockets/ip-name-lookup@0.2.12")?;
    lookups.resource(
        "resolve-address-stream",
        ResourceType::host::<NameLookup>(),
        |mut store, rep| {
            let table = store.data_mut().table_mut();
            table.delete(Resource::<NameLookup>::new_own(rep))?;
            Ok(())
        },
    )?;
    lookups.func_wrap(
        "resolve-addresses",
        |mut store, (network, name): (Resource<Network>, String)| {
            Ok((begin(store.data_mut(), &network, name)?,))
        },
    )?;
    lookups.func_wrap(
        "[method]resolve-address-stream.resolve-next-address",
        |mut store, (lookup,): (Resource<NameLookup>,)| Ok((next(store.data_mut(), &lookup)?,)),
    )?;
    lookups.func_wrap(
        "[method]resolve-address-stream.subscribe",
        |mut store, (lookup,): (Resource<NameLookup>,)| {
            Ok((subscribe(store.data_mut().table_mut(), lookup)?,))
        },
    )?;
    if concurrent {
        p3::add_to_linker::<_, Names>(linker, Lookups::of)?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

struct Names;

impl HasData for Names {
    type Data<'a> = Lookups;
}

impl p3::Host for Lookups {}

impl p3::HostWithStore<HostState> for Names {
    async fn resolve_addresses(
        store: &Accessor<HostState, Names>,
        name: String,
    ) -> wasmtime::Result<Result<Vec<types::IpAddress>, p3::ErrorCode>> {
        let lookups = store.with(|mut access| access.get());
        let found = match lookups.check(&name) {
            Ok(()) => of_guest(name.clone(), lookups.peers.turns()).await,
            Err(code) => Err(code),
        };
        Ok(match found {
            Ok(found) => {
                found
                    .iter()
                    .for_each(|address| lookups.peers.note(*address, &name));
                Ok(found.into_iter().map(Into::into).collect())
            }
            Err(ErrorCode::AccessDenied) => Err(p3::ErrorCode::AccessDenied),
            Err(ErrorCode::InvalidArgument) => Err(p3::ErrorCode::InvalidArgument),
            Err(ErrorCode::NameUnresolvable) => Err(p3::ErrorCode::NameUnresolvable),
            Err(_) => Err(p3::ErrorCode::PermanentResolverFailure),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;
    use tokio::runtime::Builder;
    use tokio::time::timeout;

    #[test]
    fn names_whose_servers_do_not_answer_leave_threads_to_files() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let (answer, answered) = mpsc::channel::<()>();
        let answered = Arc::new(std::sync::Mutex::new(answered));
        runtime.block_on(async {
            let looking = (0..600).map(|_| {
                let answered = answered.clone();
                let wait = move || answered.lock().unwrap().recv().map_err(io::Error::other);
                tokio::spawn(async { in_turn(wait).await })
            });
            let looking: Vec<_> = looking.collect();
            tokio::task::yield_now().await;
            let read = timeout(Duration::from_secs(60), spawn_blocking(|| 7));
            assert_eq!(read.await.unwrap().unwrap(), 7);
            // Those whose turn has not come leave nothing behind.
            looking.iter().for_each(|it| it.abort());
            for _ in 0..ALL {
                answer.send(()).unwrap();
            }
            in_turn(|| Ok(())).await.unwrap();
        });
    }
}
