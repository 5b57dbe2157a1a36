"""The component: the application, what it requires, and the bridge, run up to its first request and frozen there."""

import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from . import archive, immortal, known, late
from .say import Mistake, progress
from .tools import COMPONENTIZE, key, whole_or_not

HERE = Path(__file__).resolve().parent
GATEWAY = HERE.parent / "wasi_gateway"
WIT = HERE.parent / "wit"
# What an application may bring along, compressed: its modules, templates and other files.
LARGEST = 64 << 20
ENTRY = """from wasi_gateway import entry
from wasi_gateway.entry import Application, Bridge, IncomingHandler, SocketHandler

entry.finish(*entry.build("/0/settings.json"))
"""


def prepare(tools, cache):
    """What is made once, and does not depend on the application."""
    _stdlib(tools, cache)


def build(project, site, tools, cache, output, environment, flags):
    stdlib = _stdlib(tools, cache)
    settings = {
        "environment": environment,
        "archive": "/0/archive.bin",
        # Where componentize-py shows the folders, in the order of -p.
        "native": "/1",
        "module": project.module,
        "attribute": project.attribute,
        "warm_up": not flags.no_warm_up,
        "development": flags.development,
        "databases": project.databases,
        # SQLAlchemy asks for greenlets by itself on machines that have them.
        "greenlets": (site / "sqlalchemy").is_dir() or any(site.glob("greenlet-*.dist-info")),
        # What the application imports, where it is not there itself.
        "ahead": late.modules(project) if flags.late else None,
        "notes": "/0/notes.txt",
        "objects": "/0/objects",
        "loads": "/0/loads",
    }
    folders = [("site", site), ("site", tools.zones)]
    if not flags.late:
        with tempfile.TemporaryDirectory(prefix="wasmserve-") as work:
            _place(_make(project, Path(work), settings, [("app", project.folder), *folders], stdlib, site, tools), output)
        return
    with late.kept(cache, settings, site, stdlib) as (home, unfinished):
        if unfinished is not None:
            with tempfile.TemporaryDirectory(prefix="wasmserve-") as work:
                made = _make(project, Path(work), settings, folders, stdlib, site, tools)
                shutil.move(made, unfinished / late.COMPONENT)
        _place(home / late.COMPONENT, output)
    late.note(project, flags.late)


def _make(project, work, settings, folders, stdlib, site, tools):
    """The component, in the folder `work`."""
    begin = work / "begin"
    shutil.copytree(GATEWAY, begin / "wasi_gateway", ignore=shutil.ignore_patterns("__pycache__"))
    (begin / "wasmserve_app.py").write_text(ENTRY)
    try:
        archive.write(begin / "archive.bin", folders, LARGEST, [("lib", stdlib)])
    except archive.TooLarge as error:
        raise Mistake(f"the application is too large: {error}") from None
    (begin / "settings.json").write_text(json.dumps(settings))
    progress("building the component")
    made = work / "app.wasm"
    paths = [word for folder in (begin, site) for word in ("-p", folder)]
    succeeded, printed = tools.componentize(
        ["-d", WIT, "-w", _world(project), "componentize", "wasmserve_app", *paths, "-o", made]
    )
    if not succeeded:
        raise Mistake(_failure(printed, project))
    component = bytearray(made.read_bytes())
    immortal.make(component, (begin / "objects").read_bytes(), (begin / "loads").read_bytes())
    made.write_bytes(component)
    notes = begin / "notes.txt"
    if notes.exists():
        for line in notes.read_text().splitlines():
            progress(line)
    return made


def _world(project):
    """The world with what the application uses of the host, beside what each does."""
    match project.databases:
        case []:
            return "application"
        case [one]:
            return f"application-{one}"
        case _:
            return "application-databases"


def _place(made, output):
    """Renamed into place: a server that watches the file never sees half of it."""
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    beside = output.with_name(f".{output.name}.{os.getpid()}")
    shutil.copyfile(made, beside)
    os.replace(beside, output)


def _stdlib(tools, cache):
    script = HERE / "stdlib_app.py"
    home = cache / ("stdlib-" + key(COMPONENTIZE, script.read_bytes()))
    with whole_or_not(home) as unfinished:
        if unfinished is not None:
            progress("collecting Python's library, once")
            shutil.copy(script, unfinished)
            _, printed = tools.componentize(
                ["-d", WIT, "-w", "application", "componentize", "stdlib_app", "-p", unfinished, "-o", unfinished / "none"]
            )
            if not (unfinished / "stdlib.bin").exists():
                raise Mistake(f"componentize-py does not run here:\n{printed[-3000:]}")
    return home / "stdlib.bin"


def _failure(printed, project):
    """What the application said, without what the tools add to it."""
    if said := re.search(r"no-application: (.*)", printed):
        return f"{said[1]}: name the application with --app MODULE:NAME"
    if said := re.search(r"open: (.*)", printed):
        return said[1]
    if "fuel allocated for hostcalls has been exhausted" in printed:
        return (
            "the application takes more than 128 MiB of memory while it is imported, which is the most that componentize-py "
            "can put into a component: import what is large where it is needed, and let the lifespan make what is large"
        )
    text = re.sub(r"\n\s*Stack backtrace:.*", "", printed, flags=re.DOTALL)
    text = text.split("\nCaused by:")[0]
    text = text.replace("AssertionError: ", "", 1) if "AssertionError: " in text else text
    if text.startswith("Traceback") and "componentize-py" in text.split("\n")[1]:
        text = text.split("sys.exit(script())", 1)[-1].lstrip(" ^\n")
    text = _from_the_application_on(text)
    if not text.strip() and (trap := re.search(r"wasm trap: (.*)", printed)):
        # Python had no say in it.
        text = f"it trapped there, or when it was asked to warm up: {trap[1]}"
    if not text.strip():
        text = "it ended there without a word, as os._exit() has it"
    # As the user knows them.
    text = text.replace('File "/app/', f'File "{project.folder}/').replace('File "/site-packages/', 'File "')
    missing = re.search(r"ModuleNotFoundError: No module named '([^']+)'", text)
    hint = f"\n{_about_missing(missing[1].split('.')[0])}" if missing else ""
    return f"the application cannot be imported in the component:\n{text.strip()}{hint}"


def _about_missing(module):
    if module in known.SERVERS:
        return f"`{module}` is left out, as the component is served as it is; an application that imports it itself has it"
    if module in sys.stdlib_module_names:
        return f"Python has no `{module}` where there is WASI and no operating system: import it where it can be done without"
    return f"Is `{module}` among the requirements?"


def _from_the_application_on(text):
    """A traceback without the bridge's own calls, which come first."""
    head, begin, frames = text.partition("Traceback (most recent call last):\n")
    frames = re.split(r'^(?=  File ")', frames, flags=re.MULTILINE)
    ours = ('  File "/0/', '  File "/python/importlib/')
    while len(frames) > 1 and (not frames[0] or frames[0].startswith(ours)):
        frames.pop(0)
    return head + begin + "".join(frames)
