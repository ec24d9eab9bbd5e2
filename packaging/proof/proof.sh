#!/bin/sh
# Inside a root in which the package was installed: web, storage and a synthetic camera are set up as
# docs/install.md says, and run; by systemd where it is process 1, else as the units would start them.
# What was seen is printed; the first thing that isn't right ends it with status 1.
set -eu
export LANG=C.UTF-8
SITE=http://127.0.0.1:7070
WITHIN=${WITHIN:-600}
booted() { [ -d /run/systemd/system ]; }
say() { echo "proof: $*"; }
wrong() {
    echo "proof: WRONG: $*"
    if booted; then journalctl --no-pager -n 60 -o cat -u 'ucam-*'; else tail -n 30 /run/ucam-*.log; fi
    exit 1
}
# within SECONDS COMMAND…: until it succeeds.
within() {
    end=$(($(date +%s) + $1)); shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$end" ] || return 1
        sleep 0.5
    done
}
# What a unit does, without systemd: its user, its command, and no privileges.
run_unit() {
    words=$(sed -n 's/^ExecStart=//p' "$(find /usr/lib/systemd/system -name "ucam-$1.service")")
    # shellcheck disable=SC2086 # words of a command
    HOME=/var/lib/ucam/$1 XDG_CACHE_HOME=/tmp/cache-$1 setpriv --reuid "ucam-$1" --regid "ucam-$1" \
        --init-groups --bounding-set=-all --inh-caps=-all --no-new-privs $words \
        >"/run/ucam-$1.log" 2>&1 &
    echo $! >"/run/ucam-$1.pid"
}
start() {
    began=$(date +%s)
    if booted; then
        systemctl enable --quiet "ucam-$1"
        systemctl start "ucam-$1" || wrong "ucam-$1 doesn't start"
    else
        run_unit "$1"
        within "$WITHIN" grep -q "$2" "/run/ucam-$1.log" || wrong "ucam-$1 doesn't start"
    fi
    say "ucam-$1 ready after $(($(date +%s) - began)) s"
}
stop() {
    if booted; then systemctl stop "ucam-$1"; else
        pid=$(cat "/run/ucam-$1.pid"); kill "$pid"; wait "$pid" || wrong "ucam-$1 ended with status $?"
    fi
}

say "$(. /etc/os-release; echo "$PRETTY_NAME") $(dpkg --print-architecture), $(ucam --version)," \
    "process 1 is $(cat /proc/1/comm)"
for part in web storage capture; do
    [ ! -e "/etc/ucam/$part.toml" ] || wrong "a configuration is there already"
    id "ucam-$part"
    [ "$(stat -c '%U %a' "/var/lib/ucam/$part")" = "ucam-$part 700" ] || wrong "/var/lib/ucam/$part"
    if booted; then
        [ "$(systemctl is-enabled "ucam-$part" || true)" = disabled ] || wrong "ucam-$part is enabled"
        if systemctl start "ucam-$part" 2>/dev/null; then wrong "ucam-$part starts unconfigured"; fi
        score=$(systemd-analyze security --no-pager "ucam-$part" | tail -n 1)
        say "$score"
        systemd-analyze security --no-pager --threshold=20 "ucam-$part" >/dev/null || wrong "$score"
    fi
done

if udevadm verify --help >/dev/null 2>&1; then # since Debian 13
    rules=$(find /usr/lib/udev/rules.d -name 60-ucam.rules)
    udevadm verify --no-style "$rules" >/dev/null || wrong "$rules"
fi

say "the web application"
sed -e "s|^public-url = .*|public-url = \"$SITE\"|" -e 's|^url = "smtp.*|outbox = "/var/lib/ucam/web/outbox"|' \
    -e '/^password-file/d' /etc/ucam/web.toml.sample >/etc/ucam/web.toml
ucam check-config /etc/ucam/web.toml >/dev/null || wrong "web.toml"
start web "listening on"
python3 -c "
import urllib.request as u
page = u.urlopen('$SITE/').read().decode()
script = page.split('src=\"')[1].split('\"')[0]
print('proof: the page is', len(page), 'bytes, its script', len(u.urlopen('$SITE' + script).read()))
" || wrong "no page"

