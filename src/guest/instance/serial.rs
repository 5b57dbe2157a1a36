//! An instance of the component answers requests one after the other, in either version of WASI HTTP.

use super::call::{Head, Request};
use super::concurrent::{Job, Reply};
use super::handler::LinkedComponent;
use super::restore::{RestoreState, StandIn};
use crate::guest::counts::Life;
use crate::guest::failure::{Exhausted, Failure, NoRoom, cause};
use crate::guest::host::{request_name::RequestName, state::HostState, websocket};
use crate::guest::memory::instance::InstanceMemory;
use crate::guest::schedule::cpu_share::CpuShare;
use crate::guest::snapshot::{Handle, ResetHandle, Restorer, ServiceHandle, is_idle};
use crate::guest::startup;
use crate::scoreboard::DropReason;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::{self, Accessor, AccessorTask};
use wasmtime_wasi_http::p2::bindings::Proxy;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme as P2Scheme;
use wasmtime_wasi_http::p3::Request as P3Request;
pub use wasmtime_wasi_http::p3::bindings::Service;
use wasmtime_wasi_http::{Error, WasiHttpView};

pub struct Instance {
    pub(super) store: Store<HostState>,
    exports: Exports,
    /// The engine knows the instance by this, with what else it exports.
    pub(super) component: component::Instance,
    /// The memories and tables begin with this many bytes.
    pub(super) initial_memory: usize,
    /// The instance has answered this many requests, since it was restored in the place of a new one where it was.
    pub(super) answered: u64,
    pub(super) stands_in: StandIn,
    /// The handle restores the instance, where that is possible.
    pub(super) reset_handle: Option<ResetHandle>,
    pub(super) condition: RestoreState,
    /// The last request had this many handles at a time, at most.
    pub(super) handles: u32,
    /// The last request was answered by a function that restores the instance, and nothing was called since.
    pub(super) answered_in_order: bool,
    /// The host does nothing more for the last request, whose tasks have all ended.
    pub(super) is_idle: bool,
    /// The instance is counted, where it belongs to a worker.
    life: Option<Life>,
}

/// An `InstanceSource` says where the instance for a request comes from.
pub enum InstanceSource {
    Kept(Instance),
    Fresh(LinkedComponent, Store<HostState>, Option<Arc<Restorer>>),
}

impl InstanceSource {
    /// Returns the count of what the instance takes.
    pub fn memory(&self) -> &Arc<InstanceMemory> {
        match self {
            InstanceSource::Kept(instance) => instance.store.data().memory(),
            InstanceSource::Fresh(_, store, _) => store.data().memory(),
        }
    }

    /// Makes the instance where there is none yet, at the expense of this share.
    pub async fn instance(self, share: &CpuShare) -> Result<Instance, Failure> {
        match self {
            InstanceSource::Kept(instance) => Ok(instance),
            InstanceSource::Fresh(handler, store, restorer) => {
                share.slice.begin_instantiation();
                let made = Box::pin(Instance::new(&handler, store, restorer.as_ref())).await;
                share.slice.end_instantiation(share.budget.burned());
                made
            }
        }
    }
}

enum Exports {
    P2(Handle),
    P3(Service),
}

impl Exports {
    fn p2(proxy: &Proxy) -> Exports {
        Exports::P2(proxy.wasi_http_incoming_handler().func_handle())
    }
}

impl Instance {
    pub async fn new(
        handler: &LinkedComponent,
        mut store: Store<HostState>,
        restorer: Option<&Arc<Restorer>>,
    ) -> Result<Instance, Failure> {
        match made(handler, &mut store, restorer).await {
            Ok((exports, component, reset_handle)) => {
                let primed = reset_handle.as_ref().and_then(ResetHandle::primed);
                let is_restored = reset_handle.is_some();
                let memory = store.data().memory();
                let initial_memory = memory.used() + primed.unwrap_or_default();
                memory.set_used(initial_memory);
                Ok(Instance {
                    component,
                    initial_memory,
                    store,
                    exports,
                    answered: 0,
                    stands_in: StandIn::default(),
                    reset_handle,
                    // What a primed snapshot says of the globals is not in them yet, and where no snapshot was primed,
                    // something may have to be run first.
                    condition: match is_restored {
                        true => RestoreState::MemoriesReset,
                        false => RestoreState::Ready,
                    },
                    handles: 0,
                    answered_in_order: false,
                    is_idle: true,
                    life: None,
                })
            }
            Err(error) => Err(trapped(error, &mut store)),
        }
    }

