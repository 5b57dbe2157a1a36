//! A `RegistryClient` speaks to one registry: with TLS unless it is this machine or that was asked for, with the token
//! or the password that it wants, and to where it sends us for content.

use super::answer::causes;
use super::credentials::Credentials;
use super::push::Body;
use super::retry::CallError;
use crate::guest::outbound::{Roots, tls};
use anyhow::{Context, Result, anyhow};
use http::header::{AUTHORIZATION, LOCATION, USER_AGENT};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;

/// Connecting, the head of an answer, and each piece of it may take this long.
const CONNECT: Duration = Duration::from_secs(10);
const HELLO: Duration = Duration::from_secs(5);
pub const SILENCE: Duration = Duration::from_secs(30);

/// This much of an answer is read that is no component.
pub const LARGEST_ANSWER: usize = 4 << 20;

/// Content may be somewhere else this often.
const REDIRECTS: usize = 5;

/// A `Call` is what is asked.
#[derive(Clone)]
pub struct Call {
    pub method: Method,
    /// The target is a path at the registry, or a whole URL.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Body,
}

impl Call {
    pub fn new(method: Method, target: String) -> Call {
        Call {
            method,
            target,
            headers: HeaderMap::new(),
            body: Body::default(),
        }
    }

    pub fn with(mut self, name: http::HeaderName, value: &str) -> Result<Call> {
        self.headers.insert(name, value.parse()?);
        Ok(self)
    }
}

/// `Speech` says how this registry is spoken to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speech {
    Tls,
    Clear,
    /// A registry of this machine may do without TLS, and the first request tells.
    Unknown,
}

pub struct RegistryClient {
    http: HyperClient<HttpsConnector<HttpConnector>, Body>,
    pub(super) authority: Authority,
    /// These registries are spoken to in clear text.
    pub(super) clear: Vec<String>,
    speech: Cell<Speech>,
    pub(super) credentials: Option<Credentials>,
    pub(super) authorization: RefCell<Option<HeaderValue>>,
}

impl RegistryClient {
    /// Reads whom to believe.
    pub fn new(
        host: &str,
        clear: &[String],
        credentials: Option<Credentials>,
    ) -> Result<RegistryClient> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(Some(&Roots::System))?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        // It answers under another name than the one that people write.
        let host = match host {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            host => host,
        };
        let authority: Authority = host.parse().context("it is no host")?;
        let speech = match is_loopback(&authority) {
            _ if clear.iter().any(|it| it == host) => Speech::Clear,
            true => Speech::Unknown,
            false => Speech::Tls,
        };
        Ok(RegistryClient {
            http: HyperClient::builder(TokioExecutor::new()).build(connector),
            authority,
            speech: Cell::new(speech),
            clear: clear.to_vec(),
            credentials,
            authorization: RefCell::default(),
        })
    }

    /// Asks, shows who we are where that is wanted, and follows to where content is.
    pub async fn call(&self, call: Call) -> Result<Response<Incoming>, CallError> {
        let mut call = call;
        for _ in 0..=REDIRECTS {
            let (uri, mut response) = self.exchange(&call).await?;
            if response.status() == StatusCode::UNAUTHORIZED && self.is_registry(&uri) {
                self.authorize(&response).await?;
                response = self.exchange(&call).await?.1;
            }
            let redirects = response.status().is_redirection() && call.method != Method::PUT;
            match response.headers().get(LOCATION) {
                Some(location) if redirects => {
                    let next = self.resolve(&uri, location)?;
                    if uri.scheme() == Some(&Scheme::HTTPS) && next.scheme() != Some(&Scheme::HTTPS)
                    {
                        return Err(anyhow!("the registry leads to where there is no TLS").into());
                    }
                    call.target = next.to_string();
                }
                _ => return Ok(response),
            }
        }
        Err(anyhow!("the registry leads from one place to the next").into())
    }

    /// Makes a call that must succeed.
    pub async fn expect(&self, call: Call) -> Result<Response<Incoming>, CallError> {
        let response = self.call(call).await?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(self.refused(response).await),
        }
    }

    /// Makes one request, and returns the head of its answer, with the place that it came from.
    async fn exchange(&self, call: &Call) -> Result<(Uri, Response<Incoming>), CallError> {
        if self.speech.get() == Speech::Unknown {
            let hello = Call::new(Method::GET, "/v2/".to_owned());
            let uri = self.uri(&hello.target)?;
            let answered = timeout(HELLO, self.send(&hello, uri)).await;
            self.speech.set(match answered {
                Ok(Ok(_)) => Speech::Tls,
                _ => Speech::Clear,
            });
        }
        let uri = self.uri(&call.target)?;
        let response = self.send(call, uri.clone()).await?;
        Ok((uri, response))
    }

    pub(super) async fn send(
        &self,
        call: &Call,
        uri: Uri,
    ) -> Result<Response<Incoming>, CallError> {
        let is_registry = self.is_registry(&uri);
        let mut request = Request::new(call.body.again());
        *request.method_mut() = call.method.clone();
        *request.headers_mut() = call.headers.clone();
        const AGENT: HeaderValue =
            HeaderValue::from_static(concat!("wasmserve/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(USER_AGENT, AGENT);
        // Nobody else sees it.
        let authorization = self.authorization.borrow().clone();
        if let Some(value) = authorization.filter(|_| is_registry) {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let host = uri.authority().map(ToString::to_string).unwrap_or_default();
        *request.uri_mut() = uri;
        // What is sent takes as long as it takes, and says so when it stands still.
        let limit = SILENCE + call.body.time();
        match timeout(limit, self.http.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                let why = anyhow!("cannot reach `{host}`: {}", causes(&error));
                Err(CallError::passing(why))
            }
            Err(_) => {
                let why = anyhow!("`{host}` did not answer within {} s", limit.as_secs());
                Err(CallError::passing(why))
            }
        }
    }

    pub(super) fn uri(&self, target: &str) -> Result<Uri> {
        if !target.starts_with('/') {
            return target
                .parse()
                .context("the registry leads to what is no URL");
        }
        let uri = Uri::builder()
            .scheme(self.scheme())
            .authority(self.authority.clone())
            .path_and_query(target);
        uri.build().context("the registry leads to what is no path")
    }

    fn scheme(&self) -> Scheme {
        match self.speech.get() {
            Speech::Clear => Scheme::HTTP,
            Speech::Tls | Speech::Unknown => Scheme::HTTPS,
        }
    }

    fn is_registry(&self, uri: &Uri) -> bool {
        uri.authority() == Some(&self.authority) && uri.scheme() == Some(&self.scheme())
    }

    /// Finds where a Location leads: a URL, or a path at where it was read.
    pub fn resolve(&self, base: &Uri, location: &HeaderValue) -> Result<Uri> {
        let location = location
            .to_str()
            .context("the registry leads to what is no URL")?;
        let uri: Uri = location
            .parse()
            .context("the registry leads to what is no URL")?;
        if uri.scheme().is_some() {
            return Ok(uri);
        }
        let mut parts = base.clone().into_parts();
        parts.path_and_query = uri.into_parts().path_and_query;
        Uri::from_parts(parts).context("the registry leads to what is no URL")
    }

    /// Gives the registry's URL, after which the paths of its content stand.
    pub fn base(&self) -> Result<Uri> {
        self.uri("/")
    }
}

/// Says whether this is the machine that we run on.
pub fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}
