"""For `wasmserve dev`: what an application raises is shown to whoever asks, and not only in the terminal."""

import html
import traceback

from . import frozen


class Shown:
    """An ASGI application whose answer to an exception is its traceback. A response of the status 500 is held until it
    is known whether an exception comes after it, as Starlette answers first."""

    def __init__(self, app):
        self._app = app
        # Flask answers by itself otherwise, and keeps the exception.
        config = getattr(getattr(app, "app", app), "config", None)
        if isinstance(config, dict) and "PROPAGATE_EXCEPTIONS" in config:
            config["PROPAGATE_EXCEPTIONS"] = True

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        held, started = [], False

        async def sending(message):
            nonlocal started
            is_failure = message["type"] == "http.response.start" and message["status"] == 500
            if held or (is_failure and not started):
                held.append(message)
                return
            started = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            if not started:
                await _show(error, scope, send)
            raise
        for message in held:
            await send(message)


def shortened(error):
    """Without the calls of the bridge and of the import system, which come before the application's."""
    frames = error.__traceback__
    while frames is not None and not frames.tb_frame.f_code.co_filename.startswith((frozen.APPLICATION + "/", frozen.SITE + "/")):
        frames = frames.tb_next
    return error.with_traceback(frames) if frames is not None else error


async def _show(error, scope, send):
    text = "".join(traceback.format_exception(shortened(error)))
    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
    if b"html" in accepted:
        kind, text = b"text/html", PAGE.format(html.escape(f"{type(error).__name__}: {error}"), html.escape(text))
    else:
        kind = b"text/plain"
    headers = [(b"content-type", kind + b"; charset=utf-8")]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode(errors="replace")})


PAGE = """<!doctype html><meta charset=utf-8><title>Internal Server Error</title>
<body style="font-family:sans-serif;margin:2em"><h1>{}</h1>
<pre style="background:#eee;padding:1em;white-space:pre-wrap">{}</pre>
"""
