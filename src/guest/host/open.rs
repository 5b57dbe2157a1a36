//! This file names what an instance has open, in words for the operator.

use std::any::Any;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::sockets::{TcpSocket, UdpSocket};
use wasmtime_wasi_io::poll::DynPollable;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

/// Names everything in a table, each kind once.
pub fn names(table: &mut ResourceTable) -> Vec<&'static str> {
    let mut names: Vec<&str> = table.iter_mut().map(|it| name(it)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn name(resource: &(dyn Any + Send)) -> &'static str {
    if let Some(descriptor) = resource.downcast_ref::<Descriptor>() {
        return match descriptor {
            Descriptor::File(_) => "a file",
            Descriptor::Dir(_) => "a directory",
        };
    }
    if resource.is::<TcpSocket>() || resource.is::<UdpSocket>() {
        return "a socket";
    }
    if resource.is::<DynInputStream>() {
        return "a stream to read from";
    }
    if resource.is::<DynOutputStream>() {
        return "a stream to write to, such as standard output";
    }
    if resource.is::<DynPollable>() {
        return "something to wait for, such as a timer";
    }
    "a request, an answer, or another resource of the host"
}
