"""13 bytes at once, and the same after a tenth of a second: an app that waits for a database."""
import time


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world!"]


def sleeping(environ, start_response):
    time.sleep(0.1)
    return application(environ, start_response)
