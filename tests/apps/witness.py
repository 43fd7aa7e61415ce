"""Keeps what requests arrived, in their order, and shows them once at /seen."""
import json
import threading

LOCK = threading.Lock()
SEEN = []


def app(environ, start_response):
    if environ["PATH_INFO"] == "/seen":
        with LOCK:
            shown, SEEN[:] = SEEN[:], []
        body = json.dumps(shown).encode()
    else:
        read = environ["wsgi.input"].read().decode("latin-1")
        request = {
            "method": environ["REQUEST_METHOD"],
            "target": environ["REQUEST_URI"],
            "host": environ.get("HTTP_HOST", ""),
            "length": environ.get("CONTENT_LENGTH", ""),
            "body": read,
            # What only a second reading of the same bytes could mean.
            "doubt": sorted(name for name in environ if name in DOUBTFUL),
        }
        with LOCK:
            SEEN.append(request)
        body = json.dumps(request).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


DOUBTFUL = {
    "HTTP_TRANSFER_ENCODING",
    "HTTP_CONNECTION",
    "HTTP_UPGRADE",
    "HTTP_HTTP2_SETTINGS",
    "HTTP_TE",
    "HTTP_TRAILER",
    "HTTP_KEEP_ALIVE",
    "HTTP_PROXY_CONNECTION",
    "HTTP_CONTENT_LENGTH",
    "HTTP_PROXY",
}
