"""Runs an unchanged ASGI or WSGI application inside a WASI HTTP component.

Nothing of this is imported by an application; `entry` is what the build hands to componentize-py.
"""
