"""What says how an application does: structlog, loguru, Sentry, Prometheus, OpenTelemetry; and tenacity, which tries again."""

import io

import prometheus_client
import sentry_sdk
import structlog
import tenacity
from fastapi import APIRouter, Request, Response
from loguru import logger
from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

router = APIRouter()

# structlog writes to standard output, a line of JSON for each event.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.dict_tracebacks,
        structlog.processors.JSONRenderer(sort_keys=True),
    ]
)


@router.get("/structlog")
def structured(text: str):
    log = structlog.get_logger()
    with structlog.contextvars.bound_contextvars(request="seven"), structlog.testing.capture_logs() as captured:
        log.bind(user="rex").warning(text, times=2)
    with structlog.contextvars.bound_contextvars(request="seven"):
        log.bind(user="rex").warning(text, times=2)
        log.debug("and so on")
    return captured


# loguru writes to standard error, and here to somewhere else, too.
@router.get("/loguru")
def logged(text: str):
    written = io.StringIO()
    sink = logger.add(written, format="{level}|{extra[user]}|{function}|{message}", level="INFO", backtrace=False, diagnose=False)
    try:
        with logger.contextualize(user="rex"):
            logger.debug("left out")
            logger.success("{} and {}", text, 7)
            with logger.catch(ZeroDivisionError, message="it failed"):
                1 / 0
    finally:
        logger.remove(sink)
    return [line for line in written.getvalue().splitlines() if "|" in line or "Error" in line]


# Sentry is told of what is raised, and of what is said to it.
@router.get("/sentry/raised")
def raised(pet: str):
    sentry_sdk.set_tag("kind", "dog")
    sentry_sdk.add_breadcrumb(category="pets", message=f"{pet} comes", level="info")
    raise LookupError(f"no {pet} here")


@router.get("/sentry/said")
async def said(text: str):
    with sentry_sdk.new_scope() as scope:
        scope.set_context("pet", {"legs": 4})
        told = sentry_sdk.capture_message(text, level="warning")
    return [told is not None, sentry_sdk.get_client().is_active()]


# Prometheus: what /metrics has, and what a request counts for itself.
registry = prometheus_client.CollectorRegistry()
prometheus_client.Info("build", "What this is", registry=registry).info({"version": "1.2", "name": 'a "pet" shop'})
prometheus_client.Gauge("ready", "Whether it is ready", ["part"], registry=registry).labels("all").set(1)


@router.get("/prometheus")
def counted(value: float):
    own = prometheus_client.CollectorRegistry()
    count = prometheus_client.Counter("asked", "How often", ["path"], registry=own)
    count.labels("/").inc(3)
    took = prometheus_client.Histogram("took", "How long", buckets=(0.1, 1), registry=own)
    took.observe(value)
    with prometheus_client.Summary("all", "Together", registry=own).time():
        pass
    lines = prometheus_client.generate_latest(own).decode().splitlines()
    return [line for line in lines if "_created" not in line and not line.startswith("all_sum")]


# OpenTelemetry's interface, without an SDK: what came is handed on.
propagator = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])


@router.get("/opentelemetry")
def traced(request: Request, response: Response):
    context = propagator.extract(request.headers)
    context = baggage.set_baggage("pet", "rex", context)
    with trace.get_tracer("pets").start_as_current_span("asks", context=context) as span:
        onward = {}
        propagator.inject(onward, trace.set_span_in_context(span, context))
    found = span.get_span_context()
    response.headers.update(onward)
    return [f"{found.trace_id:x}", found.is_valid, span.is_recording(), dict(baggage.get_all(context))]


@router.get("/tenacity")
async def again(fails: int):
    attempts = []

    @tenacity.retry(
        stop=tenacity.stop_after_attempt(4),
        wait=tenacity.wait_exponential_jitter(0.001, max=0.01),
        retry=tenacity.retry_if_exception_type(ConnectionError),
        reraise=fails < 9,
    )
    async def attempt():
        attempts.append(len(attempts))
        if len(attempts) <= fails:
            raise ConnectionError(f"attempt {len(attempts)}")
        return "it did"

    try:
        return [await attempt(), attempts]
    except (ConnectionError, tenacity.RetryError) as error:
        return [type(error).__name__, attempts]


@router.get("/tenacity/blocking")
def again_blocking(fails: int):
    retrying = tenacity.Retrying(stop=tenacity.stop_after_delay(5), wait=tenacity.wait_fixed(0.001))
    for attempt in retrying:
        with attempt:
            if attempt.retry_state.attempt_number <= fails:
                raise ConnectionError
    return attempt.retry_state.attempt_number
