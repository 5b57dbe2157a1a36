"""A WSGI application (PEP 3333) as an ASGI one."""

import inspect
import io
import sys
from urllib.parse import unquote_to_bytes

from .event_loop import Aside

END = object()


def is_wsgi(app):
    """Whether it takes two arguments, `environ` and `start_response`, and is no coroutine function."""
    call = app if inspect.isfunction(app) or inspect.ismethod(app) else getattr(app, "__call__", app)
    if inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(app):
        return False
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) == 2


class WsgiApp:
    # What the log calls an application of this kind.
    INTERFACE = "WSGI"

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        head = []

        def start_response(status, fields, exc_info=None):
            if exc_info is not None and started:
                # Nothing can be said in place of what was sent (PEP 3333).
                raise exc_info[1].with_traceback(exc_info[2])
            if head and exc_info is None:
                raise AssertionError("start_response was called twice")
            head[:] = [int(status.split(" ", 1)[0]), fields]
            return written.append

        written, started, over = [], False, False
        pieces = _aside(self.app, _environ(scope, bytes(body)), start_response)
        try:
            iterator = _aside(iter, pieces)
            while (piece := _aside(next, iterator, END)) is not END:
                piece = b"".join(written) + piece
                written.clear()
                if not started:
                    await send(_head(head))
                    started, left = True, _announced(head)
                # No more than was announced, as gunicorn has it.
                piece = piece[:left]
                if left is not None:
                    left -= len(piece)
                if piece:
                    over = left == 0
                    await send({"type": "http.response.body", "body": piece, "more_body": not over})
            if not started:
                await send(_head(head))
                left = _announced(head)
            if not over:
                await send({"type": "http.response.body", "body": b"".join(written)[:left]})
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                _aside(close)


def _aside(function, *args):
    """Calls what is the application's. It may run a loop of its own, and ask whether one runs: Django refuses its databases
    to whoever has one, and asgiref, which runs asynchronous views of Flask and Django, refuses to wait there."""
    with Aside():
        return function(*args)


def _head(head):
    if not head:
        raise AssertionError("the application has not called start_response")
    status, fields = head
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
    return {"type": "http.response.start", "status": status, "headers": encoded}


def _announced(head):
    lengths = [value for name, value in head[1] if name.lower() == "content-length"]
    return int(lengths[0]) if lengths and lengths[0].isdecimal() else None


def _environ(scope, body):
    # Bytes, each as a character (PEP 3333): those that are no UTF-8 are the application's to judge.
    root = unquote_to_bytes(scope["root_path"].encode("latin-1"))
    path = unquote_to_bytes(scope["raw_path"]).removeprefix(root)
    server = scope["server"] or ("localhost", 80)
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": root.decode("latin-1"),
        "PATH_INFO": path.decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or 80),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    if scope["client"]:
        environ["REMOTE_ADDR"] = scope["client"][0]
        environ["REMOTE_PORT"] = str(scope["client"][1])
    for name, value in scope["headers"]:
        # CGI reads `_` and `-` as one: whoever sends `X_User` would speak for the proxy that says `X-User`.
        if b"_" in name:
            continue
        name = name.decode("latin-1").upper().replace("-", "_")
        if name not in ("CONTENT_LENGTH", "CONTENT_TYPE"):
            name = f"HTTP_{name}"
        value = value.decode("latin-1")
        environ[name] = f"{environ[name]},{value}" if name in environ else value
    return environ
