# Bash completion for atelier: commands and options as `atelier --help` lists them, presets and other
# fixed words, and the jobs, models and data sets that the server has at this moment. Where the server
# does not answer there is nothing to offer, and nothing is said.
#
#   source deploy/completions/atelier.bash

_atelier_names() {
  # Names of one kind: jobs, experiments, models or datasets.
  local kind=$1 command=$1
  [ "$kind" = jobs ] && command='jobs --limit=200'
  # shellcheck disable=SC2086  # the command is words
  timeout 2 "$_atelier_program" ${_atelier_server:+"--server=$_atelier_server"} \
    "${_atelier_tls[@]}" --output=json $command \
    2>/dev/null </dev/null | sed -n "s|^{\"name\":\"$kind/\([^\"/]*\)[\"/].*|\1|p"
}

# Names of the servers in the configuration file.
_atelier_contexts() {
  sed -n 's/^[[:space:]]*\[[[:space:]]*\(.*[^[:space:]]\)[[:space:]]*\].*/\1/p' \
    "${ATELIER_CONFIG:-${XDG_CONFIG_HOME:-$HOME/.config}/atelier/config}" 2>/dev/null
}

_atelier_options() {
  # shellcheck disable=SC2086  # `bench classify` is two words
  "$_atelier_program" $1 --help 2>/dev/null | sed -n 's/^  \(-[^ ]*\).*/\1/p' | tr ',' '\n'
}

_atelier_commands() {
  # shellcheck disable=SC2086  # nothing, or a word
  "$_atelier_program" $1 --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p'
}

# The words that an option takes; fails for those that take anything.
_atelier_values() {
  case $1 in
    --preset) echo dense cnn-1 cnn-2 cnn-3 cnn-3-pooled cnn-3-attention resnet ;;
    --conv-depth) echo 0 1 2 3 ;;
    --recipe) echo study fast best ;;
    --optimizer) echo adamw adam sgd rmsprop muon ;;
    --schedule) echo constant one_cycle cosine step ;;
    --monitor) echo validation_loss validation_accuracy macro_f1 ;;
    --class-weights) echo none balanced ;;
    --horizontal-flip | --nesterov | --standardize) echo true false ;;
    --batch-norm | --residual) echo on off ;;
    --pooling) echo max average ;;
    --activation) echo relu leaky_relu elu gelu silu hard_swish tanh sigmoid ;;
    --precision | --serving-precision) echo auto float32 bfloat16 ;;
    --device) echo auto cpu cuda ;;
    --output) echo text json csv ;;
    --role) echo classify viewer operator admin ;;
    --context) _atelier_contexts ;;
    --format) echo archive torchscript onnx ;;
    --invert) echo auto yes no ;;
    --color) echo auto grey rgb ;;
    --fit) echo pad stretch crop ;;
    --axes) echo auto nhw nhwc nchw ;;
    --split) echo training validation test ;;
    --resize) echo pad stretch none ;;
    --method) echo grad-cam occlusion ;;
    --state) echo queued starting preparing training evaluating importing checking storing stopping completed failed stopped ;;
    --model | --model-name | --from) _atelier_names models ;;
    --like) _atelier_names jobs ;;
    --dataset) _atelier_names datasets ;;
    -o | --network | --folder | --output-file | --output-folder | --tls-ca | --tls-cert | --tls-key | --token-file | --file) compgen -f -- "$2" ;;
    --server | --name | --request-id | --epochs | --batch-size | --learning-rate | --dropout | \
      --step-factor | --step-epochs | --momentum | --beta1 | --beta2 | --epsilon | \
      --freeze | --max-gradient-norm | --min-delta | --patience | --validation-fraction | --seed | --shards | --cores | --memory | --priority | --slurm-args | \
      --conv | --kernel | --pool | --dense | --input | --classes | --size | --columns | --rows | --test-fraction | --limit | --after | --folds | --seeds | --random | --attempt | --test-image | --top-k | \
      --layer | --block | --class | --window | --stride | --zoom | --wait-for-server | --interval | --concurrency | \
      --exec | --notify | --rate | --max-in-flight | --images | --duration | --warmup | --deadline | --connections) ;;
    *) return 1 ;;
  esac
}

_atelier() {
  local current=${COMP_WORDS[COMP_CWORD]} before='' command='' word i _atelier_server=''
  local _atelier_program=${COMP_WORDS[0]/#\~/$HOME} _atelier_tls=()
  # Bash splits words at '=', so `--preset=c` is three of them.
  if [ "$current" = = ]; then
    current='' before=${COMP_WORDS[COMP_CWORD - 1]}
  elif [ "$COMP_CWORD" -gt 1 ] && [ "${COMP_WORDS[COMP_CWORD - 1]}" = = ]; then
    before=${COMP_WORDS[COMP_CWORD - 2]}
  elif [ "$COMP_CWORD" -gt 0 ]; then
    before=${COMP_WORDS[COMP_CWORD - 1]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case $word in
      --server | --output)
        [ "${COMP_WORDS[i + 1]}" = = ] && ((i++))
        # A colon splits words too: HOST : PORT.
        if [ "$word" = --server ]; then
          _atelier_server=${COMP_WORDS[i + 1]}
          if [ "${COMP_WORDS[i + 2]}" = : ] && [ $((i + 3)) -le "$COMP_CWORD" ]; then
            _atelier_server+=:${COMP_WORDS[i + 3]}
            ((i += 2))
          fi
        fi
        ((i++))
        ;;
      --tls-ca | --tls-cert | --tls-key | --token-file | --context)
        [ "${COMP_WORDS[i + 1]}" = = ] && ((i++))
        _atelier_tls+=("$word=${COMP_WORDS[i + 1]/#\~/$HOME}")
        ((i++))
        ;;
      -*) ;;
      *)
        if [ -z "$command" ]; then
          command=$word
        elif [[ "$command" =~ ^(bench|datasets|admin|admin\ token)$ ]]; then
          command="$command $word"
        fi
        ;;
    esac
  done

  local choices
  COMPREPLY=()
  if [[ $before == -* ]] && choices=$(_atelier_values "$before" "$current"); then
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$current")
    return
  fi
  if [[ $current == -* ]]; then
    choices=$(_atelier_options ${command:+"$command"})
    [ -z "$command" ] || choices+=" --server --output --tls-ca --tls-cert --tls-key --token-file --context"
  else
    case $command in
      '' | bench | datasets | admin | 'admin token') choices=$(_atelier_commands "$command") ;;
      help) choices=$(_atelier_commands '') ;;
      continue | show | logs | confusion) choices=$(_atelier_names jobs) ;;
      watch | stop | report | compare)
        choices="$(_atelier_names jobs) $(_atelier_names experiments)"
        ;;
      delete)
        choices="$(_atelier_names jobs) $(_atelier_names experiments) $(_atelier_names models)"
        ;;
      models | alias | evaluate | filters | 'bench classify') choices=$(_atelier_names models) ;;
      download) choices="$(_atelier_names models) $(_atelier_names jobs)" ;;
      'datasets show' | 'datasets images' | 'datasets check' | 'datasets pull' | 'datasets delete')
        choices=$(_atelier_names datasets)
        ;;
      'datasets push')
        # A data set, then files.
        choices=$(_atelier_names datasets)
        mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$current"; compgen -f -- "$current")
        return
        ;;
      classify | features | explain)
        # A model, then image files.
        choices=$(_atelier_names models)
        mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$current"; compgen -f -- "$current")
        return
        ;;
      *) return ;;
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$current")
}

complete -F _atelier atelier
