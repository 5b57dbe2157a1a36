//! These tests run sessions against a server of rustls, without a socket between them.

use super::config::client;
use super::interface::wit::{Error, Settings, Verification, Version};
use super::session::TlsSession;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::io::{Read, Write};
use std::sync::Arc;

struct Server {
    connection: ServerConnection,
    authority: Vec<u8>,
}

fn server(name: &str) -> Server {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Server {
        connection: ServerConnection::new(Arc::new(config)).unwrap(),
        authority: cert.pem().into_bytes(),
    }
}

fn settings(name: Option<&str>, verification: Verification, authorities: &[u8]) -> Settings {
    Settings {
        server_name: name.map(str::to_owned),
        verification,
        host_authorities: true,
        authorities: authorities.to_vec(),
        protocols: vec![b"postgresql".to_vec()],
        lowest: Version::Tls12,
        highest: Version::Tls13,
        identity: None,
    }
}

/// Passes bytes on until the handshake is done.
fn shake(session: &mut TlsSession, server: &mut Server) -> Result<(), Error> {
    for _ in 0..10 {
        let mut sent = &session.take()[..];
        while !sent.is_empty() && server.connection.read_tls(&mut sent).unwrap() > 0 {
            let _ = server.connection.process_new_packets();
        }
        receive(session, server)?;
    }
    Ok(())
}

fn receive(session: &mut TlsSession, server: &mut Server) -> Result<Vec<u8>, Error> {
    let mut said = Vec::new();
    while server.connection.wants_write() {
        server.connection.write_tls(&mut said).unwrap();
    }
    let mut plaintext = Vec::new();
    let mut left = &said[..];
    while !left.is_empty() {
        let received = session.receive(left)?;
        plaintext.extend(received.plaintext);
        left = &left[received.taken as usize..];
    }
    Ok(plaintext)
}

fn verified(name: Option<&str>, verification: Verification, believes: bool) -> Result<(), Error> {
    let mut server = server("db.example.com");
    let authority = if believes {
        server.authority.clone()
    } else {
        server_authority()
    };
    let client = client(settings(name, verification, &authority), None)?;
    let mut session = TlsSession::open(client)?;
    shake(&mut session, &mut server)?;
    assert!(session.negotiated().is_some());
    Ok(())
}

fn server_authority() -> Vec<u8> {
    server("other.example.com").authority
}

#[test]
fn a_certificate_is_judged_as_the_guest_asked() {
    use Verification::{Full, Issuer, None as Nothing};
    let (right, wrong) = (Some("db.example.com"), Some("web.example.com"));
    assert_eq!(verified(right, Full, true).ok(), Some(()));
    assert_eq!(verified(wrong, Issuer, true).ok(), Some(()));
    assert_eq!(verified(None, Issuer, true).ok(), Some(()));
    assert_eq!(verified(None, Nothing, false).ok(), Some(()));
    let refused = |name, verification, believes| {
        let refused = verified(name, verification, believes);
        matches!(refused, Err(Error::Certificate(_)))
    };
    assert!(refused(wrong, Full, true));
    assert!(refused(right, Full, false));
    assert!(refused(right, Issuer, false));
    // Nobody is believed where nobody was named.
    assert!(matches!(
        client(settings(right, Full, b""), None),
        Err(Error::Certificate(_))
    ));
    assert!(matches!(
        client(settings(None, Full, &server_authority()), None),
        Err(Error::Settings(_))
    ));
}

#[test]
fn bytes_go_both_ways_in_pieces_and_the_end_is_told() {
    let mut server = server("db.example.com");
    let asked = settings(
        Some("db.example.com"),
        Verification::Full,
        &server.authority,
    );
    let mut session = TlsSession::open(client(asked, None).unwrap()).unwrap();
    shake(&mut session, &mut server).unwrap();
    let agreed = session.negotiated().unwrap();
    assert_eq!(agreed.protocol.as_deref(), Some(&b"postgresql"[..]));
    assert!(agreed.cipher_suite.starts_with("TLS_"), "{agreed:?}");
    assert_eq!(agreed.certificates.len(), 1);

    let long = vec![7_u8; 300_000];
    let (mut sent, mut read) = (0, Vec::new());
    while sent < long.len() {
        sent += session.send(&long[sent..]) as usize;
        let taken = session.take();
        assert!(taken.len() <= 70_000, "{}", taken.len());
        let mut left = &taken[..];
        while !left.is_empty() {
            server.connection.read_tls(&mut left).unwrap();
            let state = server.connection.process_new_packets().unwrap();
            let begin = read.len();
            read.resize(begin + state.plaintext_bytes_to_read(), 0);
            server
                .connection
                .reader()
                .read_exact(&mut read[begin..])
                .unwrap();
        }
    }
    assert!(read == long);
    server.connection.writer().write_all(b"answer").unwrap();
    assert_eq!(receive(&mut session, &mut server).unwrap(), b"answer");

    server.connection.send_close_notify();
    let mut said = Vec::new();
    server.connection.write_tls(&mut said).unwrap();
    assert!(session.receive(&said).unwrap().ended);
}

#[test]
fn who_does_not_speak_tls_is_an_error() {
    let authority = server_authority();
    let asked = settings(Some("db.example.com"), Verification::Full, &authority);
    let mut session = TlsSession::open(client(asked, None).unwrap()).unwrap();
    assert!(
        session
            .receive(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .is_err()
    );
}
