"""Requests: environ and wsgi.input."""

import os

from harness import HERE, Case, Response, dispatch, message


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
            self.assertIn(response.body, (b"one two", b"written twice, then returned"))
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
        for path, expected in (("/echo", b"100"), ("/unread", b"200")):
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
            connection.sendall(message("/unread", "POST", body=b"a" * size))
            self.assertEqual(Response(connection).body, b"not read")
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
