//! A connection is made to the first of the hosts that takes it, with TLS where the URL asks for it. What was made is
//! closed when it is dropped.

use super::bounded::{Bounded, SharedSession};
use super::error::{PostgresError, sentence};
use super::url::{DatabaseUrl, port, socket};
use crate::guest::host::outbound::{Roots, tls};
use anyhow::Result;
use nix::sys::socket::{setsockopt, sockopt};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslNegotiation};
use tokio_postgres::tls::TlsConnect;
use tokio_postgres::{Client, Config, Connection, Error, NoTls, Statement};
use tokio_rustls::TlsConnector;

/// A connection must be there by then, where the URL says nothing else (`connect_timeout`).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A server may take this long to read that a connection ends.
const GOODBYE: Duration = Duration::from_secs(1);

/// A `Connector` makes connections to one database.
pub struct Connector {
    config: Config,
    tls: Option<Arc<ClientConfig>>,
}

/// A `PostgresSession` is a connection that has been made.
pub struct PostgresSession {
    pub client: Client,
    /// The bound knows what the server may send, and what it has said of itself.
    pub bound: SharedSession,
    /// This is why the connection was lost.
    lost: Arc<OnceLock<String>>,
    task: Task,
    /// The session leads to this one of the hosts.
    host: usize,
    /// The marker is there as long as the statements that the client has prepared for itself are.
    marker: OnceLock<Statement>,
}

impl PostgresSession {
    pub fn lost(&self) -> Option<&String> {
        self.lost.get()
    }

    /// Tells the server that nothing more is asked, and closes the connection.
    pub async fn end(self) {
        let PostgresSession { client, task, .. } = self;
        // The task says so when the client is gone.
        drop(client);
        let mut task = task;
        let _ = timeout(GOODBYE, &mut task.0).await;
    }
}

/// A `Task` reads and writes for the client, until it is dropped.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        // Otherwise the rest of what was asked for would be waited for.
        self.0.abort();
    }
}

/// A `Stream` is a connection to a host, whatever it is made of.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// `Dialed` is a stream of its own type: what a trait is implemented for has no lifetime in its name then.
struct Dialed(Box<dyn Stream>);

impl AsyncRead for Dialed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Dialed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Connector {
    /// Reads whom to believe, where TLS is spoken.
    pub fn new(address: &DatabaseUrl, roots: &Roots) -> Result<Connector> {
        let tls = match address.is_secure() {
            true => Some(Arc::new(spoken(address, tls(Some(roots))?))),
            false => None,
        };
        Ok(Connector {
            config: address.config.clone(),
            tls,
        })
    }

    /// Says how long making a connection may take, and waiting for one.
    pub fn timeout(&self) -> Duration {
        let said = self.config.get_connect_timeout().copied();
        said.filter(|said| !said.is_zero())
            .unwrap_or(CONNECT_TIMEOUT)
    }

    pub async fn connect(&self) -> Result<PostgresSession, PostgresError> {
        let mut why = String::new();
        for host in 0..self.config.get_hosts().len() {
            match timeout(self.timeout(), self.connect_to(host)).await {
                Ok(Ok(session)) => return Ok(session),
                Ok(Err(error)) => why = error,
                Err(_) => why = "it does not answer in time".to_owned(),
            }
        }
        Err(PostgresError::Connection(format!(
            "the database cannot be reached: {why}"
        )))
    }

    async fn connect_to(&self, host: usize) -> Result<PostgresSession, String> {
        let session = self.made(host).await?;
        let marker = session.client.prepare("SELECT").await;
        let _ = session
            .marker
            .set(marker.map_err(|error| sentence(&error))?);
        Ok(session)
    }

    async fn made(&self, host: usize) -> Result<PostgresSession, String> {
        let stream = self.dial(host).await.map_err(|error| error.to_string())?;
        let bound = SharedSession::new();
        match self.secured(host, &bound) {
            Some(secured) => {
                let made = self.config.connect_raw(stream, secured).await;
                let (client, connection) = made.map_err(|error| sentence(&error))?;
                Ok(session(client, connection, bound, host))
            }
            None => {
                let stream = Bounded::new(stream, bound.clone());
                let made = self.config.connect_raw(stream, NoTls).await;
                let (client, connection) = made.map_err(|error| sentence(&error))?;
                Ok(session(client, connection, bound, host))
            }
        }
    }

