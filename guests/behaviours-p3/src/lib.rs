//! The behaviours that matter in WASI 0.3 too: one a path, told apart by the first segment of the path
//! and steered by the query.

mod answers;
mod failures;
mod files;
mod left;
mod memory;
mod outbound;
mod reply;
mod sockets;

use wasip3::http::types::{ErrorCode, Request, Response};

wasip3::http::service::export!(Behaviours);

struct Behaviours;

impl wasip3::exports::http::handler::Guest for Behaviours {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        let (behaviour, query) = query::parse(&target);
        Ok(match behaviour {
            "trap-before-head" => panic!("trapped before the head"),
            "trap-after-head" => failures::trap_after_head(),
            "error-code" => return Err(ErrorCode::InternalError(Some("as asked".to_owned()))),
            "spin" => failures::spin(),
            "spin-after-head" => failures::spin_after_head(),
            "hog" => failures::hog(),
            "recurse" => reply::text(failures::recurse(0).to_string()),
            "toil" => failures::toil(),
            "resources" => failures::resources(&query),
            "fields" => failures::fields(&query),
            "hold" => memory::hold(&query),
            "fill" => memory::fill(&query).await,
            "trap-after-answer" => failures::trap_after_answer(&query),
            "lengths" => answers::lengths(&query),
            "early-response" => answers::early_response(request, &query),
            "sleep" => answers::late(&query).await,
            "slow-stream" => answers::slow_stream(&query),
            "request" => answers::describe(request).await,
            "counter" => answers::counter(),
            "numbers" => left::numbers(request),
            "leave" => left::leave(&query, request).await,
            "respond" => answers::respond(&query),
            "content-length" => answers::content_length(&query),
            "many-headers" => answers::many_headers(&query),
            "settable" => answers::settable(&query),
            "stdio" => answers::stdio(&query),
            "touch" => files::touch(&query).await,
            "list" => files::list(&query).await,
            "lock" => files::lock(&query).await,
            "hold-open" => sockets::hold_open(&query).await,
            "sockets" => sockets::talk(&query).await,
            "outbound" => outbound::ask(&query).await,
            "echo" => answers::echo(request),
            _ => reply::text("ok\n"),
        })
    }
}
