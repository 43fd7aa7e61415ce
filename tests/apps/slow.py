"""Requests that wait until they are released, that never end, and that end the process."""
import os
import sys
import threading
import time

TEXT = [("Content-Type", "text/plain")]
started = []
lock = threading.Lock()


def app(environ, start_response):
    name = environ["PATH_INFO"].strip("/").split("/")[0]
    body = globals()["path_" + name](environ)
    start_response("200 OK", TEXT)
    return [str(body).encode()]


def path_pid(environ):
    return os.getpid()


def path_quick(environ):
    return "quick"


def path_version(environ):
    return os.environ.get("VERSION", "none")


def path_hold(environ):
    """Waits until the site has a file of the query's name, and notes that it ran and as which one."""
    with lock:
        started.append(environ["PATH_INFO"].rpartition("/")[2])
    while not os.path.exists(environ["QUERY_STRING"]):
        time.sleep(0.005)
    return environ["PATH_INFO"].rpartition("/")[2]


def path_started(environ):
    with lock:
        return ",".join(started)


def path_spin(environ):
    """Python code that goes on for ever, but can be interrupted."""
    while True:
        time.sleep(0.01)  # the line that the log has to name


def path_stuck(environ):
    """A C call that goes on for ever."""
    time.sleep(3600)


def path_exit(environ):
    environ["wsgi.input"].read()
    os._exit(7)


def path_forever(environ):
    with lock:
        started.append("forever")
    threading.Event().wait()


def path_stderr(environ):
    print("from the app, to stderr", file=sys.stderr, flush=True)
    print("from the app, to wsgi.errors", file=environ["wsgi.errors"])
    return "told"
