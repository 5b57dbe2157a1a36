//! Some functions of `wasi:http` take the place of the engine's, each of which is wrong in a detail: a second
//! `content-length`, a request without a path, options of a request that stay, a request that could not be sent, and
//! places in the table that are not given back in the order in which the guest gives up its handles, so that nobody
//! knows which handle is whose. Everything else is wasmtime-wasi-http's.

use super::outbound::transmission;
use super::state::HostState;
use http::header::CONTENT_LENGTH;
use http::uri::PathAndQuery;
use wasmtime::component::{Accessor, Linker, Resource, ResourceTable};
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler;
use wasmtime_wasi_http::p2::bindings::http::types as p2;
use wasmtime_wasi_http::p2::types::{
    HostFutureIncomingResponse, HostOutgoingRequest, HostOutgoingResponse, HostResponseOutparam,
};
use wasmtime_wasi_http::p3::Request;
use wasmtime_wasi_http::p3::bindings::http::client::HostWithStore;
use wasmtime_wasi_http::p3::bindings::http::types as p3;
use wasmtime_wasi_http::{
    Error, FieldMap, RequestOptions, WasiHttp, WasiHttpCtxView, WasiHttpView,
};

/// The engine defines the interfaces in these versions.
const P2_TYPES: &str = "wasi:http/types@0.2.12";
const P2_HANDLER: &str = "wasi:http/outgoing-handler@0.2.12";
const P3_TYPES: &str = "wasi:http/types@0.3.0";
const P3_CLIENT: &str = "wasi:http/client@0.3.0";

type Entries = Vec<(String, Vec<u8>)>;

/// Puts these functions in the place of the engine's, which the linker has already.
pub fn replace(linker: &mut Linker<HostState>, concurrent: bool) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(P2_TYPES)?;
    types.func_wrap("[method]fields.append", p2_append)?;
    types.func_wrap("[static]fields.from-list", p2_from_list)?;
    types.func_wrap("[static]response-outparam.set", p2_set)?;
    let mut handler = linker.instance(P2_HANDLER)?;
    handler.func_wrap("handle", p2_handle)?;
    if concurrent {
        let mut types = linker.instance(P3_TYPES)?;
        types.func_wrap("[method]fields.append", p3_append)?;
        types.func_wrap("[static]fields.from-list", p3_from_list)?;
        let mut client = linker.instance(P3_CLIENT)?;
        client.func_wrap_concurrent("send", |accessor, (request,)| {
            Box::pin(async move { Ok((p3_send(accessor, request).await?,)) })
        })?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

/// A change of fields has this result, in either version.
type FieldsResult<E> = wasmtime::Result<(Result<(), E>,)>;

fn p2_append(
    mut store: StoreContextMut<'_, HostState>,
    (fields, name, value): (Resource<FieldMap>, String, Vec<u8>),
) -> FieldsResult<p2::HeaderError> {
    let mut http = store.data_mut().http();
    let appended = match second_length(http.table.get(&fields)?, &name, &value) {
        SecondLength::No => p2::HostFields::append(&mut http, fields, name, value),
        SecondLength::Same => Ok(()),
        SecondLength::Other => p2::HostFields::delete(&mut http, fields, name),
    };
    let appended = match appended {
        Ok(()) => Ok(()),
        Err(error) => Err(p2::Host::convert_header_error(&mut http, error)?),
    };
    Ok((appended,))
}

fn p3_append(
    mut store: StoreContextMut<'_, HostState>,
    (fields, name, value): (Resource<FieldMap>, String, Vec<u8>),
) -> FieldsResult<p3::HeaderError> {
    let mut http = store.data_mut().http();
    let appended = match second_length(http.table.get(&fields)?, &name, &value) {
        SecondLength::No => p3::HostFields::append(&mut http, fields, name, value),
        SecondLength::Same => Ok(()),
        SecondLength::Other => p3::HostFields::delete(&mut http, fields, name),
    };
    let appended = match appended {
        Ok(()) => Ok(()),
        Err(error) => Err(p3::Host::convert_header_error(&mut http, error)?),
    };
    Ok((appended,))
}

/// New fields have this result, in either version.
type NewFields<E> = wasmtime::Result<(Result<Resource<FieldMap>, E>,)>;

fn p2_from_list(
    mut store: StoreContextMut<'_, HostState>,
    (entries,): (Entries,),
) -> NewFields<p2::HeaderError> {
    Ok((new_fields(&mut store.data_mut().http(), entries)?,))
}

/// Makes fields of a list, as this host does: with one length at most.
pub fn new_fields(
    http: &mut WasiHttpCtxView<'_>,
    entries: Entries,
) -> wasmtime::Result<Result<Resource<FieldMap>, p2::HeaderError>> {
    match p2::HostFields::from_list(http, with_one_length(entries)) {
        Ok(fields) => Ok(Ok(fields)),
        Err(error) => Ok(Err(p2::Host::convert_header_error(http, error)?)),
    }
}

fn p3_from_list(
    mut store: StoreContextMut<'_, HostState>,
    (entries,): (Entries,),
) -> NewFields<p3::HeaderError> {
    let mut http = store.data_mut().http();
    let made = match p3::HostFields::from_list(&mut http, with_one_length(entries)) {
        Ok(fields) => Ok(fields),
        Err(error) => Err(p3::Host::convert_header_error(&mut http, error)?),
    };
    Ok((made,))
}

/// `SecondLength` says what a field is beside those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SecondLength {
    No,
    /// The field says again how long the body is.
    Same,
    /// The field says that the body is of another length. Nobody knows which is right, so neither is told: how long
    /// the body is shows when it has been written.
    Other,
}

