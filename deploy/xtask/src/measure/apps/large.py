"""Takes a large body and gives one, block by block, and says the SHA-256 of what it took and gave."""
import hashlib

BLOCK = 64 * 1024
NOISE = hashlib.shake_128(b"tidegate").digest(BLOCK)
DIGESTS = {"/upload": "none", "/download": "none"}


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/upload":
        digest, length = hashlib.sha256(), 0
        while block := environ["wsgi.input"].read(BLOCK):
            digest.update(block)
            length += len(block)
        return text(start_response, f"{length} {digest.hexdigest()}")
    if path == "/download":
        count = int(environ["QUERY_STRING"]) // BLOCK
        start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(count * BLOCK))])
        return blocks(count)
    return text(start_response, DIGESTS["/download"])


def blocks(count):
    digest = hashlib.sha256()
    for number in range(count):
        block = number.to_bytes(8, "big") + NOISE[8:]
        digest.update(block)
        yield block
    DIGESTS["/download"] = f"{count * BLOCK} {digest.hexdigest()}"


def text(start_response, text):
    body = text.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
