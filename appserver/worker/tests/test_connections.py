"""One connection, many requests: of every kind in turn, in pieces, ahead of their turn, and with responses of every size."""

import threading

from app import filler
from harness import Case, Response, dispatch, message

CHUNKED = "Transfer-Encoding: chunked"
# Around what is written in one piece, copied, or kept for later.
LENGTHS = (0, 1, 8191, 8192, 16383, 16384, 65535, 65536, 65537, 262144, 1 << 20)


class Kinds(Case):
    def connection(self):
        connection = self.worker.connect()
        self.addCleanup(connection.close)
        return connection, connection.makefile("rb")

    def test_a_head_may_come_in_pieces(self):
        for step in (1, 7, 50):
            with self.subTest("RFC 9112 2.2: a message is a stream of bytes", step=step):
                connection, file = self.connection()
                for _ in range(2):
                    data = message("/list", headers=["X-Long: " + "x" * 300], internal=dispatch()[1])
                    for start in range(0, len(data), step):
                        connection.sendall(data[start:start + step])
                    self.assertEqual(Response(connection, file=file).body, b"one two")

    def test_requests_with_and_without_a_body_take_turns(self):
        for internal in (None, dispatch):
            connection, file = self.connection()
            for turn in range(3):
                for method, headers, body, expected in (
                    ("GET", (), b"", b""), ("POST", ("Content-Length: 0",), b"", b""), ("POST", (), b"a body", b"a body"),
                    ("DELETE", (), b"", b""), ("POST", (CHUNKED,), b"1\r\nx\r\n0\r\n\r\n", b"x"),
                ):
                    with self.subTest("RFC 9112 6.3: the length of a request", turn=turn, method=method, headers=headers):
                        said = internal()[1] if internal else None
                        connection.sendall(message("/echo", method, headers, body, said, length=not headers))
                        self.assertEqual(Response(connection, file=file).body, expected)

    def test_a_response_has_its_length_whatever_that_is(self):
        for internal in (None, dispatch):
            connection, file = self.connection()
            for length in LENGTHS:
                for path in ("/whole?%d", "/pieces?%d", "/pieces?1,%d,0,17"):
                    with self.subTest("RFC 9112 6: framing", path=path, length=length):
                        connection.sendall(message(path % length, internal=internal()[1] if internal else None))
                        response = Response(connection, file=file)
                        expected = filler(length) if "," not in path else filler(1) + filler(length) + filler(17)
                        self.assertTrue(response.complete)
                        self.assertEqual(len(response.body), len(expected))
                        self.assertEqual(response.body, expected)

    def test_head_has_no_body_and_the_length_of_one(self):
        connection, file = self.connection()
        for length in (0, 5, 65537):
            with self.subTest("RFC 9110 9.3.2: HEAD", length=length):
                connection.sendall(message("/whole?%d" % length, "HEAD", internal=dispatch()[1]))
                response = Response(connection, head_only=True, file=file)
                self.assertEqual(response.headers["content-length"], b"%d" % length)
                connection.sendall(message("/list"))
                self.assertEqual(Response(connection, file=file).body, b"one two")

    def test_who_asks_far_ahead_is_answered_in_order(self):
        connection, file = self.connection()
        paths = ["/whole?%d" % (number * 37 % 5000) for number in range(1000)]
        paths[500] = "/whole?3000000"
        paths[600] = "/pieces?3000000,5,3000000"
        data = b"".join(message(path) for path in paths)
        sender = threading.Thread(target=connection.sendall, args=(data,))
        sender.start()
        for path in paths:
            expected = sum(int(length) for length in path.partition("?")[2].split(","))
            self.assertEqual(len(Response(connection, file=file).body), expected)
        sender.join()

    def test_a_client_that_leaves_in_the_middle_leaves_the_worker_well(self):
        for data in (message("/list")[:20], message("/whole?3000000"), message("/pieces?3000000,3000000"),
                     message("/list") + message("/list")[:20]):
            for _ in range(20):
                connection = self.worker.connect()
                connection.sendall(data)
                connection.close()
        self.assertEqual(self.ask("/list").body, b"one two")


class AfterATimeout(Case):
    """A thread that does not come back holds up nothing but itself."""

    def timed_out(self):
        connection = self.worker.connect()
        self.addCleanup(connection.close)
        file = connection.makefile("rb")
        connection.sendall(message("/sleeps", internal=dispatch(timeout=50)[1]))
        self.assertEqual(Response(connection, file=file).status, "502")
        return connection, file

    def test_requests_of_every_kind_are_served(self):
        connection, file = self.timed_out()
        for method, body in (("GET", b""), ("POST", b"a body"), ("GET", b"")):
            connection.sendall(message("/echo", method, body=body))
            self.assertEqual(Response(connection, file=file).body, body)

    def test_a_response_that_is_cut_short_is_seen_to_be(self):
        connection, file = self.timed_out()
        connection.sendall(message("/short-generator"))
        self.assertFalse(Response(connection, file=file).complete)