# admit PART JID: a token, as `ucam enroll` would put it there.
admit() {
    setpriv --reuid ucam-web --regid ucam-web --clear-groups \
        ucam token "$2" --config /etc/ucam/web.toml >/run/token || wrong "ucam token $2"
    install -o "ucam-$1" -g "ucam-$1" -m 600 /run/token "/var/lib/ucam/$1/token"
}
say "a storage"
admit storage storage@studio.loc
sed -e "s|^url = .*|url = \"$SITE\"|" -e 's|^maxspace = .*|maxspace = "200MB"|' \
    -e 's|^reserve = .*|reserve = "10MB"|' -e 's|^chunk-size = .*|chunk-size = "5s"|' \
    /etc/ucam/storage.toml.sample >/etc/ucam/storage.toml
ucam check-config /etc/ucam/storage.toml >/dev/null || wrong "storage.toml"
start storage "listening on"

say "a camera"
admit capture cam001@studio.loc
sed -e "s|^url = .*|url = \"$SITE\"|" -e 's|^source = "auto"|source = "test"|' \
    -e "s|^width = .*|width = 320|; s|^height = .*|height = 240|; s|^framerate = .*|framerate = 10|" \
    -e '/^\[led\]/,/^name/d' /etc/ucam/capture.toml.sample >/etc/ucam/capture.toml
ucam check-config /etc/ucam/capture.toml >/dev/null || wrong "capture.toml"
start capture "sending run"
chunks() { [ "$(find /var/lib/ucam/storage/chunks -name '*.mp4' | wc -l)" -ge 2 ]; }
within "$WITHIN" chunks || wrong "no recordings"
say "recorded: $(find /var/lib/ucam/storage/chunks -name '*.mp4' -size +1k | wc -l) chunks"
setpriv --reuid ucam-capture --regid ucam-capture --init-groups env HOME=/var/lib/ucam/capture \
    XDG_CACHE_HOME=/var/cache/ucam-capture ucam doctor || say "doctor found something BAD (above)"

if booted; then
    say "killed, each is back; stopped, the watchdog ends it"
    for part in web storage capture; do
        systemctl kill --kill-whom=main --signal=KILL "ucam-$part"
        again() { [ "$(systemctl show -P NRestarts "ucam-$part")" -ge "$1" ] && systemctl is-active "ucam-$part"; }
        within 60 again 1 || wrong "ucam-$part isn't back"
        mkdir -p "/run/systemd/system/ucam-$part.service.d"
        printf '[Service]\nWatchdogSec=8\n' >"/run/systemd/system/ucam-$part.service.d/quick.conf"
    done
    systemctl daemon-reload
    systemctl restart ucam-web ucam-storage ucam-capture
    for part in web storage capture; do
        systemctl kill --kill-whom=main --signal=STOP "ucam-$part"
        hung() { journalctl -u "ucam-$part" | grep -q 'Watchdog timeout'; }
        within 60 hung || wrong "no watchdog for ucam-$part"
    done
    for part in web storage capture; do
        within 90 systemctl --quiet is-active "ucam-$part" || wrong "ucam-$part isn't back"
    done
    systemctl reload ucam-web ucam-storage ucam-capture || wrong "reload"
    say "installed once more, as for an update"
    before=$(systemctl show -P MainPID ucam-web ucam-storage ucam-capture)
    dpkg -i /root/ucam_*.deb >/dev/null 2>&1 || wrong "dpkg -i"
    for part in web storage capture; do
        within 90 systemctl --quiet is-active "ucam-$part" || wrong "ucam-$part isn't back"
        case "$before" in *"$(systemctl show -P MainPID "ucam-$part")"*) wrong "ucam-$part is the old one" ;; esac
    done
fi
count=$(find /var/lib/ucam/storage/chunks -name '*.mp4' | wc -l)
more() { [ "$(find /var/lib/ucam/storage/chunks -name '*.mp4' | wc -l)" -gt "$count" ]; }
within "$WITHIN" more || wrong "no more recordings"
for part in capture storage web; do stop "$part"; done
setpriv --reuid ucam-storage --regid ucam-storage --clear-groups \
    ucam fsck --config /etc/ucam/storage.toml || wrong "fsck"
say "ALL IS WELL"
