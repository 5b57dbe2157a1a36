//! Drives the real executable: real processes, real signals, real sockets, real components.

mod harness;

mod access_log;
mod activation;
mod addresses;
mod bad_addresses;
mod bad_input;
mod balance;
mod capabilities;
mod chaos;
mod compression;
mod config_file;
mod failing_guests;
mod front;
mod http;
mod http2;
mod inspect;
mod isolation;
mod keyvalue;
mod layering;
mod limits;
mod outbound;
mod processes;
mod proxy_protocol;
mod readme;
mod redirect;
mod responses;
mod reuse;
mod sockets;
mod static_files;
mod strict;
mod supervision;
mod tls;
mod toolchains;
mod worlds;
