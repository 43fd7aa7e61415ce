"""A small Flask site: a form, a session, a stream, an upload, an error."""
from flask import Flask, Response, redirect, request, session, url_for


def create_app():
    app = Flask(__name__)
    app.secret_key = "for tests only"

    @app.get("/")
    def home():
        name = session.get("name")
        if name is None:
            return "<form method=post action=/name><input name=name></form>"
        return f"<p>Hello {name}, visit {session.get('visits', 0)}</p>"

    @app.post("/name")
    def set_name():
        session["name"] = request.form["name"]
        session["visits"] = session.get("visits", 0) + 1
        return redirect(url_for("home"))

    @app.get("/stream")
    def stream():
        return Response((f"line {number}\n" for number in range(5)), mimetype="text/plain")

    @app.post("/upload")
    def upload():
        file = request.files["file"]
        return {"name": file.filename, "size": len(file.read()), "secure": request.is_secure, "url": request.base_url}

    @app.get("/broken")
    def broken():
        raise RuntimeError("inside Flask")

    return app
