"""Sends four requests in one go, reads what answers come, and sends again what was
not answered: a careful client only what is idempotent, a careless one everything."""
import socket
import sys

host, port = sys.argv[1].split(":")
careful = sys.argv[2] == "careful"
requests = [("GET", "/1"), ("GET", "/2"), ("POST", "/3"), ("GET", "/4")]


def text(method, path):
    body = "pay" if method == "POST" else ""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{length}\r\n{body}".encode()


def pipeline(asked):
    """What of it was not answered."""
    with socket.create_connection((host, int(port)), timeout=10) as s:
        s.sendall(b"".join(text(*r) for r in asked))
        answers = s.makefile("rb")
        for i, (method, path) in enumerate(asked):
            line, length = answers.readline(), 0
            if not line:
                print(f"closed after {i} of {len(asked)} answers")
                return asked[i:]
            while (field := answers.readline().strip().decode()):
                if field.startswith("Content-Length: "):
                    length = int(field[16:])
            answers.read(length)
            print(f"{method} {path}:", line.split()[1].decode())
    return []


left = pipeline(requests)
for method, path in left:
    if careful and method == "POST":
        print(f"{method} {path}: no answer; it may have been done or not, and is not sent again")
    elif pipeline([(method, path)]):
        print(f"{method} {path}: no answer again")
