# block.awk: prints the fenced block of a Markdown file that follows the line "<!-- NAME -->", the INDEX-th of that name
# (counted from 1): awk -f block.awk -v name=NAME -v index_wanted=INDEX FILE. Nothing: there is none.
inside && /^```$/ { exit }
inside { print; next }
found && /^```/ { inside = 1; next }
$0 == "<!-- " name " -->" && ++seen == index_wanted { found = 1 }
