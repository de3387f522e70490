#!/bin/sh
# The answer that is lost because its sender closes with input unread, and the
# graceful close that avoids it (HTTP: The Definitive Guide, section 4.7.4; RFC 9112
# section 9.6): say FIN, read on, close when the other side has. Needs curl, python3
# and crimp; CRIMP names another one. What it prints is in transcript.txt.
. "$(dirname "$0")/../lab.sh"
upload() {
	part "$1"
	python3 "$here/upload.py" "$px" "$origin"
}

arm px cut at=end end=close
upload 'An early answer, and the connection closed behind it while the client still sends'
arm px cut at=end end=fin
upload 'The same answer with a graceful close: FIN, and the rest of the request read away'
