//! What a guest may ask of others, over the real network of this machine and in both versions of
//! WASI HTTP.

mod connections;
mod failures;
mod rules;
mod secure;

use crate::harness::{Server, get, guest};

const BOTH: [&str; 2] = ["behaviours", "behaviours-p3"];

fn ask(server: &Server, query: &str) -> String {
    get(server.address, &format!("/outbound?{query}")).text()
}

fn serve(name: &str, arguments: &[&str]) -> Server {
    Server::component(guest(name)).args(arguments).start()
}

fn denied(said: &str) -> bool {
    said.contains("HttpRequestDenied")
}
