"""A proxy that records the requests to a server."""

import http.client
import http.server
import threading
import urllib.parse

HOP = {"connection", "transfer-encoding", "content-length", "host"}


class Recorder:
    """Forwards requests to a server, and records each as (method, path, AWS operation).

    Processes of other tests can still send requests to a port that they used before, so a
    request whose Authorization lacks the mark is refused.
    """

    def __init__(self, target, mark):
        self.requests = set()
        place = urllib.parse.urlsplit(target).netloc
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                if mark not in self.headers.get("Authorization", ""):
                    self.close_connection = True
                    return self.send_error(403)
                recorder.requests.add((self.command, self.path.split("?")[0], self.headers.get("X-Amz-Target", "")))
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                connection = http.client.HTTPConnection(place, timeout=30)
                try:
                    headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
                    connection.request(self.command, self.path, body, headers)
                    answer = connection.getresponse()
                    content = answer.read()
                finally:
                    connection.close()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_one

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