fn is_length(name: &str) -> bool {
    name.eq_ignore_ascii_case(CONTENT_LENGTH.as_str())
}

/// Compares a field with those that are there: guests copy the fields of an upstream's answer, and append their own
/// length.
fn second_length(fields: &FieldMap, name: &str, value: &[u8]) -> SecondLength {
    if !is_length(name) || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return SecondLength::No;
    }
    match fields.get(CONTENT_LENGTH) {
        None => SecondLength::No,
        Some(first) if first.as_bytes() == value => SecondLength::Same,
        Some(_) => SecondLength::Other,
    }
}

/// Takes the second length out of a list, or all of them where they differ.
fn with_one_length(mut entries: Entries) -> Entries {
    let mut lengths = entries.iter().filter(|(name, _)| is_length(name));
    let Some((_, first)) = lengths.next() else {
        return entries;
    };
    let (mut differ, mut many) = (false, false);
    for (_, value) in lengths {
        many = true;
        differ |= value != first;
    }
    if many {
        let mut kept = differ;
        entries.retain(|(name, _)| !is_length(name) || !std::mem::replace(&mut kept, true));
    }
    entries
}

type Answered = Result<Resource<HostOutgoingResponse>, p2::ErrorCode>;

/// Gives up the handles in the order in which the guest has.
fn p2_set(
    mut store: StoreContextMut<'_, HostState>,
    (outparam, response): (Resource<HostResponseOutparam>, Answered),
) -> wasmtime::Result<()> {
    let table = store.data_mut().table_mut();
    let outparam = table.delete(outparam)?;
    let response = match response {
        Ok(response) => Ok(table.delete(response)?.try_into()?),
        Err(code) => Err(code),
    };
    (outparam.send)(response);
    Ok(())
}

type Handled = Result<Resource<HostFutureIncomingResponse>, p2::ErrorCode>;

