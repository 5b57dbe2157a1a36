"""What an instance does before it becomes the snapshot that each request's instance begins as: nothing of the host may
be open then, and what is drawn at random later must not be the same in all of them."""

import gc
import os
import stat
import sys

from . import background, chance, heap, resources, tls
from .while_building import handles

# A guest seldom has more files open.
MOST = 128


class Snapshot:
    """Whether this instance begins as one, and has answered nothing since; and whether it has begun to do something."""

    def __init__(self):
        self.fresh = self.begun = False


snapshot = Snapshot()


def settle(loop):
    """Gives back what is open. Returns what cannot be given back, in words, or None."""
    # What the application has made since it was built, and what it had then.
    gc.unfreeze()
    background.send()
    _close_pools(loop)
    _close_connections()
    gc.collect()
    for what, holder in handles():
        return f"{f'`{holder}`' if holder else 'something'} holds {what}, which no other instance can have: close it"
    if _close_directories():
        return f"a file is open that Python knows nothing of{_connections()}: close it when the startup ends"
    sys.stdout.flush()
    sys.stderr.flush()
    gc.freeze()
    # Once more for the objects that the interpreter keeps to use them again.
    gc.collect()
    heap.fill_gaps()
    snapshot.fresh = True
    chance.forget()
    return None


def renew():
    """To be called when an instance begins to do something, whether it begins as the snapshot or as it was built: what
    programs draw once for a process is drawn again."""
    snapshot.fresh, snapshot.begun = False, True
    resources.put_back()
    chance.forget()
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        # The names of files that it makes; it begins anew.
        tempfile._name_sequence = None
    for draw in background.DRAWN:
        draw()


def leave():
    """To be called when such an instance has answered: it is put back then, unless something is open. Memory knows
    nothing of these files afterwards."""
    tls.leave()
    os.closerange(3, MOST)


def _close_pools(loop):
    """SQLAlchemy's, which are opened again when somebody asks for a connection."""
    sqlalchemy = sys.modules.get("sqlalchemy.engine.base")
    if sqlalchemy is None:
        return
    for engine in [it for it in gc.get_objects() if issubclass(type(it), sqlalchemy.Engine)]:
        try:
            if engine.dialect.is_async:
                loop.run_request(sys.modules["sqlalchemy.util"].greenlet_spawn(engine.dispose))
            else:
                engine.dispose()
        except Exception:
            # What stays open is found.
            pass


def _close_connections():
    """Those that urllib3, and with it requests, keeps to ask the same servers again; they are opened again, too."""
    urllib3 = sys.modules.get("urllib3.poolmanager")
    if urllib3 is None:
        return
    for manager in [it for it in gc.get_objects() if issubclass(type(it), urllib3.PoolManager)]:
        manager.clear()


def _close_directories():
    """Closes those that the C library has looked up, which it looks up again. Says whether a file is open."""
    is_open = False
    for number in range(3, MOST):
        try:
            mode = os.fstat(number).st_mode
        except OSError:
            continue
        if stat.S_ISDIR(mode):
            os.close(number)
        else:
            is_open = True
    return is_open


def _connections():
    sqlite3 = sys.modules.get("sqlite3")
    if sqlite3 is not None and any(issubclass(type(it), sqlite3.Connection) for it in gc.get_objects()):
        return ", such as a connection of sqlite3"
    return ""
