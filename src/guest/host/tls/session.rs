//! A `TlsSession` is one client's end of TLS: bytes go in, bytes come out.

use super::config::SessionConfig;
use super::interface::wit::{Error, Negotiated, Received, Version};
use rustls::{ClientConnection, Error as TlsError, ProtocolVersion};
use std::io::{Read, Write};

/// The host takes this much of what a guest gives at a time, and as much waits until the guest takes it.
const MOST: usize = 64 << 10;

pub struct TlsSession(ClientConnection);

impl TlsSession {
    pub fn open(client: SessionConfig) -> Result<TlsSession, Error> {
        let mut connection = ClientConnection::new(client.config, client.server).map_err(told)?;
        connection.set_buffer_limit(Some(MOST));
        Ok(TlsSession(connection))
    }

    pub fn receive(&mut self, ciphertext: &[u8]) -> Result<Received, Error> {
        let given = &ciphertext[..ciphertext.len().min(MOST)];
        let mut left = given;
        let mut plaintext = Vec::new();
        let mut ended = false;
        while !left.is_empty() {
            if self.0.read_tls(&mut left).unwrap_or(0) == 0 {
                // Nothing counts that comes after the end.
                left = &[];
            }
            match self.0.process_new_packets() {
                Ok(state) => {
                    ended = state.peer_has_closed();
                    self.read(state.plaintext_bytes_to_read(), &mut plaintext);
                }
                // It is told once more, after what came before it.
                Err(_) if !plaintext.is_empty() => break,
                Err(error) => return Err(told(error)),
            }
        }
        Ok(Received {
            taken: (given.len() - left.len()) as u32,
            plaintext,
            ended,
        })
    }

    fn read(&mut self, bytes: usize, plaintext: &mut Vec<u8>) {
        let begin = plaintext.len();
        plaintext.resize(begin + bytes, 0);
        let read = self.0.reader().read(&mut plaintext[begin..]).unwrap_or(0);
        plaintext.truncate(begin + read);
    }

    pub fn send(&mut self, plaintext: &[u8]) -> u32 {
        let given = &plaintext[..plaintext.len().min(MOST)];
        self.0.writer().write(given).unwrap_or(0) as u32
    }

    pub fn take(&mut self) -> Vec<u8> {
        let mut ciphertext = Vec::new();
        while self.0.wants_write() {
            if self.0.write_tls(&mut ciphertext).unwrap_or(0) == 0 {
                break;
            }
        }
        ciphertext
    }

    pub fn close(&mut self) {
        self.0.send_close_notify();
    }

    pub fn negotiated(&self) -> Option<Negotiated> {
        if self.0.is_handshaking() {
            return None;
        }
        let version = match self.0.protocol_version()? {
            ProtocolVersion::TLSv1_3 => Version::Tls13,
            _ => Version::Tls12,
        };
        let suite = self.0.negotiated_cipher_suite()?.suite();
        let certificates = self.0.peer_certificates().unwrap_or_default();
        Some(Negotiated {
            version,
            // rustls' names are those of the registry, but for how TLS 1.3's begin.
            cipher_suite: suite
                .as_str()
                .unwrap_or_default()
                .replacen("TLS13_", "TLS_", 1),
            protocol: self.0.alpn_protocol().map(<[u8]>::to_vec),
            certificates: certificates.iter().map(|it| it.to_vec()).collect(),
        })
    }
}

fn told(error: TlsError) -> Error {
    match error {
        TlsError::InvalidCertificate(why) => Error::Certificate(why.to_string()),
        TlsError::AlertReceived(alert) => Error::Alert(format!("{alert:?}")),
        error => Error::Other(error.to_string()),
    }
}
