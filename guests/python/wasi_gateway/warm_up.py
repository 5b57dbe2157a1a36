"""Has an application do at build time what it would otherwise do first at run time: import, cache, compile.

Its lifespan is begun and ended, its schema made where it is FastAPI's, and a path asked for that it does not have.
"""

import importlib
import sys

from .lifespan import Lifespan

# Imported by the standard library or by frameworks inside of functions.
LATE = (
    "asyncio.staggered asyncio.timeouts base64 calendar codecs concurrent.futures concurrent.futures.thread "
    "contextlib email.message email.mime.text email.parser email.utils encodings.ascii encodings.idna "
    "encodings.latin_1 encodings.utf_8_sig html http.client http.cookies http.cookiejar importlib.metadata "
    "importlib.resources json locale mimetypes random secrets statistics string.templatelib traceback "
    "unicodedata urllib.parse urllib.request uuid zoneinfo _strptime _pydatetime decimal fractions ipaddress "
    "stringprep tempfile linecache pprint graphlib"
).split()
# Of these, what a framework imports late, where the framework is there at all.
OF_PACKAGES = {
    "pydantic": "pydantic.networks pydantic.color pydantic.types pydantic.deprecated.json pydantic._internal._validators "
    "pydantic.json_schema pydantic.root_model pydantic.type_adapter pydantic.functional_serializers",
    "python_multipart": "python_multipart.multipart",
    "anyio": "anyio.abc anyio._backends._asyncio anyio.to_thread anyio.from_thread anyio.lowlevel anyio._core._fileio",
    "starlette": "starlette.formparsers starlette.staticfiles starlette.templating "
    "starlette.middleware.cors starlette.middleware.gzip starlette.middleware.errors starlette.endpoints",
    "fastapi": "fastapi.openapi.utils fastapi.openapi.docs fastapi.encoders",
    "email_validator": "email_validator.validate_email email_validator.deliverability",
    "flask": "flask.debughelpers flask.json.provider",
}


async def warm_up(app, notes):
    _import_late()

    def note(text):
        with open(notes, "a") as file:
            file.write(f"note: while warming up the application, {text}\n")

    lifespan = Lifespan(_loop(), app)
    try:
        await lifespan.startup()
    except Exception as error:
        # The last line of a traceback says what happened.
        reason = str(error).strip().splitlines()[-1]
        note(f"its startup failed, which may be well while building: {reason}")
    for path in ("/a-path-that-is-nowhere", "/openapi.json", "/docs"):
        try:
            await _ask(app, path, lifespan.state)
        except Exception as error:
            note(f"GET {path} failed: {error!r}")
    try:
        await lifespan.shutdown()
    except Exception as error:
        note(f"its shutdown failed: {error!r}")


def _loop():
    import asyncio

    return asyncio.get_running_loop()


def _import_late():
    names = list(LATE)
    for package, late in OF_PACKAGES.items():
        if package in sys.modules:
            names += late.split()
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:
            pass


async def _ask(app, path, state):
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message):
        pass

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": None,
        "server": ("localhost", 80),
        "state": dict(state),
    }
    await app(scope, receive, send)
