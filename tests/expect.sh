# expect.sh: for the scripts of tests/tools, which set passed=0 failed=0 and work in a folder of their own.
#
#   expect CODE 'TEXT' COMMAND...
#
# COMMAND ends with CODE and prints TEXT (a fixed string, anything where empty) on stdout or stderr: the file `out`.
expect() {
    code=$1 text=$2
    shift 2
    "$@" >out 2>&1 </dev/null
    got=$?
    if [ "$got" -eq "$code" ] && { [ -z "$text" ] || grep -qF -- "$text" out; }; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $* (exit $got, expected $code with '$text')"
        head -20 out
    fi
}

# is WHAT EXPECTED FOUND
is() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $1: expected '$2', found '$3'"
    fi
}
