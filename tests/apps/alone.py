"""An app that holds something that only one process can have, as a serial port would be."""
import atexit
import os

os.close(os.open("port", os.O_CREAT | os.O_EXCL))
atexit.register(os.remove, "port")


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
