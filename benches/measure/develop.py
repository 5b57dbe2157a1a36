"""What a developer waits for: from a word that is written into a project to the answer that has it, under `wasmserve dev`
and under `uvicorn --reload`. The projects are those of `wasmserve new`, and each change is of a word that no earlier one
had, in this run or another, so that nothing of it was there before."""

import os
import pathlib
import random
import shutil
import signal
import string
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from .peers import BINARY, WASMSERVE, run, say, toolchains
from .turns import median, table

FILES = {"python": "main.py", "javascript": "src/index.js", "rust": "src/lib.rs", "go": "main.go"}
# What each needs besides what ./test fetches.
PROGRAMS = {"python": "python3", "javascript": "npm", "rust": "cargo", "go": "go"}
NAMES = {"python": "Python, FastAPI", "javascript": "JavaScript, Hono", "rust": "Rust, wstd", "go": "Go, net/http"}
FIRST_WORD, CHANGES = "Hello", 3
# How long a first build, with all that it fetches, and a later one may take.
FIRST, LATER = 900, 300


def develop(bench):
    changes = min(bench.rounds, CHANGES)
    env = toolchains()
    found = {}
    with tempfile.TemporaryDirectory(prefix="wasmserve-develop-") as place:
        for language, file in FILES.items():
            if shutil.which(PROGRAMS[language], path=env["PATH"]) is None:
                say(f"dev: {language} is left out, as there is no {PROGRAMS[language]}")
                continue
            project = pathlib.Path(place) / language
            run(WASMSERVE, "new", "--lang", language, project, stdout=subprocess.DEVNULL)
            if language == "javascript":
                run("npm", "install", "--no-audit", "--no-fund", "--loglevel=error", cwd=project,
                    stdout=subprocess.DEVNULL)
            port = next(bench.ports)
            dev = [WASMSERVE, "dev", project, "--port", port, "--no-access-log"]
            found[f"{NAMES[language]}, `wasmserve dev`"] = changed(dev, project, project / file, port, changes, env)
            if language == "python":
                port = next(bench.ports)
                reload = [BINARY / "uvicorn", "main:app", "--reload", "--port", port]
                found["the same, `uvicorn --reload`"] = changed(reload, project, project / file, port, changes, env)
    return found


def changed(argv, project, file, port, changes, env):
    """Medians of the seconds until an answer has the word, and of processor time; the longest wait too."""
    with open(f"{project}.log", "wb") as log:
        server = subprocess.Popen([str(word) for word in argv], cwd=project, stdout=log, stderr=log,
                                  start_new_session=True, env=env)
    waited, used = [], []
    original = file.read_text()
    try:
        first = until(server, port, FIRST_WORD, FIRST)
        for _ in range(changes):
            after = "".join(random.choices(string.ascii_lowercase, k=7))
            # What the change before has left running is not of this one.
            time.sleep(2)
            had = processor_time(server.pid)
            file.write_text(original.replace(FIRST_WORD, after))
            waited.append(until(server, port, after, LATER))
            time.sleep(1)
            used.append(processor_time(server.pid) - had)
            say(f"{file.name}: {waited[-1]:.2f} s, {used[-1]:.2f} s of processor time")
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
        file.write_text(original)
    return {"first": first, "time": median(waited), "longest": max(waited), "cpu": median(used)}


def answer(port):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
    except urllib.error.HTTPError as error:
        return error.read()
    except OSError:
        return b""


def until(server, port, word, limit):
    """Seconds until the answer has the word."""
    began = time.monotonic()
    while word.encode() not in answer(port):
        if server.poll() is not None:
            sys.exit(f"{' '.join(map(str, server.args))} has ended with status {server.returncode}")
        if time.monotonic() > began + limit:
            sys.exit(f"the answer has no `{word}` after {limit} s")
        time.sleep(0.02)
    return time.monotonic() - began


def processor_time(session):
    """Seconds that the processes of a session have had, those that have ended included."""
    ticks = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def tell_develop(rows):
    return [
        "From a changed word in a project of `wasmserve new` to the answer that has it, and the processor time that it "
        "takes: medians, each change of another word. The first answer is that of the first build, with what toolchains "
        "keep from earlier ones:", "",
        *table(["project", "time", "the longest", "processor time", "the first answer"], [
            [name, f"{row['time']:.2f} s", f"{row['longest']:.2f} s", f"{row['cpu']:.2f} s", f"{row['first']:.1f} s"]
            for name, row in rows.items()]),
    ]
