"""The server of the examples. It keeps connections, those of an HTTP/1.0 client
too that asks for it by `Connection: Keep-Alive`, and says what it was asked and how.
It writes its address to the file named by its first argument.

GET  /done/POST   which POSTs were carried out, and how often, since this was last asked; /done of all
GET  /together/N  answered when N such requests are here at a time
GET  /chunked     in two chunks; /until-close without a length
POST /early       refused at once, and read only then
"""
import collections
import http.server
import os
import sys
import threading

done = collections.Counter()
lock = threading.Condition()
here = 0  # requests that wait for others
rounds = 0  # how often they were enough


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # of ours: it is what makes Keep-Alive of 1.0 count here

    def do_GET(self):
        what, _, n = self.path[1:].partition("/")
        if what == "done":
            with lock:
                said = ", ".join(f"{k} {times}x" for k, times in done.items() if k.startswith(n)) or "nothing"
                done.clear()
            return self.answer(f"done at the origin: {said}\n")
        self.count()
        if what == "together":
            self.meet(int(n))
        said = [f"{k}: {self.headers[k]}" for k in ("Connection", "Proxy-Connection", "Via") if k in self.headers]
        text = f"{self.command} {self.path} {self.request_version}; {', '.join(said) or 'nothing said of the connection'}\n"
        self.answer(text, what if what in ("chunked", "until-close") else "length")

    def do_POST(self):
        early = self.path == "/early"
        if early:
            self.answer("early answer\n", status=413)
        left = int(self.headers["Content-Length"])
        while left > 0 and (got := len(self.rfile.read(min(left, 65536)))):
            left -= got
        if early:
            self.close_connection = True
        elif left == 0:
            self.count()
            self.answer(f"{self.command} {self.path}\n")

    def count(self):
        with lock:
            done[f"{self.command} {self.path}"] += 1

    def meet(self, n):
        """Waits until n are here, at most 10 s."""
        global here, rounds
        with lock:
            here += 1
            if here == n:
                here, rounds = 0, rounds + 1
                lock.notify_all()
                return
            mine = rounds
            lock.wait_for(lambda: rounds > mine, 10)

    def answer(self, text, framing="length", status=200):
        body = text.encode()
        self.send_response(status)
        if framing == "length":
            self.send_header("Content-Length", str(len(body)))
        elif framing == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
            half = len(body) // 2
            body = b"".join(b"%x\r\n%s\r\n" % (len(b), b) for b in (body[:half], body[half:])) + b"0\r\n\r\n"
        else:
            self.close_connection = True
        self.send_header("Connection", "close" if self.close_connection else "keep-alive")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, *_):  # a client that is gone is what the examples are about
        pass


server = Server(("127.0.0.1", 0), Handler)
with open(sys.argv[1] + ".new", "w") as f:
    f.write("127.0.0.1:%d" % server.server_port)
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
