//! This file opens WebSockets whose other end is a mounted component, and knows which requests ask for one.

use super::{Answered, OpenedWebSocket, accepted};
use crate::guest::Guest;
use crate::request::mounts::{Mount, TunnelAnswer};
use crate::request::{Origin, Refusal, RequestContext, Requests, host};
use http::request::Parts;
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Empty};

impl Requests {
    /// Says whether requests that ask for a WebSocket may be answered as such.
    pub fn takes_websockets(&self) -> bool {
        self.guest.as_ref().is_some_and(Guest::takes_websockets) || self.mounts.is_some()
    }

    /// Says whether this request, which asks for a WebSocket, is answered as such.
    pub fn takes_websocket<B>(&self, origin: &Origin, request: &Request<B>) -> bool {
        let guest = self.guest.as_ref().is_some_and(Guest::takes_websockets);
        let Some(mounts) = &self.mounts else {
            return guest;
        };
        // Whose it is depends on its target.
        let mut parts = Request::new(()).into_parts().0;
        parts.method = request.method().clone();
        parts.uri = request.uri().clone();
        parts.version = request.version();
        parts.headers = request.headers().clone();
        let policy = &self.settings.header_policy;
        let arrival = policy.identify(origin, &mut parts.headers, &self.ids);
        let target = host::target(&parts, origin, &arrival, policy.root_path.as_ref());
        match target.map(|target| mounts.find(&target.named, &target.uri)) {
            Some(Ok(Some(_))) => true,
            Some(Ok(None)) => guest,
            Some(Err(_)) | None => false,
        }
    }
}

/// Has a mounted server answer, which is asked as for anything else where it has no WebSockets.
pub async fn open(
    mount: &Mount,
    parts: Parts,
    proof: Option<HeaderValue>,
    asked: &RequestContext<'_>,
) -> Result<Answered, Refusal> {
    Ok(match mount.open_tunnel(parts, asked).await? {
        TunnelAnswer::Open(head, tunnel) => {
            let headers = head.into_parts().0.headers;
            let socket = OpenedWebSocket::Mount(tunnel);
            (accepted(proof, None, headers), Some(socket))
        }
        TunnelAnswer::Response(response) => (response, None),
        // There is no other request that this could be.
        TunnelAnswer::NotTaken(parts) if parts.method == Method::CONNECT => {
            return Err(Refusal::Method);
        }
        TunnelAnswer::NotTaken(parts) => {
            let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
            let request = Box::new(Request::from_parts(parts, body));
            (mount.forward(request, asked).await?, None)
        }
    })
}
