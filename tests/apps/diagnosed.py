"""Requests that sit in a known line until they are released, and apps that bend the rules."""
import os
import threading
import time

TEXT = [("Content-Type", "text/plain")]
arrived = threading.Semaphore(0)
left = threading.Semaphore(0)
released = []
ended = []


def app(environ, start_response):
    name = environ["PATH_INFO"].strip("/").split("/")[0]
    return globals()["path_" + name](environ, start_response)


def answer(start_response, text):
    start_response("200 OK", TEXT)
    return [str(text).encode()]


def path_pid(environ, start_response):
    return answer(start_response, os.getpid())


def path_hold(environ, start_response):
    """Sits in one line. Its place is known once /arrived has been answered."""
    arrived.release()
    while not released: time.sleep(0.005)  # the line that it sits in
    return answer(start_response, "held")


def path_arrived(environ, start_response):
    arrived.acquire()
    return answer(start_response, "arrived")


def path_library(environ, start_response):
    """Sits in a line of the library, called from one of ours."""
    arrived.release()
    left.acquire()  # the line that waits
    return answer(start_response, "released")


def path_release(environ, start_response):
    left.release()
    released.append(True)
    return answer(start_response, "released")


def path_endless(environ, start_response):
    """Never ends by itself."""
    arrived.release()
    try:
        while True:
            time.sleep(0.01)
    except BaseException as error:
        ended.append(type(error).__name__)
        raise


def path_ended(environ, start_response):
    return answer(start_response, ",".join(ended) + ";" + str(os.getpid()))


def path_gil(environ, start_response):
    """Holds the interpreter lock until something is written to the pipe. For Unix."""
    import ctypes
    os.mkfifo("pipe")
    pipe = os.open("pipe", os.O_RDWR)
    ctypes.PyDLL(None).read(pipe, ctypes.create_string_buffer(1), 1)
    return answer(start_response, "let go")


class Bytes(bytes):
    pass


def path_subclass(environ, start_response):
    start_response("200 OK", TEXT)
    return [Bytes(b"kept as it is")]


def path_reason(environ, start_response):
    start_response("200", TEXT)
    return [b"no reason"]


def path_late(environ, start_response):
    yield b""
    start_response("200 OK", TEXT)
    yield b"late"


def path_write(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"one ")
    yield b"two "
    write(b"three")


def path_hop(environ, start_response):
    start_response("200 OK", TEXT + [("Keep-Alive", "timeout=5")])
    return [b"hop"]


def path_nothing(environ, start_response):
    start_response("204 No Content", [])
    return [b"lost"]


def path_good(environ, start_response):
    write = start_response("200 OK", TEXT + [("Content-Length", "9")])
    write(b"all ")
    return [b"right"]
