"""Responses: what the app gives is what the client gets, or a failure that can be seen."""

from harness import Case, Response, dispatch, message


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
            self.assertEqual(response.body, b"written twice, then returned")
            self.assertTrue(response.complete)

    def test_exc_info(self):
        response = self.ask("/exc-info-before")
        self.assertEqual((response.status, response.reason, response.body), ("418", "Teapot", b"replaced"))
        self.assertNotIn("x-old", response.headers)
        for response in self.both("/exc-info-after"):
            self.assertEqual((response.status, response.body, response.complete), ("200", b"sent", False))
        self.worker.wait_for_error(b"ValueError: too late to say")

    def test_failures_before_the_head_are_app_errors(self):
        for path in ("/twice", "/no-start", "/none", "/text", "/raises", "/exit", "/interrupt", "/split", "/bad-name",
                     "/bad-status"):
            with self.subTest(path):
                direct, proxied = self.both(path)
                self.assertEqual(direct.status, "500")
                self.assertEqual(proxied.headers.get("x-tidegate"), b"cause=app_error")
                self.assertEqual((proxied.status, proxied.body), ("500", b""))
                self.assertNotIn("x-injected", direct.headers)
        self.worker.wait_for_error(b"the app failed in request rid-1 (GET /raises)")
        self.worker.wait_for_error(b"RuntimeError: the app's own trouble")

    def test_failure_after_the_head_cuts_the_response_short(self):
        self.closes()
        for response in self.both("/closing-raises"):
            self.assertEqual((response.body, response.complete), (b"a", False))
        self.assertEqual(self.closes(), "['raised', 'raised']")

    def test_short_response_is_cut_short_visibly(self):
        for path, body in (("/short", b"short"), ("/short-generator", b"abc")):
            for response in self.both(path):
                self.assertEqual((response.body, response.complete), (body, False), path)
        self.worker.wait_for_error(b"5 bytes shorter")
        self.worker.wait_for_error(b"7 bytes shorter")

    def test_long_response_is_cut_to_its_length(self):
        for path, body in (("/long", b"long"), ("/long-generator", b"abc")):
            for response in self.both(path):
                self.assertEqual((response.body, response.complete), (body, True), path)
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
