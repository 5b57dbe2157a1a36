"""What the build tells its user: progress, and mistakes with their remedy."""

import subprocess
import sys
import time

verbose = False
# How often a program that is followed is said to be at work, in seconds.
OFTEN = 15


class Mistake(Exception):
    """Something that the user can put right; the text says how."""


def progress(text):
    print(f"build: {text}", file=sys.stderr, flush=True)


def done(text):
    print(text, file=sys.stderr, flush=True)


def run(command, what, **options):
    """Runs a program; what it prints is shown where it fails, or always with --verbose."""
    command = [str(word) for word in command]
    if verbose:
        print("+ " + " ".join(command), file=sys.stderr, flush=True)
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    except subprocess.TimeoutExpired as slow:
        raise Mistake(f"{what} took more than {slow.timeout:.0f} s") from None
    if verbose and done.stdout:
        print(done.stdout, file=sys.stderr, end="", flush=True)
    if done.returncode != 0:
        tail = "" if verbose else "\n" + "\n".join(done.stdout.splitlines()[-30:])
        raise Mistake(f"{what} failed: {' '.join(command)}{tail}")
    return done.stdout


def follow(command, what, **options):
    """Runs a program that takes minutes, and says now and then what it is at: the last line that it printed."""
    command = [str(word) for word in command]
    if verbose:
        print("+ " + " ".join(command), file=sys.stderr, flush=True)
    options.update(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    lines, said = [], time.monotonic()
    with subprocess.Popen(command, **options) as program:
        try:
            for line in program.stdout:
                lines.append(line.rstrip())
                if verbose:
                    print(lines[-1], file=sys.stderr, flush=True)
                elif time.monotonic() > said + OFTEN:
                    said = time.monotonic()
                    progress(f"{what}: {lines[-1].strip()}")
        except BaseException:
            # Otherwise it would be waited for.
            program.terminate()
            raise
    if program.returncode != 0:
        tail = "" if verbose else "\n" + "\n".join(lines[-30:])
        raise Mistake(f"{what} failed: {' '.join(command)}{tail}")
