//! Guests call these functions of `wasmserve:http@0.1.0`, each of which does what several of `wasi:http/types@0.2` do.

use super::http_imports::new_fields;
use super::state::HostState;
use bindings::wasmserve::http::exchange::{Head, Headers, Host, Problem, Refusal};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::{
    HeaderError, HostFields, HostIncomingRequest as _, Scheme,
};
use wasmtime_wasi_http::p2::types::{HostIncomingRequest, HostResponseOutparam};
use wasmtime_wasi_http::{WasiBody, WasiHttpView};

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "wasmserve:http/at-once@0.1.0",
        imports: { default: trappable },
        require_store_data_send: true,
        with: {
            "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:http/types": wasmtime_wasi_http::p2::bindings::http::types,
        },
    });
}

/// A body has this many bytes at most: the worker keeps it until the client has taken it.
const LARGEST: usize = 64 << 10;

pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    bindings::wasmserve::http::exchange::add_to_linker::<_, HasSelf<HostState>>(linker, |state| {
        state
    })
}

impl Host for HostState {
    fn head_of(&mut self, request: Resource<HostIncomingRequest>) -> wasmtime::Result<Head> {
        let http = &mut self.http();
        let again = || Resource::new_borrow(request.rep());
        let fields = http.headers(again())?;
        let of_fields = |fields: &Resource<_>| Resource::new_borrow(fields.rep());
        let entries = HostFields::entries(http, of_fields(&fields))?;
        HostFields::drop(http, fields)?;
        let method: Method = http.method(again())?.try_into()?;
        Ok(Head {
            method: method.to_string(),
            scheme: scheme(http.scheme(again())?),
            authority: http.authority(again())?.unwrap_or_default(),
            path_with_query: http.path_with_query(again())?.unwrap_or_default(),
            headers: entries
                .into_iter()
                .map(|(name, value)| (name.into_bytes(), value))
                .collect(),
        })
    }

    fn respond(
        &mut self,
        response_out: Resource<HostResponseOutparam>,
        status: u16,
        headers: Headers,
        body: Option<Vec<u8>>,
    ) -> wasmtime::Result<Result<(), Refusal>> {
        let size = body.as_ref().map(Vec::len);
        wasmtime::ensure!(
            size.is_none_or(|size| size <= LARGEST),
            "the body of a response that is given whole has at most {LARGEST} bytes"
        );
        let response = match self.response(status, headers, body)? {
            Ok(response) => response,
            Err(problem) => {
                return Ok(Err(Refusal {
                    response_out,
                    problem,
                }));
            }
        };
        let outparam = self.table_mut().delete(response_out)?;
        (outparam.send)(Ok(response));
        Ok(Ok(()))
    }
}

impl HostState {
    fn response(
        &mut self,
        status: u16,
        headers: Headers,
        body: Option<Vec<u8>>,
    ) -> wasmtime::Result<Result<Response<WasiBody>, Problem>> {
        let Ok(status) = StatusCode::from_u16(status) else {
            return Ok(Err(Problem::IllegalStatus));
        };
        let mut entries = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            match String::from_utf8(name) {
                Ok(name) => entries.push((name, value)),
                Err(_) => return Ok(Err(Problem::Header(HeaderError::InvalidSyntax))),
            }
        }
        let fields = match new_fields(&mut self.http(), entries)? {
            Ok(fields) => self.table_mut().delete(fields)?,
            Err(error) => return Ok(Err(Problem::Header(error))),
        };
        let fields = HeaderMap::from(fields);
        if let Some(body) = &body
            && let Err(problem) = check_length(&fields, body.len())
        {
            return Ok(Err(problem));
        }
        let body = match body {
            Some(body) => Full::new(Bytes::from(body))
                .map_err(|never| match never {})
                .boxed_unsync(),
            None => Empty::new().map_err(|never| match never {}).boxed_unsync(),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = fields;
        Ok(Ok(response))
    }
}

/// What is no number is told of where the head of the response is finished.
fn check_length(fields: &HeaderMap, length: usize) -> Result<(), Problem> {
    let declared = fields
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    match declared {
        Some(declared) if length > declared => Err(Problem::Longer),
        Some(declared) if length < declared => Err(Problem::Shorter),
        _ => Ok(()),
    }
}

fn scheme(scheme: Option<Scheme>) -> String {
    match scheme {
        Some(Scheme::Https) => "https".to_owned(),
        Some(Scheme::Other(name)) => name,
        Some(Scheme::Http) | None => "http".to_owned(),
    }
}
