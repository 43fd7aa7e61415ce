"""A stub supervisor: starts a worker as the app server does, and talks to it as the proxy does. Used by the test_ files."""

import itertools
import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

LIBRARY = os.path.abspath(os.environ["TIDEGATE_TEST_LIBRARY"])
PYTHON = os.environ.get("TIDEGATE_TEST_WORKER_PYTHON") or sys.executable
HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "..", "..", "src", "bootstrap.py"), encoding="utf-8") as _file:
    BOOTSTRAP = _file.read()
PATIENCE = 30
# `tidegate_contract::PROTOCOL`.
PROTOCOL = 3


class Place:
    """An endpoint: a Unix socket where there are any, a TCP port on Windows."""

    def __init__(self, directory, name):
        if os.name == "nt":
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.family, self.address = socket.AF_INET, probe.getsockname()
            self.text = "tcp:%s:%d" % self.address
        else:
            self.family, self.address = socket.AF_UNIX, os.path.join(directory, name)
            self.text = "unix:" + self.address

    def listen(self):
        listener = socket.socket(self.family)
        listener.bind(self.address)
        listener.listen()
        listener.settimeout(PATIENCE)
        return listener

    def connect(self):
        connection = socket.socket(self.family)
        connection.settimeout(PATIENCE)
        connection.connect(self.address)
        return connection


class Worker:
    """A worker process and the supervisor's end of its channel."""

    def __init__(self, target="app:application", mode="serve", flags=(), deaf=False, **launch):
        self.directory = tempfile.mkdtemp()
        self.place, channel = Place(self.directory, "w.sock"), Place(self.directory, "c.sock")
        listener = channel.listen()
        message = dict(
            protocol=PROTOCOL, app="shop", slot=0, generation=1, target=target, directory=HERE, threads_min=2,
            threads_max=8, multiprocess=False, timeout_grace_ms=1500, heartbeat_ms=200, development=False,
            slow_request_ms=None, validate=False, cancel_when_client_gone=False,
            mode={"mode": "serve", "endpoint": self.place.text, "channel": channel.text, "token": "t"},
        )
        if mode == "check":
            message["mode"] = {"mode": "check"}
        message.update(launch)
        environment = dict(os.environ, TIDEGATE_LAUNCH=json.dumps(message), PYTHONIOENCODING="utf-8:backslashreplace")
        self.process = subprocess.Popen(
            [PYTHON, *flags, "-c", BOOTSTRAP, LIBRARY], env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=os.name != "nt",
        )
        self.messages = queue.Queue()
        self.errors = b""
        self.beat = {"busy": 0}
        self.said = threading.Condition()
        self.errors_reader = threading.Thread(target=self.read_errors, daemon=True)
        if not deaf:
            self.errors_reader.start()
        if mode == "serve":
            self.channel = self.accept(listener)
            threading.Thread(target=self.read_channel, daemon=True).start()
        listener.close()

    def accept(self, listener):
        listener.settimeout(0.2)
        for _ in range(5 * PATIENCE):
            try:
                channel, _ = listener.accept()
                channel.settimeout(None)
                return channel
            except socket.timeout:
                if self.process.poll() is not None:
                    self.wait_for_the_last_error()
                    raise AssertionError("the worker has ended: %s" % self.errors.decode(errors="replace"))
        raise AssertionError("the worker has not connected")

    def read_errors(self):
        for line in iter(self.process.stderr.readline, b""):
            line = line.replace(b"\r\n", b"\n")
            with self.said:
                self.errors += line
                self.said.notify_all()
            if os.environ.get("VERBOSE"):
                sys.stderr.buffer.write(b"    | " + line)

    def listen(self):
        """Reads the standard error of a worker that was started with `deaf`."""
        self.errors_reader.start()

    def wait_for_error(self, fragment):
        with self.said:
            if not self.said.wait_for(lambda: fragment in self.errors, PATIENCE):
                raise AssertionError("no %r in %r" % (fragment, self.errors))

    def wait_for_the_last_error(self):
        self.errors_reader.join(PATIENCE)

    def read_channel(self):
        try:
            for line in self.channel.makefile(encoding="utf-8"):
                message = json.loads(line)
                if message["type"] != "beat":
                    self.messages.put(message)
                else:
                    with self.said:
                        self.beat = message
                        self.said.notify_all()
        except OSError:
            pass
        self.messages.put({"type": "end"})

    def wait_until_busy(self, count=1):
        with self.said:
            assert self.said.wait_for(lambda: self.beat["busy"] >= count, PATIENCE), self.beat

    def expect(self, kind):
        """The next message of this type; any other but slot_back is an error."""
        while True:
            message = self.messages.get(timeout=PATIENCE)
            if message["type"] == kind:
                return message
            if message["type"] != "slot_back":
                raise AssertionError("expected %s, got %s" % (kind, message))

    def expect_slots_back(self, numbers):
        """Waits until each of these dispatches was given back."""
        missing = set(numbers)
        while missing:
            message = self.messages.get(timeout=PATIENCE)
            if message["type"] == "end":
                raise AssertionError("the worker ended")
            if message["type"] == "slot_back":
                missing.discard(message["dispatch"])

    def expect_slot_back(self, number):
        self.expect_slots_back([number])

    def ready(self):
        self.expect("hello")
        self.expect("ready")
        return self

    def stop(self, drain_ms=5000):
        self.channel.sendall(json.dumps({"type": "stop", "drain_ms": drain_ms}).encode() + b"\n")
        return self.process.wait(PATIENCE)

    def connect(self):
        return self.place.connect()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        if hasattr(self, "channel"):
            self.channel.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Response:
    """A response, read to its end with the framing that it says it has."""

    def __init__(self, connection, head_only=False, file=None):
        self.file = file or connection.makefile("rb")
        self.status, self.continued = "100", -1
        # An interim response, which `Expect: 100-continue` may bring, has no body.
        while self.status == "100":
            self.continued += 1
            self.read_head()
        self.headers = dict(self.fields)
        self.complete, self.body = True, b""
        if head_only or self.status in ("204", "304"):
            return
        if self.headers.get("transfer-encoding") == b"chunked":
            self.read_chunks()
        elif "content-length" in self.headers:
            length = int(self.headers["content-length"])
            self.body = self.file.read(length)
            self.complete = len(self.body) == length
        else:
            self.body = self.file.read()

    def read_head(self):
        line = self.file.readline()
        if not line:
            raise EOFError("no response")
        self.version, self.status, self.reason = line.decode("latin-1").rstrip("\r\n").split(" ", 2)
        self.fields = []
        while True:
            line = self.file.readline()
            if line in (b"\r\n", b""):
                break
            name, _, value = line.rstrip(b"\r\n").partition(b":")
            self.fields.append((name.decode().lower(), value.strip()))

    def read_chunks(self):
        while True:
            line = self.file.readline()
            if not line:
                self.complete = False
                return
            size = int(line, 16)
            chunk = self.file.read(size)
            self.body += chunk
            if len(chunk) < size or not self.file.readline():
                self.complete = False
                return
            if size == 0:
                return


