#!/bin/sh
# Run every study at its smallest setting, on the real data of ORBITCONV_DATA: a check after changes, in minutes.
#
#   sh scripts/smallest_studies.sh                  # all of them, in runs/smallest
#   sh scripts/smallest_studies.sh mnist learn-action
#
#   PYTHON  interpreter to use, .venv/bin/python by default
# Numbers of such runs say nothing. A study that is added gets a line here.
set -u
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
OUT=${OUT:-runs/smallest}
names="${*:-}"
mkdir -p "$OUT"

tiny='--training.epochs 1 --seeds 1'
one="$tiny --families plain exact --groups c4 --kernel-size 3 --plain-width 4 --train-images 200"
basis='--training.steps 6 --training.batch-size 8 --training.check-every 3'
record='--plain-width 2 --images 100 --epochs 1 --final-plain-width 2 --final-images 100 --final-epochs 1 --seeds 1 --validation 60 --training.batch-size 50 --levers nothing'
rivals='--data rotated-mnist --train-images 100 --test-images 40 --plain-width 4 --tolerance 0.5 --bases exact-c4 --training.batch-size 20'
pictures='--bases exact-d4-k3 --plain-width 3 --rounds 2 --training.epochs 1 --seeds 1'
failed=''

study() {
    name=$1
    shift
    case " $names " in "  " | *" $name "*) ;; *) return ;; esac
    [ "$name" = bench ] || [ "$name" = bench-fused ] || [ "$name" = streaming ] || set -- "$@" --out "$OUT/$name"
    begun=$(date +%s)
    if "$PYTHON" -m studies "$name" "$@" >"$OUT/$name.log" 2>&1; then result=done; else
        result="FAILED, see $OUT/$name.log"
        failed="$failed $name"
    fi
    echo "$name: $result, $(($(date +%s) - begun)) s"
}

study compare-bases --kernel-sizes 3 --fit-images 60 --test-images 20 --no-photographs --orders 2 --orders-images 20
study train-basis --max-images 200 --seeds 1 $basis
study train-basis-paper --max-images 200 --seeds 1 $basis
study learned-basis --variants default --seeds 1 --copies 1 --max-images 200 --test-images 20
study bases-trained --kernel-sizes 3 --train-images 64 --fit-images 50 --test-images 20 --curve-images 5 --parameters 2000 $tiny
study mnist $one --model small
study fashion-mnist $one --model small
study rotated-mnist $one --model small
study cifar10 $one --model small
study rotated-cifar10 $one --model small
study cifar10-networks $tiny --families plain exact --groups c4 --plain-width 4 --resnet-width 4 --train-images 150
study rotated-mnist-record $record
study upright $record
study stability $one --model small --rotations none --curve-images 20 --step-degrees 90 --layer-images 5 --ablations
study separable --kernel-size 3 --plain-width 4 --train-images 200 --rounds 2 $tiny
study systems --training.batch-size 32 --train-images 64 --test-images 20 --plain-width 4 --basis-images 100 --rounds 1 $tiny
study eurosat $pictures --time-of exact-d4-k3 --equal-time 4
study nuclei $pictures --depth 1 --window 32 --timed-side 32
study rivals $rivals --reference exact-c4 --rates 0.01 --sweep-widths 1 --sweep-epochs 1 --rounds 2 --turns 2 --timed-pictures 2 --validation 0.3 $tiny
study labels $rivals --shares 0.2 1 --steps 6 $tiny
study streaming --pictures 64 --distinct 4 --side 256 --window 32 --rounds 1
study conversion --group c4 --seeds 1 --train-digits 16 --digits-width 1 --pictures-width 1 --shares 0.01 --test-images 8 --digits.epochs 1 --digits.batch-size 8 --pictures.epochs 1
study inheriting --ways inherited --group c4 --width 2 --train-digits 32 --test-images 16 --training.batch-size 16 $tiny
study mlp-to-cnn --seeds 1 --train-images 200 --test-images 50 --pairs 2000 --reach 3 --curve-pairs 1000 2000 --curve-pair-labels 60 --curve-labels 20 60 --curve-steps 4 --training.epochs 1 --training.batch-size 50
study learn-action --transform shift-x --data mnist --pairs 60 --held-out 10 --patch 5 --order 5
study bench --quick --threads 1 --cases expansion-c8-k3-f16 --peers --out "$OUT/bench.json" --overwrite
study bench-fused --parts layers --repeats 1 --seconds 0.001 --threads 1 --out "$OUT/bench-fused.json" --overwrite

# The pictures of the explorer are those of trained networks: a plain one and its converted self for each of three data sets.
case " $names " in "  " | *" explorer "*)
    data=${ORBITCONV_DATA:?names the folder of the data sets}
    mkdir -p "$OUT/land/train" "$OUT/land/test"
    for part in train test; do
        for kind in Forest SeaLake; do ln -sfn "$data/eurosat/$part/$kind" "$OUT/land/$part/$kind"; done
    done
    for set in digits land nuclei; do
        network='--network.options plain_width 4'
        case $set in
            digits) words='--data mnist --train-images 500 --test-images 100' ;;
            land) words="--data $OUT/land --training.batch-size 16" ;;
            nuclei)
                words="--data $data/nuclei --pictures.window 32 --pictures.channels 1"
                network='--network.options depth 1 plain_width 4'
                ;;
        esac
        [ -e "$OUT/$set-converted/model.safetensors" ] || {
            "$PYTHON" -m orbitconv train $words --network.basis none $network --training.epochs 2 --out "$OUT/$set-plain"
            "$PYTHON" -m orbitconv convert "$OUT/$set-plain" --group c4 --basis exact --inherit --overwrite \
                --out "$OUT/$set.safetensors"
            "$PYTHON" -m orbitconv train $words --network.model "$OUT/$set.safetensors" --training.epochs 1 \
                --out "$OUT/$set-converted"
        } >"$OUT/explorer.log" 2>&1
    done
    study explorer --digits "$OUT/digits-plain" "$OUT/digits-converted" --satellite "$OUT/land-plain" \
        "$OUT/land-converted" --nuclei "$OUT/nuclei-plain" "$OUT/nuclei-converted" --least 0 -1 \
        --overwrite
    ;;
esac
[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }
