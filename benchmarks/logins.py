"""People who sign in over and over, beside the load that is measured."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.seed import PASSWORD


@contextmanager
def under_way(port: int, *, loops: int) -> Iterator[Callable[[], int]]:
    """As many loops of signing in, each as another user; what is yielded answers how many sign-ins succeeded."""
    stop = threading.Event()
    counts = [0] * loops

    def sign_in(number: int) -> None:
        body = json.dumps({"email": f"user{20 + number}@example.com", "password": PASSWORD}).encode()
        url = f"http://127.0.0.1:{port}/api/v1/auth/login"
        while not stop.is_set():
            request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method="POST")
            with urllib.request.urlopen(request, timeout=30) as response:
                response.read()
            counts[number] += 1

    threads = [threading.Thread(target=sign_in, args=(number,)) for number in range(loops)]
    for thread in threads:
        thread.start()
    try:
        yield lambda: sum(counts)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
