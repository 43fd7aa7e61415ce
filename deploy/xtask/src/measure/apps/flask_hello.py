"""The smallest Flask app: what a framework of the usual size adds to each request."""
from flask import Flask

application = Flask(__name__)


@application.route("/")
def hello():
    return "Hello, world!", {"Content-Type": "text/plain"}
