#!/usr/bin/env bash
# Nine minutes on a graphics card: are the kernels right, how fast is everything, and train for what is left.
#
#   benchmarks/on_a_card.sh RESULTS [--device cuda] [--minutes 9] [--small] [-- ARGUMENTS OF stylize train]
#
# Every part leaves a file in RESULTS and is not run again where that is there: run it again to go on. What a part that
# was cut off had measured is in FILE.part.
# --small rehearses all parts on the CPU with tiny inputs. What follows -- is handed to `stylize train`, whose weights
# and sheets go to RESULTS/training; without it nothing is trained.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}
export PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}"
results='' device=cuda minutes=9 small=() training=()
while (($#)); do
    case $1 in
    --device) device=$2 && shift 2 ;;
    --minutes) minutes=$2 && shift 2 ;;
    --small) small=(--small) device=cpu && shift ;;
    --) shift && training=("$@") && break ;;
    -*) echo "$1: unknown; see the head of $0" >&2 && exit 2 ;;
    *) results=$1 && shift ;;
    esac
done
[[ -n $results ]] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2 && exit 2; }
mkdir -p "$results" || exit 1
end=$((SECONDS + minutes * 60))
failed=()

# part NAME SECONDS COMMAND...: into RESULTS/NAME, within so many seconds and the time that is left.
part() {
    local name=$1 most=$2 left=$((end - SECONDS))
    shift 2
    [[ -s $results/$name ]] && return 0
    ((left < 5)) && { echo "$name: no time left; run this again to go on" >&2 && failed+=("$name") && return 0; }
    echo "== $name ($SECONDS s)" >&2
    local began=$SECONDS
    if timeout --kill-after=10 $((most < left ? most : left)) "$@" >"$results/$name.part" 2>"$results/$name.log"; then
        mv "$results/$name.part" "$results/$name"
    else
        echo "$name: ended with $?, see $results/$name.log" >&2
        failed+=("$name")
    fi
    echo "$name $((SECONDS - began)) s" >>"$results/times.txt"
}

command -v nvidia-smi >/dev/null && part card.txt 10 nvidia-smi
part status.json 120 "$python" -m stylecli kernels status --json
part proof.txt 120 bash -c '"$0" -m stylecli kernels test 2>&1' "$python"
if command -v compute-sanitizer >/dev/null; then
    task="{\"device\": \"$device\", \"library\": null, \"left\": [\"bi_wkv\", \"selective_scan\", \"deform_shift\"],
        \"without\": [], \"network\": \"stylerwkv-s\", \"weights\": null, \"full\": false, \"seconds\": 100}"
    STYLIZE_KERNELS=all part sanitizer.txt 120 \
        compute-sanitizer --tool memcheck --error-exitcode 9 "$python" -m stylecli.proving "$task"
fi
for name in looks operators painting frames films; do
    part "$name.jsonl" 90 "$python" "$here/on_a_card.py" "$name" "$device" "${small[@]}"
done
if ((${#training[@]})); then
    # A run that is cut off goes on from its last checkpoint when this is run again.
    left=$((end - SECONDS - 15))
    echo "== training, $left s ($SECONDS s)" >&2
    ((left > 20)) && timeout --signal=INT --kill-after=15 "$left" "$python" -m stylecli train "${training[@]}" \
        --device "$device" --out "$results/training" >"$results/training.log" 2>&1
    code=$?
    ((code == 0 || code == 124 || code == 130)) || failed+=(training)
fi
((${#failed[@]})) && { echo "not done: ${failed[*]}" >&2 && exit 1; }
echo "everything is in $results" >&2
