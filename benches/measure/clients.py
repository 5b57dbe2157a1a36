"""Who asks: wrk and h2load, over the loopback interface."""

import re
import subprocess
import sys

from .peers import HOME, run


def wrk(port, path, seconds, connections=32, *options, scheme="http"):
    """Asks as fast as it goes; how many requests were answered, how many in a second, and the median microseconds."""
    said = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", *options,
         f"{scheme}://127.0.0.1:{port}{path}"],
        capture_output=True, text=True, check=True,
    ).stdout
    # A timeout of one of many clients is the bench's own, which gives each of them little time.
    if bad := re.search(r"Non-2xx.*|Socket errors: connect (?!0, read 0, write 0).*", said):
        sys.exit(f"wrk: {path}: {bad[0]}")
    number, unit = re.search(r"50% +([\d.]+)(us|ms|s)\b", said).groups()
    median = float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]
    rate = float(re.search(r"Requests/sec: +([\d.]+)", said)[1])
    return int(re.search(r"(\d+) requests in", said)[1]), rate, median


def wrk_closing(port, path, seconds, connections, scheme="http"):
    """The same with a connection for each request."""
    return wrk(port, path, seconds, connections, "-H", "Connection: close", scheme=scheme)


def h2load(port, path, seconds, connections, *options, scheme="https"):
    """The same over HTTP/2, or HTTP/1.1 with `--h1`; how many were answered, and how many in a second."""
    return told(f"-c{connections}", f"-D{seconds}", *options, f"{scheme}://127.0.0.1:{port}{path}")


def counted(port, path, count, connections, posted=None):
    """So many requests and no more, so that nothing is half done at the end; what is posted is JSON."""
    options = []
    if posted is not None:
        body = HOME / "posted.json"
        body.write_text(posted)
        options = ["-d", body, "-H", "content-type: application/json"]
    return told("--h1", f"-c{connections}", f"-n{count}", *options, f"http://127.0.0.1:{port}{path}")


def told(*argv):
    said = run("h2load", "-t1", *argv, capture_output=True, text=True).stdout
    codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", said)
    good, *bad = map(int, codes.groups())
    if any(bad) or not good:
        sys.exit(f"h2load: {argv[-1]}: {codes[0]}")
    return good, float(re.search(r"([\d.]+) req/s", said)[1])


def steady(port, path, rate, seconds, connections):
    """Asks so often in a second, whatever the answers take; the milliseconds that each took, sorted."""
    log = HOME / "h2load.log"
    log.unlink(missing_ok=True)
    run("h2load", "--h1", "-t1", f"-c{connections}", f"--rps={rate / connections:.3f}", f"-D{seconds}",
        f"--log-file={log}", f"http://127.0.0.1:{port}{path}", stdout=subprocess.DEVNULL)
    lines = (line.split() for line in log.read_text().splitlines())
    return sorted(int(took) / 1000 for _, status, took in lines if status == "200")


def percentile(ordered, share):
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")
