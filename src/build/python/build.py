#!/usr/bin/env python3
"""Builds a WASI HTTP component from a Python application (ASGI or WSGI) that knows nothing of WebAssembly.

    python3 build.py PATH -o FILE [--app MODULE:NAME] [--cache DIR] [--env NAME=VALUE]… [--find-links DIR]…
                     [--no-warm-up] [--development] [--late FILE] [--prepare] [--verbose]

PATH is a Python file or a folder that has one (main.py, app.py, api.py, app/main.py, …). Its requirements are read from
requirements.txt or pyproject.toml beside it or above. FILE appears whole or not at all.

Progress goes to standard error, a line each that begins with `build: `. A line without that is last. The exit status is 0, or 1 with one last
message that begins with `error: ` and says what to do, or 2 where the command line is wrong.

It needs Python 3.11 or later with venv and pip, and the folders beside it; an application that uses Pydantic 2, or
another package whose native part is in Rust, needs cargo, too. What it fetches and makes on the way is kept in --cache, else in
$XDG_CACHE_HOME/wasmserve/python.
"""

import argparse
import signal
import sys
import time
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit(f"error: Python 3.11 or later is needed, and this is {sys.version.split()[0]}")

from builder import component, project, requirements, say, tools


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", metavar="PATH", help="the application's file or folder")
    parser.add_argument("-o", "--output", metavar="FILE", default="app.wasm", help="where the component goes (app.wasm)")
    parser.add_argument("--app", metavar="MODULE:NAME", help="the application (main:app, for main.py)")
    parser.add_argument("--cache", metavar="DIR", help="where what is fetched and made is kept")
    parser.add_argument(
        "--env", metavar="NAME=VALUE", action="append", default=[], help="a variable while the application is imported"
    )
    parser.add_argument("--find-links", metavar="DIR", action="append", default=[], help="a folder with wheels for WASI")
    parser.add_argument("--no-warm-up", action="store_true", help="only import the application, ask it nothing")
    parser.add_argument("--development", action="store_true", help="show to whoever asks what the application raises")
    parser.add_argument(
        "--late", metavar="FILE", help="the application is read from /app when it is served: FILE says what belongs there"
    )
    parser.add_argument("--prepare", action="store_true", help="only fetch and make what a build needs")
    parser.add_argument("--verbose", action="store_true", help="print each command, and what it prints")
    return parser.parse_args()


def main():
    asked = arguments()
    say.verbose = asked.verbose
    begin = time.monotonic()
    environment = dict(pair.partition("=")[::2] for pair in asked.env)
    found = project.read(asked.path, asked.app)
    cache = tools.cache_folder(asked.cache)
    toolbox = tools.Tools(cache)
    links = [Path(link).resolve() for link in asked.find_links]
    site = requirements.folder(found, toolbox, cache, links)
    if asked.prepare:
        component.prepare(toolbox, cache)
        return
    component.build(found, site, toolbox, cache, asked.output, environment, asked)
    for line in found.notes:
        say.progress(f"note: {line}")
    size = Path(asked.output).stat().st_size / 1e6
    say.done(f"{asked.output} is ready: {size:.0f} MB, after {time.monotonic() - begin:.0f} s")


def tidy_up_when_told_to_end():
    """What is half done is removed then, as after a mistake."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


if __name__ == "__main__":
    tidy_up_when_told_to_end()
    try:
        main()
    except say.Mistake as mistake:
        sys.exit(f"error: {mistake}")
    except KeyboardInterrupt:
        sys.exit(130)
