//! A `LinkedComponent` is a component that is linked to the host, in either version of WASI HTTP. It is linked
//! once, so that an instance costs little.

use crate::guest::component::info::World;
use crate::guest::component::target::Target;
use crate::guest::host::capabilities::Capabilities;
use crate::guest::host::linker;
use crate::guest::host::recorded_files;
use crate::guest::host::state::HostState;
use crate::guest::host::waiting;
use anyhow::Result;
use wasmtime::Store;
use wasmtime::component::Component;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p3::bindings::ServicePre;

#[derive(Clone)]
pub enum LinkedComponent {
    P2(ProxyPre<HostState>),
    P3(ServicePre<HostState>),
}

impl LinkedComponent {
    /// Finds the handler among the exports, and gives the component what it imports. What answers differently from run
    /// to run costs more where it is recorded or replayed.
    pub fn link(
        target: Target,
        component: &Component,
        recorded: Option<&Capabilities>,
    ) -> Result<LinkedComponent> {
        let mut linker = linker::linker(component.engine(), target)?;
        if recorded.is_some_and(Capabilities::are_recorded) {
            waiting::replace(&mut linker)?;
        }
        if recorded.is_some_and(Capabilities::are_directories_recorded) {
            recorded_files::replace(&mut linker, target.concurrent)?;
        }
        let pre = linker.instantiate_pre(component)?;
        Ok(match target.world {
            World::P2 => LinkedComponent::P2(ProxyPre::new(pre)?),
            World::P3 => LinkedComponent::P3(ServicePre::new(pre)?),
        })
    }

    pub fn component(&self) -> &Component {
        match self {
            LinkedComponent::P2(pre) => pre.instance_pre().component(),
            LinkedComponent::P3(pre) => pre.instance_pre().component(),
        }
    }

    /// Makes an instance only to see whether that works.
    pub async fn try_instance(&self, mut store: Store<HostState>) -> Result<()> {
        match self {
            LinkedComponent::P2(pre) => {
                pre.instantiate_async(&mut store).await?;
            }
            LinkedComponent::P3(pre) => {
                pre.instantiate_async(&mut store).await?;
            }
        }
        Ok(())
    }
}
