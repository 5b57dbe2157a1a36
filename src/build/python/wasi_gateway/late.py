"""For `wasmserve dev`: the application is read when it is served, from a folder that the host gives as /app."""

import importlib
import sys
import traceback

from . import frozen
from .development import shortened
from .warm_up import import_late


class Late:
    def __init__(self, module, attribute):
        self._module, self._attribute = module, attribute

    def import_ahead(self, names):
        """What the application will import, as far as that is there."""
        for name in names:
            try:
                importlib.import_module(name)
            except Exception:
                # Whoever imports it is told.
                pass
        import_late()

    def application(self, find, asgi):
        """The application, or what stands for one that cannot be imported."""
        # Nothing was there when it was looked at last.
        sys.path_importer_cache.pop(frozen.APPLICATION, None)
        importlib.invalidate_caches()
        sys.dont_write_bytecode = True
        try:
            return asgi(find(self._module, self._attribute))
        except (Exception, SystemExit) as error:
            error = _without_import(error)
            traceback.print_exception(error)
            return Broken(error)


class Broken:
    """An ASGI application that cannot be imported, and says so to whoever asks."""

    def __init__(self, error):
        self._error = error

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            raise _without_import(self._error)


def _without_import(error):
    """Without the calls that led to the application's first line: of a file that is no Python, without any."""
    return error.with_traceback(None) if isinstance(error, SyntaxError) else shortened(error)
