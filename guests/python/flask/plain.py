"""Plain WSGI beneath Flask, for what tests ask."""


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


PATHS = {"/client": client, "/throw": throw, "/errors": errors, "/longer": longer}


def beside(flask):
    """What answers these paths itself, and has Flask answer all others."""

    def dispatched(environ, start_response):
        path = environ["PATH_INFO"]
        answers = described if path.startswith("/request") else PATHS.get(path, flask)
        return answers(environ, start_response)

    return dispatched
