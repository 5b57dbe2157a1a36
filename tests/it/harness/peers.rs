//! Servers for clients in guests: one that echoes, and one that takes mail as far as TLS goes.

use super::certificates::Authority;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread::spawn;

/// Echoes by TCP and UDP, at one port.
pub fn echo() -> u16 {
    let (tcp, udp) = loop {
        let tcp = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            break (tcp, udp);
        }
    };
    let port = tcp.local_addr().unwrap().port();
    spawn(move || {
        for stream in tcp.incoming() {
            spawn(move || back(stream.unwrap()));
        }
    });
    spawn(move || {
        let mut buffer = [0; 100];
        while let Ok((length, from)) = udp.recv_from(&mut buffer) {
            let _ = udp.send_to(&buffer[..length], from);
        }
    });
    port
}

fn back(mut stream: TcpStream) {
    let mut buffer = [0; 65536];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// A mail server that knows how to begin TLS, and no more.
pub fn mail(authority: &Authority) -> u16 {
    let pair = authority.issue("mail", &["localhost"]);
    let certificate = CertificateDer::from_pem_file(&pair.certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(&pair.key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, config) = (stream.unwrap(), config.clone());
            spawn(move || {
                stream.write_all(b"220 here\r\n").unwrap();
                if !until_tls(&mut stream) {
                    return;
                }
                let tls = rustls::ServerConnection::new(config).unwrap();
                until_tls(&mut rustls::StreamOwned::new(tls, stream));
            });
        }
    });
    port
}

/// Answers until the client wants TLS, or leaves.
fn until_tls(stream: &mut (impl Read + Write)) -> bool {
    let mut line = String::new();
    let mut byte = [0];
    while matches!(stream.read(&mut byte), Ok(1)) {
        line.push(byte[0] as char);
        if byte[0] != b'\n' {
            continue;
        }
        let (answer, is_tls) = match line.trim().to_ascii_uppercase().as_str() {
            "STARTTLS" => ("220 begin\r\n", true),
            "QUIT" => ("221 bye\r\n", false),
            _ => ("250-here\r\n250 STARTTLS\r\n", false),
        };
        if stream.write_all(answer.as_bytes()).is_err() || is_tls {
            return is_tls;
        }
        line.clear();
    }
    false
}
