//! Middleware of WASI 0.3: refuses who has no token, hands everything else to the application, and adds a field to
//! what it answers. Bodies pass as they come.

use wasi::http::handler;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::wit_bindgen::{self, spawn_local};
use wasip3::{wit_future, wit_stream};

wit_bindgen::generate!({
    path: "../../python/service/wit",
    inline: "
        package example:middleware;
        world middleware {
            import wasi:http/handler@0.3.0;
        }
    ",
    world: "example:middleware/middleware",
    with: {
        "wasi:clocks/types@0.3.0": wasip3::clocks::types,
        "wasi:http/types@0.3.0": wasip3::http::types,
        "wasi:http/handler@0.3.0": generate,
    },
    runtime_path: "wasip3::wit_bindgen::rt",
});

wasip3::http::service::export!(Middleware);

struct Middleware;

impl wasip3::exports::http::handler::Guest for Middleware {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        if !is_let_in(&request) {
            return refuse();
        }
        let response = handler::handle(request).await?;
        seen(response)
    }
}

/// Says whether the request has the token that the variable `TOKEN` names. Where there is none, everybody is let in.
fn is_let_in(request: &Request) -> bool {
    let Ok(token) = std::env::var("TOKEN") else {
        return true;
    };
    let given = request.get_headers().get("authorization");
    given == [format!("Bearer {token}").into_bytes()]
}

/// Makes a response of the application's, with one more field.
fn seen(response: Response) -> Result<Response, ErrorCode> {
    let mut fields = response.get_headers().copy_all();
    fields.push(("x-middleware".to_owned(), b"seen".to_vec()));
    let status = response.get_status_code();
    let (_, received) = wit_future::new(|| Ok(()));
    let (body, trailers) = Response::consume_body(response, received);
    answer(status, &fields, Some(body), trailers)
}

fn refuse() -> Result<Response, ErrorCode> {
    let fields = [("www-authenticate".to_owned(), b"Bearer".to_vec())];
    let (mut writer, body) = wit_stream::new();
    let (_, no_trailers) = wit_future::new(|| Ok(None));
    spawn_local(async move {
        writer.write_all(b"a token is needed\n".to_vec()).await;
    });
    answer(401, &fields, Some(body), no_trailers)
}

type Trailers = wit_bindgen::FutureReader<Result<Option<Fields>, ErrorCode>>;

fn answer(
    status: u16,
    fields: &[(String, Vec<u8>)],
    body: Option<wit_bindgen::StreamReader<u8>>,
    trailers: Trailers,
) -> Result<Response, ErrorCode> {
    let internal = |error: String| ErrorCode::InternalError(Some(error));
    let fields = Fields::from_list(fields).map_err(|error| internal(error.to_string()))?;
    let (response, _sent) = Response::new(fields, body, trailers);
    let set = response.set_status_code(status);
    set.map_err(|()| internal(format!("{status} is no status")))?;
    Ok(response)
}
