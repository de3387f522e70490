# What the examples share: an origin, a crimp before it, and how to speak to both.
# To be read by a run.sh, which ends with `set -eu` in force and all of it gone at
# its exit. CRIMP names a crimp that is not in the path.
set -eu
crimp=${CRIMP:-crimp}
command -v "$crimp" >/dev/null || { echo "no $crimp: build it and name it in CRIMP" >&2; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY
pids=
trap 'kill $pids 2>/dev/null || :; wait 2>/dev/null || :; rm -rf "$dir"' EXIT

# appears FILE: waits until a program has written its address there.
appears() {
	n=0
	until [ -s "$1" ]; do
		n=$((n + 1)); [ $n -lt 400 ] || { cat "$dir/log"; exit 1; }
		sleep 0.05
	done
}

# at ROUTE: where a route listens.
at() { sed -n 's/.*"'"$1"'": *"\([^"]*\)".*/\1/p' "$dir/box"; }

# part TITLE: what the lines to come are about.
part() { printf '\n== %s\n' "$1"; }

# arm and disarm, without their answers; a slip ends the run.
arm() { "$crimp" arm "$@" >"$dir/said" 2>&1 || { cat "$dir/said"; exit 1; }; }
disarm() { "$crimp" disarm "$@" >"$dir/said" 2>&1 || { cat "$dir/said"; exit 1; }; }

python3 "$here/../origin.py" "$dir/origin" & pids=$!
appears "$dir/origin"
origin=$(cat "$dir/origin")
# web forwards to the origin, px is a proxy.
"$crimp" serve --control 127.0.0.1:0 --addr-file "$dir/box" --route "web=127.0.0.1:0,$origin" --route px=127.0.0.1:0,proxy >"$dir/log" 2>&1 & pids="$pids $!"
appears "$dir/box"
CRIMP_API=http://$(at control); export CRIMP_API
web=$(at web) px=$(at px)

# done_at_origin [METHOD]: which requests it has carried out, and how often, since last asked.
done_at_origin() { curl -sS "http://$origin/done/${1:-}"; }
