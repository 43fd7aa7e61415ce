"""Answers at once, except where it does not come back: in Python code, or in one C call."""
import time


def application(environ, start_response):
    if environ["PATH_INFO"] == "/loop":
        until = time.monotonic() + 60
        while time.monotonic() < until:
            time.sleep(0.01)
    if environ["PATH_INFO"] == "/stuck":
        time.sleep(60)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world!"]
