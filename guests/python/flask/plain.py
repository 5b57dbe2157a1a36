"""Plain WSGI beneath Flask, for what tests ask."""

import asyncio


def described(environ, start_response):
    """Says what it was asked, a line for each thing, for every method."""
    length = 0
    while piece := environ["wsgi.input"].read(65536):
        length += len(piece)
    fields = {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")}
    query = environ.get("QUERY_STRING", "")
    lines = [f"path {environ['PATH_INFO']}{'?' * bool(query)}{query}"]
    lines += [f"header {name.lower().replace('_', '-')}: {value}" for name, value in fields.items()]
    lines += [f"body {length}", ""]
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Out", "lev\xe9")])
    return ["\n".join(lines).encode("latin-1")]


def client(environ, start_response):
    start_response("200 OK", [])
    said = [environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT"), environ.get("HTTP_WASMSERVE_CLIENT")]
    return [repr(said).encode()]


def throw(environ, start_response):
    raise ValueError("outside of Flask")


def errors(environ, start_response):
    print("to wsgi.errors", file=environ["wsgi.errors"])
    start_response("200 OK", [])
    return []


def longer(environ, start_response):
    """Writes more than it has announced."""
    write = start_response("200 OK", [("Content-Length", "5")])
    write(b"ab")
    return [b"cd", b"ef", b"gh"]


async def slept():
    await asyncio.sleep(0.01)
    return "slept"


def loops(environ, start_response):
    """What may be done where no loop runs, as under gunicorn, before the answer and while it is sent."""
    try:
        asyncio.get_running_loop()
        runs = "a loop runs"
    except RuntimeError:
        runs = "no loop runs"
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    own = asyncio.get_event_loop().run_until_complete(slept())
    asyncio.set_event_loop(None)
    loop.close()
    start_response("200 OK", [])

    def pieces():
        yield f"{runs}, {own}, ".encode()
        yield asyncio.run(slept()).encode()

    return pieces()


def octets(environ, start_response):
    start_response("200 OK", [])
    return [repr(environ["PATH_INFO"].encode("latin-1")).encode()]


PATHS = {"/loops": loops, "/client": client, "/throw": throw, "/errors": errors, "/longer": longer}


def beside(flask):
    """What answers these paths itself, and has Flask answer all others."""

    def dispatched(environ, start_response):
        path = environ["PATH_INFO"]
        answers = described if path.startswith("/request") else PATHS.get(path, flask)
        answers = octets if path.startswith("/octets") else answers
        return answers(environ, start_response)

    return dispatched
