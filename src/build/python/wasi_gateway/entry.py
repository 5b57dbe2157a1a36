"""What a component begins with: imports the application while it is built, answers requests when it is served.

The order matters: what `ssl` stands on is there before asyncio imports it, and threads are replaced before anything
imports them.
"""

from . import tls

tls.install()

import asyncio
import gc
import importlib
import json
import os
import sys

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports import types

from . import absent, background, chance, files, frozen, gather, heap, immortal, in_memory, missing, nesting, printing
from . import resources, sockets, temporary, threads
from .body import BodyWriter
from .event_loop import Policy, WasiEventLoop
from .exchange import Exchange
from .lifespan import Lifespan, StartupFailed
from .rehearsal import rehearse
from .warm_up import warm_up
from .websocket import WebSocket
from .wsgi import WsgiApp, is_wsgi

chance.install()
sockets.install()
missing.install(frozen.APPLICATION)
printing.install()
temporary.install()
nesting.install()
loop = WasiEventLoop()
asyncio.events._set_event_loop_policy(Policy(loop))
app = lifespan = priming = late = None
is_development = False
CLOSED = "which is closed where the component is served: open it where a request or the lifespan begins"


def build(settings_path):
    """Runs once, at build time; what it leaves in memory is the snapshot that every instance begins with. Returns what
    `finish` is to be called with, when what this has used itself is gone."""
    global app, lifespan, priming, late, is_development
    with open(settings_path) as file:
        settings = json.load(file)
    os.environ.update(settings["environment"])
    archive = frozen.Archive.of(settings["archive"])
    imports = frozen.Imports(archive, settings["native"])
    files.install(archive)
    in_memory.install()
    imports.install()
    absent.install(imports)
    if settings["greenlets"]:
        from . import greenlets

        greenlets.install()
    threads.install(loop)
    resources.install()
    imports.after = background.LIBRARIES
    # These import what an application may bring along.
    from . import databases, outbound, priming
    from .while_building import Watch, handles

    outbound.install(loop)
    databases.install(settings["databases"])
    watch = Watch(settings["environment"])
    watch.begin(loop)
    if settings["ahead"] is not None:
        from .late import Late

        late = Late(settings["module"], settings["attribute"])
        late.import_ahead(settings["ahead"])
    else:
        app = asgi(find(settings["module"], settings["attribute"]))
    loop.set_task_factory(_task)
    is_warmed_up = settings["warm_up"] and app is not None
    if is_warmed_up:
        loop.run_until_complete(warm_up(app, settings["notes"]))
    loop.forget_timers()
    loop.serve()
    if is_warmed_up:
        wrong = rehearse(_in_place)
        gather.gather(lambda: rehearse(_in_place), _around())
        if wrong:
            with open(settings["notes"], "a") as file:
                file.writelines(f"note: fresh instances take longer, as a request could not be rehearsed: {it}\n" for it in wrong)
    watch.end()
    background.send()
    background.Building.goes_on = False
    gc.collect()
    for what, holder in handles():
        raise SystemExit(f"open: {f'`{holder}`' if holder else 'something'} holds {what}, {CLOSED}")
    with open(settings["notes"], "a") as file:
        file.writelines(f"note: {text}\n" for text in dict.fromkeys(watch.notes()))
    if settings["development"]:
        from .development import Shown

        is_development = True
        app = app and Shown(app)
    lifespan = app and Lifespan(loop, app)
    imports.serve()
    for name in settings["environment"]:
        os.environ.pop(name, None)
    printing.serve()
    resources.offer()
    chance.forget()
    return settings["objects"], settings["loads"]


def finish(objects, loads):
    """Prepares memory to be the snapshot, and notes for the builder what it is to change there."""
    gc.collect()
    gc.freeze()
    # Requests leave little behind that only this finds.
    gc.set_threshold(20_000)
    immortal.note(objects, loads)
    # Once more for the objects that the interpreter keeps to use them again.
    gc.collect()
    heap.fill_gaps()


def _around():
    """What begins and ends each request, beside what is rehearsed."""
    yield from (IncomingHandler.handle, _in_turn, _read_late, WasiEventLoop.run_request)
    yield from (priming.renew, priming.leave, chance.forget, tls.leave, resources.put_back, resources.finalize)


