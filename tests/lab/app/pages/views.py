"""A front page, and addresses that show how a deploy is doing."""

import hashlib
import os
import socket
import time

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from pages import look
from pages.models import Note
from project import place

COMMIT = place.commit()  # read once: a running process is the commit it was started from
HOST = os.environ.get("HOST") or socket.gethostname()
BIG = bytes(range(256)) * 4096


def front(request: HttpRequest) -> HttpResponse:
    told = {
        "headline": look.HEADLINE,
        "colour": look.COLOUR,
        "commit": COMMIT,
        "host": HOST,
        "notes": Note.objects.count(),
    }
    return _signed(render(request, "front.html", told))


def healthz(request: HttpRequest) -> HttpResponse:
    return _signed(JsonResponse({"commit": COMMIT, "host": HOST}))


def slow(request: HttpRequest) -> HttpResponse:
    seconds = min(float(request.GET.get("seconds", "2")), 60.0)
    time.sleep(seconds)
    return _signed(JsonResponse({"commit": COMMIT, "host": HOST, "seconds": seconds}))


def big(request: HttpRequest) -> HttpResponse:
    answer = HttpResponse(BIG, content_type="application/octet-stream")
    answer["Content-Length"] = str(len(BIG))  # so that an answer cut short shows
    return _signed(answer)


def environment(request: HttpRequest) -> HttpResponse:
    """Tell a fingerprint of one variable, never its value."""
    value = os.environb.get(os.fsencode(request.GET.get("key", "")))
    fingerprint = None if value is None else hashlib.sha256(value).hexdigest()
    told = JsonResponse({"sha256": fingerprint, "host": HOST}, status=200 if fingerprint else 404)
    return _signed(told)


def _signed(answer: HttpResponse) -> HttpResponse:
    answer["X-Commit"] = COMMIT
    answer["X-Host"] = HOST
    return answer