    /// Makes an instance that is to answer several requests at a time; the engine knows it by its store.
    pub async fn service(
        handler: &LinkedComponent,
        store: Store<HostState>,
        restorer: Option<&Arc<Restorer>>,
    ) -> Result<(Arc<Service>, Store<HostState>), Failure> {
        let mut instance = Instance::new(handler, store, restorer).await?;
        instance.restore().await?;
        let Instance { store, exports, .. } = instance;
        match exports {
            Exports::P3(service) => Ok((Arc::new(service), store)),
            // Judged by the compiler.
            Exports::P2(_) => Err(Failure::NoResponse),
        }
    }

    /// Has the instance counted for as long as it lives.
    pub fn live(&mut self, life: Life) {
        self.life = Some(life);
    }

    /// Notes why the instance is gone, should it be dropped from here on.
    pub fn would_end(&mut self, why: DropReason) {
        if let Some(life) = &mut self.life {
            life.would_end(why);
        }
    }

    /// Says whether the instance has answered nothing yet.
    pub fn is_new(&self) -> bool {
        self.answered == 0
    }

    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// Prepares the instance for another request, which has this name and this share of the processor.
    pub fn renew(&mut self, share: Arc<CpuShare>, name: Option<RequestName>) {
        self.store.data_mut().renew(share, name);
        self.store.set_epoch_deadline(1);
    }

    /// Returns the store of an instance that does not run.
    pub fn store_mut(&mut self) -> &mut Store<HostState> {
        &mut self.store
    }

    /// Serves a WebSocket, and resolves when the guest has returned. The instance is not used again.
    pub async fn serve_websocket(
        mut self,
        opening: websocket::Opening,
        connection: websocket::Connection,
    ) -> Result<(), Failure> {
        if self.condition == RestoreState::MemoriesReset {
            self.restore().await?;
        }
        let served = websocket::serve(&mut self.store, &self.component, &opening, connection);
        let served = Box::pin(served).await;
        self.store.data().rest();
        served.map_err(|error| trapped(error, &mut self.store))
    }

    /// Answers a request, and resolves when nothing of the guest runs any more.
    pub async fn answer(
        &mut self,
        request: Request,
        head: oneshot::Sender<Head>,
    ) -> Result<(), Failure> {
        let (mut handle, mut service) = (None, None);
        if let (Some(reset_handle), RestoreState::MemoriesReset) =
            (&self.reset_handle, self.condition)
        {
            match self.exports {
                Exports::P2(_) => handle = reset_handle.handle(),
                Exports::P3(_) => service = reset_handle.service(),
            }
            match handle.is_some() || service.is_some() {
                true => {
                    let restored = reset_handle.restore_others(&mut self.store).await;
                    restored.map_err(|error| trapped(error, &mut self.store))?;
                    self.condition = RestoreState::Ready;
                }
                false => self.restore().await?,
            }
        }
        let answered = match &self.exports {
            Exports::P2(own) => p2(handle.unwrap_or(*own), &mut self.store, request, head).await,
            Exports::P3(own) => {
                let handle = service.unwrap_or_else(|| own.wasi_http_handler().func_handle());
                Box::pin(p3(handle, &mut self.store, request, head)).await
            }
        };
        self.answered += 1;
        self.answered_in_order = handle.is_some() || service.is_some();
        if answered.is_ok() {
            self.look_for_tasks();
        }
        self.store.data().rest();
        answered.map_err(|error| trapped(error, &mut self.store))
    }
}

impl Instance {
    /// Looks whether anything goes on in an instance that is to be restored. What can be done at once is done, at the
    /// expense of the request: it may still be the guest's.
    pub(super) fn look_for_tasks(&mut self) {
        if self.reset_handle.is_some() {
            self.is_idle = is_idle(&mut self.store);
        }
    }
}

async fn made(
    handler: &LinkedComponent,
    store: &mut Store<HostState>,
    restorer: Option<&Arc<Restorer>>,
) -> wasmtime::Result<(Exports, component::Instance, Option<ResetHandle>)> {
    Ok(match (handler, restorer) {
        (LinkedComponent::P2(pre), Some(restorer)) => {
            store
                .data_mut()
                .open_standing(restorer.standing_handles())?;
            let (instance, reset_handle) = restorer.instance(pre.instance_pre(), store).await?;
            let proxy = Proxy::new(store, &instance)?;
            (Exports::p2(&proxy), instance, Some(reset_handle))
        }
        (LinkedComponent::P2(pre), None) => {
            let instance = pre.instance_pre().instantiate_async(&mut *store).await?;
            let proxy = Proxy::new(store, &instance)?;
            (Exports::p2(&proxy), instance, None)
        }
        (LinkedComponent::P3(pre), Some(restorer)) => {
            store
                .data_mut()
                .open_standing(restorer.standing_handles())?;
            let (instance, reset_handle) = restorer.instance(pre.instance_pre(), store).await?;
            let service = Service::new(store, &instance)?;
            (Exports::P3(service), instance, Some(reset_handle))
        }
        (LinkedComponent::P3(pre), None) => {
            let instance = pre.instance_pre().instantiate_async(&mut *store).await?;
            let service = Service::new(store, &instance)?;
            (Exports::P3(service), instance, None)
        }
    })
}

