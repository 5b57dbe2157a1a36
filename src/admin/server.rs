//! The admin process speaks HTTP: on few connections, each for a short time. This file says what may be asked of which
//! address.

use super::commands::{CommandOutcome, Commands};
use super::exposition::Format;
use super::logs::{Log, LogQuery};
use super::open_connections::OpenConnections;
use super::order::Order;
use super::page::Page;
use super::reading::{MountReading, Reading};
use super::{exposition, health, status};
use crate::channel::{AdminCommand, canonical_mount};
use crate::scoreboard::Scoreboard;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{JoinHandle, spawn_local, yield_now};
use tokio::time::{Instant, sleep, timeout_at};

/// There are this many connections at a time, for each address. A further one takes the place of the oldest, so that
/// nobody keeps those who ask how the server is from asking; on a Unix socket, where only the owner connects, it waits
/// in the backlog.
const MOST: u32 = 64;

/// A head may take this long to come.
const HEAD: Duration = Duration::from_secs(5);

/// This many may follow the log at a time: room is left for those who give commands.
const FOLLOWERS: u32 = MOST / 2;

/// One connection may last this long: scrapers come back, and one that reads nothing must not stay.
const CONNECTION: Duration = Duration::from_secs(60);

/// A connection may last this long where commands are given, some of which take their time. Whoever follows the log and
/// reads may stay.
const COMMAND_CONNECTION: Duration = Duration::from_secs(900);

/// Accepting pauses for this long where it fails.
const PAUSE: Duration = Duration::from_millis(100);

/// `Rights` says what may be asked of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rights {
    /// Whoever connects may ask how the server is.
    Read,
    /// Whoever connects may also give commands: nobody but the owner can connect there.
    AdminCommand,
}

pub struct Server {
    pub commands: Commands,
    pub scoreboard: Rc<Scoreboard>,
    pub mounts: Vec<Mount>,
    pub page: Page,
    /// These connections follow the log.
    pub followers: Rc<OpenConnections>,
    /// The server has ended.
    pub ends: Rc<Cell<bool>>,
}

/// A `Mount` is the server of a component that is mounted beside the application.
pub struct Mount {
    pub name: String,
    pub component: String,
    /// There are none where it has never run.
    pub commands: Option<Commands>,
}

impl Mount {
    /// Says whether an operator who writes this means it.
    fn is_at(&self, route: &str) -> bool {
        canonical_mount(route) == self.name
    }
}

type AdminResponse = Response<Either<Full<Bytes>, Log>>;

