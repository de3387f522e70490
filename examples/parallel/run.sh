#!/bin/sh
# Parallel connections and their limits (HTTP: The Definitive Guide, section 4.4):
# the client's own, two to a server for those it keeps (RFC 2616 section 8.1.4; RFC
# 9112 section 9.4 names no number any more), and the server's, which may close
# what is too much or let it wait. Needs curl 7.75, python3 and crimp; CRIMP names
# another one. What it prints is in transcript.txt.
. "$(dirname "$0")/../lab.sh"

# four PATH [FLAG...]: asks four times, each on a connection of its own, and waits
# until crimp has seen the last of them.
since=0
four() {
	url=http://$web$1; shift
	curl -sS -Z --parallel-immediate -m 15 -w 'curl: %{http_code}\n' "$@" -o /dev/null "$url" -o /dev/null "$url" -o /dev/null "$url" -o /dev/null "$url" 2>/dev/null | sort || :
	"$crimp" wait session.closed --since "$since" --count 4 >/dev/null
	before=$since
	since=$("$crimp" events --limit 1 --json | sed 's/^{"seq":\([0-9]*\).*/\1/')
}

# marked: what crimp says of these exchanges, in whichever order they came.
marked() { "$crimp" exchanges --since "$before" | sed -e 's|^web/[0-9]*/[0-9]* *|crimp: |' -e 's|  *| |g' -e 's| $||' | sort; }

part 'Four parallel connections, all of them to be kept: two are marked'
four /together/4
marked

part 'The same, not to be kept: the limit is not for these'
four /together/4 -H 'Connection: close'
marked

part 'A server that closes the connections beyond two of a client'
arm web limit_sessions max=2 per=client excess=rst
four /together/2

part 'A server that lets them wait: two are served at a time'
arm web limit_sessions max=2 per=client excess=queue
four /together/2 -H 'Connection: close'
marked
