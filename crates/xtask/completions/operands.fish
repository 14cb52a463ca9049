# Whether so many operands stand before the cursor: option parsing stops at the
# first.
function __@NAME@_operands
    set -l number $argv[1]
    set -l words (commandline -opc)
    argparse -s @OPTIONS@ -- $words[2..] 2>/dev/null
    or set argv
    test (count $argv) -eq $number
end

