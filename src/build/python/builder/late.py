"""For `wasmserve dev`: a component without the application, which is read from the folder /app when it is served, so that
a change of it takes a start and no build. What the application imports is there already."""

import ast
import json
import shutil
from contextlib import contextmanager
from pathlib import Path

from .project import nodes, sources
from .requirements import named_files
from .tools import COMPONENTIZE, key, whole_or_not

COMPONENT = "app.wasm"
# Components of this kind that stay in the cache; each has tens of megabytes.
KEPT = 4
HERE = Path(__file__).resolve().parent


def modules(project):
    """The modules that the application imports, and that are not its own, by their whole names."""
    found = set()
    for file in sources(project.folder):
        for node in nodes(file):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module)
    own = {path.stem for path in project.folder.iterdir()}
    return sorted(name for name in found if name.split(".")[0] not in own)


@contextmanager
def kept(cache, settings, site, stdlib):
    """The folder of the component in the cache, and where it is to be made if it is not there."""
    code = [path.read_bytes() for path in sorted(HERE.parent.rglob("*")) if path.suffix in (".py", ".wit")]
    home = cache / ("late-" + key(COMPONENTIZE, json.dumps(settings), site, stdlib, *code))
    with whole_or_not(home) as unfinished:
        yield home if unfinished is None else unfinished, unfinished
    home.touch()
    older = sorted(cache.glob("late-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in older[KEPT:]:
        shutil.rmtree(path, ignore_errors=True)


def note(project, file):
    """Says which folder is to be /app, and which files a build depends on."""
    files = [*filter(None, [project.source]), *named_files(project)]
    known = {"folder": str(project.folder), "inputs": [str(path.resolve()) for path in files]}
    Path(file).write_text(json.dumps(known))
