"""Large bodies both ways: what arrived, and how the thread that read or wrote them fared."""
import hashlib
import os

TEXT = [("Content-Type", "text/plain")]
PIECE = 65536


def app(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    return globals()["path_" + name](environ, start_response)


def digest(environ):
    """Declared length, length and digest of the body."""
    body, size = hashlib.sha256(), 0
    while True:
        piece = environ["wsgi.input"].read(PIECE)
        if not piece:
            break
        size += len(piece)
        body.update(piece)
    return f"{environ.get('CONTENT_LENGTH', '-')} {size} {body.hexdigest()}"


def path_quick(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"quick"]


def path_digest(environ, start_response):
    text = digest(environ)
    start_response("200 OK", TEXT)
    return [text.encode()]


def path_large(environ, start_response):
    """As many bytes as the query says, in pieces; each piece is filled with the low byte of its number."""
    size = int(environ["QUERY_STRING"])
    start_response("200 OK", TEXT)
    for number in range(0, size, PIECE):
        yield bytes([number // PIECE % 256]) * min(PIECE, size - number)


def path_breaks(environ, start_response):
    """Like path_large, and then an exception."""
    yield from path_large(environ, start_response)
    raise RuntimeError("after all of it")


def path_first(environ, start_response):
    """Notes in the file named by the query what the first read brought, before the rest is there."""
    first = environ["wsgi.input"].read(5)
    with open(environ["QUERY_STRING"], "wb") as note:
        note.write(first)
    rest = environ["wsgi.input"].read()
    start_response("200 OK", TEXT)
    return [first, b" ", rest]


def path_exit_once(environ, start_response):
    """Reads the body and ends the process, unless the file named by the query says that it did before."""
    text = digest(environ)
    if not os.path.exists(environ["QUERY_STRING"]):
        open(environ["QUERY_STRING"], "w").close()
        os._exit(7)
    start_response("200 OK", TEXT)
    return [text.encode()]
