//! Guests that leave something behind, and one that would notice.

use crate::reply::{self, sleep};
use query::Query;
use std::future::poll_fn;
use std::mem::forget;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Trailers};
use wasip3::wit_bindgen::{spawn_local, yield_async};
use wasip3::{wit_future, wit_stream};

/// Tells the numbers of its handles, which it gives up in an order of its own.
pub fn numbers(request: Request) -> Response {
    let (one, first) = wit_stream::new::<u8>();
    let (other, second) = wit_stream::new::<u8>();
    let fields = Fields::new();
    let streams = [
        one.handle(),
        first.handle(),
        other.handle(),
        second.handle(),
    ];
    drop((other, first));
    let more = Fields::new();
    let resources = [request.handle(), fields.handle(), more.handle()];
    drop((fields, second, request, one));
    reply::text(format!("{streams:?} {resources:?}\n"))
}

/// Leaves `what` behind when it has answered.
pub async fn leave(query: &Query<'_>, request: Request) -> Response {
    let what = query.text("what").unwrap_or("nothing");
    let wait = Duration::from_millis(query.number("ms", 50));
    match what {
        "nothing" => {}
        "request" => forget(request),
        "fields" => forget(Fields::new()),
        "stream" => forget(wit_stream::new::<u8>()),
        "reader" => forget(wit_stream::new::<u8>().1),
        "writer" => forget(wit_stream::new::<u8>().0),
        "future" => forget(wit_future::new::<Result<Option<Trailers>, ErrorCode>>(
            || Ok(None),
        )),
        "subtask" => begin(Box::pin(sleep(wait))).await,
        "write" => {
            let (mut writer, reader) = wit_stream::new::<u8>();
            begin(Box::pin(async move {
                drop(writer.write_all(vec![1; 100]).await)
            }))
            .await;
            forget(reader);
        }
        "task" => spawn_local(async move {
            sleep(wait).await;
            crate::answers::counter();
        }),
        "turns" => spawn_local(async {
            for _ in 0..100 {
                yield_async().await;
            }
        }),
        what => panic!("there is no {what}"),
    }
    reply::text(format!("left {what}\n"))
}

/// Begins what is never looked at again.
async fn begin(mut work: Pin<Box<dyn Future<Output = ()>>>) {
    poll_fn(|cx| {
        let _ = work.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
    forget(work);
}
