"""Sends 8 MiB through the proxy (first argument) to the origin (second) and reads
the answer only then, as simple clients do."""
import socket
import sys
import time

proxy, origin = sys.argv[1:]
host, port = proxy.split(":")
with socket.create_connection((host, int(port)), timeout=20) as s:
    size = 8 << 20
    s.sendall(f"POST http://{origin}/early HTTP/1.1\r\nHost: {origin}\r\nContent-Length: {size}\r\n\r\n".encode())
    try:
        while (got := s.recv(4096, socket.MSG_PEEK)) and not got.endswith(b"early answer\n"):
            time.sleep(0.01)  # until it is all here; then nobody looks
        s.sendall(bytes(size))
        print("all sent; then read:", s.makefile("rb").readline().decode().strip())
    except (BrokenPipeError, ConnectionResetError):
        print("reset while sending: the answer is never looked for")