def _in_place(other, request, outparam):
    """Answers for another application."""
    global app, lifespan
    kept = app, lifespan
    app, lifespan = other, Lifespan(loop, other)
    lifespan.begun, lifespan.state = True, {"greeting": "it"}
    priming.snapshot.fresh = True
    try:
        _in_turn(_answer(request, outparam))
    finally:
        priming.snapshot.fresh = priming.snapshot.begun = False
        app, lifespan = kept


def asgi(app):
    return WsgiApp(app) if is_wsgi(app) else app


def find(module, attribute):
    """The application, by the name of its module and its own."""
    try:
        found = importlib.import_module(module)
    except SystemExit as error:
        raise RuntimeError(f"the application ends itself while it is imported: sys.exit({error.code!r})") from error
    names, called, _ = attribute.partition("()")
    for name in names.split("."):
        if not hasattr(found, name):
            raise SystemExit(f"no-application: {module} has no `{attribute}`")
        found = getattr(found, name)
    return found() if called else found


def _task(loop, coroutine, **options):
    task = loop.Task(coroutine, loop=loop, **options)
    tasks = background.begun.get()
    if tasks is not None:
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    return task


class Bridge(exports.Bridge):
    def version(self):
        return 1


class Application(exports.Application):
    """The host tells when the application is to start, and when the snapshot is taken that each request begins with."""

    def start(self):
        priming.renew()
        _read_late()
        # A developer is shown by each answer why it does not start.
        if (failure := loop.run_request(_started())) is not None and not is_development:
            raise Err(failure)

    def settle(self):
        if problem := priming.settle(loop):
            raise Err(problem)


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request, response_out):
        _in_turn(_answer(request, response_out))


class SocketHandler(exports.SocketHandler):
    def handle(self, opening, connection):
        _in_turn(_serve(opening, connection))


def _in_turn(coroutine):
    """Runs what answers. An instance that begins as the snapshot is put back afterwards."""
    is_copy = priming.snapshot.fresh
    if is_copy or not priming.snapshot.begun:
        priming.renew()
    _read_late()
    loop.run_request(coroutine)
    if is_copy:
        priming.leave()


def _read_late():
    """Imports the application, where that was left until it is served."""
    global app, lifespan, late
    if late is None:
        return
    from .development import Shown

    files.enter()
    reading, late = late, None
    app = Shown(reading.application(find, asgi))
    lifespan = Lifespan(loop, app)


async def _answer(request, outparam):
    if not lifespan.begun and (failure := await _started()) is not None:
        _refuse(request, outparam, failure)
        return
    await _run(Exchange(loop, request, outparam, lifespan.state))


async def _serve(opening, connection):
    failure = await _started()
    if failure is not None:
        print(f"startup failed: {failure}", file=sys.stderr)
        connection.reject(500, [], b"")
        return
    await _run(WebSocket(loop, opening, connection, lifespan.state))


async def _run(exchange):
    tasks = set()
    background.begun.set(tasks)
    await exchange.run(app)
    # The instance may go when this returns, so it stays for what the request has left running.
    while tasks:
        await asyncio.wait(tasks)
    if background.UNSENT:
        background.send()


async def _started():
    """Starts the application, unless that is done; why it does not start."""
    if lifespan.begun:
        return None
    files.enter()
    try:
        await lifespan.startup()
    except StartupFailed as error:
        return str(error)
    return None


def _refuse(request, outparam, failure):
    """Answers in place of an application that has not started: a developer is shown why, else the host tells it."""
    if is_development:
        text = failure.encode(errors="replace")
        response = types.OutgoingResponse(types.Fields.from_list([("content-type", b"text/plain; charset=utf-8")]))
        response.set_status_code(500)
        writer = BodyWriter(loop, response.body())
        types.ResponseOutparam.set(outparam, Ok(response))
        writer.write_blocking(text)
        writer.finish()
    else:
        answer = Err(types.ErrorCode_InternalError(f"startup failed: {failure}"))
        types.ResponseOutparam.set(outparam, answer)
    request.__exit__(None, None, None)
