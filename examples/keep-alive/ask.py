"""A client that believes what it likes: two requests on one connection, whatever is
said of it, the second so many seconds after the first answer, or at once."""
import socket
import sys
import time

host, port = sys.argv[1].split(":")
pause = sys.argv[2]


def ask(path):
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


with socket.create_connection((host, int(port)), timeout=10) as s:
    answers = s.makefile("rb")

    def read():
        """The next answer, what it says of the connection included."""
        line = answers.readline()
        if not line:
            return "the connection was closed"
        said, length = [], 0
        while (field := answers.readline().strip().decode()):
            name, _, value = field.partition(": ")
            if name in ("Connection", "Keep-Alive"):
                said.append(field)
            if name == "Content-Length":
                length = int(value)
        answers.read(length)
        return f"{line.split()[1].decode()}; {', '.join(said)}"

    if pause == "pipelined":
        s.sendall(ask("/1") + ask("/2"))
        print("1:", read())
        print("2:", read())
        sys.exit()
    s.sendall(ask("/1"))
    print("1:", read())
    time.sleep(float(pause))
    try:
        s.sendall(ask("/2"))
        print(f"2, after {pause} s:", read())
    except (BrokenPipeError, ConnectionResetError):
        print(f"2, after {pause} s: the connection was closed")
