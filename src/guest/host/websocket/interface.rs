//! Guests call these functions of `wasmserve:websocket@0.1.0`.

use super::channel::{Channel, Closed, Message, OpeningAnswer, Outgoing};
use crate::guest::host::state::HostState;
use bindings::wasmserve::websocket::connections::{self as wit, HandshakeError};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::{HasSelf, Instance, Linker, Resource};
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};

pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "wasmserve:websocket/server@0.1.0",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "wasi:io/poll": wasmtime_wasi_io::bindings::wasi::io::poll,
            "wasmserve:websocket/connections.connection": super::Connection,
        },
    });
}

pub use wit::Opening;

/// A `Connection` is the guest's end of a channel.
pub struct Connection {
    channel: Arc<Channel>,
    /// The client offered these.
    subprotocols: Vec<String>,
}

impl Connection {
    pub fn new(channel: Arc<Channel>, subprotocols: Vec<String>) -> Connection {
        Connection {
            channel,
            subprotocols,
        }
    }
}

/// The purpose of the connection was fulfilled (RFC 6455 section 7.4.1).
const NORMAL: u16 = 1000;

/// A control frame holds this many bytes (RFC 6455 section 5.5), two of which are the code of a close.
const CONTROL: usize = 125;
const REASON: usize = CONTROL - 2;

pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

/// Calls the handler that the component exports.
pub async fn serve(
    store: &mut Store<HostState>,
    instance: &Instance,
    opening: &Opening,
    connection: Connection,
) -> wasmtime::Result<()> {
    let server = bindings::Server::new(&mut *store, instance)?;
    let connection = store.data_mut().table_mut().push(connection)?;
    let handler = server.wasmserve_websocket_socket_handler();
    handler.call_handle(store, opening, connection).await
}

impl HostState {
    fn channel(&self, connection: &Resource<Connection>) -> wasmtime::Result<Arc<Channel>> {
        Ok(self.table().get(connection)?.channel.clone())
    }

    /// Queues something, and waits for room where there is none.
    async fn put(
        &mut self,
        connection: &Resource<Connection>,
        mut outgoing: Outgoing,
    ) -> wasmtime::Result<Result<(), wit::Closed>> {
        let channel = self.channel(connection)?;
        loop {
            match channel.send(outgoing) {
                Ok(None) => break,
                Ok(Some(back)) => outgoing = back,
                Err(closed) => return Ok(Err(closed.into())),
            }
            channel.sendable().await;
        }
        // Each message has the processor time that a request has.
        self.share().budget.renew();
        Ok(Ok(()))
    }
}

impl wit::Host for HostState {}

impl wit::HostConnection for HostState {
    async fn accept(
        &mut self,
        connection: Resource<Connection>,
        subprotocol: Option<String>,
        headers: wit::Headers,
    ) -> wasmtime::Result<Result<(), HandshakeError>> {
        let connection = self.table().get(&connection)?;
        if let Some(subprotocol) = &subprotocol
            && !connection.subprotocols.contains(subprotocol)
        {
            return Ok(Err(HandshakeError::UnknownSubprotocol));
        }
        let headers = match legal(headers) {
            Ok(headers) => headers,
            Err(name) => return Ok(Err(HandshakeError::IllegalHeader(name))),
        };
        Ok(decide(
            connection,
            OpeningAnswer::Accepted {
                subprotocol,
                headers,
            },
        ))
    }

    async fn reject(
        &mut self,
        connection: Resource<Connection>,
        status: u16,
        headers: wit::Headers,
        body: Vec<u8>,
    ) -> wasmtime::Result<Result<(), HandshakeError>> {
        if !(200..=599).contains(&status) {
            return Ok(Err(HandshakeError::IllegalStatus));
        }
        let headers = match legal(headers) {
            Ok(headers) => headers,
            Err(name) => return Ok(Err(HandshakeError::IllegalHeader(name))),
        };
        let answer = OpeningAnswer::Rejected {
            status,
            headers,
            body,
        };
        Ok(decide(self.table().get(&connection)?, answer))
    }

    async fn receive(
        &mut self,
        connection: Resource<Connection>,
    ) -> wasmtime::Result<Result<Option<wit::Message>, wit::Closed>> {
        let received = self.channel(&connection)?.receive();
        if let Ok(Some(_)) = &received {
            self.share().budget.renew();
        }
        Ok(received
            .map(|message| message.map(Into::into))
            .map_err(Into::into))
    }

