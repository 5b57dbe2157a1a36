"""Packages that hand work and news on to others, or files through a folder for temporary ones, each used as its
documentation says. They begin threads, lock files or look into memory elsewhere."""

import io
import logging
import logging.handlers
import os
import queue
import tempfile
from pathlib import Path

import celery
import django
import glom
import networkx
import openpyxl
import redis
import rq
from django.conf import settings
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

settings.configure(ROOT_URLCONF="main", SECRET_KEY="x", ALLOWED_HOSTS=["*"], INSTALLED_APPS=[], MIDDLEWARE=[])
django.setup()

from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402
from ninja import File, NinjaAPI, UploadedFile  # noqa: E402

# The names of spans that were sent.
names = []


class Kept(SpanExporter):
    def export(self, spans):
        names.extend(span.name for span in spans)
        return SpanExportResult.SUCCESS


tracers = TracerProvider()
tracers.add_span_processor(BatchSpanProcessor(Kept()))
tracer = tracers.get_tracer("handed")
with tracer.start_as_current_span("while the component is built"):
    pass
ninja = NinjaAPI()
# What a library keeps in the user's home.
HOME = Path.home()


@ninja.post("/upload")
def upload(request, file: UploadedFile = File(...)):
    """Django puts files of more than 2.5 MB where temporary ones are."""
    return {"kind": type(file).__name__, "size": file.size, "begins": file.read(3).decode()}


urlpatterns = [path("api/", ninja.urls)]


def uploaded():
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(b"abc" * 1_000_000)
        file.seek(0)
        return Client().post("/api/upload", {"file": file}).content.decode()


def spreadsheet():
    book = openpyxl.Workbook()
    book.active.append([1, "zwei", 2.5])
    book.active["A3"] = "=SUM(A1:A1)"
    data = io.BytesIO()
    book.save(data)
    with tempfile.TemporaryDirectory() as home:
        book.save(f"{home}/book.xlsx")
        again = openpyxl.load_workbook(f"{home}/book.xlsx", read_only=True)
        rows = [[cell for cell in row] for row in again.active.iter_rows(values_only=True)]
        again.close()
    return f"{rows} {data.tell() > 1000} {sorted(os.listdir('/tmp'))}"


def add(one, other):
    return one + other


def sent(port):
    """A task of Celery's, done at once and handed to a worker."""
    here = celery.Celery("here", broker="memory://")
    here.conf.task_always_eager = True
    done = here.task(add, name="add").delay(1, 2).get()
    there = celery.Celery("there", broker=f"redis://127.0.0.1:{port}/0", backend=f"redis://127.0.0.1:{port}/0")
    task = there.send_task("add", args=[1, 2], retry=False)
    return f"{done} {task.state}"


def enqueued(port):
    with redis.Redis("127.0.0.1", port) as connection:
        job = rq.Queue(connection=connection).enqueue("work.add", 1, 2)
        return f"{job.get_status().value} {connection.llen('celery')} {connection.llen('rq:queue:default')}"


def logged():
    """What is logged goes through a queue, from which a thread would take it."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    waiting = queue.Queue()
    logger = logging.getLogger("handed")
    logger.setLevel("INFO")
    logger.addHandler(behind := logging.handlers.QueueHandler(waiting))
    logger.info("early")
    listener = logging.handlers.QueueListener(waiting, handler)
    listener.start()
    logger.info("one of %s", 2)
    listener.stop()
    logger.info("late")
    logger.removeHandler(behind)
    return f"{lines} {waiting.qsize()}"


def measured():
    """The exponents of floats are looked up in memory, by ctypes."""
    from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View

    reader = InMemoryMetricReader()
    views = [View(instrument_name="*", aggregation=ExponentialBucketHistogramAggregation())]
    times = MeterProvider([reader], views=views).get_meter("handed").create_histogram("times")
    for value in (0.25, 1.0, 3.5, 1e-9):
        times.record(value)
    point = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0].data.data_points[0]
    return f"{point.count} {point.scale} {sum(point.positive.bucket_counts)}"


def answer(path, port):
    match path:
        case "/celery":
            return sent(port)
        case "/rq":
            return enqueued(port)
        case "/spreadsheet":
            return spreadsheet()
        case "/upload":
            return uploaded()
        case "/logged":
            return logged()
        case "/measured":
            return measured()
        case "/names":
            return f"{sorted({name for name in names if name.startswith('while')})}"
        case "/graph":
            return f"{networkx.shortest_path(networkx.path_graph(4), 0, 3)} {glom.glom({'a': {'b': 1}}, 'a.b')}"
        case "/home":
            return f"{HOME} {Path.home()} {os.path.expanduser('~/a')} {os.path.expanduser('~root/a')}"
    return "nothing"


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        if (endpoint := os.environ.get("COLLECTOR")) is not None:
            tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
        with tracer.start_as_current_span("while it starts"):
            pass
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return
    with tracer.start_as_current_span(f"asked for {scope['path']}"):
        text = answer(scope["path"], int(scope["query_string"] or b"0"))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": text.encode()})
