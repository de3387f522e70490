#!/bin/sh
# Close and retry (HTTP: The Definitive Guide, section 4.7.3; RFC 9110 section 9.2.2,
# RFC 9112 section 9.3.1): a kept connection closes as the next request is on its
# way. Who sends it again, and what is then done twice. Needs curl 7.75, python3 and
# crimp; CRIMP names another one. What it prints is in transcript.txt.
. "$(dirname "$0")/../lab.sh"

# A GET, then another or a POST on the connection it left.
curl_get() { curl -sS -m 5 -w '%{http_code}, new connections: %{num_connects}\n' -o /dev/null -o /dev/null "http://$web/1" "http://$web/2" 2>/dev/null || :; }
curl_post() {
	curl -sS -m 5 -w '%{http_code}, new connections: %{num_connects}\n' -o /dev/null "http://$web/1" \
		--next -sS -m 5 -w '%{http_code}, new connections: %{num_connects}\n' -o /dev/null -d pay "http://$web/2" 2>/dev/null || :
}

arm web stale-reuse
part 'The request was read and done, then FIN: curl asks again on a new connection'
curl_get
done_at_origin
part 'So it does for POST: it is done twice'
curl_post
done_at_origin
part 'http.client asks again for nothing'
python3 "$here/ask.py" "$web" GET
done_at_origin
python3 "$here/ask.py" "$web" POST
done_at_origin
disarm web stale-reuse

arm web idle-race after=1s
part 'The close that crosses the request: it was never done, and asking again is right'
python3 "$here/ask.py" "$web" POST 2
done_at_origin
