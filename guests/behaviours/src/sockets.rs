//! Guests that connect sockets, or hold many of them and of files.

use crate::reply;
use query::Query;
use std::any::Any;
use std::time::Duration;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
use wasip2::http::types::ResponseOutparam;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use wasip2::sockets::udp::OutgoingDatagram;
use wasip2::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};

/// `tcp=HOST`, `udp=HOST` at `port`: sends `ping` and says what came back; `lookup=HOST` gives its
/// addresses; `lookups=N` begins to look up so many names, of so many `letters`, and waits `ms`; `listen` tries to
/// listen. With `keep` the network is kept, as C libraries keep it.
pub fn talk(out: ResponseOutparam, query: &Query) {
    let port = u16::try_from(query.number("port", 0)).expect("a port");
    if query.text("keep").is_some() {
        std::mem::forget(instance_network::instance_network());
    }
    let said = if let Some(host) = query.text("tcp") {
        resolve(host).and_then(|found| tcp(at(found[0], port)))
    } else if let Some(host) = query.text("udp") {
        resolve(host).and_then(|found| udp(at(found[0], port)))
    } else if let Some(host) = query.text("lookup") {
        resolve(host).map(|found| format!("found {}", found.len()))
    } else if query.text("lookups").is_some() {
        lookups(query)
    } else {
        listen()
    };
    let text = said.unwrap_or_else(|error| format!("error {error:?}"));
    reply::text(out, &text);
}

fn resolve(host: &str) -> Result<Vec<IpAddress>, ErrorCode> {
    let network = instance_network::instance_network();
    let stream = ip_name_lookup::resolve_addresses(&network, host)?;
    let mut found = Vec::new();
    loop {
        match stream.resolve_next_address() {
            Ok(Some(address)) => found.push(address),
            Ok(None) if found.is_empty() => return Err(ErrorCode::NameUnresolvable),
            Ok(None) => return Ok(found),
            Err(ErrorCode::WouldBlock) => stream.subscribe().block(),
            Err(error) => return Err(error),
        }
    }
}

fn lookups(query: &Query) -> Result<String, ErrorCode> {
    let network = instance_network::instance_network();
    let length = usize::try_from(query.number("letters", 0)).expect("it fits");
    let name = "\u{fc}".repeat(length) + ".example.com";
    let begin = |nth| ip_name_lookup::resolve_addresses(&network, &format!("n{nth}{name}"));
    let count = 0..query.number("lookups", 1);
    let begun: Vec<_> = count.map(begin).collect::<Result<_, _>>()?;
    println!("looks up {}", begun.len());
    reply::sleep(Duration::from_millis(query.number("ms", 0)));
    Ok(format!("begun {}", begun.len()))
}

fn at(address: IpAddress, port: u16) -> IpSocketAddress {
    match address {
        IpAddress::Ipv4(address) => IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address }),
        IpAddress::Ipv6(address) => IpSocketAddress::Ipv6(Ipv6SocketAddress {
            port,
            address,
            flow_info: 0,
            scope_id: 0,
        }),
    }
}

fn family(address: IpSocketAddress) -> IpAddressFamily {
    match address {
        IpSocketAddress::Ipv4(_) => IpAddressFamily::Ipv4,
        IpSocketAddress::Ipv6(_) => IpAddressFamily::Ipv6,
    }
}

fn tcp(remote: IpSocketAddress) -> Result<String, ErrorCode> {
    let network = instance_network::instance_network();
    let socket = tcp_create_socket::create_tcp_socket(family(remote))?;
    socket.start_connect(&network, remote)?;
    let (input, output) = loop {
        match socket.finish_connect() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            result => break result?,
        }
    };
    output
        .blocking_write_and_flush(b"ping")
        .expect("the peer reads");
    let answer = input.blocking_read(100).expect("the peer answers");
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn udp(remote: IpSocketAddress) -> Result<String, ErrorCode> {
    let network = instance_network::instance_network();
    let socket = udp_create_socket::create_udp_socket(family(remote))?;
    let any = match family(remote) {
        IpAddressFamily::Ipv4 => IpAddress::Ipv4((0, 0, 0, 0)),
        IpAddressFamily::Ipv6 => IpAddress::Ipv6((0, 0, 0, 0, 0, 0, 0, 0)),
    };
    socket.start_bind(&network, at(any, 0))?;
    socket.finish_bind()?;
    let (input, output) = socket.stream(None)?;
    while output.check_send()? == 0 {
        output.subscribe().block();
    }
    output.send(&[OutgoingDatagram {
        data: b"ping".to_vec(),
        remote_address: Some(remote),
    }])?;
    loop {
        match input.receive(1)?.into_iter().next() {
            Some(datagram) => return Ok(String::from_utf8_lossy(&datagram.data).into_owned()),
            None => input.subscribe().block(),
        }
    }
}

fn listen() -> Result<String, ErrorCode> {
    let network = instance_network::instance_network();
    let socket = tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4)?;
    socket.start_bind(&network, at(IpAddress::Ipv4((0, 0, 0, 0)), 0))?;
    socket.finish_bind()?;
    socket.start_listen()?;
    socket.finish_listen()?;
    Ok("listening".to_owned())
}

/// Opens as many of `of` (`tcp`, `udp`, or the file `a` of the first directory) as it is given, no more than `n`, and holds
/// them for `ms`.
pub fn hold_open(out: ResponseOutparam, query: &Query) {
    let of = query.text("of").unwrap_or("file");
    let family = IpAddressFamily::Ipv4;
    let (directory, _) = &get_directories()[0];
    let how = (
        PathFlags::empty(),
        OpenFlags::empty(),
        DescriptorFlags::READ,
    );
    let one = |_| -> Result<Box<dyn Any>, String> {
        match of {
            "tcp" => tcp_create_socket::create_tcp_socket(family)
                .map(boxed)
                .map_err(told),
            "udp" => udp_create_socket::create_udp_socket(family)
                .map(boxed)
                .map_err(told),
            _ => directory
                .open_at(how.0, "a", how.1, how.2)
                .map(boxed)
                .map_err(told),
        }
    };
    let mut refused = String::new();
    let opened = (0..query.number("n", 1)).map(one);
    let held = opened.map_while(|opened| opened.map_err(|error| refused = error).ok());
    let held: Vec<Box<dyn Any>> = held.collect();
    println!("holds descriptors of {of}: {refused}");
    reply::sleep(Duration::from_millis(query.number("ms", 0)));
    reply::text(out, &format!("held {}\n", held.len()));
}

fn boxed<T: 'static>(opened: T) -> Box<dyn Any> {
    Box::new(opened)
}

fn told(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}
