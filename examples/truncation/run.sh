#!/bin/sh
# Truncation (HTTP: The Definitive Guide, section 4.7.2; RFC 9112 section 8): a body
# that ends too early is noticed by its Content-Length or its last chunk, and by
# nothing where the close is all that says it is over. Needs curl 7.75, python3 and
# crimp; CRIMP names another one. What it prints is in transcript.txt.
. "$(dirname "$0")/../lab.sh"

ask() {
	code=0
	curl -sS -m 2 -o /dev/null -w 'curl: %{http_code}, %{size_download} bytes, exit %{exitcode}\n' "http://$web$1" 2>/dev/null || code=$?
	python3 "$here/read.py" "http://$web$1"
	"$crimp" exchanges --limit 1 | sed 's|^web/[0-9]*/[0-9]* *|crimp: |'
}

arm web truncate
part 'Half of a body with Content-Length'
ask /length
part 'Half of the first chunk'
ask /chunked
disarm web truncate

arm web cut at=body:40
part 'A body that lasts until the close: nobody can tell'
ask /until-close
disarm web cut

arm web no-last-chunk
part 'All of the chunks but the last'
ask /chunked
disarm web no-last-chunk

arm web length-mismatch
part 'More declared than sent, and the connection kept: whoever waits for it waits for ever'
ask /length
part 'And closed behind it'
arm web length-mismatch
arm web cut at=end
ask /length
