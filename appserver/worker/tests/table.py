"""Tables of cases. A row is an app, what is sent to it, and what must come back; the table_ files hold the rows.

The worker imports a table as its app, and `test_tables.py` imports the same file to know what to ask and expect.
"""

import sys


class Row:
    def __init__(self, sentence, app, send, expect):
        self.sentence, self.app, self.send, self.expect = sentence, app, send, expect


class Table:
    """Rows, and the app that dispatches to theirs: `/N/...` is row N, `/closed` tells the close() calls and forgets."""

    def __init__(self):
        self.rows = []
        self.closed = []

    def row(self, sentence, app=None, method="GET", rest="", headers=(), data=b"", version="1.1", length=True,
            internal=None, **expect):
        """Adds a row; as a decorator without `app`.

        Sent: method, rest of the target, headers, data, with or without its length. `internal` are fields of the
        internal header, and let the row be asked through the proxy's way only.

        Expected: status (200), reason, body, fields (None: absent), complete (True), fails (the exception's name in the
        log, and a 500), log, closed (number of close() calls).
        """
        send = dict(method=method, rest=rest, headers=headers, body=data, version=version, length=length)
        send["internal"] = internal
        if app is None:
            return lambda app: self.rows.append(Row(sentence, app, send, expect)) or app
        self.rows.append(Row(sentence, app, send, expect))
        return app

    def application(self, environ, start):
        number, _, rest = environ["PATH_INFO"].lstrip("/").partition("/")
        if number == "closed":
            text = " ".join(self.closed)
            del self.closed[:]
            return respond(start, text.encode())
        environ["rest"] = rest
        return self.rows[int(number)].app(environ, start)

    def body(self, chunks, error=None):
        """An iterable that notes its close()."""
        return Body(self.closed, chunks, error)


class Body:
    def __init__(self, closed, chunks, error):
        self.closed, self.chunks, self.error = closed, iter(chunks), error

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.chunks)

    def close(self):
        self.closed.append("closed")
        if self.error:
            raise self.error


def respond(start, body=b"ok", status="200 OK", headers=()):
    start(status, list(headers))
    return [body]


def answer(status="200 OK", headers=(), chunks=(b"ok",)):
    """An app that always answers this."""
    def app(environ, start):
        start(status, headers if not isinstance(headers, tuple) else list(headers))
        return list(chunks)
    return app


def show(what):
    """An app that answers with repr(what(environ))."""
    return lambda environ, start: respond(start, repr(what(environ)).encode("utf-8"))


def raised():
    """An exc_info tuple."""
    try:
        raise ValueError("on purpose")
    except ValueError:
        return sys.exc_info()
