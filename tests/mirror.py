"""A server on this machine, for whatever downloads: the network itself is never asked."""

import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 2000


@contextmanager
def serving():
    """Yield a server on the loopback: its `files` say what it sends, `asked` counts requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.lstrip("/")
            server.asked[name] += 1
            if name not in server.files:
                return self.send_error(404)
            self.send_response(200)
            if name.startswith("announced"):  # promises all of it, then sends less
                self.send_header("Content-Length", str(2 * len(server.files[name])))
            self.end_headers()
            if name.startswith("slow"):
                server.both_asked.wait(timeout=10)
                server.answer.wait(timeout=10)
            self.wfile.write(server.files[name])
            return None

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{server.server_port}/"
    server.asked = Counter()
    server.both_asked, server.answer = threading.Barrier(3), threading.Barrier(3)
    server.files = {
        "good": CONTENT,
        "slow": CONTENT,
        "wrong": CONTENT[::-1],
        "cut": CONTENT[:1000],
        "announced-cut": CONTENT[:1000],
    }
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
