"""Answers with the status that the path names and a body of its own, or raises."""


def app(environ, start_response):
    status = environ["PATH_INFO"].rpartition("/")[2]
    if status == "raise":
        raise LookupError("shown to nobody")
    fields = [("Content-Type", "text/plain"), ("ETag", '"app"'), ("Set-Cookie", "from=app"), ("X-From", "app")]
    if status == "401":
        fields.append(("WWW-Authenticate", "Basic"))
    start_response(f"{status} Said By The App", fields)
    return [b"from the app"]
