"""The parts of build.py, which runs on the host with nothing but a Python 3.10 or later."""
