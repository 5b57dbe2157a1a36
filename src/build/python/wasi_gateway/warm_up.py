"""Has an application do at build time what it would otherwise do first at run time: import, cache, compile.

Its lifespan is begun and ended, its schema made where it is FastAPI's, a path asked for that it does not have, and its
templates compiled. No endpoint runs. What the lifespan has left belongs to the build, and is forgotten: it begins again
where the component is served.
"""

import functools
import gc
import importlib
import sys
import types
from collections.abc import Mapping

from . import frozen
from .lifespan import Lifespan
from .wsgi import WsgiApp

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
    import_late()

    def note(text):
        with open(notes, "a") as file:
            file.write(f"note: while warming up the application, {text}\n")

    lifespan = Lifespan(_loop(), app)
    begun = Begun()
    try:
        await lifespan.startup()
    except Exception as error:
        note(f"its startup failed, which may be well while building: {_last_words(str(error))}")
    for path in ("/a-path-that-is-nowhere", "/openapi.json", "/docs"):
        try:
            await _ask(app, path, lifespan.state)
        except Exception as error:
            note(f"GET {path} failed: {error!r}")
    try:
        await lifespan.shutdown()
    except Exception as error:
        note(f"its shutdown failed: {error!r}")
    begun.put_back()
    _remember_endpoints()
    _configure_mappers()
    _compile_templates(app)


class Begun:
    """What the application's modules had when they had been imported: their variables, and its functions' caches that
    had nothing yet. `get_settings()` as FastAPI's tutorial has it would remember the settings of the build otherwise."""

    def __init__(self):
        files = ((module, getattr(module, "__file__", None)) for module in list(sys.modules.values()))
        modules = [module for module, file in files if file and file.startswith(frozen.APPLICATION + "/")]
        self._variables = [(vars(module), dict(vars(module))) for module in modules]
        names = {module.__name__ for module in modules}
        caches = [it for it in gc.get_objects() if type(it) is functools._lru_cache_wrapper]
        self._caches = [it for it in caches if it.__module__ in names and it.cache_info().currsize == 0]

    def put_back(self):
        for variables, before in self._variables:
            # What was imported since is there all the same.
            new = [name for name, it in variables.items() if name not in before and not isinstance(it, types.ModuleType)]
            for name in new:
                del variables[name]
            variables.update((name, it) for name, it in before.items() if variables.get(name) is not it)
        for cache in self._caches:
            cache.cache_clear()


def _last_words(text):
    """The last line of a traceback, which says what happened, but for where SQLAlchemy says more about it."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("(Background on this error at: ")]
    return lines[-1].strip() if lines else "it does not say why"


def _loop():
    import asyncio

    return asyncio.get_running_loop()


def import_late():
    names = list(LATE)
    for package, late in OF_PACKAGES.items():
        if package in sys.modules:
            names += late.split()
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:
            pass


def _remember_endpoints():
    """Has FastAPI find out of each endpoint and dependency what it finds out otherwise when that is first asked for, such
    as where its source is, and remembers. A version that does this in another way goes on doing it then."""
    routing, models = (sys.modules.get(f"fastapi.{name}") for name in ("routing", "dependencies.models"))
    if models is None:
        return
    kinds = ("_is_coroutine_callable", "_is_gen_callable", "_is_async_gen_callable")
    asks = [getattr(models, name, None) for name in kinds] + [getattr(routing, "_extract_endpoint_context", None)]
    # Wherever they are: routers are included in routers, and have routes made of theirs.
    found = [it for it in gc.get_objects() if issubclass(type(it), models.Dependant)]
    for call in {id(it.call): it.call for it in found if it.call is not None}.values():
        for ask in filter(None, asks):
            try:
                ask(call)
            except Exception:
                pass


def _configure_mappers():
    """Has SQLAlchemy find out of each class what it finds out with the first statement that reads it. None is executed."""
    orm = sys.modules.get("sqlalchemy.orm")
    if orm is None:
        return
    mappers = [it for it in gc.get_objects() if type(it) is orm.Mapper]
    try:
        orm.configure_mappers()
    except Exception:
        # It is told when a request asks for one, unless what they lack has been imported by then: none has failed.
        for mapper in mappers:
            vars(mapper).pop("_configure_failed", None)
            for it in getattr(mapper, "_props", {}).values():
                if not getattr(it, "_configure_finished", True):
                    it._configure_started = False
        return
    for mapper in mappers:
        try:
            # Pydantic asks that of what it reads attributes of, and CPython looks through all mappings for the first time.
            issubclass(mapper.class_, Mapping)
            statement = sys.modules["sqlalchemy"].select(mapper)
            for relationship in mapper.relationships:
                statement = statement.options(orm.joinedload(relationship.class_attribute))
            statement.compile()
        except Exception:
            pass


def _compile_templates(app):
    """Those of Jinja, which keeps what it has compiled."""
    jinja2 = sys.modules.get("jinja2")
    if jinja2 is None:
        return
    if isinstance(app, WsgiApp):
        # Flask makes its environment when it is first asked for.
        getattr(app.app, "jinja_env", None)
    for environment in [it for it in gc.get_objects() if issubclass(type(it), jinja2.Environment)]:
        try:
            names = environment.list_templates()
        except Exception:
            # It has no loader, or one that cannot tell.
            continue
        for name in names:
            try:
                environment.get_template(name)
            except Exception:
                # It is told when somebody wants it.
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
