"""Pages beside the admin: a form with a CSRF token that counts in the session, and a stream."""
from django.contrib import admin
from django.http import HttpResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.urls import path


def guestbook(request):
    if request.method == "POST":
        request.session["names"] = request.session.get("names", []) + [request.POST["name"]]
        return redirect("/guestbook/")
    names = ", ".join(request.session.get("names", []))
    return HttpResponse(f"<p>{names}</p><input name=csrfmiddlewaretoken value={get_token(request)}>")


def stream(request):
    return StreamingHttpResponse((f"line {number}\n".encode() for number in range(5)), content_type="text/plain")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("guestbook/", guestbook),
    path("stream/", stream),
]
