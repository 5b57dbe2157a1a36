//! Every address is checked when it is connected to, so that what a name resolves to the second time does not matter.

use super::error_code::NoAddress;
use super::roots;
use super::{Roots, Settings};
use crate::guest::host::name_lookup;
use crate::guest::host::network::{PeerGrant, PeerScheme, Rules};
use anyhow::Result;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tower_service::Service;

type ConnectError = Box<dyn Error + Send + Sync>;

type Future<T> = Pin<Box<dyn std::future::Future<Output = Result<T, ConnectError>> + Send>>;

/// A `Connector` speaks TLS where the URL asks for it, and HTTP/2 where the server chooses it.
pub type Connector = HttpsConnector<Checked>;

/// Makes a connector for either version of HTTP, and one for HTTP/1.1 alone.
pub fn connectors(settings: &Settings) -> Result<[Connector; 2]> {
    let needed = settings.rules.mention(PeerScheme::Https);
    let tls = roots::tls(needed.then_some::<&Roots>(&settings.roots))?;
    let checked = Checked {
        rules: Arc::new(settings.rules.clone()),
        timeout: settings.times.connect,
    };
    let builder = |tls| {
        HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
    };
    Ok([
        builder(tls.clone())
            .enable_all_versions()
            .wrap_connector(checked.clone()),
        builder(tls).enable_http1().wrap_connector(checked),
    ])
}

/// Finds the scheme, host and port that a URL asks.
pub fn destination(uri: &Uri) -> Option<(PeerScheme, &str, u16)> {
    let (scheme, default) = match uri.scheme_str()? {
        "http" => (PeerScheme::Http, 80),
        "https" => (PeerScheme::Https, 443),
        _ => return None,
    };
    Some((scheme, uri.host()?, uri.port_u16().unwrap_or(default)))
}

/// `Checked` connects only to addresses that the rules allow.
#[derive(Clone)]
pub struct Checked {
    rules: Arc<Rules>,
    timeout: Duration,
}

impl Service<Uri> for Checked {
    type Response = Tcp;
    type Error = ConnectError;
    type Future = Future<Tcp>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Future<Tcp> {
        let Checked { rules, timeout } = self.clone();
        Box::pin(async move {
            let (scheme, host, port) = destination(&uri).ok_or("it is no http:// URL")?;
            let permit = rules.permit(scheme, host, port)?;
            if let Ok(address) = bare(host).parse::<IpAddr>() {
                permit.check(address)?;
            }
            let mut tcp = HttpConnector::new_with_resolver(Lookup(permit));
            tcp.enforce_http(false);
            tcp.set_nodelay(true);
            tcp.set_keepalive(Some(KEEP_ALIVE));
            tcp.set_connect_timeout(Some(timeout));
            let stream = tcp.call(uri).await?;
            Ok(Tcp {
                stream,
                used: UseMark::default(),
            })
        })
    }
}

/// The kernel asks whether the server is still there after this much silence.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// `Lookup` looks a name up, once, and gives the addresses that are allowed.
#[derive(Clone)]
struct Lookup(PeerGrant);

impl Service<Name> for Lookup {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ConnectError;
    type Future = Future<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let permit = self.0.clone();
        Box::pin(async move {
            let found = name_lookup::addresses(name.as_str().to_owned()).await;
            let found = found.map_err(|error| NoAddress(error.to_string()))?;
            let mut allowed = Vec::new();
            let mut denied = None;
            for address in found {
                match permit.check(address.ip()) {
                    Ok(()) => allowed.push(address),
                    Err(denial) => denied = Some(denial),
                }
            }
            match denied {
                Some(denial) if allowed.is_empty() => Err(denial.into()),
                _ => Ok(allowed.into_iter()),
            }
        })
    }
}

/// `UseMark` says whether a connection has carried a request before.
#[derive(Clone, Default)]
pub struct UseMark(Arc<AtomicBool>);

impl UseMark {
    /// Marks the connection as used, and says whether it was already.
    pub fn mark(&self) -> bool {
        self.0.swap(true, Ordering::Relaxed)
    }
}

/// `Tcp` is a connection that knows whether it is fresh.
pub struct Tcp {
    stream: TokioIo<TcpStream>,
    used: UseMark,
}

impl Tcp {
    fn stream(self: Pin<&mut Self>) -> Pin<&mut TokioIo<TcpStream>> {
        Pin::new(&mut self.get_mut().stream)
    }
}

impl Connection for Tcp {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(self.used.clone())
    }
}

impl Read for Tcp {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buffer)
    }
}

impl Write for Tcp {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(cx, pieces)
    }
}
