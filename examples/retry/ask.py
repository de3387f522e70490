"""Two requests on one connection with http.client, the second with the method named
and, if there is a third argument, so many seconds later and asked again if need be."""
import http.client
import sys
import time

where, method, pause = sys.argv[1], sys.argv[2], float((sys.argv[3:] or [0])[0])
c = http.client.HTTPConnection(where, timeout=10)


def ask(method, path, body=None):
    try:
        c.request(method, path, body)
        r = c.getresponse()
        r.read()
        print(f"http.client: {method} {path}: {r.status}")
        return True
    except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
        print(f"http.client: {method} {path}: closed without an answer")
        c.close()


ask("GET", "/1")
time.sleep(pause)
body = "pay" if method == "POST" else None
if not ask(method, "/2", body) and pause:
    ask(method, "/2", body)
