//! Guests that connect sockets, or hold many of them and of files.

use crate::reply;
use query::Query;
use std::any::Any;
use std::time::Duration;
use wasip3::filesystem::preopens;
use wasip3::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
use wasip3::http::types::Response;
use wasip3::sockets::ip_name_lookup;
use wasip3::sockets::types::{
    IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, TcpSocket,
    UdpSocket,
};
use wasip3::wit_stream;

/// `tcp=HOST`, `udp=HOST` at `port`: sends `ping` and says what came back; `lookup=HOST` gives its
/// addresses; `listen` tries to listen.
pub async fn talk(query: &Query<'_>) -> Response {
    reply::text(match exchange(query).await {
        Ok(said) => said,
        Err(error) => format!("error {error}"),
    })
}

async fn exchange(query: &Query<'_>) -> Result<String, String> {
    let port = u16::try_from(query.number("port", 0)).expect("a port");
    if let Some(host) = query.text("tcp") {
        tcp(at(resolve(host).await?[0], port)).await
    } else if let Some(host) = query.text("udp") {
        udp(at(resolve(host).await?[0], port)).await
    } else if let Some(host) = query.text("lookup") {
        Ok(format!("found {}", resolve(host).await?.len()))
    } else {
        let socket = TcpSocket::create(IpAddressFamily::Ipv4).map_err(told)?;
        socket.listen().map_err(told)?;
        Ok("listening".to_owned())
    }
}

fn told(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

async fn resolve(host: &str) -> Result<Vec<IpAddress>, String> {
    let found = ip_name_lookup::resolve_addresses(host.to_owned()).await;
    found.map_err(told)
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

async fn tcp(remote: IpSocketAddress) -> Result<String, String> {
    let socket = TcpSocket::create(family(remote)).map_err(told)?;
    socket.connect(remote).await.map_err(told)?;
    let (mut writer, reader) = wit_stream::new();
    let sent = socket.send(reader);
    let (mut received, _end) = socket.receive();
    writer.write_all(b"ping".to_vec()).await;
    let (_, answer) = received.read(Vec::with_capacity(100)).await;
    drop((writer, sent));
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn udp(remote: IpSocketAddress) -> Result<String, String> {
    let socket = UdpSocket::create(family(remote)).map_err(told)?;
    socket
        .send(b"ping".to_vec(), Some(remote))
        .await
        .map_err(told)?;
    let (answer, _from) = socket.receive().await.map_err(told)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Opens as many of `of` (`tcp`, `udp`, or the file `a` of the first directory) as it is given, no more than `n`, and holds
/// them for `ms`.
pub async fn hold_open(query: &Query<'_>) -> Response {
    let of = query.text("of").unwrap_or("file");
    let (mut held, mut refused): (Vec<Box<dyn Any>>, _) = (Vec::new(), String::new());
    let (directory, _) = preopens::get_directories().remove(0);
    while (held.len() as u64) < query.number("n", 1) && refused.is_empty() {
        let opened: Result<Box<dyn Any>, String> = match of {
            "tcp" => TcpSocket::create(IpAddressFamily::Ipv4)
                .map(boxed)
                .map_err(told),
            "udp" => UdpSocket::create(IpAddressFamily::Ipv4)
                .map(boxed)
                .map_err(told),
            _ => {
                let path = "a".to_owned();
                let how = (
                    PathFlags::empty(),
                    OpenFlags::empty(),
                    DescriptorFlags::READ,
                );
                let opened = directory.open_at(how.0, path, how.1, how.2).await;
                opened.map(boxed).map_err(told)
            }
        };
        match opened {
            Ok(opened) => held.push(opened),
            Err(error) => refused = error,
        }
    }
    println!("holds descriptors of {of}: {refused}");
    reply::sleep(Duration::from_millis(query.number("ms", 0))).await;
    reply::text(format!("held {}\n", held.len()))
}

fn boxed<T: 'static>(opened: T) -> Box<dyn Any> {
    Box::new(opened)
}
