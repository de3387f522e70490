#!/bin/sh
# The dumb proxy, and what Proxy-Connection does about it (HTTP: The Definitive
# Guide, sections 4.5.5 to 4.5.7), with curl as the client that wants its
# connection kept. Needs curl 7.75, python3 and crimp; CRIMP names another one.
# What it prints is in transcript.txt.
. "$(dirname "$0")/../lab.sh"

# A second proxy in front of the first: client -> smart -> blind -> origin.
blind=$px
smart=$("$crimp" route add "smart=127.0.0.1:0,$blind,proxy" | sed 's/^smart  *\([^ ]*\) .*/\1/')

# ask PROXY FIELD FIELD: two requests of an HTTP/1.0 client on one connection, if it can.
ask() {
	code=0
	curl -sS -0 -m 2 -x "http://$1" -H "$2" -H "$3" -w 'curl: %{http_code}, new connections: %{num_connects}, exit %{exitcode}\n' \
		"http://$origin/1" "http://$origin/2" 2>/dev/null || code=$?
}
keep='Connection: Keep-Alive'
none='Proxy-Connection:' # curl says it by itself to a proxy: not here
proxy='Proxy-Connection: Keep-Alive'

part 'A blind relay that nothing is armed on: as good as none'
ask "$blind" "$keep" "$none"

arm px dumb-proxy
part 'The dumb proxy: Connection: Keep-Alive goes through it, so the second request hangs'
ask "$blind" "$keep" "$none"

part 'Proxy-Connection: one dumb proxy passes it on, the origin does not know it and closes: no hang'
ask "$blind" "Connection:" "$proxy"

arm smart hop_by_hop proxy_connection=translate
disarm px dumb-proxy
part 'A smart proxy makes Connection of it, and all keep their connection'
ask "$smart" "Connection:" "$proxy"

arm px dumb-proxy
part 'A smart proxy and a dumb one behind it: Proxy-Connection fails'
ask "$smart" "Connection:" "$proxy"

disarm smart hop_by_hop
arm smart hop_by_hop mode=correct
part 'The proxy in front correct: what a client of HTTP/1.0 says of persistence is not passed on'
ask "$smart" "$keep" "$none"

disarm px dumb-proxy
part 'Correct in front, blind behind, and a client of HTTP/1.1: each hop says its own, and all keep their connection'
later() {
	code=0
	curl -sS -m 2 -x "http://$1" -H "$keep" -w 'curl: %{http_code}, new connections: %{num_connects}, exit %{exitcode}\n' \
		"http://$origin/1" "http://$origin/2" 2>/dev/null || code=$?
}
later "$smart"

arm px dumb-proxy
part 'A dumb one behind: what the correct one says for itself is passed on blindly, so it hangs'
later "$smart"
disarm px dumb-proxy

disarm smart hop_by_hop
arm px keep_alive say=close close_after=1
part 'The last one says close and closes behind each answer, the one in front is blind: the client is told'
later "$smart"

arm smart hop_by_hop mode=correct
part 'The one in front correct: the client keeps its connection, the next request is dialled for anew'
later "$smart"
