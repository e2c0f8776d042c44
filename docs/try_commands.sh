#!/usr/bin/env bash
# Runs the commands of README and docs/getting-started.md as they stand there, on small drawn pictures, and says which of
# them fail. Left out are those whose remark says what they need ("# needs a card"), and the tests, which .ci/run runs.
#
#   docs/try_commands.sh          in a fresh environment, installed as README says; about ten minutes
#   docs/try_commands.sh VENV     in an environment that has stylecli already
set -uo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/stylecli-commands.XXXXXX")
trap 'rm -rf "$work"' EXIT
fresh=yes
if [[ $# -gt 0 ]]; then
    fresh=no
    # shellcheck disable=SC1091
    source "$1/bin/activate"
fi

inputs() { # what the pages' commands take for granted
    python - <<'PYTHON'
from pathlib import Path

import av
from stylecli.samples import CONTENTS, READY

for folder in ("holiday/sea", "photos"):
    Path(folder).mkdir(parents=True)
lake = CONTENTS["mountain-lake"](256)
for name in ("photo.jpg", "holiday/lake.jpg", "holiday/sea/photo.jpg", "photos/lake.jpg"):
    lake.save(name)
READY["night-swirls"](256).save("starry.jpg")
with av.open("clip.mp4", "w") as film:
    stream = film.add_stream("libx264", rate=12)
    stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
    for x in range(6):
        picture = av.VideoFrame.from_image(lake.crop((8 * x, 0, 8 * x + 128, 96)))
        film.mux(stream.encode(picture))
    film.mux(stream.encode())
PYTHON
}

ran=0 failed=()
try() {
    printf '\n$ %s\n' "$1"
    ran=$((ran + 1))
    eval "$1" </dev/null || failed+=("$1")
}

for page in README.md docs/getting-started.md; do
    mkdir -p "$work/$page"
    cd "$work/$page" || exit 1
    (cd "$top" && git archive HEAD) | tar --extract
    if [[ $fresh == no ]]; then inputs; fi
    while IFS= read -r line; do
        case $fresh/$line in
            */ | *"# needs "* | *pytest* | no/*venv* | no/"pip install .") continue ;;
            no/"pip install . && "*) try "${line#*&& }" ;;
            *) try "$line" ;;
        esac
        if [[ $fresh/$line == yes/"pip install ."* ]]; then inputs; fi
    done < <(awk '/^```sh$/ {on = 1; next} /^```/ {on = 0} on' "$top/$page")
    fresh=no # the second page finds the first one's environment
done

printf '\n%s commands, %s failed\n' "$ran" "${#failed[@]}"
if [[ ${#failed[@]} -gt 0 ]]; then
    printf '  %s\n' "${failed[@]}"
    exit 1
fi
