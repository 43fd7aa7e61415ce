"""PEP 3333 and Tidegate's own contract, against a real worker.

    python appserver/worker/tests/conformance.py LIBRARY [PYTHON]

A stub supervisor listens on a Unix socket, starts the worker as the app server does, and talks
to it as the proxy does.
"""

import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

LIBRARY = os.path.abspath(sys.argv[1])
PYTHON = sys.argv[2] if len(sys.argv) > 2 else sys.executable
HERE = os.path.dirname(os.path.abspath(__file__))
BOOTSTRAP = (
    'import sys, importlib.util, importlib.machinery as m; p=sys.argv[1]; '
    'l=m.ExtensionFileLoader("tidegate_worker", p); '
    's=importlib.util.spec_from_file_location("tidegate_worker", p, loader=l); '
    't=importlib.util.module_from_spec(s); sys.modules["tidegate_worker"]=t; l.exec_module(t); sys.exit(t.main())'
)
PATIENCE = 20


class Worker:
    """A worker process and the supervisor's end of its channel."""

    def __init__(self, target="app:application", mode="serve", **launch):
        self.directory = tempfile.mkdtemp()
        self.path = os.path.join(self.directory, "w.sock")
        channel = os.path.join(self.directory, "c.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(channel)
        listener.listen()
        message = dict(
            protocol=1, app="shop", slot=0, generation=1, target=target, directory=HERE, threads_min=2,
            threads_max=8, multiprocess=False, timeout_grace_ms=1500, heartbeat_ms=200, development=False,
            mode={"mode": "serve", "endpoint": "unix:" + self.path, "channel": "unix:" + channel, "token": "t"},
        )
        if mode == "check":
            message["mode"] = {"mode": "check"}
        message.update(launch)
        environment = dict(os.environ, TIDEGATE_LAUNCH=json.dumps(message), PYTHONIOENCODING="utf-8:backslashreplace")
        self.process = subprocess.Popen(
            [PYTHON, "-c", BOOTSTRAP, LIBRARY], env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )
        self.messages = queue.Queue()
        self.errors = b""
        self.beat = {"busy": 0}
        self.said = threading.Condition()
        threading.Thread(target=self.read_errors, daemon=True).start()
        if mode == "serve":
            listener.settimeout(PATIENCE)
            self.channel, _ = listener.accept()
            self.channel.settimeout(None)
            threading.Thread(target=self.read_channel, daemon=True).start()
        listener.close()

    def read_errors(self):
        for line in iter(self.process.stderr.readline, b""):
            with self.said:
                self.errors += line
                self.said.notify_all()
            if os.environ.get("VERBOSE"):
                sys.stderr.buffer.write(b"    | " + line)

    def wait_for_error(self, fragment):
        with self.said:
            if not self.said.wait_for(lambda: fragment in self.errors, PATIENCE):
                raise AssertionError("no %r in %r" % (fragment, self.errors))

    def read_channel(self):
        for line in self.channel.makefile():
            message = json.loads(line)
            if message["type"] != "beat":
                self.messages.put(message)
            else:
                self.beat = message
        self.messages.put({"type": "end"})

    def expect(self, kind):
        """The next message of this type; any other but slot_back is an error."""
        while True:
            message = self.messages.get(timeout=PATIENCE)
            if message["type"] == kind:
                return message
            if message["type"] != "slot_back":
                raise AssertionError("expected %s, got %s" % (kind, message))

    def expect_slot_back(self, number):
        while True:
            message = self.messages.get(timeout=PATIENCE)
            if message == {"type": "slot_back", "dispatch": number}:
                return

    def ready(self):
        self.expect("hello")
        self.expect("ready")
        return self

    def stop(self, drain_ms=5000):
        self.channel.sendall(json.dumps({"type": "stop", "drain_ms": drain_ms}).encode() + b"\n")
        return self.process.wait(PATIENCE)

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        connection.connect(self.path)
        return connection

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        if hasattr(self, "channel"):
            self.channel.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Response:
    """A response, read to its end with the framing that it says it has."""

    def __init__(self, connection, head_only=False):
        self.file = connection.makefile("rb")
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


numbers = iter(range(1, 10**9))


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


class Responses(Case):
    def test_list_is_sent_whole(self):
        for response in self.both("/list"):
            self.assertEqual((response.status, response.reason, response.body), ("200", "OK", b"one two"))
            self.assertEqual(response.headers["content-length"], b"7")
            cookies = [value for name, value in response.fields if name == "set-cookie"]
            self.assertEqual(cookies, [b"a=1", b"b=2"])
            self.assertNotIn("x-tidegate", response.headers)

    def test_generator_may_start_the_response_late(self):
        self.closes()
        for response in self.both("/generator"):
            self.assertEqual((response.status, response.reason), ("201", "Weird Reason"))
            self.assertEqual(response.headers["x-late"], b"caf\xe9")
            self.assertEqual(response.body, b"first second")
            self.assertTrue(response.complete)
        self.assertEqual(self.closes(), "['generator', 'generator']")

    def test_write_comes_before_the_iterable(self):
        for response in self.both("/write"):
            self.assertEqual(response.body, b"written returned")
            self.assertTrue(response.complete)

    def test_exc_info(self):
        response = self.ask("/exc-info-before")
        self.assertEqual((response.status, response.reason, response.body), ("503", "Replaced", b"replaced"))
        self.assertNotIn("x-old", response.headers)
        for response in self.both("/exc-info-after"):
            self.assertEqual((response.status, response.body, response.complete), ("200", b"partial", False))
        self.worker.wait_for_error(b"ValueError: late")

    def test_failures_before_the_head_are_app_errors(self):
        for path in ("/twice", "/never", "/none", "/str-chunk", "/raises", "/exits", "/interrupts", "/bad-header",
                     "/bad-name", "/bad-status"):
            with self.subTest(path):
                direct, proxied = self.both(path)
                self.assertEqual(direct.status, "500")
                self.assertEqual(proxied.headers.get("x-tidegate"), b"cause=app_error")
                self.assertEqual((proxied.status, proxied.body), ("500", b""))
                self.assertNotIn("x-evil", direct.headers)
        self.worker.wait_for_error(b"the app failed in request rid-1 (GET /raises)")
        self.worker.wait_for_error(b"RuntimeError: on purpose")

    def test_failure_after_the_head_cuts_the_response_short(self):
        self.closes()
        for response in self.both("/raises-late"):
            self.assertEqual((response.body, response.complete), (b"some", False))
        self.assertEqual(self.closes(), "['raises_late', 'raises_late']")

    def test_short_response_is_cut_short_visibly(self):
        for path in ("/short", "/short-generator"):
            for response in self.both(path):
                self.assertEqual((response.body, response.complete), (b"abc", False), path)
        self.worker.wait_for_error(b"7 bytes shorter")

    def test_long_response_is_cut_to_its_length(self):
        for path in ("/long", "/long-generator"):
            for response in self.both(path):
                self.assertEqual((response.body, response.complete), (b"abc", True), path)
        self.worker.wait_for_error(b"longer than its Content-Length")

    def test_declared_length_of_a_stream_goes_in_the_internal_header(self):
        direct, proxied = self.both("/sized-generator")
        self.assertEqual(direct.headers["content-length"], b"6")
        self.assertEqual(direct.body, b"abcdef")
        self.assertEqual(proxied.headers["x-tidegate"], b"length=6")
        self.assertEqual(proxied.headers["transfer-encoding"], b"chunked")
        self.assertNotIn("content-length", proxied.headers)
        self.assertEqual(proxied.body, b"abcdef")

    def test_head_has_no_body_but_the_length(self):
        self.closes()
        connection = self.worker.connect()
        response = self.ask("/sized-generator", "HEAD", connection=connection)
        self.assertEqual(response.headers["content-length"], b"6")
        response = self.ask("/list", "HEAD", connection=connection)
        self.assertEqual(response.headers["content-length"], b"7")
        self.assertEqual(self.ask("/list", connection=connection).body, b"one two")
        connection.close()
        self.assertEqual(self.closes(), "['sized_generator']")

    def test_statuses_without_a_body(self):
        connection = self.worker.connect()
        for path, status in (("/no-content", "204"), ("/not-modified", "304")):
            response = self.ask(path, connection=connection)
            self.assertEqual(response.status, status)
            self.assertNotIn("transfer-encoding", response.headers)
            self.assertNotIn("content-length", response.headers)
        self.assertEqual(self.ask("/list", connection=connection).body, b"one two")
        connection.close()

    def test_framing_headers_of_the_app_are_left_out(self):
        for response in self.both("/hop"):
            self.assertEqual(response.body, b"hop")
            for name in ("connection", "transfer-encoding", "x-tidegate"):
                self.assertNotIn(name, response.headers)

    def test_status_without_a_reason(self):
        self.assertEqual(self.ask("/plain-status").reason, "OK")

    def test_file_wrapper(self):
        self.closes()
        self.assertEqual(self.ask("/wrapper").body, b"x" * 100000)
        self.assertEqual(self.closes(), "['wrapper']")

    def test_error_in_close_does_not_spoil_the_response(self):
        for response in self.both("/close-raises"):
            self.assertEqual((response.body, response.complete), (b"fine", True))
        self.worker.wait_for_error(b"RuntimeError: in close")

    def test_response_from_another_thread(self):
        self.assertEqual(self.ask("/other-thread").body, b"from another thread and back")

    def test_big_response(self):
        self.assertEqual(len(self.ask("/big").body), 4 << 20)


class Requests(Case):
    def environ(self, target, **options):
        lines = self.ask(target, **options).body.decode("utf-8").split("\n")
        return dict(line.split("=", 1) for line in lines)

    def test_environ_of_a_direct_request(self):
        environ = self.environ("/environ/%2F//caf%C3%A9?a=%20b")
        for key, value in {
            "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/environ////caf\xc3\xa9", "QUERY_STRING": "a=%20b",
            "RAW_URI": "/environ/%2F//caf%C3%A9?a=%20b", "REQUEST_URI": "/environ/%2F//caf%C3%A9?a=%20b",
            "SERVER_NAME": "shop.example", "SERVER_PORT": "8443", "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http", "HTTP_HOST": "shop.example:8443",
        }.items():
            self.assertEqual(environ[key], repr(value), key)
        for key, value in {
            "wsgi.version": "(1, 0)", "wsgi.multithread": "True", "wsgi.multiprocess": "False", "wsgi.run_once": "False",
            "wsgi.input_terminated": "True",
        }.items():
            self.assertEqual(environ[key], value, key)
        for key in ("CONTENT_TYPE", "CONTENT_LENGTH", "HTTPS", "HTTP_CONTENT_LENGTH"):
            self.assertNotIn(key, environ)

    def test_environ_of_a_dispatched_request(self):
        internal = dispatch(https=1, version=20, mount="/shop", request_id="r-9")[1]
        environ = self.environ("/shop/environ?", internal=internal)
        for key, value in {
            "SCRIPT_NAME": "/shop", "PATH_INFO": "/environ", "QUERY_STRING": "", "REMOTE_ADDR": "192.0.2.7",
            "REMOTE_PORT": "50123", "wsgi.url_scheme": "https", "HTTPS": "on", "SERVER_PROTOCOL": "HTTP/2",
            "tidegate.request_id": "r-9",
        }.items():
            self.assertEqual(environ[key], repr(value), key)
        self.assertNotIn("HTTP_X_TIDEGATE", environ)
        environ = self.environ("/shopping", internal=dispatch(mount="/shop")[1])
        self.assertEqual((environ["SCRIPT_NAME"], environ["PATH_INFO"]), ("''", "'/shopping'"))
        environ = self.environ("/shop", internal=dispatch(mount="/shop", version=10)[1])
        self.assertEqual((environ["SCRIPT_NAME"], environ["PATH_INFO"]), ("'/shop'", "''"))
        self.assertEqual(environ["SERVER_PROTOCOL"], "'HTTP/1.0'")

    def test_names_and_ports(self):
        for host, name, port in (("[2001:db8::1]:81", "[2001:db8::1]", "81"), ("[::1]", "[::1]", "8443"),
                                 ("plain", "plain", "8443"), ("odd:port", "odd", "8443"), ("", "localhost", "8443")):
            connection = self.worker.connect()
            connection.sendall(message("/environ", host=host, internal=dispatch()[1]))
            lines = dict(line.split("=", 1) for line in Response(connection).body.decode().split("\n"))
            self.assertEqual((lines["SERVER_NAME"], lines["SERVER_PORT"]), (repr(name), repr(port)))
            connection.close()

    def test_client_of_http_10_gets_an_unchunked_response(self):
        for path in ("/list", "/write"):
            connection = self.worker.connect()
            connection.sendall(message(path, version="1.0"))
            response = Response(connection)
            self.assertNotIn("transfer-encoding", response.headers)
            self.assertIn(response.body, (b"one two", b"written returned"))
            self.assertEqual(connection.recv(1), b"")
            connection.close()

    def test_header_fields(self):
        environ = self.environ("/environ", headers=[
            "X-Two: a", "X-Two: b", "Cookie: c=1", "Cookie: d=2", "X_Under: evil", "X-Under: good", "Proxy: evil",
            "X-Latin: caf\xe9", "Content-Type: text/x"])
        self.assertEqual(environ["HTTP_X_TWO"], "'a,b'")
        self.assertEqual(environ["HTTP_COOKIE"], "'c=1; d=2'")
        self.assertEqual(environ["HTTP_X_UNDER"], "'good'")
        self.assertNotIn("HTTP_PROXY", environ)
        self.assertEqual(environ["HTTP_X_LATIN"], repr("caf\xe9"))
        self.assertEqual(environ["CONTENT_TYPE"], "'text/x'")
        self.assertNotIn("HTTP_CONTENT_TYPE", environ)

    def test_many_header_fields(self):
        environ = self.environ("/environ", headers=["X-H%d: %d" % (n, n) for n in range(200)])
        self.assertEqual(environ["HTTP_X_H199"], "'199'")

    def test_bodies_of_all_sizes(self):
        for size in (1, 1000, 65536, 65537, 3 << 20):
            body = os.urandom(size)
            response = self.ask("/echo", "POST", body=body)
            self.assertEqual(response.body, body, size)

    def test_chunked_body(self):
        connection = self.worker.connect()
        connection.sendall(message("/echo", "POST", ["Transfer-Encoding: chunked"]))
        connection.sendall(b"3\r\nabc\r\n")
        connection.sendall(b"5\r\ndefgh\r\n0\r\n\r\n")
        self.assertEqual(Response(connection).body, b"abcdefgh")
        connection.close()

    def test_every_way_to_read(self):
        body = b"abcd\nefgh\nijk\nlmn\nopq\nrst"
        expected = [b"ab", b"cd\n", b"efg", b"h\n", b"", b"ijk\n", b"lmn\n", b"opq\n", b"rst", b""]
        for headers in ((), ("Transfer-Encoding: chunked",)):
            data = body
            if headers:
                data = b"".join(b"1\r\n" + bytes([byte]) + b"\r\n" for byte in body) + b"0\r\n\r\n"
            connection = self.worker.connect()
            connection.sendall(message("/reads", "POST", headers, data, length=not headers))
            self.assertEqual(Response(connection).body.decode(), repr(expected))
            connection.close()

    def test_continue_is_sent_at_the_first_read(self):
        for path, expected in (("/echo", b"100"), ("/ignores", b"200")):
            connection = self.worker.connect()
            connection.sendall(message(path, "POST", ["Expect: 100-continue", "Content-Length: 5"]))
            line = connection.recv(65536)
            self.assertIn(expected, line.split(b"\r\n")[0])
            if expected == b"100":
                connection.sendall(b"hello")
                self.assertEqual(Response(connection).body, b"hello")
            connection.close()

    def test_body_read_after_the_response_started(self):
        body = b"z" * 200000
        self.assertEqual(self.ask("/reads-late", "POST", body=body).body, b"started " + body)

    def test_unread_body_does_not_spoil_the_next_request(self):
        for size in (100, 100000):
            connection = self.worker.connect()
            connection.sendall(message("/ignores", "POST", body=b"a" * size))
            self.assertEqual(Response(connection).body, b"ignored")
            try:
                connection.sendall(message("/list"))
                self.assertEqual(Response(connection).body, b"one two")
            except (EOFError, BrokenPipeError, ConnectionResetError):
                pass
            connection.close()

    def test_half_a_body_is_an_error(self):
        self.closes()
        number, internal = dispatch()
        connection = self.worker.connect()
        connection.sendall(message("/reads-broken", "POST", ["Content-Length: 100000"], internal=internal) + b"abc")
        connection.close()
        self.worker.expect_slot_back(number)
        # A thread may also never have seen the request, if the end came with its head.
        self.assertIn(self.closes(), ("['broken: OSError']", "[]"))

    def test_errors_are_whole_lines(self):
        self.ask("/errors")
        self.worker.wait_for_error(b"half a line\n")
        self.worker.wait_for_error("second caf\xe9 line\n".encode())
        self.worker.wait_for_error(b"unfinished\n")

    def test_process_looks_like_a_fresh_interpreter(self):
        self.assertEqual(self.ask("/state").body.decode(), repr(([""], HERE, None, HERE)))

    def test_thread_locals_last(self):
        seen = {}
        for _ in range(20):
            name, count = self.ask("/thread").body.decode().split()
            self.assertTrue(name.startswith("tidegate-"))
            self.assertEqual(int(count), seen.get(name, 0) + 1)
            seen[name] = int(count)


class Slots(Case):
    def test_client_that_leaves_gives_its_slot_back(self):
        self.closes()
        number, internal = dispatch()
        connection = self.worker.connect()
        connection.sendall(message("/endless", internal=internal))
        connection.recv(1000)
        connection.close()
        self.worker.expect_slot_back(number)
        self.assertEqual(self.closes(), "['endless']")

    def test_client_that_leaves_while_the_app_works(self):
        number, internal = dispatch()
        connection = self.worker.connect()
        connection.sendall(message("/sleeps?0.3", internal=internal))
        connection.close()
        self.worker.expect_slot_back(number)

    def test_slow_reader_is_not_timed_out(self):
        number, internal = dispatch(idle=300)
        connection = self.worker.connect()
        connection.sendall(message("/endless", internal=internal))
        connection.recv(1000)
        time.sleep(1)
        self.assertTrue(connection.recv(1 << 20))
        connection.close()
        self.worker.expect_slot_back(number)


class Timeouts(unittest.TestCase):
    def setUp(self):
        self.worker = Worker().ready()

    def tearDown(self):
        self.worker.close()

    def timed_out(self, path):
        number, internal = dispatch(timeout=300)
        connection = self.worker.connect()
        started = time.monotonic()
        connection.sendall(message(path, internal=internal))
        response = Response(connection)
        self.assertLess(time.monotonic() - started, 5)
        self.assertEqual((response.status, response.headers["x-tidegate"]), ("502", b"cause=worker_timeout"))
        connection.close()
        return number, self.worker.expect("timed_out")

    def test_many_timeouts_at_once(self):
        sent = {}
        for _ in range(8):
            number, internal = dispatch(timeout=500, request_id="many")
            sent[number] = self.worker.connect()
            sent[number].sendall(message("/sleeps?1.5", internal=internal))
        for connection in sent.values():
            self.assertEqual(Response(connection).headers["x-tidegate"], b"cause=worker_timeout")
        records, backs, condemned = 0, set(), 0
        while records < 8 or len(backs) < 8 or condemned < 8:
            said = self.worker.messages.get(timeout=PATIENCE)
            records += said["type"] == "timed_out"
            condemned += said["type"] == "condemned"
            if said["type"] == "slot_back":
                backs.add(said["dispatch"])
        self.assertEqual(backs, set(sent))
        for connection in sent.values():
            connection.close()

    def test_loop_is_interrupted(self):
        number, record = self.timed_out("/spins?secret=1")
        self.assertIn("in spins", record["stack"])
        self.assertEqual((record["method"], record["path"], record["request_id"]), ("GET", "/spins", "rid-1"))
        first, second = self.worker.messages.get(timeout=PATIENCE), self.worker.messages.get(timeout=PATIENCE)
        self.assertEqual(first, {"type": "slot_back", "dispatch": number})
        self.assertEqual(second, {"type": "condemned", "returned": True})
        # The exception hit that request alone.
        for _ in range(5):
            connection = self.worker.connect()
            connection.sendall(message("/list", internal=dispatch()[1]))
            self.assertEqual(Response(connection).body, b"one two")
            connection.close()

    def test_sleep_cannot_be_interrupted(self):
        _, record = self.timed_out("/sleeps")
        self.assertIn("in sleeps", record["stack"])
        self.assertEqual(self.worker.expect("condemned"), {"type": "condemned", "returned": False})

    @unittest.skipIf(os.name == "nt", "needs a C library with sleep")
    def test_held_gil_has_no_stack_but_a_dump(self):
        number, record = self.timed_out("/holds-gil")
        self.assertIsNone(record["stack"])
        self.assertIn("holds the GIL", record["no_stack"])
        self.worker.wait_for_error(b"in holds_gil")
        self.assertEqual(self.worker.expect("condemned")["returned"], False)
        self.worker.expect_slot_back(number)

    def test_stalled_stream_is_cut_short(self):
        number, internal = dispatch(idle=300)
        connection = self.worker.connect()
        connection.sendall(message("/stalls", internal=internal))
        response = Response(connection)
        self.assertEqual((response.body, response.complete), (b"first", False))
        self.assertIn("in chunks", self.worker.expect("timed_out")["stack"])
        self.worker.expect_slot_back(number)
        self.assertEqual(self.worker.expect("condemned"), {"type": "condemned", "returned": True})
        connection.close()


class Life(unittest.TestCase):
    def start(self, *args, **options):
        worker = Worker(*args, **options)
        self.addCleanup(worker.close)
        return worker

    def test_hello_says_who_serves(self):
        worker = self.start("app:factory()")
        hello = worker.expect("hello")
        self.assertEqual((hello["protocol"], hello["token"], hello["pid"]), (1, "t", worker.process.pid))
        worker.expect("ready")

    def test_failed_import(self):
        for target, error in (("missing:app", "ModuleNotFoundError: No module named 'missing'"),
                              ("app:missing", "AttributeError"), ("app:not_callable", "TypeError"),
                              ("broken:app", "ZeroDivisionError"), ("exiting:app", "SystemExit")):
            with self.subTest(target):
                worker = self.start(target)
                worker.expect("hello")
                failed = worker.expect("import_failed")
                self.assertIn(error, failed["error"])
                self.assertIn(error.split(":")[0], failed["traceback"])
                self.assertNotIn("importlib", failed["traceback"])
                self.assertEqual(worker.process.wait(PATIENCE), 1)

    def test_check(self):
        worker = self.start(mode="check")
        self.assertEqual(json.loads(worker.process.stdout.read()), {"type": "ready"})
        self.assertEqual(worker.process.wait(PATIENCE), 0)
        worker = self.start("broken:app", mode="check")
        failed = json.loads(worker.process.stdout.read())
        self.assertEqual(failed["type"], "import_failed")
        self.assertIn("broken.py", failed["traceback"])
        self.assertEqual(worker.process.wait(PATIENCE), 1)

    def test_stop_finishes_what_runs(self):
        worker = self.start().ready()
        idle = worker.connect()
        connection = worker.connect()
        connection.sendall(message("/sleeps?0.5", internal=dispatch()[1]))
        while worker.beat["busy"] == 0:
            time.sleep(0.05)
        code = []
        stopper = threading.Thread(target=lambda: code.append(worker.stop()))
        stopper.start()
        self.assertEqual(Response(connection).body, b"slept")
        stopper.join()
        self.assertEqual(code, [0])
        idle.close()
        connection.close()

    def test_stop_gives_up_what_does_not_end(self):
        worker = self.start().ready()
        connection = worker.connect()
        connection.sendall(message("/sleeps", internal=dispatch()[1]))
        while worker.beat["busy"] == 0:
            time.sleep(0.05)
        self.assertEqual(worker.stop(drain_ms=200), 0)
        connection.close()

    def test_end_of_the_channel_is_the_end(self):
        worker = self.start().ready()
        worker.channel.shutdown(socket.SHUT_RDWR)
        worker.channel.close()
        self.assertIn(worker.process.wait(PATIENCE), (1, -9))

    def test_threads_grow_with_the_requests(self):
        worker = self.start(threads_min=1, threads_max=16).ready()
        connections = [worker.connect() for _ in range(16)]
        started = time.monotonic()
        for connection in connections:
            connection.sendall(message("/sleeps?0.5", internal=dispatch()[1]))
        for connection in connections:
            self.assertEqual(Response(connection).body, b"slept")
            connection.close()
        self.assertLess(time.monotonic() - started, 3)


    def test_context_variables_do_not_last(self):
        worker = self.start(threads_min=1, threads_max=1).ready()
        connection = worker.connect()
        for _ in range(3):
            connection.sendall(message("/context"))
            self.assertEqual(Response(connection).body, b"1")
        connection.close()


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:], warnings="ignore")
