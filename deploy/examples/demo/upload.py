"""Reads what a client uploads, in constant memory: a raw body, or the file in a form.

`demo.receive` calls `content`. Nothing here keeps more than one block and the end of the one before it.
"""

BLOCK = 64 << 10
LONGEST_PART_HEADER = 16 << 10


def content(environ):
    """The file's name (of a form) and an iterator over its bytes."""
    kind, _, parameters = environ.get("CONTENT_TYPE", "").partition(";")
    blocks = body(environ["wsgi.input"], environ.get("CONTENT_LENGTH"))
    if kind.strip().lower() != "multipart/form-data":
        return None, blocks
    boundary = parameters.partition("boundary=")[2].split(";")[0].strip().strip('"')
    if not boundary:
        raise ValueError("multipart/form-data without a boundary")
    return first_part(blocks, b"--" + boundary.encode("latin-1"))


def body(stream, length):
    """The request body's blocks. Without a length it is chunked and its end is the stream's."""
    left = int(length) if length else None
    while left != 0:
        block = stream.read(BLOCK if left is None else min(BLOCK, left))
        if not block:
            return
        if left is not None:
            left -= len(block)
        yield block


def first_part(blocks, delimiter):
    """Name and bytes of the first part of a multipart body (RFC 7578)."""
    head = b""
    while b"\r\n\r\n" not in head:
        block = next(blocks, b"")
        if not block or len(head) > LONGEST_PART_HEADER:
            raise ValueError("multipart/form-data without a part")
        head += block
    header, _, rest = head.partition(b"\r\n\r\n")
    name = header.partition(b'filename="')[2].partition(b'"')[0]
    return name.decode("utf-8", "replace"), until(rest, blocks, b"\r\n" + delimiter)


def until(rest, blocks, delimiter):
    """The bytes before `delimiter`, which may lie across two blocks; reads to the body's end."""
    held = rest
    for block in blocks:
        found = held.find(delimiter)
        if found >= 0:
            break
        # What could be the start of the delimiter waits for the next block.
        safe = len(held) - len(delimiter) + 1
        if safe > 0:
            yield held[:safe]
            held = held[safe:]
        held += block
    yield held.partition(delimiter)[0]
    for _ in blocks:
        pass
