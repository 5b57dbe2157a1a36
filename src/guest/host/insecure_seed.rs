//! `wasi:random/insecure-seed` is asked by programs that have a hash table, often as all that they want of the machine. So
//! it is answered here, and not by a WASI context, whose generators of random numbers take longer to seed.

use super::state::HostState;
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

/// The engine defines the interface in these versions.
const P2: &str = "wasi:random/insecure-seed@0.2.12";
const P3: &str = "wasi:random/insecure-seed@0.3.0";

/// Puts this function in the place of the engine's, which the linker has already.
pub fn replace(linker: &mut Linker<HostState>, concurrent: bool) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    linker.instance(P2)?.func_wrap("insecure-seed", seed)?;
    if concurrent {
        linker.instance(P3)?.func_wrap("get-insecure-seed", seed)?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

fn seed(mut store: StoreContextMut<'_, HostState>, (): ()) -> wasmtime::Result<((u64, u64),)> {
    let seed = store.data_mut().insecure_seed();
    Ok(((seed as u64, (seed >> 64) as u64),))
}