    /// Tells the server to give up on what it does for a session. Whether it has done so it does not say.
    pub async fn cancel(&self, session: &PostgresSession) -> io::Result<()> {
        let stream = self.dial(session.host).await?;
        let token = session.client.cancel_token();
        let told = match self.secured(session.host, &SharedSession::new()) {
            Some(secured) => token.cancel_query_raw(stream, secured).await,
            None => token.cancel_query_raw(stream, NoTls).await,
        };
        told.map_err(io::Error::other)
    }

    async fn dial(&self, host: usize) -> io::Result<Dialed> {
        let port = port(&self.config, host);
        let stream: Box<dyn Stream> = match &self.config.get_hosts()[host] {
            Host::Unix(directory) => Box::new(UnixStream::connect(socket(directory, port)).await?),
            Host::Tcp(name) => {
                let stream = TcpStream::connect((name.as_str(), port)).await?;
                stream.set_nodelay(true)?;
                self.keep_alive(&stream)?;
                Box::new(stream)
            }
        };
        Ok(Dialed(stream))
    }

    /// Has the system notice a host that is gone without a word, as the URL says.
    fn keep_alive(&self, stream: &TcpStream) -> io::Result<()> {
        let config = &self.config;
        if let Some(time) = config.get_tcp_user_timeout() {
            let milliseconds = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
            setsockopt(stream, sockopt::TcpUserTimeout, &milliseconds)?;
        }
        if !config.get_keepalives() {
            return Ok(());
        }
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        setsockopt(stream, sockopt::KeepAlive, &true)?;
        setsockopt(
            stream,
            sockopt::TcpKeepIdle,
            &seconds(config.get_keepalives_idle()),
        )?;
        if let Some(interval) = config.get_keepalives_interval() {
            setsockopt(stream, sockopt::TcpKeepInterval, &seconds(interval))?;
        }
        if let Some(retries) = config.get_keepalives_retries() {
            setsockopt(stream, sockopt::TcpKeepCount, &retries)?;
        }
        Ok(())
    }

    fn secured(&self, host: usize, bound: &SharedSession) -> Option<Secured> {
        let config = self.tls.clone()?;
        let name = match &self.config.get_hosts()[host] {
            Host::Tcp(name) => name.clone(),
            Host::Unix(_) => return None,
        };
        Some(Secured {
            config,
            name,
            bound: bound.clone(),
        })
    }
}

/// A server that TLS is spoken with at once is told what is spoken inside.
fn spoken(address: &DatabaseUrl, mut config: ClientConfig) -> ClientConfig {
    if address.config.get_ssl_negotiation() == SslNegotiation::Direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    config
}

/// Has a task of its own read and write for the client.
fn session<S, T>(
    client: Client,
    connection: Connection<S, T>,
    bound: SharedSession,
    host: usize,
) -> PostgresSession
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let lost = Arc::new(OnceLock::new());
    let told = lost.clone();
    let task = tokio::spawn(async move {
        let why = match connection.await {
            Ok(()) => "the connection was closed".to_owned(),
            Err(error) => reason(&error),
        };
        let _ = told.set(why);
    });
    PostgresSession {
        client,
        bound,
        lost,
        task: Task(task),
        host,
        marker: OnceLock::new(),
    }
}

fn reason(error: &Error) -> String {
    let why = sentence(error);
    match why.contains(super::bounded::TOO_LARGE) {
        true => super::bounded::TOO_LARGE.to_owned(),
        false => format!("the connection to the database was lost: {why}"),
    }
}

/// `Secured` speaks TLS on a connection, and checks the server's certificate and name.
struct Secured {
    config: Arc<ClientConfig>,
    name: String,
    bound: SharedSession,
}

impl TlsConnect<Dialed> for Secured {
    type Stream = Bounded<tokio_rustls::client::TlsStream<Dialed>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Stream>> + Send>>;

    fn connect(self, stream: Dialed) -> Self::Future {
        Box::pin(async move {
            let name = ServerName::try_from(self.name).map_err(io::Error::other)?;
            let stream = TlsConnector::from(self.config)
                .connect(name, stream)
                .await?;
            Ok(Bounded::new(stream, self.bound))
        })
    }
}