impl Server {
    pub async fn accept_tcp(self: Rc<Self>, socket: &TcpListener, open: &Rc<OpenConnections>) {
        let own = Rc::new(OpenConnections::default());
        let mut tasks = VecDeque::new();
        loop {
            match socket.accept().await {
                Ok((stream, _)) => {
                    tasks.push_back(self.spawn(stream, Rights::Read, [open, &own]));
                    make_room(&mut tasks);
                    // Who has come is answered before more are let in.
                    yield_now().await;
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    pub async fn accept_unix(self: Rc<Self>, socket: &UnixListener, open: &Rc<OpenConnections>) {
        let own = Rc::new(OpenConnections::default());
        loop {
            own.has_room(MOST).await;
            match socket.accept().await {
                Ok((stream, _)) => drop(self.spawn(stream, Rights::AdminCommand, [open, &own])),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    fn spawn<S>(
        self: &Rc<Self>,
        stream: S,
        rights: Rights,
        open: [&Rc<OpenConnections>; 2],
    ) -> JoinHandle<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let entered = open.map(OpenConnections::enter);
        let server = self.clone();
        let most = match rights {
            Rights::Read => CONNECTION,
            Rights::AdminCommand => COMMAND_CONNECTION,
        };
        spawn_local(async move {
            let progress = Rc::new(Cell::new(Instant::now()));
            let answer = service_fn(|request| server.answer(request, rights, progress.clone()));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .serve_connection(TokioIo::new(stream), answer);
            let mut connection = pin!(connection);
            // What goes wrong on it is its client's to know.
            while timeout_at(progress.get() + most, &mut connection)
                .await
                .is_err()
                && progress.get().elapsed() < most
            {}
            drop(entered);
        })
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        rights: Rights,
        progress: Rc<Cell<Instant>>,
    ) -> Result<AdminResponse, Infallible> {
        // Who asks many things at once waits for those who ask one.
        yield_now().await;
        let (method, uri) = (request.method(), request.uri());
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let response = match uri.path() {
            "/logs" if reads => return Ok(self.log(uri, rights, progress)),
            "/livez" if reads => health_reply(&health::live(&self.reading())),
            "/readyz" if reads => health_reply(&health::ready(&self.reading())),
            "/status" if reads => reply(StatusCode::OK, &status::document(&self.reading())),
            "/metrics" if reads => self.metrics(request.headers()),
            "/" if reads => self.page(),
            "/livez" | "/readyz" | "/status" | "/metrics" | "/logs" | "/" => {
                refuse(StatusCode::METHOD_NOT_ALLOWED, "this is read with GET")
            }
            _ => match Order::read(uri) {
                None => refuse(StatusCode::NOT_FOUND, "there is nothing of that name"),
                Some(_) if method != Method::POST => refuse(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "commands are given with POST",
                ),
                Some(_) if rights == Rights::Read => refuse(
                    StatusCode::FORBIDDEN,
                    "commands are taken on Unix sockets only",
                ),
                Some(Err(mistake)) => refuse(StatusCode::BAD_REQUEST, mistake),
                Some(Ok(order)) => told(&self.give(order).await),
            },
        };
        Ok(response.map(Either::Left))
    }

    async fn give(&self, Order { command, mount }: Order) -> CommandOutcome {
        match mount {
            None if command == AdminCommand::Reload => self.reload_all().await,
            None => self.commands.give(command).await,
            Some(name) => self.give_to_mount(&name, command).await,
        }
    }

    async fn give_to_mount(&self, name: &str, command: AdminCommand) -> CommandOutcome {
        let Some(mount) = self.mounts.iter().find(|mount| mount.is_at(name)) else {
            let names = self.mounts.iter().map(|mount| mount.name.as_str());
            let names = match names.collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => "nothing is".to_owned(),
                names => format!("there are {names}"),
            };
            return CommandOutcome::Refused(format!("nothing is mounted at `{name}`: {names}"));
        };
        match &mount.commands {
            Some(commands) => commands.give(command).await,
            None => CommandOutcome::Refused("it has not started yet".to_owned()),
        }
        .about(&mount.name)
    }

    /// Has the application reload and all that is mounted, each for itself: it has failed where one of them has.
    async fn reload_all(&self) -> CommandOutcome {
        let mounts = self.mounts.iter();
        let mounts = mounts.filter_map(|mount| {
            let commands = mount.commands.as_ref()?;
            Some((mount, commands, commands.before_reload()))
        });
        let mounts: Vec<_> = mounts.collect();
        let own = self.commands.give(AdminCommand::Reload).await;
        if !matches!(own, CommandOutcome::Done(_)) {
            return own;
        }
        for (mount, commands, before) in mounts {
            let outcome = commands.reloaded_with_all(before).await;
            if let Some(failed @ CommandOutcome::Failed(_)) = outcome {
                return failed.about(&mount.name);
            }
        }
        own
    }

    /// Answers with lines of the log, which say who asked for what: for the owner alone.
    fn log(&self, uri: &Uri, rights: Rights, progress: Rc<Cell<Instant>>) -> AdminResponse {
        let refused = |status, why: &str| refuse(status, why).map(Either::Left);
        match LogQuery::of(uri) {
            _ if rights == Rights::Read => {
                refused(StatusCode::FORBIDDEN, "logs are read on Unix sockets alone")
            }
            Err(mistake) => refused(StatusCode::BAD_REQUEST, mistake),
            Ok(wanted) if wanted.follows && self.followers.count() >= FOLLOWERS => {
                let why = format!("{FOLLOWERS} follow the log already: end one of them");
                refused(StatusCode::SERVICE_UNAVAILABLE, &why)
            }
            Ok(wanted) => {
                let follower = wanted.follows.then(|| self.followers.enter());
                let log = Log::new(&self.scoreboard, wanted, progress, &self.ends, follower);
                let text = "text/plain; charset=utf-8";
                typed(StatusCode::OK, text, String::new()).map(|_| Either::Right(log))
            }
        }
    }

    fn reading(&self) -> Reading {
        let mounts = self.mounts.iter();
        let mounts = mounts.map(|mount| MountReading {
            name: mount.name.clone(),
            component: mount.component.clone(),
            server: mount
                .commands
                .as_ref()
                .map(|it| Reading::of(&it.scoreboard)),
        });
        Reading {
            mounts: mounts.collect(),
            ..Reading::of(&self.scoreboard)
        }
    }

    fn page(&self) -> Response<Full<Bytes>> {
        let html = "text/html; charset=utf-8";
        let mut response = typed(StatusCode::OK, html, self.page.html.clone());
        let headers = response.headers_mut();
        if let Ok(policy) = header::HeaderValue::from_str(&self.page.policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        let none = header::HeaderValue::from_static("no-referrer");
        headers.insert(header::REFERRER_POLICY, none);
        response
    }

    fn metrics(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let accepted = headers.get_all(header::ACCEPT).iter();
        let accepted = accepted.filter_map(|value| value.to_str().ok());
        let format = Format::wanted(accepted);
        match exposition::written(self.reading(), format) {
            Ok(text) => typed(StatusCode::OK, format.content_type(), text),
            Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "it cannot be written"),
        }
    }
}

/// Ends the oldest connection where there is one too many.
fn make_room(tasks: &mut VecDeque<JoinHandle<()>>) {
    if tasks.len() > MOST as usize {
        tasks.retain(|task| !task.is_finished());
    }
    if tasks.len() > MOST as usize
        && let Some(oldest) = tasks.pop_front()
    {
        oldest.abort();
    }
}

fn told(outcome: &CommandOutcome) -> Response<Full<Bytes>> {
    let status = match outcome {
        CommandOutcome::Done(_) => StatusCode::OK,
        CommandOutcome::Failed(_) => StatusCode::UNPROCESSABLE_ENTITY,
        CommandOutcome::Refused(_) => StatusCode::CONFLICT,
        CommandOutcome::Unheard(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    match outcome {
        CommandOutcome::Done(text) => reply(status, &json!({"outcome": "done", "detail": text})),
        CommandOutcome::Failed(text) => {
            reply(status, &json!({"outcome": "failed", "detail": text}))
        }
        CommandOutcome::Refused(text) => {
            reply(status, &json!({"outcome": "refused", "detail": text}))
        }
        CommandOutcome::Unheard(text) => {
            reply(status, &json!({"outcome": "unheard", "detail": text}))
        }
    }
}

fn health_reply(health: &health::Health) -> Response<Full<Bytes>> {
    let status = match health.is_well {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    reply(status, &health.document())
}

fn refuse(status: StatusCode, why: &str) -> Response<Full<Bytes>> {
    reply(status, &json!({ "error": why }))
}

fn reply(status: StatusCode, document: &Value) -> Response<Full<Bytes>> {
    typed(status, "application/json", format!("{document:#}\n"))
}

fn typed(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(content_type),
    );
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    // A status document is never taken for a page, whatever is in it.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        header::HeaderValue::from_static("nosniff"),
    );
    response
}