/// Sends a request without a path to `/`, and gives up the options too.
fn p2_handle(
    mut store: StoreContextMut<'_, HostState>,
    (request, options): (
        Resource<HostOutgoingRequest>,
        Option<Resource<RequestOptions>>,
    ),
) -> wasmtime::Result<(Handled,)> {
    let mut http = store.data_mut().http();
    let path = &mut http.table.get_mut(&request)?.path_with_query;
    if path.as_deref().is_none_or(str::is_empty) {
        *path = Some("/".to_owned());
    }
    // The engine gives up the request, takes a place for the answer, and keeps the options. The guest gives up both
    // first, and its handle of the answer gets the number that the options had.
    let (request, options) = match options {
        Some(options) => {
            let (request, options) = exchanged(http.table, request, options)?;
            (request, Some(options))
        }
        None => (request, None),
    };
    let place = options.as_ref().map(Resource::rep);
    let kept = place.map(Resource::<RequestOptions>::new_own);
    let handled = outgoing_handler::Host::handle(&mut http, request, options);
    if let Some(options) = kept {
        http.table.delete(options)?;
    }
    match handled {
        Ok(response) => Ok((Ok(response),)),
        Err(error) => {
            if place.is_some() {
                // No place was taken for an answer: the one that the options had comes first here, too.
                let free = [http.table.push(())?, http.table.push(())?];
                for free in free {
                    http.table.delete(free)?;
                }
            }
            let code = p2::Host::convert_error_code(&mut http, error)?;
            Ok((Err(code),))
        }
    }
}

/// Has two resources exchange their places.
fn exchanged<T: Send + 'static, U: Send + 'static>(
    table: &mut ResourceTable,
    one: Resource<T>,
    other: Resource<U>,
) -> wasmtime::Result<(Resource<T>, Resource<U>)> {
    let (one, other) = (table.delete(one)?, table.delete(other)?);
    // What was given up last is given out first.
    Ok((table.push(one)?, table.push(other)?))
}

type SendResult = Result<Resource<p3::Response>, p3::ErrorCode>;

/// Sends a request, and tells the guest how its transmission went, which the engine takes for a success whenever
/// there is no response. The request is handed to the engine a second time, as one of the host's, whose body tells
/// how it fares.
async fn p3_send(
    accessor: &Accessor<HostState>,
    request: Resource<Request>,
) -> wasmtime::Result<SendResult> {
    let (report, outcome) = transmission::channel();
    let again = accessor.with(|mut access| {
        let mut request = access.data_mut().table_mut().delete(request)?;
        let root = || PathAndQuery::from_static("/");
        request.path_with_query.get_or_insert_with(root);
        let (request, options) = match request.into_http(&mut access, outcome) {
            Ok(request) => request,
            Err(error) => return error.downcast().map(Err),
        };
        let request = request.map(|body| report.watch(body));
        let (mut request, _) = Request::from_http(access.data_mut().http().hooks, request);
        request.options = options;
        let request = access.data_mut().table_mut().push(request)?;
        wasmtime::error::Ok(Ok(request))
    })?;
    let sent = match again {
        Ok(request) => {
            note_trace(accessor)?;
            let http = accessor.with_getter::<WasiHttp>(HostState::http);
            match <WasiHttp as HostWithStore<HostState>>::send(&http, request).await {
                Ok(response) => Ok(response),
                Err(error) => Err(error.downcast()?),
            }
        }
        Err(code) => Err(code),
    };
    report.end(sent.as_ref().err().cloned().map(Error::from));
    Ok(sent)
}

/// Notes which of several requests the guest asks for, as long as it is the one that runs.
fn note_trace(accessor: &Accessor<HostState>) -> wasmtime::Result<()> {
    accessor.with(|mut access| {
        if access.data_mut().task_budgets().is_empty() {
            return Ok(());
        }
        // The first of those that called each other.
        let task = access.as_context_mut().async_call_stack()?.last();
        let state = access.data_mut();
        let trace = task.and_then(|task| state.task_budgets().trace(task));
        state.set_outbound_trace(trace);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(lengths: &[&str]) -> Entries {
        let lengths = lengths.iter();
        let mut entries: Entries = lengths
            .map(|value| ("Content-Length".to_owned(), value.as_bytes().to_vec()))
            .collect();
        entries.push(("x".to_owned(), b"y".to_vec()));
        entries
    }

    #[test]
    fn a_length_is_said_once_or_not_at_all() {
        let left = |lengths: &[&str]| with_one_length(entries(lengths)).len() - 1;
        assert_eq!(left(&[]), 0);
        assert_eq!(left(&["5"]), 1);
        assert_eq!(left(&["5", "5"]), 1);
        assert_eq!(left(&["5", "7"]), 0);
        assert_eq!(left(&["5", "5", "7"]), 0);
    }
}
