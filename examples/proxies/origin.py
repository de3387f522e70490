"""A server that keeps a connection for an HTTP/1.0 client that asks for it by
`Connection: Keep-Alive`, and says what it was asked and on which connection.
It writes its address to the file named by its first argument."""
import http.server
import os
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # of ours: it is what makes Keep-Alive of 1.0 count here

    def do_GET(self):
        said = [f"{k}: {self.headers[k]}" for k in ("Connection", "Proxy-Connection", "Via") if k in self.headers]
        body = f"{self.command} {self.path} {self.request_version}; {', '.join(said) or 'nothing said of the connection'}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close" if self.close_connection else "keep-alive")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        """Answers at once, and reads what is sent only then."""
        body = b"early answer\n"
        self.send_response(413)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        left = int(self.headers["Content-Length"])
        while left > 0 and (got := len(self.rfile.read(min(left, 65536)))):
            left -= got
        self.close_connection = True

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(sys.argv[1] + ".new", "w") as f:
    f.write("127.0.0.1:%d" % server.server_port)
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
