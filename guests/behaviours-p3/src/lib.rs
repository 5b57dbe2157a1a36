//! The behaviours that matter in WASI 0.3 too: one a path, told apart by the first segment.

use std::fmt::Write;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use wasip3::clocks::monotonic_clock;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{wit_bindgen, wit_future, wit_stream};

wasip3::http::service::export!(Behaviours);

struct Behaviours;

impl wasip3::exports::http::handler::Guest for Behaviours {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        match path
            .trim_start_matches('/')
            .split('/')
            .next()
            .unwrap_or_default()
        {
            "trap-before-head" => panic!("trapped before the head"),
            "trap-after-head" => Ok(trap_after_head()),
            "error-code" => Err(ErrorCode::InternalError(Some("as asked".to_owned()))),
            "spin" => spin(),
            "sleep" => {
                milliseconds(300).await;
                Ok(text("slept\n".to_owned()))
            }
            "slow-stream" => Ok(slow_stream()),
            "request" => Ok(text(describe(&request))),
            "counter" => Ok(text(counter())),
            "stdio" => {
                println!("out: three");
                eprintln!("err: three");
                Ok(text("printed\n".to_owned()))
            }
            "echo" => Ok(echo(request)),
            _ => Ok(text("ok\n".to_owned())),
        }
    }
}

async fn milliseconds(count: u64) {
    monotonic_clock::wait_for(count * 1_000_000).await;
}

/// A response whose body is what this writes.
fn streamed<F: Future<Output = ()> + 'static>(
    write: impl FnOnce(wit_bindgen::StreamWriter<u8>) -> F,
) -> Response {
    let (writer, reader) = wit_stream::new();
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(Fields::new(), Some(reader), trailers);
    wit_bindgen::spawn_local(write(writer));
    response
}

fn text(text: String) -> Response {
    streamed(|mut writer| async move {
        writer.write_all(text.into_bytes()).await;
    })
}

fn slow_stream() -> Response {
    streamed(|mut writer| async move {
        for chunk in 0..5 {
            if chunk > 0 {
                milliseconds(100).await;
            }
            writer
                .write_all(format!("chunk {chunk}\n").into_bytes())
                .await;
        }
    })
}

fn trap_after_head() -> Response {
    streamed(|mut writer| async move {
        writer.write_all(b"partial\n".to_vec()).await;
        milliseconds(50).await;
        panic!("trapped after the head");
    })
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

fn counter() -> String {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    format!("{}\n", SEEN.fetch_add(1, Ordering::Relaxed) + 1)
}

fn describe(request: &Request) -> String {
    let mut text = String::new();
    writeln!(text, "method {:?}", request.get_method()).unwrap();
    writeln!(text, "scheme {:?}", request.get_scheme()).unwrap();
    writeln!(
        text,
        "authority {}",
        request.get_authority().unwrap_or_default()
    )
    .unwrap();
    writeln!(
        text,
        "path {}",
        request.get_path_with_query().unwrap_or_default()
    )
    .unwrap();
    for (name, value) in request.get_headers().copy_all() {
        writeln!(text, "header {name}: {}", String::from_utf8_lossy(&value)).unwrap();
    }
    text
}

fn echo(request: Request) -> Response {
    let (_, received) = wit_future::new(|| Ok(()));
    let (body, trailers) = Request::consume_body(request, received);
    Response::new(Fields::new(), Some(body), trailers).0
}
