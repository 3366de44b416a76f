"""A server of http.server that says what it reads of a request: its method, its path, its roles."""

import posixpath
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class Reader(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def answer(self):
        # As SimpleHTTPRequestHandler finds its files, and CGI its variables.
        path = "/" + posixpath.normpath(unquote(urlsplit(self.path).path)).lstrip("/")
        variables = {name.upper().replace("-", "_"): value for name, value in self.headers.items()}
        roles = [self.headers.get("x-role", ""), variables.get("X_ROLE", "")]
        body = f"{self.command}\n{path}\n{'|'.join(roles)}\n".encode(errors="replace")
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


servers = []
for address in sys.argv[1:]:
    host, port = address.rsplit(":", 1)
    servers.append(ThreadingHTTPServer((host, int(port)), Reader))
threads = [threading.Thread(target=server.serve_forever) for server in servers]
for thread in threads:
    thread.start()
