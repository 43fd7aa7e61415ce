"""Apps for the tests of a worker's end: as plain as an app can be, and two whose threads keep it."""

import sys


def application(environ, start):
    import threading

    start("200 OK", [])
    return [threading.main_thread().name.encode()]


def _with(seconds):
    import atexit
    import threading
    import time

    def run():
        time.sleep(seconds)
        sys.stderr.write("the thread has ended\n")

    atexit.register(lambda: sys.stderr.write("exit function\n"))
    threading.Thread(target=run).start()
    return application


def __getattr__(name):
    # Made when the worker looks for them, so that importing this file starts nothing.
    if name == "with_thread":
        return _with(1)
    if name == "with_stuck_thread":
        return _with(3600)
    raise AttributeError(name)
