//! Proxies put a header before a connection to say whose it is: the PROXY protocol, version 1 and 2
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>). It is read to its last byte and no further; the
//! crate `ppp` says what it holds.

use super::Connections;
use super::socket::Socket;
use crate::request::Peer;
use crate::warning;
use ppp::{v1, v2};
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

/// A header of version 1 is no longer than this (section 2.1).
const LONGEST_V1: usize = 107;

/// This many bytes stand before the addresses in version 2 (section 2.2), the last two being their length.
const FIXED_V2: usize = 16;

/// This byte of version 2 says that the proxy speaks for itself.
const LOCAL: (usize, u8) = (12, 0x20);

/// A checksum of version 2 has this many bytes (section 2.2.3).
const CHECKSUM: usize = 4;

/// A `ProxyHeader` has what is known of the client before it says anything itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    pub peer: Peer,
    /// The client speaks TLS with the proxy.
    pub secure: bool,
}

/// Finds who is at the other end: `peer`, or whom it names where it is a proxy that must. Returns none where there is
/// nobody to serve.
pub async fn introduced(
    connections: &Connections,
    socket: &mut Socket,
    peer: Peer,
) -> Option<ProxyHeader> {
    let proxies = connections.settings.proxy_protocol.as_ref();
    if !proxies.is_some_and(|proxies| proxies.trust(peer)) {
        return Some(ProxyHeader {
            peer,
            secure: false,
        });
    }
    let read = timeout(connections.settings.header, read(socket, peer));
    let read = tokio::select! {
        read = read => read.unwrap_or_else(|_| Err(broken("it did not come in time"))),
        () = connections.shutdown.ends_idling() => return None,
    };
    read.unwrap_or_else(|error| {
        // A health check may also end by a reset, which says nothing against the proxy.
        if error.kind() == io::ErrorKind::InvalidData {
            warning!("{peer} - closed: no PROXY header: {error}");
        }
        None
    })
}

/// Reads the header. None where the connection ends before it begins, as health checks' do.
async fn read(socket: &mut Socket, peer: Peer) -> io::Result<Option<ProxyHeader>> {
    let mut header = Vec::new();
    let mut window = [0; 536];
    loop {
        let before = header.len();
        let seen = socket.peek(&mut window).await?;
        if seen == 0 && before == 0 {
            return Ok(None);
        }
        if seen == 0 {
            return Err(broken("it is cut off"));
        }
        header.extend_from_slice(&window[..seen]);
        let length = length(&header)?;
        header.truncate(length.unwrap_or(header.len()));
        // It is there already.
        let taken = header.len() - before;
        socket.read_exact(&mut window[..taken]).await?;
        if length == Some(header.len()) {
            let (named, secure) = named(&header)?;
            let peer = named.unwrap_or(peer);
            return Ok(Some(ProxyHeader { peer, secure }));
        }
    }
}

/// Gives the length of the header that begins like this, once that can be told.
pub(super) fn length(begun: &[u8]) -> io::Result<Option<usize>> {
    let is = |prefix: &[u8]| {
        let length = prefix.len().min(begun.len());
        prefix[..length] == begun[..length]
    };
    if is(v2::PROTOCOL_PREFIX) {
        let fixed = begun.get(..FIXED_V2);
        return Ok(fixed.map(|fixed| {
            let rest = u16::from_be_bytes([fixed[FIXED_V2 - 2], fixed[FIXED_V2 - 1]]);
            FIXED_V2 + usize::from(rest)
        }));
    }
    if !is(b"PROXY ") {
        return Err(broken("something else came"));
    }
    let end = begun.windows(2).position(|pair| pair == b"\r\n");
    match end.map(|end| end + 2) {
        Some(length) if length <= LONGEST_V1 => Ok(Some(length)),
        None if begun.len() < LONGEST_V1 => Ok(None),
        _ => Err(broken("its line is too long")),
    }
}

