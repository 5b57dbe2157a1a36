//! The guest that sent a request learns how its transmission went: a request is transmitted when its body has been
//! taken to its end, and a response came.

use crate::guest::observed::{Observed, Observer};
use bytes::Bytes;
use http_body::Frame;
use std::cell::Cell;
use tokio::sync::oneshot;
use wasmtime_wasi_http::{Error, WasiBody};

/// A `Transmission` tells how the transmission went.
pub struct Transmission {
    failure: Cell<Option<oneshot::Sender<Option<Error>>>>,
    body: Cell<Option<oneshot::Sender<Result<(), Error>>>>,
}

/// Makes a report, and the future that resolves with its result.
pub fn channel() -> (
    Transmission,
    impl Future<Output = Result<(), Error>> + Send + 'static,
) {
    let (failure, failed) = oneshot::channel();
    let (body, taken) = oneshot::channel();
    let report = Transmission {
        failure: Cell::new(Some(failure)),
        body: Cell::new(Some(body)),
    };
    let outcome = async {
        // Where nobody tells, the guest is gone, or was kept from sending.
        match failed.await {
            Ok(None) => taken.await.unwrap_or(Err(Error::ConnectionTerminated)),
            Ok(Some(error)) => Err(error),
            Err(_) => Err(Error::ConnectionTerminated),
        }
    };
    (report, outcome)
}

impl Transmission {
    /// Wraps a body so that it tells when it has been taken.
    pub fn watch(&self, body: WasiBody) -> Observed<Taken> {
        Observed::new(body, Taken(self.body.take()))
    }

    /// Tells that there is a response, or why there is none.
    pub fn end(&self, failure: Option<Error>) {
        if let Some(report) = self.failure.take() {
            // The guest need not be interested.
            let _ = report.send(failure);
        }
    }
}

/// A `Taken` tells once whether a body has been taken to its end.
pub struct Taken(Option<oneshot::Sender<Result<(), Error>>>);

impl Taken {
    fn tell(&mut self, result: Result<(), Error>) {
        if let Some(report) = self.0.take() {
            let _ = report.send(result);
        }
    }
}

impl Observer for Taken {
    fn sees(&mut self, frame: Option<&Result<Frame<Bytes>, Error>>) {
        match frame {
            None => self.tell(Ok(())),
            // The reason itself goes to who sends it.
            Some(Err(_)) => self.tell(Err(Error::ConnectionTerminated)),
            Some(Ok(_)) => {}
        }
    }

    fn ends(&mut self, is_whole: bool) {
        self.tell(match is_whole {
            true => Ok(()),
            false => Err(Error::ConnectionTerminated),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn body() -> WasiBody {
        let body = Full::new(Bytes::from_static(b"abc"));
        body.map_err(|never| match never {}).boxed_unsync()
    }

    fn now<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_request_is_transmitted_when_its_body_was_taken_and_a_response_came() {
        let (report, outcome) = channel();
        let mut body = report.watch(body());
        report.end(None);
        assert!(matches!(now(body.frame()), Poll::Ready(Some(Ok(_)))));
        drop(body);
        assert!(matches!(now(outcome), Poll::Ready(Ok(()))));
    }

    #[test]
    fn what_was_not_taken_was_not_transmitted() {
        let (report, outcome) = channel();
        drop(report.watch(body()));
        report.end(None);
        let error = now(outcome);
        assert!(matches!(
            error,
            Poll::Ready(Err(Error::ConnectionTerminated))
        ));
    }

    #[test]
    fn the_reason_is_the_one_that_there_is_no_response_for() {
        let (report, outcome) = channel();
        drop(report.watch(body()));
        report.end(Some(Error::ConnectionRefused));
        let error = now(outcome);
        assert!(matches!(error, Poll::Ready(Err(Error::ConnectionRefused))));
    }
}
