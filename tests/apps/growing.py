"""An app that changes as it serves: it keeps memory, fails, and answers its health check as a file says."""
import os

kept = []


def app(environ, start_response):
    status, body = globals()["path_" + environ["PATH_INFO"].strip("/")](environ)
    start_response(status, [("Content-Type", "text/plain")])
    return [str(body).encode()]


def path_pid(environ):
    return "200 OK", os.getpid()


def path_echo(environ):
    return "200 OK", environ["wsgi.input"].read().decode()


def path_keep(environ):
    """Keeps two MiB for ever."""
    kept.append(b"x" * (2 << 20))
    return "200 OK", len(kept)


def path_much(environ):
    """As much memory at once as the query says, in MiB."""
    try:
        return "200 OK", len(bytearray(int(environ["QUERY_STRING"]) << 20)) >> 20
    except MemoryError:
        return "200 OK", "refused"


def path_health(environ):
    with open("health") as health:
        return health.read().strip() + " as the file says", "health"


def path_fail(environ):
    raise LookupError("shown to whoever develops the app")
