//! The admin process speaks HTTP: on few connections, each for a short time. This file says what may be asked of which
//! address.

use super::commands::{CommandOutcome, Commands};
use super::exposition::Format;
use super::logs::{Log, LogQuery};
use super::open_connections::OpenConnections;
use super::page::Page;
use super::reading::{MountReading, Reading};
use super::{MountedServer, exposition, health, status};
use crate::channel::{AdminCommand, ProfileRequest};
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
    pub mounts: Vec<MountedServer>,
    pub page: Page,
    /// These connections follow the log.
    pub followers: Rc<OpenConnections>,
    /// The server has ended.
    pub ends: Rc<Cell<bool>>,
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
            path => match command(path, uri) {
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
                Some(Ok(command)) => told(&self.commands.give(command).await),
            },
        };
        Ok(response.map(Either::Left))
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
            server: mount.scoreboard.as_deref().map(Reading::of),
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

/// Reads which command a path and a query ask for; a mistake where it lacks what it needs.
fn command(path: &str, uri: &Uri) -> Option<Result<AdminCommand, &'static str>> {
    let value = |name: &str| {
        let pairs = uri.query().unwrap_or_default().split('&');
        let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    Some(match path {
        "/reload" => match value("canary") {
            None | Some("no") => Ok(AdminCommand::Reload),
            Some("yes") => Ok(AdminCommand::ReloadCanary),
            Some(_) => Err("say whether it has a canary: ?canary=yes, or ?canary=no"),
        },
        "/promote" => Ok(AdminCommand::Promote),
        "/rollback" => Ok(AdminCommand::RollBack),
        "/stop" => Ok(AdminCommand::Stop),
        "/scale" => match value("workers").map(str::parse) {
            Some(Ok(range)) => Ok(AdminCommand::Scale(range)),
            Some(Err(why)) => Err(why),
            None => Err("say how many: ?workers=4, or ?workers=2..8"),
        },
        "/restart-worker" => match value("pid").map(str::parse) {
            Some(Ok(pid)) => Ok(AdminCommand::Restart(pid)),
            _ => Err("say which process: ?pid=1234"),
        },
        "/profile" => Ok(match profile(value("seconds"), value("worker")) {
            Some(request) => AdminCommand::Profile(request),
            None => {
                return Some(Err(
                    "say for how long, and of whom: ?seconds=10&worker=1234",
                ));
            }
        }),
        _ => return None,
    })
}

/// Reads a request for a profile: for 1 to 600 seconds, of the worker that is this process or of all.
fn profile(seconds: Option<&str>, worker: Option<&str>) -> Option<ProfileRequest> {
    let worker = worker.map(str::parse).transpose().ok()?;
    ProfileRequest::new(seconds?.parse().ok()?, worker)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: &str) -> Option<Result<AdminCommand, &'static str>> {
        let uri: Uri = target.parse().unwrap();
        command(uri.path(), &uri)
    }

    #[test]
    fn commands_are_understood_and_mistakes_are_told() {
        for (target, command) in [
            ("/reload", AdminCommand::Reload),
            ("/reload?canary=no", AdminCommand::Reload),
            ("/reload?canary=yes", AdminCommand::ReloadCanary),
            ("/promote", AdminCommand::Promote),
            ("/rollback", AdminCommand::RollBack),
        ] {
            assert_eq!(asked(target), Some(Ok(command)));
        }
        let scale = |text: &str| Some(Ok(AdminCommand::Scale(text.parse().unwrap())));
        assert_eq!(asked("/scale?workers=3"), scale("3"));
        assert_eq!(asked("/scale?workers=2..8"), scale("2..8"));
        assert_eq!(
            asked("/restart-worker?a=b&pid=7"),
            Some(Ok(AdminCommand::Restart(7)))
        );
        for target in [
            "/scale",
            "/scale?workers=",
            "/scale?workers=-1",
            "/restart-worker?pid=x",
            "/reload?canary=maybe",
            "/profile",
            "/profile?seconds=0",
            "/profile?seconds=601",
            "/profile?seconds=5&worker=1",
        ] {
            assert!(matches!(asked(target), Some(Err(_))), "{target}");
        }
        assert_eq!(asked("/etc/passwd"), None);
    }
}
