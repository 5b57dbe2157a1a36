//! Requests that a guest sends: through the rules, then through connections that all instances of
//! this process share.

mod body;
mod connect;
mod exchange;
mod failure;
mod headers;
mod roots;
pub mod transmission;

pub use exchange::OutboundClient;
pub use roots::Roots;

use super::network::Rules;
use http::HeaderName;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions, WasiBody, WasiHttpHooks,
};

/// Whom guests may ask, and what asking may take.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub rules: Rules,
    pub roots: Roots,
    pub times: Times,
    /// Requests at a time for one that is answered.
    pub of_one: usize,
    /// Requests at a time of all instances of one worker.
    pub of_all: usize,
}

/// How long each step may take, at most; a guest may ask for less.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// Until there is a connection: waiting for a turn, looking up, connecting and TLS together.
    pub connect: Duration,
    /// From the last byte sent to the head of the response.
    pub first_byte: Duration,
    /// Between two pieces of the response.
    pub between_bytes: Duration,
}

impl Times {
    fn within(self, asked: Option<RequestOptions>) -> Times {
        let asked = asked.unwrap_or_default();
        let shorter =
            |ours: Duration, asked: Option<Duration>| asked.map_or(ours, |asked| asked.min(ours));
        Times {
            connect: shorter(self.connect, asked.connect_timeout),
            first_byte: shorter(self.first_byte, asked.first_byte_timeout),
            between_bytes: shorter(self.between_bytes, asked.between_bytes_timeout),
        }
    }
}

/// The way out of one instance.
pub struct Outbound {
    client: Arc<OutboundClient>,
    /// Permits of this instance.
    own: Arc<Semaphore>,
}

impl Outbound {
    /// For an instance that answers so many requests at a time.
    pub fn new(client: &Arc<OutboundClient>, concurrency: usize) -> Outbound {
        let permits = client.settings().of_one.saturating_mul(concurrency);
        Outbound {
            own: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
            client: client.clone(),
        }
    }
}

/// What is left to do for a request once its head is there: nothing, the connection has a task.
type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;

type Sent = Result<(http::Response<WasiBody>, Rest), Error>;

impl WasiHttpHooks for Outbound {
    /// As where this is not said, without making a closure for each field.
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        DEFAULT_FORBIDDEN_HEADERS.contains(name)
    }

    /// The client does it, where the protocol has one and after it has chosen the protocol.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _done: Rest,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let client = self.client.clone();
        let own = self.own.clone();
        Box::new(async move {
            let response = client.send(own, request, options).await?;
            let rest: Rest = Box::new(std::future::ready(Ok(())));
            Ok((response, rest))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_may_ask_for_less_time_and_not_for_more() {
        let second = Duration::from_secs(1);
        let ours = Times {
            connect: second,
            first_byte: second,
            between_bytes: second,
        };
        let times = ours.within(Some(RequestOptions {
            connect_timeout: Some(second / 2),
            first_byte_timeout: Some(second * 2),
            between_bytes_timeout: None,
        }));
        assert_eq!(times.connect, second / 2);
        assert_eq!(times.first_byte, second);
        assert_eq!(times.between_bytes, second);
    }
}
