"""Reads a URL with http.client and says whether it noticed that something is missing."""
import http.client
import sys
import urllib.parse

url = urllib.parse.urlsplit(sys.argv[1])
c = http.client.HTTPConnection(url.netloc, timeout=1)
c.request("GET", url.path)
r = c.getresponse()
try:
    print(f"http.client: {r.status}, {len(r.read())} bytes, and content")
except http.client.IncompleteRead:
    print(f"http.client: {r.status}, IncompleteRead")
except TimeoutError:
    print(f"http.client: {r.status}, and the time was up")