numbers = itertools.count(1)


def dispatch(timeout=30000, idle=30000, https=0, version=11, mount="", request_id="rid-1"):
    number = next(numbers)
    return number, "n=%d t=%d i=%d s=%d a=192.0.2.7 p=50123 l=8443 v=%d m=%s r=%s" % (
        number, timeout, idle, https, version, mount, request_id)


def message(target, method="GET", headers=(), body=b"", internal=None, length=True, host="shop.example:8443",
            version="1.1"):
    lines = ["%s %s HTTP/%s" % (method, target, version), "Host: " + host]
    if internal:
        lines.append("x-tidegate: " + internal)
    if body and length:
        lines.append("Content-Length: %d" % len(body))
    lines.extend(headers)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.worker = Worker().ready()

    @classmethod
    def tearDownClass(cls):
        cls.worker.close()

    def ask(self, target, method="GET", headers=(), body=b"", internal=None, connection=None):
        own = connection is None
        connection = connection or self.worker.connect()
        try:
            connection.sendall(message(target, method, headers, body, internal))
            return Response(connection, head_only=method == "HEAD")
        finally:
            if own:
                connection.close()

    def both(self, target, **options):
        """The response past the proxy, and the one to it."""
        direct = self.ask(target, **options)
        self.assertNotIn("x-tidegate", direct.headers)
        return direct, self.ask(target, internal=dispatch()[1], **options)

    def closes(self):
        return self.ask("/closes").body.decode()
