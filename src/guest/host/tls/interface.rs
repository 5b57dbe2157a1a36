//! Guests call these functions of `wasmserve:tls@0.1.0`.

use super::config;
use super::session::TlsSession;
use crate::guest::host::state::HostState;
use wasmtime::component::{HasSelf, Linker, Resource};
use wit::{Error, Negotiated, Received, Settings};

pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "wasmserve:tls/imports@0.1.0",
        imports: { default: trappable },
        with: { "wasmserve:tls/client.session": crate::guest::host::tls::session::TlsSession },
    });
}

pub use bindings::wasmserve::tls::client as wit;

pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

impl wit::Host for HostState {}

impl wit::HostSession for HostState {
    fn open(
        &mut self,
        settings: Settings,
    ) -> wasmtime::Result<Result<Resource<TlsSession>, Error>> {
        let opened = config::client(settings, self.authorities()).and_then(TlsSession::open);
        Ok(match opened {
            Ok(session) => Ok(self.table_mut().push(session)?),
            Err(error) => Err(error),
        })
    }

    fn receive(
        &mut self,
        session: Resource<TlsSession>,
        ciphertext: Vec<u8>,
    ) -> wasmtime::Result<Result<Received, Error>> {
        Ok(self.table_mut().get_mut(&session)?.receive(&ciphertext))
    }

    fn send(&mut self, session: Resource<TlsSession>, plaintext: Vec<u8>) -> wasmtime::Result<u32> {
        Ok(self.table_mut().get_mut(&session)?.send(&plaintext))
    }

    fn take(&mut self, session: Resource<TlsSession>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table_mut().get_mut(&session)?.take())
    }

    fn close(&mut self, session: Resource<TlsSession>) -> wasmtime::Result<()> {
        self.table_mut().get_mut(&session)?.close();
        Ok(())
    }

    fn negotiated(
        &mut self,
        session: Resource<TlsSession>,
    ) -> wasmtime::Result<Option<Negotiated>> {
        Ok(self.table().get(&session)?.negotiated())
    }

    fn drop(&mut self, session: Resource<TlsSession>) -> wasmtime::Result<()> {
        self.table_mut().delete(session)?;
        Ok(())
    }
}
