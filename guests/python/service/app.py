"""A handler of WASI HTTP 0.3, without a framework: answers at /, echoes at /echo, writes five lines at /slow."""

import componentize_py_async_support
import wit_world
from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports import monotonic_clock
from wit_world.imports.wasi_http_types import Fields, Method_Post, Request, Response

TEXT = ("content-type", b"text/plain; charset=utf-8")


class Handler(exports.Handler):
    async def handle(self, request: Request) -> Response:
        path = (request.get_path_with_query() or "/").partition("?")[0]
        if path == "/":
            return text(200, b"Hello, world!\n")
        if path == "/echo" and isinstance(request.get_method(), Method_Post):
            body, trailers = Request.consume_body(request, nothing())
            return Response.new(Fields.from_list([TEXT]), body, trailers)[0]
        if path == "/slow":
            return streamed(lines())
        return text(404, b"there is nothing here\n")


async def lines():
    for number in range(5):
        yield f"chunk {number}\n".encode()
        # The event loop of componentize-py has no timers: `asyncio.sleep` fails.
        await monotonic_clock.wait_for(100_000_000)


def text(status, content):
    async def once():
        yield content

    length = ("content-length", str(len(content)).encode())
    response = streamed(once(), [TEXT, length])
    response.set_status_code(status)
    return response


def streamed(pieces, fields=(TEXT,)):
    """A response whose body is written while the client reads it."""

    async def write():
        with writer:
            async for piece in pieces:
                await writer.write_all(piece)

    writer, reader = wit_world.byte_stream()
    componentize_py_async_support.spawn(write())
    return Response.new(Fields.from_list(list(fields)), reader, no_trailers())[0]


def no_trailers():
    return wit_world.result_option_wasi_http_types_fields_wasi_http_types_error_code_future(lambda: Ok(None))[1]


def nothing():
    return wit_world.result_unit_wasi_http_types_error_code_future(lambda: Ok(None))[1]
