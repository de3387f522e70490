#!/bin/sh
# A pipeline that is cut after so many answers, with a POST in it (HTTP: The
# Definitive Guide, sections 4.6 and 4.7.3; RFC 9112 section 9.3.2, RFC 9110 section
# 9.2.2): what was answered is safe, what was not may have been done all the same.
# Needs curl, python3 and crimp; CRIMP names another one. What it prints is in
# transcript.txt.
. "$(dirname "$0")/../lab.sh"

part 'All four are answered'
python3 "$here/pipeline.py" "$web" careful
done_at_origin POST
"$crimp" wait exchange.finished --since 0 --count 4 >/dev/null
"$crimp" exchanges --route web | sed 's|^web/[0-9]*/||'

arm web cut at=start end=fin --match exchange=3
part 'FIN after two answers: a careful client asks again for what may be repeated, and says what it cannot know'
python3 "$here/pipeline.py" "$web" careful
done_at_origin POST

part 'A careless one sends all of it again: the POST is done twice'
python3 "$here/pipeline.py" "$web" careless
done_at_origin POST