/// Finds whom a whole header names, if it names anybody, and whether he speaks TLS.
pub(super) fn named(header: &[u8]) -> io::Result<(Option<Peer>, bool)> {
    let inet = |address: IpAddr, port| {
        let address = address.to_canonical();
        Some(Peer::Inet(SocketAddr::new(address, port)))
    };
    if header.starts_with(v2::PROTOCOL_PREFIX) {
        let (index, local) = LOCAL;
        if header[index] == local {
            return Ok((None, false));
        }
        let header = v2::Header::try_from(header).map_err(broken)?;
        if !is_intact(&header) {
            return Err(broken("its checksum is wrong"));
        }
        let peer = match header.addresses {
            v2::Addresses::IPv4(v4) => inet(v4.source_address.into(), v4.source_port),
            v2::Addresses::IPv6(v6) => inet(v6.source_address.into(), v6.source_port),
            v2::Addresses::Unix(_) | v2::Addresses::Unspecified => None,
        };
        return Ok((peer, header.tlvs().flatten().any(|more| says_tls(&more))));
    }
    let header = v1::Header::try_from(header).map_err(broken)?;
    let peer = match header.addresses {
        v1::Addresses::Tcp4(v4) => inet(v4.source_address.into(), v4.source_port),
        v1::Addresses::Tcp6(v6) => inet(v6.source_address.into(), v6.source_port),
        v1::Addresses::Unknown => None,
    };
    Ok((peer, false))
}

/// Says whether this part of a header says that the client speaks TLS (section 2.2.6).
fn says_tls(part: &v2::TypeLengthValue<'_>) -> bool {
    const CLIENT_SSL: u8 = 1;
    let flags = part.value.first().copied().unwrap_or(0);
    part.kind == v2::Type::SSL as u8 && flags & CLIENT_SSL != 0
}

/// Says whether each checksum in a header is that of the header, in which it counts as zeros (section 2.2.3). Most
/// proxies send none.
fn is_intact(header: &v2::Header<'_>) -> bool {
    const BEFORE_VALUE: usize = 3;
    let bytes = header.as_bytes();
    let mut end = bytes.len() - header.tlv_bytes().len();
    header.tlvs().flatten().all(|part| {
        let start = end + BEFORE_VALUE;
        end = start + part.value.len();
        if part.kind != v2::Type::CRC32C as u8 {
            return true;
        }
        let said = <[u8; CHECKSUM]>::try_from(&*part.value);
        let zeroed = [&bytes[..start], &[0; CHECKSUM], &bytes[end..]];
        said.is_ok_and(|said| u32::from_be_bytes(said) == crc32c(&zeroed))
    })
}

/// Computes the CRC with Castagnoli's polynomial (RFC 3720, appendix B.4), bit by bit: once for each connection.
fn crc32c(pieces: &[&[u8]]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let bytes = pieces.iter().copied().flatten();
    !bytes.fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (POLYNOMIAL & (crc & 1).wrapping_neg())
        })
    })
}

