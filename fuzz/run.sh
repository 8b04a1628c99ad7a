#!/usr/bin/env bash
# Runs fuzz targets one after the other: fuzz/run.sh SECONDS [TARGET...]. Without targets, all of them.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
shift || true
# The sanitizers need compiler flags that stable Rust keeps behind this.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$PWD/target
command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz@0.13.2
mapfile -t all < <(sed -n 's/^name = "\(.*\)"$/\1/p' Cargo.toml | grep -v '^oriel-fuzz$')
[ $# -gt 0 ] || set -- "${all[@]}"
(cd .. && cargo fuzz build --features flv)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for target in "$@"; do
  folders=("corpus/$target")
  mkdir -p "corpus/$target" "artifacts/$target"
  [ ! -d "seeds/$target" ] || folders+=("seeds/$target")
  # Real captures begin the streams; as short as the rest, inputs could not hold one.
  longest=8192
  case $target in
    *_demux) longest=40000 folders+=(../crates/gateway/tests/fixtures/ingest) ;;
    rtmp_server_session) longest=20000 folders+=(../crates/gateway/tests/fixtures/rtmp) ;;
  esac
  options=(-max_total_time="$seconds" -max_len="$longest" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1)
  if ! ASAN_OPTIONS=detect_odr_violation=0 "target/$(rustc -vV | sed -n 's/^host: //p')/release/$target" \
      "${folders[@]}" -artifact_prefix="artifacts/$target/" "${options[@]}" >"$log" 2>&1; then
    tail -n 40 "$log"
    echo "$target failed; its input is in fuzz/artifacts/$target" >&2
    exit 1
  fi
  printf '%-20s %s\n' "$target" "$(grep -h 'DONE' "$log" | tail -n 1 | sed 's/lim:.*//')"
done
