#!/usr/bin/env bash
# Installs what building Oriel (`setup.sh build`), testing it (`setup.sh test`), or also trying it with other people's programs
# (`setup.sh interop`) needs. Says what it does; skips what is there.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-build}

missing() { echo "setup: $1" >&2; exit 1; }
say() { echo "setup: $1"; }

command -v cargo >/dev/null || missing "Rust is missing: install it with rustup (https://rustup.rs) and run this again"
command -v cc >/dev/null || missing "a C compiler is missing: install gcc (Debian: apt-get install build-essential)"
command -v npm >/dev/null || missing "Node.js with npm is missing: install Node.js 20.19 or newer"
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
have=$(rustc --version | cut -d' ' -f2)
[ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -1)" = "$wanted" ] || missing "Rust $wanted or newer is needed, this is $have: run 'rustup update'"

# command:package, one each
build_needs="c++:g++ cmake:cmake pkg-config:pkg-config"
test_needs="ffmpeg:ffmpeg chromium:chromium"
interop_needs="curl:curl obs:obs-studio Xvfb:xvfb xauth:xauth cvlc:vlc-bin mpv:mpv gst-launch-1.0:gstreamer1.0-tools"
# Plugins have no command: a file tells that they are there.
interop_files="vlc/plugins/codec/libavcodec_plugin.so:vlc-plugin-base obs-plugins/obs-ffmpeg.so:obs-plugins
  gstreamer-1.0/libgstsrt.so:gstreamer1.0-plugins-bad gstreamer-1.0/libgstmatroska.so:gstreamer1.0-plugins-good
  gstreamer-1.0/libgstlibav.so:gstreamer1.0-libav dri/swrast_dri.so:libgl1-mesa-dri"
needs=$build_needs
[ "$what" = build ] || needs="$needs $test_needs"
[ "$what" = interop ] && needs="$needs $interop_needs"
packages=()
for need in $needs; do
  command -v "${need%%:*}" >/dev/null || packages+=("${need#*:}")
done
if [ "$what" = interop ]; then
  for need in $interop_files; do
    compgen -G "/usr/lib/*/${need%%:*}" >/dev/null || packages+=("${need#*:}")
  done
fi
# Debian's python3 comes without what makes a virtual environment.
[ "$what" = build ] || python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
if [ ${#packages[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || missing "these are missing and there is no apt-get to install them: ${packages[*]}"
  sudo=""
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || missing "these are missing, and installing them needs root or sudo: ${packages[*]}"
    sudo=sudo
  fi
  say "installing Debian packages: ${packages[*]}"
  $sudo apt-get update -q >/dev/null || missing "apt-get update failed; the packages ${packages[*]} are needed"
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends "${packages[@]}" >/dev/null ||
    missing "apt-get could not install: ${packages[*]}"
else
  say "Debian packages are there"
fi

# npm ci only when the lock file is newer than what it last installed.
node_modules() {
  if [ "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ]; then
    say "$1/node_modules is up to date"
  else
    say "installing npm packages of $1"
    (cd "$1" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund --loglevel=error) || missing "npm ci failed in $1"
    touch "$1/node_modules/.package-lock.json"
  fi
}
node_modules web
[ "$what" = build ] || node_modules tests
[ "$what" = interop ] && node_modules tests/interop

# Python's WebRTC, for the interop tests. Installed again when the list changed, or when the Python it was made with is gone.
venv() {
  if cmp -s "$1/requirements.txt" tests/requirements.txt && "$1/bin/python" -c '' 2>/dev/null; then
    say "$1 is up to date"
  else
    say "installing Python packages into $1"
    rm -rf "$1"
    error=$(python3 -m venv "$1" 2>&1) || missing "python3 -m venv $1 failed: $(tail -1 <<<"$error")"
    error=$("$1/bin/pip" install --quiet --disable-pip-version-check -r tests/requirements.txt 2>&1) ||
      missing "pip could not install tests/requirements.txt into $1: $(tail -1 <<<"$error")"
    cp tests/requirements.txt "$1/requirements.txt"
  fi
}
[ "$what" = build ] || venv "${CARGO_TARGET_DIR:-target}/venv"
exit 0