fn broken(why: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Accepted;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::net::UnixStream;

    /// Makes a header of version 2, for this command, family and payload.
    fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        let fixed = [command, family, length[0], length[1]];
        [v2::PROTOCOL_PREFIX, &fixed, payload].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 7, 192, 0, 2, 1, 0x10, 0x00, 0, 80];

    /// Gives what is read of these bytes, sent in pieces of this size, and what is left after.
    fn sent(bytes: &[u8], piece: usize) -> (io::Result<Option<ProxyHeader>>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut client, server) = UnixStream::pair().unwrap();
            let bytes = bytes.to_vec();
            let writer = tokio::spawn(async move {
                for piece in bytes.chunks(piece) {
                    client.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
            });
            let mut socket = Socket::new(Accepted::Unix(server));
            let read = timeout(Duration::from_secs(10), read(&mut socket, Peer::Unix));
            let read = read.await.unwrap();
            let mut rest = Vec::new();
            if read.is_ok() {
                socket.read_to_end(&mut rest).await.unwrap();
                writer.await.unwrap();
            }
            (read, rest)
        })
    }

    #[test]
    fn a_header_is_read_to_its_last_byte_and_no_further() {
        let mut v6 = [0; 36];
        v6[..16].copy_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        v6[32..34].copy_from_slice(&4096_u16.to_be_bytes());
        let with_more = [&V4[..], &[4, 0x07, 0xd0], &[0; 2000]].concat();
        for (header, named) in [
            (
                b"PROXY TCP4 192.0.2.7 192.0.2.1 4096 80\r\n".to_vec(),
                "192.0.2.7:4096",
            ),
            (
                b"PROXY TCP6 2001:db8::7 ::1 4096 80\r\n".to_vec(),
                "[2001:db8::7]:4096",
            ),
            (
                b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 80\r\n".to_vec(),
                "192.0.2.7:1",
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), "unix:"),
            (
                b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(),
                "unix:",
            ),
            (v2(0x21, 0x11, &V4), "192.0.2.7:4096"),
            (v2(0x21, 0x11, &with_more), "192.0.2.7:4096"),
            (v2(0x21, 0x21, &v6), "[2001:db8::7]:4096"),
            (v2(0x21, 0x00, b"whatever"), "unix:"),
            (v2(0x21, 0x31, &[0; 216]), "unix:"),
            (v2(0x20, 0x00, b""), "unix:"),
            (v2(0x20, 0xff, b"whatever"), "unix:"),
        ] {
            for after in ["", "GET / HTTP/1.1\r\n\r\n"] {
                for piece in [usize::MAX, 1, 7] {
                    let bytes = [&header, after.as_bytes()].concat();
                    let (read, rest) = sent(&bytes, piece);
                    assert_eq!(read.unwrap().unwrap().peer.to_string(), named);
                    assert_eq!(rest, after.as_bytes());
                }
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(107));
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"[..],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01",
            b"PROXY TCP4 192.0.2.7",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 4096\r\n",
            b"PROXY TCP4 192.0.2.300 192.0.2.1 4096 80\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 65536 80\r\n",
            b"PROXY TCP4 2001:db8::7 ::1 4096 80\r\n",
            b"PROXY UDP4 192.0.2.7 192.0.2.1 4096 80\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 4096 80\n\r\n",
            long.as_bytes(),
            &v2(0x21, 0x11, &V4[..11]),
            &v2(0x11, 0x11, &V4),
            &v2(0x22, 0x11, &V4),
            &v2(0x21, 0x41, &V4),
            &v2(0x21, 0x11, &V4)[..20],
        ] {
            for piece in [usize::MAX, 1] {
                let (read, _) = sent(bytes, piece);
                assert!(read.is_err(), "{}", bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn a_proxy_says_whether_its_client_speaks_tls() {
        for (part, secure) in [
            (&[0x20, 0, 5, 1, 0, 0, 0, 0][..], true),
            (&[0x04, 0, 1, 9, 0x20, 0, 5, 7, 0, 0, 0, 0], true),
            (&[0x20, 0, 5, 0, 0, 0, 0, 0], false),
            (&[0x20, 0, 0], false),
            (&[0x04, 0, 1, 1], false),
            (&[0x20, 0, 50, 1], false),
        ] {
            let header = v2(0x21, 0x11, &[&V4[..], part].concat());
            let introduced = sent(&header, usize::MAX).0.unwrap().unwrap();
            assert_eq!(introduced.secure, secure, "{part:?}");
        }
    }

    #[test]
    fn a_header_whose_checksum_is_wrong_is_refused() {
        // The value that every description of it gives.
        assert_eq!(crc32c(&[b"1234", b"56789"]), 0xe306_9283);
        let header = |checksum: &[u8]| {
            let length = u8::try_from(checksum.len()).unwrap();
            let parts = [&[4, 0, 1, 9, 3, 0, length], checksum, &[4, 0, 1, 8]].concat();
            v2(0x21, 0x11, &[&V4[..], &parts].concat())
        };
        let right = crc32c(&[&header(&[0; 4])]);
        assert!(named(&header(&right.to_be_bytes())).is_ok());
        for wrong in [right ^ 1, right.swap_bytes(), 0] {
            let refused = named(&header(&wrong.to_be_bytes())).unwrap_err();
            assert_eq!(refused.to_string(), "its checksum is wrong");
        }
        assert!(named(&header(&right.to_be_bytes()[..3])).is_err());
        assert!(named(&header(&[])).is_err());
    }

    #[test]
    fn whatever_comes_is_read_or_refused() {
        let mut state = 1_u64;
        let mut random = move |below: usize| {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).unwrap()
        };
        let line = b"PROXY TCP4 192.0.2.7 192.0.2.1 4096 80\r\n";
        for _ in 0..50_000 {
            let mut bytes = match random(2) {
                0 => line.to_vec(),
                _ => v2(
                    0x21,
                    [0x11, 0x21, 0x31][random(3)],
                    &[7; 216][..random(217)],
                ),
            };
            for _ in 0..=random(4) {
                let index = random(bytes.len());
                bytes[index] = u8::try_from(random(256)).unwrap();
            }
            if let Ok(Some(length)) = length(&bytes)
                && let Some(header) = bytes.get(..length)
            {
                let _ = named(header);
            }
        }
    }

    #[test]
    fn a_connection_that_ends_before_it_begins_is_no_fault() {
        assert_eq!(sent(b"", 1).0.unwrap(), None);
    }
}
