
# Option parsing stops at the first operand; the command after it completes as
# it would alone.
_@NAME@_operands() {
    local i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --)
                ((i++))
                break
                ;;
            -?*)
                if [[ ${COMP_WORDS[i + 1]} != = && ${COMP_WORDS[i]} =~ @TAKES_VALUE@ ]]; then
                    ((i++))
                fi
                # To bash : and = are words of their own.
                while [[ ${COMP_WORDS[i + 1]} == [:=]* ]]; do
                    ((i += 2))
                done
                ;;
            *)
                break
                ;;
        esac
    done
    if ((i > COMP_CWORD)) || { ((i == COMP_CWORD)) && [[ $2 == -* ]]; }; then
        _@NAME@ "$@"
    elif ((i + @BEFORE_CMD@ > COMP_CWORD)); then
        @FIRST@
    elif declare -F _command_offset >/dev/null; then
        _command_offset $((i + @BEFORE_CMD@))
    elif ((i + @BEFORE_CMD@ == COMP_CWORD)); then
        COMPREPLY=($(compgen -c -- "$2"))
    fi
}
complete -F _@NAME@_operands -o bashdefault -o default @NAME@
