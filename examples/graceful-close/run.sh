#!/bin/sh
# The answer that is lost because its sender closes with input unread, and the
# graceful close that avoids it (HTTP: The Definitive Guide, section 4.7.4; RFC 9112
# section 9.6): say FIN, read on, close when the other side has. Needs python3 and
# crimp; CRIMP names another one. What it prints is in transcript.txt.
set -eu
crimp=${CRIMP:-crimp}
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
server= box=
trap 'kill $server $box 2>/dev/null || :; wait 2>/dev/null || :; rm -rf "$dir"' EXIT

python3 "$here/../proxies/origin.py" "$dir/origin" & server=$!
"$crimp" serve --control 127.0.0.1:0 --addr-file "$dir/box" --route px=127.0.0.1:0,proxy >"$dir/log" 2>&1 & box=$!
n=0
until [ -s "$dir/origin" ] && [ -s "$dir/box" ]; do
	n=$((n + 1)); [ $n -lt 200 ] || { cat "$dir/log"; exit 1; }
	sleep 0.05
done
at() { sed -n 's/.*"'"$1"'": *"\([^"]*\)".*/\1/p' "$dir/box"; }
CRIMP_API=http://$(at control); export CRIMP_API
upload() {
	printf '\n== %s\n' "$1"
	python3 "$here/upload.py" "$(at px)" "$(cat "$dir/origin")"
}

"$crimp" arm px cut at=end end=close >/dev/null
upload 'An early answer, and the connection closed behind it while the client still sends'
"$crimp" arm px cut at=end end=fin >/dev/null
upload 'The same answer with a graceful close: FIN, and the rest of the request read away'