/// Calls `wasi:http/incoming-handler@0.2`.
async fn p2(
    handle: Handle,
    store: &mut Store<HostState>,
    request: Request,
    head: oneshot::Sender<Head>,
) -> wasmtime::Result<()> {
    let scheme = match request.uri().scheme_str() {
        Some("https") => P2Scheme::Https,
        _ => P2Scheme::Http,
    };
    let recorder = store.data().recorder().cloned();
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(scheme, *request)?;
    let response = http.new_response_outparam_from_callback(move |mut response| {
        if let (Some(recorder), Ok(response)) = (recorder, &mut response) {
            recorder.answers(response);
        }
        let _ = head.send(response.map_err(startup::failure_of));
    })?;
    Box::pin(handle.call_async(store, (request, response))).await
}

/// Calls `wasi:http/handler@0.3`, and waits until the last task of the instance has ended.
async fn p3(
    handle: ServiceHandle,
    store: &mut Store<HostState>,
    request: Request,
    head: oneshot::Sender<Head>,
) -> wasmtime::Result<()> {
    let recorder = store.data().recorder().cloned();
    let run = store.run_concurrent(async |accessor| {
        let (request, sent) = accessor.with(|mut access| {
            let (request, sent) = p3_request(access.data_mut(), request);
            wasmtime::error::Ok((access.data_mut().table_mut().push(request)?, sent))
        })?;
        let (answer,) = handle.call_concurrent(accessor, (request,)).await?;
        let response = match answer {
            Ok(response) => {
                let mut response = accessor.with(|mut access| {
                    let response = access.data_mut().table_mut().delete(response)?;
                    response.into_http(access, sent)
                })?;
                if let Some(recorder) = &recorder {
                    recorder.answers(&mut response);
                }
                Ok(response)
            }
            Err(code) => Err(Failure::error_code(&code)),
        };
        // Nobody waits for it where the client has gone away.
        let _ = head.send(response);
        std::future::poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
        wasmtime::Result::Ok(())
    });
    run.await?
}

type RequestSending = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

fn p3_request(state: &mut HostState, request: Request) -> (P3Request, RequestSending) {
    let (request, sent) = P3Request::from_http(state.http().hooks, *request);
    (request, Box::pin(sent))
}

/// An `AnswerTask` serves one of several requests that an instance answers at the same time.
pub struct AnswerTask {
    service: Arc<Service>,
    job: Job,
}

impl AnswerTask {
    pub fn new(service: Arc<Service>, job: Job) -> AnswerTask {
        AnswerTask { service, job }
    }
}

impl AccessorTask<HostState> for AnswerTask {
    async fn run(self, accessor: &Accessor<HostState>) -> wasmtime::Result<()> {
        let Job {
            request,
            name,
            budget,
            reply,
        } = self.job;
        let handle = self.service.wasi_http_handler().func_handle();
        let (call, sent) = accessor.with(|mut access| {
            let (request, sent) = p3_request(access.data_mut(), request);
            let request = access.data_mut().table_mut().push(request)?;
            let call = handle.start_call_concurrent(&mut access, (request,))?;
            access.data_mut().join(call.task(), budget, name);
            wasmtime::error::Ok((call, sent))
        })?;
        let (answer,) = handle.finish_call_concurrent(accessor, call).await?;
        let head = match answer {
            Ok(response) => accessor.with(|mut access| {
                let response = access.data_mut().table_mut().delete(response)?;
                response.into_http(access, sent).map(Ok)
            })?,
            Err(code) => Err(Failure::error_code(&code)),
        };
        // Nobody waits for it where the client has gone away.
        let _ = reply.send(Reply::Head(head));
        Ok(())
    }
}

pub fn trapped(error: wasmtime::Error, store: &mut Store<HostState>) -> Failure {
    if error.is::<Exhausted>() {
        return Failure::OutOfTime;
    }
    if error.is::<NoRoom>() {
        return Failure::NoRoom;
    }
    let core_dumps = store.data().core_dumps();
    Failure::Trapped {
        core_dump: core_dumps.and_then(|core_dumps| core_dumps.keep(&error, &cause(&error), store)),
        error,
        refused_memory: store.data().memory().refused(),
    }
}
