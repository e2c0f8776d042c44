#!/usr/bin/env bash
# Runs the commands of README and docs as they stand there, on small drawn pictures, and says which of them fail. Left out
# are those whose remark says what they need ("# needs a card") or that they go on "until Ctrl-C", and the tests, which
# .ci/run runs.
#
#   docs/try_commands.sh                      in a fresh environment, installed as README says; about half an hour
#   docs/try_commands.sh VENV [PAGE...]       in an environment that has stylecli already; these pages alone
set -uo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/stylecli-commands.XXXXXX")
trap 'rm -rf "$work"' EXIT
pages=(README.md docs/getting-started.md docs/[!g]*.md docs/models/*.md)
export PIP_CACHE_DIR=${PIP_CACHE_DIR:-$HOME/.cache/pip} PIP_CONFIG_FILE=${PIP_CONFIG_FILE:-$HOME/.config/pip/pip.conf}
export HOME=$work/home STYLIZE_CACHE=$work/cache # nothing of the user's own is touched
mkdir -p "$HOME/.local/share/man/man1"
fresh=yes ours=yes # whether there is no environment yet; whether it is this script's
if [[ $# -gt 0 ]]; then
    fresh=no ours=no
    # shellcheck disable=SC1091
    source "$1/bin/activate"
    shift
    if [[ $# -gt 0 ]]; then pages=("$@"); fi
fi

inputs() { # what the pages' commands take for granted
    python - <<'PYTHON'
from pathlib import Path

import av
from PIL import Image
from stylecli.samples import CONTENTS, READY

for folder in ("holiday/sea", "photos", "films", "frames", "paintings", "masks", "photographs"):
    Path(folder).mkdir(parents=True)
lake = CONTENTS["mountain-lake"](256)
for name in (
    "photo.jpg", "photo.png", "party.jpg", "panorama.tif", "holiday/lake.jpg", "holiday/sea/photo.jpg", "photos/lake.jpg",
    "photographs/lake.jpg",
):  # fmt: skip
    lake.save(name)
night, waves = READY["night-swirls"](256), READY["woodblock"](256)
for picture, name in ((night, "starry.jpg"), (waves, "wave.jpg"), (READY["marbling"](256), "tree-bark.jpg")):
    picture.save(name), picture.save(Path("paintings") / name)
Path("phrases.txt").write_text("ukiyo-e\nPaul Gauguin style\n")
left = Image.new("L", lake.size)
left.paste(255, (0, 0, 128, 256))
for name in ("person.png", "sky.png", "masks/lake.png", "masks/photo.png"):
    left.save(name)


def film(name, picture):
    with av.open(name, "w") as file:
        stream = file.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for x in range(6):
            file.mux(stream.encode(av.VideoFrame.from_image(picture.crop((8 * x, 0, 8 * x + 128, 96)))))
        file.mux(stream.encode())


for name in ("clip.mp4", "films/lake.mp4", "feature.mkv"):
    film(name, lake)
film("dancer.mp4", left.convert("RGB"))
frames = [lake.crop((8 * x, 0, 8 * x + 128, 96)) for x in range(4)]
frames[0].save("dance.gif", save_all=True, append_images=frames[1:], duration=80)
for number, frame in enumerate(frames):
    frame.save(f"frames/{number:05d}.png")
PYTHON
}

commands() { # of a page, each with all of its lines, a zero byte after each
    python3 - "$1" <<'PYTHON'
import re
import shlex
import sys

for block in re.findall(r"^```sh\n(.*?)^```", open(sys.argv[1]).read(), re.M | re.S):
    command = ""
    if block.startswith("#!"):  # a whole script, for somewhere else
        continue
    for line in block.splitlines():
        command += line
        try:
            shlex.split(command, comments=True)
        except ValueError:  # a quotation or a line that goes on
            command += "\n"
            continue
        print(command, end="\0")
        command = ""
PYTHON
}

ran=0 failed=()
try() {
    printf '\n$ %s\n' "$1"
    ran=$((ran + 1))
    eval "$1" </dev/null || failed+=("$1")
}

for page in "${pages[@]}"; do
    mkdir -p "$work/$page"
    cd "$work/$page" || exit 1
    (cd "$top" && git archive HEAD) | tar --extract
    if [[ $fresh == no ]]; then inputs; fi
    while IFS= read -r -d '' line; do
        case $fresh/$line in
            yes/ | no/ | *"# "*"needs "* | *"until Ctrl-C"* | *pytest* | no/*venv* | no/"pip install .") continue ;;
            */"pip install '.["*) if [[ $ours == yes ]]; then try "$line"; fi ;;
            no/"pip install . && "*) try "${line#*&& }" ;;
            *) try "$line" ;;
        esac
        if [[ $fresh/$line == yes/"pip install ."* ]]; then inputs; fi
    done < <(commands "$top/$page")
    fresh=no # the other pages find the first one's environment
done

printf '\n%s commands, %s failed\n' "$ran" "${#failed[@]}"
if [[ ${#failed[@]} -gt 0 ]]; then
    printf '  %s\n' "${failed[@]}"
    exit 1
fi
