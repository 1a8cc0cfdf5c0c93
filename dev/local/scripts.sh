# What the scripts in bin/ share; sourced by them, from bash 3.2 (macOS) on.
# shellcheck shell=bash

CDPATH='' cd -- "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

fail() {
    echo "$1" >&2
    exit 1
}

# apt_install PACKAGE… — as root or with a sudo that asks nothing; fails where that isn't possible.
apt_install() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" = 0 ]; then
        sh dev/local/apt-install.sh "$@" >&2
    else
        sudo -n true 2>/dev/null && sudo -n sh dev/local/apt-install.sh "$@" >&2
    fi
}

# need_toolchain — cargo and a C compiler, or one line that says how to get them.
need_toolchain() {
    if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
        PATH=$HOME/.cargo/bin:$PATH
    fi
    command -v cargo >/dev/null ||
        fail "cargo is missing: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh   (then open a new shell)"
    if ! command -v cc >/dev/null; then
        if [ "$(uname)" = Darwin ]; then
            fail "a C compiler is missing: xcode-select --install"
        fi
        apt_install build-essential ||
            fail "a C compiler is missing: sudo apt-get install build-essential   (Fedora: sudo dnf install gcc)"
    fi
}

# skip WHY — ends a check that can't be made here. By the status, bin/test tells it from one that passed.
skip() {
    echo "skipped: $1"
    exit 77
}

# npm_install FOLDER — what its package-lock.json names, unless that is there already.
npm_install() {
    local noted=$1/node_modules/.humanchat-lock
    cmp -s "$1/package-lock.json" "$noted" && return
    if ! npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund --loglevel=error; then
        echo "npm can't install what $1 needs"
        return 1
    fi
    mkdir -p "${noted%/*}" && cp "$1/package-lock.json" "$noted"
}

node_is_new() {
    node -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || major === 20 && minor >= 19 ? 0 : 1)'
}

# need_node — npm, and Node 20.19 or newer: the system's, or npm's where that is older, as in Debian 12. Says why and fails
# where they can't be had.
need_node() {
    if ! command -v npm >/dev/null; then apt_install nodejs npm || true; fi
    if ! command -v npm >/dev/null; then
        echo "npm is missing and can't be installed"
        return 1
    fi
    node_is_new && return
    local old
    old=$(node --version)
    npm_install dev/node || return
    # npm makes no link to a program of this name.
    local bin
    for bin in "$PWD"/dev/node/node_modules/node-*/bin; do PATH=$bin:$PATH; done
    hash -r
    if ! node_is_new; then
        echo "Node $old is too old: 20.19 or newer is needed"
        return 1
    fi
}

# need_console — Node and what console/ is built and tested with; says why and fails where they can't be had.
need_console() {
    need_node && npm_install console
}

# target_dir — where cargo puts what it builds.
target_dir() {
    cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

# local_tool — sets $tool to humanchat-local, built by itself only if it isn't there yet or its sources
# are newer: built alone it has other dependency features than in the whole workspace, so that costs a
# minute the first time.
local_tool() {
    tool=$(target_dir)/debug/humanchat-local
    if [ ! -x "$tool" ] || [ -n "$(find dev/local/src dev/local/*.* -type f -newer "$tool")" ]; then
        cargo build -p humanchat-local --bin humanchat-local
    fi
}
