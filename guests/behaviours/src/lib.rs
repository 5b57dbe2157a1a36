//! What guests do, good and bad, for the tests: one behaviour a path, told apart by the first segment
//! of the path and steered by the query.

mod answers;
mod capabilities;
mod failures;
mod files;
mod memory;
mod outbound;
mod reply;
mod sockets;
mod whole;

use wasip2::http::types::{IncomingRequest, ResponseOutparam};

wasip2::http::proxy::export!(Behaviours);

struct Behaviours;

impl wasip2::exports::http::incoming_handler::Guest for Behaviours {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (behaviour, query) = query::parse(&target);
        match behaviour {
            "trap-before-head" => failures::trap_before_head(),
            "trap-after-head" => failures::trap_after_head(out),
            "trap-by-chance" => failures::trap_by_chance(request, &query),
            "trap-by-file" => files::trap_by_file(&query),
            "file-length" => reply::text(out, &format!("{}\n", files::length(&query))),
            "touch" => reply::text(out, &files::touch(&query)),
            "insist" => reply::text(out, &files::insist(&query)),
            "grow" => reply::text(out, &files::grow(&query)),
            "trap-by-length" => panic!("it has {} bytes", files::length(&query)),
            "no-response" => {}
            "error-code" => failures::error_code(out, &query),
            "spin" => failures::spin(),
            "spin-after-head" => failures::spin_after_head(out),
            "hog" => failures::hog(out),
            "recurse" => failures::recurse(out),
            "toil" => failures::toil(),
            "resources" => failures::resources(out, &query),
            "fields" => failures::fields(out, &query),
            "descriptors" => failures::descriptors(out, &query),
            "keep" => failures::keep(out, &query),
            "nested" => failures::nested(out, &query),
            "hold" => memory::hold(out, &query),
            "fill" => memory::fill(out, &query),
            "trap-after-answer" => failures::trap_after_answer(out, &query),
            "lengths" => answers::lengths(out, &query),
            "unfinished" => failures::unfinished(out),
            "short" => failures::short(out),
            "content-length" => failures::content_length(out, &query),
            "slow-stream" => answers::slow_stream(out, &query),
            "sleep" => answers::late(out, &query),
            "stdio" => answers::stdio(out, query.text("text").unwrap_or(&target)),
            "chatter" => answers::chatter(out, &query),
            "environment" => answers::environment(out),
            "request" => answers::describe(request, out),
            "head" => whole::head(&request, out),
            "respond-whole" => whole::respond(out, &query),
            "respond" => answers::respond(out, &query),
            "many-headers" => answers::many_headers(out, &query),
            "settable" => answers::settable(out, &query),
            "big" => answers::big(out, &query),
            "counter" => answers::counter(out),
            "random" => answers::random(out),
            "once" => answers::once(out),
            "trap-if-used" => answers::trap_if_used(out),
            "scan" => answers::scan(out),
            "afterwork" => answers::afterwork(out, &query),
            "early-response" => answers::early_response(request, out, &query),
            "ignore-body" => reply::text(out, "ignored\n"),
            "settings" => capabilities::settings(out, &query),
            "log" => capabilities::logging(out),
            "files" => capabilities::files(out, &query),
            "hold-open" => sockets::hold_open(out, &query),
            "sockets" => sockets::talk(out, &query),
            "outbound" => outbound::ask(out, &query),
            _ => reply::text(out, "ok\n"),
        }
    }
}
