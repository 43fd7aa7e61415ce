"""RFC 9112 on the local socket: keep-alive, pipelining, framing, 100-continue; and what is sent when."""

import threading
import unittest

from harness import Case, Response, Worker, dispatch, message

CHUNKED = "Transfer-Encoding: chunked"


class Connections(Case):
    def exchange(self, data, count=1):
        """Sends it all at once and reads the responses."""
        connection = self.worker.connect()
        self.addCleanup(connection.close)
        connection.sendall(data)
        return connection, [Response(connection) for _ in range(count)]

    def test_connection_serves_many_requests(self):
        connection = self.worker.connect()
        for _ in range(200):
            self.assertEqual(self.ask("/list", connection=connection).body, b"one two")
        connection.close()

    def test_pipelined_requests_are_answered_in_order(self):
        connection = self.worker.connect()
        paths = ("/list", "/write", "/generator", "/plain-status")
        connection.sendall(b"".join(message(path) for path in paths))
        file = connection.makefile("rb")
        bodies = []
        for _ in paths:
            response = Response(connection, file=file)
            bodies.append(response.body)
        self.assertEqual(bodies, [b"one two", b"written twice, then returned", b"first second", b"plain"])
        connection.close()

    def test_request_after_a_body_that_nobody_read(self):
        for path in ("/unread", "/raises", "/no-content"):
            for kind, headers, body in (
                ("small", (), b"a" * 100), ("over the first buffer", (), b"GET /evil HTTP/1.1\r\n\r\n" * 500),
                ("chunked", (CHUNKED,), b"16\r\nGET /evil HTTP/1.1\r\n\r\n\r\n0\r\n\r\n"),
            ):
                with self.subTest("RFC 9112 9.3: an unread body is no request", path=path, body=kind):
                    connection = self.worker.connect()
                    connection.sendall(message(path, "POST", headers, body, length=not headers) + message("/list"))
                    file = connection.makefile("rb")
                    Response(connection, file=file)
                    try:
                        # It may also close the connection, but never take the body for a request.
                        self.assertEqual(Response(connection, file=file).body, b"one two")
                    except (EOFError, ConnectionError):
                        pass
                    connection.close()

    def test_close_is_honoured(self):
        for version, headers, stays in (("1.1", (), True), ("1.1", ("Connection: close",), False),
                                        ("1.1", ("Connection: Close",), False), ("1.0", (), False),
                                        ("1.0", ("Connection: keep-alive",), True)):
            with self.subTest("RFC 9112 9.3: persistence", version=version, headers=headers):
                connection, _ = self.exchange(message("/list", headers=headers, version=version))
                if stays:
                    self.assertEqual(self.ask("/list", connection=connection).body, b"one two")
                else:
                    self.assertEqual(connection.recv(1), b"")

    def test_malformed_requests_are_refused(self):
        for data in (b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nNo colon\r\n\r\n",
                     b"GET / HTTP/1.1\r\nX Y: 1\r\n\r\n", b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n",
                     b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                     b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                     b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
                     b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 300 + b"\r\n"):
            with self.subTest("RFC 9112 2.2: no request", data=data[:50]):
                connection = self.worker.connect()
                connection.sendall(data)
                try:
                    self.assertIn(Response(connection).status, ("400", "431"))
                except (EOFError, ConnectionError):
                    pass
                connection.close()
        self.assertEqual(self.ask("/list").body, b"one two")

    def test_malformed_internal_header_is_refused(self):
        for internal in ("nonsense", "n=x", dispatch()[1].replace("t=", "x="), ""):
            connection = self.worker.connect()
            connection.sendall(message("/list", headers=["x-tidegate: " + internal]))
            response = Response(connection)
            self.assertEqual((response.status, response.body), ("502", b"502 Bad Gateway (worker_invalid)\n"))
            connection.close()

    def test_broken_chunks_are_an_error_of_the_body(self):
        for data in (b"x\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"3\r\nab", b"ffffffffffffffffff\r\n", b"-1\r\n"):
            with self.subTest("RFC 9112 7.1: no chunk", data=data):
                self.closes()
                number, internal = dispatch()
                connection = self.worker.connect()
                connection.sendall(message("/reads-broken", "POST", [CHUNKED], data, internal, length=False))
                connection.close()
                self.worker.expect_slot_back(number)
                self.assertIn(self.closes(), ("['broken: OSError']", "[]"))

    def test_continue_comes_before_the_body_is_read(self):
        for path, continued in (("/echo", 1), ("/unread", 0), ("/raises", 0), ("/no-content", 0)):
            with self.subTest("RFC 9110 10.1.1: 100 only if the body is wanted", path=path):
                connection = self.worker.connect()
                connection.sendall(message(path, "POST", ["Expect: 100-continue", "Content-Length: 5"]))
                file = connection.makefile("rb")
                if continued and path == "/echo":
                    self.assertEqual((file.readline(), file.readline()), (b"HTTP/1.1 100 Continue\r\n", b"\r\n"))
                    connection.sendall(b"hello")
                    self.assertEqual(Response(connection, file=file).body, b"hello")
                else:
                    self.assertEqual(Response(connection, file=file).continued, 0)
                connection.close()

    def test_each_chunk_is_sent_before_the_next_is_asked_for(self):
        # PEP 3333, "Buffering and Streaming".
        connection = self.worker.connect()
        connection.sendall(message("/stream"))
        file = connection.makefile("rb")
        while file.readline() != b"\r\n":
            pass
        self.assertEqual((file.readline(), file.readline()), (b"F\r\n", b"before the gate\r\n"))
        self.ask("/open")
        self.assertEqual((file.readline(), file.readline()), (b"E\r\n", b"after the gate\r\n"))
        connection.close()

    def test_many_clients_at_once(self):
        wrong = []

        def run(name):
            connection = self.worker.connect()
            for turn in range(50):
                body = b"%d %d" % (name, turn)
                if self.ask("/echo", "POST", body=body, internal=dispatch()[1], connection=connection).body != body:
                    wrong.append(body)
            connection.close()

        threads = [threading.Thread(target=run, args=(name,)) for name in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


class Validated(unittest.TestCase):
    """wsgiref.validate between worker and app stays silent on both sides."""

    def test_validator_is_silent(self):
        worker = Worker("validated:application").ready()
        self.addCleanup(worker.close)
        for path, options, expected in (
            ("/list", {}, b"list"), ("/list", {"method": "HEAD"}, b""), ("/list?a=b", {"headers": ["X-A: 1"]}, b"list"),
            ("/list/caf%C3%A9//", {}, b"list"), ("/list", {"version": "1.0"}, b"list"), ("/generator", {}, b"a generator"),
            ("/generator", {"method": "HEAD"}, b""), ("/write", {}, b"written"), ("/late", {}, b"late"),
            ("/empty", {}, b""), ("/no-content", {}, b""), ("/not-modified", {}, b""), ("/wrapper", {}, b"file"),
            ("/replaced", {}, b"replaced"), ("/errors", {}, b"errors"), ("/sized", {}, b"sized"),
            ("/read", {"method": "POST", "body": b"a\nb"}, b"a\nb"), ("/lines", {"method": "POST", "body": b"a\nb"}, b"a\nb"),
            ("/readlines", {"method": "POST", "body": b"a\nb"}, b"a\nb"), ("/read", {"method": "PUT", "body": b"x" * 100000}, b"x" * 100000),
            ("/read", {"method": "POST", "headers": [CHUNKED], "body": b"1\r\nx\r\n0\r\n\r\n", "length": False}, b"x"),
            ("/read", {}, b""),
        ):
            for internal in (None, dispatch(mount="", https=1)[1]):
                with self.subTest("wsgiref.validate is silent", path=path, proxied=bool(internal), options=str(options)[:60]):
                    connection = worker.connect()
                    connection.sendall(message(path, internal=internal, **options))
                    response = Response(connection, head_only=options.get("method") == "HEAD")
                    self.assertEqual(response.body, expected)
                    self.assertTrue(response.complete)
                    connection.close()
        self.assertEqual(worker.stop(), 0)
        worker.wait_for_the_last_error()
        self.assertEqual(worker.errors, b"a line\n" * 2)
