#!/bin/sh
# apt-install.sh PACKAGE… — installs Debian packages as root, without questions and without leaving a
# system-wide Postgres or Redis running: development and tests start servers of their own.
set -eu
export DEBIAN_FRONTEND=noninteractive

wants() { case " $packages " in *" $1 "*) true ;; *) false ;; esac; }
packages=$*

# Debian's package makes a cluster on port 5432 unless this file says no. Where it exists, somebody
# decided already.
cluster=/etc/postgresql-common/createcluster.conf
if wants postgresql && [ ! -e "$cluster" ]; then
    mkdir -p "${cluster%/*}"
    echo 'create_main_cluster = false' >"$cluster"
fi

# Packages ask this program whether they may start their service.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

install() {
    apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 \
        -o Dpkg::Options::=--force-confold -- "$@"
}

# Images come without package lists, and old lists name packages that are gone.
if ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || ! install "$@"; then
    apt-get update -q
    install "$@"
fi

# Nor should it start with the machine.
if [ -d /run/systemd/system ]; then
    for service in redis-server valkey-server; do
        if wants "$service"; then systemctl disable --quiet "$service" || true; fi
    done
fi
