#!/bin/sh
# Promises of persistence that are broken (HTTP: The Definitive Guide, sections
# 4.5.2 to 4.5.4 and 4.7; RFC 9112 sections 9.3 and 9.6): what a server says of the
# connection and what it does are two things. Needs curl 7.75, python3 and crimp;
# CRIMP names another one. What it prints is in transcript.txt.
. "$(dirname "$0")/../lab.sh"

promise='s/^< \(Connection: .*\|Keep-Alive: .*\)\r$/\1/p'
curl_twice() {
	curl -sSv -m 5 -o /dev/null -o /dev/null -w 'curl: %{http_code}, new connections: %{num_connects}\n' "http://$web/1" "http://$web/2" 2>"$dir/said"
	sed -n "$promise" "$dir/said" | sort | uniq -c | sed 's/^ *\([0-9]*\)/\1 x/'
}

part 'Kept: one connection for two requests'
arm web keep_alive timeout=60s max=10
curl_twice
disarm web keep_alive

part 'Promised for a minute and closed at once: a client that looks before it asks connects anew'
arm web lying-keep-alive
curl_twice

part 'One that believes it asks on the closed connection and gets no answer'
python3 "$here/ask.py" "$web" 0
disarm web lying-keep-alive

part 'Five seconds said, one kept'
arm web keep-alive-timeout-lie
python3 "$here/ask.py" "$web" 0
python3 "$here/ask.py" "$web" 2
disarm web keep-alive-timeout-lie

part 'Two requests said, one allowed, and the second one was under way'
arm web keep_alive max=2 close_after=1
python3 "$here/ask.py" "$web" pipelined
disarm web keep_alive

part 'Close is said and not done: a client that takes its word leaves by itself'
arm web say-close-stay-open
curl_twice
part 'One that does not is marked'
python3 "$here/ask.py" "$web" 0
"$crimp" exchanges --limit 2 --route web | sed 's|^web/[0-9]*/||'
