"""A server that runs: how it is started, looked at and stopped. What is known of it is what /proc says."""

import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import time

from .peers import HOME


class Server:
    """A running server: `with Server(argv, port) as server`."""

    def __init__(self, argv, port, path="/", cwd=HOME, env=None, speaks="http"):
        self.port, self.path, self.speaks = port, path, speaks
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [str(word) for word in argv], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, env={**os.environ, **(env or {})},
        )
        try:
            # Some compile tens of megabytes first.
            self.wait(120)
        except BaseException:
            self.stop()
            raise
        self.answered = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def wait(self, seconds):
        """Waits for an answer; how long it took, from where the server was started or from now on."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.answers():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.0005)
        sys.exit(f"{' '.join(map(str, self.process.args))} does not answer")

    def answers(self):
        """Whether it answers with 200; of one that speaks HTTP/2 alone ("h2") whether it is there."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as client:
                if self.speaks == "h2":
                    return True
                if self.speaks == "https":
                    context = ssl.create_default_context()
                    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                    client = context.wrap_socket(client)
                head = f"GET {self.path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
                client.sendall(head.encode())
                return client.recv(15).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def stop(self):
        for sent in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, sent)
                self.process.wait(3)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()

    def processes(self):
        """This server's processes, the first of them first."""
        return tree(self.process.pid)

    def workers(self):
        """Those that serve: the children, or the one process that there is."""
        return [pid for pid in self.processes()[1:] if serves(pid)] or [self.process.pid]

    def cpu(self):
        """Seconds of processor time that all processes have used: utime and stime of proc(5)."""
        return sum(map(ticks, self.processes())) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Bytes that all processes take, what they share counted once."""
        return sum(map(pss, self.processes()))


def tree(pid):
    found = [pid]
    for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in children.read_text().split():
                found += tree(int(child))
        except OSError:
            pass
    return found


def serves(pid):
    """Not what looks after Python's resources, nor what wasmserve forks workers from."""
    try:
        process = pathlib.Path(f"/proc/{pid}")
        return ("resource_tracker" not in (process / "cmdline").read_text()
                and "zygote" not in (process / "comm").read_text())
    except OSError:
        return False


def ticks(pid):
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def pss(pid):
    """Proportional set size in bytes."""
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(re.search(r"^Pss: +(\d+) kB", text, re.M)[1]) << 10


def settle():
    """What is given back is given back when nothing has been asked for a while."""
    time.sleep(6)
