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