    async fn blocking_receive(
        &mut self,
        connection: Resource<Connection>,
    ) -> wasmtime::Result<Result<wit::Message, wit::Closed>> {
        let channel = self.channel(&connection)?;
        loop {
            channel.receivable().await;
            match channel.receive() {
                Ok(Some(message)) => {
                    self.share().budget.renew();
                    return Ok(Ok(message.into()));
                }
                Ok(None) => {}
                Err(closed) => return Ok(Err(closed.into())),
            }
        }
    }

    async fn subscribe_receive(
        &mut self,
        connection: Resource<Connection>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        let receivable = Receivable(self.channel(&connection)?);
        let receivable = self.table_mut().push(receivable)?;
        subscribe(self.table_mut(), receivable)
    }

    async fn send(
        &mut self,
        connection: Resource<Connection>,
        message: wit::Message,
    ) -> wasmtime::Result<Result<(), wit::Closed>> {
        self.put(&connection, Outgoing::Message(message.into()))
            .await
    }

    async fn subscribe_send(
        &mut self,
        connection: Resource<Connection>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        let sendable = Sendable(self.channel(&connection)?);
        let sendable = self.table_mut().push(sendable)?;
        subscribe(self.table_mut(), sendable)
    }

    async fn ping(
        &mut self,
        connection: Resource<Connection>,
        mut data: Vec<u8>,
    ) -> wasmtime::Result<Result<(), wit::Closed>> {
        data.truncate(CONTROL);
        self.put(&connection, Outgoing::Ping(data)).await
    }

    async fn close(
        &mut self,
        connection: Resource<Connection>,
        code: Option<u16>,
        mut reason: String,
    ) -> wasmtime::Result<()> {
        let code = code.filter(|code| may_be_sent(*code)).unwrap_or(NORMAL);
        reason.truncate(reason.floor_char_boundary(REASON));
        self.channel(&connection)?.leave(Closed { code, reason });
        Ok(())
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        let connection = self.table_mut().delete(connection)?;
        connection.channel.leave(Closed::new(NORMAL, ""));
        Ok(())
    }
}

struct Receivable(Arc<Channel>);

#[async_trait]
impl Pollable for Receivable {
    async fn ready(&mut self) {
        self.0.receivable().await;
    }
}

struct Sendable(Arc<Channel>);

#[async_trait]
impl Pollable for Sendable {
    async fn ready(&mut self) {
        self.0.sendable().await;
    }
}

fn decide(connection: &Connection, answer: OpeningAnswer) -> Result<(), HandshakeError> {
    match connection.channel.answer(answer) {
        true => Ok(()),
        false => Err(HandshakeError::Decided),
    }
}

/// Says whether an endpoint may send this code (RFC 6455 section 7.4, and the registry that it founds).
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Makes the header of a guest's answer; the name of a field that cannot be in it is the error.
fn legal(headers: wit::Headers) -> Result<HeaderMap, String> {
    /// These fields frame the message, or belong to the connection, or to the handshake.
    const OURS: [HeaderName; 8] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::TRAILER,
        header::TE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ];
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let parsed = HeaderName::try_from(&name).ok();
        let value = HeaderValue::from_bytes(&value).ok();
        let (Some(parsed), Some(value)) = (parsed, value) else {
            return Err(name);
        };
        if OURS.contains(&parsed) || parsed.as_str().starts_with("sec-websocket-") {
            return Err(name);
        }
        map.try_append(parsed, value).map_err(|_| name)?;
    }
    Ok(map)
}

impl From<Message> for wit::Message {
    fn from(message: Message) -> wit::Message {
        match message {
            Message::Text(text) => wit::Message::Text(text),
            Message::Binary(bytes) => wit::Message::Binary(bytes),
        }
    }
}

impl From<wit::Message> for Message {
    fn from(message: wit::Message) -> Message {
        match message {
            wit::Message::Text(text) => Message::Text(text),
            wit::Message::Binary(bytes) => Message::Binary(bytes),
        }
    }
}

impl From<Closed> for wit::Closed {
    fn from(Closed { code, reason }: Closed) -> wit::Closed {
        wit::Closed { code, reason }
    }
}
