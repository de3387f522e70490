#!/bin/sh
# The dumb proxy, and what Proxy-Connection does about it (HTTP: The Definitive
# Guide, sections 4.5.5 to 4.5.7), with curl as the client that wants its
# connection kept. Needs curl 7.75, python3 and crimp; CRIMP names another one.
# What it prints is in transcript.txt.
set -eu
crimp=${CRIMP:-crimp}
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY
server= box=
trap 'kill $server $box 2>/dev/null || :; wait 2>/dev/null || :; rm -rf "$dir"' EXIT

python3 "$here/origin.py" "$dir/origin" & server=$!
"$crimp" serve --control 127.0.0.1:0 --addr-file "$dir/box" --route blind=127.0.0.1:0,proxy >"$dir/log" 2>&1 & box=$!
n=0
until [ -s "$dir/origin" ] && [ -s "$dir/box" ]; do
	n=$((n + 1)); [ $n -lt 200 ] || { cat "$dir/log"; exit 1; }
	sleep 0.05
done
origin=$(cat "$dir/origin")
at() { sed -n 's/.*"'"$1"'": *"\([^"]*\)".*/\1/p' "$dir/box"; }
blind=$(at blind)
CRIMP_API=http://$(at control); export CRIMP_API

# A second proxy in front of the first: client -> smart -> blind -> origin.
smart=$("$crimp" route add "smart=127.0.0.1:0,$blind,proxy" | sed 's/^smart  *\([^ ]*\) .*/\1/')

# ask PROXY FIELD: two requests of an HTTP/1.0 client on one connection, if it can.
ask() {
	printf '\n== %s\n' "$title"
	code=0
	curl -sS -0 -m 2 -x "http://$1" -H "$2" -H "$3" -w 'curl: %{http_code}, new connections: %{num_connects}, exit %{exitcode}\n' \
		"http://$origin/1" "http://$origin/2" 2>/dev/null || code=$?
}
keep='Connection: Keep-Alive'
none='Proxy-Connection:' # curl says it by itself to a proxy: not here
proxy='Proxy-Connection: Keep-Alive'

title='A blind relay that nothing is armed on: as good as none'
ask "$blind" "$keep" "$none"

"$crimp" arm blind dumb-proxy >/dev/null
title='The dumb proxy: Connection: Keep-Alive goes through it, so the second request hangs'
ask "$blind" "$keep" "$none"

title='Proxy-Connection: one dumb proxy passes it on, the origin does not know it and closes: no hang'
ask "$blind" "Connection:" "$proxy"

"$crimp" arm smart hop_by_hop proxy_connection=translate >/dev/null
"$crimp" disarm blind dumb-proxy >/dev/null
title='A smart proxy makes Connection of it, and all keep their connection'
ask "$smart" "Connection:" "$proxy"

"$crimp" arm blind dumb-proxy >/dev/null
title='A smart proxy and a dumb one behind it: Proxy-Connection fails'
ask "$smart" "Connection:" "$proxy"

"$crimp" disarm smart hop_by_hop >/dev/null
"$crimp" arm smart hop_by_hop mode=correct >/dev/null
title='The proxy in front correct: what a client of HTTP/1.0 says of persistence is not passed on'
ask "$smart" "$keep" "$none"
