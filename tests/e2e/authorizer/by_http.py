# An external authorizer by HTTP for the tests, with Python's http.server, unchanged.
#
#     by_http.py HOST PORT    answers as the path asks:
#
#     ../deny..     with 403 and a body of its own
#     ../login..    with a redirect
#     ../slow..     after an hour
#     ../fail..     with 500
#     else          yes, with headers that say what it was told
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Authorizer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        told = self.rfile.read(int(self.headers.get("content-length") or 0))
        status, body = 200, b""
        if "/deny" in self.path:
            status, body = 403, b"not today\n"
        elif "/login" in self.path:
            status = 302
        elif "/slow" in self.path:
            time.sleep(3600)
        elif "/fail" in self.path:
            status = 500
        self.send_response(status)
        if status == 302:
            self.send_header("location", "https://login.example/")
        partial = self.headers.get("x-envoy-auth-partial-body")
        self.send_header("x-user", "bob")
        self.send_header("x-told", f"{self.command} {self.path} {self.headers.get('x-ticket')}")
        self.send_header("x-body", f"{told.decode()} {partial}")
        self.send_header("x-not-named", "no")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_DELETE = do_GET = do_POST = do_PUT = answer


server = ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Authorizer)
print('{"ready": true}', flush=True)
server.serve_forever()
