#!/bin/sh
# The wheel and the source archive of dist/ in fresh environments: web and storage start, the page is
# served. Python's packages come from where pip takes them here.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'kill $web $storage 2>/dev/null || true; rm -rf "$work"' EXIT
web="" storage=""
for archive in dist/ucam-*.whl dist/ucam-*.tar.gz; do
    echo "$archive"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check "${archive}[web,storage]"
    sed -e "s|127.0.0.1:7070|127.0.0.1:17070|; s|^public-url = .*|public-url = \"http://127.0.0.1:17070\"|" \
        -e "s|/var/lib/ucam/web|$work/web|; /^password-file/d; s|^url = \"smtp.*|outbox = \"$work/outbox\"|" \
        config/web.toml >"$work/web.toml"
    sed -e "s|/var/lib/ucam/storage|$work|; s|^url = .*|url = \"http://127.0.0.1:17070\"|; /^maxspace/d" \
        -e "s|0.0.0.0:8322|127.0.0.1:18322|" config/storage.toml >"$work/storage.toml"
    cd "$work" # where no source of ucam lies
    ucam=$work/venv/bin/ucam
    "$ucam" web --config web.toml 2>web.log & web=$!
    until grep -q "listening on" web.log; do kill -0 $web || { cat web.log; exit 1; }; sleep 0.2; done
    # shellcheck disable=SC2094
    "$ucam" token storage@studio.loc --config web.toml >token
    "$ucam" storage --config storage.toml 2>storage.log & storage=$!
    until grep -q "listening on" storage.log; do kill -0 $storage || { cat storage.log; exit 1; }; sleep 0.2; done
    "$work/venv/bin/python" -c "
import urllib.request as u
page = u.urlopen('http://127.0.0.1:17070/').read().decode()
script = page.split('src=\"')[1].split('\"')[0]
print('  the page:', len(page), 'bytes, its script', len(u.urlopen('http://127.0.0.1:17070' + script).read()))"
    kill $storage; wait $storage; kill $web; wait $web
    cd - >/dev/null
    rm -rf "${work:?}"/*
    echo "  web and storage start and end"
done
